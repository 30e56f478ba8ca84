"""Metrics of lanes on a split: of many in one program, of one as of any net."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
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

#: ``(params, model_state) -> metrics`` of a net on some split.
Evaluate = Callable[[Any, Any], Metrics]


def metrics(evaluate: Evaluate, params: Any, model_state: Any) -> Metrics:
    """Measures the metrics of a net."""
    return evaluate(params, model_state)


def gradient_norm(evaluate: Evaluate, params: Any, model_state: Any) -> jax.Array:
    """Measures the Euclidean norm of the gradient of a net's mean loss."""
    gradient = jax.grad(lambda params: evaluate(params, model_state)["loss"])(params)
    return optax.tree.norm(gradient)


@functools.partial(jax.jit, static_argnums=0)
def weight_changes(layout: Layout, before: Any, states: TrainState) -> jax.Array:
    """Measures how far the net of every lane, as it is evaluated, is from earlier.

    Args:
      layout: device mesh that the lanes are spread over.
      before: earlier parameters, from `copied`.
      states: states of the lanes.

    Returns:
      ``[seeds, points]``, |w - v| / |v| with v the earlier ones.
    """

    def change(old, new):
        return optax.tree.norm(optax.tree.sub(new, old)) / optax.tree.norm(old)

    found = jax.vmap(jax.vmap(change))(before, _evaluated(states))
    return lax.with_sharding_constraint(found, layout.sharding())


@jax.jit
def copied(states: TrainState) -> Any:
    """Copies the evaluated parameters of lanes, whose arrays an epoch will donate."""
    return jax.tree.map(jnp.copy, _evaluated(states))


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
    found = evaluate_split(*the_lane(task, states, lanes), split)
    return {name: value[None, None] for name, value in found.items()}


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


def measure_lanes(
    measure: Callable[..., Any],
    task: Task,
    layout: Layout,
    width: int,
    states: TrainState,
    lanes: Lanes,
    split: Split,
) -> Any:
    """Measures every lane on a split, as the net that is evaluated.

    Args:
      measure: `metrics` or `gradient_norm`.
      task: recipe of all lanes.
      layout: device mesh that the lanes are spread over.
      width: largest number of lanes at a time.
      states: states of the lanes.
      lanes: seeds and points.
      split: examples, on the devices of the mesh.

    Returns:
      What ``measure`` returns, ``[seeds, points, ...]``, in every process.
    """
    nets = _evaluated(states), states.model_state
    # Laid out as they will be later on, so that one compile serves all.
    arrays = placed(
        (nets, numbers_of_problem(task, lanes)), layout.sharding(None, LANE)
    )
    return _measure(measure, task.problem, layout, width, *arrays, split)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _measure(
    measure: Callable[..., Any],
    problem: Callable[[Point], Problem],
    layout: Layout,
    width: int,
    nets: Any,
    numbers: Point,
    split: Split,
) -> Any:
    def measure_lane(_, nothing, net, numbers):
        own = problem(numbers)

        def load(indices):
            return layout.share(gather(own, split, indices))

        def evaluate_net(params, model_state):
            count, shares = examples_in(split), layout.mesh.shape[DATA]
            return evaluate(own, params, model_state, load, count, shares)

        return nothing, measure(evaluate_net, *net)

    devices = layout.mesh.shape[LANE]
    seeds = jnp.zeros(jax.tree.leaves(nets)[0].shape[0])  # evaluation draws nothing
    _, found = over_lanes(measure_lane, devices, width, seeds, (), (nets, numbers))
    return lax.with_sharding_constraint(found, layout.sharding())
