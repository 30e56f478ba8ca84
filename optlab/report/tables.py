"""Tables of a comparison: one plain form for the terminal and the page."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from optlab.problems import Metric
from optlab.results import (
    Interval,
    Results,
    Summary,
    differences,
    distinct,
    judge,
    ranks,
    short_names,
    summarize,
    swept_names,
)
from optlab.results.responses import NEAR_SHARE, good_region, response
from optlab.results.sawtooth import teeth
from optlab.results.statistics import mean_interval

_NONE = "-"


class Table(NamedTuple):
    """Text in rows and columns, independent of how it is shown."""

    title: str
    columns: tuple[str, ...]  # headers; a newline breaks a long one
    align: str  # "l" or "r" for each column
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]  # of each row; a new one starts a block with that header
    notes: tuple[str, ...] = ()


def tabulate(
    title: str,
    rows: Sequence[Mapping[str, str]],
    left: Sequence[str],
    notes: Iterable[str] = (),
    groups: Iterable[str] = (),
) -> Table:
    """Makes a table of rows in which each cell stands beside its header.

    Args:
      title: title of the table.
      rows: one row or more, all with the same headers in the same order.
      left: headers of the columns with text, which are aligned left.
      notes: remarks below the table.
      groups: heading of each row's block; empty for a table without blocks.

    Returns:
      The table.

    >>> rows = [{"net": "a", "n": "1"}, {"net": "b", "n": "2"}]
    >>> table = tabulate("Sizes", rows, left=["net"])
    >>> table.columns, table.align, table.rows
    (('net', 'n'), 'lr', (('a', '1'), ('b', '2')))
    """
    columns = tuple(rows[0])
    align = "".join("l" if column in left else "r" for column in columns)
    cells = tuple(tuple(row.values()) for row in rows)
    return Table(title, columns, align, cells, tuple(groups) or ("",) * len(rows),
                 tuple(notes))  # fmt: skip


def number(value: float) -> str:
    """Formats three significant digits, or a dash for a value that is not finite.

    >>> number(0.00713), number(12345.0), number(float("nan"))
    ('0.00713', '1.23e+04', '-')
    """
    return f"{value:#.3g}".rstrip(".") if np.isfinite(value) else _NONE


def in_words(name: str) -> str:
    """Writes a name without underscores."""
    return name.replace("_", " ")


def short(value: float, metric: Metric) -> str:
    """Formats a value of a metric: four digits, and a percent sign where it has one."""
    return f"{100 * value:.4g}%" if metric.percent else f"{value:.4g}"


def measured(interval: Interval, metric: Metric) -> str:
    """Formats a mean with half the width of its interval.

    Args:
      interval: mean and bounds of a metric.
      metric: metric of the values, with its unit.

    Returns:
      Such as ``98.00 ± 1.00``; without the second part where there are no bounds.

    >>> share = Metric("recall", True, True, lambda outputs, targets: None)
    >>> measured(Interval(0.98, 0.97, 0.99, 5), share)
    '98.00 ± 1.00'
    >>> measured(Interval(0.98, float("nan"), float("nan"), 1), share)
    '98.00'
    >>> measured(Interval(0.0625, 0.05, 0.07, 5), share._replace(percent=False))
    '0.0625 ± 0.01'
    """
    mean, half = interval.mean, (interval.high - interval.low) / 2
    if not np.isfinite(mean):
        return _NONE
    text = f"{100 * mean:.2f}" if metric.percent else number(mean)
    if not np.isfinite(half):
        return text
    return f"{text} ± {100 * half:.2f}" if metric.percent else f"{text} ± {half:.2g}"


def duration(seconds: float) -> str:
    """Formats a time in the units that a person would choose.

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


