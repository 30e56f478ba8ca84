"""The Jacobian of outputs that belong to examples, in one backward pass.

Output i of a net depends on the parameters through example i alone, so that

    J^T u = sum_i u_i J_i            J_i: row i

is computed by products that sum over examples only at their end. Leaving out the sum
gives all rows at once, at the cost of one gradient instead of one for each row or
column. The program of u -> J^T u shows, op by op, whether a function is of this kind:
a value is by example (its entry i along some axis depends on u_i alone), or summed
(kept as its terms). An op that fits neither, such as one that mixes examples, ends the
attempt.

Source: Goodfellow, Efficient Per-Example Gradient Computations, arXiv:1510.01799; here
by interpretation, for any program.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Literal, jaxprs_in_params

# Ops on values by example. A linear program holds no others that are elementwise in u.
_ELEMENTWISE = {"mul", "div", "neg", "convert_element_type", "copy", "select_n"}
_SUMS = {"add", "add_any", "sub"}
_CALLS = {"jit", "pjit", "closed_call"}
# Greatest memory of terms, in multiples of that of J.
_MEMORY = 2


class _Own(NamedTuple):
    """A value whose entry i along ``axis`` depends on u_i alone."""

    value: jax.Array
    axis: int


class _Summed(NamedTuple):
    """A value that is the sum of its terms [m, ...]; term i depends on u_i alone."""

    terms: jax.Array


class _MixedError(Exception):
    """An op mixes examples, or is not known to keep them apart."""


def jacobian(output_fn: Callable, x: jax.Array) -> tuple[jax.Array, jax.Array] | None:
    """Computes outputs z [m] and their Jacobian J [m, n] at x [n] in one backward pass.

    Returns:
      z and J, or None where an output may depend on more than one example.

    >>> inputs = jnp.array([1.0, 2.0, 3.0])
    >>> z, J = jacobian(lambda x: x[0] * inputs + x[1], jnp.array([2.0, 1.0]))
    >>> J.tolist()
    [[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]
    >>> jacobian(lambda x: jnp.cumsum(x[0] * inputs), jnp.ones(1)) is None
    True
    """
    z, pull = jax.vjp(output_fn, x)
    program = jax.make_jaxpr(lambda u: pull(u)[0])(z)
    most = _MEMORY * z.size * x.size
    ones = _Own(jnp.ones_like(z), 0)
    try:
        (found,) = _interpret(program.jaxpr, program.consts, [ones], most)
    except _MixedError:
        return None
    return (z, found.terms) if isinstance(found, _Summed) else None


def _interpret(
    program: Jaxpr, consts: Sequence[Any], arguments: Sequence[Any], most: int
) -> list[Any]:
    """Runs a program on plain values, values by example and sums."""
    values = dict(zip(program.constvars, consts, strict=True))
    values |= zip(program.invars, arguments, strict=True)

    def read(variable):
        return variable.val if isinstance(variable, Literal) else values[variable]

    for op in program.eqns:
        inputs = [read(variable) for variable in op.invars]
        name = op.primitive.name
        if name in _CALLS:
            inner = op.params["jaxpr"]
            outputs = _interpret(inner.jaxpr, inner.consts, inputs, most)
        elif any(isinstance(v, _Summed) for v in inputs):
            outputs = [_terms_of(op, inputs, most)]
        elif any(isinstance(v, _Own) for v in inputs):
            outputs = [_own_of(op, inputs, most)]
        else:
            outputs = _run(op, inputs)
        values |= zip(op.outvars, outputs, strict=True)
    return [read(variable) for variable in program.outvars]


def _run(op: Any, inputs: Sequence[Any], **changed: Any) -> list[Any]:
    if any(True for _ in jaxprs_in_params(op.params)):  # a loop, a branch
        raise _MixedError
    outputs = op.primitive.bind(*inputs, **{**op.params, **changed})
    return list(outputs) if op.primitive.multiple_results else [outputs]


def _terms_of(op: Any, inputs: Sequence[Any], most: int) -> _Summed:
    """Applies a linear op to a sum by applying it to each of the terms."""
    in_u = [v for v in inputs if isinstance(v, _Own | _Summed)]
    several = op.primitive.name in _SUMS | {"concatenate"}
    mixed = any(isinstance(v, _Own) for v in in_u) or (len(in_u) > 1 and not several)
    if mixed or op.primitive.multiple_results:
        raise _MixedError
    axes = [0 if isinstance(v, _Summed) else None for v in inputs]
    plain = [v.terms if isinstance(v, _Summed) else v for v in inputs]
    return _summed(jax.vmap(lambda *vs: _run(op, vs)[0], in_axes=axes)(*plain), most)


def _summed(terms: jax.Array, most: int) -> _Summed:
    if terms.size > most:
        raise _MixedError
    return _Summed(terms)


def _own_of(op: Any, inputs: Sequence[Any], most: int) -> Any:
    """Applies an op to values by example."""
    name, own = op.primitive.name, [v for v in inputs if isinstance(v, _Own)]
    axis = own[0].axis
    plain = [v.value if isinstance(v, _Own) else v for v in inputs]
    if any(v.axis != axis for v in own):
        raise _MixedError
    if len(own) > 1 and not (name in _SUMS and len(own) == len(inputs)):
        raise _MixedError
    if name == "dot_general":
        return _product(op, inputs, most)
    if name == "reduce_sum" and axis in op.params["axes"]:
        others = tuple(a for a in op.params["axes"] if a != axis)
        kept = _run(op, plain, axes=others)[0]
        return _summed(jnp.moveaxis(kept, axis - _before(others, axis), 0), most)
    to = _axis_after(op, inputs, own[0])
    if to is None:
        raise _MixedError
    return _Own(_run(op, plain)[0], to)


def _axis_after(op: Any, inputs: Sequence[Any], own: _Own) -> int | None:
    """Finds the axis of the examples after an op; None where it is lost."""
    name, axis, shape = op.primitive.name, own.axis, own.value.shape
    linear_in_first = isinstance(inputs[0], _Own)
    if name in _SUMS and all(isinstance(v, _Own) for v in inputs):
        return axis
    if name in _ELEMENTWISE:
        wrong = {"div": not linear_in_first, "select_n": linear_in_first}
        return None if wrong.get(name, False) else axis
    if name in ("reduce_sum", "squeeze"):
        gone = op.params["axes" if name == "reduce_sum" else "dimensions"]
        return None if axis in gone else axis - _before(gone, axis)
    if name == "transpose":
        return op.params["permutation"].index(axis)
    if name == "broadcast_in_dim":
        to = op.params["broadcast_dimensions"][axis]
        return to if op.params["shape"][to] == shape[axis] else None
    if name == "reshape":
        new = op.params["new_sizes"]
        for to, size in enumerate(new):
            ahead = math.prod(new[:to]) == math.prod(shape[:axis])
            if ahead and size == shape[axis]:
                return to
    return None


def _before(axes: Sequence[int], axis: int) -> int:
    return sum(a < axis for a in axes)


def _product(op: Any, inputs: Sequence[Any], most: int) -> Any:
    """Applies a product: a sum over examples is kept as terms, else the axis stays."""
    (contract, batch) = op.params["dimension_numbers"]
    if batch[0]:
        raise _MixedError
    side = 0 if isinstance(inputs[0], _Own) else 1
    own, axis = inputs[side].value, inputs[side].axis
    plain = [v.value if isinstance(v, _Own) else v for v in inputs]
    if axis in contract[side]:
        place = contract[side].index(axis)
        along = tuple((dims[place],) for dims in contract)
        rest = tuple((*dims[:place], *dims[place + 1 :]) for dims in contract)
        return _summed(_run(op, plain, dimension_numbers=(rest, along))[0], most)
    free = [d for d in range(own.ndim) if d not in contract[side]]
    ahead = 0 if side == 0 else plain[0].ndim - len(contract[0])
    return _Own(_run(op, plain)[0], ahead + free.index(axis))
