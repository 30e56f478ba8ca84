"""A net's metrics over a split, in batches of bounded memory."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from optlab.problems import Batch, Problem

#: Metric's name to its value, an array of any shape; ``loss`` is always there.
Metrics = Mapping[str, Any]

#: Largest number of examples evaluated at a time: bounds memory, and changes no result
#: beyond rounding.
EVALUATION_BATCH = 128


def means_of(problem: Problem, outputs: Any, targets: Any) -> dict[str, Any]:
    """Averages each metric's values over the examples of a batch.

    Args:
      problem: problem with the metrics.
      outputs: outputs of its model.
      targets: targets of the batch.

    Returns:
      Metric's name to a tree of scalars, to be finished by `finish`.
    """
    return {
        metric.name: jax.tree.map(
            lambda x: jnp.mean(x, axis=0), metric.of(outputs, targets)
        )
        for metric in problem.metrics
    }


def finish(problem: Problem, means: Mapping[str, Any]) -> dict[str, jax.Array]:
    """Turns means over examples into the values of the metrics.

    Args:
      problem: problem with the metrics.
      means: metric's name to a tree of scalars.

    Returns:
      Metric's name to a scalar.
    """
    return {
        metric.name: metric.finish(means[metric.name]) for metric in problem.metrics
    }


def gather(problem: Problem, split: Any, indices: jax.Array, keys: Any = None) -> Batch:
    """Makes a batch of some examples of a split.

    Args:
      problem: problem that prepares and augments.
      split: a ``Split`` of arrays.
      indices: ``[n]``, which examples.
      keys: ``[n]``, for augmentation; None where there is to be none.

    Returns:
      The batch.
    """
    return problem.make_batch(jax.tree.map(lambda x: x[indices], split), keys)


def evaluate(
    problem: Problem,
    params: Any,
    model_state: Any,
    load_batch: Callable[[jax.Array], Batch],
    examples: int,
    shares: int = 1,
) -> dict[str, jax.Array]:
    """Evaluates every metric over a split, in batches of bounded memory.

    Args:
      problem: problem with the metrics.
      params: parameters of the model.
      model_state: other state of the model.
      load_batch: function from indices ``[n]`` to a batch.
      examples: number of examples in the split, static.
      shares: devices that share a batch. Batches are equal; the last one is filled up
        with example 0 at weight 0.

    Returns:
      Metric's name to a scalar.
    """
    batches = -(-examples // EVALUATION_BATCH)
    batch_size = -(-examples // (batches * shares)) * shares
    indices = jnp.arange(batches * batch_size, dtype=jnp.int32)
    weights = (indices < examples).astype(jnp.float32)

    def sums(inputs):
        indices, weight = inputs
        batch = load_batch(indices)
        outputs = problem.outputs(params, model_state, batch.inputs)
        return {
            metric.name: jax.tree.map(
                lambda x: jnp.tensordot(weight, x, 1, precision="highest"),
                metric.of(outputs, batch.targets),
            )
            for metric in problem.metrics
        }

    indices = jnp.where(indices < examples, indices, 0)
    shape = (batches, batch_size)
    seen = lax.map(sums, (indices.reshape(shape), weights.reshape(shape)))
    return finish(problem, jax.tree.map(lambda x: x.sum(axis=0) / examples, seen))


@functools.partial(jax.jit, static_argnums=0)
def evaluate_split(
    problem: Problem, params: Any, model_state: Any, split: Any
) -> dict[str, jax.Array]:
    """Evaluates every metric of one net over a split, compiled.

    Args:
      problem: problem with the metrics.
      params: parameters of the model.
      model_state: other state of the model.
      split: a ``Split`` of arrays.

    Returns:
      Metric's name to a scalar.
    """
    return evaluate(
        problem,
        params,
        model_state,
        functools.partial(gather, problem, split),
        examples_in(split),
    )


def examples_in(split: Any) -> int:
    """Counts the examples of a split or batch."""
    return jax.tree.leaves(split)[0].shape[0]
