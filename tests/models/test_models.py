"""Layers, time of a step in a loop, and models by name."""

import sys
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import models
from optlab.errors import InputError
from optlab.models.architectures import ARCHITECTURES
from optlab.models.layers import Dropout
from optlab.models.mlp import ACTIVATIONS


def normal(seed, *shape):
    draws = np.random.default_rng(seed).normal(size=shape)  # compiles nothing
    return jnp.asarray(draws, jnp.float32)


def variables_of(module, inputs):
    """Variables of the right shapes, in a tenth of the time that ``init`` compiles."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), inputs)
    return jax.tree.map(lambda leaf: 0.1 * normal(leaf.size, *leaf.shape), shapes)


def test_no_program_for_a_cpu_has_xla_s_convolution():
    """In a loop that is 17 to 80 times slower."""
    module = models.make("cnn", classes=10, features=(8, 16), dense=16)
    images = normal(1, 4, 16, 16, 3)
    variables = variables_of(module, images)
    step = jax.grad(lambda v: jnp.sum(module.apply(v, images) ** 2))
    program = jax.jit(step).lower(variables).compile().as_text()
    assert " dot(" in program
    assert " convolution(" not in program


#: Inputs and options of every model.
EXAMPLES = {
    "autoencoder": (normal(0, 3, 4, 2), {"hidden": (5,), "code": 2}),
    "cnn": (normal(0, 3, 16, 16, 2), {"features": (4,), "dense": 6, "dropout": 0.5}),
    "embedding_mlp": (
        jnp.arange(24).reshape(3, 8) % 7,
        {"vocabulary": 7, "dropout": 0.5},
    ),
    "fcn": (normal(0, 3, 8, 8, 2), {"dropout": 0.5}),
    "mlp": (normal(0, 3, 4), {"dropout": 0.5, "initial_scale": 2.0}),
}


@pytest.mark.parametrize("name", [n for n in models.MODELS if n not in ARCHITECTURES])
def test_every_model_maps_examples_to_outputs(name):
    inputs, options = EXAMPLES[name]
    module = models.make(name, classes=7, **options)
    variables = variables_of(module, inputs)
    outputs = [
        jax.jit(module.apply, static_argnames="train")(
            variables, inputs, train=train, rngs={"dropout": jax.random.key(1)}
        )
        for train in (False, True)
    ]
    assert [found.shape for found in outputs] == [(3, 7)] * 2
    assert jnp.array_equal(*outputs) == ("dropout" not in options)
    np.testing.assert_allclose(module.apply(variables, inputs), outputs[0], rtol=1e-4)
    single = module.apply(variables, inputs[:1])
    np.testing.assert_allclose(single, outputs[0][:1], rtol=1e-4, atol=1e-5)


def test_the_options_shape_the_model():
    module = models.make("cnn", classes=3, features=(5,), dense=4)
    variables = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 6, 6, 2)))
    shapes = jax.tree.map(lambda x: x.shape, variables["params"])
    assert shapes == {
        "Conv_0": {"kernel": (3, 3, 2, 5), "bias": (5,)},
        "Dense_0": {"kernel": (4, 3 * 3 * 5), "bias": (4,)},
        "Dense_1": {"kernel": (3, 4), "bias": (3,)},
    }


# Dropout


def test_dropout_is_flax_s_and_keeps_the_expectation():
    x, rngs = jnp.ones((100, 100)), {"dropout": jax.random.key(0)}
    found = Dropout(0.3).apply({}, x, rngs=rngs)
    expected = nn.Dropout(0.3, deterministic=False).apply({}, x, rngs=rngs)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(found.mean(), 1, atol=0.03)


@pytest.mark.parametrize("module", [Dropout(0.0), Dropout(0.5, deterministic=True)])
def test_dropout_draws_nothing_in_vain(module):
    x = normal(0, 3)
    assert module.apply({}, x) is x  # without a key


@pytest.mark.parametrize("name", ["cnn", "mlp", "embedding_mlp"])
def test_lanes_of_dropout_shares_are_the_single_shares(name):
    inputs, options = EXAMPLES[name]
    variables = variables_of(models.make(name, classes=7, **options), inputs)

    def outputs(share):
        module = models.make(name, classes=7, **options | {"dropout": share})
        rngs = {"dropout": jax.random.key(2)}
        return module.apply(variables, inputs, train=True, rngs=rngs)

    shares = [0.0, 0.3, 0.8]
    lanes = jax.jit(jax.vmap(outputs))(jnp.array(shares))
    for lane, share in zip(lanes, shares, strict=True):
        np.testing.assert_allclose(lane, outputs(share), rtol=1e-4, atol=1e-5)
    assert not jnp.allclose(lanes[1], lanes[2])


# Nets


def test_initial_kernels_scale_with_a_lane_of_scales():
    def params(scale):
        module = models.make("mlp", classes=3, hidden=(4,), initial_scale=scale)
        return module.init(jax.random.key(0), jnp.ones((1, 5)))["params"]

    once, lanes = params(1.0), jax.vmap(params)(jnp.array([0.0, 1.0, 3.0]))
    for layer in ("Dense_0", "Dense_1"):
        kernel = once[layer]["kernel"]
        assert jnp.abs(kernel).min() > 0
        expected = jnp.stack([0 * kernel, kernel, 3 * kernel])
        np.testing.assert_allclose(lanes[layer]["kernel"], expected, rtol=1e-6)


def test_an_embedding_is_averaged_over_the_words():
    words, options = jnp.array([[0, 2, 2, 3], [3, 1, 5, -1]]), {"vocabulary": 4}
    module = models.make("embedding_mlp", classes=3, hidden=(), width=3, **options)
    params = variables_of(module, words)["params"] | {
        "MLP_0": {"Dense_0": {"kernel": jnp.eye(3), "bias": jnp.zeros(3)}}
    }
    found, table = module.apply({"params": params}, words), params["embedding"].T
    expected = [(table[0] + 2 * table[2] + table[3]) / 4, (table[3] + table[1]) / 4]
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # 5 and -1 are no words


def test_a_linear_autoencoder_can_copy_what_its_code_holds():
    module = models.make("autoencoder", classes=4, hidden=(), code=4)
    x = normal(0, 5, 2, 2)
    variables = jax.tree.map(jnp.zeros_like, variables_of(module, x))
    for part in ("encoder", "decoder"):
        variables["params"][part]["Dense_0"]["kernel"] = jnp.eye(4)
    np.testing.assert_allclose(module.apply(variables, x), x.reshape(5, 4), rtol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_take_one_number_at_a_time(name):
    x, act = normal(0, 3, 4), ACTIVATIONS[name]
    one_by_one = [[float(act(entry)) for entry in row] for row in x]
    np.testing.assert_allclose(act(x), one_by_one, rtol=1e-6)


def test_the_activations_of_an_mlp_are_named():
    x = jnp.full((1, 1), -2.0)
    ones = None
    for options, expected in (
        ({"activation": "relu"}, 1.0),  # the bias of the last layer
        ({"activation": "tanh"}, 1 + np.tanh(-1)),
        ({"activation": "relu", "output_activation": "tanh"}, np.tanh(1)),
    ):
        module = models.make("mlp", classes=1, hidden=(1,), **options)
        ones = ones or jax.tree.map(jnp.ones_like, module.init(jax.random.key(0), x))
        np.testing.assert_allclose(module.apply(ones, x), expected, rtol=1e-6)


class Custom(nn.Module):
    features: int

    @nn.compact
    def __call__(self, inputs):
        return nn.Dense(self.features)(inputs)


def pair(classes, width=1):
    """A model of two functions."""
    return types.SimpleNamespace(
        init=lambda key, inputs: jnp.ones((inputs.shape[1], classes)) * width,
        apply=lambda params, inputs: inputs @ params,
    )


@pytest.fixture
def own(monkeypatch):
    module = types.ModuleType("own_models")
    module.Custom, module.pair, module.number = Custom, pair, lambda: 3
    module.Dropout = Dropout
    monkeypatch.setitem(sys.modules, "own_models", module)


def test_a_custom_model_has_init_and_apply(own):
    x = normal(0, 4, 3)
    for part, options in (("Custom", {"features": 2}), ("pair", {"width": 2})):
        model = models.make(f"own_models.{part}", classes=2, **options)
        assert model.apply(model.init(jax.random.key(0), x), x).shape == (4, 2)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cn", {}, "no model 'cn'; did you mean .*cnn"),
        ("resnet", {}, "no model 'resnet'; did you mean resnet50"),
        ("own_models.Custm", {}, "no function 'Custm'; did you mean Custom"),
        ("own_models.number", {}, "is a int; it needs functions init"),
        ("own_models.pair", {"wide": 1}, "no option 'wide'; did you mean width"),
        ("embedding_mlp", {}, "missing a required argument: 'vocabulary'"),
        ("cnn", {"feature": (1,)}, "no option 'feature'; did you mean features"),
        ("mlp", {"parent": 1}, "no option 'parent'; known: activation, dropout"),
        ("mlp", {"activation": "rely"}, "activation 'rely'; did you mean relu"),
        ("mlp", {"output_activation": "rely"}, "activation 'rely'; did you mean relu"),
        ("mlp", {"classes": 0}, "'mlp': classes=0: give one or more"),
        ("mlp", {"hidden": (4, 0)}, r"MLP: hidden=\(4, 0\): give an integer of one or"),
        ("mlp", {"hidden": 4}, "MLP: hidden=4: give an .* for each layer"),
        ("cnn", {"features": (0.5,)}, r"CNN: features=\(0.5,\): give an integer"),
        ("cnn", {"dense": -1}, "CNN: dense=-1: give an integer of one or more$"),
        ("cnn", {"dropout": 1}, r"CNN: dropout=1: give a share in \[0, 1\)"),
        ("mlp", {"dropout": "x"}, r"MLP: dropout='x': give a share in \[0, 1\)"),
        ("own_models.Dropout", {"share": -0.1}, "Dropout: share=-0.1: give a share"),
    ],
)
def test_a_mistake_says_what_would_be_right(own, name, options, message):
    with pytest.raises(InputError, match=message):
        models.make(name, **{"classes": 2} | options)


@pytest.mark.parametrize("options", [{"dense": 3}, {"features": (3,)}])
def test_a_traced_width_is_a_type_error(options):
    """So a sweep knows that each width needs a program of its own."""
    with pytest.raises(TypeError, match="cannot be traced"):
        jax.eval_shape(lambda sizes: models.make("cnn", 2, **sizes) and 1, options)


@pytest.mark.parametrize(
    ("name", "options", "inputs", "message"),
    [
        ("cnn", {"features": (1,) * 4}, (1, 15, 16, 1), r"\(15, 16, 1\) are no images"),
        ("cnn", {}, (2, 5), r"cnn: inputs of shape \(5,\) are no images .*features="),
        ("embedding_mlp", {"vocabulary": 3}, (2, 5), r"are float32 \(5,\) an example"),
    ],
)
def test_inputs_that_do_not_fit(name, options, inputs, message):
    module = models.make(name, classes=2, **options)
    with pytest.raises(InputError, match=message):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(inputs))
