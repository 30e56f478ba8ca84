"""Results on disk: tidy CSV, strict JSON, each written whole or not at all."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optlab.results.records import Cell, Results, Row
from optlab.results.summary import compare, summarize

_SWEPT = "hyperparameters."  # begins the name of each swept column


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Writes beside the file, then renames: a reader never meets half of it.

    Args:
      path: of the file; its directory is made where it is missing.
      content: text (as UTF-8) or bytes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_csv(path: str | os.PathLike[str], rows: Iterable[Row]) -> None:
    """Writes tidy rows: one line a run and evaluation, one column a field.

    Each swept hyperparameter has its own column, ``hyperparameters.NAME``, empty in
    the rows of an optimizer that does not have it.

    Args:
      path: of the CSV file.
      rows: to write.
    """
    rows = list(rows)
    swept = list(dict.fromkeys(name for row in rows for name in row.hyperparameters))
    plain = [name for name in Row._fields if name != "hyperparameters"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*plain, *(_SWEPT + name for name in swept)])
    for row in rows:
        values = [_scalar(getattr(row, name)) for name in plain]
        points = [_scalar(row.hyperparameters.get(name, "")) for name in swept]
        writer.writerow([*values, *points])
    write_atomic(path, text.getvalue())


def read_csv(path: str | os.PathLike[str]) -> tuple[Row, ...]:
    """Rows as ``write_csv`` wrote them.

    Args:
      path: of the CSV file.

    Returns:
      The same rows, in the same order.
    """
    with open(path, newline="", encoding="utf-8") as file:
        return tuple(_row_from_text(line) for line in csv.DictReader(file))


def write_json(path: str | os.PathLike[str], results: Results) -> None:
    """Writes results, summary and paired differences as strict JSON.

    A number that is not finite becomes null. The step-by-step traces are left out:
    they are drawn, not tabulated.

    Args:
      path: of the JSON file.
      results: to write.
    """
    content = results._asdict() | {
        "summary": [
            summary._asdict() | {"remark": summary.remark}
            for summary in summarize(results)
        ],
        "differences": compare(results),
    }
    del content["traces"]
    rows = content.pop("rows")  # last, for whoever opens the file in an editor
    fields = (content | {"rows": rows}).items()
    blocks = (f"{json.dumps(name)}: {_block(value)}" for name, value in fields)
    write_atomic(path, "{\n" + ",\n".join(blocks) + "\n}\n")


def read_json(path: str | os.PathLike[str]) -> Results:
    """Results as ``write_json`` wrote them, without their traces.

    Args:
      path: of the JSON file.

    Returns:
      The results; null figures are nan again.
    """
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    rows = [Row(**_with_nan(row, Row)) for row in content["rows"]]
    cells = [Cell(**_with_nan(cell, Cell)) for cell in content["cells"]]
    tuples = ("grid", "tune_seeds", "report_seeds")
    return Results(
        rows=tuple(rows),
        cells=tuple(
            cell._replace(**{name: tuple(getattr(cell, name)) for name in tuples})
            for cell in cells
        ),
        traces=(),
        published=tuple(content["published"]),
        **{
            name: content[name]
            for name in ("target_accuracy", "title", "note", "config", "environment")
        },
    )


def plain(value: Any) -> Any:
    """The same value in JSON's own types; a number that is not finite is None.

    Args:
      value: named tuples, mappings, sequences, numpy or Python scalars, text.

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
    value = _scalar(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _block(value: Any) -> str:
    """JSON text; a list stands one item a line."""
    value = plain(value)
    if not isinstance(value, list) or not value:
        return json.dumps(value, allow_nan=False)
    return "[\n" + ",\n".join(json.dumps(v, allow_nan=False) for v in value) + "\n]"


def _with_nan(fields: Mapping[str, Any], record: Any) -> dict[str, Any]:
    types = record.__annotations__
    return {
        name: float("nan") if value is None and types[name] is float else value
        for name, value in fields.items()
    }


def _row_from_text(line: Mapping[str, str]) -> Row:
    convert = Row.__annotations__
    swept = {
        name.removeprefix(_SWEPT): float(text)
        for name, text in line.items()
        if name.startswith(_SWEPT) and text
    }
    values: dict[str, Any] = {
        name: text == "True" if convert[name] is bool else convert[name](text)
        for name, text in line.items()
        if not name.startswith(_SWEPT)
    }
    return Row(hyperparameters=swept, **values)
