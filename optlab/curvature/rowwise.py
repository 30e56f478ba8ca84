"""Jacobians of outputs that belong to examples, in one backward pass for each class.

Outputs z [B, k] of a net depend on the parameters through their example alone, so that

    J^T u = sum_b J_b^T u_b            J_b [k, n]: rows of example b

is computed by products that sum over examples only at their end. Leaving out the sum
gives the rows of one class for all examples, at the cost of one gradient. Whether a
function is of this kind, `by_example` reads off the program of u -> J^T u.

The last op of a dense layer's kernel is an outer product for each example, d_b h_b^T.
Inner products of rows need no such matrix,

    (J J^T)_{bc} = sum over layers (d_b . d_c) (h_b . h_c)

Sources: Goodfellow, Efficient Per-Example Gradient Computations, arXiv:1510.01799;
Novak, Sohl-Dickstein, Schoenholz, Fast Finite Width Neural Tangent Kernel,
arXiv:2206.08720, section 4 (structured derivatives). Here by interpretation, for any
program.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Literal

from optlab.curvature import explicit
from optlab.curvature.by_example import (
    CALLS,
    ELEMENTWISE,
    SUMS,
    Attempt,
    Joined,
    MixedError,
    Outer,
    Own,
    Summed,
    interpret,
)

# Greatest memory of terms, in multiples of that of the rows.
_MEMORY = 2


class Rows(NamedTuple):
    """Rows of a Jacobian, or their inner products, and the cost of finding them."""

    outputs: jax.Array  # z [m]
    matrix: jax.Array  # J [m, n], or J J^T [m, m]
    passes: int  # number of backward passes


def jacobian(output_fn: Callable, x: jax.Array) -> Rows | None:
    """Computes outputs z [m] and their Jacobian J [m, n] at x [n] by rows.

    Args:
      output_fn: x [n] -> z [m], of a flattened array with examples along one axis.
      x: point [n].

    Returns:
      z, J and the number of backward passes, m / B for B examples; None where an
      output may depend on more than one example, or an explicit mesh shards a part.

    >>> inputs = jnp.array([1.0, 2.0, 3.0])
    >>> z, J, passes = jacobian(lambda x: x[0] * inputs + x[1], jnp.array([2.0, 1.0]))
    >>> J.tolist(), passes
    ([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]], 1)
    >>> jacobian(lambda x: jnp.cumsum(x[0] * inputs), jnp.ones(1)) is None
    True
    """
    return _attempts(output_fn, x, lazy=False)


def gram(output_fn: Callable, x: jax.Array) -> Rows | None:
    """Computes outputs z [m] and inner products J J^T [m, m] of their gradients.

    Rows of dense layers are never formed: it takes of the order of m^2 times the
    width of the layers, where J J^T from J takes m^2 n.

    Args:
      output_fn: function from x [n] to outputs [m], as `jacobian` takes.
      x: point [n].

    Returns:
      z, J J^T and the number of backward passes; None as for `jacobian`.

    >>> inputs = jnp.array([1.0, 2.0])
    >>> gram(lambda x: x[0] * inputs + x[1], jnp.array([2.0, 1.0])).matrix.tolist()
    [[2.0, 3.0], [3.0, 5.0]]
    """
    return _attempts(output_fn, x, lazy=True)


def _attempts(output_fn: Callable, x: jax.Array, *, lazy: bool) -> Rows | None:
    z, pull = jax.vjp(output_fn, x)
    program = jax.make_jaxpr(lambda u: pull(u)[0])(z)
    made = [v for op in program.jaxpr.eqns for v in op.outvars]
    # Shardings of the program are those of sums, and do not fit their terms.
    if any(explicit.is_sharded(v.aval) for v in made):
        return None
    for split in _splits(program.jaxpr, z.size):
        outer, examples, inner = split
        attempt = Attempt(_MEMORY * examples * x.size, lazy)

        def rows_of(seed, split=split, attempt=attempt):  # [outer, inner] of one class
            u = jnp.broadcast_to(seed[:, None, :], split).ravel()
            own = Own(u, 0, None if seed.size == 1 else split)
            found = interpret(program.jaxpr, program.consts, [own], attempt)[0]
            factors = _factors(found)
            return [left for left, _ in factors], [right for _, right in factors]

        def by_class(rows_of=rows_of, outer=outer, inner=inner):
            classes = outer * inner
            seeds = jnp.eye(classes, dtype=z.dtype).reshape(classes, outer, inner)
            lefts, rights = jax.vmap(rows_of, out_axes=(0, None))(seeds)
            return list(zip(lefts, rights, strict=True))

        try:
            factors = by_class()
        except MixedError:
            continue
        matrix = _gram_of(factors, split) if lazy else _rows_of(factors, split)
        return Rows(z, matrix, outer * inner)
    return None


def _splits(program: Jaxpr, size: int) -> Iterator[tuple[int, int, int]]:
    """Yields guesses of the shape (outer, B, inner) of the flattened outputs."""
    yield 1, size, 1
    variable = program.invars[0]
    for op in program.eqns:
        if variable not in [v for v in op.invars if not isinstance(v, Literal)]:
            continue
        if op.primitive.name in CALLS:
            inner = op.params["jaxpr"].jaxpr
            found = inner.invars[op.invars.index(variable)]  # literals have no hash
            guesses = list(_splits(inner.replace(invars=[found]), size))[1:]
            yield from guesses
            if guesses:
                return
            variable = op.outvars[0]
        elif op.primitive.name == "reshape":
            shape = op.params["new_sizes"]
            for axis, examples in enumerate(shape):
                if 1 < examples < size:
                    yield (
                        math.prod(shape[:axis]),
                        examples,
                        math.prod(shape[axis + 1 :]),
                    )
            return
        elif op.primitive.name in ELEMENTWISE | SUMS:
            variable = op.outvars[0]


def _factors(found: Any) -> list[tuple[jax.Array, jax.Array | None]]:
    """Lists the sums that make up a row: terms, or left and right factors."""
    if isinstance(found, Joined):
        return [pair for part in found.parts for pair in _factors(part)]
    if isinstance(found, Outer):
        return [(found.left, found.right)]
    if isinstance(found, Summed):
        return [(found.terms, None)]
    raise MixedError


def _rows_of(factors: list, split: tuple[int, int, int]) -> jax.Array:
    outer, examples, inner = split
    ((terms, _),) = factors  # [classes, B, n]
    rows = terms.reshape(outer, inner, examples, -1)
    return jnp.swapaxes(rows, 1, 2).reshape(outer * examples * inner, -1)


def _gram_of(factors: list, split: tuple[int, int, int]) -> jax.Array:
    outer, examples, inner = split
    size = outer * examples * inner
    total = jnp.zeros(())
    for left, right in factors:
        a = _rows_of([(left.reshape(*left.shape[:2], -1), None)], split)
        product = a @ a.T
        if right is not None:
            # Data of a shorter type: their products must not round to it.
            b = right.reshape(examples, -1).astype(product.dtype)
            blocks = product.reshape(*split, *split)
            inside = (b @ b.T)[None, :, None, None, :, None]
            product = (blocks * inside).reshape(size, size)
        total = total + product
    return total