def summary_table(results: Results) -> Table:
    """Makes the main table: a row for each contender, a block for each group.

    Args:
      results: a whole comparison.

    Returns:
      The table; its notes hold the remarks that a reader must not miss.
    """
    decides, *others = results.metrics
    shown = [decides, *(metric for metric in others if metric.name != "loss")]
    names = swept_names(results)
    rows, notes = [], []
    summaries = summarize(results)
    any_stopped = any(summary.stopped for summary in summaries)
    for summary, entry in zip(summaries, results.entries, strict=True):
        test = {
            f"test\n{_unit(metric)}": measured(summary.test[metric.name], metric)
            for metric in shown
        }
        if summary.best is None:
            test[f"test\n{_unit(decides)}"] = "all lanes\ndiverged"
        row = {
            "contender": entry.name,
            "train\nloss": number(summary.train_loss.mean),
            "valid.\nloss": number(summary.validation_loss.mean),
            "gap": number(summary.gap.mean),
            **test,
            **(_ended(summary) if any_stopped else {}),
            "one run": duration(summary.seconds),
            "compile": duration(entry.compile_seconds),
            "best\npoint": _point(summary, distinct(entry.points), names),
            "diverged": f"{summary.tune_diverged}/{entry.tune.diverged.size}",
        }
        rows.append(row)
        if summary.remark:
            star = "* " if summary.at_edge else ""
            notes.append(f"{star}{entry.label}: {summary.remark}")
    title = "Test split, fresh seeds: mean ± 95% interval"
    return tabulate(title, rows, ["contender", "best\npoint"], notes, _groups(results))


def _ended(summary: Summary) -> dict[str, str]:
    """Epochs that the report runs took, and how many of these a rule stopped."""
    mean, low, high, n = summary.epochs
    half = f" ± {(high - low) / 2:.1f}" if high > low else ""
    some = f" ({summary.stopped} of {n} stopped)" if 0 < summary.stopped < n else ""
    return {"epochs": f"{mean:.4g}{half}{some}" if n else _NONE}


def _groups(results: Results) -> list[str]:
    return [entry.group for entry in results.entries]


def _unit(metric: Metric) -> str:
    return in_words(metric.name) + " %" * metric.percent


def _point(summary: Summary, swept: Iterable[str], names: Mapping[str, str]) -> str:
    """The best point, such as ``0.003*, dropout 0.2``; a star marks an edge."""
    words = []
    for key in swept:
        if summary.best is None or key not in summary.best:
            continue
        value = f"{summary.best[key]:.3g}" + "*" * (key in summary.at_edge)
        rate = names[key] == "learning_rate"
        words.insert(0 if rate else len(words), value if rate else
                     f"{names[key]} {value}")  # fmt: skip
    return ", ".join(words) or _NONE


def contender_table(results: Results) -> Table:
    """Lists how each contender differs from the others.

    Args:
      results: a whole comparison.

    Returns:
      The table: label, parameters, multiply-adds for one example, settings.
    """
    keys = dict.fromkeys(key for entry in results.entries for key in entry.settings)
    names = short_names(keys)
    rows = []
    for entry in results.entries:
        said = (f"{names[key]} {_setting(x)}" for key, x in entry.settings.items())
        count = entry.multiply_adds
        row = {"contender": entry.label, "parameters": f"{entry.parameters:,}"}
        row["multiply-adds"] = _NONE if count is None else f"{count:,}"
        rows.append(row | {"settings": ", ".join(said) or _NONE})
    return tabulate("Contenders", rows, ["contender", "settings"])


