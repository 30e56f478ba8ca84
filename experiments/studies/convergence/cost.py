"""Seconds and memory of one step against the number of parameters.

The problem is Broyden's tridiagonal function, with any number n of parameters and as
many residuals (problem 30 of More, Garbow and Hillstrom). It is so cheap that a step
costs the method's own work.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optlab.errors import InputError
from optlab.optim.contract import extra_args
from optlab.results.rates import PowerLaw, extrapolate, power_law
from optlab.testproblems.unconstrained import PROBLEMS

PROBLEM = "broyden_tridiagonal"
#: Updates before the timed one: the first has no history to work with.
EARLIER = 2


class Curve(NamedTuple):
    """Cost of one step of a method; arrays over sizes."""

    method: str
    sizes: np.ndarray  # [k], parameters
    memory: np.ndarray  # [k], bytes: arguments, results and temporaries
    seconds: np.ndarray  # [j], median, at the first of the sizes
    memory_law: PowerLaw
    seconds_law: PowerLaw


def check(sizes: Sequence[int], fitted: Mapping[str, int]) -> None:
    """Refuses sizes that no line can be drawn through.

    Args:
      sizes: numbers of parameters.
      fitted: cost to the number of largest sizes that its law is fitted to.

    Raises:
      InputError: fewer than two, not ascending, or none above 1.
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

    Args:
      method: name of the method.
      tx: method.
      settings: ``sizes``, ``repeats``, ``fitted``; and ``memory`` and ``seconds``, the
        largest costs that a step may be expected to have, by the law through the last
        two sizes. Where it is only too slow, the compiler still tells its memory.

    Returns:
      The curve.
    """
    fitted = settings["fitted"]
    sizes: list[int] = []
    memory: list[float] = []
    seconds: list[float] = []
    for size in settings["sizes"]:
        if _expected(sizes, memory, size) > settings["memory"]:
            break
        program = compile_step(tx, size)
        quick = _expected(sizes, seconds, size) <= settings["seconds"]
        if quick and len(seconds) == len(sizes):
            seconds.append(time_step(program, tx, size, settings["repeats"]))
        sizes.append(size)
        memory.append(memory_of(program))
    return Curve(
        method=method,
        sizes=np.array(sizes),
        memory=np.array(memory),
        seconds=np.array(seconds),
        memory_law=_upper_law(sizes, memory, fitted["memory"]),
        seconds_law=_upper_law(sizes[: len(seconds)], seconds, fitted["seconds"]),
    )


def compile_step(
    tx: optax.GradientTransformationExtraArgs, size: int
) -> jax.stages.Compiled:
    """Compiles one step: value and gradient, update, new parameters.

    Args:
      tx: method.
      size: number of parameters.

    Returns:
      The program.
    """
    residual_fn = PROBLEMS[PROBLEM].residual_fn
    assert residual_fn is not None  # a sum of squares
    x = jax.ShapeDtypeStruct((size,), jnp.float32)
    step = make_step(tx, residual_fn)
    return jax.jit(step).lower(x, jax.eval_shape(tx.init, x)).compile()


def memory_of(program: jax.stages.Compiled) -> float:
    """Adds up a program's memory.

    Args:
      program: compiled program.

    Returns:
      Bytes of its arguments, results and temporaries.
    """
    sizes = program.memory_analysis()
    assert sizes is not None  # JAX's own backends all say
    return float(
        sizes.argument_size_in_bytes
        + sizes.output_size_in_bytes
        + sizes.temp_size_in_bytes
    )


def time_step(
    program: jax.stages.Compiled,
    tx: optax.GradientTransformationExtraArgs,
    size: int,
    repeats: int,
) -> float:
    """Times one warm step.

    Args:
      program: program from `compile_step`.
      tx: method.
      size: number of parameters.
      repeats: number of timed repetitions of the same step.

    Returns:
      Median seconds.
    """
    x = jnp.full(size, -1.0, jnp.float32)  # the standard start
    state = tx.init(x)
    seconds = []
    for _ in range(EARLIER):
        x, state = jax.block_until_ready(program(x, state))
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(program(x, state))
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))


def make_step(
    tx: optax.GradientTransformationExtraArgs, residual_fn: Callable
) -> Callable:
    """Makes one update on 0.5 * sum(residuals**2).

    Args:
      tx: method.
      residual_fn: function from x to residuals.

    Returns:
      Function ``(x, state) -> (x, state)``.
    """

    def value_fn(x):
        return 0.5 * jnp.sum(residual_fn(x) ** 2)

    def step(x, state):
        value, grad = jax.value_and_grad(value_fn)(x)
        given = extra_args(x, value, grad, value_fn=value_fn, residual_fn=residual_fn)
        updates, state = tx.update(grad, state, x, **given)
        return optax.apply_updates(x, updates), state

    return step


def _expected(sizes: Sequence[int], costs: Sequence[float], size: int) -> float:
    """Extrapolates the last two costs; 0 where there are fewer."""
    if len(costs) < 2:
        return 0.0
    two = slice(len(costs) - 2, len(costs))
    return extrapolate(power_law(np.array(sizes[two]), np.array(costs[two])), size)


def _upper_law(sizes: Sequence[int], costs: Sequence[float], fitted: int) -> PowerLaw:
    return power_law(np.array(sizes[-fitted:]), np.array(costs[-fitted:]))
