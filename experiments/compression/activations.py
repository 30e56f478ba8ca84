"""Nets whose layers take inputs of few bits, by the way their ranges are found."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.compression import stages
from experiments.compression.stages import Nets
from optlab import compress
from optlab.compress.ranges import RANGES
from optlab.problems import Problem
from optlab.training import examples_in

#: Batches of the calibration set and examples of each, from the training split.
CALIBRATION = (8, 64)

#: Name of ranges that are taken from each batch itself.
ONLINE = "online"

#: Name of inputs that are not rounded.
EXACT = "not_rounded"


def calibrate(nets: Nets, name: str, bits: int) -> list[dict[str, Any]]:
    """Finds the ranges of each layer's inputs on a calibration set.

    ``name`` is a key of `RANGES`; kernels may be quantized; ``bits`` are those of an
    input. Returns the variables of each seed; their ``ranges`` are stored in the file,
    too.
    """
    options = {"bits": bits} if name == "least_squares" else {}

    @jax.jit
    def found(net, model_state):
        seen = inputs_of_layers(nets.problem, net, model_state)
        return {layer: RANGES[name](x, **options) for layer, x in seen.items()}

    each = []
    for variables in nets.each():
        state = {key: value for key, value in variables.items() if key != "params"}
        ranges = jax.tree.map(np.asarray, found(variables["params"], state))
        each.append(variables | {"ranges": ranges})
    return each


def compare(nets: Nets, bits: int) -> dict[str, np.ndarray]:
    """Evaluates all ways to find ranges.

    Kernels may be quantized; ``bits`` are those of an input.

    Returns:
      Name of the way to the deciding metric on the validation split, ``[seeds]``, and
      that of inputs that are not rounded.
    """
    problem = compress.quantized(nets.problem, bits)
    split = problem.dataset.validation
    offline = {name: calibrate(nets, name, bits) for name in RANGES}
    own = nets.each()
    ways = {name: (problem, each) for name, each in offline.items()}
    ways |= {ONLINE: (problem, own), EXACT: (nets.problem, own)}
    return {
        name: np.array([stages.deciding_value(of, net, split) for net in each])
        for name, (of, each) in ways.items()
    }


def inputs_of_layers(problem: Problem, net: Any, model_state: Any) -> Any:
    """Collects what each layer of a net takes, for the calibration set.

    The calibration set is the beginning of the training split, repeated where that has
    too few examples. Kernels may be quantized.

    Returns:
      Layer's name to its inputs, ``[batches, numbers]``, see `optlab.compress.observe`.
    """
    split = problem.dataset.train
    take = np.arange(CALIBRATION[0] * CALIBRATION[1]) % examples_in(split)
    stored = jax.tree.map(lambda x: jnp.asarray(x[take]), split.inputs)
    prepared = problem.dataset.prepare(stored)
    batches = jax.tree.map(lambda x: x.reshape(*CALIBRATION, *x.shape[1:]), prepared)
    return compress.observe(problem, compress.plain(net), model_state, batches)
