"""Provenance of a result: versions, hardware, commit, command, date."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import jax

from optlab import machine

_PACKAGES = ("optlab", "jax", "jaxlib", "flax", "optax", "numpy")


def environment(command: Sequence[str]) -> dict[str, str]:
    """Collects all that is needed, besides config and seeds, to repeat a result.

    Args:
      command: words of the command line, such as ``sys.orig_argv``. The program's path
        is reduced to its name; all other words stay as typed.

    Returns:
      Label to text, in reading order.

    >>> made_with = environment(["/opt/bin/python", "-m", "experiments.compare"])
    >>> made_with["command"]
    'python -m experiments.compare'
    """
    program, *rest = command
    if os.path.isabs(program):
        program = Path(program).name
    devices = jax.devices()
    kinds = dict.fromkeys(device.device_kind for device in devices)
    return {
        "command": shlex.join([program, *rest]),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "platform": jax.default_backend(),
        "devices": f"{len(devices)} x {', '.join(kinds)}",
        "processes": str(jax.process_count()),
        "processor": _processor(),
        "cores": str(machine.cores()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def commit() -> str:
    """Finds the commit of this package, with a mark for uncommitted changes.

    Returns:
      The hash, the hash and ``(with uncommitted changes)``, or ``not a git checkout``
      where this file is not under version control.
    """
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        revision = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "not a git checkout"
    return f"{revision} (with uncommitted changes)" if changed else revision


def _git(*words: str) -> str:
    folder = Path(__file__).parent
    made = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True,
                          timeout=10, check=True)  # fmt: skip
    return made.stdout.strip()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.processor() or platform.machine()


def _memory() -> str:
    try:
        size = machine.host_memory_bytes()
    except (AttributeError, OSError, ValueError):  # not known on this system
        return "unknown"
    return f"{size / 2**30:.0f} GiB"
