"""Hyperparameters x seeds as lanes of one compiled program.

A lane is one training run. Its seed decides initial parameters, data order, dropout
and augmentation; its point is a set of hyperparameters. Lanes of one seed see the
same batches, so that optimizers and rates are compared on common random numbers and a
batch is gathered once for all of them. Seeds and points are traced: another rate, or
another seed, costs no compile.

Arrays of lanes are ``[seeds, points, ...]`` everywhere. How many lanes run at a time
is ``width``; it changes memory and time, never the result beyond rounding.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.extend.core import Jaxpr

from optlab import training
from optlab.data import Dataset, Split
from optlab.optim.evaluation import evaluation_params
from optlab.problems import Batch, Problem
from optlab.sweep import width as widths
from optlab.sweep.lanes import over_lanes
from optlab.sweep.parallel import DATA, LANE, Layout, placed
from optlab.training import (
    Metrics,
    TrainState,
    evaluate_split,
    examples_in,
)

#: Swept numbers of one lane by name; inside a program they are tracers.
Point = Mapping[str, Any]


class Task(NamedTuple):
    """A recipe as functions of the numbers that are swept."""

    dataset: Dataset
    batch_size: int
    problem: Callable[[Point], Problem]
    optimizer: Callable[[Point], optax.GradientTransformation]
    #: names of the swept numbers that ``problem`` reads, such as a dropout share; lanes
    #: of one seed share their initial parameters where there is none
    problem_numbers: tuple[str, ...] = ()

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass over the training split."""
        return examples_in(self.dataset.train) // self.batch_size


class Lanes(NamedTuple):
    """The runs of a program, every seed with every point; all of it is traced."""

    seeds: jax.Array  # [seeds], uint32
    indices: jax.Array  # [seeds, points], uint32: index of each point
    hyperparameters: Mapping[str, jax.Array]  # name -> [seeds, points], float32

    @property
    def shape(self) -> tuple[int, int]:
        """Seeds by points, the leading axes of every array of lanes."""
        return self.indices.shape[0], self.indices.shape[1]


class Program(NamedTuple):
    """A compiled sweep, for any lanes of the shape that it was compiled for."""

    train: Callable[[TrainState, Lanes, int], tuple[TrainState, Metrics]]  # an epoch
    evaluate: Callable[[TrainState, Lanes, str], Metrics]  # on a split, by its name
    compile_seconds: float  # spent on the training program
    width: int  # lanes at a time


def grid(axes: Mapping[str, Sequence[float]]) -> tuple[dict[str, float], ...]:
    """Combines the values of some hyperparameters.

    Args:
      axes: name to values.

    Returns:
      One dictionary a point, the last name varying fastest.

    >>> grid({"learning_rate": (0.1, 1.0), "momentum": (0.9,)})
    ({'learning_rate': 0.1, 'momentum': 0.9}, {'learning_rate': 1.0, 'momentum': 0.9})
    """
    points: tuple[dict[str, float], ...] = ({},)
    for name, values in axes.items():
        points = tuple({**p, name: float(v)} for p in points for v in values)
    return points


def make_lanes(seeds: Sequence[int], points: Sequence[Mapping[str, float]]) -> Lanes:
    """Combines every seed with every point.

    Args:
      seeds: one seed or more.
      points: one point or more, all with the same names.

    Returns:
      The lanes, on the default device.

    >>> make_lanes((0, 1), grid({"learning_rate": (0.1, 1.0, 10.0)})).shape
    (2, 3)
    """
    shape = len(seeds), len(points)
    return Lanes(
        jnp.asarray(seeds, jnp.uint32),
        jnp.broadcast_to(jnp.arange(len(points), dtype=jnp.uint32), shape),
        {
            name: jnp.broadcast_to(
                jnp.asarray([point[name] for point in points], jnp.float32), shape
            )
            for name in points[0]
        },
    )


def first_lane(lanes: Lanes) -> Lanes:
    """Takes the first point of the first seed.

    Args:
      lanes: seeds and points.

    Returns:
      One seed with one point.
    """
    some = jax.tree.map(lambda x: x[:1, :1], (lanes.indices, lanes.hyperparameters))
    return Lanes(lanes.seeds[:1], *some)


