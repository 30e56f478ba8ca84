"""Nets of all seeds as they go through a stage, each stage one compiled program.

Arrays of nets are ``[seeds, ...]``: one program trains the nets of all seeds, so that a
net and its dense parent are paired by the seed.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optlab import compress, ranges
from optlab.compare import recipe
from optlab.errors import InputError
from optlab.problems import Problem
from optlab.ranges import Range
from optlab.training import evaluate_split, examples_in, train

#: Range of the first of consecutive seeds.
FIRST_SEED = Range(ranges.WHOLE, "at most 2^31", lambda seed: seed <= 2**31)

#: Nets of a sensitivity scan that are evaluated at a time: bounds memory.
SCANNED_TOGETHER = 16


class Nets(NamedTuple):
    """Nets of one kind, a net a seed."""

    problem: Problem
    params: Any  # [seeds, ...]; may hold compressed weights
    model_state: Any  # [seeds, ...]

    def of(self, i: int) -> dict[str, Any]:
        """Takes the net of one seed: its variables as NumPy arrays."""
        variables = {"params": self.params, **self.model_state}
        return jax.tree.map(lambda x: np.asarray(x[i]), variables)

    def each(self) -> list[dict[str, Any]]:
        """Takes the net of every seed."""
        seeds = jax.tree.leaves(self.params)[0].shape[0]
        return [self.of(i) for i in range(seeds)]


def deciding_value(problem: Problem, variables: Mapping[str, Any], split: Any) -> Any:
    """Evaluates the metric that decides, a scalar, for one net on a `Split` of arrays.

    Its parameters may be compressed.
    """
    state = {key: value for key, value in variables.items() if key != "params"}
    params = compress.plain(variables["params"])
    found = evaluate_split(problem, params, state, split)
    return found[problem.metrics[0].name]


def seeds_of(settings: Mapping[str, Any]) -> jax.Array:
    """Makes the consecutive seeds of all stages, ``[seeds]``, uint32."""
    first = settings["first_seed"]
    return jnp.arange(first, first + settings["seeds"], dtype=jnp.uint32)


def train_dense(settings: Mapping[str, Any], problem: Problem, seeds: Any) -> Nets:
    """Trains the dense parents from scratch."""

    def lane(seed):
        return trained(problem, optimizer(settings, problem), settings, seed)

    return Nets(problem, *jax.jit(jax.vmap(lane))(seeds))


def train_on(nets: Nets, settings: Mapping[str, Any], seeds: Any) -> Nets:
    """Trains nets further, each from where it is and with a seed of its own."""

    def lane(seed, params, model_state):
        start = starting_at(nets.problem, params, model_state)
        return trained(start, optimizer(settings, nets.problem), settings, seed)

    found = jax.jit(jax.vmap(lane))(seeds, nets.params, nets.model_state)
    return Nets(nets.problem, *found)


def prune(dense: Nets, settings: Mapping[str, Any], seeds: Any) -> Nets:
    """Prunes gradually while training goes on; nets get exact zeros.

    ``settings`` are the recipe of the retraining, with ``sparsity``, ``pruning_epochs``
    (of ``epochs``), ``every`` (steps between two prunings), and ``weight`` and
    ``temperature`` of the parent's outputs in the loss.
    """

    def lane(seed, params, model_state):
        return pruned_net(dense.problem, settings, seed, params, model_state)

    nets = jax.jit(jax.vmap(lane))(seeds, dense.params, dense.model_state)
    return Nets(dense.problem, *nets)


def pruned_net(
    problem: Problem,
    settings: Mapping[str, Any],
    seed: Any,
    params: Any,
    model_state: Any,
) -> tuple[Any, Any]:
    """Prunes one net, see `prune`; all numbers may be tracers but those of epochs.

    The last pruning is before the last epoch. Parameters and model state are the
    parent's; those returned have exact zeros.
    """
    tx = compress.pruned(
        optimizer(settings, problem),
        settings["sparsity"],
        end=settings["pruning_epochs"] * steps_per_epoch(settings, problem),
        every=settings["every"],
    )
    taught = taught_by(problem, params, model_state, settings)
    return trained(starting_at(taught, params, model_state), tx, settings, seed)


def taught_by(
    problem: Problem, params: Any, model_state: Any, settings: Mapping[str, Any]
) -> Problem:
    """Adds a parent's outputs to the loss, by their ``weight`` and ``temperature``.

    Returns the given problem where the weight is 0.
    """
    if not settings["weight"]:
        return problem

    def teacher(inputs):
        return problem.outputs(params, model_state, inputs)

    return compress.distilled(
        problem, teacher, settings["temperature"], settings["weight"]
    )


def scan(dense: Nets, sparsities: Any) -> np.ndarray:
    """Evaluates nets of which one layer is pruned, a layer and a sparsity at a time.

    Nothing is retrained. All layers, sparsities and seeds are lanes of one program.

    Returns:
      Deciding metric on the validation split, ``[seeds, layers, sparsities]``.
    """
    problem, levels = dense.problem, jnp.asarray(sparsities)
    layers = len(compress.kernel_names(dense.of(0)["params"]))
    validation = jax.tree.map(jnp.asarray, problem.dataset.validation)

    def net(params, model_state):
        def lane(point):
            masks = compress.one_layer_magnitude(params, point[1], point[0])
            pruned = jax.tree.map(lambda w, m: jnp.where(m, w, 0), params, masks)
            found = evaluate_split(problem, pruned, model_state, validation)
            return found[problem.metrics[0].name]

        points = jnp.meshgrid(jnp.arange(layers), levels, indexing="ij")
        lanes = tuple(each.ravel() for each in points)
        return jax.lax.map(lane, lanes, batch_size=SCANNED_TOGETHER)

    found = jax.jit(jax.vmap(net))(dense.params, dense.model_state)
    return np.asarray(found).reshape(-1, layers, len(levels))


def share(pruned: Nets, settings: Mapping[str, Any], seeds: Any) -> Nets:
    """Clusters the weights of each layer and trains the centroids.

    ``settings`` are the recipe of the training, with ``bits`` and ``start`` of the
    clustering. The nets get `Shared` kernels, and biases and centroids of 16 bits.
    """

    def lane(seed, params, model_state):
        net = compress.share(params, settings["bits"], start=settings["start"])
        problem = compress.shared(pruned.problem, net, model_state)
        tx = optimizer(settings, pruned.problem)
        centroids, state = trained(problem, tx, settings, seed)
        net = compress.with_codes(centroids, state["codes"])
        return compress.halve(net), state["model"]

    nets = jax.jit(jax.vmap(lane))(seeds, pruned.params, pruned.model_state)
    return Nets(pruned.problem, *nets)


def distill(
    dense: Nets, student: Problem, settings: Mapping[str, Any], seeds: Any
) -> Nets:
    """Trains small nets, the students, on the outputs of their parents.

    ``settings`` are the recipe of the small net, with ``temperature`` and ``weight``.
    """

    def lane(seed, params, model_state):
        def teacher(inputs):
            return dense.problem.outputs(params, model_state, inputs)

        problem = compress.distilled(
            student, teacher, settings["temperature"], settings["weight"]
        )
        return trained(problem, optimizer(settings, student), settings, seed)

    nets = jax.jit(jax.vmap(lane))(seeds, dense.params, dense.model_state)
    return Nets(student, *nets)


def quantize(dense: Nets, bits: int, mmse: bool = False) -> Nets:
    """Quantizes each output's weights of each kernel to whole numbers (`Quantized`).

    With ``mmse`` scales have the least squared error instead of the full range.
    """
    of = compress.mmse_quantize if mmse else compress.quantize

    def lane(params):
        return jax.tree.map(
            lambda leaf: (
                of(leaf, bits, axis=_output_axis(leaf)) if leaf.ndim > 1 else leaf
            ),
            params,
        )

    return dense._replace(params=jax.jit(jax.vmap(lane))(dense.params))


def quantize_key_layers(dense: Nets, bits: int, most: float) -> list[Any]:
    """Quantizes by least squared error, sensitive layers to the sum of two arrays.

    These are layers whose squared error, relative to the squares of the weights, is
    above ``most``. ``bits`` are those of a weight in either array. Returns the
    variables of each seed: their sensitive layers may differ.
    """

    @jax.jit
    def both(leaf):
        axis = _output_axis(leaf)
        single = compress.mmse_quantize(leaf, bits, axis)
        error = jnp.sum((leaf - compress.dequantize(single)) ** 2)
        two = compress.mmse_two_tensors(leaf, bits, axis)
        return single, two, error / jnp.maximum(jnp.sum(leaf**2), 1e-30)

    def of(leaf):
        if leaf.ndim < 2:
            return leaf
        single, two, error = jax.tree.map(np.asarray, both(leaf))
        return two if error > most else single

    return [net | {"params": jax.tree.map(of, net["params"])} for net in dense.each()]


def factorize(dense: Nets, energy: float) -> list[Any]:
    """Cuts the singular values of each kernel, seed by seed: ranks may differ.

    ``energy`` is the share of the squared singular values that is kept.
    """
    return [
        net | {"params": compress.factorize(net["params"], energy)}
        for net in dense.each()
    ]


def _output_axis(kernel: Any) -> int:
    """Dense kernels are ``[out, in]``, those of convolutions ``[..., in, out]``."""
    return 0 if kernel.ndim == 2 else kernel.ndim - 1


def trained(
    problem: Problem, tx: Any, settings: Mapping[str, Any], seed: Any
) -> tuple[Any, Any]:
    """Trains one net, and returns its parameters and model state."""
    sizes = {key: settings[key] for key in ("epochs", "batch_size")}
    net = train(problem, tx, seed=seed, **sizes)
    return net.params, net.model_state


def optimizer(
    settings: Mapping[str, Any], problem: Problem
) -> optax.GradientTransformationExtraArgs:
    """Makes the optimizer of a stage's recipe."""
    return recipe.make_optimizer(settings, steps_per_epoch(settings, problem))


