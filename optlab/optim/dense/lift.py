"""From one vector to trees: the only place where dense methods meet parameter trees.

A dense method is two functions of flat vectors,

    init(x) -> state                                              x [n]
    update(g, state, x, objective) -> (direction [n], state)      g [n]

and ``lift`` makes of them an optax transformation that accepts any tree of floats,
including the parts of a tree that ``optax.masked`` and ``optax.partition`` pass on.

A dense method takes its model from the functions of the objective, so its gradient has
to be theirs. One that something earlier in a chain has changed (clipping, weight decay)
is refused: a line search along it fails, and Gauss-Newton would ignore it.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from optlab.curvature.explicit import gathered, sharded_as
from optlab.curvature.real import complex_again, real_parts
from optlab.errors import InputError

_P = ParamSpec("_P")
_Transformation = optax.GradientTransformationExtraArgs

# Alternatives for `needs`: one complete group of arguments is enough.
OUTPUTS = (("residual_fn",), ("output_fn", "output_loss_fn"))
VALUE = (("value_fn",), *OUTPUTS)

_PASS = {
    "value_fn": "value_fn=f, with f(params) -> scalar",
    "residual_fn": "residual_fn=r, with r(params) -> residuals and "
    "value == 0.5 * sum(r**2)",
    "output_fn": "output_fn=h, with h(params) -> outputs",
    "output_loss_fn": "output_loss_fn=l, with l(outputs) -> scalar",
}


class Objective(NamedTuple):
    """The problem as functions of the method's own part x [n] of the parameters.

    ``value`` and ``value_fn`` are always set; the other functions are None where the
    caller passed none. Outputs of any tree are flattened to one vector too. Residuals
    are outputs r with the loss 0.5 r.r, and come before other outputs.
    """

    value: jax.Array  # f(x), scalar
    value_fn: Callable  # x -> scalar
    output_fn: Callable | None  # x -> z [m]
    output_loss_fn: Callable | None  # z -> scalar
    squares: bool  # whether z are residuals


def half_square(r: jax.Array) -> jax.Array:
    """Computes 0.5 r.r, the loss whose outputs are residuals.

    >>> float(half_square(jnp.array([3.0, 4.0])))
    12.5
    """
    return 0.5 * jnp.vdot(r, r)


def flatten(tree: Any) -> tuple[jax.Array, Callable]:
    """Flattens a tree to one vector of at least float32; also returns the inverse.

    What an explicit mesh shards is gathered, and sharded again by the inverse.

    >>> x, unflatten = flatten({"a": 1.0, "b": jnp.array([2.0, 3.0])})
    >>> x, unflatten(2 * x)["b"]
    (Array([1., 2., 3.], dtype=float32), Array([4., 6.], dtype=float32))
    """
    flat, unravel = ravel_pytree(gathered(tree))
    dtype = jnp.promote_types(flat.dtype, jnp.float32)
    return flat.astype(dtype), lambda x: sharded_as(
        unravel(x.astype(flat.dtype)), jax.tree.map(jax.typeof, tree)
    )


def fill(part: Any, full: Any) -> Any:
    """Replaces leaves of a whole tree by those of a part, but at its ``MaskedNode``s.

    >>> fill({"a": 1, "b": optax.MaskedNode()}, {"a": 0, "b": 2})
    {'a': 1, 'b': 2}
    """
    choose = lambda p, f: f if _is_masked(p) else p  # noqa: E731
    return jax.tree.map(choose, part, full, is_leaf=_is_masked)


def take(full: Any, part: Any) -> Any:
    """Selects the leaves of a whole tree that a part has, but at its ``MaskedNode``s.

    >>> take({"a": 0, "b": 2}, {"a": 1, "b": optax.MaskedNode()})
    {'a': 0, 'b': MaskedNode()}
    """
    choose = lambda p, f: p if _is_masked(p) else f  # noqa: E731
    return jax.tree.map(choose, part, full, is_leaf=_is_masked)


def require_floating(name: str, params: Any, instead: str) -> None:
    """Refuses parameters without a derivative; the message gives the method and advice.

    >>> require_floating("bfgs", {"n": 3}, "hold it outside")
    Traceback (most recent call last):
    optlab.errors.InputError: bfgs: parameter ['n'] is int32; give floating-point
    parameters, or hold it outside
    """
    for path, leaf in jax.tree.leaves_with_path(params):
        try:
            dtype: Any = jnp.result_type(leaf)
        except (TypeError, ValueError):  # a text, a function
            dtype = f"a {type(leaf).__name__}"
        if isinstance(dtype, str) or not jnp.issubdtype(dtype, jnp.floating):
            where = jax.tree_util.keystr(path) or "(the only one)"
            raise InputError(
                f"{name}: parameter {where} is {dtype}; "
                f"give floating-point parameters, or {instead}"
            )


def lift(
    init: Callable, update: Callable, *, name: str, needs: tuple = VALUE
) -> optax.GradientTransformationExtraArgs:
    """Makes a transformation on trees of a method on one vector.

    The vector has the leaves' common dtype, float32 where that is a half precision:
    factorizations exist in no shorter type. Updates return in the gradient's dtypes.

    Args:
      init: x [n] -> state.
      update: (g [n], state, x [n], ``Objective``) -> (direction [n], state).
      name: name of the method, for messages.
      needs: groups of argument names, ``VALUE`` or ``OUTPUTS``, of which the caller
        must pass one.

    Returns:
      The transformation. Where its ``update`` is given ``grad``, the gradient of the
      objective, the updates must be these same arrays.

    Raises:
      InputError: from ``init``, for parameters that are not floating point; from
        ``update``, where something before the method has changed the gradient.
      TypeError: from ``update``, where an argument that the method needs is missing.

    >>> tx = lift(
    ...     lambda x: (), lambda g, state, x, f: (f.value * g, state), name="scaled"
    ... )
    >>> w = {"w": jnp.ones(2)}
    >>> tx.update(w, tx.init(w), w, value_fn=lambda p: 3.0 * p["w"].sum())[0]
    {'w': Array([6., 6.], dtype=float32)}
    """

    def init_tree(params):
        require_floating(name, params, "mask this one with optax.masked")
        return init(flatten(params)[0])

    def update_tree(updates, state, params=None, **extra_args):
        if params is None:
            raise TypeError(f"{name} needs params: tx.update(grad, state, params, ...)")
        functions = {key: extra_args.get(key) for key in _PASS}
        value, full_params = extra_args.get("value"), extra_args.get("full_params")
        _require(name, needs, functions)
        _refuse_changed(name, updates, extra_args.get("grad"))
        leaves = jax.tree.leaves(params, is_leaf=_is_masked)
        if full_params is None and any(map(_is_masked, leaves)):
            raise TypeError(
                f"{name} was given a part of the parameters (optax.masked, partition) "
                "and needs full_params: pass full_params=params, the whole tree"
            )
        x, unravel = flatten(params)
        g, unravel_update = flatten(updates)
        if not x.size:
            return updates, state

        def whole(x):
            part = unravel(x)
            return part if full_params is None else fill(part, full_params)

        objective = _flat_objective(name, x, whole, value, functions)
        direction, state = update(g.astype(x.dtype), state, x, objective)
        return unravel_update(direction), state

    return optax.GradientTransformationExtraArgs(init_tree, update_tree)


def part_of(method: Callable[_P, _Transformation]) -> Callable[_P, _Transformation]:
    """Derives the ``scale_by_*`` part of a method: its step, to be subtracted in full.

    >>> step = part_of(optax.sgd)(0.5)
    >>> step.update(jnp.array(2.0), step.init(jnp.array(0.0)))[0].item()
    1.0
    """

    @functools.wraps(method)
    def part(*args: _P.args, **kwargs: _P.kwargs) -> _Transformation:
        return optax.chain(method(*args, **kwargs), optax.scale(-1.0))

    name = method.__name__
    part.__name__ = part.__qualname__ = f"scale_by_{name}"
    part.__doc__ = f"Builds the step of `{name}`, to be subtracted in full."
    return part


def _is_masked(node):
    return isinstance(node, optax.MaskedNode)


def _require(name, needs, functions):
    given = {key for key, function in functions.items() if function is not None}
    if any(given.issuperset(group) for group in needs):
        return
    missing = [key for key in needs[0] if key not in given]
    for group in needs:  # where a group was begun, ask for its other half
        if given.intersection(group):
            missing = [key for key in group if key not in given]
    raise TypeError(
        f"{name}.update is missing {' and '.join(missing)}: pass "
        + " and ".join(_PASS[key] for key in missing)
        + f" (accepted: {' or '.join(' + '.join(group) for group in needs)})"
    )


def _refuse_changed(name, updates, grad):
    if grad is None:  # then nothing can be told
        return
    given = jax.tree.leaves(updates)
    try:
        true = jax.tree.leaves(take(grad, updates))
    except ValueError:  # another structure
        true = []
    if len(given) != len(true) or any(map(operator.is_not, given, true)):
        raise InputError(
            f"{name}: something before it in the chain (clipping, weight decay) has "
            f"changed the gradient, and {name} follows the objective: chain it after "
            f"{name}, or add it to the objective (of several batches, their sum)"
        )


def _flat_objective(name, x, whole, value, functions):
    value_fn, residual_fn, output_fn, output_loss_fn = functions.values()
    squares = residual_fn is not None
    function, which = (
        (residual_fn, "residual_fn") if squares else (output_fn, "output_fn")
    )
    sizes = []  # of the outputs of each call

    def flat(x):
        z = ravel_pytree(real_parts(gathered(function(whole(x)))))[0]
        sizes.append(z.size)
        if sizes[0] != z.size:
            raise InputError(
                f"{name}: {which} gave {sizes[0]} numbers, and now {z.size}: it is "
                "called several times in an update, and must give as many each time"
            )
        return z.astype(x.dtype)

    outputs = flat if function is not None else None
    loss = half_square if squares else None
    if not squares and output_fn is not None and output_loss_fn is not None:
        shapes = jax.eval_shape(lambda x: output_fn(whole(x)), x)
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        unravel = flatten(real_parts(zeros))[1]
        again = lambda z: sharded_as(  # noqa: E731
            complex_again(unravel(z), shapes), shapes
        )
        loss = lambda z: jnp.asarray(output_loss_fn(again(z)), z.dtype)  # noqa: E731

    def scalar(x):
        if value_fn is not None:
            return jnp.asarray(value_fn(whole(x)), x.dtype)
        assert outputs is not None  # _require saw to it
        assert loss is not None
        return loss(outputs(x))

    return Objective(
        value=scalar(x) if value is None else jnp.asarray(value, x.dtype),
        value_fn=scalar,
        output_fn=outputs,
        output_loss_fn=loss,
        squares=squares,
    )
