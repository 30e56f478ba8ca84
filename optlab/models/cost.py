"""Multiply-adds of a function, read off its jaxpr: nothing runs, nothing is allocated.

Matrix products and convolutions count, with the products of padding: a convolution of
W H outputs takes F_w F_h D_in n_f W H of them, a depthwise one F_w F_h D_in W H. Sums,
products of single elements (batch normalization, activations) and pooling do not, which
is how published figures are counted.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.extend.core import Jaxpr, jaxprs_in_params


def multiply_adds(function: Callable[..., Any], *arguments: Any) -> int:
    """Counts the multiply-adds of a function's matrix products and convolutions.

    A scan counts once a step. Of several branches the costliest counts, so that a layer
    that has another form for each platform counts as its plain form.

    Args:
      function: function that JAX can trace.
      *arguments: its arguments, or trees of ``jax.ShapeDtypeStruct``.

    Returns:
      Number of multiply-adds; a multiplication and an addition are one.

    Raises:
      ValueError: there are products in a ``while_loop``, whose number of steps is
        known only when it runs.

    >>> import jax.numpy as jnp
    >>> multiply_adds(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 5)))
    30
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(program: Jaxpr) -> int:
    return sum(map(_count_equation, program.eqns))


def _count_equation(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        left, (contracted, _) = (
            equation.invars[0].aval.shape,
            params["dimension_numbers"],
        )
        return _outputs(equation) * math.prod(left[axis] for axis in contracted[0])
    if name == "conv_general_dilated":
        # A kernel's input axis holds the channels of one group only.
        kernel, numbers = equation.invars[1].aval.shape, params["dimension_numbers"]
        return _outputs(equation) * math.prod(kernel) // kernel[numbers.rhs_spec[0]]
    inner = [_count(each) for each in jaxprs_in_params(params)]
    if equation.primitive is lax.while_p and any(inner):
        raise ValueError("products in a while_loop cannot be counted: use lax.scan")
    if equation.primitive is lax.cond_p:
        return max(inner)
    return sum(inner) * (params["length"] if equation.primitive is lax.scan_p else 1)


def _outputs(equation: Any) -> int:
    return math.prod(equation.outvars[0].aval.shape)