def init_states(task: Task, lanes: Lanes) -> TrainState:
    """Makes the states of all lanes before the first step.

    Args:
      task: recipe of all lanes.
      lanes: seeds and points.

    Returns:
      A state whose arrays are ``[seeds, points, ...]``; lanes of one seed start from
      the same parameters.
    """
    return _states(task, lanes, *_once(jax.default_backend()))


def states_shape(task: Task, lanes: Lanes) -> TrainState:
    """Computes the shapes of the states of all lanes; see `init_states`."""
    make = functools.partial(_states, task, init_net=_init_net, init_opt=_init_opt)
    return jax.eval_shape(make, lanes)


def _states(
    task: Task, lanes: Lanes, init_net: Callable, init_opt: Callable
) -> TrainState:
    numbers, count = _problem_numbers(task, lanes), len(lanes.seeds)
    nets = [
        init_net(task.problem, lanes.seeds[i], {k: x[i] for k, x in numbers.items()})
        for i in range(count)
    ]
    by_point = 0 if task.problem_numbers else None
    return init_opt(task.optimizer, by_point, nets, lanes)


def _problem_numbers(task: Task, lanes: Lanes) -> Point:
    return {name: lanes.hyperparameters[name] for name in task.problem_numbers}


def _init_net(
    problem: Callable[[Point], Problem], seed: jax.Array, numbers: Point
) -> tuple[Any, Any]:
    """Parameters and model state of a seed or, where numbers are swept, its lanes.

    One compile serves every seed, of tuning and of report runs, and every optimizer.
    """
    init = lambda point: training.init_run(problem(point), seed)  # noqa: E731
    return jax.vmap(init)(numbers) if numbers else init({})


def _init_opt(
    optimizer: Callable[[Point], optax.GradientTransformation],
    by_point: int | None,
    nets: Sequence[tuple[Any, Any]],
    lanes: Lanes,
) -> TrainState:
    """Every lane's state, from the parameters of its seed or, by point, its own."""

    def init_lane(params, model_state, hyperparameters):
        tx = optimizer(hyperparameters)
        return training.initial_state(params, model_state, tx)

    params, model_state = jax.tree.map(lambda *each: jnp.stack(each), *nets)
    axes = by_point, by_point, 0
    over_points = jax.vmap(init_lane, axes, axis_size=lanes.shape[1])
    return jax.vmap(over_points)(params, model_state, lanes.hyperparameters)


@functools.cache
def _once(platform: str) -> tuple[Callable, Callable]:
    """Both programs of a start, which run once and are compiled in a hurry on a CPU."""
    hurried = {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
    }
    options = hurried if platform == "cpu" else None
    return (
        jax.jit(_init_net, static_argnums=0, compiler_options=options),
        jax.jit(_init_opt, static_argnums=(0, 1), compiler_options=options),
    )


class Lowered(NamedTuple):
    """A traced sweep that is still to be compiled, which may be done in a thread."""

    compile: Callable[[], Program]
    evaluate: Callable[[TrainState, Lanes, str], Metrics]  # as that of the program


def compile_program(task: Task, lanes: Lanes, layout: Layout, width: int) -> Program:
    """Compiles the training of some lanes; see `lower`."""
    return lower(task, lanes, layout, width).compile()


