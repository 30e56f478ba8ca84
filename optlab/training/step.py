"""The training step, and the scanned epoch that is made of it.

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
from optlab.training.evaluation import Metrics, finish, means_of


class TrainState(NamedTuple):
    """State of a run between two steps."""

    step: jax.Array  # [], int32: steps taken
    params: Any
    model_state: Any  # batch statistics and the like; an empty dict for most nets
    opt_state: Any


def init(
    problem: Problem, tx: optax.GradientTransformation, key: jax.Array
) -> TrainState:
    """Draws the state before the first step.

    Args:
      problem: problem with the model.
      tx: optimizer.
      key: source of the initial parameters.

    Returns:
      A state at step 0.
    """
    params, model_state = problem.init(key)
    return initial_state(params, model_state, tx)


def initial_state(
    params: Any, model_state: Any, tx: optax.GradientTransformation
) -> TrainState:
    """Makes the state before the first step from given parameters.

    Args:
      params: initial parameters.
      model_state: batch statistics and the like; an empty dict for most nets.
      tx: optimizer.

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
      problem: problem to minimize.
      tx: optimizer; its hyperparameters may be tracers.
      axis_name: the mapped axis to average over under ``jax.pmap``.

    Returns:
      A pure function; its metrics are of the batch before the update. When traced
      under ``pmap``, it raises InputError for an optimizer that needs functions.

    >>> import optlab
    >>> from optlab import data, models, problems
    >>> digits = data.load("digits")
    >>> problem = problems.classification(models.make("mlp", classes=10), digits)
    >>> tx = optlab.adam(1e-2)
    >>> state = init(problem, tx, jax.random.key(0))
    >>> batch = problem.make_batch(jax.tree.map(lambda x: x[:64], digits.train))
    >>> step = jax.jit(make_step(problem, tx))
    >>> for key in jax.random.split(jax.random.key(1), 50):
    ...     state, metrics = step(state, batch, key)
    >>> int(state.step), bool(metrics["loss"] < 0.3)
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
            loss = output_loss_fn(outputs)
            return loss, (loss, means_of(problem, outputs, batch.targets), model_state)

        def residual_fn(params):
            assert problem.residuals is not None
            return problem.residuals(output_fn(params), batch.targets)

        grad, aux = jax.grad(loss_fn, has_aux=True)(state.params)
        loss, means, model_state = aux
        if axis_name is None:
            arguments = extra_args(
                state.params,
                loss,
                grad,
                value_fn=lambda params: output_loss_fn(output_fn(params)),
                residual_fn=residual_fn if problem.residuals is not None else None,
                output_fn=output_fn,
                output_loss_fn=output_loss_fn,
            )
        else:
            grad, loss, means, model_state = lax.pmean(
                (grad, loss, means, model_state), axis_name
            )
            arguments = {"value": loss, "grad": grad, "full_params": state.params}
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
        state = TrainState(state.step + 1, params, model_state, opt_state)
        return state, finish(problem, means)

    return step


def epoch_order(key: jax.Array, examples: int, batch_size: int) -> jax.Array:
    """Shuffles the examples of one epoch into batches.

    Args:
      key: source of the order.
      examples: number of examples, static.
      batch_size: examples of a batch, static; the ``examples % batch_size`` last ones
        of the shuffle are left out of this epoch.

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
      state: value that the step carries.
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


def train_epoch(
    step: Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]],
    load_batch: Callable[[jax.Array, jax.Array], Batch],
    state: TrainState,
    seed: Any,
    epoch: Any,
    shape: tuple[int, int],
) -> tuple[TrainState, Metrics]:
    """Trains for one epoch: the segment of which every run is made.

    Args:
      step: training step, from `make_step`.
      load_batch: function from indices ``[batch]`` and a key to a batch.
      state: state before the epoch.
      seed: seed of the run, which with the epoch decides order, dropout, augmentation.
      epoch: index of the epoch, from 0.
      shape: examples of the split and examples of a batch.

    Returns:
      The state after the epoch, and metrics of every step ``[steps]``.
    """
    _, train_key = jax.random.split(jax.random.key(seed))
    order_key, key = jax.random.split(jax.random.fold_in(train_key, epoch))
    return scan_epoch(step, load_batch, state, epoch_order(order_key, *shape), key)


def init_run(problem: Problem, seed: Any) -> tuple[Any, Any]:
    """Draws the initial parameters and model state of a run.

    Args:
      problem: problem with the model.
      seed: seed of the run.

    Returns:
      Parameters and model state.
    """
    init_key, _ = jax.random.split(jax.random.key(seed))
    return problem.init(init_key)
