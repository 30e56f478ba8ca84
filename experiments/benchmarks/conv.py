"""A small convolutional net: a step of one lane, and of several lanes together.

A step is Adam on one batch: gathered and normalized by optlab, gathered by PyTorch from
images that are already normalized; in float32, on an accelerator by its default
precision. Times are of one step.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import layers, programs
from experiments.benchmarks.peers import Classifier, flax_loop, missing, pytorch
from experiments.benchmarks.programs import CLASSES
from experiments.benchmarks.suite import Ratio, SuiteResult, Value
from experiments.benchmarks.timing import Status, interleaved
from optlab import models, training
from optlab.errors import first_line
from optlab.sweep import Task

# Names of the timed programs.
OWN, PLAIN, LANES = "optlab, steps scanned", "optlab, jitted step", "optlab, lanes"
FLAX, FLAX_SCANNED = "Flax's layers, jitted step", "Flax's layers, steps scanned"
TORCH = "PyTorch, "


def run(settings: Mapping[str, Any], status: Status) -> SuiteResult:
    """Times a step, interleaved with the peers', and measures single layers."""
    status("compiling")
    count, steps, few = (settings[key] for key in ("lanes", "steps", "scanned_steps"))
    features, dense = settings["features"], settings["dense"]
    own = models.make("cnn", CLASSES, features=features, dense=dense)
    stock = flax_loop.Net(CLASSES, features, (dense,))

    def make(module, steps):
        size = settings["batch_size"]
        return programs.make_task(module, steps * size, settings["image"], size)

    def compiled(task, lanes):
        return programs.compile_sweep(task, (0,), programs.rates(lanes))

    task = make(own, steps)
    lanes = compiled(task, count)
    calls = {
        OWN: compiled(task, 1).later_epochs(),
        LANES: lanes.later_epochs(),
        PLAIN: _plain_steps(task),
        FLAX: _plain_steps(make(stock, steps)),
        FLAX_SCANNED: compiled(make(stock, few), 1).later_epochs(),
    }
    classifier = programs.for_peers(task, features, (dense,))
    peers, notes = _torch_forms(classifier, status)
    timed = interleaved(calls | peers, settings["repeats"], status)
    seconds = {
        name: [each / (few if name == FLAX_SCANNED else steps) for each in rounds]
        for name, rounds in timed.items()
    }
    by_layer, table = layers.measure(settings["layers"], settings["repeats"], status)
    return SuiteResult(
        ratios=(*ratios(seconds, count), by_layer),
        values=(Value("lanes at a time", lanes.program.width),),
        notes=notes,
        blocks=(table,),
    )


def ratios(seconds: Mapping[str, Sequence[float]], lanes: int) -> list[Ratio]:
    """Compares every other program's time for a step with optlab's scanned one.

    ``seconds`` maps a name to those of a step in each round, ``LANES`` to those of all
    lanes.

    Returns:
      A ratio a program; and of the step of all lanes, over steps of one lane, by optlab
      and by PyTorch's fastest form.
    """
    torch = [name for name in seconds if name.startswith(TORCH)]
    fastest = sorted(torch, key=lambda name: np.median(seconds[name]))[:1]
    steps = [
        Ratio("a step", name, tuple(times), tuple(seconds[OWN]))
        for name, times in seconds.items()
        if name not in (OWN, LANES)
    ]
    for name in (OWN, *fastest):
        work, peer = f"a step of {lanes} lanes", f"{name}, {lanes} times"
        times = tuple(lanes * each for each in seconds[name])
        steps.append(Ratio(work, peer, times, tuple(seconds[LANES])))
    return steps


def _torch_forms(
    classifier: Classifier, status: Status
) -> tuple[dict[str, Callable[[], None]], tuple[str, ...]]:
    """PyTorch's epoch in every form that runs here, and a note on each other one."""
    if note := missing("torch"):
        return {}, (note,)
    found, notes = {}, []
    for form in pytorch.FORMS:
        status(f"warm-up: {TORCH}{form}")
        try:
            call = pytorch.make_loop(classifier, form)(1e-3, 0)
            call()
        except Exception as error:  # of PyTorch's compiler: the rest is worth measuring
            text = f"{type(error).__name__}: {first_line(error)}"
            notes.append(f"{TORCH}{form}: left out, it fails with {text}")
        else:
            found[TORCH + form] = call
    return found, tuple(notes)


def _plain_steps(task: Task) -> Callable[[], None]:
    """One more epoch of one lane, as a Python loop over the jitted step."""
    problem, tx = task.problem({}), task.optimizer({"learning_rate": 0.001})
    train = training.make_step(problem, tx)
    split, key = jax.device_put(task.dataset.train), jax.random.key(0)
    states = [jax.jit(functools.partial(training.init, problem, tx))(key)]
    shape = training.examples_in(split), task.batch_size
    order = np.asarray(training.epoch_order(key, *shape))

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, split, indices):
        return train(state, training.gather(problem, split, indices), key)[0]

    def run():
        for indices in order:
            states[0] = step(states[0], split, indices)
        jax.block_until_ready(states[0])

    return run
