"""Functions of scalars from text: the text is parsed, and never executed as code.

An expression has numbers, names of variables, ``+ - * / **``, parentheses, and calls of
``FUNCTIONS``. Everything else that Python's grammar knows is refused.
"""

import ast
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from optlab.errors import InputError, check_choice

#: Functions that an expression may call, each of one number.
FUNCTIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "abs": jnp.abs,
    "cos": jnp.cos,
    "exp": jnp.exp,
    "log": jnp.log,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "sin": jnp.sin,
    "softplus": jax.nn.softplus,
    "sqrt": jnp.sqrt,
    "tan": jnp.tan,
    "tanh": jnp.tanh,
}

#: Most characters of an expression. Guard: its nesting must not exhaust the stack.
LONGEST = 500

#: Largest exponent that is written as a power of a whole number.
LARGEST_EXPONENT = 64

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def parse(text: str) -> Callable[..., jax.Array]:
    """Makes a JAX function of an expression.

    Args:
      text: expression, see above.

    Returns:
      A function of its variables by keyword; its signature lists them in the order in
      which they first occur.

    Raises:
      InputError: it is no expression, calls an unknown function, or uses anything
        else, such as an attribute, an index or an import.

    >>> f = parse("(x + y) ** 2 / 2")
    >>> inspect.signature(f)
    <Signature (*, x, y)>
    >>> float(f(x=1.0, y=2.0))
    4.5
    >>> parse("__import__('os')")
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: no function '__import__'; known: abs, cos, exp, ...
    """
    if len(text) > LONGEST:
        raise InputError(f"the expression is longer than {LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", None) or "it cannot be parsed"
        raise InputError(
            f"{text!r} is no expression: {reason}; write one such as (a + b) * exp(c)"
        ) from None
    variables = dict.fromkeys(_check(tree, text))

    def function(**values: Any) -> jax.Array:
        return _evaluate(tree, values)

    kind = inspect.Parameter.KEYWORD_ONLY
    function.__signature__ = inspect.Signature(  # pyright: ignore[reportFunctionMemberAccess]
        [inspect.Parameter(name, kind) for name in variables]
    )
    return function


def _check(node: ast.AST, text: str) -> list[str]:
    """Refuses what is not allowed; returns the names of the variables in order."""
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            return []
        case ast.Name(id=name):
            if name in FUNCTIONS:
                raise InputError(f"{name} is a function: write {name}(...)")
            return [name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _check(left, text) + _check(right, text)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _check(operand, text)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            check_choice("function", name, FUNCTIONS)
            if len(arguments) != 1 or keywords:
                raise InputError(f"{name} takes one argument: write {name}(x)")
            return _check(arguments[0], text)
    part = ast.get_source_segment(text.strip(), node) or text
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
        raise InputError(f"{part!r}: ^ is no power, write {part.replace('^', '**')}")
    raise InputError(
        f"{part!r} cannot stand in an expression: use numbers, names, + - * / **, "
        f"parentheses and {', '.join(FUNCTIONS)}"
    )


def _evaluate(node: Any, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=int(value) | float(value)):
            return jnp.asarray(
                float(value), float
            )  # Guard: whole numbers could grow huge.
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base, whole = _evaluate(left, values), _whole(right)
            return base ** (_evaluate(right, values) if whole is None else whole)
        case ast.BinOp(left=left, op=op, right=right):
            apply = _BINARY[type(op)]
            return apply(_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_evaluate(operand, values))
        case _:
            return FUNCTIONS[node.func.id](_evaluate(node.args[0], values))


def _whole(node: ast.AST) -> int | None:
    """Reads an exponent that is a small whole number."""
    match node:
        case ast.Constant(value=int(value) | float(value)):
            return int(value) if value in range(LARGEST_EXPONENT + 1) else None
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _whole(operand)
            return None if value is None else -value
    return None
