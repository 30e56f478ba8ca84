"""Whole filters: the smaller net computes what the net without them computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import compress, models
from optlab.errors import InputError
from optlab.models import cost

IMAGES = jax.random.normal(jax.random.key(0), (5, 16, 16, 2))
NETS = {
    "cnn": {"features": (6, 4), "dense": 7},
    "lenet5": {"features": (6, 4), "dense": 7},
    "mlp": {"hidden": (8, 5)},
}


def params_of(name, **options):
    """Random parameters: zero biases would hide a removed filter whose bias stays."""
    net = models.make(name, 3, **options)
    shapes = jax.eval_shape(net.init, jax.random.key(1), IMAGES)["params"]
    source = np.random.default_rng(0)
    draw = lambda x: source.normal(size=x.shape).astype(np.float32)  # noqa: E731
    return jax.tree.map(draw, shapes)


def widths(name, counts):
    *hidden, last = list(counts.values())[:-1]
    if name == "mlp":
        return {"hidden": (*hidden, last)}
    return {"features": tuple(hidden), "dense": last}


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_the_smaller_net_is_the_net_with_filters_set_to_zero(name, greedy):
    params = params_of(name, **NETS[name])
    keep = compress.keep_filters(params, 0.4, greedy=greedy)
    small = compress.shrink(params, keep)
    zeroed = {}
    for layer, each in params.items():
        kept = np.isin(np.arange(len(each["bias"])), keep.get(layer, []))
        kept |= layer not in keep
        axis = (slice(None), None) if each["kernel"].ndim == 2 else (...,)
        zeroed[layer] = {
            "kernel": each["kernel"] * kept[axis], "bias": each["bias"] * kept
        }  # fmt: skip
    counts = compress.filter_counts(small)
    net = models.make(name, 3, **widths(name, counts))
    shapes = jax.eval_shape(net.init, jax.random.key(0), IMAGES)["params"]
    assert jax.tree.map(jnp.shape, small) == jax.tree.map(lambda x: x.shape, shapes)
    np.testing.assert_allclose(
        jax.jit(net.apply)({"params": small}, IMAGES),
        jax.jit(models.make(name, 3, **NETS[name]).apply)({"params": zeroed}, IMAGES),
        rtol=1e-4, atol=1e-3,
    )  # fmt: skip


def test_multiply_adds_fall_by_the_filter_s_formula():
    """A filter saves n_in k^2 h w here and n_next k^2 h' w' in the next layer."""

    def work(counts):
        net = models.make("cnn", 3, features=counts, dense=5)
        params = jax.eval_shape(net.init, jax.random.key(0), IMAGES)
        return cost.multiply_adds(net.apply, params, IMAGES[:1])

    assert work((6, 4)) - work((5, 4)) == 2 * 9 * 16 * 16 + 4 * 9 * 8 * 8


def test_greedy_does_not_count_kernels_on_removed_maps():
    """The second layer's first filter is large on the removed map only."""
    first = {"kernel": jnp.array([[0.1], [2.0]]), "bias": jnp.zeros(2)}
    second = {"kernel": jnp.array([[9.0, 0.1], [1.0, 1.0]]), "bias": jnp.zeros(2)}
    last = {"kernel": jnp.ones((1, 2)), "bias": jnp.zeros(1)}
    params = {"Dense_0": first, "Dense_1": second, "Dense_2": last}
    kept = [
        compress.keep_filters(params, 0.5, greedy=greedy)["Dense_1"].tolist()
        for greedy in (False, True)
    ]
    assert kept == [[0], [1]]


def test_a_share_by_layer_leaves_the_others_whole_and_one_filter_stays():
    params = params_of("cnn", **NETS["cnn"])
    assert compress.filter_counts(
        compress.shrink(params, compress.keep_filters(params, {"Conv_1": 0.99}))
    ) == {"Conv_0": 6, "Conv_1": 1, "Dense_0": 7, "Dense_1": 3}


def test_layers_are_ordered_by_number_not_by_letter():
    layer = {"kernel": jnp.ones((3, 3)), "bias": jnp.ones(3)}
    params = {f"Dense_{i}": layer for i in range(11)}
    assert list(compress.filter_counts(params))[-1] == "Dense_10"


@pytest.mark.parametrize(
    ("change", "share", "message"),
    [
        ({}, 1.0, "share=1.0: give the share of filters to remove"),
        ({}, {"Dense_1": 0.5}, "no layer 'Dense_1' with filters to prune: Conv_0"),
        ({"Dense_last": {"kernel": 0, "bias": 0}}, 0.5, "this net holds Dense_last"),
        ({"BatchNorm_0": {"scale": jnp.ones(3)}}, 0.5, "this net holds BatchNorm_0"),
        (
            {"Conv_2": {"kernel": jnp.ones((3, 3, 5, 4)), "bias": jnp.ones(4)}},
            0.5,
            "Conv_2 takes 5 numbers, which are no maps of the 4 filters of Conv_1",
        ),
    ],
)
def test_a_mistake_says_what_would_be_right(change, share, message):
    params = params_of("cnn", **NETS["cnn"]) | change
    with pytest.raises(InputError, match=message):
        compress.keep_filters(params, share)
