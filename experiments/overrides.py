"""Overrides of a config: taken off a command line, each with a type, and applied."""

import ast
import inspect
import pathlib
import re
import runpy
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from optlab.compare.recipe import flatten, override
from optlab.errors import InputError, check_choice, first_line, near
from optlab.ranges import shown

OVERRIDE = re.compile(r"--?config\.([^=]+)(?:=(.*))?", re.DOTALL)

#: Sections, also within others, that a command line may add keys to: parts have
#: arguments of their own.
OPEN = (
    "augment", "contenders", "data", "loss", "model", "optimizer", "optimizers",
    "schedule", "stop",
)  # fmt: skip

#: Sections whose entries may be chosen: ``--config.optimizers=adam,sgd``.
SELECTABLE = ("augment", "contenders", "optimizers")


def as_config(key: str, value: Any) -> Any:
    """Makes plain data of a config's value: NumPy's numbers and lists as a file's own.

    Args:
      key: dotted key, for messages.
      value: value of the key.

    Returns:
      Numbers, texts, truth values, None, tuples and dictionaries of these.

    Raises:
      InputError: it is something else.

    >>> as_config("rates", [np.float32(0.5), 1])
    (0.5, 1)
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {name: as_config(f"{key}.{name}", each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return tuple(as_config(key, each) for each in value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise InputError(
        f"config.{key} is {shown(value)}: a config holds numbers, texts, tuples and "
        "sections; name a function by its dotted path"
    )


class Given(NamedTuple):
    """The overrides of a config that stand on a command line."""

    changes: Mapping[str, Any] = {}  # dotted key -> value
    selected: Mapping[str, tuple[str, ...]] = {}  # section -> names of its entries
    words: tuple[str, ...] = ()  # that are no flags, of an experiment that takes some

    def about(self, *keys: str) -> bool:
        """Tells whether a key, or one within it, is set or selected."""
        given = (*self.changes, *self.selected)
        return any(f"{each}.".startswith(f"{key}.") for each in given for key in keys)


def read_config(value: str) -> ConfigDict:
    """Reads a config.

    Args:
      value: ``FILE`` or ``FILE:VARIANT``; the variant is one of the file's
        ``VARIANTS``, if it names any.

    Returns:
      What the file's ``get_config`` returns.

    Raises:
      InputError: there is no such file or variant, or it fails.
    """
    path, colon, variant = value.partition(":")
    if not pathlib.Path(path).is_file():
        raise InputError(f"no config file {path!r}: name a file of Python")
    try:
        names = runpy.run_path(path)
        if "get_config" not in names:
            raise InputError(f"config file {path!r} defines no get_config()")
        get_config = names["get_config"]
        if colon and not inspect.signature(get_config).parameters:
            raise InputError(
                f"config file {path!r} has no variants: leave out :{variant}"
            )
        if colon and "VARIANTS" in names:
            check_choice("variant", variant, names["VARIANTS"])
        config = get_config(variant) if colon else get_config()
    except SyntaxError as error:
        raise InputError(f"config file {path!r} is no Python: {error}") from error
    except InputError:
        raise
    except Exception as error:  # whatever the user's own code raises
        # The last line of that file, not of a library or of another config in it.
        frames = traceback.extract_tb(error.__traceback__)
        lines = [x.lineno for x in frames if x.filename == path]
        raise InputError(
            f"config file {path!r} fails in line {lines[-1] if lines else 1}: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error
    if not isinstance(config, ConfigDict):
        kind = type(config).__name__
        raise InputError(f"get_config() of {path!r} returns no ConfigDict but {kind}")
    return config


def take(words: Sequence[str], known: Mapping[str, Any]) -> tuple[Given, list[str]]:
    """Takes the overrides of the config off a command line.

    ml_collections accepts no list of names, no grid where the file has one number, no
    key that the file lacks and no dots in one.

    Args:
      words: words of the command line.
      known: dotted key to the config's own value, which gives an override its type.

    Returns:
      The overrides, and the other words.

    Raises:
      InputError: an override is wrong.

    >>> take(["--width=1", "--config.optimizers=adam,sgd", "--config.epochs=3"], {})
    (Given(changes={'epochs': 3}, selected={'optimizers': ('adam', 'sgd')}, words=()),
     ['--width=1'])
    """
    changes: dict[str, Any] = {}
    selected: dict[str, tuple[str, ...]] = {}
    others = []
    for word in words:
        if not (match := OVERRIDE.fullmatch(word)):
            others.append(word)
            continue
        key, text = match.groups()
        if text is None:
            raise InputError(f"write --config.{key}=VALUE, with an equals sign")
        if key in SELECTABLE:
            selected[key] = _names(key, text)
        else:
            changes[key] = _value(key, text, known)
    return Given(changes, selected), others


def _names(key: str, text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if "" in names or (not names and key != "augment"):
        raise InputError(f"--config.{key}={text} leaves out a name")
    if len(set(names)) < len(names):
        raise InputError(f"--config.{key}={text} names one twice")
    return names


def _value(key: str, text: str, known: Mapping[str, Any]) -> Any:
    """A number, a tuple, a truth value or a text, as the config's own value is."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = text
    default = known.get(key)
    if default is None or value is None:
        return value
    if isinstance(default, str):
        texts = isinstance(value, tuple) and all(isinstance(x, str) for x in value)
        return value if texts else text
    kinds = {bool: "true or false", int: "a number", float: "a number"}
    kinds |= {tuple: f"a tuple, {_example(default, text)}", dict: "a section"}
    if not any(_is_like(default, x) for x in (value, *_swept(value))):
        kind = kinds.get(type(default), type(default).__name__)
        raise InputError(f"--config.{key}={text} is not {kind}")
    return value


