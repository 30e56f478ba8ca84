"""Distillation: a small net taught by the outputs of a large one.

    (1 - a) L(z, y) + a T^2 KL(softmax(z_t / T) || softmax(z / T))

with z the net's outputs, z_t the teacher's, y the targets and L the problem's own loss.

G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network", 2015.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from optlab.errors import InputError
from optlab.problems import Problem


def distilled(
    problem: Problem,
    teacher: Callable[[Any], jax.Array],
    temperature: Any = 4.0,
    weight: Any = 0.9,
) -> Problem:
    """Makes the problem of matching a teacher's outputs.

    Args:
      problem: classification problem with the small net.
      teacher: function from inputs ``[n, ...]`` to logits ``[n, classes]``. It sees
        inputs before augmentation.
      temperature: T, more than 0, by which logits are divided; may be a tracer.
      weight: a, the teacher's share of the loss, in [0, 1]; may be a tracer.

    Returns:
      The problem; its metrics are those of the given one.

    Raises:
      InputError: a number is out of its range.

    >>> from optlab import data, models, problems
    >>> digits = data.load("digits")
    >>> small = problems.classification(models.make("mlp", 10, hidden=(8,)), digits)
    >>> taught = distilled(small, lambda images: jnp.zeros((len(images), 10)))
    >>> batch = taught.make_batch(jax.tree.map(lambda x: x[:3], digits.train))
    >>> taught.loss(jnp.zeros((3, 10)), batch.targets).round(3).tolist()  # ln(10) / 10
    [0.23..., 0.23..., 0.23...]
    """
    if not isinstance(temperature, Tracer) and not temperature > 0:
        raise InputError(f"temperature={temperature}: give a number above 0")
    if not isinstance(weight, Tracer) and not 0 <= weight <= 1:
        raise InputError(f"weight={weight}: give the teacher's share, in [0, 1]")

    def targets(batch):
        return problem.targets(batch), jax.lax.stop_gradient(teacher(batch.inputs))

    def loss(outputs, targets):
        own, taught = targets
        hot, cold = (jax.nn.log_softmax(z / temperature) for z in (taught, outputs))
        divergence = jnp.sum(jnp.exp(hot) * (hot - cold), axis=-1)
        return (1 - weight) * problem.loss(outputs, own) + (
            weight * temperature**2 * divergence
        )

    metrics = tuple(
        metric._replace(of=lambda outputs, both, of=metric.of: of(outputs, both[0]))
        for metric in problem.metrics
    )
    return dataclasses.replace(
        problem, targets=targets, loss=loss, metrics=metrics, residuals=None
    )