def _setting(value: Any) -> str:
    """A value of a config; a long tuple of numbers by its length and ends.

    >>> _setting((0.1, 0.2, 0.3, 0.4)), _setting((1, 2)), _setting(0.30000001)
    ('(4 values, 0.1 to 0.4)', '(1, 2)', '0.3')
    """
    if isinstance(value, list | tuple):
        numbers = all(isinstance(item, int | float) for item in value)
        if len(value) > 3 and numbers:
            ends = f"{_setting(value[0])} to {_setting(value[-1])}"
            return f"({len(value)} values, {ends})"
        return f"({', '.join(map(_setting, value))})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def difference_table(results: Results) -> Table | None:
    """Lists every two contenders of a group, paired by seed, with both p values.

    Args:
      results: a whole comparison.

    Returns:
      The table, or None where there is no pair.
    """
    decides, pairs = results.metrics[0], differences(results)
    if not pairs:
        return None
    scale, form = (100, "{:+.2f}") if decides.percent else (1, "{:+.3g}")
    rows = []
    for pair in pairs:
        mean, low, high = (form.format(scale * x) for x in pair.interval[:3])
        two = np.isfinite(pair.interval.low)
        row = {
            "pair": f"{pair.first} - {pair.second}",
            "points" if decides.percent else "difference": mean,
            "95% interval": f"[{low}, {high}]" if two else "one seed: none",
            "p": p_value(pair.p),
            "Holm's\np": p_value(pair.corrected),
            "seeds": str(pair.interval.n),
            "verdict": pair.verdict,
        }
        rows.append(row)
    title = f"Test {in_words(decides.name)}, differences paired by seed"
    groups = [pair.group for pair in pairs]
    return tabulate(title, rows, ["pair", "verdict"], conclusions(results), groups)


def claims_table(results: Results) -> Table | None:
    """Lists the claims of a comparison, each with what was measured and a verdict.

    Args:
      results: a whole comparison.

    Returns:
      The table, a block a claim; None where there is no claim of contenders that ran.
    """
    metrics = {metric.name: metric for metric in results.metrics}
    rows, groups = [], []
    for judged in judge(results):
        percent = metrics.get(judged.by.partition("_")[2], metrics["loss"]).percent
        for test in judged.comparisons:
            scale, form = (100, "{:+.2f}") if percent else (1, "{:+.3g}")
            mean, low, high = (form.format(scale * x) for x in test.interval[:3])
            there, two = test.interval.n > 0, np.isfinite(test.interval.low)
            within = f", {test.group}" if test.group else ""
            row = {
                "compared": f"{test.subject} - {test.against}{within}",
                "measure": _measure(judged.by) + (", points" if percent else ""),
                "mean": mean if there else _NONE,
                "95% interval": f"[{low}, {high}]"
                if two
                else test.remark or "one seed: none",
                "p": p_value(test.p),
                "seeds": str(test.interval.n),
            }
            rows.append(row)
            p = f", Holm's p {p_value(judged.p)}" if np.isfinite(judged.p) else ""
            groups.append(f"{judged.says}: {judged.verdict}{p}.")
    if not rows:
        return None
    title = "Claims, judged by differences paired by seed"
    return tabulate(title, rows, ["compared", "measure"], groups=groups)


def _measure(name: str) -> str:
    """The name of a measure in words; the test split goes without saying.

    >>> _measure("test_accuracy"), _measure("epochs_to_target")
    ('accuracy', 'epochs to target')
    """
    return in_words(name.removeprefix("test_"))


def teeth_table(results: Results) -> Table | None:
    """Lists how the mini-batch loss changes within epochs and between them.

    Args:
      results: a whole comparison.

    Returns:
      The table; None where no run is long enough to tell.
    """
    rows, groups = [], []
    loss = next(metric for metric in results.metrics if metric.name == "loss")
    for entry in results.entries:
        if entry.report is None or (found := teeth(entry.report)) is None:
            continue
        within, between = (measured(each, loss) for each in found)
        row = {
            "contender": entry.name,
            "within an epoch,\nfrom its start to its end": within,
            "between epochs,\nfrom end to start": between,
        }
        rows.append(row)
        groups.append(entry.group)
    if not rows:
        return None
    title = "Teeth of the training curve: change of the mini-batch loss"
    note = (
        "Mean over the second half of the epochs, ± 95% interval over seeds; start "
        "and end are fifths of an epoch. An epoch shows every example once, so those "
        "at its start were last seen half an epoch ago in the mean, those at its end "
        "one and a half. A fall between epochs beside a rise, or a smaller fall, "
        "within them is that memory: the curve is saw-toothed."
    )
    return tabulate(title, rows, ["contender"], (note,), groups)