def _example(default: Any, text: str) -> str:
    """A tuple as it is written: of the given text, where the file has texts or none."""
    if isinstance(default, tuple) and all(isinstance(each, str) for each in default):
        return repr(tuple(word.strip() for word in text.split(",")))
    return "(1, 2)"


def _swept(value: Any) -> tuple[Any, ...]:
    """The first value of a grid."""
    return value[:1] if isinstance(value, tuple) else ()


def _is_like(default: Any, value: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, int | float):
        return isinstance(value, int | float)
    # A tuple in the file may be a grid: one number is as good.
    numbers = isinstance(default, tuple) and isinstance(value, int | float)
    return isinstance(value, type(default)) or (
        numbers and all(isinstance(x, int | float) for x in default)
    )


def settings(config: ConfigDict, given: Given) -> dict[str, Any]:
    """Applies a command line to a config.

    Args:
      config: config as its file returns it.
      given: overrides of the command line.

    Returns:
      Nested plain data. Another name of a part drops the options of the old one.

    Raises:
      InputError: a key is unknown, or a value has another type than the file's.

    >>> config = ConfigDict({"schedule": {"name": "constant"}, "optimizers": {}})
    >>> changes = {"schedule.name": "cosine", "optimizers.my.lion.b1": (0.8, 0.9)}
    >>> settings(config, Given(changes, {"optimizers": ("my.lion",)}))
    {'optimizers': {'my.lion': {'b1': (0.8, 0.9)}}, 'schedule': {'name': 'cosine'}}
    """
    found = {key: as_config(key, value) for key, value in config.to_dict().items()}
    known = flatten(found)
    for section, names in given.selected.items():
        if section not in found:
            raise InputError(f"this config has no {section!r} to choose from")
        entries = found[section]
        for name in names:
            if section == "contenders":
                check_choice("contender", name, entries)
        found[section] = {name: entries.get(name, {}) for name in names}
    for key, value in given.changes.items():
        section, *inner = key.split(".")
        new = key not in known and not {section, *inner[:-1]} & {*OPEN}
        if section not in found or new:
            nearest = near(key, {*known, *found})
            raise InputError(f"unknown config key {key!r}; {nearest}")
        path = _path(key, found)
        if len(path) == 1 and section in OPEN:
            raise InputError(f"--config.{key} is a section: set --config.{key}.NAME")
        for name in reversed(path[1:]):
            value = {name: value}
        found = override(found, {section: value})
    return found


def _path(key: str, found: Mapping[str, Any]) -> list[str]:
    """The nested keys of a dotted one; the name of an entry may have dots itself."""
    section, _, rest = key.partition(".")
    if section not in SELECTABLE or not rest:
        return key.split(".")
    for name in sorted(found[section], key=len, reverse=True):
        if rest.startswith(f"{name}."):
            options = rest.removeprefix(f"{name}.")
            nested = options.split(".") if section == "contenders" else [options]
            return [section, name, *nested]
    name, _, option = rest.rpartition(".")
    if section == "augment" and name:
        return [section, name, option]
    known = near(name or rest, found[section])
    raise InputError(
        f"--config.{key}: {name or rest} is not in --config.{section}; {known}"
    )
