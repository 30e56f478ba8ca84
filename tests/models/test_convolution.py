"""Convolutions made of matrix products, beside XLA's own."""

import functools

import flax.linen as nn
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from jax import lax

from optlab.models import convolution
from optlab.models.layers import Conv

OURS = functools.partial(
    convolution.convolution,
    lhs_dilation=(1, 1),
    rhs_dilation=(1, 1),
    feature_group_count=1,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
)
XLA = functools.partial(
    lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC")
)
ONES = ((1, 1), (1, 1))


def padded(images, padding=ONES):
    return jnp.pad(images, ((0, 0), *padding, (0, 0)))


def patches(images, kernel):
    return convolution.patch_convolution(padded(images), kernel, (1, 1))


def winograd(images, kernel, padding=ONES):
    return convolution.winograd_convolution(padded(images, padding), kernel)


def xla(images, kernel):
    return XLA(images, kernel, (1, 1), ONES)


def normal(seed, *shape):
    draws = np.random.default_rng(seed).normal(size=shape)  # compiles nothing
    return jnp.asarray(draws, jnp.float32)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


sides = st.integers(1, 7)
channels = st.integers(1, 3)
pads = st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2)


@settings(max_examples=16, deadline=None, derandomize=True, database=None)
@given(
    image=st.tuples(st.integers(1, 3), sides, sides, channels),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3), channels),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.one_of(st.sampled_from(["SAME", "VALID"]), pads),
)
def test_patches_convolve(image, kernel, strides, padding):
    zeros = ((0, 0), (0, 0)) if isinstance(padding, str) else padding
    fits = all(
        i + sum(p) >= k for i, p, k in zip(image[1:], zeros, kernel, strict=False)
    )
    assume(padding == "SAME" or fits)
    kh, kw, out = kernel
    x, k = normal(0, *image), normal(1, kh, kw, image[-1], out)

    @jax.jit  # one compile for both
    def both(x, k):
        return [convolve(x, k, strides, padding) for convolve in (OURS, XLA)]

    found, expected = both(x, k)
    assert found.shape == expected.shape
    assert_close(found, expected)


@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(
    image=st.tuples(st.integers(1, 3), sides, sides, channels),
    padding=pads,
    out=channels,
)
def test_winograd_convolves(image, padding, out):
    sides = np.add(image[1:3], np.sum(padding, axis=1))
    assume(all(side % 2 == 0 and side >= 4 for side in sides))
    x, k = normal(0, *image), normal(1, 3, 3, image[-1], out)

    @jax.jit
    def both(x, k):
        return winograd(x, k, padding), XLA(x, k, (1, 1), padding)

    found, expected = both(x, k)
    assert found.shape == expected.shape
    assert_close(found, expected)


def test_winograd_s_outputs_round_less_than_those_of_patches():
    x, k = normal(0, 4, 16, 16, 64), normal(1, 3, 3, 64, 8)
    with jax.enable_x64(True):
        doubles = np.float64(x), np.float64(k)
        exact, in_double = np.asarray(xla(*doubles)), np.asarray(winograd(*doubles))
    np.testing.assert_allclose(in_double, exact, rtol=0, atol=1e-12)
    errors = [
        np.sqrt(np.mean((np.asarray(form(x, k)) - exact) ** 2))
        for form in (winograd, patches)
    ]
    assert errors[0] < errors[1]


@pytest.mark.parametrize("argument", [0, 1])
def test_winograd_s_gradients_round_less_than_twice_as_much(argument):
    x, k = jnp.maximum(normal(0, 4, 16, 16, 32), 0), normal(1, 3, 3, 32, 16) / 17
    seen = np.asarray(normal(2, 4, 16, 16, 16))

    def gradient(form, *arguments):
        loss = lambda *xk: jnp.sum(seen.astype(xk[0].dtype) * form(*xk))  # noqa: E731
        return np.asarray(jax.grad(loss, argument)(*arguments))

    with jax.enable_x64(True):
        exact = gradient(xla, np.float64(x), np.float64(k))
    errors = [
        np.sqrt(np.mean((gradient(form, x, k) - exact) ** 2))
        for form in (winograd, patches)
    ]
    assert errors[0] < 2 * errors[1]


