"""Problems: a data set, a net and a loss, as pure functions and arrays.

Only a problem knows what an example looks like, what its loss is and which metric
decides. Optimizers, sweeps and comparisons see parameters go in and numbers come out.

    net = models.make("mlp", classes=10)
    problem = problems.classification(net, data.load("digits"))
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optlab import losses
from optlab.data.dataset import Dataset
from optlab.errors import InputError, check_choice, first_line, origin
from optlab.losses import Loss
from optlab.models.functions import functions_of


class Metric(NamedTuple):
    """A figure of a whole split: ``finish`` of the means of each example's values."""

    name: str
    higher: bool  # whether a higher value is the better one
    percent: bool  # whether it is a share in [0, 1], printed as a percentage
    of: Callable[[Any, Any], Any]  # outputs, targets -> tree of arrays [n]
    finish: Callable[[Any], Any] = lambda means: means  # tree of scalars -> scalar

    def check_target(self, label: str, target: float) -> None:
        """Refuses a target that no value of the metric can reach."""
        if self.percent and not 0 <= target <= 1:
            raise InputError(
                f"{label}={target:g}: {self.name} is a share from 0 to 1, 0.95 for 95%"
            )

    def met(self, values: np.ndarray, target: float) -> np.ndarray:
        """Tells which values are at a target or on its better side."""
        # In the type of the values: 0.95 as float32 is below 0.95 as float64.
        bound = np.asarray(target, values.dtype)
        return values >= bound if self.higher else values <= bound


