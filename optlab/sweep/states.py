"""States of all lanes before the first step, each made on the device that trains it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding

from optlab import training
from optlab.problems import Problem
from optlab.sweep import compiler
from optlab.sweep.parallel import LANE, Layout, placed
from optlab.sweep.task import Lanes, Point, Task, numbers_of_problem
from optlab.training import TrainState


def init_states(task: Task, lanes: Lanes, layout: Layout) -> TrainState:
    """Makes the states of all lanes before the first step.

    Every device makes those of its own lanes. What the lanes of a seed share, its
    initial parameters, is drawn once and copied to all.

    Args:
      task: recipe of all lanes.
      lanes: seeds and points.
      layout: device mesh that the lanes are spread over.

    Returns:
      A state whose arrays are ``[seeds, points, ...]``, points spread over the mesh;
      lanes of one seed start from the same parameters.
    """
    numbers = numbers_of_problem(task, lanes)
    by_point = layout.sharding(LANE) if numbers else None
    init_net = _run_once(_init_net, (0,), by_point)
    nets = [
        init_net(task.problem, lanes.seeds[i], {k: x[i] for k, x in numbers.items()})
        for i in range(len(lanes.seeds))
    ]
    init_opt = _run_once(_init_opt, (0, 1), layout.sharding(None, LANE))
    return init_opt(
        task.optimizer,
        0 if numbers else None,
        placed(nets, by_point or layout.sharding()),
        jax.tree.map(placed, lanes, lanes.shardings(layout)),
    )


def states_shape(task: Task, lanes: Lanes) -> TrainState:
    """Computes the shapes of the states of all lanes; see `init_states`."""

    def make(lanes: Lanes) -> TrainState:
        numbers = numbers_of_problem(task, lanes)
        first = {name: x[0] for name, x in numbers.items()}
        nets = [_init_net(task.problem, lanes.seeds[0], first)] * len(lanes.seeds)
        return _init_opt(task.optimizer, 0 if numbers else None, nets, lanes)

    return jax.eval_shape(make, lanes)


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
def _run_once(
    function: Callable, static: tuple[int, ...], sharding: NamedSharding | None
) -> Callable:
    """Jits a function that runs once: on a CPU it is compiled in a hurry."""
    return jax.jit(
        function,
        static_argnums=static,
        out_shardings=sharding,
        compiler_options=compiler.in_a_hurry(),
    )