@pytest.mark.parametrize("form", [patches, winograd])
@pytest.mark.parametrize("take", [jax.grad, jax.jacfwd])
def test_derivatives_of_lanes_are_those_of_a_convolution(form, take):
    x, kernels = normal(0, 2, 6, 4, 2), normal(1, 4, 3, 3, 2, 3)

    def derivatives(convolve):
        return take(lambda x, k: jnp.sum(jnp.sin(convolve(x, k))), argnums=(0, 1))

    found = jax.jit(jax.vmap(derivatives(form), (None, 0)))(x, kernels)
    expected = [jax.jit(derivatives(xla))(x, kernel) for kernel in kernels]
    for lanes, singles in zip(found, zip(*expected, strict=True), strict=True):
        assert_close(lanes, jnp.stack(singles))


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({}, True),
        ({"padding": "VALID"}, True),
        ({"padding": ((1, 0), (2, 1))}, False),  # to an odd side
        ({"channels": 31}, False),
        ({"strides": (2, 1)}, False),
        ({"window": (3, 2)}, False),
        ({"dtype": jnp.bfloat16}, False),
    ],
    ids=str,
)
def test_winograd_is_for_deep_images_of_even_sides(changes, chosen, monkeypatch):
    calls = []

    def watched(*arguments, **options):
        calls.append(arguments)
        return original(*arguments, **options)

    original = convolution.winograd_convolution
    monkeypatch.setattr(convolution, "winograd_convolution", watched)
    deep, dtype = changes.get("channels", 32), changes.get("dtype", jnp.float32)
    x = normal(0, 2, 6, 8, deep).astype(dtype)
    k = normal(1, *changes.get("window", (3, 3)), deep, 4).astype(dtype)
    how = changes.get("strides", (1, 1)), changes.get("padding", "SAME")
    found = OURS(x, k, *how)
    assert bool(calls) is chosen
    expected = XLA(np.float32(x), np.float32(k), *how)
    tolerance = {"rtol": 0.02, "atol": 0.2} if dtype == jnp.bfloat16 else {"atol": 1e-3}
    np.testing.assert_allclose(np.float32(found), expected, **tolerance)


def test_the_layer_has_a_hessian():
    layer, x = Conv(2, (2, 2)), normal(0, 1, 3, 3, 1)
    params = layer.init(jax.random.key(0), x)["params"]
    reference = nn.Conv(2, (2, 2))

    def energy(layer):
        return lambda k: jnp.sum(
            jnp.sin(layer.apply({"params": {**params, "kernel": k}}, x))
        )

    kernel = params["kernel"]
    found = jax.jit(jax.hessian(energy(layer)))(kernel)
    expected = jax.jit(jax.hessian(energy(reference)))(kernel)
    assert_close(found, expected)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": (2, 2)},
        {"padding": "VALID"},
        {"padding": 2},
        {"padding": "CIRCULAR"},
        {"use_bias": False},
        {"feature_group_count": 2},  # the last three stay XLA's
        {"kernel_dilation": (2, 2)},
        {"input_dilation": (2, 1), "padding": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("deep", [4, 32])
def test_the_layer_is_flax_s(options, deep):
    x = normal(0, 2, 8, 6, deep)
    ours, reference = Conv(6, (3, 3), **options), nn.Conv(6, (3, 3), **options)
    variables = ours.init(jax.random.key(0), x)
    assert_close(
        jax.jit(ours.apply)(variables, x), jax.jit(reference.apply)(variables, x)
    )


@pytest.mark.parametrize("deep", [1, 32])
def test_on_a_cpu_the_layer_is_matrix_products(deep):
    x = normal(0, 2, 6, 6, deep)
    layer = Conv(4, (3, 3))
    variables = layer.init(jax.random.key(0), x)
    program = jax.jit(layer.apply).lower(variables, x).compile().as_text()
    assert " convolution(" not in program
    dilated = Conv(4, (3, 3), kernel_dilation=2)
    program = jax.jit(dilated.apply).lower(variables, x).compile().as_text()
    assert " convolution(" in program
