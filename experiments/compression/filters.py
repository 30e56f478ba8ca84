"""Nets with whole filters removed, beside nets of their shape trained from scratch."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.timing import Status, interleaved
from experiments.compression import stages
from experiments.compression.stages import Nets
from optlab import compress
from optlab.compare import recipe
from optlab.errors import InputError
from optlab.models import cost
from optlab.problems import Problem

#: Ways to a net of few filters, as they are called on the page.
INDEPENDENT, GREEDY, SCRATCH = "independent", "greedy", "from scratch"
WAYS: tuple[str, ...] = (INDEPENDENT, GREEDY, SCRATCH)


class Removed(NamedTuple):
    """Nets of one shape."""

    share: float  # of the filters of every hidden layer that went
    filters: dict[str, int]  # layer to the number that is left
    parameters: int
    multiply_adds: int  # of one image
    seconds: float  # of a batch, median over rounds
    before: dict[str, np.ndarray]  # way -> [seeds], metric before retraining
    after: dict[str, np.ndarray]  # way -> [seeds], metric after the last step


def study(
    dense: Nets, settings: Mapping[str, Any], seeds: Any, status: Status
) -> list[Removed]:
    """Removes shares of the filters, retrains, and trains the same shapes from scratch.

    Retraining and training from scratch end at their last step: no best epoch is
    picked. From scratch has as many epochs as parent and retraining together. The first
    entry is the parents', as a share of 0; each other one is of a share.
    """
    problem = dense.problem
    parent = _values(dense)
    first = dense.of(0)["params"]
    whole = compress.filter_counts(first)
    shapes: list[tuple[float, Problem, Any]] = [(0.0, problem, dense.of(0))]
    both: dict[str, np.ndarray] = dict.fromkeys(WAYS, parent)
    found = [(whole, both, both)]
    for share in settings["shares"]:
        status(f"{100 * share:g}% of the filters removed")
        cut = {
            way: _without(dense, share, greedy=way == GREEDY)
            for way in (INDEPENDENT, GREEDY)
        }
        counts = compress.filter_counts(jax.tree.map(lambda x: x[0], cut[GREEDY]))
        model = {"model": {**settings["model"], **sizes(settings["model"], counts)}}
        small = recipe.make_problem({**settings, **model}, problem.dataset)
        retrained = _retrain(small, cut, settings["retrain"], seeds)
        longer = settings["epochs"] + settings["retrain"]["epochs"]
        long = stages.for_epochs(settings, longer)
        scratch = stages.train_dense(long, small, seeds)
        before = {way: _values(Nets(small, net, {})) for way, net in cut.items()}
        after = {way: _values(nets) for way, nets in retrained.items()}
        found.append((counts, before, after | {SCRATCH: _values(scratch)}))
        shapes.append((share, small, scratch.of(0)))
    seconds = _times(shapes, settings["timing"], status)
    return [
        Removed(
            share, counts, sum(leaf.size for leaf in jax.tree.leaves(net["params"])),
            _work(own, net), time, before, after,
        )
        for (share, own, net), time, (counts, before, after) in zip(
            shapes, seconds, found, strict=True
        )
    ]  # fmt: skip


def sizes(model: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    """Translates numbers of filters, from input to output, into a model's options.

    Raises:
      InputError: the model is none whose filters can be pruned.

    >>> sizes({"name": "cnn"}, {"Conv_0": 4, "Conv_1": 6, "Dense_0": 9, "Dense_1": 10})
    {'features': (4, 6), 'dense': 9}
    """
    *hidden, _ = counts.values()
    if model.get("residual"):
        raise InputError("filters are not pruned where residual links join layers")
    if model["name"] == "mlp":
        return {"hidden": tuple(hidden)}
    if model["name"] in ("cnn", "lenet5"):
        return {"features": tuple(hidden[:-1]), "dense": hidden[-1]}
    raise InputError(
        f"model {model['name']!r}: filters are pruned of cnn, lenet5 and mlp"
    )


def _without(dense: Nets, share: float, greedy: bool) -> Any:
    """Parameters of all seeds with filters removed, ``[seeds, ...]``."""
    nets = [net["params"] for net in dense.each()]
    small = [
        compress.shrink(net, compress.keep_filters(net, share, greedy)) for net in nets
    ]
    return jax.tree.map(lambda *each: jnp.stack(each), *small)


def _retrain(
    problem: Problem, cut: Mapping[str, Any], settings: Mapping[str, Any], seeds: Any
) -> dict[str, Nets]:
    """Trains on, all ways and seeds as lanes of one program."""
    both = jax.tree.map(lambda *each: jnp.concatenate(each), *cut.values())
    together = jnp.tile(seeds, len(cut))
    nets = stages.train_on(Nets(problem, both, {}), settings, together)
    count = len(seeds)
    return {
        way: Nets(
            problem,
            *jax.tree.map(lambda x, i=i: x[i * count : (i + 1) * count], nets[1:]),
        )
        for i, way in enumerate(cut)
    }


def _values(nets: Nets) -> np.ndarray:
    """Deciding metric on the test split, ``[seeds]``."""
    problem, test = nets.problem, nets.problem.dataset.test
    return np.array([stages.deciding_value(problem, net, test) for net in nets.each()])


def _images(problem: Problem, count: int) -> Any:
    """Images of the training split, repeated where it has too few."""
    inputs = problem.dataset.train.inputs
    take = np.arange(count) % jax.tree.leaves(inputs)[0].shape[0]
    return problem.dataset.prepare(jax.tree.map(lambda x: jnp.asarray(x[take]), inputs))


def _work(problem: Problem, net: Mapping[str, Any]) -> int:
    one = _images(problem, 1)
    return cost.multiply_adds(
        lambda params, images: problem.outputs(params, {}, images), net["params"], one
    )


def _times(
    shapes: Sequence[tuple[float, Problem, Any]],
    settings: Mapping[str, Any],
    status: Status,
) -> list[float]:
    """Median seconds of a batch of outputs, all shapes in each round."""
    calls = {}
    for share, problem, net in shapes:
        images = _images(problem, settings["images"])
        outputs = jax.jit(lambda w, x, own=problem: own.outputs(w, {}, x))
        params = jax.tree.map(jnp.asarray, net["params"])
        calls[f"{100 * share:g}%"] = lambda f=outputs, w=params, x=images: (
            jax.block_until_ready(f(w, x))
        )
    seconds = interleaved(calls, settings["rounds"], status)
    return [statistics.median(each) for each in seconds.values()]
