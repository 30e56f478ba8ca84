"""Results on disk: tidy CSV, strict JSON, each written whole or not at all."""

import contextlib
import csv
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optlab.errors import InputError
from optlab.results.claims import judge
from optlab.results.records import Results, Runs
from optlab.results.summary import differences, summarize

#: Largest JSON file that is read.
MOST_JSON = 2**24


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Writes a file by renaming a finished one, so that a reader never meets half.

    Args:
      path: name of the file; its directory is made where it is missing.
      content: text (as UTF-8) or bytes.

    Raises:
      InputError: the disk is full, or the folder cannot be written. The old file, if
        any, is as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(
                content.encode() if isinstance(content, str) else content
            )
            partial.replace(path)
        finally:
            with contextlib.suppress(OSError):  # of a folder that cannot be written
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}. All that was written "
            "before is kept; when it can be written, the same command goes on"
        ) from error


def read_json(path: str | os.PathLike[str], check: Callable[[Any], bool]) -> Any:
    """Reads a small JSON file, of at most ``MOST_JSON`` bytes.

    Args:
      path: name of the file.
      check: predicate that holds for content of the expected form.

    Returns:
      The content; None where the file is damaged: cut, no JSON or of another form.

    Raises:
      InputError: the file is missing or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(MOST_JSON + 1)
        if len(text) > MOST_JSON:
            return None
        content = json.loads(text)
        return content if check(content) else None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (RecursionError, ValueError):  # nested without end, no JSON, no UTF-8
        return None


def write_csv(
    path: str | os.PathLike[str],
    runs: Iterable[tuple[str, Sequence[Mapping[str, float]], Runs]],
) -> None:
    """Writes tidy rows: one line for each lane, epoch and split that was measured.

    Columns: contender, phase, seed, point, epoch, step, split, one for each metric,
    seconds, diverged, and one for each swept key by its dotted name. A cell is empty
    where there is no value.

    Args:
      path: name of the CSV file.
      runs: label, points and lanes of each contender.
    """
    runs = list(runs)
    splits = [split for *_, lanes in runs for split in lanes.evaluations.values()]
    metrics = dict.fromkeys(metric for split in splits for metric in split)
    swept = dict.fromkeys(key for _, points, _ in runs for p in points for key in p)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ("contender", "phase", "seed", "point", "epoch", "step", "split")
    writer.writerow([*head, *metrics, "seconds", "diverged", *swept])
    for label, points, lanes in runs:
        nothing = np.full(lanes.seconds.shape, np.nan)
        for (i, seed), (j, point), (split, measured), epoch in itertools.product(
            enumerate(lanes.seeds),
            enumerate(lanes.points),
            lanes.evaluations.items(),
            range(lanes.epochs + 1),
        ):
            lane = epoch, i, j
            values = [float(measured.get(name, nothing)[lane]) for name in metrics]
            if epoch > lanes.ends[i, j] or all(map(math.isnan, values)):
                continue
            step = epoch * lanes.steps_per_epoch
            own = [points[point].get(key, math.nan) for key in swept]
            row = [label, lanes.phase, seed, point, epoch, step, split, *values]
            row += [float(lanes.seconds[lane]), bool(lanes.diverged[i, j]), *own]
            writer.writerow(["" if value != value else value for value in row])
    write_atomic(path, text.getvalue())


def write_json(
    path: str | os.PathLike[str], results: Results, lead: Sequence[str] = ()
) -> None:
    """Writes summaries, differences and provenance as strict JSON, without the rows.

    A number that is not finite becomes null.

    Args:
      path: name of the JSON file.
      results: a whole comparison.
      lead: conclusions in whole sentences.
    """
    content = {
        "title": results.title,
        "lead": tuple(lead),
        "note": results.note,
        "config": json.loads(results.config),
        "environment": results.environment,
        "metrics": [
            {"name": m.name, "higher": m.higher, "percent": m.percent}
            for m in results.metrics
        ],
        "target": results.target,
        "summary": [
            {
                **entry._asdict(),
                "tune": {"seeds": entry.tune.seeds, "epochs": entry.tune.epochs},
                "report": entry.report and {"seeds": entry.report.seeds},
                **summary._asdict(),
            }
            for summary, entry in zip(summarize(results), results.entries, strict=True)
        ],
        "differences": differences(results),
        "claims": judge(results),
        "constants": results.constants,
        "published": results.published,
    }
    write_atomic(path, json.dumps(plain(content), allow_nan=False, indent=1) + "\n")


def plain(value: Any) -> Any:
    """Converts a value to JSON's own types; a number that is not finite becomes None.

    Args:
      value: tree of named tuples, mappings, sequences, scalars and text.

    Returns:
      Dictionaries, lists, strings, numbers, booleans and None.

    >>> plain({"mean": np.float32(0.5), "low": float("nan"), "n": (1, np.int64(2))})
    {'mean': 0.5, 'low': None, 'n': [1, 2]}
    """
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list | np.ndarray):
        return [plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