def steps_per_epoch(settings: Mapping[str, Any], problem: Problem) -> int:
    """Counts the steps of an epoch.

    Raises:
      InputError: a batch is larger than the training split.
    """
    examples = examples_in(problem.dataset.train)
    if (size := settings["batch_size"]) > examples:
        raise InputError(f"batch_size={size} of {examples} training examples")
    return examples // size


@contextlib.contextmanager
def section(name: str) -> Iterator[None]:
    """Names a section of the config in errors of the ``with`` block."""
    try:
        yield
    except InputError as error:
        raise InputError(f"--config.{name}: {error}") from error


def for_epochs(settings: Mapping[str, Any], epochs: int) -> dict[str, Any]:
    """Changes the length of a stage, and that of its schedule where it has one.

    >>> stage = {"epochs": 9, "schedule": {"name": "cosine", "decay_epochs": 9}}
    >>> for_epochs(stage, 3)
    {'epochs': 3, 'schedule': {'name': 'cosine', 'decay_epochs': 3}}
    """
    schedule = dict(settings["schedule"])
    if "decay_epochs" in schedule:
        schedule["decay_epochs"] = epochs
    return {**settings, "epochs": epochs, "schedule": schedule}


def starting_at(problem: Problem, params: Any, model_state: Any) -> Problem:
    """Makes the problem whose training starts at a net."""
    state = jax.tree.map(jnp.asarray, model_state)
    return dataclasses.replace(problem, init=lambda key: (params, state))
