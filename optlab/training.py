"""Training: one step, one scanned epoch, one evaluation, one whole run; all pure.

    trained = optlab.train(problem, tx, seed=0, epochs=30, batch_size=64)
    trained.params, trained.history, trained.evaluate("test")

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

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from optlab import ranges
from optlab.errors import InputError
from optlab.optim.arguments import require_optimizer
from optlab.optim.contract import extra_args
from optlab.optim.evaluation import evaluation_params
from optlab.optim.info import refuse_accumulation
from optlab.problems import Batch, Problem
from optlab.ranges import Range

#: Metric's name to its value, an array of any shape; ``loss`` is always there.
Metrics = Mapping[str, Any]

#: Largest number of examples evaluated at a time: bounds memory, and changes no result
#: beyond rounding.
EVALUATION_BATCH = 128


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


class History(NamedTuple):
    """Metrics of a run."""

    steps: Metrics  # metric -> [epochs * steps of an epoch], of the mini-batches
    #: split -> metric -> [epochs + 1], evaluated before the first step and after epochs
    evaluations: Mapping[str, Metrics]


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("params", "model_state", "history"),
    meta_fields=("problem",),
)
@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained net: a tree of arrays, so that ``jax.vmap`` may return it."""

    params: Any  # at the point where the optimizer wants to be evaluated
    model_state: Any
    history: History
    problem: Problem

    def evaluate(self, split: str) -> dict[str, jax.Array]:
        """Evaluates the net on a split of its problem's data set.

        Args:
          split: ``train``, ``validation`` or ``test``.

        Returns:
          Metric's name to a scalar.
        """
        if split not in ("train", "validation", "test"):
            raise InputError(f"no split {split!r}: train, validation or test")
        examples = getattr(self.problem.dataset, split)
        return evaluate_split(self.problem, self.params, self.model_state, examples)


def train(
    problem: Problem,
    tx: optax.GradientTransformation,
    *,
    seed: Any = 0,
    epochs: int,
    batch_size: int,
) -> Trained:
    """Trains a net: a pure function, for ``jax.jit`` and ``jax.vmap`` too.

    Under ``jax.vmap`` over seeds or over numbers of ``tx`` all runs are one program.
    The comparison trains by the same step, epoch, order of the data and keys, so that a
    seed means the same there. A program of its own rounds in its own way.

    Args:
      problem: model, data set and loss, from `optlab.problems`.
      tx: any optax optimizer; its numbers may be tracers.
      seed: decides initial parameters, order of the data, dropout and augmentation;
        may be a tracer.
      epochs: passes over the training split; each leaves out the remainder of a batch.
      batch_size: examples of a batch.

    Returns:
      Parameters, model state and history: metrics of every step, and of the validation
      split before the first step and after every epoch.

    Raises:
      InputError: what is no problem or no optimizer, no epoch, a batch that is larger
        than the training split, or a negative seed.

    >>> import optlab
    >>> from optlab import data, models, problems
    >>> net = models.make("mlp", classes=10)
    >>> problem = problems.classification(net, data.load("digits"))
    >>> trained = train(problem, optlab.adam(3e-3), seed=0, epochs=5, batch_size=64)
    >>> trained.history.steps["loss"].shape, bool(trained.evaluate("test")["loss"] < 1)
    ((100,), True)
    >>> def run(rate):
    ...     return train(problem, optlab.adam(rate), epochs=1, batch_size=64)
    >>> jax.vmap(run)(jnp.array([1e-3, 1e-2])).history.steps["loss"].shape
    (2, 20)
    """
    if not isinstance(problem, Problem):
        raise InputError(
            f"train: {type(problem).__name__} is no problem: make one of a model and a "
            "data set by problems.classification(model, dataset) or regression"
        )
    require_optimizer("train", tx)
    examples = examples_in(problem.dataset.train)
    declared = {
        "epochs": ranges.COUNT,
        "batch_size": Range(
            ranges.WHOLE,
            f"from 1 to the {examples} training examples",
            lambda size: 1 <= size <= examples,
        ),
        "seed": ranges.SEED,
    }
    numbers = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    ranges.check("train", declared, numbers)
    splits = problem.dataset.train, problem.dataset.validation
    params, model_state, history = _run(
        problem, tx, epochs, batch_size, jnp.asarray(seed, jnp.uint32), *splits
    )
    return Trained(params, model_state, history, problem)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _run(
    problem: Problem,
    tx: optax.GradientTransformation,
    epochs: int,
    batch_size: int,
    seed: jax.Array,
    split: Any,
    validation: Any,
) -> tuple[Any, Any, History]:
    step = make_step(problem, tx)

    def load_batch(indices, key):
        return gather(problem, split, indices, jax.random.split(key, len(indices)))

    def validate(state):
        return evaluate(
            problem,
            evaluation_params(state.opt_state, state.params),
            state.model_state,
            functools.partial(gather, problem, validation),
            examples_in(validation),
        )

    def segment(state, epoch):
        shape = examples_in(split), batch_size
        state, metrics = train_epoch(step, load_batch, state, seed, epoch, shape)
        return state, (metrics, validate(state))

    start = initial_state(*init_run(problem, seed), tx)
    first = validate(start)
    state, (steps, later) = lax.scan(segment, start, jnp.arange(epochs))
    history = History(
        steps=jax.tree.map(jnp.ravel, steps),
        evaluations={
            "validation": jax.tree.map(
                lambda x, rest: jnp.concatenate([x[None], rest]), first, later
            )
        },
    )
    params = evaluation_params(state.opt_state, state.params)
    return params, state.model_state, history
