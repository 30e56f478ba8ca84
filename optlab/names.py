"""Parts by name: built-in ones from a registry, custom ones by their dotted path."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from optlab.errors import InputError, near


def find(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    """Looks up a part by its name.

    Args:
      kind: noun for messages, such as ``"optimizer"``.
      name: key of ``known``, or the dotted path of a custom part
        (``"mypackage.mymodule.my_part"``), which is imported.
      known: registry of built-in parts.

    Returns:
      The entry of the registry, or the imported object.

    Raises:
      InputError: the name is unknown, its module is missing or has no such callable.

    >>> find("number", "one", {"one": 1})
    1
    >>> find("function", "math.sqrt", {})(4.0)
    2.0
    >>> find("optimizer", "adma", {"adam": 1})
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: no optimizer 'adma'; did you mean adam?
    """
    if not isinstance(name, str):
        raise InputError(f"the name of the {kind} must be a text, not {name!r}")
    if name in known:
        return known[name]
    path, _, attribute = name.rpartition(".")
    if not path or not all(part.isidentifier() for part in name.split(".")):
        raise InputError(f"no {kind} {name!r}; {near(name, known)}")
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        # A module that exists but lacks a dependency of its own is not a typo.
        if error.name and f"{path}.".startswith(f"{error.name}."):
            raise InputError(
                f"no module {error.name!r} for {kind} {name!r}: install it, or put "
                "its folder on PYTHONPATH"
            ) from None
        raise
    part = getattr(module, attribute, None)
    if not callable(part):
        public = [key for key, value in vars(module).items() if callable(value)]
        raise InputError(
            f"module {path} has no function {attribute!r}; {near(attribute, public)}"
        )
    return part


def call(label: str, factory: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Calls a factory with keyword arguments that a user named.

    Args:
      label: name of the factory for messages.
      factory: function or class.
      arguments: keyword arguments.

    Returns:
      The factory's result.

    Raises:
      InputError: an argument is unknown, or a required one is missing.

    >>> call("power", pow, {"base": 2, "exp": 3})
    8
    >>> call("power", pow, {"base": 2, "expo": 3})
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: power ... argument...; it takes base, exp, mod
    """
    bind(label, factory, arguments)
    return factory(**arguments)


def bind(label: str, factory: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Refuses arguments that a factory does not take, without calling it.

    Args:
      label: name of the factory for messages.
      factory: function or class.
      arguments: keyword arguments.

    Raises:
      InputError: an argument is unknown, or a required one is missing.
    """
    signature = inspect.signature(factory)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        accepted = ", ".join(signature.parameters) or "no argument"
        raise InputError(f"{label} {error}; it takes {accepted}") from None
