"""Command lines: flags and config in, one clear line where they are wrong."""

import logging as stdlib_logging
import re
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags, logging

from optlab.errors import InputError, near

#: ``--config.optimizers=adam,mypackage.mymodule.my_optimizer``
SELECTION = re.compile(r"--?config\.optimizers=([^{].*)")


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs an experiment's ``main(selection)``.

    A mistake of the user's is one line on standard error and exit code 1.

    Args:
      main: receives the names in ``--config.optimizers=NAME,NAME``, or none.
    """
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    stdlib_logging.getLogger().setLevel(stdlib_logging.WARNING)  # libraries: less
    selection: list[str] = []

    def parse(argv: Sequence[str]) -> list[str]:
        # ml_collections reads only a dict there, and refuses dots in names.
        for word in list(argv):
            if match := SELECTION.fullmatch(word):
                selection.extend(name.strip() for name in match[1].split(","))
                # It looks for its overrides in sys.argv, not in argv.
                sys.argv.remove(word)
                argv = [other for other in argv if other is not word]
        try:
            rest = flags.FLAGS(argv)
        except (flags.Error, KeyError, AttributeError, ValueError, OSError) as error:
            _fail(_explained(error, argv))
        if len(rest) > 1:
            _fail(f"unexpected word {rest[1]!r}: every option begins with --")
        return rest

    def guarded(_: Sequence[str]) -> None:
        try:
            main(selection)
        except InputError as error:
            _fail(str(error))
        except KeyboardInterrupt:
            _fail("stopped; the same command goes on from the last epoch")

    app.run(guarded, flags_parser=parse)


def _fail(message: str) -> None:
    sys.exit("error: " + " ".join(message.split()))  # prints it; exit code 1


def _explained(error: Exception, argv: Sequence[str]) -> str:
    """A parsing error in words: which key of which config, and what is near."""
    if isinstance(error, flags.Error):
        return str(error)
    words = dict(
        word.lstrip("-").partition("=")[::2] for word in argv if word.startswith("-")
    )
    path, _, variant = words.get("config", flags.FLAGS["config"].default).partition(":")
    try:
        get_config = runpy.run_path(path)["get_config"]
        config = get_config(variant) if variant else get_config()
    except OSError:
        return f"no config file {path!r}"
    except InputError as refused:
        return str(refused)
    known = flatten(config)
    for word in words:
        key = word.removeprefix("config.")
        if key != word and key not in known and not _is_branch(key, known):
            return f"unknown config key {key!r}; {near(key, known)}"
    return f"{type(error).__name__}: {error}"


def _is_branch(key: str, known: dict[str, Any]) -> bool:
    return any(name.startswith(key + ".") for name in known)


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
        if hasattr(value, "items"):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
