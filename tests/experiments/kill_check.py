"""Kills comparisons at random moments, goes on, and compares with an undisturbed run.

  python -m tests.experiments.kill_check 50
  python -m tests.experiments.kill_check 10 --seed=7

A small comparison (Adam and Levenberg-Marquardt on digits) runs once undisturbed. Then
it is started again and again, each time in a folder of its own, and killed: at a
random moment of its whole length, in its report runs, or while a file is written, by
SIGKILL or SIGTERM. The same command then goes on. Its rows (but for their seconds) and
all parameters that it trained have to equal the undisturbed run's to the bit.

Printed are a line for each kill and how many of them came to the same bits; the exit
code is 1 if one did not.
"""

import argparse
import csv
import functools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from optlab.results import checkpoint

ROOT = pathlib.Path(__file__).parents[2]

#: The comparison. Its width is fixed: a timed choice would differ between folders.
COMMAND = (
    sys.executable, "-m", "experiments.compare",
    "--config=configs/digits_optimizers.py",
    "--config.data.examples=300",
    "--config.model.name=mlp",
    "--config.model.hidden=(4,)",
    "--config.optimizers=adam,levenberg_marquardt",
    "--config.optimizers.adam.learning_rate=(0.01,0.1)",
    "--config.optimizers.levenberg_marquardt.damping=(0.1,1.0)",
    "--config.epochs=8",
    "--config.stop.target=0.7",
    "--config.batch_size=60",
    "--config.tune_seeds=2",
    "--config.report_seeds=2",
    "--width=1",
)  # fmt: skip

#: Entries of a net's file that are compared.
TRAINED = "params", "model_state"

#: Kinds of moments at which a run is killed, in rotation.
MOMENTS = ("any", "report", "writing")


def main() -> None:
    """Reads the number of kills, runs them and says how many ended in the same bits."""
    parser = argparse.ArgumentParser(description="Kills comparisons, which go on.")
    parser.add_argument("kills", type=int, help="number of comparisons")
    parser.add_argument("--seed", type=int, default=0, help="of moments and signals")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill_check-") as folder:
        say = functools.partial(print, flush=True)
        draw = random.Random(given.seed)
        same = check(given.kills, pathlib.Path(folder), draw, say)
    print(f"{same} of {given.kills} ended in the same rows and parameters, to the bit")
    sys.exit(same != given.kills)


def check(
    kills: int, folder: pathlib.Path, draw: random.Random, say: Callable[[str], Any]
) -> int:
    """Kills comparisons, lets each go on, and compares with an undisturbed one.

    Args:
      kills: number of comparisons that are killed, each once.
      folder: empty folder for the runs.
      draw: source of moments and signals.
      say: callback that receives a line for each kill.

    Returns:
      The number of comparisons that ended in the same rows and parameters.
    """
    _finish(folder, "first")  # fills the cache of compiled programs
    started = time.monotonic()
    expected = _finish(folder, "undisturbed")
    length = time.monotonic() - started
    same = 0
    for number in range(kills):
        moment = MOMENTS[number % len(MOMENTS)]
        signal_ = draw.choice((signal.SIGKILL, signal.SIGTERM))
        name = f"run{number}"
        delay = draw.uniform(0, length)
        while (seconds := _kill(folder, name, moment, delay, signal_)) is None:
            shutil.rmtree(folder / name)  # it ended before: again, and earlier
            delay /= 2
        differs = _difference(_finish(folder, name), expected)
        same += not differs
        when = f"after {seconds:.1f} s"
        say(f"{number + 1}: {signal_.name} {when} ({moment}): {differs or 'same bits'}")
    return same


def _start(folder: pathlib.Path, name: str) -> subprocess.Popen:
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    with open(folder / f"{name}.log", "a") as log:
        return subprocess.Popen(
            [*COMMAND, f"--workdir={folder / name}"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )


def _kill(
    folder: pathlib.Path, name: str, moment: str, delay: float, signal_: signal.Signals
) -> float | None:
    """Starts a comparison and kills it; None where it came to its end before."""
    process, started = _start(folder, name), time.monotonic()
    state = folder / name / "state"

    def entries() -> int:
        return state.stat().st_mtime_ns if state.exists() else 0

    seen = 0

    def reached() -> bool:
        nonlocal seen
        if moment == "report":
            return any(state.glob("*report*"))
        if moment == "writing" and time.monotonic() - started > delay / 2:
            seen, before = entries(), seen
            return 0 < before < seen  # a file has just been begun, or renamed
        return moment == "any" and time.monotonic() - started > delay

    while process.poll() is None and not reached():
        time.sleep(0.0005 if moment == "writing" else 0.01)
    if moment == "report" and process.poll() is None:
        time.sleep(delay / 10)  # the report runs take about a tenth
    seconds = time.monotonic() - started
    ended = process.poll() is not None
    process.send_signal(signal_)
    process.wait()
    return None if ended else seconds


def _finish(folder: pathlib.Path, name: str) -> tuple[Any, Any]:
    """Runs a comparison to its end; its rows and its nets."""
    if _start(folder, name).wait():
        log = (folder / f"{name}.log").read_text()
        sys.exit(f"error: a comparison failed: {log[-2000:]}")
    with open(folder / name / "rows.csv", newline="") as file:
        rows = [{k: x for k, x in r.items() if k != "seconds"} for r in
                csv.DictReader(file)]  # fmt: skip
    files = sorted((folder / name / "nets").iterdir())
    kept = {path.name: checkpoint.read(path) for path in files}
    nets = {key: {part: net[part] for part in TRAINED} for key, net in kept.items()}
    return rows, nets


def _difference(found: tuple[Any, Any], expected: tuple[Any, Any]) -> str:
    """Says what differs; empty where nothing does."""
    if found[0] != expected[0]:
        return "other rows"
    leaves = [jax.tree.leaves_with_path(each[1]) for each in (found, expected)]
    if [path for path, _ in leaves[0]] != [path for path, _ in leaves[1]]:
        return "other nets"
    for (path, x), (_, y) in zip(*leaves, strict=True):
        if np.asarray(x).tobytes() != np.asarray(y).tobytes():
            return f"other parameters: {jax.tree_util.keystr(path)}"
    return ""


if __name__ == "__main__":
    main()
