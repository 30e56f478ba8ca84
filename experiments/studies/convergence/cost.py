"""Seconds and memory of one step against the number of parameters.

The problem is Broyden's tridiagonal function, with any number n of parameters and as
many residuals (problem 30 of More, Garbow and Hillstrom). It is so cheap that a step
costs the method's own work.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optlab.errors import InputError
from optlab.optim.contract import extra_args
from optlab.results.rates import PowerLaw, extrapolate, power_law
from optlab.testproblems.unconstrained import PROBLEMS

#: Updates before the timed one: the first has no history to work with.
EARLIER = 2

#: Least number of sizes, and least n, that a method was timed at for its law to be
#: extrapolated: below that the fixed cost of a step bends the line.
LEAST_SIZES, LEAST_N = 4, 1000


class Curve(NamedTuple):
    """Cost of one step of a method; arrays over sizes."""

    method: str
    sizes: np.ndarray  # [k], parameters
    memory: np.ndarray  # [k], bytes: arguments, results and temporaries
    seconds: np.ndarray  # [j], median, at the first of the sizes
    memory_law: PowerLaw
    seconds_law: PowerLaw

    @property
    def reaches(self) -> bool:
        """Tells whether the laws may be extrapolated."""
        timed = self.sizes[: self.seconds.size]
        return timed.size >= LEAST_SIZES and timed[-1] >= LEAST_N


def check(sizes: Sequence[int], fitted: Mapping[str, int]) -> None:
    """Refuses sizes that no line can be drawn through.

    ``fitted`` maps a cost to the number of largest sizes that its law is fitted to.

    Raises:
      InputError: there are fewer than two, they do not rise, or one is below 2.
    """
    if len(sizes) < 2 or list(sizes) != sorted(set(sizes)) or sizes[0] < 2:
        raise InputError(
            f"cost.sizes must be two ascending numbers or more, from 2 on, not {sizes}"
        )
    for name, count in fitted.items():
        if count < 2:
            raise InputError(
                f"cost.fitted.{name} must be 2 or more, not {count}: it draws a line"
            )


def measure(
    method: str,
    tx: optax.GradientTransformationExtraArgs,
    settings: Mapping[str, Any],
) -> Curve:
    """Measures one method at growing sizes, as long as a step stays cheap.

    ``settings`` has ``sizes``, ``repeats``, ``fitted``; and ``memory`` and ``seconds``,
    the largest costs that a step may be expected to have, by the law through the last
    two sizes. A step that is only too slow is compiled, which gives its memory.
    """
    sizes: list[int] = []
    memory: list[float] = []
    seconds: list[float] = []

    def law(costs: Sequence[float], last: int) -> PowerLaw:
        reached = sizes[: len(costs)]
        return power_law(np.array(reached[-last:]), np.array(costs[-last:]))

    def affordable(costs: Sequence[float], size: int, most: float) -> bool:
        return len(costs) < 2 or extrapolate(law(costs, 2), size) <= most

    for size in settings["sizes"]:
        if not affordable(memory, size, settings["memory"]):
            break
        program = _compile_step(tx, size)
        stopped = len(seconds) < len(sizes)
        if not stopped and affordable(seconds, size, settings["seconds"]):
            seconds.append(_time_step(program, tx, size, settings["repeats"]))
        sizes.append(size)
        used = program.memory_analysis()
        assert used is not None  # all of JAX's own backends give it
        memory.append(
            float(
                used.argument_size_in_bytes
                + used.output_size_in_bytes
                + used.temp_size_in_bytes
            )
        )
    return Curve(
        method=method,
        sizes=np.array(sizes),
        memory=np.array(memory),
        seconds=np.array(seconds),
        memory_law=law(memory, settings["fitted"]["memory"]),
        seconds_law=law(seconds, settings["fitted"]["seconds"]),
    )


def _compile_step(
    tx: optax.GradientTransformationExtraArgs, size: int
) -> jax.stages.Compiled:
    """Compiles one step: value and gradient, update, new parameters."""
    problem = PROBLEMS["broyden_tridiagonal"]

    def step(x, state):
        value, grad = jax.value_and_grad(problem.value_fn)(x)
        functions = {"value_fn": problem.value_fn, "residual_fn": problem.residual_fn}
        given = extra_args(x, value, grad, **functions)
        updates, state = tx.update(grad, state, x, **given)
        return optax.apply_updates(x, updates), state

    x = jax.ShapeDtypeStruct((size,), jnp.float32)
    return jax.jit(step).lower(x, jax.eval_shape(tx.init, x)).compile()


def _time_step(
    program: jax.stages.Compiled,
    tx: optax.GradientTransformationExtraArgs,
    size: int,
    repeats: int,
) -> float:
    """Times one warm step several times and returns the median seconds."""
    x = jnp.full(size, -1.0, jnp.float32)  # the standard start
    state = tx.init(x)
    for _ in range(EARLIER):
        x, state = jax.block_until_ready(program(x, state))
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(program(x, state))
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))
