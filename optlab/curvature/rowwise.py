"""Jacobians of outputs that belong to examples, in one backward pass for each class.

Outputs z [B, k] of a net depend on the parameters through their example alone, so that

    J^T u = sum_b J_b^T u_b            J_b [k, n]: rows of example b

is computed by products that sum over examples only at their end. Leaving out the sum
gives the rows of one class for all examples, at the cost of one gradient. The program
of u -> J^T u shows, op by op, whether a function is of this kind: a value is by example
(its entry b along some axis depends on u_b alone), or summed (kept as its terms). An op
that fits neither, such as one that mixes examples, ends the attempt.

The last op of a dense layer's kernel is an outer product for each example, d_b h_b^T.
Inner products of rows need no such matrix,

    (J J^T)_{bc} = sum over layers (d_b . d_c) (h_b . h_c)

Sources: Goodfellow, Efficient Per-Example Gradient Computations, arXiv:1510.01799;
Novak, Sohl-Dickstein, Schoenholz, Fast Finite Width Neural Tangent Kernel,
arXiv:2206.08720, section 4 (structured derivatives). Here by interpretation, for any
program.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Literal, jaxprs_in_params

# Ops on values by example. A linear program holds no others that are elementwise in u.
_ELEMENTWISE = {"mul", "div", "neg", "convert_element_type", "copy", "select_n"}
_SUMS = {"add", "add_any", "sub"}
_CALLS = {"jit", "pjit"}
# Ops that only rearrange the entries of their input: rows keep their inner products.
_REARRANGING = {"reshape", "transpose", "squeeze", "rev", "copy", "neg"}
# Greatest memory of terms, in multiples of that of the rows.
_MEMORY = 2


class _Own(NamedTuple):
    """A value whose entry b along ``axis`` depends on u_b alone.

    ``split`` is (outer, B, inner) where that axis is a flattened one with the
    examples in its middle, as u itself is; None where it has the examples alone.
    """

    value: jax.Array
    axis: int
    split: tuple[int, int, int] | None = None


class _Summed(NamedTuple):
    """A value that is the sum of its terms [B, ...]; term b depends on u_b alone."""

    terms: jax.Array


class _Outer(NamedTuple):
    """A sum of outer products, whose entries are rearranged by ``later`` ops."""

    left: jax.Array  # d [B, ...], or h
    right: jax.Array  # h [B, ...], or d
    later: tuple[Callable, ...]


class _Joined(NamedTuple):
    """A vector that joins the entries of several sums."""

    parts: tuple[Any, ...]


# Kinds that hold their array in the first field.
_OF_U = _Own | _Summed


class _Attempt(NamedTuple):
    """Settings of an interpretation."""

    most: int  # greatest number of entries of one sum's terms
    lazy: bool  # whether outer products may stay apart


class _MixedError(Exception):
    """An op mixes examples, or is not known to keep them apart."""


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
      output may depend on more than one example.

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
    for split in _splits(program.jaxpr, z.size):
        outer, examples, inner = split
        attempt = _Attempt(_MEMORY * examples * x.size, lazy)

        def rows_of(seed, split=split, attempt=attempt):  # [outer, inner] of one class
            u = jnp.broadcast_to(seed[:, None, :], split).ravel()
            own = _Own(u, 0, None if seed.size == 1 else split)
            found = _interpret(program.jaxpr, program.consts, [own], attempt)[0]
            factors = _factors(found)
            return [left for left, _ in factors], [right for _, right in factors]

        def by_class(rows_of=rows_of, outer=outer, inner=inner):
            classes = outer * inner
            seeds = jnp.eye(classes, dtype=z.dtype).reshape(classes, outer, inner)
            lefts, rights = jax.vmap(rows_of, out_axes=(0, None))(seeds)
            return list(zip(lefts, rights, strict=True))

        try:
            factors = by_class()
        except _MixedError:
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
        if op.primitive.name in _CALLS:
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
        elif op.primitive.name in _ELEMENTWISE | _SUMS:
            variable = op.outvars[0]


def _factors(found: Any) -> list[tuple[jax.Array, jax.Array | None]]:
    """Lists the sums that make up a row: terms, or left and right factors."""
    if isinstance(found, _Joined):
        return [pair for part in found.parts for pair in _factors(part)]
    if isinstance(found, _Outer):
        return [(found.left, found.right)]
    if isinstance(found, _Summed):
        return [(found.terms, None)]
    raise _MixedError


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


def _interpret(
    program: Jaxpr, consts: Sequence[Any], arguments: Sequence[Any], attempt: _Attempt
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
            outputs = _interpret(inner.jaxpr, inner.consts, inputs, attempt)
        elif name == "optimization_barrier":
            arrays = _run(op, [v[0] if isinstance(v, _OF_U) else v for v in inputs])
            outputs = [
                v._replace(**{v._fields[0]: array}) if isinstance(v, _OF_U) else array
                for v, array in zip(inputs, arrays, strict=True)
            ]
        elif name == "cond" and not isinstance(inputs[0], _OF_U | _Outer):
            outputs = _branch(op, inputs, attempt)
        elif any(isinstance(v, _Summed | _Outer | _Joined) for v in inputs):
            outputs = [_terms_of(op, inputs, attempt)]
        elif any(isinstance(v, _Own) for v in inputs):
            outputs = _own_of(op, inputs, attempt)
        else:
            outputs = _run(op, inputs)
        values |= zip(op.outvars, outputs, strict=True)
    return [read(variable) for variable in program.outvars]


def _run(op: Any, inputs: Sequence[Any], **changed: Any) -> list[Any]:
    scatter = op.primitive.name == "scatter-add"  # holds the program of its sum
    if not scatter and any(True for _ in jaxprs_in_params(op.params)):  # a loop
        raise _MixedError
    outputs = op.primitive.bind(*inputs, **{**op.params, **changed})
    return list(outputs) if op.primitive.multiple_results else [outputs]


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, _Own) else value


def _branch(op: Any, inputs: Sequence[Any], attempt: _Attempt) -> list[Any]:
    """Interprets each branch; all must give values of the same kinds."""
    index, *others = inputs
    tagged = [isinstance(v, _OF_U) for v in others]
    if any(isinstance(v, _Outer | _Joined) for v in others):
        raise _MixedError
    eager = attempt._replace(lazy=False)
    arrays = [v[0] if tag else v for v, tag in zip(others, tagged, strict=True)]

    def interpreted(branch, arrays):
        again = [
            v._replace(**{v._fields[0]: array}) if tag else array
            for v, tag, array in zip(others, tagged, arrays, strict=True)
        ]
        return _interpret(branch.jaxpr, branch.consts, again, eager)

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
            raise _MixedError
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


def _terms_of(op: Any, inputs: Sequence[Any], attempt: _Attempt) -> Any:
    """Applies a linear op to a sum by applying it to each of the terms."""
    name = op.primitive.name
    in_u = [v for v in inputs if isinstance(v, _Own | _Summed | _Outer | _Joined)]
    several = name in _SUMS | {"concatenate"}
    if (
        any(isinstance(v, _Own | _Joined) for v in in_u)
        or op.primitive.multiple_results
    ):
        raise _MixedError
    if len(in_u) > 1 and not several:
        raise _MixedError
    if isinstance(inputs[0], _Outer) and name in _REARRANGING:
        later = (*inputs[0].later, lambda v: _run(op, [v])[0])
        return inputs[0]._replace(later=later)
    vector = op.outvars[0].aval.ndim == 1
    if attempt.lazy and name == "concatenate" and vector:
        return _Joined(tuple(in_u))  # the others are zero: the program is linear
    inputs = [_terms(v, attempt) if isinstance(v, _Outer) else v for v in inputs]
    axes = [0 if isinstance(v, _Summed) else None for v in inputs]
    plain = [v.terms if isinstance(v, _Summed) else v for v in inputs]
    return _summed(jax.vmap(lambda *vs: _run(op, vs)[0], in_axes=axes)(*plain), attempt)


def _terms(outer: _Outer, attempt: _Attempt) -> _Summed:
    terms = jax.vmap(lambda a, b: jnp.tensordot(a, b, 0))(outer.left, outer.right)
    for op in outer.later:
        terms = jax.vmap(op)(terms)
    return _summed(terms, attempt)


def _summed(terms: jax.Array, attempt: _Attempt) -> _Summed:
    if terms.size > attempt.most:
        raise _MixedError
    return _Summed(terms)


def _own_of(op: Any, inputs: Sequence[Any], attempt: _Attempt) -> list[Any]:
    """Applies an op to values by example."""
    name, own = op.primitive.name, [v for v in inputs if isinstance(v, _Own)]
    axis, split = own[0].axis, own[0].split
    plain = [_plain(v) for v in inputs]
    if any((v.axis, v.split) != (axis, split) for v in own):
        raise _MixedError
    several = name in _SUMS | {"concatenate"} and (
        len(own) == len(inputs) or name == "concatenate"
    )
    if len(own) > 1 and not several:
        raise _MixedError
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
        raise _MixedError
    return [_Own(value, to) for value in _run(op, plain)]


def _unsplit(op: Any, inputs: Sequence[Any], own: _Own) -> _Own:
    """Applies one of the ops before the flattened outputs get their shape back."""
    name, split = op.primitive.name, own.split
    assert split is not None
    value = _run(op, [_plain(v) for v in inputs])[0]
    if name == "reshape":
        shape = op.params["new_sizes"]
        for to, size in enumerate(shape):
            if (math.prod(shape[:to]), size) == split[:2]:
                return _Own(value, to)
        raise _MixedError
    if _axis_after(op, inputs, own) is None or name not in _ELEMENTWISE | _SUMS:
        raise _MixedError
    return own._replace(value=value)


def _axis_after(op: Any, inputs: Sequence[Any], own: _Own) -> int | None:
    """Finds the axis of the examples after an op; None where it is lost."""
    name, axis, shape = op.primitive.name, own.axis, own.value.shape
    first = isinstance(inputs[0], _Own)
    if name in _SUMS and all(isinstance(v, _Own) for v in inputs):
        return axis
    if name in _ELEMENTWISE:
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


def _product(op: Any, inputs: Sequence[Any], attempt: _Attempt) -> Any:
    """Applies a product: a sum over examples is kept as terms, else the axis stays."""
    (contract, batch) = op.params["dimension_numbers"]
    if batch[0]:
        raise _MixedError
    side = 0 if isinstance(inputs[0], _Own) else 1
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
            return _Outer(left, right, swap)
        return _summed(_run(op, plain, dimension_numbers=(rest, along))[0], attempt)
    free = [d for d in range(own.ndim) if d not in contract[side]]
    ahead = 0 if side == 0 else plain[0].ndim - len(contract[0])
    return _Own(_run(op, plain)[0], ahead + free.index(axis))


def _swapped(count: int) -> Callable:
    """Builds the function that moves the first axes of an outer product to its end."""
    return lambda v: jnp.moveaxis(v, range(count), range(v.ndim - count, v.ndim))


def _convolution(op: Any, inputs: Sequence[Any], attempt: _Attempt) -> Any:
    """Applies a convolution of images by example, or one that sums over examples."""
    if op.params["feature_group_count"] > 1 or op.params["batch_group_count"] > 1:
        raise _MixedError
    dimensions = op.params["dimension_numbers"]
    specs = dimensions.lhs_spec, dimensions.rhs_spec
    side = 0 if isinstance(inputs[0], _Own) else 1
    plain, axis = [_plain(v) for v in inputs], inputs[side].axis
    if axis == specs[side][0]:  # of the images, or of the kernel's outputs
        return _Own(_run(op, plain)[0], dimensions.out_spec[side])
    if axis != specs[side][1]:
        raise _MixedError
    sums = specs[0][1], specs[1][1]
    return _summed(_apart(op, plain, sums), attempt)


def _scatter(op: Any, inputs: Sequence[Any], attempt: _Attempt) -> Any:
    """Applies the gradient of a gather whose indices belong to examples."""
    numbers = op.params["dimension_numbers"]
    operand, indices, updates = inputs
    if isinstance(operand, _Own) or isinstance(indices, _Own):
        raise _MixedError
    windows, axis = numbers.update_window_dims, updates.axis
    batching = getattr(numbers, "operand_batching_dims", ())
    if axis in windows or batching:
        raise _MixedError
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
