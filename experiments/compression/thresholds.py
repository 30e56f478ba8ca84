"""Learned thresholds beside pruning by magnitude: error against weights kept."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.isotonic import IsotonicRegression

from experiments.compression import stages
from experiments.compression.stages import Nets
from optlab import compress
from optlab.report.figures.compression import Curve


def by_magnitude(dense: Nets, settings: Mapping[str, Any], seeds: Any) -> Curve:
    """Prunes to several sparsities, gradually and by magnitude over all layers.

    A point of the curve is a sparsity, with the deciding metric on the test split; all
    are lanes of one program.
    """

    def lane(seed, params, model_state, sparsity):
        recipe = {**settings["prune"], "sparsity": sparsity}
        net = stages.pruned_net(dense.problem, recipe, seed, params, model_state)
        return _judged(dense, *net)

    return _curve(dense, lane, settings["thresholds"]["sparsities"], seeds)


def by_thresholds(dense: Nets, settings: Mapping[str, Any], seeds: Any) -> Curve:
    """Learns thresholds under penalties of several strengths, hardens and retrains.

    The epochs are those of the pruning by magnitude: as many as its masks change in
    learn thresholds, and the rest retrains the weights above them. While thresholds are
    learned, weights are trained by ``prune.optimizer`` without its schedule.

    A point of the curve is a strength, with the same metric; all are lanes of one
    program.
    """
    prune, own = settings["prune"], settings["thresholds"]
    epochs = prune["pruning_epochs"]
    learning = {**prune, "epochs": epochs, "schedule": {"name": "constant"}}
    retraining = stages.for_epochs(prune, prune["epochs"] - epochs)

    def lane(seed, params, model_state, strength):
        taught = stages.taught_by(dense.problem, params, model_state, prune)
        problem = compress.thresholded(taught, params, model_state, own["sharpness"])
        tx = optax.chain(
            compress.add_threshold_penalty(strength, own["sharpness"]),
            optax.partition(
                {
                    "weights": stages.optimizer(learning, taught),
                    "thresholds": optax.adam(own["rate"]),
                },
                {"weights": "weights", "log_thresholds": "thresholds"},
            ),
        )
        both, state = stages.trained(problem, tx, learning, seed)
        hard = compress.harden(both)
        masks = jax.tree.map(lambda w: (w != 0) | (w.ndim < 2), hard)
        tx = stages.optimizer(retraining, dense.problem)
        start = stages.starting_at(taught, hard, state)
        tx = compress.pruned(tx, 0.0, masks=masks)
        return _judged(dense, *stages.trained(start, tx, retraining, seed))

    return _curve(dense, lane, own["strengths"], seeds)


def kept_at(curve: Curve, value: float) -> float | None:
    """Computes the share that a curve keeps at an error; lower errors are better.

    It is the least share at which the mean error is no larger, interpolated in its
    logarithm after the errors are made monotone by least squares; None outside of the
    curve.

    >>> kept = np.array([[0.1, 0.2, 0.4]])
    >>> share = kept_at(Curve(kept, np.array([[4.0, 2.0, 2.0]])), 3.0)
    >>> round(share, 3)  # half of the way from 0.1 to 0.2, in the logarithm
    0.141
    """
    kept, values = curve.shares.mean(axis=0), curve.values.mean(axis=0)
    order = np.argsort(kept)
    x = np.log(kept[order])
    y = IsotonicRegression(increasing=False).fit_transform(x, values[order])
    reached = np.flatnonzero(y <= value)
    if not len(reached) or reached[0] == 0:
        return None
    i = reached[0]
    part = (y[i - 1] - value) / (y[i - 1] - y[i])
    return float(np.exp(x[i - 1] + part * (x[i] - x[i - 1])))


def _curve(dense: Nets, lane: Any, points: Any, seeds: Any) -> Curve:
    of_points = jax.vmap(lane, (None, None, None, 0))
    program = jax.jit(jax.vmap(of_points, (0, 0, 0, None)))
    kept, values = program(seeds, dense.params, dense.model_state, jnp.array(points))
    return Curve(np.asarray(kept), np.asarray(values))


def _judged(dense: Nets, params: Any, model_state: Any) -> tuple[Any, Any]:
    test = jax.tree.map(jnp.asarray, dense.problem.dataset.test)
    kept = compress.density(jax.tree.map(lambda w: w != 0, params))
    net = {"params": params, **model_state}
    return kept, stages.deciding_value(dense.problem, net, test)
