"""Command lines: flags and config in, one clear line where they are wrong."""

import ast
import inspect
import logging as stdlib_logging
import os
import pathlib
import re
import runpy
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags
from threadpoolctl import threadpool_limits

from optlab.errors import InputError, near
from optlab import machine

#: ``--config.optimizers=adam,mypackage.mymodule.my_optimizer``
SELECTION = re.compile(r"--?config\.optimizers=([^{].*|)")

OVERRIDE = re.compile(r"--?config\.([^=]+)(?:=(.*))?")

#: Sections that a command line may add keys to: each optimizer and each schedule has
#: arguments of its own.
OPEN = ("optimizers", "schedule")


class Given(NamedTuple):
    """What a command line says of the config."""

    selection: tuple[str, ...] = ()  # --config.optimizers=NAME,NAME
    added: Mapping[str, Any] = {}  # dotted key that the config's file lacks -> value
    keys: frozenset[str] = frozenset()  # all that are set, dotted


def define_config(default: str) -> flags.FlagHolder:
    """Defines ``--config=FILE`` or ``FILE:VARIANT``, every key of it a flag.

    Args:
      default: the file that runs where none is named.

    Returns:
      The flag; its value is a locked ConfigDict.
    """
    # Not ml_collections' own default: that is read while modules are imported, where
    # a mistyped override would end in a traceback.
    given = [w for w in sys.argv if re.fullmatch(r"--?config(=.*)?", w)]
    if not given:
        # Where one runs it elsewhere, configs/ is beside this package.
        there = pathlib.Path(__file__).parents[1] / default
        path = default if os.path.exists(default) else there
        sys.argv.insert(1, f"--config={path}")
    holder = config_flags.DEFINE_config_file(
        "config", None, "What to run: FILE or FILE:VARIANT; see the keys above."
    )
    flags.FLAGS["config"].default_as_str = f"'{default}'"
    return holder


def run(
    main: Callable[[Given], None], stopped: str = "stopped; nothing is kept"
) -> None:
    """Runs an experiment's ``main(given)``.

    A mistake of the user's is one line on standard error and exit code 1.

    Args:
      main: receives what the command line says beside the config's own keys.
      stopped: the line for who stops it with Ctrl-C.
    """
    given = Given()
    use_cores()

    def parse(argv: Sequence[str]) -> list[str]:
        nonlocal given
        try:
            given = _take_given(list(argv))  # sys.argv itself, which it changes
            # ml_collections looks for its overrides in sys.argv.
            rest = flags.FLAGS(sys.argv)
        except (flags.Error, InputError) as error:
            _fail(str(error))
        if len(rest) > 1:
            _fail(f"unexpected word {rest[1]!r}: every option begins with --")
        return rest

    def guarded(_: Sequence[str]) -> None:
        if not flags.FLAGS["verbosity"].present:  # our own lines, and no library's
            stdlib_logging.getLogger().setLevel(stdlib_logging.WARNING)
            logging.get_absl_logger().setLevel(stdlib_logging.INFO)
        try:
            # LAPACK's threads wait for each other: beside other work on the same cores
            # a small factorization then takes hundreds of times as long.
            with threadpool_limits(1, "blas"):
                main(given)
        except InputError as error:
            _fail(str(error))
        except KeyboardInterrupt:
            _fail(stopped)

    app.run(guarded, flags_parser=parse)


def use_cores() -> None:
    """Makes every CPU core a device of JAX's, unless the user has said how many.

    To be called before JAX makes its first array.
    """
    forced = "--xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not forced and jax.config.values["jax_num_cpu_devices"] < 1:
        jax.config.update("jax_num_cpu_devices", machine.cores())


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """A nested config as dotted names and values.

    Args:
      config: a ConfigDict or a dictionary.
      prefix: goes before every name.

    Returns:
      Name to value, in the config's order.

    >>> flatten({"data": {"name": "digits"}, "epochs": 3})
    {'data.name': 'digits', 'epochs': 3}
    """
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        if hasattr(value, "items") and value:  # an empty one is a leaf
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _fail(message: str) -> None:
    sys.exit("error: " + " ".join(message.split()))  # prints it; exit code 1


