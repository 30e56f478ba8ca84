"""A small convolutional net: its step in a scan, outside of one, and in eight lanes.

A step is Adam on a batch: gathered and normalized by optlab, gathered from normalized
images by PyTorch. All in float32 on as many threads. Seconds are of one step.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr

from experiments.benchmarks import engine, machine
from experiments.benchmarks.images import CLASSES, normalized, random_dataset
from experiments.benchmarks.peers import missing, pytorch
from experiments.benchmarks.suite import Bench, Ratio, SuiteResult, Value
from experiments.benchmarks.turns import in_turns
from experiments.benchmarks.work import Work, work_of
from optlab import optim, problems, training
from optlab.data.batches import examples_of, load_batch
from optlab.models import layers
from optlab.sweep import Task, grid, parallel

#: Names of contestants.
SCANNED, PLAIN, LANES = "optlab, scanned", "optlab, jitted step", "lanes"
STOCK, STOCK_SCANNED = "nn.Conv, jitted step", "nn.Conv, scanned"
TORCH = "PyTorch, "


class Net(nn.Module):
    """Images to logits: 3x3 convolutions with a pool between them, two dense layers.

    Attributes:
      features: channels of each convolution.
      dense: units of the hidden dense layer.
      conv: builds a convolution from channels and window.
      pool: halves height and width.
    """

    features: tuple[int, ...]
    dense: int
    conv: Callable[..., Any] = layers.Conv
    pool: Callable[[jax.Array], jax.Array] = layers.max_pool

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[n, CLASSES]`` of ``[n, height, width, channels]`` images."""
        del train  # the same net in both modes
        x = images
        for place, channels in enumerate(self.features):
            x = nn.relu(self.conv(channels, (3, 3))(x))
            x = self.pool(x) if place < len(self.features) - 1 else x
        x = x.reshape(x.shape[0], -1).T  # examples are columns
        x = nn.relu(layers.Dense(self.dense)(x))
        return layers.Dense(CLASSES)(x).T


def run(settings: Mapping[str, Any], bench: Bench) -> SuiteResult:
    """Times a step in turns with its peers.

    Args:
      settings: as in ``configs/bench.py``, ``conv``.
      bench: whom to tell.

    Returns:
      Ratios of the time of a step, and the arithmetic rate it reaches.
    """
    bench.tell("compiling")
    steps, few, count = (settings[k] for k in ("steps", "stock_steps", "lanes"))
    task = make_task(settings, steps)
    stock = make_task(settings, few, conv=nn.Conv, pool=_stock_pool)
    points = grid({"learning_rate": np.geomspace(1e-4, 1e-2, count).tolist()})
    single = engine.compile_lanes(task, (0,), points[:1])
    lanes = engine.compile_lanes(task, (0,), points)
    contestants = {
        SCANNED: engine.later_epochs(single),
        PLAIN: _plain_steps(task),
        LANES: engine.later_epochs(lanes),
        STOCK: _plain_steps(stock),
        STOCK_SCANNED: engine.later_epochs(
            engine.compile_lanes(stock, (0,), points[:1])
        ),
    }
    of: dict[str, Any] = dict.fromkeys(contestants, steps)
    of |= {STOCK: few, STOCK_SCANNED: few}
    peers, notes = rivals(task, settings, bench)
    contestants |= peers
    of |= dict.fromkeys(peers, steps)
    timed = in_turns(contestants, settings["repeats"], bench.tell)
    seconds = {
        name: tuple(each / of[name] for each in turns) for name, turns in timed.items()
    }
    bench.tell("products of matrices")
    return SuiteResult(
        ratios=tuple(ratios(seconds, count)),
        values=figures(settings, float(np.median(seconds[SCANNED])), lanes.width),
        notes=notes,
    )


def rivals(
    task: Task, settings: Mapping[str, Any], bench: Bench
) -> tuple[dict[str, Callable[[], None]], tuple[str, ...]]:
    """PyTorch's forms of the same net, those that run here.

    Args:
      task: from :func:`make_task`; its images are a turn's.
      settings: of the suite.
      bench: whom to tell.

    Returns:
      Contestants, and a note on each that is left out.
    """
    if note := missing("torch"):
        return {}, (note,)
    images, found, notes = normalized(task.dataset), {}, []
    for form in pytorch.FORMS:
        loop = pytorch.cnn_steps(
            images,
            task.dataset.train.labels,
            settings["features"],
            settings["dense"],
            task.batch_size,
            form,
        )
        bench.tell(f"warm-up: {TORCH}{form}")
        if failure := _failure(loop):
            notes.append(f"{TORCH}{form}: left out, it fails with {failure}")
        else:
            found[TORCH + form] = loop
    return found, tuple(notes)


