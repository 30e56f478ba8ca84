"""Tables of what a comparison shows: differences, claims, published figures."""

import itertools

import numpy as np

from optlab.report.tables.plain import Table, tabulate
from optlab.report.wording import (
    duration,
    in_words,
    legend,
    measured,
    number,
    p_value,
    signed,
    unit,
)
from optlab.results import Interval, Results, differences, judge, ranks, summarize


def difference_table(results: Results) -> Table | None:
    """Lists every two contenders of a group, paired by seed, with both p values.

    Returns None where there is no pair.
    """
    decides, pairs = results.metrics[0], differences(results)
    if not pairs:
        return None
    rows = []
    for pair in pairs:
        mean, interval = signed(pair.interval, decides.percent)
        row = {
            "pair": f"{pair.first} - {pair.second}",
            "points" if decides.percent else "difference": mean,
            "95% interval": interval or "one seed: none",
            "p": p_value(pair.p),
            "Holm's\np": p_value(pair.corrected),
            "seeds": str(pair.interval.n),
            "verdict": pair.verdict,
        }
        rows.append(row)
    title = f"Test {in_words(decides.name)}, differences paired by seed"
    groups = [pair.group for pair in pairs]
    notes = [*conclusions(results), *legend([row["95% interval"] for row in rows])]
    return tabulate(title, rows, ["pair", "verdict"], notes, groups)


def claims_table(results: Results) -> Table | None:
    """Lists the claims of a comparison, each with what was measured and a verdict.

    A block is a claim. Returns None where there is no claim of contenders that ran.
    """
    metrics = {metric.name: metric for metric in results.metrics}
    rows, groups = [], []
    for judged in judge(results):
        percent = metrics.get(judged.by.partition("_")[2], metrics["loss"]).percent
        for test in judged.comparisons:
            mean, interval = signed(test.interval, percent)
            within = f", {test.group}" if test.group else ""
            row = {
                "compared": f"{test.subject} - {test.against}{within}",
                "measure": _measure(judged.by) + (", points" if percent else ""),
                "mean": mean,
                "95% interval": interval or test.remark or "one seed: none",
                "p": p_value(test.p),
                "seeds": str(test.interval.n),
            }
            rows.append(row)
            p = f", Holm's p {p_value(judged.p)}" if np.isfinite(judged.p) else ""
            groups.append(f"{judged.says}: {judged.verdict}{p}.")
    if not rows:
        return None
    title = "Claims, judged by differences paired by seed"
    misses = any(judged.by.endswith("to_target") for judged in judge(results))
    notes = ["A run that misses the target counts as all of its epochs."] * misses
    notes += legend([row["95% interval"] for row in rows])
    return tabulate(title, rows, ["compared", "measure"], notes, groups)


def _measure(name: str) -> str:
    """The name of a measure in words; the test split goes without saying.

    >>> _measure("test_accuracy"), _measure("epochs_to_target")
    ('accuracy', 'epochs to target')
    """
    return in_words(name.removeprefix("test_"))


def conclusions(results: Results) -> tuple[str, ...]:
    """States the ranking of each group, as far as the corrected tests allow one.

    Returns one sentence a group; none where no two contenders can be compared.
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

    Returns None where nothing was published of these contenders.
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
                row[f"{head}\n{unit(m)}"] = measured(only, m)
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