def constants_table(results: Results) -> Table | None:
    """Lists the values that learned constants have at the end, layer by layer.

    Args:
      results: a whole comparison, with ``constants``.

    Returns:
      The table, a block a contender; None where no net has any.
    """
    rows, groups = [], []
    for entry in results.entries:
        for name, values in results.constants.get(entry.label, {}).items():
            layer, _, constant = name.rpartition(".")
            means, within = values[:, 0], values[:, 1]
            each = mean_interval(means)
            half = (each.high - each.low) / 2
            spread = f" ± {half:.2g}" if np.isfinite(half) else ""
            row = {
                "layer": layer,
                "constant": constant,
                "mean": number(each.mean) + spread,
                "least .. greatest\nseed": f"{number(means.min())} .. "
                f"{number(means.max())}",
                "deviation\nwithin": number(float(within.mean()))
                if within.any()
                else _NONE,
            }
            rows.append(row)
            groups.append(entry.label)
    if not rows:
        return None
    title = "Learned constants after the last step: mean ± 95% interval over seeds"
    note = (
        "Layers of one kind are numbered from the input on: 0 follows the input "
        "itself. A shift starts at 0, a scale at 1. Where a layer has several "
        "constants, their mean is shown, and their deviation within the layer."
    )
    return tabulate(title, rows, ["layer", "constant"], (note,), groups)


def p_value(p: float) -> str:
    """Writes a p value; a dash for NaN.

    >>> p_value(0.04), p_value(1e-5)
    ('0.040', '<0.001')
    """
    return _NONE if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def conclusions(results: Results) -> tuple[str, ...]:
    """States the ranking of each group, as far as the corrected tests allow one.

    Args:
      results: a whole comparison.

    Returns:
      One sentence a group; none where no two contenders can be compared.
    """
    sentences = []
    by = f"test {in_words(results.metrics[0].name)}"
    pairs = itertools.groupby(differences(results), key=lambda pair: pair.group)
    for group, found in pairs:
        places = ranks(list(found))
        ahead = [name for name, rank in places.items() if rank == (1, 1)]
        if all(rank == (1, len(places)) for rank in places.values()):
            said = "no two contenders are separated, so there is no ranking"
        else:
            order = sorted(places.items(), key=lambda item: item[1])
            listed = ", ".join(f"{name} {_place(*rank)}" for name, rank in order)
            lead = (
                f"{ahead[0]} is ahead of every other"
                if ahead
                else "no contender is ahead of all others"
            )
            said = f"{lead}; possible ranks: {listed}"
        sentences.append(f"{group}: by {by}, {said}." if group else f"By {by}, {said}.")
    return tuple(sentences)


def _place(best: int, worst: int) -> str:
    return str(best) if best == worst else f"{best}-{worst}"


def published_table(results: Results) -> Table | None:
    """Sets measured figures beside published ones.

    Args:
      results: a whole comparison, with ``published`` figures.

    Returns:
      The table, or None where nothing was published of these contenders.
    """
    published = {known["contender"]: known for known in results.published}
    keys = {key for known in results.published for key in known}
    metrics = [m for m in results.metrics if f"test_{m.name}" in keys]
    losses = [name for name in ("train_loss", "validation_loss") if name in keys]
    rows, groups = [], []
    for summary, entry in zip(summarize(results), results.entries, strict=True):
        if entry.label not in published:
            continue
        known = dict.fromkeys([*keys, "seconds"], np.nan) | dict(published[entry.label])
        row = {"contender": entry.name}
        for m in metrics:
            pair = summary.test[m.name].mean, known[f"test_{m.name}"]
            for head, value in zip(("test", "published"), pair, strict=True):
                only = Interval(value, np.nan, np.nan, 1)
                row[f"{head}\n{_unit(m)}"] = measured(only, m)
        for name in losses:
            head = name.replace("_", "\n")
            row |= {
                head: number(getattr(summary, name).mean),
                f"published\n{in_words(name)}": number(known[name]),
            }
        times = duration(summary.seconds), duration(known["seconds"])
        rows.append(row | dict(zip(("one\nrun", "published\nrun"), times, strict=True)))
        groups.append(entry.group)
    if not rows:
        return None
    sources = dict.fromkeys(p["source"] for p in results.published if p.get("source"))
    notes = [f"Published: {source}" for source in sources]
    title = "Beside the published figures"
    return tabulate(title, rows, ["contender"], notes, groups)


