"""Precision of a net: float32, bfloat16 inside the net alone, or float64 throughout.

    float32   parameters, optimizer's state and the net's values in float32
    bfloat16  parameters and state in float32, rounded to bfloat16 where the net uses
              them, as are its inputs; products and activations are bfloat16, outputs
              go back to float32 before the loss (P. Micikevicius et al., "Mixed
              Precision Training", 2018, section 3.1, with a type that needs no scaled
              loss)
    float64   parameters, state and the net's values in float64

Batch statistics, and metrics once they are recorded, are float32 in all three. Losses
are computed in float32, of a float64 net in float64.

JAX has float64 only where it is switched on. `scope` does so for a block of code, and
JAX compiles programs for each setting, so that one process compares all three.
"""

import contextlib
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from optlab.errors import InputError, check_choice
from optlab.problems import Problem

#: Name to the type of a net's values.
PRECISIONS = {
    "float32": jnp.float32,
    "bfloat16": jnp.bfloat16,
    "float64": jnp.float64,
}


def scope(name: str) -> contextlib.AbstractContextManager[Any]:
    """Makes a context in which a problem of some precision can be used.

    Args:
      name: key of ``PRECISIONS``.

    Returns:
      A context manager; for float64 it switches JAX's 64-bit types on, in this thread.

    Raises:
      InputError: the precision is unknown.

    >>> with scope("float64"):
    ...     print(jnp.ones(1).dtype)
    float64
    """
    _check(name)
    return jax.enable_x64(True) if name == "float64" else contextlib.nullcontext()


def at(problem: Problem, name: str) -> Problem:
    """Computes a problem's net in another precision.

    Args:
      problem: problem whose net computes in the types of its parameters and inputs.
      name: key of ``PRECISIONS``.

    Returns:
      The problem. Its functions must be called inside ``scope(name)``.

    Raises:
      InputError: the precision is unknown; or, from the functions of a float64 problem,
        JAX's 64-bit types are off.

    >>> from optlab import data, models, problems
    >>> net = models.make("mlp", classes=10)
    >>> narrow = at(problems.classification(net, data.load("digits")), "bfloat16")
    >>> params, model_state = narrow.init(jax.random.key(0))
    >>> params["Dense_0"]["kernel"].dtype, narrow.outputs(
    ...     params, model_state, jnp.full((1, 8, 8, 1), 1 / 3)).dtype
    (dtype('float32'), dtype('float32'))
    """
    _check(name)
    if name == "float32":
        return problem
    wide, inside = jnp.float32, PRECISIONS[name]
    if name == "float64":
        wide = jnp.float64

    def init(key):
        _check_scope(name)
        with jax.enable_x64(False):  # 64-bit draws would be others than float32's
            params, model_state = problem.init(key)
        return _cast(params, wide), model_state

    def train_outputs(params, model_state, inputs, key):
        _check_scope(name)
        found, updated = problem.train_outputs(
            _cast(params, inside), model_state, _cast(inputs, inside), key
        )
        same = jax.tree.map(
            lambda new, old: new.astype(old.dtype), updated, model_state
        )
        return _cast(found, wide), same

    def outputs(params, model_state, inputs):
        _check_scope(name)
        net = _cast(params, inside), model_state, _cast(inputs, inside)
        return _cast(problem.outputs(*net), wide)

    return dataclasses.replace(
        problem, init=init, train_outputs=train_outputs, outputs=outputs
    )


def _check(name: str) -> None:
    check_choice("precision", name, PRECISIONS)


def _check_scope(name: str) -> None:
    if name == "float64" and jnp.result_type(float) != jnp.float64:
        raise InputError(
            "a float64 problem needs JAX's 64-bit types: use it inside `with "
            "jax.enable_x64(True):`, or set JAX_ENABLE_X64=1"
        )


def _cast(tree: Any, dtype: Any) -> Any:
    """Converts floating-point leaves to a type; integers and keys stay as they are."""

    def cast(x):
        floating = jnp.issubdtype(jnp.result_type(x), jnp.floating)
        return jnp.asarray(x, dtype) if floating else x

    return jax.tree.map(cast, tree)
