"""Ranges of activations; layers whose inputs are whole numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import compress, data, models, problems
from optlab.compress.ranges import RANGES
from optlab.errors import InputError

DIGITS = data.load("digits")
NET = models.make("mlp", classes=10, hidden=(12, 8))
PROBLEM = problems.classification(NET, DIGITS)
IMAGES = jnp.asarray(DIGITS.prepare(DIGITS.train.inputs[:64]))


def net(bits=8):
    params, _ = PROBLEM.init(jax.random.key(0))
    return jax.tree.map(
        lambda w: compress.quantize(w, bits, axis=0) if w.ndim > 1 else w + 0.1, params
    )


def test_ranges_of_a_normal_sample_with_one_outlier():
    x = jax.random.normal(jax.random.key(0), (8, 5000)).at[3, 7].set(40.0)
    low, high = np.array([RANGES[name](x) for name in RANGES]).T
    found = dict(zip(RANGES, zip(low, high, strict=True), strict=True))
    assert found["min_max"][1] == 40
    assert found["percentile"][1] == pytest.approx(3.09, abs=0.15)  # 99.9% of N(0, 1)
    # The outlier's batch is the fourth of eight: 0.1 of 40, and four decays of 0.9.
    assert 3 < found["moving_average"][1] - 0.1 * 40 * 0.9**4 < 4.5
    assert found["least_squares"][1] <= 40


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_no_range_of_the_grid_has_less_error_than_least_squares(bits):
    x = jax.random.laplace(jax.random.key(1), (2, 2000))

    def error(range_):
        rounded = compress.dequantize(compress.quantize_within(x, range_, bits))
        return float(jnp.mean((x - rounded) ** 2))

    best = error(compress.least_squares(x, bits))
    assert all(best <= error(s * compress.min_max(x)) * (1 + 1e-6)
               for s in (0.1, 0.25, 0.5, 0.9, 1.0))  # fmt: skip
    if bits < 8:
        assert best < 0.7 * error(compress.min_max(x))


def test_whole_numbers_give_what_fake_quantization_gives(float64):
    params = net()
    seen = compress.observe(PROBLEM, compress.plain(params), {}, IMAGES[None])
    assert {name: x.shape for name, x in seen.items()} == {
        "Dense_0": (1, 64 * 64), "Dense_1": (1, 12 * 64), "Dense_2": (1, 8 * 64)
    }  # fmt: skip
    ranges = {name: compress.min_max(x) for name, x in seen.items()}
    for state in ({"ranges": ranges}, {}):  # offline, online
        whole, fake = (
            compress.quantized(PROBLEM, 8, integer=each).outputs(params, state, IMAGES)
            for each in (True, False)
        )
        np.testing.assert_allclose(whole, fake, rtol=1e-4, atol=1e-5)
    floats = PROBLEM.outputs(compress.plain(params), {}, IMAGES)
    assert not np.array_equal(whole, floats)
    # Half a step of 8 bits in each layer's inputs moves the outputs little.
    assert np.abs(whole - floats).max() < 0.05 * np.abs(floats).max()


def test_convolutions_take_rounded_inputs():
    """Images within one step of 8 bits are one image to the net."""
    module = models.make("cnn", 10, features=(4,), dense=5)
    problem = problems.classification(module, DIGITS)
    params, _ = problem.init(jax.random.key(0))
    ranges = {name: jnp.array([-9.0, 9.0]) for name in ("Dense_0", "Dense_1")}
    state = {"ranges": ranges | {"Conv_0": jnp.array([0.0, 1.0])}}
    coarse = compress.quantized(problem, 8)
    a, b = jnp.full((1, 8, 8, 1), 0.5001), jnp.full((1, 8, 8, 1), 0.5)
    one, two = (coarse.outputs(params, state, x) for x in (a, b))
    np.testing.assert_array_equal(one, two)
    float_one, float_two = (problem.outputs(params, {}, x) for x in (a, b))
    assert not np.array_equal(float_one, float_two)


def test_least_squares_on_normal_values():
    """On these, whose largest is 4.73; the full range has as much as its square."""
    x = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    error = lambda q: float(np.mean((x - compress.dequantize(q)) ** 2))  # noqa: E731
    full, least = error(compress.quantize(x, 4)), error(compress.mmse_quantize(x))
    assert full == pytest.approx((np.abs(x).max() / 7) ** 2 / 12, rel=0.01)
    assert least == pytest.approx(0.0120, abs=5e-5)  # of the best clip, 2.38
    assert least < full / 3


def test_two_tensors_have_a_third_of_the_error_of_the_full_range_and_less():
    x = jax.random.normal(jax.random.key(3), (100_000,))
    error = lambda y: float(jnp.mean((x - y) ** 2))  # noqa: E731
    full = error(compress.dequantize(compress.quantize(x, 4)))
    single = error(compress.dequantize(compress.mmse_quantize(x, 4)))
    both = error(compress.sum_of_two(compress.mmse_two_tensors(x, 4)))
    assert both < full / 3
    assert both < single / 10
    assert both == pytest.approx(8.3e-4, rel=0.1)  # measured with NumPy, by hand


def test_scales_of_two_tensors_are_the_least_squares_for_each_row(float64):
    x = jax.random.normal(jax.random.key(4), (3, 400)) * jnp.array([[1.0], [5.0], [0]])
    both = compress.mmse_two_tensors(x, 3, axis=0)
    rest = x - compress.sum_of_two(both)
    for part in both:  # what is left is orthogonal to both
        np.testing.assert_allclose(jnp.sum(rest * part.values, axis=1), 0, atol=1e-2)
    assert (compress.sum_of_two(both)[2] == 0).all()
    last = compress.mmse_two_tensors(x.T, 3, axis=-1)
    np.testing.assert_allclose(
        compress.sum_of_two(last).T, compress.sum_of_two(both), rtol=1e-6
    )
    read = compress.decode(compress.encode({"kernel": both}))
    np.testing.assert_array_equal(compress.plain(read)["kernel"],
                                  compress.sum_of_two(both))  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compress.mmse_quantize(IMAGES, 1), "bits=1: give a whole"),
        (lambda: compress.quantized(PROBLEM, 9), "bits=9: give a whole number"),
        (lambda: compress.least_squares(IMAGES[0].reshape(1, -1), 0), "bits=0"),
        (
            lambda: compress.quantized(PROBLEM).outputs(net(), {"ranges": {}}, IMAGES),
            "the layer Dense_0 has no range",
        ),
    ],
)
def test_a_mistake_says_what_would_be_right(call, message):
    with pytest.raises(InputError, match=message):
        call()
