"""A compiled sweep: hyperparameters x seeds as lanes of one program that trains.

How many lanes run at a time is ``width``; it changes memory and time, never the result
beyond rounding.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from optlab import training
from optlab.data import Split
from optlab.problems import Batch, Problem
from optlab.sweep.evaluation import (
    evaluate_single,
    gradient_norm,
    measure_lanes,
    metrics,
    weight_changes,
)
from optlab.sweep.lanes import over_lanes
from optlab.sweep.parallel import DATA, LANE, Layout, placed
from optlab.sweep.states import init_states, states_shape
from optlab.sweep.task import Lanes, Task
from optlab.training import Metrics, TrainState, examples_in


class Program(NamedTuple):
    """A compiled sweep, for any lanes of the shape that it was compiled for."""

    init: Callable[[Lanes], TrainState]  # states before the first step
    train: Callable[[TrainState, Lanes, int], tuple[TrainState, Metrics]]  # an epoch
    evaluate: Callable[[TrainState, Lanes, str], Metrics]  # on a split, by its name
    gradient_norms: Callable[[TrainState, Lanes], jax.Array]  # on the training split
    weight_changes: Callable[[Any, TrainState], jax.Array]  # since earlier parameters
    compile_seconds: float  # spent on the training program
    width: int  # lanes at a time


class Lowered(NamedTuple):
    """A traced sweep that is still to be compiled, which may be done in a thread."""

    compile: Callable[[], Program]  # once: then it is at hand
    init: Callable[[Lanes], TrainState]  # this and the next as those of the program
    evaluate: Callable[[TrainState, Lanes, str], Metrics]


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
    placement = lanes.shardings(layout)
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

    def init(lanes):
        return init_states(task, lanes, layout)

    def measure(what, states, lanes, split):
        return measure_lanes(what, task, layout, width, states, lanes, splits[split])

    def evaluate(states, lanes, split):
        if alone:
            return evaluate_single(task, states, lanes, unsharded[split])
        return measure(metrics, states, lanes, split)

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

    @functools.cache
    def compile_it() -> Program:
        started = time.perf_counter()
        compiled = lowered.compile(layout.compiler_options)
        return Program(
            init=init,
            train=lambda states, lanes, epoch: compiled(
                placed(states, by_lane),
                jax.tree.map(placed, lanes, placement),
                splits["train"],
                jnp.full(epoch_shape, epoch, jnp.uint32),
            ),
            evaluate=evaluate,
            gradient_norms=lambda states, lanes: measure(
                gradient_norm, states, lanes, "train"
            ),
            weight_changes=functools.partial(weight_changes, layout),
            compile_seconds=traced + time.perf_counter() - started,
            width=width,
        )

    return Lowered(compile_it, init, evaluate)


def _load_batch(
    problem: Problem, layout: Layout, split: Split, indices: jax.Array, key: jax.Array
) -> Batch:
    """The examples of a training batch; under ``pmap``, this device's share of them.

    Each has a key of its own: a batch cut over devices is augmented as it is on one.
    """
    keys = jax.random.split(key, len(indices))
    if layout.axis_name is not None:
        share = len(indices) // layout.mesh.shape[DATA]
        start = lax.axis_index(layout.axis_name) * share
        indices, keys = (
            lax.dynamic_slice_in_dim(x, start, share) for x in (indices, keys)
        )
    return layout.share(training.gather(problem, split, indices, keys))


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
            functools.partial(_load_batch, problem, layout, split),
            state,
            seed,
            epoch,
            (examples_in(split), task.batch_size),
        )

    devices = layout.mesh.shape[LANE]
    return over_lanes(
        train_lane, devices, width, lanes.seeds, states, (lanes.hyperparameters,)
    )
