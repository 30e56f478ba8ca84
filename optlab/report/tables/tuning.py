"""Tables of the tuning: what it cost, and how wide the good regions are."""

from optlab.report.tables.plain import Table, tabulate
from optlab.report.wording import duration, in_words
from optlab.results import Results, distinct, summarize, swept_names
from optlab.results.responses import NEAR_SHARE, good_region, response


def budget_table(results: Results) -> Table:
    """Lists the tuning budget of each contender, and its cost; notes name the seeds."""
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
    return tabulate(
        "Tuning budget",
        rows,
        ["contender"],
        notes,
        [entry.group for entry in results.entries],
    )


def regions_table(results: Results, key: str) -> Table | None:
    """Lists the values of a swept number that are nearly as good as the best one.

    ``key`` is its dotted name. Returns None where no contender has such a region.
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

    The line has a range of steps where contenders had different budgets.
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
