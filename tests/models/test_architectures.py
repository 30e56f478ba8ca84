"""Architectures: published counts, shapes by hand, small images, wrong input."""

import contextlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import models
from optlab.errors import InputError
from optlab.models.architectures import ARCHITECTURES
from optlab.models.architectures.alexnet import AlexNet, response_norm
from optlab.models.architectures.squeezenet import Fire, SqueezeNet
from optlab.models.cost import products

# Parameters (the tables of keras.io/api/applications; by hand below), depth (which
# names most of them; else the tables of the papers; of Inception-ResNet by hand), and
# millions of multiply-adds, of which the first digits are published with the nets.
PUBLISHED = {
    "alexnet": (60_965_224, 8, 724),
    "vgg16": (138_357_544, 16, 15_470),
    "vgg19": (143_667_240, 19, 19_632),
    "inception_v3": (23_851_784, 48, 5_713),
    "inception_resnet_v2": (55_873_736, 176, 13_156),
    "resnet50": (25_636_712, 50, 3_858),
    "resnet101": (44_707_176, 101, 7_570),
    "resnet152": (60_419_944, 152, 11_282),
    "resnet50v2": (25_613_800, 50, 3_482),
    "resnet101v2": (44_675_560, 101, 7_194),
    "resnet152v2": (60_380_648, 152, 10_907),
    "squeezenet": (1_248_424, 18, 819),
    "xception": (22_910_480, 71, 8_357),
    "mobilenet": (4_253_864, 28, 569),
    "mobilenet_v2": (3_538_984, 53, 301),
}


def shapes_of(module, images):
    return jax.eval_shape(module.init, jax.random.key(0), images)


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_counts_are_the_published_ones(name):
    parameters, depth, million = PUBLISHED[name]
    module = models.make(name, classes=1000)
    image = jax.ShapeDtypeStruct((1, module.side, module.side, 3), jnp.float32)
    variables = shapes_of(module, image)
    assert size(variables) == parameters
    if depth < 100:  # the deeper ones repeat the same blocks
        found = products(module.apply, variables, image)
        assert found.depth == depth
        assert found.multiply_adds / 1e6 == pytest.approx(million, abs=1)


@pytest.mark.parametrize("name", [n for n, row in PUBLISHED.items() if row[1] < 100])
def test_narrow_nets_take_the_smallest_image_and_refuse_a_smaller_one(name):
    module = models.make(name, classes=7, width=0.1)
    x = jnp.zeros((2, module.smallest, module.smallest + 3, 1))
    key = jax.random.key(0)
    outputs, variables = jax.eval_shape(module.init_with_output, key, x)
    assert outputs.shape == (2, 7)
    assert size(variables) < PUBLISHED[name][0] / 5
    with pytest.raises(InputError, match=rf"of {module.smallest} or more.* resize"):
        shapes_of(module, x[:, :, :-4])
    with pytest.raises(InputError, match=r"takes images \[height, width, channels\]"):
        shapes_of(module, jnp.zeros((2, 3000)))


@pytest.mark.parametrize("name", ["alexnet", "squeezenet", "inception_v3", "vgg16"])
def test_an_image_below_the_smallest_would_leave_no_pixel(name, monkeypatch):
    module = models.make(name, classes=7, width=0.1)
    found = []

    def record(call, arguments, options, context):
        outputs = call(*arguments, **options)
        if context.method_name == "body":
            found.append(outputs.shape[1:3])
        return outputs

    sides = module.smallest, module.smallest - 1
    monkeypatch.setattr(type(module), "smallest", 1)
    for side in sides:
        # Some operations take no empty images.
        with (
            nn.intercept_methods(record),
            contextlib.suppress(TypeError, ZeroDivisionError),
        ):
            shapes_of(module, jnp.zeros((1, side, side, 3)))
    assert found in ([(1, 1)], [(1, 1), (0, 0)])


# Shapes by hand


def shapes_within(module, images):
    """Shapes of all convolutions' and poolings' outputs, in their order."""
    shapes = []

    def record(call, arguments, options, context):
        outputs = call(*arguments, **options)
        if isinstance(context.module, nn.Conv) and context.method_name == "__call__":
            shapes.append(outputs.shape[1:])
        return outputs

    with nn.intercept_methods(record):
        variables = shapes_of(module, images)
    return shapes, variables["params"]


def test_alexnet_has_the_shapes_of_its_paper():
    found, params = shapes_within(AlexNet(classes=1000), jnp.zeros((1, 224, 224, 3)))
    assert found == [  # figure 2; pooling halves after the first, second and last
        (55, 55, 96), (27, 27, 256), (13, 13, 384), (13, 13, 384), (13, 13, 256),
    ]  # fmt: skip
    kernels = [params[layer]["kernel"].shape for layer in params]
    assert kernels == [
        (11, 11, 3, 96), (5, 5, 48, 256), (3, 3, 256, 384), (3, 3, 192, 384),
        (3, 3, 192, 256), (4096, 6 * 6 * 256), (4096, 4096), (1000, 4096),
    ]  # fmt: skip


