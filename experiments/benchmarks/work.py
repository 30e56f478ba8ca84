"""How much arithmetic a program's matrix products are, and how much they move."""

import math
from typing import Any, NamedTuple

import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, jaxprs_in_params


class Work(NamedTuple):
    """Of some matrix products."""

    flops: int
    bytes: int  # read and written


def work_of(program: Jaxpr) -> Work:
    """What the matrix products of a program do; of branches, the busiest counts.

    Args:
      program: without loops.

    Returns:
      The sums over its products.
    """
    total = np.zeros(2, int)
    for equation in program.eqns:
        if equation.primitive is lax.dot_general_p:
            (contracted, _), _ = equation.params["dimension_numbers"]
            operands: list[Any] = [x.aval for x in equation.invars + equation.outvars]
            length = math.prod(operands[0].shape[axis] for axis in contracted)
            total += (
                2 * length * operands[2].size,
                sum(x.size * x.dtype.itemsize for x in operands),
            )
        elif inner := list(jaxprs_in_params(equation.params)):
            total += max((work_of(each) for each in inner), key=lambda work: work.flops)
    return Work(*total.tolist())
