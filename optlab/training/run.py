"""One whole run: `train`, and the trained net that it returns."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from optlab import ranges
from optlab.errors import InputError
from optlab.optim.arguments import require_optimizer
from optlab.optim.evaluation import evaluation_params
from optlab.problems import Problem
from optlab.ranges import Range
from optlab.training.evaluation import (
    Metrics,
    evaluate,
    evaluate_split,
    examples_in,
    gather,
)
from optlab.training.step import init_run, initial_state, make_step, train_epoch


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
@dataclasses.dataclass(frozen=True, eq=False)
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

        Raises:
          InputError: there is no such split, or these are several nets.
        """
        if split not in ("train", "validation", "test"):
            raise InputError(f"no split {split!r}: train, validation or test")
        one, _ = jax.eval_shape(self.problem.init, jax.random.key(0))
        if jax.tree.map(jnp.shape, one) != jax.tree.map(jnp.shape, self.params):
            raise InputError(
                "these are several nets, of a vmap: evaluate each, "
                f"jax.vmap(lambda trained: trained.evaluate({split!r}))(trained)"
            )
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
