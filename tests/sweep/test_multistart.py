"""Many starts in one program: each lane is the solve that it would be alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import machine, optim, sweep
from optlab.solving import Stop, solve
from optlab.sweep import multistart, parallel, width
from optlab.sweep.multistart import Search
from optlab.testproblems.unconstrained import PROBLEMS

ONE = parallel.layout("jit", 8, 1, devices=jax.devices()[:1])
EIGHT = parallel.layout("jit", 8, 1)
ROSENBROCK = {"residual_fn": PROBLEMS["rosenbrock"].residual_fn}
POINTS = sweep.grid({"damping": (1e-3, 1e-1)})
STOP = Stop(gradient=1e-3, steps=60)


def method(point):
    return optim.levenberg_marquardt(**point)


SEARCH = Search(method, ROSENBROCK, history=5)


def starts():
    params = jax.random.normal(jax.random.key(0), (4, 2)) + jnp.array([-1.2, 1.0])
    return multistart.make_starts(params, POINTS)


@functools.cache
def program(width, layout=ONE):
    return multistart.compile_program(SEARCH, starts(), layout, width)


@functools.cache
def alone():
    """Every start and point, one after another, by one program."""

    @jax.jit
    def run(start, point):
        return solve(method(point), start, stop=STOP, history=5, **ROSENBROCK)

    return [[run(start, point) for point in POINTS] for start in starts().params]


@pytest.mark.parametrize(
    ("width", "layout"), [(1, ONE), (3, ONE), (8, ONE), (1, EIGHT), (100, EIGHT)]
)
def test_a_lane_is_the_solve_it_would_be_alone(width, layout):
    """In float32 the last step may be one more or less where lanes are vmapped."""
    found = program(width, layout).run(starts(), STOP)
    assert found.value.shape == (4, 2)
    assert found.history.evaluations.shape == (4, 2, 5)
    for i, j in np.ndindex(4, 2):
        single = alone()[i][j]
        assert abs(int(found.steps[i, j]) - int(single.steps)) <= 2
        np.testing.assert_allclose(found.params[i, j], single.params, rtol=1e-3)
        np.testing.assert_allclose(
            found.history.value[i, j], single.history.value, rtol=1e-3, atol=1e-5
        )


def test_lanes_run_in_equal_chunks_spread_over_the_devices():
    assert program(3).width == 2
    assert program(1, EIGHT).width == program(100, EIGHT).width == 8


def test_other_starts_numbers_and_stops_compile_nothing():
    other = multistart.make_starts(starts().params + 0.1, [{"damping": 1.0}] * 2)
    counts = []
    event = "/jax/core/compile/backend_compile_duration"

    def listen(name, *_, **__):
        counts.append(name == event)

    program(1).run(other, Stop(steps=1))
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        found = [program(1).run(other, Stop(steps=steps)).steps for steps in (0, 3)]
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not any(counts)
    assert [int(steps.max()) for steps in found] == [0, 3]


def test_without_points_a_start_is_a_lane():
    search = Search(lambda _: method({}), ROSENBROCK)
    few = multistart.make_starts(starts().params)
    assert few.shape == (4, 1)
    found = multistart.compile_program(search, few, ONE, 4).run(few, STOP)
    assert (found.value < 1e-4).all()


def test_the_fastest_width_is_kept(monkeypatch):
    """The trial of each runs all lanes, and counts its steps in all of them."""
    compiled = {wide: program(wide) for wide in (1, 8)}
    made = {}

    def measure(step, shape, layout, trial):
        assert shape == (1, 8)
        for wide in (1, 8):
            made[wide] = trial(wide, 4).made
            trial(wide, 4).compile()()
        return {1: 1.0, 8: 0.5}

    monkeypatch.setattr(width, "measure", measure)
    monkeypatch.setattr(multistart, "_lower", lambda *a: lambda: compiled[a[-1]])
    assert multistart.compile_program(SEARCH, starts(), ONE) is compiled[8]
    assert made == {1: 8, 8: 32}


def test_lanes_that_memory_does_not_hold_run_in_chunks(monkeypatch):
    lane = width.computed_bytes(multistart._program_of(SEARCH, starts()))
    memory = 5 * lane / width.MEMORY_SHARE
    monkeypatch.setattr(machine, "memory_bytes", lambda device: memory)
    monkeypatch.setattr(multistart, "_lower", lambda *arguments: lambda: arguments[-1])
    assert multistart.compile_program(SEARCH, starts(), ONE, 8) == 4


def test_evaluations_of_the_history_add_up_to_those_of_the_solution():
    found = program(1).run(starts(), STOP)
    for at in np.ndindex(4, 2):
        counts = found.history.evaluations[at]
        assert counts[0] == 1
        assert (np.diff(counts[: int(found.steps[at])]) > 0).all()
        assert counts.max() < found.evaluations[at]
