"""Many starts in one program: each lane is the solve that it would be alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import machine, multistart, optim, parallel, sweep
from optlab.solving import Stop, solve
from optlab.sweep.multistart import Search
from optlab.testproblems.unconstrained import PROBLEMS

ONE = parallel.layout("jit", 1, [1], devices=jax.devices()[:1])
ROSENBROCK = {"residual_fn": PROBLEMS["rosenbrock"].residual_fn}
POINTS = sweep.grid({"damping": (1e-3, 1e-1)})
STOP = Stop(gradient=1e-3, steps=60)


def method(point):
    return optim.levenberg_marquardt(**point)


def starts():
    params = jax.random.normal(jax.random.key(0), (4, 2)) + jnp.array([-1.2, 1.0])
    return multistart.make_starts(params, POINTS)


def run(width, layout=ONE):
    search = Search(method, ROSENBROCK, history=5)
    return multistart.compile_program(search, starts(), layout, width).run(
        starts(), STOP
    )


@pytest.mark.parametrize("width", [1, 4, 8])
def test_a_lane_is_the_solve_it_would_be_alone(width):
    found = run(width)
    assert found.value.shape == (4, 2)
    assert found.history.evaluations.shape == (4, 2, 5)
    for i, start in enumerate(starts().params):
        for j, point in enumerate(POINTS):
            alone = solve(method(point), start, stop=STOP, history=5, **ROSENBROCK)
            # In float32 the last steps may differ by one where lanes are vmapped.
            assert abs(int(found.steps[i, j]) - int(alone.steps)) <= 2
            np.testing.assert_allclose(found.params[i, j], alone.params, rtol=1e-3)
            np.testing.assert_allclose(
                found.history.value[i, j], alone.history.value, rtol=1e-3, atol=1e-6
            )


@pytest.mark.parametrize("width", [1, 100])
def test_eight_devices_agree_with_one(width):
    layout = parallel.layout("jit", 8, [1])
    assert layout.mesh.devices.shape == (8, 1)
    found = run(width, layout)
    np.testing.assert_allclose(found.params, run(1).params, rtol=1e-3)


def test_the_stop_is_traced_and_compiles_nothing():
    program = multistart.compile_program(Search(method, ROSENBROCK), starts(), ONE, 1)
    for steps in (0, 3):
        assert int(program.run(starts(), Stop(steps=steps)).steps.max()) == steps


def test_the_faster_width_is_kept(monkeypatch):
    for narrow, wide in ((1.0, 2.0), (2.0, 1.0)):

        def timed(widths, trial, seconds=(narrow, wide)):
            for width in widths:
                trial(width)()
            return dict(zip(widths, seconds, strict=True))

        monkeypatch.setattr(multistart, "timed", timed)
        search = Search(method, ROSENBROCK)
        program, seconds = multistart.compile_fastest(search, starts(), ONE)
        assert list(seconds) == [1, 8]
        assert program.width == (1 if narrow < wide else 8)


def test_lanes_that_memory_does_not_hold_run_in_chunks(monkeypatch):
    search = Search(method, ROSENBROCK)
    lane = multistart.compile_program(search, starts(), ONE, 1).temporary_bytes
    memory = 5 * lane / multistart.MEMORY_SHARE
    monkeypatch.setattr(machine, "memory_bytes", lambda device: memory)
    _, seconds = multistart.compile_fastest(search, starts(), ONE)
    assert list(seconds) == [1, 4]


def test_evaluations_of_the_history_add_up_to_those_of_the_solution():
    found = run(1)
    for i in range(4):
        counts = found.history.evaluations[i, 0]
        assert counts[0] == 1
        assert (np.diff(counts[: int(found.steps[i, 0])]) > 0).all()
        assert counts.max() < found.evaluations[i, 0]