def lower(task: Task, lanes: Lanes, layout: Layout, width: int) -> Lowered:
    """Traces the training of some lanes.

    Args:
      task: recipe of all lanes.
      lanes: seeds and points; only their shape matters here.
      layout: device mesh; with ``pmap`` every device trains all lanes on its share of
        each batch.
      width: largest number of lanes at a time.

    Returns:
      The traced sweep. Its program's ``train`` donates the states that it is given,
      except under ``pmap``, where they are copied to every device.
    """
    by_lane, whole = layout.sharding(None, LANE), layout.sharding()
    placement = jax.tree.map(lambda _: by_lane, lanes)._replace(seeds=whole)
    splits = {
        name: placed(getattr(task.dataset, name), whole)
        for name in ("train", "validation", "test")
    }
    train = functools.partial(_train_epoch, task, layout, width)
    alone = lanes.shape == (1, 1)
    # As those of a net that was loaded: sharded ones would make another program, which
    # may round otherwise.
    unsharded = jax.device_put(
        {name: getattr(task.dataset, name) for name in splits} if alone else {}
    )

    def evaluate(states, lanes, split):
        if alone:
            return _evaluate_alone(task, states, lanes, unsharded[split])
        return _evaluate(task, layout, width, states, lanes, splits[split])

    if layout.mode == "pmap":
        # pmap wants one mapped argument: each device gets its own copy of the epoch.
        wrapped = jax.pmap(
            train,
            axis_name=DATA,
            in_axes=(None, None, None, 0),
            out_axes=None,  # type: ignore[arg-type]
            devices=list(layout.mesh.devices.flat),
        )
        epoch_shape = (layout.mesh.size,)
    else:
        wrapped = jax.jit(
            train,
            donate_argnums=0,
            in_shardings=(by_lane, placement, whole, None),
            out_shardings=(by_lane, whole),  # every process sees all metrics
        )
        epoch_shape = ()
    states = states_shape(task, lanes)
    started = time.perf_counter()
    lowered = wrapped.lower(
        states, lanes, splits["train"], jnp.zeros(epoch_shape, jnp.uint32)
    )
    traced = time.perf_counter() - started

    def compile_it() -> Program:
        started = time.perf_counter()
        compiled = lowered.compile(layout.compiler_options)
        return Program(
            train=lambda states, lanes, epoch: compiled(
                placed(states, by_lane),
                jax.tree.map(placed, lanes, placement),
                splits["train"],
                jnp.full(epoch_shape, epoch, jnp.uint32),
            ),
            evaluate=evaluate,
            compile_seconds=traced + time.perf_counter() - started,
            width=width,
        )

    return Lowered(compile_it, evaluate)


def step_of(task: Task, lanes: Lanes) -> Jaxpr:
    """Traces one training step of one lane.

    Args:
      task: recipe of all lanes.
      lanes: seeds and points; the first one is traced.

    Returns:
      The step's program.
    """

    def step(point, split, indices, key):
        problem, tx = task.problem(point), task.optimizer(point)
        state = training.init(problem, tx, key)
        batch = training.gather(problem, split, indices, jax.random.split(key, size))
        return training.make_step(problem, tx)(state, batch, key)

    size = task.batch_size
    point = jax.tree.map(lambda x: x[0, 0], lanes.hyperparameters)
    indices = jax.ShapeDtypeStruct((size,), jnp.int32)
    return jax.make_jaxpr(step)(
        point, task.dataset.train, indices, jax.random.key(0)
    ).jaxpr


