"""What rules of stopping look at beside metrics: gradients and weights of lanes."""

import functools
from collections.abc import Callable, Sequence
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
from optlab.training import Metrics, TrainState, evaluate, examples_in, gather

#: Norm of the gradient of the mean loss over the training split, of the net as it is
#: evaluated; change of the parameters over an epoch, as a share of their norm before.
WATCHED = ("gradient_norm", "weight_change")


@jax.jit
def copied(params: Any) -> Any:
    """Copies the parameters of lanes, whose own arrays the next epoch will donate."""
    return jax.tree.map(jnp.copy, params)


def watch(
    task: Task,
    layout: Layout,
    width: int,
    names: Sequence[str],
    before: Any,
    states: TrainState,
    lanes: Lanes,
    split: Split,
) -> Metrics:
    """Measures every lane at the end of an epoch.

    Args:
      task: recipe of all lanes.
      layout: device mesh that the lanes are spread over.
      width: largest number of lanes at a time.
      names: some of ``WATCHED``.
      before: parameters of the lanes before the epoch, from `copied`; read for
        ``weight_change`` alone.
      states: states of the lanes.
      lanes: seeds and points.
      split: training split, on the devices of the mesh.

    Returns:
      Name to ``[seeds, points]``.
    """
    numbers = numbers_of_problem(task, lanes)
    nets = placed((before, states, numbers), layout.sharding(None, LANE))
    return _watch(task.problem, layout, width, tuple(names), *nets, split)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _watch(
    problem: Callable[[Point], Problem],
    layout: Layout,
    width: int,
    names: tuple[str, ...],
    before: Any,
    states: TrainState,
    numbers: Point,
    split: Split,
) -> Metrics:
    def watch_lane(_, nothing, before, state, numbers):
        own = problem(numbers)

        def load(indices):
            return layout.share(gather(own, split, indices))

        def loss(params):
            count, shares = examples_in(split), layout.mesh.shape[DATA]
            return evaluate(own, params, state.model_state, load, count, shares)["loss"]

        found = {}
        if "gradient_norm" in names:
            params = evaluation_params(state.opt_state, state.params)
            found["gradient_norm"] = optax.tree.norm(jax.grad(loss)(params))
        if "weight_change" in names:
            change = optax.tree.norm(optax.tree.sub(state.params, before))
            found["weight_change"] = change / optax.tree.norm(before)
        return nothing, found

    devices = layout.mesh.shape[LANE]
    seeds = jnp.zeros(jax.tree.leaves(states)[0].shape[0])  # nothing is drawn
    _, found = over_lanes(
        watch_lane, devices, width, seeds, (), (before, states, numbers)
    )
    return lax.with_sharding_constraint(found, layout.sharding())
