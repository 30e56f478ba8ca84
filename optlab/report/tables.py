"""Tables of a comparison: one plain form for the terminal and the page."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from optlab.results import Interval, Results, Summary, compare, ranks, summarize

_NONE = "-"


class Table(NamedTuple):
    """Text in rows and columns, however it is shown in the end."""

    title: str
    columns: tuple[str, ...]  # headers; a newline breaks a long one
    align: str  # "l" or "r" for each column
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]  # of each row; a new one starts a block of its own
    notes: tuple[str, ...] = ()


def number(value: float) -> str:
    """Three significant digits, or a dash for what is not finite.

    >>> number(0.00713), number(12345.0), number(float("nan"))
    ('0.00713', '1.23e+04', '-')
    """
    return f"{value:#.3g}".rstrip(".") if np.isfinite(value) else _NONE


def percent(interval: Interval) -> str:
    """A fraction's mean in percent, with half the width of its interval.

    >>> percent(Interval(0.98, 0.97, 0.99, 5))
    '98.00 ± 1.00'
    >>> percent(Interval(0.98, float("nan"), float("nan"), 1))
    '98.00'
    """
    if not np.isfinite(interval.mean):
        return _NONE
    half = 100 * (interval.high - interval.low) / 2
    mean = f"{100 * interval.mean:.2f}"
    return f"{mean} ± {half:.2f}" if np.isfinite(half) else mean


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(0.42), duration(87.0), duration(107.0), duration(7265.0)
    ('0.42 s', '87 s', '1:47 min', '2:01 h')
    """
    if not np.isfinite(seconds):
        return _NONE
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"


def chosen(summary: Summary, grid: Iterable[Mapping[str, float]]) -> str:
    """The best learning rate, and whatever else was swept over more than one value.

    Args:
      summary: with the best point.
      grid: every point of the sweep.

    Returns:
      Such as ``0.003`` or ``0.003, momentum 0.9``; a star where the rate sits at the
      edge of its grid.
    """
    if summary.best is None:
        return _NONE
    values = {n: len({p.get(n) for p in grid}) for n in summary.best}
    words = []
    if "learning_rate" in summary.best:
        star = "*" * bool(summary.at_edge)
        words.append(f"{summary.best['learning_rate']:.3g}{star}")
    for name, value in summary.best.items():
        if name != "learning_rate" and values[name] > 1:
            words.append(f"{name} {value:.3g}")
    return ", ".join(words) or _NONE


def summary_table(results: Results) -> Table:
    """A row an optimizer, a block a batch size: the table of the comparison.

    Args:
      results: of a whole comparison.

    Returns:
      The table; its notes say what a reader must not miss.
    """
    rows, notes = [], []
    summaries = summarize(results)
    for summary, cell in zip(summaries, results.cells, strict=True):
        lost = summary.best is None
        rows.append(
            (
                summary.optimizer,
                number(summary.train_loss.mean),
                number(summary.validation_loss.mean),
                number(summary.gap.mean),
                "all lanes\ndiverged" if lost else percent(summary.test_accuracy),
                duration(summary.seconds),
                duration(summary.compile_seconds),
                chosen(summary, cell.grid),
                f"{summary.tune_diverged}/{summary.tune_lanes}",
            )
        )
        if summary.remark:
            star = "* " if summary.at_edge else ""
            where = f"{summary.optimizer}, batch size {summary.batch_size}"
            notes.append(f"{star}{where}: {summary.remark}")
    return Table(
        title="Test split, fresh seeds: mean ± 95% interval",
        columns=(
            "optimizer", "train\nloss", "valid.\nloss", "gap", "test\naccuracy %",
            "one run", "compile", "best\nrate", "diverged",
        ),
        align="lrrrrrrlr",
        rows=tuple(rows),
        groups=tuple(f"batch {cell.batch_size}" for cell in results.cells),
        notes=tuple(notes),
    )  # fmt: skip


def difference_table(results: Results) -> Table | None:
    """Every two optimizers, paired by seed, with what the interval allows one to say.

    Args:
      results: of a whole comparison.

    Returns:
      The table, or None where there is no pair.
    """
    rows, groups = [], []
    for first, second, size, interval, outcome in compare(results):
        mean, low, high = (f"{100 * value:+.2f}" for value in interval[:3])
        bounds = f"[{low}, {high}]" if np.isfinite(interval.low) else "one seed: none"
        rows.append((f"{first} - {second}", mean, bounds, str(interval.n), outcome))
        groups.append(f"batch {size}")
    if not rows:
        return None
    return Table(
        title="Test accuracy, differences paired by seed",
        columns=("pair", "points", "95% interval", "seeds", "verdict"),
        align="lrrrl",
        rows=tuple(rows),
        groups=tuple(groups),
        notes=conclusions(results),
    )


