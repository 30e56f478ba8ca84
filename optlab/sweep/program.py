"""Hyperparameters x seeds as lanes of one compiled program.

A lane is one training run. Its seed decides initial parameters, data order, dropout
and augmentation; its point is a set of hyperparameters. Lanes of one seed see the
same batches, so that optimizers and rates are compared on common random numbers and a
batch is gathered once for all of them. Seeds and points are traced: another rate, or
another seed, costs no compile.

Arrays of lanes are ``[seeds, points, ...]`` everywhere. How many lanes run at a time
is ``width``; it changes memory and time, never the result beyond rounding.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from optlab import training
from optlab.data import Dataset
from optlab.data.batches import Examples, examples_of, load_batch
from optlab.problems import Problem
from optlab.sweep.lanes import over_lanes
from optlab.sweep.parallel import DATA, LANE, Layout
from optlab.training import Metrics, TrainState

#: Examples evaluated at a time: bounds memory, changes no result.
EVALUATION_BATCH = 256


class Task(NamedTuple):
    """What all lanes of a program share; nothing here is swept."""

    problem: Problem
    optimizer: Callable[[Mapping[str, Any]], optax.GradientTransformation]
    dataset: Dataset
    batch_size: int
    augmentations: tuple[str, ...] = ()  # names in augment.AUGMENTATIONS

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass over the training split."""
        return len(self.dataset.train.labels) // self.batch_size


class Lanes(NamedTuple):
    """The runs of a program, every seed with every point; all of it is traced."""

    seeds: jax.Array  # [seeds], uint32
    numbers: jax.Array  # [seeds, points], uint32: each point's place
    hyperparameters: Mapping[str, jax.Array]  # name -> [seeds, points], float32

    @property
    def shape(self) -> tuple[int, int]:
        """Seeds by points, the leading axes of every array of lanes."""
        return self.numbers.shape[0], self.numbers.shape[1]


class Program(NamedTuple):
    """A compiled sweep, for any lanes of the shape that it was compiled for."""

    train: Callable[[TrainState, Lanes, int], tuple[TrainState, Metrics]]  # an epoch
    evaluate: Callable[[TrainState, str], Metrics]  # on a split, by its name
    compile_seconds: float  # spent on the training program


def grid(axes: Mapping[str, Sequence[float]]) -> tuple[dict[str, float], ...]:
    """Every combination of the values of some hyperparameters.

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
    """Every seed with every point.

    Args:
      seeds: at least one.
      points: at least one, all with the same names.

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


def init_states(task: Task, lanes: Lanes) -> TrainState:
    """The states of all lanes before the first step.

    Args:
      task: what the lanes share.
      lanes: seeds and points.

    Returns:
      A state whose arrays are ``[seeds, points, ...]``; lanes of one seed start from
      the same parameters.
    """
    params, model_state = _init_models(task.problem, lanes.seeds)
    return _init_optimizers(task.optimizer, params, model_state, lanes)


@functools.partial(jax.jit, static_argnums=0)
def _init_models(problem: Problem, seeds: jax.Array) -> tuple[Any, Any]:
    """Parameters and model state of each seed; one compile serves all optimizers."""

    def init_model(seed):
        init_key, _ = jax.random.split(jax.random.key(seed))
        return problem.init(init_key)

    return jax.vmap(init_model)(seeds)


@functools.partial(jax.jit, static_argnums=0)
def _init_optimizers(
    optimizer: Callable[[Mapping[str, Any]], optax.GradientTransformation],
    params: Any,
    model_state: Any,
    lanes: Lanes,
) -> TrainState:
    """Every lane's state, from the parameters of its seed."""

    def init_lane(params, model_state, hyperparameters):
        tx = optimizer(hyperparameters)
        return training.initial_state(params, model_state, tx)

    over_points = jax.vmap(init_lane, (None, None, 0), axis_size=lanes.shape[1])
    return jax.vmap(over_points)(params, model_state, lanes.hyperparameters)


def compile_program(task: Task, lanes: Lanes, layout: Layout, width: int) -> Program:
    """Compiles the training of some lanes.

    Args:
      task: what the lanes share.
      lanes: seeds and points; only their shape matters here.
      layout: devices; with ``pmap`` every device trains all lanes on its share of
        each batch.
      width: lanes to run at a time, at most.

    Returns:
      The program. Its ``train`` donates the states that it is given, except under
      ``pmap``, where they are copied to every device.
    """
    by_lane, whole = layout.sharding(None, LANE), layout.sharding()
    placement = jax.tree.map(lambda _: by_lane, lanes)._replace(seeds=whole)
    splits = {
        name: jax.device_put(
            examples_of(task.dataset, name),
            whole,
        )
        for name in ("train", "validation", "test")
    }
    train = functools.partial(_train_epoch, task, layout, width)
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
    states = jax.eval_shape(functools.partial(init_states, task), lanes)
    started = time.perf_counter()
    lowered = wrapped.lower(
        states, lanes, splits["train"], jnp.zeros(epoch_shape, jnp.uint32)
    )
    compiled = lowered.compile(layout.compiler_options)
    compile_seconds = time.perf_counter() - started
    return Program(
        train=lambda states, lanes, epoch: compiled(
            jax.device_put(states, by_lane),
            jax.device_put(lanes, placement),
            splits["train"],
            jnp.full(epoch_shape, epoch, jnp.uint32),
        ),
        evaluate=lambda states, split: _evaluate_lanes(
            task.problem,
            layout,
            width,
            # Laid out as they will be later on, so that one compile serves all.
            *jax.device_put((states.params, states.model_state), by_lane),
            splits[split],
        ),
        compile_seconds=compile_seconds,
    )


def _train_epoch(
    task: Task,
    layout: Layout,
    width: int,
    states: TrainState,
    lanes: Lanes,
    examples: Examples,
    epoch: jax.Array,
) -> tuple[TrainState, Metrics]:
    """One epoch of every lane; metrics are ``[seeds, points, steps]``."""

    def step_with(tx):
        return training.make_step(task.problem, tx, layout.axis_name)

    def train_lane(seed, state, hyperparameters):
        _, train_key = jax.random.split(jax.random.key(seed))
        order_key, key = jax.random.split(jax.random.fold_in(train_key, epoch))
        return training.scan_epoch(
            step_with(task.optimizer(hyperparameters)),
            functools.partial(load_batch, examples, layout, task.augmentations),
            state,
            training.epoch_order(order_key, len(examples.labels), task.batch_size),
            key,
        )

    devices = layout.mesh.shape[LANE]
    return over_lanes(
        train_lane, devices, width, lanes.seeds, states, (lanes.hyperparameters,)
    )


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _evaluate_lanes(
    problem: Problem,
    layout: Layout,
    width: int,
    params: Any,
    model_state: Any,
    examples: Examples,
) -> Metrics:
    """Loss and accuracy of every lane, ``[seeds, points]``."""
    shares = layout.mesh.shape[DATA]

    def evaluate_lane(_, state, params, model_state):
        return state, training.evaluate(
            functools.partial(problem.outputs, params, model_state),
            problem,
            functools.partial(load_batch, examples, layout, ()),
            len(examples.labels),
            -(-EVALUATION_BATCH // shares) * shares,
        )

    devices = layout.mesh.shape[LANE]
    seeds = jnp.zeros(jax.tree.leaves(params)[0].shape[0])  # evaluation draws nothing
    _, metrics = over_lanes(
        evaluate_lane, devices, width, seeds, (), (params, model_state)
    )
    return lax.with_sharding_constraint(metrics, layout.sharding())