def budget_table(results: Results) -> Table:
    """Lists the tuning budget of each contender, and its cost.

    Args:
      results: a whole comparison.

    Returns:
      The table, with the seeds as notes.
    """
    rows = [
        {
            "contender": entry.name,
            "points": str(len(entry.points)),
            "seeds": str(len(entry.tune.seeds)),
            "epochs": str(entry.tune.epochs),
            "steps": f"{summary.steps:,}",
            "sweep": duration(entry.sweep_seconds),
            "programs\ncompiled": str(entry.compiles),
            "compile\ntime": duration(entry.compile_seconds),
        }
        for summary, entry in zip(summarize(results), results.entries, strict=True)
    ]
    runs = [(entry.tune, entry.report) for entry in results.entries if entry.report]
    notes = dict.fromkeys(
        f"Tuned with seeds {', '.join(map(str, tune.seeds))}; reported with seeds "
        f"{', '.join(map(str, report.seeds))}."
        for tune, report in runs
    )
    return tabulate("Tuning budget", rows, ["contender"], notes, _groups(results))


def regions_table(results: Results, key: str) -> Table | None:
    """Lists the values of a swept number that are nearly as good as the best one.

    Args:
      results: a whole comparison.
      key: dotted name of the swept number.

    Returns:
      The table; None where no contender has such a region.
    """
    decides, rows, groups = results.metrics[0], [], []
    for entry in results.entries:
        if len(distinct(entry.points).get(key, ())) < 3:
            continue
        found = good_region(response(entry, key, results.metrics), decides)
        if found is None:
            continue
        row = {
            "contender": entry.name,
            "best": f"{found.best:.3g}",
            "from": f"{found.low:.3g}" + "*" * found.open_low,
            "to": f"{found.high:.3g}" + "*" * found.open_high,
            "factor": f"{found.high / found.low:.3g}",
        }
        rows.append(row)
        groups.append(entry.group)
    if not rows:
        return None
    near = "one point" if decides.percent else f"{100 * NEAR_SHARE:g}%"
    name = in_words(swept_names(results)[key])
    title = f"Width of the good region: {name} within {near} of the best"
    note = (
        "Mean validation figures of the sweep, without a diverged seed. A star marks "
        "the end of the values tried: the region may go on."
    )
    return tabulate(title, rows, ["contender"], (note,), groups)


def budget_line(results: Results) -> str:
    """States the compiled programs and the tuning budget of the whole comparison.

    Args:
      results: a whole comparison.

    Returns:
      The line; a range of steps where contenders had different budgets.
    """
    compiles = sum(entry.compiles for entry in results.entries)
    spent = sum(entry.compile_seconds for entry in results.entries)
    programs = "1 program" if compiles == 1 else f"{compiles} programs"
    line = f"{programs} compiled in {duration(spent)}. "
    steps = [summary.steps for summary in summarize(results)]
    tunes = [entry.tune for entry in results.entries]
    budgets = {(len(t.points), len(t.seeds), t.epochs) for t in tunes}
    if len(budgets) == len(set(steps)) == 1:
        points, seeds, epochs = budgets.pop()
        stopped = any((tune.ends < epochs).any() for tune in tunes)
        return line + (
            f"Tuning, each contender: {points} points x {seeds} seeds x "
            f"{'at most ' * stopped}{epochs} epochs = {steps[0]:,} steps."
        )
    return line + (
        f"Tuning: {min(steps):,} to {max(steps):,} steps for a contender; the page has "
        "the table."
    )
