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
    "lenet5": (normal(0, 3, 17, 16, 2), {"features": (3, 4), "dense": 6}),
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


def test_lenet5_has_caffe_s_parameters_and_one_relu():
    module = models.make("lenet5", classes=10)
    images = normal(1, 2, 28, 28, 1)
    params = variables_of(module, images)["params"]
    sizes = [params[name]["kernel"].size for name in ("Conv_0", "Conv_1", "Dense_0")]
    assert sizes == [500, 25_000, 400_000]  # Deep compression, table 3
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 431_080
    # Without biases both convolutions, pooling and the relu are positively homogeneous.
    params = jax.tree.map(lambda x: x if x.ndim > 1 else 0 * x, params)
    once, twice = (module.apply({"params": params}, a * images) for a in (1.0, 2.0))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-4, atol=1e-4)
    # Pooling a convolution without relu lets negative maxima through.
    below = jax.tree.map(jnp.zeros_like, params) | {
        "Conv_0": {"kernel": params["Conv_0"]["kernel"], "bias": jnp.full(20, -1e3)},
        "Conv_1": {"kernel": -jnp.ones((5, 5, 20, 50)), "bias": jnp.zeros(50)},
        "Dense_0": {"kernel": jnp.ones((500, 800)), "bias": jnp.zeros(500)},
        "Dense_1": {"kernel": jnp.ones((10, 500)), "bias": jnp.zeros(10)},
    }
    assert (module.apply({"params": below}, images) > 0).all()


@pytest.mark.parametrize("shape", [(2, 15, 28, 1), (2, 784)])
def test_lenet5_refuses_what_it_cannot_halve(shape):
    with pytest.raises(InputError, match="of 16 x 16 pixels or more"):
        models.make("lenet5", classes=10).init(jax.random.key(0), jnp.zeros(shape))


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
    module.Custom, module.pair = Custom, pair
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
        ("own_models.pair", {"wide": 1}, "no option 'wide'; did you mean width"),
        ("embedding_mlp", {}, "missing a required argument: 'vocabulary'"),
        ("cnn", {"feature": (1,)}, "no option 'feature'; did you mean features"),
        ("mlp", {"parent": 1}, "no option 'parent'; known: activation, dropout"),
        ("mlp", {"activation": "rely"}, "activation 'rely'; did you mean relu"),
        ("mlp", {"output_activation": "rely"}, "activation 'rely'; did you mean relu"),
        ("mlp", {"classes": 0}, "'mlp': classes=0: give one or more"),
        (
            "mlp",
            {"hidden": (4, 0)},
            r"MLP: hidden must be 1 or more each, not \(4, 0\)",
        ),
        (
            "mlp",
            {"hidden": 4},
            "MLP: hidden must be a tuple of whole numbers, .* not 4",
        ),
        (
            "cnn",
            {"features": (0.5,)},
            r"CNN: features must be a tuple of whole .* not \(0.5,\)",
        ),
        ("cnn", {"dense": -1}, "CNN: dense must be 1 or more, not -1$"),
        ("cnn", {"features": (True,)}, "features must be a tuple of whole numbers"),
        ("mlp", {"initial_scale": "x"}, "initial_scale must be a number, not 'x'"),
        ("mlp", {"initial_scale": 1j}, "initial_scale must be a number, not 1j"),
        ("mlp", {"activation": 3}, "the name of the activation must be a text"),
        ("mlp", {"initializer": "math.sqrt"}, "no initializer 'math.sqrt'; known: "),
        ("mlp", {"normalization": "math.sqrt"}, "no normalization 'math.sqrt'; know"),
        ("fcn", {"convolution": "math.sqrt"}, "no convolution 'math.sqrt'; known: "),
        ("squeezenet", {"bypass": "math.sqrt"}, "no bypass 'math.sqrt'; known: "),
        ("cnn", {"dropout": 1}, "CNN: dropout must be at least 0 and less than 1"),
        ("mlp", {"dropout": "x"}, "MLP: dropout must be a number, not 'x'"),
        (
            "own_models.Dropout",
            {"share": -0.1},
            "Dropout: share must be at least 0 and less than 1",
        ),
    ],
)
def test_a_mistake_says_what_would_be_right(own, name, options, message):
    with pytest.raises(InputError, match=message):
        models.make(name, **{"classes": 2} | options)


@pytest.mark.parametrize("options", [{"dense": 3}, {"features": (3,)}])
def test_a_traced_width_is_a_type_error(options):
    """So a sweep knows that each width needs a program of its own."""
    with pytest.raises(TypeError, match="not traced"):
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


def test_a_residual_layer_of_zeros_passes_on_what_enters_it():
    inputs = jnp.linspace(-1, 1, 12).reshape(3, 4)
    net = {"hidden": (4, 4), "initializer": "zeros", "activation": "tanh"}
    made = models.make("mlp", classes=2, residual=True, **net)
    variables = made.init(jax.random.key(0), inputs)
    kernel = jnp.eye(2, 4)
    variables["params"]["Dense_2"]["kernel"] = kernel
    np.testing.assert_allclose(made.apply(variables, inputs), inputs @ kernel.T)
    plain = models.make("mlp", classes=2, **net)
    assert not plain.apply(variables, inputs).any()
