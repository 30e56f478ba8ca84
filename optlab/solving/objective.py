"""The functions of a minimization: their arguments bound, their outputs checked."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree

from optlab.curvature import real_parts
from optlab.curvature.explicit import gathered
from optlab.errors import InputError, near
from optlab.optim.dense.lift import half_square
from optlab.ranges import shown

#: Said where a function has a ``custom_vjp``, such as that of ``odeint``.
NO_FORWARD_MODE = (
    "forward-mode derivatives are needed here (jax.jvp), and a function in the "
    "objective defines reverse mode only (jax.custom_vjp): take it out or give it a "
    "custom_jvp; optlab.adam() and optlab.bfgs() need no forward mode"
)

#: Said where a function has a loop of unknown length.
NO_REVERSE_MODE = (
    "the gradient of the objective is needed, and a loop of unknown length in it "
    "(jax.lax.while_loop) has no reverse mode: use jax.lax.scan"
)


#: Said where a run without ``args`` is differentiated in reverse mode.
NO_ARGS = (
    "solve: reverse mode (jax.grad) needs what the run is differentiated by in args: "
    "solve(tx, params, args=(a,), value_fn=lambda p, a: ...); without args there is "
    "forward mode only (jax.jacfwd)"
)


def lacks_forward_mode(error: Exception) -> bool:
    """Tells whether JAX's error is of a function that defines reverse mode only."""
    return any(text in str(error) for text in ("forward-mode autodiff", "custom_lin"))


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """Says in words which derivatives a function does not have, and who asks."""
    try:
        yield
    except InputError as error:
        text = str(error)
        if where == "solve" or not text.startswith("solve:"):
            raise
        raise InputError(text.replace("solve:", f"{where}:", 1)) from None
    except (NotImplementedError, TypeError, ValueError) as error:
        if lacks_forward_mode(error):
            raise InputError(f"{where}: {NO_FORWARD_MODE}") from error
        if "Reverse-mode differentiation does not work" in str(error):
            raise InputError(f"{where}: {NO_REVERSE_MODE}") from error
        raise


class Functions(TypedDict, total=False):
    """Keyword arguments that give an objective to `optlab.solve`."""

    value_fn: Callable | None
    residual_fn: Callable | None
    output_fn: Callable | None
    output_loss_fn: Callable | None


class Given(NamedTuple):
    """The functions that a caller gave; hashable, as a static argument."""

    value_fn: Callable | None = None
    residual_fn: Callable | None = None
    output_fn: Callable | None = None
    output_loss_fn: Callable | None = None


class Objective(NamedTuple):
    """An objective as functions of the parameters alone."""

    value_and_aux: Callable  # params -> (scalar f, aux)
    functions: dict[str, Callable]  # by name, as an optimizer's update takes them
    values: dict[str, Callable]  # params -> f, by the name of each given function

    @property
    def residual_fn(self) -> Callable | None:
        """Residuals of a sum of squares, a tree of real arrays."""
        return self.functions.get("residual_fn")


def gather(functions: Functions) -> Given:
    """Collects the functions, and refuses unknown names and incomplete groups."""
    for name, function in functions.items():
        if name not in Given._fields:
            raise InputError(f"solve: no argument {name!r}; {near(name, _ARGUMENTS)}")
        if function is not None and not callable(function):
            raise InputError(f"solve: {name} must be a function, not {function!r}")
    given = Given(*(_hashable(functions.get(name)) for name in Given._fields))
    if (given.output_fn is None) != (given.output_loss_fn is None):
        raise InputError("solve: output_fn and output_loss_fn belong together")
    if not any(given):
        raise InputError(
            "solve: pass value_fn, residual_fn, or output_fn and output_loss_fn"
        )
    return given


def bind(given: Given, args: tuple[Any, ...], has_aux: bool, params: Any) -> Objective:
    """Binds the arguments, and checks what the functions return.

    Args:
      given: functions of the caller.
      args: arguments that each function receives after the parameters.
      has_aux: whether ``value_fn``, ``residual_fn`` and ``output_fn`` return a pair, of
        which the second part is not minimized.
      params: parameters, for shapes only.

    Returns:
      The objective, by the first of the functions that is given.

    Raises:
      InputError: a function returns something else than it should.
    """

    def pair(name: str) -> Callable:
        function = getattr(given, name)
        finish = {"value_fn": _scalar, "residual_fn": _residuals}.get(name)
        shapes = []  # of the first call

        def call(params):
            found = _call(name, function, params, args)
            if has_aux and not (isinstance(found, tuple) and len(found) == 2):
                raise InputError(f"solve: has_aux=True, but {name} returns no pair")
            outputs, aux = found if has_aux else (found, None)
            if not all(map(_is_numeric, jax.tree.leaves(aux))):
                raise InputError(
                    f"solve: {name} returns {aux!r} beside its value, and aux holds "
                    "arrays and numbers"
                )
            if isinstance(outputs, tuple) and name == "value_fn":
                raise InputError(
                    "solve: value_fn returns a tuple; pass has_aux=True where the "
                    "first part is the value"
                )
            _require_numbers(name, outputs)
            outputs = finish(outputs) if finish else outputs
            shapes.append(jax.tree.map(jnp.shape, outputs))
            if shapes[0] != shapes[-1]:
                raise InputError(
                    f"solve: {name} gave the shape {shapes[0]}, and now {shapes[-1]}; "
                    "it must be the same at each call"
                )
            return outputs, jax.tree.map(jnp.asarray, aux)

        jax.eval_shape(call, params)
        return call

    def loss(outputs):
        assert given.output_loss_fn is not None
        value = _call("output_loss_fn", given.output_loss_fn, outputs, args)
        _require_numbers("output_loss_fn", value)
        return _scalar(value, "output_loss_fn")

    ends = {
        "value_fn": lambda value: value,
        "residual_fn": half_squares,
        "output_fn": loss,
    }
    pairs = {name: pair(name) for name in ends if getattr(given, name) is not None}

    def way(name):
        def value_and_aux(params):
            outputs, aux = pairs[name](params)
            return ends[name](outputs), aux

        return value_and_aux

    ways = {name: way(name) for name in pairs}
    functions: dict[str, Callable] = {
        name: lambda p, both=both: both(p)[0]
        for name, both in pairs.items()
        if name != "value_fn"
    }
    if given.output_loss_fn is not None:
        functions["output_loss_fn"] = loss
    return Objective(
        value_and_aux=next(iter(ways.values())),
        functions=functions,
        values={name: lambda p, w=w: w(p)[0] for name, w in ways.items()},
    )


