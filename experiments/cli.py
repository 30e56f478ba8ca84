"""Command lines: flags and config in, one clear line where they are wrong."""

import ast
import atexit
import errno
import gc
import inspect
import logging as stdlib_logging
import os
import pathlib
import re
import runpy
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags
from threadpoolctl import threadpool_limits

from experiments import workdir
from optlab import machine
from optlab.compare.recipe import flatten, override
from optlab.errors import InputError, near

OVERRIDE = re.compile(r"--?config\.([^=]+)(?:=(.*))?", re.DOTALL)

#: Sections, also within others, that a command line may add keys to: parts have
#: arguments of their own.
OPEN = (
    "augment", "contenders", "data", "loss", "model", "optimizer", "optimizers",
    "schedule", "stop",
)  # fmt: skip

#: A disk that is full, or cannot be written.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)

#: Sections whose entries may be chosen: ``--config.optimizers=adam,sgd``.
SELECTABLE = ("augment", "contenders", "optimizers")


class Given(NamedTuple):
    """The overrides of a config that stand on a command line."""

    changes: Mapping[str, Any] = {}  # dotted key -> value
    selected: Mapping[str, tuple[str, ...]] = {}  # section -> names of its entries
    words: tuple[str, ...] = ()  # that are no flags, of an experiment that takes some

    def about(self, *keys: str) -> bool:
        """Tells whether a key, or one within it, is set or selected."""
        given = (*self.changes, *self.selected)
        return any(f"{each}.".startswith(f"{key}.") for each in given for key in keys)


def define_config(default: str) -> flags.FlagHolder:
    """Defines ``--config=FILE`` or ``FILE:VARIANT``, every key of it a flag.

    Args:
      default: path of the file that is used where the command line names none.

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
    main: Callable[[Given], None],
    stopped: str = "stopped; nothing is kept",
    words: bool = False,
) -> None:
    """Runs an experiment's ``main(given)``.

    A mistake of the user's is one line on standard error and exit code 1.

    Args:
      main: function of the overrides that the command line gives to the config.
      stopped: line that is printed after Ctrl-C, or when the disk is full.
      words: whether the command line may hold words beside flags.
    """
    given = Given()
    use_cores()
    # Python's last collection looks through all modules: half a second for nothing.
    atexit.register(gc.freeze)

    def parse(argv: Sequence[str]) -> list[str]:
        nonlocal given
        try:
            given = _take_given(list(argv))  # sys.argv itself, which it changes
            # ml_collections looks for its overrides in sys.argv.
            flags.FLAGS.set_gnu_getopt(words)  # flags may stand after words
            rest = flags.FLAGS(sys.argv)
        except (flags.Error, InputError) as error:
            _fail(str(error))
        if words:
            given = given._replace(words=tuple(rest[1:]))
        elif len(rest) > 1:
            _fail(f"unexpected word {rest[1]!r}: every option begins with --")
        return rest

    def guarded(_: Sequence[str]) -> None:
        if not flags.FLAGS["verbosity"].present:  # our own lines, and no library's
            stdlib_logging.getLogger().setLevel(stdlib_logging.WARNING)
            logging.get_absl_logger().setLevel(stdlib_logging.INFO)
        warnings.showwarning = _Once()
        try:
            # LAPACK's threads wait for each other: beside other work on the same cores
            # a small factorization then takes hundreds of times as long.
            with threadpool_limits(1, "blas"), workdir.unused_removed():
                main(given)
        except InputError as error:
            _fail(str(error))
        except BrokenPipeError:  # who read the output, such as head, has closed it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            if error.errno not in FULL:
                raise
            where = f" {error.filename}" if error.filename else ""
            _fail(f"cannot write{where}: {error.strerror}; {stopped}")
        except KeyboardInterrupt:
            _fail(stopped)

    app.run(guarded, flags_parser=parse)


class _Once:
    """Logs each warning as one line, the first time: programs are traced often."""

    def __init__(self):
        self.told: set[str] = set()

    def __call__(self, message: Warning | str, *_: Any) -> None:
        if str(message) not in self.told:
            self.told.add(str(message))
            logging.warning("%s", message)


def use_cores() -> None:
    """Makes every CPU core a device of JAX's, unless the user has said how many.

    To be called before JAX makes its first array.
    """
    forced = "--xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not forced and jax.config.values["jax_num_cpu_devices"] < 1:
        jax.config.update("jax_num_cpu_devices", machine.cores())


def _fail(message: str) -> None:
    line = re.sub(r"\s*[\r\n]+\s*", " ", message)
    sys.exit(f"error: {line}")  # prints it; exit code 1


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
    >>> settings(config, Given(changes))
    {'schedule': {'name': 'cosine'}, 'optimizers': {'my.lion': {'b1': (0.8, 0.9)}}}
    """
    found = config.to_dict()
    known = flatten(found)
    for section, names in given.selected.items():
        if section not in found:
            raise InputError(f"this config has no {section!r} to choose from")
        entries = found[section]
        for name in names:
            if section == "contenders" and name not in entries:
                raise InputError(f"no contender {name!r}; {near(name, entries)}")
        found[section] = {name: entries.get(name, {}) for name in names}
    for key, value in given.changes.items():
        section, *inner = key.split(".")
        new = key not in known and not {section, *inner[:-1]} & {*OPEN}
        if section not in found or new:
            raise InputError(f"unknown config key {key!r}; {near(key, known)}")
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


def _take_given(argv: Sequence[str]) -> Given:
    """Takes the overrides of the config off the command line.

    ml_collections accepts no list of names, no grid where the file has one number, no
    key that the file lacks and no dots in one.

    Raises:
      InputError: the config cannot be read, or an override is wrong.
    """
    known: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    selected: dict[str, tuple[str, ...]] = {}
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if match := re.fullmatch(r"--?config(?:=(.*))?", word):
            known = flatten(
                _read_config(following if match[1] is None else match[1]).to_dict()
            )
            _describe_keys(known)
        elif match := OVERRIDE.fullmatch(word):
            key, text = match.groups()
            if text is None:
                raise InputError(f"write --config.{key}=VALUE, with an equals sign")
            if key in SELECTABLE:
                selected[key] = _names(key, text)
            else:
                changes[key] = _value(key, text, known)
            sys.argv.remove(word)
    return Given(changes, selected)


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
    kinds |= {tuple: "a tuple, (1, 2)", dict: "a section"}
    if not any(_is_like(default, x) for x in (value, *_swept(value))):
        kind = kinds.get(type(default), type(default).__name__)
        raise InputError(f"--config.{key}={text} is not {kind}")
    return value


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


def _describe_keys(known: Mapping[str, Any]) -> None:
    """Lets ``--help`` list the config's keys."""
    main = sys.modules["__main__"]
    texts = {key: repr(value) for key, value in known.items()}
    lines = [
        f"  --config.{key}={text if len(text) < 1000 else f'{text[:60]} ...'}"
        for key, text in texts.items()
    ]
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
        # The last line of that file, not of a library or of another config in it.
        frames = traceback.extract_tb(error.__traceback__)
        lines = [x.lineno for x in frames if x.filename == path]
        first = (str(error).strip().splitlines() or [""])[0]
        raise InputError(
            f"config file {path!r} fails in line {lines[-1] if lines else 1}: "
            f"{type(error).__name__}: {first}"
        ) from error
    if not isinstance(config, ConfigDict):
        kind = type(config).__name__
        raise InputError(f"get_config() of {path!r} returns no ConfigDict but {kind}")
    return config
