"""Many small runs: learning rates x seeds of an MLP on images of MNIST's shape.

optlab trains all runs as one compiled program. A peer trains them one after another, so
one of its runs is timed a round and the time multiplied.

Both sides work in float32 on data in memory, on as many threads. A run is fresh
parameters and one shuffled epoch of Adam; nothing is evaluated. optlab gathers stored
bytes and normalizes each batch; a peer's images are normalized beforehand, outside of
its time. Compiling counts where a peer compiles for every learning rate or run; all
else is warm.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from experiments.benchmarks import programs
from experiments.benchmarks.peers import flax_loop, keras_fit, missing, pytorch
from experiments.benchmarks.programs import CLASSES
from experiments.benchmarks.suite import Ratio, SuiteResult, Value
from experiments.benchmarks.timing import Status, interleaved
from optlab import machine, models
from optlab.sweep import Task, grid

#: Shape of MNIST's images.
SHAPE = (28, 28, 1)

# Names of the timed programs; FLAX_LATER is a part of FLAX's time.
OWN, SINGLE = "optlab", "optlab, a run at a time"
TORCH, SPREAD = "PyTorch, eager", "PyTorch, a run on each core"
KERAS, FLAX_ONCE = "Keras on JAX, fit", "Flax, one jit for all rates"
FLAX, FLAX_LATER = "Flax, a jit for each rate", "Flax, later run of a rate"


def run(settings: Mapping[str, Any], status: Status) -> SuiteResult:
    """Times the runs, interleaved with the peers'; see `experiments.benchmarks`."""
    status("compiling")
    task, seeds = make_task(settings), settings["seeds"]
    points = grid({"learning_rate": settings["learning_rates"]})
    own = programs.compile_sweep(task, range(seeds), points)
    single = programs.compile_sweep(task, (0,), points[:1])
    calls = {OWN: own.fresh_epoch, SINGLE: single.fresh_epoch}
    peers, notes = _peers(task, settings)
    seconds = interleaved(calls | peers, settings["repeats"], status)
    return SuiteResult(
        ratios=tuple(ratios(seconds, len(points), seeds)),
        values=(
            Value("runs at a time", own.program.width),
            Value("compile time, all runs", own.program.compile_seconds, "s"),
            Value("compile time, one run", single.program.compile_seconds, "s"),
        ),
        notes=notes,
    )


def ratios(
    seconds: Mapping[str, Sequence[float]], points: int, seeds: int
) -> list[Ratio]:
    """Compares every peer's time for all runs with optlab's.

    ``seconds`` maps a name to those of each round, a peer's of one run. ``seeds`` is
    the number of each rate.
    """
    runs, cores = points * seeds, machine.cores()
    each = f"one run x {runs}"
    ideal = "as if processes did not slow each other down"
    scales = {
        TORCH: (runs, each),
        SPREAD: (
            runs / cores, f"one run on one thread x {runs} / {cores} cores, {ideal}"
        ),
        KERAS: (runs, f"{each}; every run compiles its model"),
        FLAX: (1, f"first run, which compiles, x {points} + later x {runs - points}"),
        FLAX_ONCE: (runs, each),
        SINGLE: (runs, each),
    }  # fmt: skip
    flax = zip(seconds[FLAX], seconds[FLAX_LATER], strict=True)
    anew = [points * first + (runs - points) * later for first, later in flax]
    own, work = tuple(seconds[OWN]), f"{runs} runs, an epoch each"
    return [
        Ratio(work, name, tuple(scale * one for one in times), own, note)
        for name, (scale, note) in scales.items()
        if (times := anew if name == FLAX else seconds.get(name))
    ]


def make_task(settings: Mapping[str, Any]) -> Task:
    """Makes the task of an MLP on random images; see `programs.make_task`."""
    module = models.make("mlp", classes=CLASSES, hidden=settings["hidden"])
    size = settings["batch_size"]
    return programs.make_task(module, settings["examples"], SHAPE, size)


def _peers(
    task: Task, settings: Mapping[str, Any]
) -> tuple[dict[str, Callable[[], Any]], tuple[str, ...]]:
    """One run of each peer, and a note on each that is not installed."""
    classifier = programs.for_peers(task, (), settings["hidden"])
    rates = itertools.cycle(settings["learning_rates"])
    latest: dict[str, Any] = {}

    def first_run():
        latest["loop"] = flax_loop.make_loop(classifier, next(rates))
        latest["loop"](0)

    loop = flax_loop.make_loop(classifier)
    calls: dict[str, Callable[[], Any]] = {
        FLAX: first_run,
        FLAX_LATER: lambda: latest["loop"](0),
        FLAX_ONCE: lambda: loop(0, next(rates)),
    }
    notes = missing("torch"), missing("keras")
    if not notes[0]:
        start = pytorch.make_loop(classifier)
        calls[TORCH] = lambda: start(next(rates), 0)()
        if jax.default_backend() == "cpu":
            calls[SPREAD] = pytorch.on_one_thread(calls[TORCH])
    if not notes[1]:
        fit = keras_fit.mlp_fit(classifier)
        calls[KERAS] = lambda: fit(next(rates), 0)
    return calls, tuple(note for note in notes if note)