def with_added(settings: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """A config's plain data with the keys that a command line adds to it.

    Args:
      settings: nested.
      given: from the command line.

    Returns:
      A copy with the added keys.

    >>> given = Given(added={"optimizers.lion.b1": 0.8, "schedule.decay_epochs": 3})
    >>> with_added({"optimizers": {}, "schedule": {"name": "cosine"}}, given)
    {'optimizers': {'lion': {'b1': 0.8}}, 'schedule': {'name': 'cosine',
     'decay_epochs': 3}}
    """
    found = dict(settings)
    for key, value in given.added.items():
        section, _, rest = key.partition(".")
        name, _, argument = rest.rpartition(".")  # an optimizer's may have dots
        if name:
            entry = {**found[section].get(name, {}), argument: value}
            argument, value = name, entry
        found[section] = {**found[section], argument: value}
    return found


def _take_given(argv: Sequence[str]) -> Given:
    """Takes off the command line what ml_collections would not understand.

    It accepts no list of names, no key that the file lacks and no dots in one.

    Raises:
      InputError: the config cannot be read or has no such key.
    """
    config: Any = {}
    known: dict[str, Any] = {}
    names: list[str] = []
    added, keys = {}, set()
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if match := re.fullmatch(r"--?config(?:=(.*))?", word):
            config = _read_config(following if match[1] is None else match[1])
            known = flatten(config)
            _describe_keys(known)
        elif match := SELECTION.fullmatch(word):
            names += [name.strip() for name in match[1].split(",")]
            sys.argv.remove(word)
        elif (match := OVERRIDE.fullmatch(word)) and known:
            key, value = match.groups()
            keys.add(key)
            if key in known or any(k.startswith(f"{key}.") for k in known):
                continue
            section, _, name = key.partition(".")
            if section not in OPEN or section not in config or not name:
                raise InputError(f"unknown config key {key!r}; {near(key, known)}")
            if value is None:
                raise InputError(f"write --config.{key}=VALUE, with an equals sign")
            added[key] = _literal(value)
            sys.argv.remove(word)
    if "" in names:
        raise InputError(f"--config.optimizers={','.join(names)} leaves out a name")
    if len(set(names)) < len(names):
        raise InputError(f"--config.optimizers={','.join(names)} names one twice")
    return Given(tuple(names), added, frozenset(keys))


def _literal(text: str) -> Any:
    """A number, a tuple, a truth value; any other text is itself."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _describe_keys(known: Mapping[str, Any]) -> None:
    """Lets ``--help`` list the config's keys."""
    main = sys.modules["__main__"]
    lines = [f"  --config.{key}={value!r}" for key, value in known.items()]
    main.__doc__ = "\n".join([main.__doc__ or "", "The config's keys:", *lines])


def _read_config(value: str) -> ConfigDict:
    path, _, variant = value.partition(":")
    if not pathlib.Path(path).is_file():
        raise InputError(f"no config file {path!r}: name a file of Python")
    try:
        names = runpy.run_path(path)
        if "get_config" not in names:
            raise InputError(f"config file {path!r} defines no get_config()")
        get_config = names["get_config"]
        if variant and not inspect.signature(get_config).parameters:
            raise InputError(
                f"config file {path!r} has no variants: leave out :{variant}"
            )
        config = get_config(variant) if variant else get_config()
    except SyntaxError as error:
        raise InputError(f"config file {path!r} is no Python: {error}") from error
    except InputError:
        raise
    except Exception as error:  # whatever the user's own code raises
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        raise InputError(
            f"config file {path!r} fails in line {line}: {type(error).__name__}: "
            f"{error}"
        ) from error
    if not isinstance(config, ConfigDict):
        kind = type(config).__name__
        raise InputError(f"get_config() of {path!r} returns no ConfigDict but {kind}")
    return config