def test_alexnet_s_columns_see_their_own_channels_only():
    module = AlexNet(classes=2, width=0.1)
    x = jnp.zeros((1, 64, 64, 3))
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes_of(module, x))
    assert params["params"]["Conv_1"]["kernel"].shape == (5, 5, 4, 24)  # of 8 channels

    @jax.jit
    def second(bias):
        params["params"]["Conv_0"]["bias"] = bias
        shown = {"capture_intermediates": lambda m, _: m.name == "Conv_1"}
        found = module.apply(params, x, **shown)[1]["intermediates"]
        return found["Conv_1"]["__call__"][0].sum((0, 1, 2))

    # Response normalization spreads the first channel to those up to two away.
    changed = second(jnp.ones(8)) != second(jnp.ones(8).at[0].set(9.0))
    assert changed.tolist() == [True] * 12 + [False] * 12


def test_response_normalization_is_that_of_the_paper():
    a = np.random.default_rng(0).normal(scale=30, size=(2, 3, 4, 9))
    expected = np.empty_like(a)
    for i in range(9):
        near = a[..., max(0, i - 2) : i + 3]
        expected[..., i] = a[..., i] / (2 + 1e-4 * (near**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(response_norm(jnp.asarray(a)), expected, rtol=1e-5)


def test_squeezenet_has_the_shapes_of_its_paper():
    # Its table's 224 pixels give its 111 outputs from 227, as in AlexNet's Caffe form.
    found, _ = shapes_within(SqueezeNet(classes=1000), jnp.zeros((1, 227, 227, 3)))
    fires = (55, 16, 64), (55, 16, 64), (55, 32, 128), (27, 32, 128), (27, 48, 192)
    fires += (27, 48, 192), (27, 64, 256), (13, 64, 256)
    rows = [(side, channels) for side, s, e in fires for channels in (s, e, e)]
    expected = [(111, 96), *rows, (13, 1000)]
    assert found == [(side, side, channels) for side, channels in expected]


@pytest.mark.parametrize(
    ("bypass", "more"),
    [
        ("none", 0),
        ("simple", 0),
        # 1 x 1 convolutions around the modules 2, 4, 6 and 8
        ("complex", 97 * 128 + 129 * 256 + 257 * 384 + 385 * 512),
    ],
)
def test_bypasses_cost_what_they_should(bypass, more):
    module = models.make("squeezenet", classes=1000, bypass=bypass)
    shapes = shapes_of(module, jnp.zeros((1, 224, 224, 3)))
    assert size(shapes) == 1_248_424 + more


def test_bypasses_add_the_input_or_a_convolution_of_it():
    def run(channels, bypass):
        fire = Fire(2, 3, bypass)
        x = jnp.asarray(np.arange(4.0 * channels).reshape(1, 2, 2, channels))
        shapes = shapes_of(fire, x)["params"]
        params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.1), shapes)
        return x, jax.jit(fire.apply)({"params": params}, x)

    x, none = run(6, "none")
    for bypass in ("simple", "complex"):
        np.testing.assert_allclose(run(6, bypass)[1], x + none, rtol=1e-5)
    x, none = run(4, "none")
    np.testing.assert_allclose(run(4, "simple")[1], none)
    mixed = 0.1 + 0.1 * x.sum(-1, keepdims=True)  # of weights and biases of 0.1
    np.testing.assert_allclose(run(4, "complex")[1], mixed + none, rtol=1e-5)


# Training


def test_batch_statistics_remember_as_long_as_the_momentum_says():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 32, 32, 3)), jnp.float32)

    @jax.jit
    def mean(momentum):
        module = models.make("mobilenet", classes=3, width=0.05, momentum=momentum)
        variables = module.init(jax.random.key(0), x)
        rngs = {"dropout": jax.random.key(1)}
        _, state = module.apply(
            variables, x, train=True, rngs=rngs, mutable=["batch_stats"]
        )
        return state["batch_stats"]["BatchNorm_0"]["mean"]

    new = mean(0.0)
    assert jnp.abs(new).max() > 1e-3
    np.testing.assert_allclose(mean(0.75), new / 4, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg16", {"width": 0}, "width=0: give a factor above 0"),
        ("xception", {"width": -1.0}, r"width=-1\.0: give a factor above 0"),
        ("resnet50", {"width": "wide"}, "width='wide': give a factor above 0"),
        ("mobilenet", {"momentum": 1.0}, r"momentum=1\.0: give a number in \[0, 1\)"),
        ("resnet50", {"blocks": (3, 0)}, "blocks must be 1 or more each"),
        ("squeezenet", {"bypass": "complexe"}, "did you mean complex"),
        ("alexnet", {"dropout": 1.0}, "dropout must be at least 0 and less than 1"),
        ("resnet50_v2", {}, "did you mean resnet50v2"),
    ],
)
def test_wrong_options_are_one_clear_line(name, options, message):
    with pytest.raises(InputError, match=message):
        models.make(name, classes=10, **options)
