"""The number of lanes that run at a time: candidates, times, choice, memory."""

import itertools
import threading
import types
from concurrent.futures import Future

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

from optlab import data, machine, models, problems, sweep
from optlab.sweep import Task, parallel, width

ONE = parallel.layout("jit", 1, 8, devices=jax.devices()[:1])
FOUR = parallel.layout("jit", 4, 8, devices=jax.devices()[:4])


def jaxpr(function, *arguments):
    return jax.make_jaxpr(function)(*arguments).jaxpr


#: 100 numbers of four bytes, twice.
STEP = jaxpr(lambda x: jnp.sin(x) * 2, jnp.zeros(100))
FACTORIZES = jaxpr(
    lambda x: jax.lax.cond(True, jnp.linalg.cholesky, jnp.sin, x), jnp.eye(3)
)


def limit(monkeypatch, lanes, devices=1):
    """Makes the memory hold that many lanes of ``STEP``."""
    memory = lanes * 800 / width.MEMORY_SHARE / devices
    monkeypatch.setattr(machine, "memory_bytes", lambda device: memory)


# The largest


@pytest.mark.parametrize(
    ("held", "expected"), [(0.5, 1), (1, 1), (3.9, 3), (12, 12), (100, 12)]
)
def test_memory_bounds_the_width(monkeypatch, held, expected):
    limit(monkeypatch, held)
    assert width.largest(STEP, 12, ONE) == expected
    assert width.largest(STEP, 12, FOUR) == expected  # of one host


def test_lanes_that_factorize_run_one_for_each_device_of_a_host(monkeypatch):
    """More at a time could wait for each other's threads without end."""
    assert width.largest(FACTORIZES, 12, ONE) == 12
    assert width.largest(FACTORIZES, 12, FOUR) == 4
    assert width.largest(STEP, 12, FOUR) == 12
    shares = Mesh(np.array(jax.devices()[:4]).reshape(1, 4), ("lane", "data"))
    assert width.largest(FACTORIZES, 12, parallel.Layout("jit", shares)) == 1
    monkeypatch.setattr(width, "share_host", lambda devices: False)
    assert width.largest(FACTORIZES, 12, FOUR) == 12


def test_memory_is_of_the_device_or_the_host():
    accelerator = types.SimpleNamespace(memory_stats=lambda: {"bytes_limit": 123})
    assert machine.memory_bytes(accelerator) == 123
    assert machine.memory_bytes(jax.devices("cpu")[0]) > 2**28


@pytest.mark.parametrize(("function", "results"), [
    (lambda x: jnp.sin(jnp.exp(x)) * 2, 3),
    (lambda x: jax.jit(lambda x: jnp.sin(x) * 2)(jnp.exp(x)), 3),
    # Of two branches only one runs: the larger one counts. The index is clamped.
    (lambda x: jax.lax.cond(x[0] > 0, lambda x: jnp.cos(jnp.tan(x)), jnp.sin, x), 2),
    # A loop keeps its stacked results: 100 of them, and one at a time.
    (lambda x: jax.lax.scan(lambda c, _: (c, jnp.sin(c)), x, length=100)[1], 101),
])  # fmt: skip
def test_bytes_are_those_of_all_results(function, results):
    found = width.computed_bytes(jaxpr(function, jnp.zeros(50)))
    assert results * 200 <= found <= (results + 1) * 200 + 20


# The candidates


def fake_trial(seconds, asked=None):
    """A trial whose runs take scripted times; the clock is set by hand."""
    clock = [0.0]

    def trial(wide, steps):
        if asked is not None:
            asked[wide] = steps
        durations = iter(seconds(wide))

        def run():
            clock[0] += next(durations)

        return width.Trial(lambda: run, wide * steps)

    return trial, types.SimpleNamespace(perf_counter=lambda: clock[0])


@pytest.mark.parametrize(
    ("shape", "layout", "held", "expected"),
    [
        ((2, 3), ONE, 100, [1, 3, 6]),  # one lane, the points of one seed, all
        ((2, 3), ONE, 5.9, [1, 3]),
        ((2, 3), ONE, 2.9, [1]),
        ((1, 3), ONE, 100, [1, 3]),
        ((1, 12), ONE, 5.5, [1, 4]),  # chunks are equal
        ((1, 64), ONE, 100, [1, 8, 64]),  # of many points also their square root
        ((1, 12), FOUR, 100, [4, 12]),  # every device has a lane
    ],
)
def test_candidates_that_fit_are_timed(monkeypatch, shape, layout, held, expected):
    limit(monkeypatch, held)
    trial, clock = fake_trial(lambda wide: itertools.repeat(1.0))
    monkeypatch.setattr(width, "time", clock)
    assert list(width.measure(STEP, shape, layout, trial)) == expected


def test_the_fastest_run_after_the_first_counts(monkeypatch):
    """Seconds of one step of one lane; a run that warms up, then two."""
    scripted = {1: [0.1, 0.8, 0.4], 3: [9.0, 0.5, 0.3], 6: [0.1, 3, 4]}
    asked = {}
    trial, clock = fake_trial(lambda wide: scripted[wide], asked)
    monkeypatch.setattr(width, "time", clock)
    found = width.measure(STEP, (2, 3), ONE, trial)
    fewest, most = width.TRIAL_STEPS
    assert all(fewest <= steps <= most for steps in asked.values())
    expected = {w: t / (w * asked[w]) for w, t in ((1, 0.4), (3, 0.3), (6, 3.0))}
    assert found == pytest.approx(expected)
    assert width.choose(found, STEP, 6, ONE) == 3


