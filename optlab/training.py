"""One training step, one scanned epoch, one evaluation: pure functions to compile.

The step hands every optimizer all that the problem has (value, gradient, the value as
a function, residuals, outputs, the full parameters), so that a second-order method
needs no step of its own and nothing here asks for an optimizer's name.

Under ``jax.pmap`` pass ``axis_name``: a batch is then this device's share, gradients
and metrics are averaged after differentiation, and the functions that an optimizer
would evaluate or differentiate itself are withheld, because differentiating through a
collective gives a wrong gradient there. Second-order methods run under ``jit``. Each
device then takes batch statistics of its share and draws dropout from the same key, so
a net with either agrees with one device under ``jit`` alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from optlab.errors import InputError
from optlab.optim.contract import extra_args
from optlab.optim.info import refuse_accumulation
from optlab.problems import Batch, Problem


class TrainState(NamedTuple):
    """All that the next step needs."""

    step: jax.Array  # [], int32: steps taken
    params: Any
    model_state: Any  # batch statistics and the like; an empty dict for most nets
    opt_state: Any


class Metrics(NamedTuple):
    """Means over the examples of a batch or a split."""

    loss: Any  # []
    accuracy: Any  # [], share of right answers; NaN for regression


def init(
    problem: Problem, tx: optax.GradientTransformation, key: jax.Array
) -> TrainState:
    """The state before the first step.

    Args:
      problem: what is to be minimized.
      tx: the optimizer.
      key: decides the initial parameters.

    Returns:
      A state at step 0.
    """
    params, model_state = problem.init(key)
    return initial_state(params, model_state, tx)


def initial_state(
    params: Any, model_state: Any, tx: optax.GradientTransformation
) -> TrainState:
    """The state before the first step, from parameters that are already there.

    Args:
      params: the initial parameters.
      model_state: batch statistics and the like; an empty dict for most nets.
      tx: the optimizer.

    Returns:
      A state at step 0.

    Raises:
      InputError: ``optax.MultiSteps`` around an optimizer that evaluates the objective.
    """
    opt_state = tx.init(params)
    refuse_accumulation(opt_state)
    return TrainState(jnp.int32(0), params, model_state, opt_state)


def make_step(
    problem: Problem, tx: optax.GradientTransformation, axis_name: str | None = None
) -> Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]:
    """Builds the training step ``(state, batch, key) -> (state, metrics)``.

    Args:
      problem: what is to be minimized.
      tx: the optimizer; its hyperparameters may be tracers.
      axis_name: the mapped axis to average over under ``jax.pmap``.

    Returns:
      A pure function; its metrics are of the batch before the update. When traced
      under ``pmap``, it raises InputError for an optimizer that needs functions.

    >>> import optlab
    >>> from optlab import models, problems
    >>> problem = problems.classification(models.make("mlp", classes=2), (3,))
    >>> tx = optlab.optim.adam(1e-2)
    >>> state = init(problem, tx, jax.random.key(0))
    >>> batch = Batch(jnp.eye(3), jnp.array([0, 1, 1]))
    >>> step = jax.jit(make_step(problem, tx))
    >>> for key in jax.random.split(jax.random.key(1), 50):
    ...     state, metrics = step(state, batch, key)
    >>> int(state.step), bool(metrics.loss < 0.3)
    (50, True)
    """
    tx = optax.with_extra_args_support(tx)

    def step(state: TrainState, batch: Batch, key: jax.Array):
        def outputs_and_state(params):
            return problem.train_outputs(params, state.model_state, batch.inputs, key)

        def output_fn(params):
            return outputs_and_state(params)[0]

        def output_loss_fn(outputs):
            return problem.loss(outputs, batch.targets).mean()

        def loss_fn(params):
            outputs, model_state = outputs_and_state(params)
            metrics = Metrics(
                output_loss_fn(outputs),
                problem.accuracy(outputs, batch.targets).mean(),
            )
            return metrics.loss, (metrics, model_state)

        def residual_fn(params):
            assert problem.residuals is not None
            return problem.residuals(output_fn(params), batch.targets)

        grad, (metrics, model_state) = jax.grad(loss_fn, has_aux=True)(state.params)
        if axis_name is None:
            arguments = extra_args(
                state.params,
                metrics.loss,
                grad,
                value_fn=lambda params: output_loss_fn(output_fn(params)),
                residual_fn=residual_fn if problem.residuals is not None else None,
                output_fn=output_fn,
                output_loss_fn=output_loss_fn,
            )
        else:
            grad, metrics, model_state = lax.pmean(
                (grad, metrics, model_state), axis_name
            )
            arguments = {
                "value": metrics.loss,
                "grad": grad,
                "full_params": state.params,
            }
        try:
            updates, opt_state = tx.update(
                grad, state.opt_state, state.params, **arguments
            )
        except TypeError as error:
            if axis_name is None:
                raise
            raise InputError(
                f"{error}; under pmap the step has no such function: use jit"
            ) from error
        params = optax.apply_updates(state.params, updates)
        return TrainState(state.step + 1, params, model_state, opt_state), metrics

    return step


def epoch_order(key: jax.Array, examples: int, batch_size: int) -> jax.Array:
    """A shuffled pass over the data: which examples make each batch.

    Args:
      key: decides the order.
      examples: how many there are, static.
      batch_size: static; the ``examples % batch_size`` last ones of the shuffle sit
        this epoch out.

    Returns:
      ``[examples // batch_size, batch_size]``, int32.

    >>> epoch_order(jax.random.key(0), 7, 3).shape
    (2, 3)
    """
    steps = examples // batch_size
    order = jax.random.permutation(key, examples).astype(jnp.int32)
    return order[: steps * batch_size].reshape(steps, batch_size)


def scan_epoch(
    step: Callable[[Any, Batch, jax.Array], tuple[Any, Metrics]],
    load_batch: Callable[[jax.Array, jax.Array], Batch],
    state: Any,
    order: jax.Array,
    key: jax.Array,
) -> tuple[Any, Metrics]:
    """Runs a step over an epoch's batches in one ``lax.scan``.

    Args:
      step: ``(state, batch, key) -> (state, metrics)``; the state may hold many lanes.
      load_batch: ``(indices, key) -> Batch``, gathering and augmenting on the device.
      state: whatever the step carries.
      order: ``[steps, batch_size]``, from :func:`epoch_order`.
      key: source of the epoch's dropout and augmentation keys.

    Returns:
      The state after the last step and the metrics of every step, stacked first.
    """

    def body(state, inputs):
        indices, key = inputs
        load_key, step_key = jax.random.split(key)
        return step(state, load_batch(indices, load_key), step_key)

    return lax.scan(body, state, (order, jax.random.split(key, len(order))))


def evaluate(
    outputs_of: Callable[[jax.Array], jax.Array],
    problem: Problem,
    load_batch: Callable[[jax.Array], Batch],
    examples: int,
    batch_size: int = 256,
) -> Metrics:
    """Mean loss and accuracy over a split, in batches of bounded memory.

    Args:
      outputs_of: inputs to outputs, in evaluation mode.
      problem: gives loss and accuracy.
      load_batch: example numbers to a batch.
      examples: how many the split holds, static.
      batch_size: examples at a time, static; a last, partial batch is filled up with
        example 0 at weight 0.

    Returns:
      The means over all examples.
    """
    batches = -(-examples // batch_size)
    numbers = jnp.arange(batches * batch_size, dtype=jnp.int32)
    weights = (numbers < examples).astype(jnp.float32)

    def sums(inputs):
        indices, weight = inputs
        batch = load_batch(indices)
        outputs = outputs_of(batch.inputs)
        return Metrics(
            jnp.sum(weight * problem.loss(outputs, batch.targets)),
            jnp.sum(weight * problem.accuracy(outputs, batch.targets)),
        )

    indices = jnp.where(numbers < examples, numbers, 0)
    shape = (batches, batch_size)
    seen = lax.map(sums, (indices.reshape(shape), weights.reshape(shape)))
    return jax.tree.map(lambda x: x.sum() / examples, seen)
