"""Tables of what a comparison measured, contender by contender."""

from collections.abc import Iterable, Mapping
from typing import Any

from optlab.report.tables.plain import Table, tabulate
from optlab.report.wording import NONE, duration, measured, number, plus_minus, unit
from optlab.results import (
    Results,
    Summary,
    distinct,
    short_names,
    summarize,
    swept_names,
)
from optlab.results.sawtooth import teeth
from optlab.results.statistics import mean_interval


def summary_table(results: Results) -> Table:
    """Makes the main table: a row for each contender, a block for each group.

    Its notes hold the remarks that a reader must not miss.
    """
    decides, *others = results.metrics
    shown = [decides, *(metric for metric in others if metric.name != "loss")]
    names = swept_names(results)
    rows, notes = [], []
    summaries = summarize(results)
    any_stopped = any(summary.stopped for summary in summaries)
    for summary, entry in zip(summaries, results.entries, strict=True):
        test = {
            f"test\n{unit(metric)}": measured(summary.test[metric.name], metric)
            for metric in shown
        }
        if summary.best is None:
            test[f"test\n{unit(decides)}"] = "all lanes\ndiverged"
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
    return tabulate(
        title,
        rows,
        ["contender", "best\npoint"],
        notes,
        [entry.group for entry in results.entries],
    )


def _ended(summary: Summary) -> dict[str, str]:
    """Epochs that the report runs took, and how many of these a rule stopped."""
    mean, low, high, n = summary.epochs
    half = f" ± {(high - low) / 2:.1f}" if high > low else ""
    some = f" ({summary.stopped} of {n} stopped)" if 0 < summary.stopped < n else ""
    return {"epochs": f"{mean:.4g}{half}{some}" if n else NONE}


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
    return ", ".join(words) or NONE


def contender_table(results: Results) -> Table:
    """Lists how each contender differs from the others.

    Multiply-adds are those for one example.
    """
    keys = dict.fromkeys(key for entry in results.entries for key in entry.settings)
    names = short_names(keys)
    rows = []
    for entry in results.entries:
        said = (f"{names[key]} {_setting(x)}" for key, x in entry.settings.items())
        count = entry.multiply_adds
        row = {"contender": entry.label, "parameters": f"{entry.parameters:,}"}
        row["multiply-adds"] = NONE if count is None else f"{count:,}"
        rows.append(row | {"settings": ", ".join(said) or NONE})
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


def teeth_table(results: Results) -> Table | None:
    """Lists how the mini-batch loss changes within epochs and between them.

    Returns None where no run is long enough to tell.
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

    A block is a contender. Returns None where no net has any.
    """
    rows, groups = [], []
    for entry in results.entries:
        for name, values in results.constants.get(entry.label, {}).items():
            layer, _, constant = name.rpartition(".")
            means, within = values[:, 0], values[:, 1]
            row = {
                "layer": layer,
                "constant": constant,
                "mean": plus_minus(mean_interval(means), fixed=False),
                "least .. greatest\nseed": f"{number(means.min())} .. "
                f"{number(means.max())}",
                "deviation\nwithin": number(float(within.mean()))
                if within.any()
                else NONE,
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
