"""Second-order methods in trouble, and their accuracy in float32.

One family of least-squares problems has a lane for each kind of trouble, so that a
method is compiled once for all of them. Every solver of a method counts as a way.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import training
from optlab.errors import InputError
from optlab.optim import METHODS, info, newton_cg
from optlab.optim.contract import extra_args
from optlab.optim.dense.trial import judge
from optlab.solving import Reason, Solution, Stop, solve

SECOND_ORDER = [n for n, f in METHODS.items() if info.find(f().init(jnp.ones(1)))]
LEAST_SQUARES = ("gauss_newton", "levenberg_marquardt")
WAYS = {
    **{name: (name, {}) for name in SECOND_ORDER},
    **{f"{n}-{s}": (n, {"solver": s}) for n in LEAST_SQUARES for s in ("qr", "cg")},
    "levenberg_marquardt-geodesic": ("levenberg_marquardt", {"geodesic": True}),
    "newton-saddle_free": ("newton", {"indefinite": "saddle_free"}),
}
# Half the time to compile, and there is little to run.
QUICK = {"xla_backend_optimization_level": 0}
EPS = np.finfo(np.float32).eps
# A method that only compares values sees half the digits of x that a gradient sees.
ACCURACY = dict.fromkeys(WAYS, 100 * EPS) | {"bold_driver": EPS**0.5}


class Lane(NamedTuple):
    """The residuals A x + (A x)^3 / 10 - y, or log x, near a start."""

    A: jax.Array  # [4, 2]
    y: jax.Array  # [4]
    start: jax.Array  # [2]
    logs: jax.Array  # bool: the residuals are log x
    reach: jax.Array  # farther from the start than this, they are NaN
    gradient: jax.Array  # where to stop


def lane(A, y, start, logs=False, reach=np.inf, gradient=1e-5):  # noqa: N803
    return Lane(*map(np.float32, (A, y, start)), logs, reach, gradient)


A = np.array([[1.0, 0.2], [-0.3, 1.0], [0.5, 0.5], [0.1, -0.8]])
B = np.array([[2.0, 0.0], [1.0, 0.5], [0.0, 1.0], [0.3, 0.3]])
Y = np.array([1.0, 0.5, -0.5, 0.3])
START = np.array([1.0, -1.0])
WELL_SCALED = {
    "one": lane(A, Y, START),
    "two": lane(B, -Y, START),
    "far": lane(A, Y, 10 * START),
    "singular": lane(np.outer(Y, [1.0, 1.0]), [1.0, 1.0, 0.0, 0.0], START),
    "off": lane(A, Y, START, gradient=-1.0),  # runs on at its minimum
}
LANES = WELL_SCALED | {
    "edge": lane(A, Y, [10.0, 0.3], logs=True),  # minimum at 1, nothing below 0
    "zero": lane(0 * A, 0 * Y, START),
    "nan": lane(A, np.nan * Y, START),
    "inf": lane(A, Y, [0.0, 1.0], logs=True),
    "nowhere": lane(A, Y, START, reach=0.0, gradient=-1.0),
    **{
        f"{scale:.0e}": lane(scale * A, scale * Y, START, gradient=0.0)
        for scale in (1e-30, 1e-18, 1e-9, 1e6, 1e10, 1e18, 1e30)
    },
}


def residuals(lane, x, xp=jnp):
    z = lane.A @ x
    logs = xp.concatenate([xp.log(xp.where(lane.logs, x, 1.0)), xp.zeros(2)])
    r = xp.where(lane.logs, logs, z + z**3 / 10 - lane.y)
    return xp.where(xp.all(xp.abs(x - lane.start) <= lane.reach), r, xp.nan)


def make(way):
    name, options = WAYS[way]
    return METHODS[name](**options)


@functools.cache
def ends(way) -> dict[str, Solution]:
    """Where each lane ends, in float32."""

    def run(lane):
        stop = Stop(gradient=lane.gradient, steps=1500)
        return solve(
            make(way), lane.start, residual_fn=lambda x: residuals(lane, x), stop=stop
        )

    stacked = jax.tree.map(lambda *lanes: np.stack(lanes), *LANES.values())
    lanes = jax.device_get(jax.jit(jax.vmap(run), compiler_options=QUICK)(stacked))
    assert lanes.params.dtype == np.float32
    return {
        name: jax.tree.map(lambda x, i=i: x[i], lanes) for i, name in enumerate(LANES)
    }


@pytest.mark.parametrize("way", WAYS)
def test_every_run_ends_accurately_or_with_its_reason(way):
    for name, lane in WELL_SCALED.items():
        end = ends(way)[name]
        x, exact = np.float64(end.params), lane._replace(A=np.float64(lane.A))
        J = (1 + 0.3 * (exact.A @ x) ** 2)[:, None] * exact.A  # noqa: N806
        g = J.T @ residuals(exact, x, np)
        assert np.max(np.abs(g)) < ACCURACY[way], name
        if name != "off" and ACCURACY[way] < lane.gradient:
            assert end.reason == Reason.GRADIENT, name

    for name, end in ends(way).items():
        assert np.all(np.isfinite(end.params)), name
        # A step that is not a number would end the run so, if not at its start.
        assert end.reason != Reason.NON_FINITE or end.steps == 0, name
    edge, zero, nowhere = (ends(way)[name] for name in ("edge", "zero", "nowhere"))
    np.testing.assert_allclose(edge.params, 1.0, atol=1e-4)
    assert edge.reason == Reason.GRADIENT
    assert (zero.reason, zero.steps) == (Reason.GRADIENT, 0)
    for name in ("nan", "inf"):
        end = ends(way)[name]
        assert (end.reason, end.steps) == (Reason.NON_FINITE, 0)
        np.testing.assert_array_equal(end.params, LANES[name].start)
    # STEP: the last trial was too short to change a digit of x.
    assert nowhere.reason in (Reason.STALLED, Reason.STEP)
    np.testing.assert_array_equal(nowhere.params, START)


def updates_at(way, x, residual_fn, steps=60):
    """Updates in a row that are not made, and the diagnostics of each."""

    def value_fn(x):
        return 0.5 * jnp.sum(residual_fn(x) ** 2)

    def update(state, _):
        f, g = jax.value_and_grad(value_fn)(x)
        everything = extra_args(x, f, g, value_fn=value_fn, residual_fn=residual_fn)
        updates, state = tx.update(g, state, x, **everything)
        return state, (updates, info.find(state)[0])

    tx = make(way)
    run = jax.jit(lambda state: jax.lax.scan(update, state, length=steps)[1])
    return jax.device_get(run(tx.init(x)))


TROUBLE = {
    "no gradient": (lambda x: jnp.sqrt(x**2), np.zeros(2, np.float32)),
    "infinite gradient": (lambda x: jnp.sqrt(x), np.zeros(2, np.float32)),
    "infinite value": (lambda x: 1 / x, np.zeros(2, np.float32)),
    "steep": (lambda x: jnp.tanh(1e30 * x**3), np.float32([1e-15, 0])),
    "no residuals": (lambda x: x[:0], np.ones(2, np.float32)),
}
DEAD_ENDS = ("no gradient", "infinite gradient", "infinite value")


@pytest.mark.parametrize("way", WAYS)
def test_an_update_in_a_custom_loop_is_never_nan(way):
    for trouble, (residual_fn, x) in TROUBLE.items():
        updates, diagnostics = updates_at(way, x, residual_fn)
        assert np.all(np.isfinite(updates)), trouble
        assert not np.any(updates[~diagnostics.accepted]), trouble
        if trouble in DEAD_ENDS:
            assert not np.any(updates), trouble
            assert diagnostics.stalled[-1], trouble


def test_a_trial_without_a_value_is_a_rejection():
    for decrease in (np.nan, np.inf, -np.inf):
        ratio, accepted = judge(jnp.array(2.0), jnp.float32(decrease), jnp.array(1.0))
        assert np.isnan(ratio)
        assert not accepted


def test_parameters_must_be_floating_point():
    params = {"w": jnp.ones(2), "n": jnp.arange(3)}
    for name in SECOND_ORDER:
        with pytest.raises(InputError, match=rf"{name}: parameter \['n'\] is int32"):
            METHODS[name]().init(params)


# Matrices n x n for as many residuals as parameters, and what forms none.
DENSE = {
    "newton": (4, "newton_cg()", newton_cg()),
    "bfgs": (3, "newton_cg()", newton_cg()),
    "dfp": (3, "newton_cg()", newton_cg()),
    **{n: (2, f"{n}(solver='cg')", METHODS[n](solver="cg")) for n in LEAST_SQUARES},
}


def test_dense_matrices_are_estimated_first_and_the_way_around_them_fits():
    def trace(tx):  # shapes only: nothing is allocated or compiled
        def update(x):
            everything = extra_args(x, x @ x, x, value_fn=lambda x: x @ x)
            everything["residual_fn"] = lambda x: 2**0.5 * x
            return tx.update(x, tx.init(x), x, **everything)

        return jax.eval_shape(update, jax.ShapeDtypeStruct((40_000,), jnp.float32))

    for way, (name, options) in WAYS.items():
        if name not in DENSE or options == {"solver": "cg"}:
            trace(make(way))
            continue
        count, instead, matrix_free = DENSE[name]
        with pytest.raises(InputError) as refusal:
            trace(make(way))
        line = str(refusal.value)
        assert line.startswith(f"{name} needs ")
        matrices = f"{count} of 40000 x 40000"
        if options == {"solver": "qr"}:
            matrices = "2 of 80000 x 40000, 40000 x 40000"
        assert f"GiB for dense float32 matrices ({matrices}), and" in line
        assert "the limit is 4 GiB" in line
        assert f"use {instead}, which forms no matrix" in line
        assert "\n" not in line
        trace(matrix_free)


def test_accumulation_is_refused_where_it_would_be_wrong():
    params = {"w": jnp.ones(2)}
    for name, method in METHODS.items():
        tx = optax.MultiSteps(method(), 2).gradient_transformation()
        if name not in SECOND_ORDER:
            training.initial_state(params, {}, tx)
            continue
        with pytest.raises(InputError, match="MultiSteps averages gradients only"):
            training.initial_state(params, {}, tx)
        with pytest.raises(InputError, match="MultiSteps averages gradients only"):
            solve(tx, params, residual_fn=lambda p: p["w"])