def measure_widths(task: Task, lanes: Lanes, layout: Layout) -> dict[int, float]:
    """Times a few steps of the lanes at each width that is worth a trial.

    Args:
      task: recipe of all lanes.
      lanes: seeds and points.
      layout: device mesh that the lanes are spread over.

    Returns:
      Width to seconds of one step of one lane; see `width.measure`.
    """

    def trial(width, steps):
        rows = max(1, width // lanes.shape[1])
        some = Lanes(
            lanes.seeds[:rows],
            *jax.tree.map(
                lambda x: x[:rows, :width], (lanes.indices, lanes.hyperparameters)
            ),
        )
        short = _shortened(task, steps)
        lowered = lower(short, some, layout, width)
        states = [init_states(short, some)]  # donated: a run leaves the next one's

        def compiled():
            program = lowered.compile()

            def run():
                states[0], _ = jax.block_until_ready(program.train(states[0], some, 0))

            return run

        return widths.Trial(compiled, width * steps)

    return widths.measure(step_of(task, lanes), lanes.shape, layout, trial)


def _shortened(task: Task, steps: int) -> Task:
    """The task on a few batches, whose epoch is a trial."""
    count = steps * task.batch_size
    # Resizing repeats the examples of a split that is shorter than a trial.
    few = jax.tree.map(
        lambda x: np.resize(np.asarray(x), (count, *x.shape[1:])), task.dataset.train
    )
    dataset = dataclasses.replace(task.dataset, train=few, validation=few, test=few)
    return task._replace(dataset=dataset)


def load_batch(
    problem: Problem, layout: Layout, split: Split, indices: jax.Array, key: jax.Array
) -> Batch:
    """Makes a training batch; under ``pmap``, this device's share of it.

    Args:
      problem: problem that prepares and augments.
      layout: devices that share a batch.
      split: examples to choose from.
      indices: ``[n]``, which examples.
      key: source of a key for each example, so that a batch cut over devices is
        augmented as it is on one.

    Returns:
      The batch.
    """
    keys = jax.random.split(key, len(indices))
    if layout.axis_name is not None:
        share = len(indices) // layout.mesh.shape[DATA]
        start = lax.axis_index(layout.axis_name) * share
        indices, keys = (
            lax.dynamic_slice_in_dim(x, start, share) for x in (indices, keys)
        )
    return _laid_out(layout, training.gather(problem, split, indices, keys))


def _laid_out(layout: Layout, batch: Batch) -> Batch:
    if layout.mode != "pmap" and layout.mesh.size > 1:
        return lax.with_sharding_constraint(batch, layout.sharding(DATA))
    return batch


def _train_epoch(
    task: Task,
    layout: Layout,
    width: int,
    states: TrainState,
    lanes: Lanes,
    split: Split,
    epoch: jax.Array,
) -> tuple[TrainState, Metrics]:
    """One epoch of every lane; metrics are ``[seeds, points, steps]``."""

    def train_lane(seed, state, hyperparameters):
        problem = task.problem(hyperparameters)
        return training.train_epoch(
            training.make_step(
                problem, task.optimizer(hyperparameters), layout.axis_name
            ),
            functools.partial(load_batch, problem, layout, split),
            state,
            seed,
            epoch,
            (examples_in(split), task.batch_size),
        )

    devices = layout.mesh.shape[LANE]
    return over_lanes(
        train_lane, devices, width, lanes.seeds, states, (lanes.hyperparameters,)
    )


def _evaluate(
    task: Task,
    layout: Layout,
    width: int,
    states: TrainState,
    lanes: Lanes,
    split: Split,
) -> Metrics:
    """Metrics of every lane, each ``[seeds, points]``."""
    # Laid out as they will be later on, so that one compile serves all.
    nets = placed(
        (_evaluated(states), states.model_state, _problem_numbers(task, lanes)),
        layout.sharding(None, LANE),
    )
    return _evaluate_lanes(task.problem, layout, width, *nets, split)


def _evaluate_alone(
    task: Task, states: TrainState, lanes: Lanes, split: Split
) -> Metrics:
    """Metrics of a single lane, each ``[1, 1]``."""
    metrics = evaluate_split(*the_lane(task, states, lanes), split)
    return {name: value[None, None] for name, value in metrics.items()}


def _evaluated(states: TrainState) -> Any:
    """Parameters of all lanes at the points where they are evaluated."""
    return jax.vmap(jax.vmap(evaluation_params))(states.opt_state, states.params)


def the_lane(task: Task, states: TrainState, lanes: Lanes) -> tuple[Problem, Any, Any]:
    """Takes the net of a single lane out of its arrays.

    It is evaluated as any net is, so that a net that was kept gives the same bits.

    Args:
      task: recipe of the lane.
      states: state of the lane.
      lanes: one seed with one point.

    Returns:
      Its problem, parameters for evaluation and model state, on the host.
    """
    numbers = _problem_numbers(task, lanes)
    point = tuple((name, float(value[0, 0])) for name, value in numbers.items())
    params, model_state = jax.device_get(_only_net(states))
    return _problem_at(task.problem, point), params, model_state


@jax.jit
def _only_net(states: TrainState) -> tuple[Any, Any]:
    net = _evaluated(states), states.model_state
    return jax.tree.map(lambda x: x[0, 0], net)


@functools.lru_cache(maxsize=8)
def _problem_at(problem: Callable[[Point], Problem], point: tuple) -> Problem:
    return problem(dict(point))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _evaluate_lanes(
    problem: Callable[[Point], Problem],
    layout: Layout,
    width: int,
    params: Any,
    model_state: Any,
    numbers: Point,
    split: Split,
) -> Metrics:
    """Metrics of every lane, each ``[seeds, points]``."""

    def evaluate_lane(_, state, params, model_state, numbers):
        own = problem(numbers)

        def load(indices):
            return _laid_out(layout, training.gather(own, split, indices))

        return state, training.evaluate(
            own,
            params,
            model_state,
            load,
            examples_in(split),
            layout.mesh.shape[DATA],
        )

    devices = layout.mesh.shape[LANE]
    seeds = jnp.zeros(jax.tree.leaves(params)[0].shape[0])  # evaluation draws nothing
    _, metrics = over_lanes(
        evaluate_lane, devices, width, seeds, (), (params, model_state, numbers)
    )
    return lax.with_sharding_constraint(metrics, layout.sharding())