def test_a_single_candidate_is_not_timed():
    found = width.measure(FACTORIZES, (1, 4), FOUR, lambda *_: pytest.fail("compiled"))
    assert list(found) == [4]
    assert np.isnan(found[4])
    assert width.choose(found, FACTORIZES, 4, FOUR) == 4


def test_the_times_of_the_first_process_decide(monkeypatch):
    trial, clock = fake_trial(lambda wide: itertools.repeat(1.0))
    monkeypatch.setattr(width, "time", clock)
    given = iter([3.0, 2.0, 1.0])
    monkeypatch.setattr(width, "agreed", lambda times: [next(given) for _ in times])
    found = width.measure(STEP, (2, 3), ONE, trial)
    assert found == {1: 3.0, 3: 2.0, 6: 1.0}
    assert width.choose(found, STEP, 6, ONE) == 6


def test_wider_ones_are_left_out_once_the_widest_is_not_the_fastest(monkeypatch):
    trial, clock = fake_trial(lambda wide: itertools.repeat(float(wide**2)))
    monkeypatch.setattr(width, "time", clock)
    assert list(width.measure(STEP, (2, 3), ONE, trial)) == [1, 3]


def test_no_choice_is_wider_than_fits(monkeypatch):
    limit(monkeypatch, 3.5)
    assert width.choose({1: 3.0, 6: 1.0}, STEP, 6, ONE) == 3
    assert width.choose({100: np.nan}, STEP, 2, ONE) == 2  # given by the user


# The trial of a sweep


def make_task(hidden=(4,)):
    digits = data.load("digits", examples=50)
    net = models.make("mlp", classes=10, hidden=hidden)
    problem = problems.classification(net, digits)
    return Task(digits, 8, lambda _: problem, lambda point: optax.sgd(**point))


LANES = sweep.make_lanes((0, 1), sweep.grid({"learning_rate": (0.1, 0.2, 0.3)}))


def test_the_step_of_a_sweep_grows_with_batch_and_net():
    small, large, wide = (
        width.computed_bytes(sweep.step_of(task, LANES))
        for task in (make_task(), make_task()._replace(batch_size=32), make_task((99,)))
    )
    assert 4 * 64 * 4 < small < large  # the first layer's gradient, at the least
    assert wide > 5 * small


@pytest.fixture
def lowered(monkeypatch):
    """Programs that trials lower; a state is the number of runs before it."""
    lowered, ran = [], []

    def lower(task, lanes, layout, wide):
        lowered.append((wide, lanes.shape, task.steps_per_epoch))

        def train(states, lanes, epoch):
            ran.append((wide, states))
            return states + 1, {}

        nothing = lambda *_: {}  # noqa: E731
        program = sweep.Program(lambda _: 0, train, *[nothing] * 3, 0.0, wide)
        return sweep.Lowered(lambda: program, program.init, program.evaluate)

    monkeypatch.setattr("optlab.sweep.trial.lower", lower)
    monkeypatch.setattr("optlab.sweep.trial.step_of", lambda task, lanes: STEP)
    yield lowered
    # Each run goes on from the states of the one before, which are donated.
    widths = [wide for wide, *_ in lowered]
    assert ran == [(wide, run) for wide in widths for run in range(1 + width.TRIALS)]


def test_a_trial_trains_the_first_lanes_on_a_short_split(monkeypatch, lowered):
    monkeypatch.setattr(width, "EPOCH_BYTES", 0)
    found = sweep.measure_widths(make_task(), LANES, ONE)
    assert sorted(found) in ([1, 3], [1, 3, 6])
    longest = width.TRIAL_STEPS[1]  # more than the 5 batches of the split
    shapes = {1: (1, 1), 3: (1, 3), 6: (2, 3)}
    assert lowered == [(wide, shapes[wide], longest) for wide in found]


def test_a_short_epoch_of_all_lanes_is_its_own_trial(lowered):
    found = sweep.measure_widths(make_task(), LANES, ONE)
    assert sorted(found) in ([1, 3], [1, 3, 6])
    assert lowered == [(wide, (2, 3), 5) for wide in found]


def test_what_else_is_compiled_is_waited_for_before_the_clock(monkeypatch):
    """A width alone leaves a core free; what runs there must not disturb its time."""
    events, other = [], Future()

    class Clock:
        def perf_counter(self):
            events.append("clock")
            return 0.0

    def trial(wide, steps):
        return width.Trial(lambda: events.append(wide) or (lambda: None), wide * steps)

    def beside():
        threading.Timer(
            0.2, lambda: events.append("done") or other.set_result(0)
        ).start()
        return other

    monkeypatch.setattr(width, "time", Clock())
    times = iter([3.0, 2.0, 1.0])
    monkeypatch.setattr(width, "agreed", lambda each: [next(times) for _ in each])
    width.measure(STEP, (2, 3), ONE, trial, beside)
    last = events[events.index(6) :]
    assert last.index("done") < last.index("clock")
    assert "done" not in events[: events.index(6)]
