"""Linear programs on values by example: which entries depend on which example alone.

The program of u -> J^T u, with u [B, k], shows op by op whether examples stay apart: a
value is by example (its entry b along some axis depends on u_b alone), or summed (kept
as its terms). An op that fits neither, such as one that mixes examples, ends the
attempt.

The last op of a dense layer's kernel is an outer product for each example, d_b h_b^T,
which may stay apart.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Literal, jaxprs_in_params

# Ops on values by example. A linear program holds no others that are elementwise in u.
ELEMENTWISE = {"mul", "div", "neg", "convert_element_type", "copy", "select_n"}
SUMS = {"add", "add_any", "sub"}
CALLS = {"jit", "pjit"}
# Ops that only rearrange the entries of their input: rows keep their inner products.
_REARRANGING = {"reshape", "transpose", "squeeze", "rev", "copy", "neg"}


class Own(NamedTuple):
    """A value whose entry b along ``axis`` depends on u_b alone.

    ``split`` is (outer, B, inner) where that axis is a flattened one with the
    examples in its middle, as u itself is; None where it has the examples alone.
    """

    value: jax.Array
    axis: int
    split: tuple[int, int, int] | None = None


class Summed(NamedTuple):
    """A value that is the sum of its terms [B, ...]; term b depends on u_b alone."""

    terms: jax.Array


class Outer(NamedTuple):
    """A sum of outer products, whose entries are rearranged by ``later`` ops."""

    left: jax.Array  # d [B, ...], or h
    right: jax.Array  # h [B, ...], or d
    later: tuple[Callable, ...]


class Joined(NamedTuple):
    """A vector that joins the entries of several sums."""

    parts: tuple[Any, ...]


# Kinds that hold their array in the first field.
_OF_U = Own | Summed


class Attempt(NamedTuple):
    """Settings of an interpretation."""

    most: int  # greatest number of entries of one sum's terms
    lazy: bool  # whether outer products may stay apart


class MixedError(Exception):
    """An op mixes examples, or is not known to keep them apart."""


def interpret(
    program: Jaxpr, consts: Sequence[Any], arguments: Sequence[Any], attempt: Attempt
) -> list[Any]:
    """Runs a program on plain values, values by example and sums.

    Args:
      program: the program, linear in its values by example.
      consts: values of the program's constants.
      arguments: arrays, or `Own` ones.
      attempt: settings.

    Returns:
      Its results: arrays, `Own`, `Summed`, `Outer` or `Joined` ones.

    Raises:
      MixedError: examples are mixed, or may be.
    """
    values = dict(zip(program.constvars, consts, strict=True))
    values |= zip(program.invars, arguments, strict=True)

    def read(variable):
        return variable.val if isinstance(variable, Literal) else values[variable]

    for op in program.eqns:
        inputs = [read(variable) for variable in op.invars]
        name = op.primitive.name
        if name in CALLS:
            inner = op.params["jaxpr"]
            outputs = interpret(inner.jaxpr, inner.consts, inputs, attempt)
        elif name == "optimization_barrier":
            arrays = _run(op, [v[0] if isinstance(v, _OF_U) else v for v in inputs])
            outputs = [
                v._replace(**{v._fields[0]: array}) if isinstance(v, _OF_U) else array
                for v, array in zip(inputs, arrays, strict=True)
            ]
        elif name == "cond" and not isinstance(inputs[0], _OF_U | Outer):
            outputs = _branch(op, inputs, attempt)
        elif any(isinstance(v, Summed | Outer | Joined) for v in inputs):
            outputs = [_terms_of(op, inputs, attempt)]
        elif any(isinstance(v, Own) for v in inputs):
            outputs = _own_of(op, inputs, attempt)
        else:
            outputs = _run(op, inputs)
        values |= zip(op.outvars, outputs, strict=True)
    return [read(variable) for variable in program.outvars]


def _run(op: Any, inputs: Sequence[Any], **changed: Any) -> list[Any]:
    scatter = op.primitive.name == "scatter-add"  # holds the program of its sum
    if not scatter and any(True for _ in jaxprs_in_params(op.params)):  # a loop
        raise MixedError
    outputs = op.primitive.bind(*inputs, **{**op.params, **changed})
    return list(outputs) if op.primitive.multiple_results else [outputs]


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Own) else value


def _branch(op: Any, inputs: Sequence[Any], attempt: Attempt) -> list[Any]:
    """Interprets each branch; all must give values of the same kinds."""
    index, *others = inputs
    tagged = [isinstance(v, _OF_U) for v in others]
    if any(isinstance(v, Outer | Joined) for v in others):
        raise MixedError
    eager = attempt._replace(lazy=False)
    arrays = [v[0] if tag else v for v, tag in zip(others, tagged, strict=True)]

    def interpreted(branch, arrays):
        again = [
            v._replace(**{v._fields[0]: array}) if tag else array
            for v, tag, array in zip(others, tagged, arrays, strict=True)
        ]
        return interpret(branch.jaxpr, branch.consts, again, eager)

    kinds: list[list[Any]] = []
    for branch in op.params["branches"]:
        seen: list[Any] = []

        def look(arrays, branch=branch, seen=seen):
            for v in interpreted(branch, arrays):
                known = isinstance(v, _OF_U)
                array = v[0] if known else v
                seen.append((type(v), v[1:], array.shape) if known else None)
            return 0

        jax.eval_shape(look, arrays)
        kinds.append(seen)
    # A value that does not depend on u is zero: the program is linear.
    chosen = []
    for alternatives in zip(*kinds, strict=True):
        found = {kind for kind in alternatives if kind is not None}
        if len(found) > 1:
            raise MixedError
        chosen.append(found.pop() if found else None)

    def run(branch, arrays):
        outputs = []
        for v, kind in zip(interpreted(branch, arrays), chosen, strict=True):
            if isinstance(v, _OF_U):
                outputs.append(v[0])
            else:
                outputs.append(v if kind is None else jnp.zeros(kind[2], v.dtype))
        return outputs

    branches = [
        lambda arrays, branch=branch: run(branch, arrays)
        for branch in op.params["branches"]
    ]
    outputs = jax.lax.switch(index, branches, arrays)
    return [
        array if kind is None else kind[0](array, *kind[1])
        for array, kind in zip(outputs, chosen, strict=True)
    ]


def _terms_of(op: Any, inputs: Sequence[Any], attempt: Attempt) -> Any:
    """Applies a linear op to a sum by applying it to each of the terms."""
    name = op.primitive.name
    in_u = [v for v in inputs if isinstance(v, Own | Summed | Outer | Joined)]
    several = name in SUMS | {"concatenate"}
    if any(isinstance(v, Own | Joined) for v in in_u) or op.primitive.multiple_results:
        raise MixedError
    if len(in_u) > 1 and not several:
        raise MixedError
    if isinstance(inputs[0], Outer) and name in _REARRANGING:
        later = (*inputs[0].later, lambda v: _run(op, [v])[0])
        return inputs[0]._replace(later=later)
    vector = op.outvars[0].aval.ndim == 1
    if attempt.lazy and name == "concatenate" and vector:
        return Joined(tuple(in_u))  # the others are zero: the program is linear
    inputs = [_terms(v, attempt) if isinstance(v, Outer) else v for v in inputs]
    axes = [0 if isinstance(v, Summed) else None for v in inputs]
    plain = [v.terms if isinstance(v, Summed) else v for v in inputs]
    return _summed(jax.vmap(lambda *vs: _run(op, vs)[0], in_axes=axes)(*plain), attempt)


def _terms(outer: Outer, attempt: Attempt) -> Summed:
    terms = jax.vmap(lambda a, b: jnp.tensordot(a, b, 0))(outer.left, outer.right)
    for op in outer.later:
        terms = jax.vmap(op)(terms)
    return _summed(terms, attempt)


def _summed(terms: jax.Array, attempt: Attempt) -> Summed:
    if terms.size > attempt.most:
        raise MixedError
    return Summed(terms)


def _own_of(op: Any, inputs: Sequence[Any], attempt: Attempt) -> list[Any]:
    """Applies an op to values by example."""
    name, own = op.primitive.name, [v for v in inputs if isinstance(v, Own)]
    axis, split = own[0].axis, own[0].split
    plain = [_plain(v) for v in inputs]
    if any((v.axis, v.split) != (axis, split) for v in own):
        raise MixedError
    several = name in SUMS | {"concatenate"} and (
        len(own) == len(inputs) or name == "concatenate"
    )
    if len(own) > 1 and not several:
        raise MixedError
    if split is not None:
        return [_unsplit(op, inputs, own[0])]
    if name == "dot_general":
        return [_product(op, inputs, attempt)]
    if name == "conv_general_dilated":
        return [_convolution(op, inputs, attempt)]
    if name == "scatter-add":
        return [_scatter(op, inputs, attempt)]
    if name == "reduce_sum" and axis in op.params["axes"]:
        others = tuple(a for a in op.params["axes"] if a != axis)
        kept = _run(op, plain, axes=others)[0]
        terms = jnp.moveaxis(kept, axis - _before(others, axis), 0)
        return [_summed(terms, attempt)]
    to = _axis_after(op, inputs, own[0])
    if to is None:
        raise MixedError
    return [Own(value, to) for value in _run(op, plain)]


def _unsplit(op: Any, inputs: Sequence[Any], own: Own) -> Own:
    """Applies one of the ops before the flattened outputs get their shape back."""
    name, split = op.primitive.name, own.split
    assert split is not None
    value = _run(op, [_plain(v) for v in inputs])[0]
    if name == "reshape":
        shape = op.params["new_sizes"]
        for to, size in enumerate(shape):
            if (math.prod(shape[:to]), size) == split[:2]:
                return Own(value, to)
        raise MixedError
    if _axis_after(op, inputs, own) is None or name not in ELEMENTWISE | SUMS:
        raise MixedError
    return own._replace(value=value)


def _axis_after(op: Any, inputs: Sequence[Any], own: Own) -> int | None:
    """Finds the axis of the examples after an op; None where it is lost."""
    name, axis, shape = op.primitive.name, own.axis, own.value.shape
    first = isinstance(inputs[0], Own)
    if name in SUMS and all(isinstance(v, Own) for v in inputs):
        return axis
    if name in ELEMENTWISE:
        wrong = {"div": not first, "select_n": first}
        return None if wrong.get(name, False) else axis
    if name in ("reduce_sum", "squeeze"):
        gone = op.params["axes" if name == "reduce_sum" else "dimensions"]
        return None if axis in gone else axis - _before(gone, axis)
    if name == "transpose":
        return op.params["permutation"].index(axis)
    if name == "broadcast_in_dim":
        to = int(op.params["broadcast_dimensions"][axis])  # may be NumPy's
        return to if op.params["shape"][to] == shape[axis] else None
    if name == "reshape":
        new = op.params["new_sizes"]
        for to, size in enumerate(new):
            ahead = math.prod(new[:to]) == math.prod(shape[:axis])
            if ahead and size == shape[axis]:
                return to
    kept = {  # ops that leave the axis of the examples alone
        "concatenate": lambda p: p["dimension"] != axis,
        "split": lambda p: p["axis"] != axis,
        "pad": lambda p: first and tuple(p["padding_config"][axis]) == (0, 0, 0),
        "rev": lambda p: axis not in p["dimensions"],
        "reduce_window_sum": lambda p: _window_of_one(p, axis),
        "slice": lambda p: op.outvars[0].aval.shape[axis] == shape[axis],
    }
    return axis if name in kept and kept[name](op.params) else None


def _window_of_one(params: Any, axis: int) -> bool:
    sizes = ("window_dimensions", "window_strides", "base_dilation", "window_dilation")
    return params["padding"][axis] == (0, 0) and all(
        params[name][axis] == 1 for name in sizes
    )


def _before(axes: Sequence[int], axis: int) -> int:
    return sum(a < axis for a in axes)


def _product(op: Any, inputs: Sequence[Any], attempt: Attempt) -> Any:
    """Applies a product: a sum over examples is kept as terms, else the axis stays."""
    (contract, batch) = op.params["dimension_numbers"]
    if batch[0]:
        raise MixedError
    side = 0 if isinstance(inputs[0], Own) else 1
    own, axis = inputs[side].value, inputs[side].axis
    plain = [_plain(v) for v in inputs]
    if axis in contract[side]:
        index = contract[side].index(axis)
        along = tuple((dims[index],) for dims in contract)
        rest = tuple((*dims[:index], *dims[index + 1 :]) for dims in contract)
        if attempt.lazy and not rest[0]:
            sides = zip(plain, along, strict=True)
            left, right = (jnp.moveaxis(v, a, 0) for v, (a,) in sides)
            if side == 1:  # for inner products the order does not matter
                left, right = right, left
            swap = () if side == 0 else (_swapped(left.ndim - 1),)
            return Outer(left, right, swap)
        return _summed(_run(op, plain, dimension_numbers=(rest, along))[0], attempt)
    free = [d for d in range(own.ndim) if d not in contract[side]]
    ahead = 0 if side == 0 else plain[0].ndim - len(contract[0])
    return Own(_run(op, plain)[0], ahead + free.index(axis))


def _swapped(count: int) -> Callable:
    """Builds the function that moves the first axes of an outer product to its end."""
    return lambda v: jnp.moveaxis(v, range(count), range(v.ndim - count, v.ndim))


def _convolution(op: Any, inputs: Sequence[Any], attempt: Attempt) -> Any:
    """Applies a convolution of images by example, or one that sums over examples."""
    if op.params["feature_group_count"] > 1 or op.params["batch_group_count"] > 1:
        raise MixedError
    dimensions = op.params["dimension_numbers"]
    specs = dimensions.lhs_spec, dimensions.rhs_spec
    side = 0 if isinstance(inputs[0], Own) else 1
    plain, axis = [_plain(v) for v in inputs], inputs[side].axis
    if axis == specs[side][0]:  # of the images, or of the kernel's outputs
        return Own(_run(op, plain)[0], dimensions.out_spec[side])
    if axis != specs[side][1]:
        raise MixedError
    sums = specs[0][1], specs[1][1]
    return _summed(_apart(op, plain, sums), attempt)


def _scatter(op: Any, inputs: Sequence[Any], attempt: Attempt) -> Any:
    """Applies the gradient of a gather whose indices belong to examples."""
    numbers = op.params["dimension_numbers"]
    operand, indices, updates = inputs
    if isinstance(operand, Own) or isinstance(indices, Own):
        raise MixedError
    windows, axis = numbers.update_window_dims, updates.axis
    batching = getattr(numbers, "operand_batching_dims", ())
    if axis in windows or batching:
        raise MixedError
    along = axis - _before(windows, axis)
    plain = [operand, indices, updates.value]
    return _summed(_apart(op, plain, (None, along, axis)), attempt)


def _apart(op: Any, plain: Sequence[Any], axes: Sequence[int | None]) -> jax.Array:
    """Applies an op to each slice along given axes, which stay with length one."""

    def one(*slices):
        whole = [
            v if axis is None else jnp.expand_dims(v, axis)
            for v, axis in zip(slices, axes, strict=True)
        ]
        return _run(op, whole)[0]

    return jax.vmap(one, in_axes=tuple(axes))(*plain)
