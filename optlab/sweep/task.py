"""A recipe as functions of the numbers that are swept, and the lanes that sweep them.

A lane is one training run. Its seed decides initial parameters, data order, dropout
and augmentation; its point is a set of hyperparameters. Lanes of one seed see the
same batches, so that optimizers and rates are compared on common random numbers and a
batch is gathered once for all of them. Seeds and points are traced: another rate, or
another seed, costs no compile.

Arrays of lanes are ``[seeds, points, ...]`` everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab.data import Dataset
from optlab.problems import Problem
from optlab.sweep.parallel import LANE, Layout
from optlab.training import examples_in

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

    def shardings(self, layout: Layout) -> "Lanes":
        """Shardings of the arrays: points over the mesh, seeds on every device."""
        by_lane = jax.tree.map(lambda _: layout.sharding(None, LANE), self)
        return by_lane._replace(seeds=layout.sharding())


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


def numbers_of_problem(task: Task, lanes: Lanes) -> Point:
    """Takes the swept numbers that a task's problem reads.

    Args:
      task: recipe of all lanes.
      lanes: seeds and points.

    Returns:
      Name to values ``[seeds, points]``.
    """
    return {name: lanes.hyperparameters[name] for name in task.problem_numbers}
