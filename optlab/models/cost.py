"""Multiply-adds and depth, read off a jaxpr: nothing runs, nothing is allocated.

Matrix products and convolutions count, with the products of padding: a convolution of
W H outputs takes F_w F_h D_in n_f W H of them, a depthwise one F_w F_h D_in W H. Sums,
products of single elements (batch normalization, activations) and pooling do not, which
is how published figures are counted.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.extend.core import Jaxpr, Literal, jaxprs_in_params


class Products(NamedTuple):
    """Matrix products and convolutions of a function."""

    multiply_adds: int  # a multiplication and an addition are one
    depth: int  # products on the longest path from an argument to a result


def products(function: Callable[..., Any], *arguments: Any) -> Products:
    """Counts the work and the depth of a function's matrix products and convolutions.

    A scan counts once a step. Of several branches the costliest counts, so that a layer
    that has another form for each platform counts as its plain form. The depth of a net
    is that of its layers with weights: a residual connection passes by some of them.

    Args:
      function: function that JAX can trace.
      *arguments: its arguments, or trees of ``jax.ShapeDtypeStruct``.

    Returns:
      The counts.

    Raises:
      ValueError: there are products in a ``while_loop``, whose number of steps is
        known only when it runs.

    >>> import jax.numpy as jnp
    >>> x, y = jnp.ones((2, 3)), jnp.ones((3, 3))
    >>> products(lambda x, y: x @ y @ y + x @ y, x, y)
    Products(multiply_adds=54, depth=2)
    """
    return _of_program(jax.make_jaxpr(function)(*arguments).jaxpr)


def multiply_adds(function: Callable[..., Any], *arguments: Any) -> int:
    """Counts the multiply-adds of a function, see `products`.

    Args:
      function: function that JAX can trace.
      *arguments: its arguments, or trees of ``jax.ShapeDtypeStruct``.

    Returns:
      Number of multiply-adds.

    Raises:
      ValueError: there are products in a ``while_loop``.

    >>> import jax.numpy as jnp
    >>> multiply_adds(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 5)))
    30
    """
    return products(function, *arguments).multiply_adds


def _of_program(program: Jaxpr) -> Products:
    total, depths = 0, {}
    for equation in program.eqns:
        found = _of_equation(equation)
        total += found.multiply_adds
        inputs = [each for each in equation.invars if not isinstance(each, Literal)]
        before = max((depths.get(each, 0) for each in inputs), default=0)
        depths |= dict.fromkeys(equation.outvars, before + found.depth)
    return Products(total, max(depths.values(), default=0))


def _of_equation(equation: Any) -> Products:
    params, numbers = equation.params, equation.params.get("dimension_numbers")
    if equation.primitive in (lax.dot_general_p, lax.conv_general_dilated_p):
        left, right = (each.aval.shape for each in equation.invars)
        outputs = math.prod(equation.outvars[0].aval.shape)
        if equation.primitive is lax.dot_general_p:
            sums = math.prod(left[axis] for axis in numbers[0][0])
        else:
            # A kernel's axis of inputs holds the channels of one group only.
            sums = math.prod(right) // right[numbers.rhs_spec[0]]
        return Products(outputs * sums, 1)
    inner = [_of_program(each) for each in jaxprs_in_params(params)]
    counts = [each.multiply_adds for each in inner]
    if equation.primitive is lax.while_p and any(counts):
        raise ValueError("products in a while_loop cannot be counted: use lax.scan")
    steps = params["length"] if equation.primitive is lax.scan_p else 1
    total = max(counts) if equation.primitive is lax.cond_p else sum(counts)
    deepest = max((each.depth for each in inner), default=0)
    return Products(steps * total, steps * deepest)
