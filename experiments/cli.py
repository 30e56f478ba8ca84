"""Command lines: flags and config in, one clear line where they are wrong."""

import inspect
import logging as stdlib_logging
import os
import re
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
from absl import app, flags, logging
from ml_collections import config_flags
from threadpoolctl import threadpool_limits

from optlab import machine
from optlab.errors import InputError, near

#: ``--config.optimizers=adam,mypackage.mymodule.my_optimizer``
SELECTION = re.compile(r"--?config\.optimizers=([^{].*)")

OVERRIDE = re.compile(r"--?config\.([^=]+)(=.*)?")


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
        sys.argv.insert(1, f"--config={default}")
    return config_flags.DEFINE_config_file(
        "config", None, f"What to run: FILE or FILE:VARIANT, by default {default}."
    )


def run(
    main: Callable[[Sequence[str]], None], stopped: str = "stopped; nothing is kept"
) -> None:
    """Runs an experiment's ``main(selection)``.

    A mistake of the user's is one line on standard error and exit code 1.

    Args:
      main: receives the names in ``--config.optimizers=NAME,NAME``, or none.
      stopped: the line for who stops it with Ctrl-C.
    """
    selection: list[str] = []
    use_cores()

    def parse(argv: Sequence[str]) -> list[str]:
        try:
            _check_overrides(argv)
            selection.extend(_take_selection(argv))
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
                main(selection)
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


def _check_overrides(argv: Sequence[str]) -> None:
    """Refuses a config that cannot be read and a key that it does not have."""
    known = None
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if match := re.fullmatch(r"--?config(?:=(.*))?", word):
            known = flatten(_read_config(match[1] or following))
        elif (match := OVERRIDE.fullmatch(word)) and known is not None:
            key = match[1]
            if key not in known and not any(k.startswith(f"{key}.") for k in known):
                raise InputError(f"unknown config key {key!r}; {near(key, known)}")


def _read_config(value: str) -> Any:
    path, _, variant = value.partition(":")
    try:
        get_config = runpy.run_path(path)["get_config"]
    except OSError as error:
        raise InputError(f"no config file {path!r}: {error.strerror}") from error
    except SyntaxError as error:
        raise InputError(f"config file {path!r} is no Python: {error}") from error
    except KeyError as error:
        raise InputError(f"config file {path!r} defines no get_config()") from error
    if variant and not inspect.signature(get_config).parameters:
        raise InputError(f"config file {path!r} has no variants: leave out :{variant}")
    return get_config(variant) if variant else get_config()


def _take_selection(argv: Sequence[str]) -> list[str]:
    """Takes ``--config.optimizers=NAME,NAME`` out of the command line.

    ml_collections accepts only a dict there, and no dots in names.
    """
    names: list[str] = []
    for word in argv:
        if match := SELECTION.fullmatch(word):
            names += [name.strip() for name in match[1].split(",")]
            sys.argv.remove(word)
    if len(set(names)) < len(names):
        raise InputError(f"--config.optimizers={','.join(names)} names one twice")
    return names
