"""Command lines: flags and config in, one clear line where they are wrong."""

import atexit
import errno
import gc
import logging as stdlib_logging
import os
import pathlib
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from absl import app, flags, logging
from ml_collections import config_flags
from threadpoolctl import threadpool_limits

from experiments import overrides, workdir
from optlab import machine
from optlab.compare.recipe import flatten
from optlab.errors import InputError

# Flags that experiments share; each takes those that it declares by absl's
# `declare_key_flag`.
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "What to run: FILE or FILE:VARIANT; see the keys above."
)
DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder of prepared tensorflow-datasets, of tables, or of NIST's .dat files.",
)
WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Where results go; by default a folder of runs/ for each config or input.",
)

#: A disk that is full, or cannot be written.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)


def define_config(default: str) -> flags.FlagHolder:
    """Sets the default of ``--config=FILE`` or ``FILE:VARIANT``, each key of it a flag.

    Args:
      default: path of the file that is used where the command line names none.

    Returns:
      The flag; its value is a locked ConfigDict.
    """
    # Not by ml_collections' own means, which read the file at once: while modules are
    # imported a mistyped override would end in a traceback.
    flag = flags.FLAGS["config"]
    flag.default, flag.default_as_str = default, f"'{default}'"
    return _CONFIG


def run(
    main: Callable[[overrides.Given], None],
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
    given = overrides.Given()
    use_cores()
    # Python's last collection looks through all modules: half a second for nothing.
    atexit.register(gc.freeze)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)

    def parse(_: Sequence[str]) -> list[str]:
        nonlocal given
        try:
            _remove_undeclared()
            if "config" in flags.FLAGS:
                known = _read_config()
                _describe_keys(known)
                # ml_collections looks for its overrides in sys.argv.
                given, sys.argv[:] = overrides.take(sys.argv, known)
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
            # At once: a program that still compiles in a thread would be waited for.
            sys.stdout.flush()
            print(f"error: {stopped}", file=sys.stderr, flush=True)
            os._exit(1)

    app.run(guarded, flags_parser=parse)


def _interrupt(number: int, frame: Any) -> None:
    """Raises KeyboardInterrupt, a moment later where Python would drop it."""
    if frame is not None and frame.f_code.co_name in ("_xla_gc_callback", "__del__"):
        threading.Timer(0.05, signal.raise_signal, (number,)).start()
    else:
        signal.default_int_handler(number, frame)


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


def _remove_undeclared() -> None:
    """Removes the shared flags that no imported experiment declares."""
    by_module = flags.FLAGS.key_flags_by_module_dict()
    declared = {flag.name for each in by_module.values() for flag in each}
    for flag in flags.FLAGS.get_flags_for_module(__name__):
        if flag.name not in declared:
            delattr(flags.FLAGS, flag.name)


def _read_config() -> dict[str, Any]:
    """Reads the config of the command line, which is given the default if it has none.

    Returns:
      Dotted key to value.
    """
    named = [
        following if match[1] is None else match[1]
        for word, following in zip(sys.argv, [*sys.argv[1:], ""], strict=True)
        if (match := re.fullmatch(r"--?config(?:=(.*))?", word))
    ]
    if not named:
        path = pathlib.Path(str(flags.FLAGS["config"].default))
        if not path.exists():  # run elsewhere: configs/ is beside this package
            path = pathlib.Path(__file__).parents[1] / path
        named = [str(path)]
        sys.argv.insert(1, f"--config={path}")
    configs = [overrides.read_config(each) for each in named]  # the last one counts
    return flatten(configs[-1].to_dict())


def _describe_keys(known: Mapping[str, Any]) -> None:
    """Lets ``--help`` list the config's keys."""
    main = sys.modules["__main__"]
    texts = {key: repr(value) for key, value in known.items()}
    lines = [
        f"  --config.{key}={text if len(text) < 1000 else f'{text[:60]} ...'}"
        for key, text in texts.items()
    ]
    main.__doc__ = "\n".join([main.__doc__ or "", "The config's keys:", *lines])
