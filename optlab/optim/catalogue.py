"""Optimizers by name: ours first, then optax's, then any that can be imported.

``make`` is where names and numbers from a command line or a config come in, so a
mistake there is an `InputError` that says what would have been right.
"""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from jax.core import Tracer

from optlab.errors import InputError, near
from optlab.optim import registry

Factory = Callable[..., optax.GradientTransformation]

METHODS: dict[str, Factory] = {
    name: value for name, value in vars(registry).items() if inspect.isfunction(value)
}

_FINITE = "finite and at least 0", lambda x: 0 <= x < np.inf
_POSITIVE = "more than 0", lambda x: x > 0
_SHARE = "at least 0 and less than 1", lambda x: 0 <= x < 1

#: What a number of this name must be, in words and as a test; in methods of the house.
RANGES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "learning_rate": _FINITE,  # in every optimizer
    "damping": _FINITE,
    "eps": _FINITE,
    "initial_accumulator_value": _FINITE,
    "weight_decay": _FINITE,
    "decrease": _POSITIVE,
    "first_step": _POSITIVE,
    "increase": _POSITIVE,
    "max_damping": _POSITIVE,
    "max_radius": _POSITIVE,
    "radius": _POSITIVE,
    "b1": _SHARE,
    "b2": _SHARE,
    "curvature": _SHARE,
    "decay": _SHARE,
    "momentum": _SHARE,
}


def make(name: str, /, **hyperparameters: Any) -> optax.GradientTransformationExtraArgs:
    """Builds an optimizer from its name.

    Args:
      name: one of `names`, or the dotted path of a factory of your own
        (``"mypackage.mymodule.my_optimizer"``), which is imported and called.
      **hyperparameters: arguments of the factory. Numbers may be tracers;
        ``learning_rate`` may be a schedule.

    Returns:
      The optimizer. It takes every extra argument and ignores what it has no use for.

    Raises:
      InputError: the name is unknown, a hyperparameter is unknown or missing, a
        (concrete) number is not in its range in ``RANGES``, of which optimizers from
        elsewhere share the learning rate's alone, or the factory returns no optimizer.

    >>> tx = make("momentum", learning_rate=0.1)
    >>> updates, state = tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)), value=4.0)
    >>> print(updates)
    -0.2
    >>> make("adma")
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: no optimizer 'adma'; did you mean ...adam...?
    """
    factory = _find(name)
    for argument in RANGES if name in METHODS else ("learning_rate",):
        if argument in hyperparameters:
            _check_number(name, factory, argument, hyperparameters[argument])
    tx = call(name, factory, hyperparameters)
    if not isinstance(tx, optax.GradientTransformation):
        raise InputError(
            f"{name} returned a {type(tx).__name__}, not an optimizer: return an "
            "optax.GradientTransformation, the pair of init and update"
        )
    return optax.with_extra_args_support(tx)


def names() -> list[str]:
    """Every name that `make` knows: ours, then optax's.

    >>> names()[:2]
    ['adagrad', 'adam']
    >>> {"lion", "schedule_free_adamw", "polyak_sgd"} <= set(names())
    True
    """
    return [*METHODS, *(name for name in _optax_optimizers() if name not in METHODS)]


def takes(name: str, argument: str) -> bool:
    """Whether an optimizer has an argument of some name.

    Args:
      name: as for `make`.
      argument: such as ``learning_rate``.

    Returns:
      Whether it stands in the factory's signature.

    Raises:
      InputError: the optimizer is unknown.

    >>> takes("momentum", "momentum"), takes("adam", "momentum")
    (True, False)
    """
    return argument in inspect.signature(_find(name)).parameters


def call(label: str, factory: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Calls a factory with a user's arguments, once their names are right.

    Args:
      label: what the user called the factory.
      factory: the function.
      arguments: keyword arguments.

    Returns:
      What the factory returns.

    Raises:
      InputError: an argument is unknown, or a required one is missing.

    >>> call("power", pow, {"base": 2, "exp": 3})
    8
    >>> call("power", pow, {"base": 2, "expo": 3})
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: power ... argument...; it takes base, exp, mod
    """
    signature = inspect.signature(factory)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        accepted = ", ".join(signature.parameters)
        raise InputError(f"{label} {error}; it takes {accepted}") from None
    return factory(**arguments)


def _find(name: str) -> Factory:
    if name in METHODS:
        return METHODS[name]
    if name in _optax_optimizers():
        return _optax_optimizers()[name]
    path, _, attribute = name.rpartition(".")
    if not path or not all(part.isidentifier() for part in name.split(".")):
        raise InputError(f"no optimizer {name!r}; {near(name, names())}")
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        # A module that exists but lacks a dependency of its own is not a typo.
        if error.name and f"{path}.".startswith(f"{error.name}."):
            raise InputError(
                f"no module {error.name!r} for optimizer {name!r}: install it, or put "
                "its folder on PYTHONPATH"
            ) from None
        raise
    factory: Factory | None = getattr(module, attribute, None)
    if not callable(factory):
        public = [key for key, value in vars(module).items() if callable(value)]
        raise InputError(
            f"module {path} has no function {attribute!r}; {near(attribute, public)}"
        )
    return factory


@functools.cache
def _optax_optimizers() -> dict[str, Factory]:
    # The rule: a public function that takes a learning rate (max_learning_rate, too)
    # and is not one of the scale_by_* parts that optimizers are made of.
    def is_optimizer(name: str, value: Any) -> bool:
        if not inspect.isfunction(value) or name.startswith(("_", "scale_by_")):
            return False
        arguments = inspect.signature(value).parameters
        return any(argument.endswith("learning_rate") for argument in arguments)

    return {
        name: value
        for module in (optax, optax.contrib)
        for name, value in sorted(vars(module).items())
        if is_optimizer(name, value)
    }


def _check_number(name: str, factory: Factory, argument: str, value: Any) -> None:
    schedule = argument == "learning_rate"
    if isinstance(value, Tracer) or (schedule and callable(value)):
        return
    parameter = inspect.signature(factory).parameters.get(argument)
    if value is None and parameter and parameter.default is None:
        return
    number = np.asarray(value)
    if number.ndim or not jnp.issubdtype(number.dtype, jnp.number):
        what = "a number or a schedule" if schedule else "a number"
        raise InputError(f"{name}: {argument} must be {what}, not {value!r}")
    words, holds = RANGES[argument]
    if not holds(number):
        raise InputError(f"{name}: {argument} must be {words}, not {value}")
