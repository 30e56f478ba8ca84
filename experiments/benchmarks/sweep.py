"""Many small runs: 16 learning rates x 4 seeds of an MLP on images of MNIST's shape.

optlab trains all of them as one compiled program. A peer trains one run after the
other, so it is timed on one run a turn and its time multiplied: that of 64 runs.

Both sides work in float32 on data that are already in memory, on as many threads. A
run is fresh parameters and one shuffled epoch of Adam; nothing is evaluated. optlab
gathers stored bytes and normalizes each batch, a peer's images are normalized once
beforehand, outside of its time. Where a peer compiles a program for every learning
rate that is part of its work, as often as it does so; all else is warm.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from experiments.benchmarks import engine, machine
from experiments.benchmarks.images import CLASSES, normalized, random_dataset
from experiments.benchmarks.peers import flax_loop, keras_fit, missing, pytorch
from experiments.benchmarks.suite import Bench, Ratio, SuiteResult, Value
from experiments.benchmarks.turns import in_turns
from optlab import models, optim, problems, training
from optlab.data import Dataset
from optlab.data.batches import examples_of, load_batch
from optlab.errors import InputError
from optlab.report import Table
from optlab.report.tables import number
from optlab.sweep import Task, grid, parallel
from optlab import machine as cpu

#: The shape of MNIST's images.
SHAPE = (28, 28, 1)

#: Names of contestants.
OWN, ALONE = "optlab", "optlab, one by one"
PLAIN, SPREAD = "PyTorch, eager", "PyTorch, a run on each core"
FIRST, AGAIN = "Flax, jit anew, first run", "Flax, jit anew, later run"
ONCE, OWN_LAYERS = "Flax, jit once", "Flax, jit once, optlab's layers"
KERAS = "Keras on JAX, fit"
DESCENT, BATCHES = "optlab, plain descent", "optlab, batches alone"


def run(settings: Mapping[str, Any], bench: Bench) -> SuiteResult:
    """Times the sweep in turns with its peers.

    Args:
      settings: as in ``configs/bench.py``, ``sweep``.
      bench: whom to tell.

    Returns:
      Ratios of the time of all runs, and where optlab's goes.
    """
    bench.tell("compiling")
    task = make_task(settings)
    rates, seeds = settings["learning_rates"], settings["seeds"]
    points = grid({"learning_rate": rates})
    own = engine.compile_lanes(task, range(seeds), points)
    alone = engine.compile_lanes(task, (0,), points[:1])
    descent = task._replace(optimizer=lambda point: optim.make("sgd", **point))
    plain = engine.compile_lanes(descent, range(seeds), points, own.width)
    contestants = {
        OWN: lambda: engine.run_epoch(own),
        ALONE: lambda: engine.run_epoch(alone),
        DESCENT: lambda: engine.run_epoch(plain),
        BATCHES: _batches_alone(own),
        **_flax_loops(task.dataset, settings),
    }
    plain_run = (
        normalized(task.dataset).reshape(settings["examples"], -1),
        task.dataset.train.labels,
        settings["hidden"],
        CLASSES,
        task.batch_size,
    )
    left_out = [missing("torch"), missing("keras")]
    if not left_out[1]:
        fit = keras_fit.mlp_fit(*plain_run)
        contestants[KERAS] = lambda: fit(rates[0], 0)
    if not left_out[0]:
        loop = pytorch.mlp_loop(*plain_run)
        contestants[PLAIN] = lambda: loop(rates[0], 0)
        contestants[SPREAD] = pytorch.on_threads(1, contestants[PLAIN])
    seconds = in_turns(contestants, settings["repeats"], bench.tell)
    bench.tell("products of matrices")
    flops = lane_flops(settings["hidden"], task.steps_per_epoch * task.batch_size)
    return SuiteResult(
        ratios=tuple(ratios(seconds, len(rates), seeds)),
        values=(
            Value("lanes run at a time", own.width),
            Value("compile, all lanes", own.program.compile_seconds, "s"),
            Value("compile, one lane", alone.program.compile_seconds, "s"),
        ),
        notes=tuple(note for note in left_out if note),
        blocks=(
            parts_table(
                {name: float(np.median(each)) for name, each in seconds.items()},
                flops * len(rates) * seeds,
                machine.matmul_rate(),
                machine.lanes_rate(
                    (task.batch_size, int(np.prod(SHAPE)), settings["hidden"][0]),
                    own.width,
                ),
            ),
        ),
    )


def ratios(
    seconds: Mapping[str, Sequence[float]], points: int, seeds: int
) -> list[Ratio]:
    """Every peer's time for all runs beside optlab's.

    Args:
      seconds: contestant to seconds of each turn, a peer's of one run.
      points: learning rates.
      seeds: of each.

    Returns:
      One ratio a peer that was timed.
    """
    runs = points * seeds
    work = f"{runs} runs, an epoch each"
    times = f"one run x {runs}"
    own = tuple(seconds[OWN])

    def scaled(name: str) -> tuple[float, ...]:
        return tuple(runs * each for each in seconds[name])

    anew = tuple(
        points * first + (runs - points) * later
        for first, later in zip(seconds[FIRST], seconds[AGAIN], strict=True)
    )
    found = [
        Ratio(work, "Flax, jit per rate", anew, own, 10.0,
              f"first run (compiles) x {points} + later run x {runs - points}"),
        Ratio(work, ONCE, scaled(ONCE), own, 5.0, times),
        Ratio(work, OWN_LAYERS, scaled(OWN_LAYERS), own, note=times),
        Ratio(work, ALONE, scaled(ALONE), own, 1.0, times),
    ]  # fmt: skip
    if KERAS in seconds:
        found.insert(0, Ratio(work, KERAS, scaled(KERAS), own,
                              note=f"{times}, each compiles its model"))  # fmt: skip
    if PLAIN in seconds:
        cores = cpu.cores()
        spread = tuple(each / cores for each in scaled(SPREAD))
        found[:0] = [
            Ratio(work, PLAIN, scaled(PLAIN), own, 15.0, times),
            Ratio(work, SPREAD, spread, own,
                  note=f"one run on one thread x {runs} / {cores} cores, as if "
                  "processes did not slow each other down"),
        ]  # fmt: skip
    return found


def parts_table(
    seconds: Mapping[str, float], flops: float, square: float, skinny: float
) -> Table:
    """Where the time of all runs goes, by programs that do less and less of it.

    Args:
      seconds: contestant to seconds.
      flops: arithmetic of all runs.
      square: this machine's rate in a large product, operations a second.
      skinny: its rate in the products of the first layer of all lanes.

    Returns:
      A row a part.
    """
    whole = seconds[OWN]
    products = flops / skinny
    parts = {
        "batches: gather, normalize": seconds[BATCHES],
        "matrix products, at the first layer's rate": products,
        "rest of outputs, gradients, plain descent": (
            seconds[DESCENT] - seconds[BATCHES] - products
        ),
        "Adam's moments": whole - seconds[DESCENT],
        "all": whole,
    }
    reached = flops / whole
    return Table(
        title="Where the time of all runs goes",
        columns=("part", "seconds", "share %"),
        align="lrr",
        rows=tuple(
            (name, number(spent), f"{100 * spent / whole:.0f}")
            for name, spent in parts.items()
        ),
        groups=("",) * len(parts),
        notes=(
            f"{flops / 1e9:.0f} GFLOP in {number(whole)} s are "
            f"{reached / 1e9:.0f} GFLOP/s: {100 * reached / square:.0f}% of the "
            f"{square / 1e9:.0f} GFLOP/s of a 1024 x 1024 product, "
            f"{100 * reached / skinny:.0f}% of the {skinny / 1e9:.0f} GFLOP/s of the "
            "products of the first layer of all lanes that run at a time.",
        ),
    )


def make_task(settings: Mapping[str, Any]) -> Task:
    """The task of the sweep, on random images.

    Args:
      settings: ``examples``, ``batch_size`` and ``hidden``.

    Returns:
      A task whose optimizer is Adam.

    Raises:
      InputError: there is not one batch of examples.
    """
    if settings["examples"] < settings["batch_size"]:
        raise InputError(
            f"examples={settings['examples']} do not fill a batch of "
            f"{settings['batch_size']}"
        )
    dataset = random_dataset(settings["examples"], SHAPE)
    module = models.make("mlp", classes=CLASSES, hidden=settings["hidden"])
    return Task(
        problems.classification(module, SHAPE),
        lambda point: optim.make("adam", **point),
        dataset,
        settings["batch_size"],
    )


def lane_flops(hidden: Sequence[int], examples: int) -> int:
    """Arithmetic of one run's matrix products.

    A layer of ``m x n`` weights costs ``2 m n`` an example in each of its three
    products: outputs, gradient of the weights, gradient of its inputs, which the first
    layer does not need.

    Args:
      hidden: units of each hidden layer.
      examples: seen in the run.

    Returns:
      Floating-point operations.

    >>> lane_flops((30, 15), 60_000)  # 5.9e9; 8.7e9 with the first layer's third
    5860800000
    """
    sizes = (int(np.prod(SHAPE)), *hidden, CLASSES)
    products = [ins * outs for ins, outs in itertools.pairwise(sizes)]
    return (6 * sum(products) - 2 * products[0]) * examples


def _flax_loops(dataset: Dataset, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Contestants: a loop jitted anew for each rate, and one that is jitted once."""
    stock = flax_loop.MLP(CLASSES, settings["hidden"])
    own = models.make("mlp", classes=CLASSES, hidden=settings["hidden"])
    examples = jax.device_put((normalized(dataset), dataset.train.labels))
    rates = itertools.cycle(settings["learning_rates"])
    latest: dict[str, Any] = {}

    def start(module):
        problem = problems.classification(module, SHAPE)
        return jax.jit(lambda seed: problem.init(jax.random.key(seed))[0])

    def loop(module, tx):
        return flax_loop.make_loop(module, tx, examples, settings["batch_size"])

    def jitted_once(module):
        run, init = loop(module, flax_loop.traced_rate()), start(module)
        return lambda: run(init(0), 0, next(rates))

    init = start(stock)

    def first():
        latest["loop"] = loop(stock, flax_loop.constant_rate(next(rates)))
        latest["loop"](init(0), 0)

    return {
        FIRST: first,
        AGAIN: lambda: latest["loop"](init(0), 0),
        ONCE: jitted_once(stock),
        OWN_LAYERS: jitted_once(own),
    }


def _batches_alone(own: engine.Compiled) -> Callable[[], Any]:
    """Every batch of the sweep gathered and normalized, and nothing done with it."""
    task, (seeds, points) = own.task, own.lanes.shape
    layout = parallel.layout("jit", 1, [task.batch_size], jax.devices()[:1])
    examples = jax.device_put(examples_of(task.dataset, "train"))
    together = own.width >= seeds * points
    passes = 1 if own.width >= points else -(-points // own.width)

    def run_seed(seed, examples):
        def body(total, numbers):
            batch = lax.optimization_barrier(load_batch(examples, layout, (), numbers))
            return total + batch.inputs.ravel()[0], None

        key = jax.random.key(seed)
        order = training.epoch_order(key, len(examples.labels), task.batch_size)
        return lax.scan(body, 0.0, jnp.tile(order, (passes, 1)))[0]

    @jax.jit
    def run(seeds, examples):
        one = functools.partial(run_seed, examples=examples)
        return jax.vmap(one)(seeds) if together else lax.map(one, seeds)

    return lambda: jax.block_until_ready(run(own.lanes.seeds, examples))
