"""Metrics of lanes on a split: of many in one program, of one as of any net."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from optlab.data import Split
from optlab.optim.evaluation import evaluation_params
from optlab.problems import Problem
from optlab.sweep.lanes import over_lanes
from optlab.sweep.parallel import DATA, LANE, Layout, placed
from optlab.sweep.task import Lanes, Point, Task, numbers_of_problem
from optlab.training import (
    Metrics,
    TrainState,
    evaluate,
    evaluate_split,
    examples_in,
    gather,
)


def evaluate_lanes(
    task: Task,
    layout: Layout,
    width: int,
    states: TrainState,
    lanes: Lanes,
    split: Split,
) -> Metrics:
    """Evaluates every lane on a split.

    Args:
      task: recipe of all lanes.
      layout: device mesh that the lanes are spread over.
      width: largest number of lanes at a time.
      states: states of the lanes.
      lanes: seeds and points.
      split: examples, on the devices of the mesh.

    Returns:
      Metric's name to ``[seeds, points]``.
    """
    # Laid out as they will be later on, so that one compile serves all.
    nets = placed(
        (_evaluated(states), states.model_state, numbers_of_problem(task, lanes)),
        layout.sharding(None, LANE),
    )
    return _evaluate_nets(task.problem, layout, width, *nets, split)


def evaluate_single(
    task: Task, states: TrainState, lanes: Lanes, split: Split
) -> Metrics:
    """Evaluates a single lane on a split.

    Args:
      task: recipe of the lane.
      states: state of the lane.
      lanes: one seed with one point.
      split: examples, on the default device.

    Returns:
      Metric's name to ``[1, 1]``.
    """
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
    numbers = numbers_of_problem(task, lanes)
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
def _evaluate_nets(
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
            return layout.share(gather(own, split, indices))

        return state, evaluate(
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
