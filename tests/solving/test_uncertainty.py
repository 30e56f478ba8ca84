"""Standard errors: textbook formulas, SciPy's, and NIST's certified ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import optlab
from optlab.errors import InputError
from optlab.solving import uncertainties, uncertainty
from optlab.testproblems import nist

X = np.linspace(0.0, 3.0, 25)
NOISE = np.random.default_rng(0).normal(size=X.size)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + 0.1 * NOISE


def residuals(p, x, y, sigma):
    return (p["height"] * jnp.exp(-p["rate"] * x) + p["floor"] - y) / sigma


@pytest.mark.parametrize("absolute", [False, True])
def test_agrees_with_curve_fit(absolute, float64):
    sigma = 0.1 + 0.05 * X
    args, start = (X, Y, sigma), {"height": 1.0, "rate": 1.0, "floor": 0.0}
    fit = optlab.solve(
        optlab.levenberg_marquardt(), start, residual_fn=residuals, args=args
    )
    found = jax.jit(
        lambda p: uncertainties(residuals, p, args=args, absolute_sigma=absolute)
    )(fit.params)

    def model(x, floor, height, rate):  # as ravel_pytree orders a dict
        return height * np.exp(-rate * x) + floor

    params, covariance = scipy.optimize.curve_fit(
        model, X, Y, p0=[0.0, 1.0, 1.0], sigma=sigma, absolute_sigma=absolute,
        xtol=1e-13, ftol=1e-13,
    )  # fmt: skip
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-4)
    np.testing.assert_allclose(
        list(found.standard_errors.values()), np.sqrt(np.diag(covariance)), rtol=1e-4
    )
    np.testing.assert_allclose(list(fit.params.values()), params, rtol=1e-6)
    assert found.converged
    assert (found.rank, found.degrees_of_freedom) == (3, 22)


def test_units_of_parameters_do_no_harm():
    t = jnp.linspace(0.0, 1.0, 10)
    data = 3 * t + 1 + 0.1 * jnp.cos(7 * t)
    units = jnp.array([1e-12, 1e9])

    def line(p, units):
        return p[0] / units[0] * t + p[1] / units[1] - data

    start = jnp.linalg.lstsq(jnp.stack([t, t**0], 1), data)[0]
    plain = uncertainties(line, start, args=(jnp.ones(2),))
    scaled = uncertainties(line, start * units, args=(units,))
    np.testing.assert_allclose(
        scaled.standard_errors / units, plain.standard_errors, rtol=1e-4
    )
    assert scaled.rank == 2
    assert scaled.converged


def test_parameters_that_the_data_do_not_determine_are_marked():
    t, y = jnp.arange(5.0), jnp.array([0.1, 0.9, 2.1, 2.9, 4.1])
    redundant = lambda p: (p["a"] + p["b"]) * t + p["c"] - y  # noqa: E731
    params = {"a": 0.4, "b": 0.6, "c": 0.02}
    found = uncertainties(redundant, params)
    assert found.rank == 2
    assert found.degrees_of_freedom == 3
    assert {k: bool(v) for k, v in found.determined.items()} == {
        "a": False,
        "b": False,
        "c": True,
    }
    assert np.isinf(found.standard_errors["a"])
    line = uncertainties(lambda p: p["a"] * t + p["c"] - y, {"a": 1.0, "c": 0.02})
    np.testing.assert_allclose(
        found.standard_errors["c"], line.standard_errors["c"], rtol=1e-4
    )


def test_a_fit_that_has_not_converged_is_marked_and_given():
    t = jnp.arange(6.0)
    y = 2 * t + jnp.array([0.1, -0.1, 0.2, -0.2, 0.1, -0.1])
    line = lambda p: p * t - y  # noqa: E731
    best = t @ y / (t @ t)
    assert uncertainties(line, best).converged
    far = uncertainties(line, best + 1.0)
    assert not far.converged
    assert np.isfinite(far.standard_errors)
    assert uncertainties(lambda p: p * t - 2 * t, 2.0).converged  # residuals of zero


@pytest.mark.parametrize("at_bound", [None, {"a": np.int8(0), "b": np.int8(1)}])
def test_a_parameter_without_effect_does_not_make_a_fit_converged(at_bound):
    """Its size is in a unit of its own, which says nothing of the residuals."""
    t = jnp.arange(6.0)
    far = {"a": 5.0, "b": 1e9}
    found = uncertainties(lambda p: p["a"] * t - 2 * t, far, at_bound=at_bound)
    assert not found.converged


def test_half_precision_is_computed_in_float32():
    t = jnp.arange(6.0, dtype=jnp.bfloat16)
    y = jnp.array([0.2, 0.9, 2.3, 2.8, 4.0, 5.0], jnp.bfloat16)
    line = lambda p, t, y: p * t - y  # noqa: E731
    short = uncertainties(line, jnp.bfloat16(1.0), args=(t, y))
    wide = uncertainties(line, 1.0, args=(t.astype(float), y.astype(float)))
    assert short.standard_errors.dtype == jnp.float32
    np.testing.assert_allclose(short.standard_errors, wide.standard_errors, rtol=1e-5)
    rounded = uncertainties(lambda p: (p * t - y).astype(jnp.bfloat16), 1.0)
    np.testing.assert_allclose(rounded.standard_errors, wide.standard_errors, rtol=0.01)


def test_as_many_parameters_as_data_leave_no_estimate_of_the_noise():
    found = uncertainties(lambda p: p - jnp.ones(2), jnp.ones(2))
    assert np.isnan(found.residual_deviation)
    assert np.all(np.isinf(found.standard_errors))
    known = uncertainties(lambda p: p - jnp.ones(2), jnp.ones(2), absolute_sigma=True)
    np.testing.assert_allclose(known.standard_errors, 1.0)


def test_masked_rows_and_complex_residuals_are_counted_right():
    t = jnp.arange(6.0)
    y = jnp.array([0.2, 0.9, 2.3, 2.8, 50.0, -7.0])
    weight = jnp.array([1.0, 1, 1, 1, 0, 0])
    masked = uncertainties(lambda p: weight * (p * t - y), 1.0)
    short = uncertainties(lambda p: p * t[:4] - y[:4], 1.0)
    np.testing.assert_allclose(masked.standard_errors, short.standard_errors, rtol=1e-6)
    both = uncertainties(lambda p: p * t[:2] - y[:2] + 1j * (p * t[2:4] - y[2:4]), 1.0)
    np.testing.assert_allclose(both.standard_errors, short.standard_errors, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e20, 1.0, 1e-24])
def test_squares_do_not_overflow(unit):
    t, y = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.5, 2.0])
    fit = lambda p: unit * (p * t - y)  # noqa: E731
    found = uncertainties(fit, 6.0 / 7.0)
    np.testing.assert_allclose(found.standard_errors, (27 / 784) ** 0.5, rtol=1e-5)
    assert found.converged
    assert not uncertainties(fit, 5.0).converged


def test_wrong_parameters_and_functions_are_one_line():
    with pytest.raises(InputError, match="uncertainties: residual_fn must be a func"):
        uncertainties(None, 1.0)
    with pytest.raises(InputError, match="is complex64; give floating-point"):
        uncertainties(lambda p: jnp.stack([p.real, p.imag]), 1 + 2j)


def test_wrong_residuals_are_one_line():
    with pytest.raises(
        InputError, match=r"^uncertainties: args must be a tuple, args=\(x,\)"
    ):
        uncertainties(lambda p: p, jnp.ones(2), args=[1])
    fit = optlab.solve(
        optlab.levenberg_marquardt(), jnp.ones(2), residual_fn=lambda p: p
    )
    with pytest.raises(InputError, match=r"is a Solution: give solution\.params"):
        uncertainties(lambda p: p, fit)


@pytest.mark.skipif(
    not nist.directory().is_dir(),
    reason=f"no NIST .dat files in {nist.directory()}; set OPTLAB_NIST_DIR",
)
def test_certified_standard_deviations(float64):
    """Every third problem; the table of ``experiments.solve`` has all of them."""
    short = {}
    for name in list(nist.MODELS)[1::3]:
        problem = nist.load(name, nist.directory())
        found = uncertainties(problem.residual_fn, problem.certified)
        digits = nist.log_relative_error(
            np.asarray(found.standard_errors), problem.certified_errors
        )
        if digits < 6:
            short[name] = digits
    assert not short


@pytest.mark.parametrize("absolute", [False, True])
def test_a_parameter_held_at_its_bound_counts_as_known(absolute, float64):
    """The others have the errors of a fit that never had it."""
    args, start = (X, Y, 0.1), {"height": 1.0, "rate": 1.0, "floor": 0.0}
    tx = optlab.levenberg_marquardt()
    bounds = optlab.Bounds(upper={"rate": 1.0})
    fit = optlab.solve(tx, start, residual_fn=residuals, args=args, bounds=bounds)
    assert fit.at_bound["rate"] == 1
    found = uncertainties(
        residuals, fit.params, args=args, absolute_sigma=absolute,
        at_bound=fit.at_bound,
    )  # fmt: skip

    def without(p, *args):
        return residuals({**p, "rate": 1.0}, *args)

    others = {key: value for key, value in fit.params.items() if key != "rate"}
    expected = uncertainties(without, others, args=args, absolute_sigma=absolute)
    for key in others:
        np.testing.assert_allclose(
            found.standard_errors[key], expected.standard_errors[key], rtol=1e-6
        )
    assert found.standard_errors["rate"] == 0
    assert (found.rank, found.degrees_of_freedom) == (2, X.size - 2)
    assert found.converged
    assert not uncertainties(residuals, fit.params, args=args).converged
    with pytest.raises(InputError, match="no tree like params"):
        uncertainties(residuals, fit.params, args=args, at_bound=1)


def test_deviations_have_the_digits_of_float64(float64):
    r, J = jnp.arange(1.0, 9.0), jnp.ones((8, 1))  # noqa: N806  seven degrees of freedom
    found = uncertainty.estimate(r, J, jnp.ones(1))
    s = float(jnp.sqrt(jnp.sum(r**2)) / jnp.sqrt(7.0))
    np.testing.assert_allclose(found.residual_deviation, s, rtol=1e-14)