def conclusions(results: Results) -> tuple[str, ...]:
    """One sentence a batch size: the ranking, as far as the intervals allow one.

    Args:
      results: of a whole comparison.

    Returns:
      The sentences; none where no two optimizers can be compared.
    """
    sentences = []
    pairs = itertools.groupby(compare(results), key=lambda pair: pair.batch_size)
    for size, differences in pairs:
        places = ranks(list(differences))
        ahead = [name for name, rank in places.items() if rank == (1, 1)]
        if all(rank == (1, len(places)) for rank in places.values()):
            said = "the intervals separate no two optimizers, so there is no ranking"
        else:
            order = sorted(places.items(), key=lambda item: item[1])
            listed = ", ".join(f"{name} {_place(*rank)}" for name, rank in order)
            lead = (
                f"{ahead[0]} is ahead of every other"
                if ahead
                else "no optimizer is ahead of all others"
            )
            said = f"{lead}; ranks the intervals allow: {listed}"
        sentences.append(f"Batch size {size}: {said}.")
    return tuple(sentences)


def _place(best: int, worst: int) -> str:
    return str(best) if best == worst else f"{best}-{worst}"


def published_table(results: Results) -> Table | None:
    """Measured figures and published ones, side by side.

    Args:
      results: with ``published`` figures.

    Returns:
      The table, or None where nothing was published.
    """
    published = {(p["optimizer"], p["batch_size"]): p for p in results.published}
    rows, groups = [], []
    for summary in summarize(results):
        known = published.get((summary.optimizer, summary.batch_size))
        if known is None:
            continue
        pairs = (
            (100 * summary.test_accuracy.mean, _percent_of(known), "{:.2f}"),
            (summary.train_loss.mean, known.get("train_loss"), "{:#.3g}"),
            (summary.validation_loss.mean, known.get("validation_loss"), "{:#.3g}"),
        )
        cells = [_format(value, form) for *two, form in pairs for value in two]
        times = summary.seconds, known.get("seconds", np.nan)
        rows.append((summary.optimizer, *cells, *map(duration, times)))
        groups.append(f"batch {summary.batch_size}")
    if not rows:
        return None
    sources = dict.fromkeys(p["source"] for p in results.published if p.get("source"))
    there = "published"
    return Table(
        title="Beside the published figures",
        columns=(
            "optimizer", "test\n%", there, "train\nloss", there, "valid.\nloss", there,
            "one\nrun", there,
        ),
        align="lrrrrrrrr",
        rows=tuple(rows),
        groups=tuple(groups),
        notes=tuple(f"Published: {source}" for source in sources),
    )  # fmt: skip


def _percent_of(known: Mapping[str, Any]) -> float | None:
    accuracy = known.get("test_accuracy")
    return None if accuracy is None else 100 * accuracy


def _format(value: float | None, form: str) -> str:
    return form.format(value) if value is not None and np.isfinite(value) else _NONE


def budget_table(results: Results) -> Table:
    """What each optimizer was given to be tuned with, and what it cost.

    Args:
      results: of a whole comparison.

    Returns:
      The table, with the seeds as notes.
    """
    rows = tuple(
        (
            s.optimizer,
            str(s.points),
            str(s.tune_seeds),
            str(s.epochs),
            f"{s.steps:,}",
            duration(s.sweep_seconds),
            str(s.compiles),
            duration(s.compile_seconds),
        )
        for s in summarize(results)
    )
    seeds = dict.fromkeys((c.tune_seeds, c.report_seeds) for c in results.cells)
    return Table(
        title="Tuning budget",
        columns=(
            "optimizer", "points", "seeds", "epochs", "steps", "sweep",
            "compiles", "compile\ntime",
        ),
        align="lrrrrrrr",
        rows=rows,
        groups=tuple(f"batch {cell.batch_size}" for cell in results.cells),
        notes=tuple(
            f"Tuned with seeds {_listed(tune)}; reported with seeds {_listed(report)}."
            for tune, report in seeds
        ),
    )  # fmt: skip


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)


def budget_line(results: Results) -> str:
    """Compiles and budget of the whole comparison in one line.

    Args:
      results: of a whole comparison.

    Returns:
      The line; a range where optimizers were given different budgets.
    """
    cells = summarize(results)
    compiles = sum(cell.compiles for cell in cells)
    spent = sum(cell.compile_seconds for cell in cells)
    line = f"{compiles} compiles in {duration(spent)}. "
    budgets = {(c.points, c.tune_seeds, c.epochs, c.steps) for c in cells}
    if len(budgets) == 1:
        points, seeds, epochs, steps = budgets.pop()
        return line + (
            f"Tuning, each optimizer: {points} points x {seeds} seeds x {epochs} "
            f"epochs = {steps:,} steps."
        )
    steps = [c.steps for c in cells] or [0]
    return line + (
        f"Tuning: {min(steps):,} to {max(steps):,} steps for an optimizer and batch "
        "size; the page has the table."
    )
