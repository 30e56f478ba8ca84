"""Shift, scale, PReLU, batch normalization, initializers, and the nets with them."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import optlab
from optlab import data, models, problems
from optlab.errors import InputError
from optlab.models import initializers, normalization
from optlab.models.shift_scale import CONSTANTS, PER, PReLU, Scale, Shift


def normal(seed, *shape):
    draws = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(draws, jnp.float32)


def split(n, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    images = random.normal(2.0, 0.5, (n, 4, 4, 2)) + labels[:, None, None, None]
    return images.astype(np.float32), labels


SMALL = data.from_arrays(
    "small", classes=3, train=split(24), validation=split(6, 1), test=split(6, 2)
)
NETS = [("fcn", {"features": (4, 4)}), ("mlp", {"hidden": (5,)})]


def problem_of(name, **options):
    return problems.classification(models.make(name, classes=3, **options), SMALL)


def constants_of(tree):
    return {
        jax.tree_util.keystr(path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if path[-1].key in CONSTANTS
    }


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize(("example_axis", "shape"), [(0, (5, 2, 4, 3)), (1, (6, 5))])
def test_constants_broadcast_over_all_but_their_axes(per, example_axis, shape):
    sizes = [n for axis, n in enumerate(shape) if axis != example_axis]
    wanted = {"element": tuple(sizes), "channel": (sizes[-1],), "layer": ()}[per]
    x, value = normal(0, *shape), normal(1, *wanted)
    in_front = np.moveaxis(np.asarray(x), example_axis, 0)
    for layer, name, formula in (
        (Shift, "shift", lambda x, c: x + c),
        (Scale, "scale", lambda x, c: x * c),
        (PReLU, "negative_slope", lambda x, c: np.where(x > 0, x, c * x)),
    ):
        module = layer(per, example_axis)
        start = module.init(jax.random.key(0), x)["params"][name]
        assert start.shape == wanted
        expected = {"shift": 0, "scale": 1, "negative_slope": 0.25}[name]
        np.testing.assert_array_equal(start, np.full(wanted, expected))
        found = module.apply({"params": {name: value}}, x)
        expected = np.moveaxis(formula(in_front, np.asarray(value)), 0, example_axis)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("name", "options"), NETS)
def test_every_variant_starts_from_the_same_net(name, options):
    """Shift 0 and scale 1 change nothing, and draw no random number."""
    key, inputs = jax.random.key(3), SMALL.train.inputs[:2]
    base = problem_of(name, **options)
    params, _ = base.init(key)
    expected = base.outputs(params, {}, inputs)
    places = len(jax.tree.leaves(options)) + 1  # the input and each activation
    for variant, pair in normalization.SHIFT_SCALE.items():
        problem = problem_of(name, normalization=variant, **options)
        mine, state = problem.init(key)
        assert len(constants_of(mine)) == places * sum(
            each is not None for each in pair
        )
        shared = {layer: mine[layer] for layer in params}
        jax.tree.map(np.testing.assert_array_equal, shared, params)
        np.testing.assert_allclose(
            problem.outputs(mine, state, inputs), expected, rtol=1e-5, atol=1e-6
        )
        outputs, _ = problem.train_outputs(mine, state, inputs, key)
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_a_shift_comes_before_its_scale():
    problem = problem_of("mlp", hidden=(), normalization="shift_scale_layer")
    params, _ = problem.init(jax.random.key(0))
    params |= {
        "Shift_0": {"shift": jnp.float32(2)},
        "Scale_0": {"scale": jnp.float32(3)},
    }
    inputs = SMALL.train.inputs[:2]
    flat = 3 * (inputs.reshape(2, -1) + 2)
    expected = flat @ params["Dense_0"]["kernel"].T
    np.testing.assert_allclose(problem.outputs(params, {}, inputs), expected, rtol=1e-5)


# Batch normalization


@pytest.mark.parametrize(("name", "options"), NETS)
def test_batch_normalization_by_its_formula_in_both_modes(name, options):
    problem = problem_of(name, normalization="batch", **options)
    params, state = problem.init(jax.random.key(0))
    inputs = SMALL.train.inputs
    _, after = problem.train_outputs(params, state, inputs, jax.random.key(1))
    found = after["batch_stats"]["BatchNorm_0"]  # the one after the input
    if name == "mlp":
        rows = inputs.reshape(len(inputs), -1)
    else:
        rows = inputs.reshape(-1, inputs.shape[-1])
    np.testing.assert_allclose(found["mean"], 0.1 * rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["var"], 0.9 + 0.1 * rows.var(0), rtol=1e-5)
    # Evaluation looks at no other example of the batch, training does.
    alone = [problem.outputs(params, after, inputs[i : i + 1]) for i in range(3)]
    together = problem.outputs(params, after, inputs)[:3]
    np.testing.assert_allclose(jnp.concatenate(alone), together, rtol=1e-4, atol=1e-5)
    key = jax.random.key(1)
    few, _ = problem.train_outputs(params, after, inputs[:6], key)
    all_of_them, _ = problem.train_outputs(params, after, inputs, key)
    assert not np.allclose(few[:3], all_of_them[:3], rtol=1e-2)


def test_batch_normalization_in_lanes_is_that_of_single_runs():
    problem = problem_of("mlp", hidden=(4,), normalization="batch")

    def run(rate):
        net = optlab.train(problem, optax.sgd(rate), epochs=2, batch_size=8)
        return net.params, net.model_state, net.evaluate("test")

    rates = jnp.array([0.01, 0.1])
    lanes = jax.vmap(run)(rates)
    assert not np.allclose(*lanes[1]["batch_stats"]["BatchNorm_1"]["mean"], rtol=1e-3)
    for i, rate in enumerate(rates):
        jax.tree.map(
            lambda many, one, i=i: np.testing.assert_allclose(
                many[i], one, rtol=1e-3, atol=1e-4
            ),
            lanes,
            run(rate),
        )


def test_batch_normalization_over_devices_takes_the_whole_batch():
    problem = problem_of("fcn", features=(4,), normalization="batch")
    params, state = problem.init(jax.random.key(0))
    inputs, key = SMALL.train.inputs, jax.random.key(1)
    mesh = jax.make_mesh((4,), ("data",), devices=jax.devices()[:4])
    cut = jax.device_put(inputs, NamedSharding(mesh, PartitionSpec("data")))
    step = jax.jit(problem.train_outputs)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        step(params, state, cut, key),
        step(params, state, jnp.asarray(inputs), key),
    )


def test_a_batch_of_one_in_training_is_a_warning_that_says_why():
    problem = problem_of("mlp", normalization="batch")
    params, state = problem.init(jax.random.key(0))
    one = SMALL.train.inputs[:1]
    with pytest.warns(UserWarning, match="mean is the example itself"):
        problem.train_outputs(params, state, one, jax.random.key(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem.outputs(params, state, one)
        problem.train_outputs(params, state, SMALL.train.inputs[:2], jax.random.key(1))


# Initial weights


@pytest.mark.parametrize(
    ("name", "variance"),
    [("lecun", 1 / 300), ("he", 2 / 300), ("glorot", 2 / 500)],
)
@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_initial_variances_are_the_published_ones(name, variance, draw):
    init = initializers.make(f"{name}_{draw}", in_axis=-1, out_axis=-2)
    weights = init(jax.random.key(0), (200, 300))
    np.testing.assert_allclose(weights.var(), variance, rtol=0.03)
    np.testing.assert_allclose(weights.mean(), 0, atol=3e-4)


@pytest.mark.parametrize("name", ["mlp", "fcn"])
def test_a_net_takes_its_initializer_and_a_lane_of_scales(name):
    def kernels(scale, initializer="ones"):
        module = models.make(
            name, classes=3, initializer=initializer, initial_scale=scale
        )
        params = module.init(jax.random.key(0), SMALL.train.inputs[:1])["params"]
        return [layer["kernel"] for layer in jax.tree.leaves(
            params, is_leaf=lambda node: "kernel" in node
        )]  # fmt: skip

    for kernel in jax.vmap(kernels)(jnp.array([0.5, 2.0])):
        np.testing.assert_array_equal(kernel[0], np.full(kernel.shape[1:], 0.5))
        np.testing.assert_array_equal(kernel[1], np.full(kernel.shape[1:], 2.0))
    drawn = kernels(1.0, "he_normal")[0]
    np.testing.assert_array_equal(kernels(3.0, "he_normal")[0], 3 * drawn)


def test_a_prelu_net_is_a_leaky_one_whose_slopes_learn():
    x = normal(2, 4, 6)
    prelu = models.make("mlp", classes=2, activation="prelu")
    variables = prelu.init(jax.random.key(0), x)
    assert len(constants_of(variables)) == 2
    weights = {k: v for k, v in variables["params"].items() if "Dense" in k}
    zero = jax.tree.map(jnp.zeros_like, variables["params"]) | weights
    relu = models.make("mlp", classes=2).apply({"params": weights}, x)
    np.testing.assert_allclose(prelu.apply({"params": zero}, x), relu, rtol=1e-6)
    slopes = jax.grad(lambda v: jnp.sum(prelu.apply(v, x) ** 2))(variables)
    assert all(jnp.abs(slope) > 0 for slope in constants_of(slopes).values())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "fcn",
            {"normalization": "bach"},
            "no normalization 'bach'; did you mean ba",
        ),
        (
            "mlp",
            {"normalization": "scale"},
            "how many constants .* scale_channel or",
        ),
        ("mlp", {"initializer": "he"}, "no initializer 'he'; "),
        ("fcn", {"initializer": "he_norm"}, "did you mean he_normal"),
        ("fcn", {"convolution": "seperable"}, "did you mean separable"),
        ("fcn", {"features": (4, 0)}, "FCN: features must be 1 or more each"),
    ],
)
def test_a_mistake_says_what_would_be_right(name, options, message):
    with pytest.raises(InputError, match=message):
        models.make(name, classes=2, **options)


@pytest.mark.parametrize("layer", [Shift, Scale, PReLU])
def test_constants_without_an_axis(layer):
    with pytest.raises(InputError, match="per='': known: channel, element, layer"):
        layer()


def test_images_too_small_for_the_halvings():
    module = models.make("fcn", classes=2, features=(4, 4, 4))
    with pytest.raises(InputError, match=r"fcn: inputs of shape \(4, 4, 2\) are no"):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 4, 4, 2)))
