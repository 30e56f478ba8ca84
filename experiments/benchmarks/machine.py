"""What the machine itself can do, to measure a program by."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from optlab.sweep import parallel


def best_seconds(run: Callable[..., Any], *arguments: Any, repeats: int = 10) -> float:
    """The shortest of some runs, after one to compile and warm up.

    Args:
      run: a jitted function.
      *arguments: its own.
      repeats: timed runs.

    Returns:
      Seconds.
    """
    jax.block_until_ready(run(*arguments))
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(run(*arguments))
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def matmul_rate(size: int = 1024) -> float:
    """The rate of a square float32 matrix product.

    Args:
      size: rows and columns.

    Returns:
      Floating-point operations a second.
    """
    matrix = jax.random.normal(jax.random.key(0), (size, size))
    return 2 * size**3 / best_seconds(jax.jit(jnp.dot), matrix, matrix)


def lanes_rate(shape: tuple[int, int, int], lanes: int) -> float:
    """The rate of a dense layer's products when lanes run together on one batch.

    The lanes are spread over devices, as a sweep's are.

    Args:
      shape: examples, inputs and outputs of the layer.
      lanes: each with weights of its own.

    Returns:
      Floating-point operations a second, of outputs and gradient together.
    """
    examples, ins, outs = shape
    key = jax.random.key(0)
    inputs = jax.random.normal(key, (examples, ins))
    layout = parallel.layout("jit", lanes, [examples])
    weights = jax.device_put(
        jax.random.normal(key, (lanes, outs, ins)), layout.sharding(parallel.LANE)
    )
    inputs = jax.device_put(inputs, layout.sharding())

    @jax.jit
    def products(inputs, weights):
        outputs = jnp.einsum("loi,bi->lob", weights, inputs)
        return jnp.einsum("lob,bi->loi", outputs, inputs)

    flops = 4 * lanes * examples * ins * outs
    return flops / best_seconds(products, inputs, weights, repeats=100)