class Batch(NamedTuple):
    """Examples as a model takes them."""

    inputs: Any  # tree of arrays [n, ...]
    targets: Any  # tree of arrays [n, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A data set, a net and a loss.

    ``loss`` is per example; what an optimizer minimizes is its mean over a batch.
    ``residuals``, where the loss is a sum of squares, satisfies
    ``0.5 * sum(residuals(outputs, targets)**2) == mean(loss(outputs, targets))``.
    A problem is equal to itself alone, so that ``jax.jit`` takes one as a static
    argument.
    """

    dataset: Dataset
    init: Callable[[jax.Array], tuple[Any, Any]]  # key -> params, model_state
    train_outputs: Callable[..., tuple[Any, Any]]  # params, state, inputs, key
    outputs: Callable[..., Any]  # params, state, inputs: evaluation mode
    loss: Callable[[Any, Any], jax.Array]  # outputs, targets -> [n]
    metrics: tuple[Metric, ...]  # the first one decides
    residuals: Callable[[Any, Any], jax.Array] | None = None
    augment: Callable[[jax.Array, Any], Any] | None = None  # keys [n], inputs -> inputs
    #: batch -> targets: the data set's own, or made from the inputs
    targets: Callable[[Batch], Any] = lambda batch: batch.targets

    def make_batch(self, stored: Any, keys: jax.Array | None = None) -> Batch:
        """Prepares gathered examples for the model.

        Args:
          stored: ``Split`` of the examples, as stored.
          keys: ``[n]``, for augmentation; None where there is to be none.

        Returns:
          The batch.
        """
        prepared = Batch(self.dataset.prepare(stored.inputs), stored.targets)
        batch = prepared._replace(targets=self.targets(prepared))
        if self.augment is None or keys is None:
            return batch
        return batch._replace(inputs=self.augment(keys, batch.inputs))


def outputs_of(kind: str, dataset: Dataset) -> int:
    """Counts the outputs that a net needs for one example.

    Args:
      kind: key of ``PROBLEMS``.
      dataset: the examples.

    Returns:
      Classes, numbers of a target, or numbers of an input.

    Raises:
      InputError: the kind is unknown, or does not fit the data set.
    """
    check_choice("kind of problem", kind, PROBLEMS)
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"{type(dataset).__name__} is no data set: make one by data.load(name) or "
            "data.from_arrays(name, train=..., validation=..., test=...)"
        )
    if kind == "classification":
        if dataset.classes is None:
            raise InputError(
                f"{dataset.name} has no classes: its problem is 'regression' or "
                "'autoencoder'; where its targets are class indices or one-hot rows, "
                "give data.from_arrays their number, classes=..."
            )
        return dataset.classes
    if kind == "regression":
        return _numbers(dataset, "targets of a regression", dataset.train.targets)
    inputs = jax.eval_shape(dataset.prepare, dataset.train.inputs)
    return _numbers(dataset, "inputs of an autoencoder", inputs)


def classification(
    module: Any,
    dataset: Dataset,
    *,
    loss: Loss | None = None,
    augment: Callable[[jax.Array, Any], Any] | None = None,
) -> Problem:
    """Makes the problem of telling classes apart.

    Args:
      module: ``flax.linen`` module called as ``module(inputs)``, or a pair of functions
        ``init(key, inputs)`` and ``apply(params, inputs)``: a tuple, or any object that
        has them. Where the call names ``train``, ``training`` or ``deterministic``, it
        is passed; likewise ``key=None`` of ``apply``, for dropout.
      dataset: examples whose targets are class indices.
      loss: see `optlab.losses`; cross-entropy by default.
      augment: see `optlab.data.augment.make`.

    Returns:
      The problem; accuracy decides, the share of examples whose largest output is that
      of their class.

    Raises:
      InputError: the data set has no classes, or the module cannot take its inputs or
        has another number of outputs.

    >>> from optlab import data, models
    >>> problem = classification(models.make("mlp", classes=10), data.load("digits"))
    >>> params, model_state = problem.init(jax.random.key(0))
    >>> problem.outputs(params, model_state, jnp.ones((2, 8, 8, 1))).shape
    (2, 10)

    A flax.nnx or Equinox net is such a pair: split it into parameters and the rest.

    >>> from flax import nnx
    >>> def net(key):
    ...     return nnx.Linear(64, 10, rngs=nnx.Rngs(key))
    >>> graph, _ = nnx.split(net(jax.random.key(0)))
    >>> def init(key, inputs):
    ...     return nnx.state(net(key), nnx.Param)
    >>> def apply(params, inputs):
    ...     return nnx.merge(graph, params)(inputs.reshape(len(inputs), -1))
    >>> problem = classification((init, apply), data.load("digits"))
    """
    classes = outputs_of("classification", dataset)

    def right(outputs, targets):
        return (outputs.argmax(-1) == targets).astype(jnp.float32)

    loss = loss or losses.make("cross_entropy")
    metrics = (Metric("accuracy", higher=True, percent=True, of=right),)
    return _problem(module, dataset, loss, metrics, augment, classes)


def regression(
    module: Any,
    dataset: Dataset,
    *,
    loss: Loss | None = None,
    augment: Callable[[jax.Array, Any], Any] | None = None,
) -> Problem:
    """Makes the problem of predicting numbers.

    Args:
      module: module or pair, see `classification`.
      dataset: examples with floating-point targets ``[n]`` or ``[n, ...]``.
      loss: see `optlab.losses`; half the squared error by default.
      augment: see `optlab.data.augment.make`.

    Returns:
      The problem; the mean squared error decides. The other metric is
      R^2 = 1 - mse / variance of the split's targets.

    Raises:
      InputError: targets that are no numbers, or a module that cannot take the inputs
        or has another number of outputs.
    """
    outputs = outputs_of("regression", dataset)
    center = dataset.train.targets.mean(axis=0)

    def moments(outputs, targets):
        error = losses.error(outputs, targets)
        # Guard: a mean much larger than the deviation would cancel its digits.
        rows = (targets - center).reshape(error.shape)
        return {"mse": error**2, "first": rows, "second": rows**2}

    def r2(means):
        variance = jnp.sum(means["second"] - means["first"] ** 2)
        return 1 - jnp.sum(means["mse"]) / variance

    metrics = _mse(), Metric("R2", higher=True, percent=False, of=moments, finish=r2)
    loss = loss or losses.make("squared_error")
    return _problem(module, dataset, loss, metrics, augment, outputs)


def autoencoder(
    module: Any,
    dataset: Dataset,
    *,
    loss: Loss | None = None,
    augment: Callable[[jax.Array, Any], Any] | None = None,
) -> Problem:
    """Makes the problem of reconstructing inputs: the targets are the inputs.

    Args:
      module: module or pair, see `classification`, with as many outputs as an input
        has numbers.
      dataset: examples with floating-point inputs; their targets are not used.
      loss: see `optlab.losses`; half the squared error by default.
      augment: see `optlab.data.augment.make`; the targets stay as they were, so that
        noise makes a denoising autoencoder.

    Returns:
      The problem; the mean squared error of a number decides.

    Raises:
      InputError: a module that cannot take the inputs or has other outputs.
    """
    outputs = outputs_of("autoencoder", dataset)
    loss = loss or losses.make("squared_error")
    targets = lambda batch: batch.inputs.reshape(len(batch.inputs), -1)  # noqa: E731
    return _problem(module, dataset, loss, (_mse(),), augment, outputs, targets=targets)


def decided_by(problem: Problem, name: str) -> Problem:
    """Chooses the metric that decides.

    Args:
      problem: with that metric.
      name: name of one of its metrics; ``loss`` is always among them.

    Returns:
      The problem, with the metric in front.

    Raises:
      InputError: the problem has no such metric.
    """
    known = {metric.name: metric for metric in problem.metrics}
    check_choice("metric", name, known, "this problem")
    others = (metric for metric in problem.metrics if metric.name != name)
    return dataclasses.replace(problem, metrics=(known[name], *others))


#: Kind to function (module, dataset, loss=..., augment=...) -> Problem.
PROBLEMS: dict[str, Callable[..., Problem]] = {
    "classification": classification,
    "regression": regression,
    "autoencoder": autoencoder,
}


def _mse() -> Metric:
    def squares(outputs, targets):
        return jnp.mean(losses.error(outputs, targets) ** 2, axis=-1)

    return Metric("mse", higher=False, percent=False, of=squares)


def _numbers(dataset: Dataset, part: str, array: Any) -> int:
    """Counts the numbers of an example of an array, which must be floating point."""
    dtype = getattr(array, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(
            f"{dataset.name}: {part} must be one floating-point array, not "
            f"{dtype or type(array).__name__}"
        )
    return math.prod(array.shape[1:])


def _problem(
    module: Any,
    dataset: Dataset,
    loss: Loss,
    metrics: tuple[Metric, ...],
    augment: Callable | None,
    outputs: int,
    **others: Any,
) -> Problem:
    """The problem, once the module has been seen to take the inputs."""
    if not isinstance(loss, Loss):
        raise InputError(
            f"loss is a {type(loss).__name__}, no Loss: give losses.make(name), or "
            "losses.Loss(function)"
        )
    one = jax.tree.map(lambda x: x[:1], dataset.train.inputs)
    init, train_outputs, evaluate = functions_of(module, lambda: dataset.prepare(one))
    problem = Problem(
        dataset=dataset,
        init=init,
        train_outputs=train_outputs,
        outputs=evaluate,
        loss=loss.of,
        metrics=(*metrics, Metric("loss", higher=False, percent=False, of=loss.of)),
        residuals=loss.residuals,
        augment=augment,
        **others,
    )
    few = jax.tree.map(lambda x: x[:2], dataset.train)

    def trial(stored):
        params, model_state = init(jax.random.key(0))
        batch = problem.make_batch(stored)
        return evaluate(params, model_state, batch.inputs), batch

    try:
        found, batch = jax.eval_shape(trial, few)  # compiles nothing
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        if isinstance(error, InputError) or origin(error) == "user":
            raise
        shape = jax.tree.map(lambda x: tuple(x.shape[1:]), dataset.train.inputs)
        raise InputError(
            f"this model cannot take inputs of shape {shape}: {first_line(error)}"
        ) from error
    sizes = jax.tree.map(lambda x: math.prod(x.shape[1:]) if x.ndim else 0, found)
    if sizes != outputs:
        raise InputError(
            f"this model gives {sizes} outputs an example where {outputs} are needed"
        )
    values = jax.eval_shape(loss.of, found, batch.targets)
    if getattr(values, "shape", None) != found.shape[:1]:
        raise InputError(
            "a loss gives an array [n] of one number an example, but this one gives "
            f"{jax.tree.map(lambda x: x.shape, values)} for n={found.shape[0]}"
        )
    return problem
