"""Depthwise, pointwise and separable convolutions, and pooling, beside XLA's own."""

import functools

import flax.linen as nn
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from jax import lax

from optlab import models
from optlab.errors import InputError
from optlab.models import convolution, depthwise
from optlab.models.depthwise import DepthwiseConv, SeparableConv
from optlab.models.pooling import average_pool, global_average_pool, max_pool


def normal(seed, *shape):
    draws = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(draws, jnp.float32)


sides = st.integers(1, 7)
pads = st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2)


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(
    image=st.tuples(st.integers(1, 2), sides, sides, st.integers(1, 3)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    multiplier=st.integers(1, 3),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.one_of(st.sampled_from(["SAME", "VALID"]), pads),
)
def test_shifted_products_convolve_by_channel(
    image, window, multiplier, strides, padding
):
    zeros = ((0, 0), (0, 0)) if isinstance(padding, str) else padding
    fits = all(
        i + sum(p) >= k for i, p, k in zip(image[1:3], zeros, window, strict=True)
    )
    assume(padding == "SAME" or fits)
    channels = image[-1]
    x, k = normal(0, *image), normal(1, *window, 1, channels * multiplier)
    about = {
        "window_strides": strides,
        "padding": padding,
        "feature_group_count": channels,
        "dimension_numbers": ("NHWC", "HWIO", "NHWC"),
    }
    ours = functools.partial(
        convolution.convolution, lhs_dilation=(1, 1), rhs_dilation=(1, 1), **about
    )

    @jax.jit
    def both(x, k):
        results = []
        for convolve in (ours, functools.partial(lax.conv_general_dilated, **about)):
            out, pull = jax.vjp(convolve, x, k)
            results.append((out, *pull(jnp.cos(out))))
        return results

    for found, expected in zip(*both(x, k), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_no_program_of_a_depthwise_step_has_xla_s_convolution():
    module, images = DepthwiseConv(multiplier=2), normal(0, 2, 6, 6, 3)
    variables = module.init(jax.random.key(0), images)
    step = jax.grad(lambda v: jnp.sum(module.apply(v, images) ** 2))
    lanes = jax.vmap(step)(jax.tree.map(lambda x: jnp.stack([x, 2 * x]), variables))
    single = jax.tree.leaves(step(variables))[1]
    np.testing.assert_allclose(jax.tree.leaves(lanes)[1][0], single, rtol=1e-4)
    program = jax.jit(jax.vmap(step)).lower(lanes).compile().as_text()
    assert " convolution(" not in program


@pytest.mark.parametrize("strides", [(1, 1), (2, 1)])
def test_a_separable_convolution_is_depthwise_then_pointwise(strides):
    images = normal(0, 2, 6, 5, 3)
    module = SeparableConv(features=4, multiplier=2, strides=strides, padding="VALID")
    variables = module.init(jax.random.key(0), images)
    first = variables["params"]["DepthwiseConv_0"]["depthwise"]
    last = variables["params"]["Conv_0"]
    assert jax.tree.map(jnp.shape, [first, last]) == [
        {"kernel": (3, 3, 1, 6)},
        {"kernel": (1, 1, 6, 4), "bias": (4,)},
    ]
    # One dense kernel that does the same: sum over q of k[i,j,c,q] p[c,q,o].
    by_channel = first["kernel"].reshape(3, 3, 3, 2)
    mixed = jnp.einsum("ijcq,cqo->ijco", by_channel, last["kernel"].reshape(3, 2, 4))
    expected = nn.Conv(4, (3, 3), strides=strides, padding="VALID").apply(
        {"params": {"kernel": mixed, "bias": last["bias"]}}, images
    )
    found = module.apply(variables, images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", depthwise.KINDS)
def test_the_weights_of_a_net_are_those_of_the_formulas(kind):
    """Two layers 3 -> 6 -> 12 on 8 x 8, and one map for each of 5 classes."""
    module = models.make("fcn", classes=5, features=(6, 12), convolution=kind)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    weights = sum(
        leaf.size
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
        if path[-1].key == "kernel"
    )
    layers = [(3, 6, 64), (6, 12, 16)]
    costs = [depthwise.cost(kind, (3, 3), *layer) for layer in layers]
    assert weights == sum(each.weights for each in costs) + 12 * 5
    assert [each.multiply_adds for each in costs] == [
        each.weights * pixels for each, (*_, pixels) in zip(costs, layers, strict=True)
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: DepthwiseConv(multiplier=0),
            "DepthwiseConv: multiplier must be 1 or more",
        ),
        (
            lambda: SeparableConv(4, multiplier=0),
            "SeparableConv: multiplier must be 1 or more",
        ),
        (lambda: depthwise.cost("depthwise", (3, 3), 4, 3, 9), "3 outputs are too few"),
        (lambda: depthwise.cost("depth", (3, 3), 4, 3, 9), "no convolution 'depth'"),
    ],
)
def test_a_mistake_says_what_would_be_right(make, message):
    with pytest.raises(InputError, match=message):
        make()


# Pooling


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(
    shape=st.tuples(
        st.integers(1, 2), st.integers(3, 8), st.integers(3, 8), st.integers(1, 3)
    ),
    window=st.integers(1, 3),
    stride=st.one_of(st.none(), st.integers(1, 4)),
)
def test_pooling_is_flax_s_with_the_remainder_cut_off(shape, window, stride):
    x, size = normal(0, *shape), (window, window)
    steps = (stride or window,) * 2

    @jax.jit
    def pool_and_gradient(x):
        results = []
        for pool in (
            lambda x: (max_pool(x, window, stride), average_pool(x, window, stride)),
            lambda x: (
                nn.max_pool(x, size, strides=steps),
                nn.avg_pool(x, size, strides=steps),
            ),
        ):
            out, pull = jax.vjp(pool, x)
            results.append((*out, *pull(jax.tree.map(jnp.cos, out))))
        return results

    for found, expected in zip(*pool_and_gradient(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_pixels_that_tie_share_a_gradient_and_a_mean_is_of_all():
    shared = jax.grad(lambda x: max_pool(x).sum())(jnp.ones((1, 2, 2, 1)))
    assert shared.ravel().tolist() == [0.25] * 4
    x = normal(0, 2, 3, 4, 5)
    expected = np.asarray(x).reshape(2, 12, 5).mean(1)
    np.testing.assert_allclose(global_average_pool(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [(0,), (2, 0), (5,)])
def test_a_window_that_does_not_fit(options):
    with pytest.raises(InputError, match="must be one or more, and the window fit"):
        max_pool(jnp.ones((1, 4, 4, 1)), *options)