def half_squares(residuals: Any) -> jax.Array:
    """Computes half the sum of squares of a tree of real numbers."""
    return half_square(ravel_pytree(residuals)[0])


def check_args(args: Any) -> None:
    """Refuses arguments that cannot be traced; they may hold tracers."""
    if not isinstance(args, tuple):
        raise InputError(f"solve: args must be a tuple, args=(x,), not {shown(args)}")
    for path, leaf in jax.tree.leaves_with_path(args):
        if not _is_numeric(leaf):
            where = jax.tree_util.keystr(path)
            raise InputError(
                f"solve: args{where} is {leaf!r}; args hold arrays and numbers, and "
                "anything else is bound to the function by functools.partial"
            )


def compare(values: Mapping[str, jax.Array]) -> None:
    """Refuses functions that give different values at the start, where it is known."""
    first, *others = (name for name in Given._fields if name in values)
    for name in others:
        if isinstance(values[first], Tracer) or isinstance(values[name], Tracer):
            return
        f, g = float(values[first]), float(values[name])
        if not np.isclose(f, g, rtol=1e-3, equal_nan=True):
            raise InputError(
                f"solve: {first} gives {f:.6g} at the start, but {name} gives "
                f"{g:.6g}; they must agree, and the value of residuals is "
                "0.5 * sum(residuals**2)"
            )


_ARGUMENTS = (*Given._fields, "args", "has_aux", "bounds", "stop", "history")


def _call(name: str, function: Callable, first: Any, args: tuple[Any, ...]) -> Any:
    try:
        return function(first, *args)
    except (
        jax.errors.NonConcreteBooleanIndexError,
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
        jax.errors.TracerIntegerConversionError,
    ) as error:
        raise InputError(
            f"solve: {name} needs a number that is known only when it runs: use "
            "jax.numpy in place of numpy, math and float(), jnp.where in place of a "
            "branch, and zeros in place of rows to leave out"
        ) from error
    except TypeError as error:
        if any(isinstance(each, list) for each in args):
            error.add_note(
                "optlab.solve: a list in args is a tree, and comes to the function as "
                "a list; give an array where one is meant: jnp.array(...)"
            )
        raise


def _is_numeric(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray):  # bfloat16 and the like are of kind V
        return leaf.dtype.kind in "biufcV" and leaf.dtype.names is None
    numbers = bool | int | float | complex | np.number | np.bool_
    return isinstance(leaf, numbers | jax.Array)


def _require_numbers(name: str, outputs: Any) -> None:
    leaves = jax.tree.leaves(outputs)
    if not all(map(_is_numeric, leaves)) or not any(map(jnp.size, leaves)):
        raise InputError(f"solve: {name} returns {outputs!r}, which holds no number")


def _scalar(value: Any, name: str = "value_fn") -> jax.Array:
    """Converts a value, which may be a Python number, to a floating-point scalar."""
    if jnp.ndim(value):
        raise InputError(
            f"solve: {name} returns the shape {jnp.shape(value)}, not a scalar; "
            "residuals are given as residual_fn"
        )
    value = jnp.asarray(value)
    if jnp.iscomplexobj(value):
        raise InputError(f"solve: {name} returns a complex number, not a real one")
    return _floating(value)


def _residuals(outputs: Any) -> Any:
    outputs = gathered(jax.tree.map(jnp.asarray, real_parts(outputs)))
    return jax.tree.map(_floating, outputs)


def _floating(x: jax.Array) -> jax.Array:
    """Converts integers to the default float: JAX would promote them to bfloat16."""
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def _hashable(function: Any) -> Any:
    """Wraps a callable that has no hash; it then compiles anew at each call."""
    try:
        hash(function)
    except TypeError:
        return lambda *args: function(*args)
    return function