def ratios(seconds: Mapping[str, Sequence[float]], lanes: int) -> list[Ratio]:
    """Every peer's time for a step beside optlab's.

    Args:
      seconds: contestant to seconds a step in each turn; ``LANES`` of all of them.
      lanes: how many.

    Returns:
      One ratio a peer that was timed.
    """
    own = tuple(seconds[SCANNED])
    work = "a step in a scan"
    torch = [name for name in seconds if name.startswith(TORCH)]
    fastest = min(torch, key=lambda name: np.median(seconds[name]), default="")
    return [
        Ratio(work, PLAIN, tuple(seconds[PLAIN]), own, 1 / 1.2),
        *(
            Ratio(work, name, tuple(seconds[name]), own,
                  1 / 1.3 if name == fastest else None)
            for name in torch
        ),
        *(
            Ratio(work, name, tuple(seconds[name]), own)
            for name in (STOCK, STOCK_SCANNED)
        ),
        Ratio(f"a step of {lanes} lanes", f"{lanes} x one lane",
              tuple(lanes * each for each in own), tuple(seconds[LANES]), 1.0),
    ]  # fmt: skip


def figures(
    settings: Mapping[str, Any], seconds: float, width: int
) -> tuple[Value, ...]:
    """The arithmetic and the memory traffic of a step, and the rate reached.

    Args:
      settings: of the suite.
      seconds: of a step.
      width: lanes run at a time.

    Returns:
      The figures.
    """
    flops = step_flops(settings)
    # Where convolutions are XLA's own, they do what defines them and move it unseen.
    on_cpu = jax.default_backend() == "cpu"
    done = work_of(_step_program(settings)) if on_cpu else Work(flops, 0)
    rate = machine.matmul_rate()
    return (
        Value("lanes run at a time", width),
        Value("arithmetic of a step, defined", flops / 1e9, "GFLOP"),
        Value("arithmetic of a step, done", done.flops / 1e9, "GFLOP"),
        Value("rate reached", done.flops / seconds / 1e9, "GFLOP/s"),
        Value("rate of a 1024 x 1024 product", rate / 1e9, "GFLOP/s"),
        Value("share of it", 100 * done.flops / seconds / rate, "%"),
        Value("bytes that products read and write", done.bytes / 1e6, "MB"),
    )


def _step_program(settings: Mapping[str, Any]) -> Jaxpr:
    """Gradients of a batch's loss."""
    problem = make_task(settings, 1).problem
    batch = (settings["batch_size"], *settings["image"])

    def gradients(params, images):
        outputs = problem.outputs(params, {}, images)
        return problem.loss(outputs, jnp.zeros(len(images), int)).mean()

    params, _ = jax.eval_shape(problem.init, jax.random.key(0))
    program = jax.make_jaxpr(jax.grad(gradients))
    return program(params, jax.ShapeDtypeStruct(batch, jnp.float32)).jaxpr


def make_task(settings: Mapping[str, Any], steps: int, **options: Any) -> Task:
    """The task whose epoch is some steps, on random images.

    Args:
      settings: of the suite.
      steps: in an epoch.
      **options: of the net.

    Returns:
      A task whose optimizer is Adam.
    """
    batch_size, shape = settings["batch_size"], settings["image"]
    module = Net(settings["features"], settings["dense"], **options)
    return Task(
        problems.classification(module, shape),
        lambda point: optim.make("adam", **point),
        random_dataset(steps * batch_size, shape),
        batch_size,
    )


def step_flops(settings: Mapping[str, Any]) -> int:
    """Arithmetic of a step by its definition: three products a layer, two in the first.

    Args:
      settings: of the suite.

    Returns:
      Floating-point operations, of convolutions that sum every product.
    """
    products = [pixels * ins * outs for pixels, ins, outs in _products(settings)]
    return 2 * settings["batch_size"] * (3 * sum(products) - products[0])


def _products(settings: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """Of each layer: places in an image, inputs of a place, outputs of a place."""
    height, width, channels = settings["image"]
    features = settings["features"]
    found = []
    for place, (ins, outs) in enumerate(itertools.pairwise((channels, *features))):
        found.append((height * width, 9 * ins, outs))
        if place < len(features) - 1:
            height, width = height // 2, width // 2
    flat, dense = height * width * features[-1], settings["dense"]
    return [*found, (1, flat, dense), (1, dense, CLASSES)]


def _stock_pool(images: jax.Array) -> jax.Array:
    return nn.max_pool(images, (2, 2), (2, 2))


def _plain_steps(task: Task) -> Callable[[], None]:
    """An epoch of one lane as a Python loop over the same step, jitted."""
    tx = task.optimizer({"learning_rate": 0.001})
    layout = parallel.layout("jit", 1, [task.batch_size], jax.devices()[:1])
    examples = jax.device_put(examples_of(task.dataset, "train"))
    train = training.make_step(task.problem, tx)
    init = functools.partial(training.init, task.problem, tx)
    carried = [jax.jit(init)(jax.random.key(0))]  # donated each time
    count = task.steps_per_epoch * task.batch_size

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, examples, numbers):
        batch = load_batch(examples, layout, (), numbers)
        return train(state, batch, jax.random.key(0))[0]

    def run():
        order = np.arange(count, dtype=np.int32).reshape(-1, task.batch_size)
        for numbers in order:
            carried[0] = step(carried[0], examples, numbers)
        jax.block_until_ready(carried[0])

    return run


def _failure(run: Callable[[], Any]) -> str:
    """What goes wrong in a peer's own compiler, in a few words; empty if nothing."""
    try:
        run()
    except Exception as error:  # whatever it raises, the rest is worth measuring
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return ""
