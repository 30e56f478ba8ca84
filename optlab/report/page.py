"""The page of a comparison."""

import os
import re
from pathlib import Path

from optlab.report import figures, tables, wording
from optlab.report.document import (
    Block,
    Facts,
    Folded,
    Listing,
    Picture,
    Section,
    write_page,
)
from optlab.results import Results, summarize, swept_names

#: A table of more pairs is folded.
MANY = 15

_PROGRESS = (
    "Top: training loss (solid) and validation loss (dashed). Below, if another metric "
    "decides: that metric on validation; where higher is better, its axis is scaled "
    "without the first quarter of the run."
)
_TIMES = (
    "The same runs against their own wall time: one lane alone on the device, the time "
    "to compile left out."
)
_STEPS = (
    "Mini-batch figures of the training steps, smoothed by an exponential moving "
    "average of 0.99 with its start corrected, which weighs about the last hundred "
    "steps."
)
_SENSITIVITY = (
    "Final validation figures of each sweep. The ring is the chosen point; a cross "
    "marks a value at which every seed diverged, a small cross one at which some did; "
    "a triangle one whose metric is below the axis, which is scaled for the good "
    "values. Lines: the other swept numbers are at their best. Points without a line: "
    "a search that drew all numbers at once."
)
_TEST = "the paired t test, or of the sign test where all differences are equal"
_TARGET = (
    "Bars: Kaplan-Meier median. Dots: runs that reached the target. Open markers with "
    "an arrow: runs that ended before they reached it, which count as longer than "
    "their own time. In brackets: number of runs that reached it."
)


def write(results: Results, directory: str | os.PathLike[str]) -> Path:
    """Writes ``index.html`` of a comparison, and its figures as PNG and PDF.

    Args:
      results: a whole comparison.
      directory: folder to write in.

    Returns:
      The path of the page.
    """
    return write_page(
        directory,
        results.title,
        sections(results),
        note=results.note,
        lead=(_asked(results), *tables.conclusions(results)),
    )


def sections(results: Results) -> tuple[Section, ...]:
    """Fills the sections of a comparison's page.

    Args:
      results: a whole comparison.

    Returns:
      Claims, result, training, differences, learned constants, tuning, time to target,
      and how to repeat it.
    """
    result: list[Block | None] = [
        tables.summary_table(results),
        tables.published_table(results),
        "Losses are means per example at the end of the run; the gap is test loss "
        "minus training loss. One run: median time of a run alone on the device, "
        "compile excluded. Compile: all training programs of the row. Diverged: of all "
        "lanes of the sweep. Means and intervals (Student t) are over the report runs "
        "that did not diverge.",
        _stopped(results),
        tables.contender_table(results),
    ]
    trained = any(entry.report is not None for entry in results.entries)
    training: list[Block | None] = ["All lanes of all contenders diverged."]
    if trained:
        training = [
            _picture(results, "epochs", figures.progress(results, "epoch"), _PROGRESS),
            _picture(results, "wall_time", figures.progress(results, "time"), _TIMES),
            _picture(
                results, "training_steps", figures.progress(results, "step"), _STEPS
            ),
            tables.teeth_table(results),
        ]
    tuning: list[Block | None] = []
    for key, name in swept_names(results).items():
        drawn = figures.sensitivity(results, key)
        tuning.append(_picture(results, f"sensitivity_{name}", drawn, _SENSITIVITY))
        tuning.append(tables.regions_table(results, key))
    tuning += [tables.budget_table(results), tables.budget_line(results)]
    target = []
    if results.target is not None and trained:
        drawn = figures.time_to_target(results)
        target = [_picture(results, "time_to_target", drawn, _TARGET)]
    again = [Facts(results.environment), Listing("Config", results.config)]
    filled = {
        "Claims": _claims(results),
        "Result": result,
        "Training": training,
        "Differences": _differences(results),
        "Learned constants": _constants(results),
        "Tuning": tuning,
        "Time to target": target,
        "To make it again": again,
    }
    return tuple(
        Section(heading, tuple(block for block in content if block is not None))
        for heading, content in filled.items()
        if content
    )


def _stopped(results: Results) -> str | None:
    if not any(summary.stopped for summary in summarize(results)):
        return None
    return (
        "Epochs: a rule of the config stopped runs before their last one. Such a run's "
        "net is that of the epoch at which it ended, and figures draw it on from there "
        "as it was. One that had not met the target counts as never meeting it."
    )


def _asked(results: Results) -> str:
    names = list(dict.fromkeys(entry.name for entry in results.entries))
    groups = "; ".join(dict.fromkeys(e.group for e in results.entries if e.group))
    within = f" Compared within each of {groups}." if groups else ""
    each = "each " if len(names) > 1 else ""
    return (
        f"{', '.join(names)}: {each}tuned on the validation split, then its best point "
        "run again with fresh seeds and reported on the test split. Decided by "
        f"{wording.in_words(results.metrics[0].name)}: "
        f"{'higher' if results.metrics[0].higher else 'lower'} is better.{within}"
    )


def _differences(results: Results) -> list[Block]:
    pairs = tables.difference_table(results)
    if pairs is None:
        return []
    text = (
        "Runs of one seed share their initial parameters, where these have the same "
        "shapes, and their data order, so the difference is taken seed by seed. p is "
        f"that of {_TEST}; Holm's p corrects it for the number of pairs, "
        f"{len(pairs.rows)} here, so that one false separation or more has a chance of "
        "at most 5%. The verdict goes by Holm's p. Each interval holds 95% by itself: "
        "it may leave out zero where the verdict separates nothing."
    )
    return [Folded(pairs) if len(pairs.rows) > MANY else pairs, text]


def _claims(results: Results) -> list[Block]:
    judged = tables.claims_table(results)
    if judged is None:
        return []
    text = (
        "Each claim stood in the config before the run. Values are compared seed by "
        f"seed, on fresh seeds; p is that of {_TEST}. A claim about several "
        "contenders holds where it holds of each. Held and contradicted: Holm's p, "
        "corrected for the number of claims, is below 5%. Not shown: these seeds "
        "decide neither, which is no evidence against the claim."
    )
    return [judged, text]


def _constants(results: Results) -> list[Block]:
    return [table] if (table := tables.constants_table(results)) else []


def _picture(
    results: Results, name: str, figure: figures.Figure, caption: str
) -> Picture:
    names = ", ".join(dict.fromkeys(entry.name for entry in results.entries))
    drawn = figure.get_suptitle().replace(r"\$", "$")
    alt = f"{drawn}, for {names}. The tables of this page hold the final figures."
    return Picture(re.sub(r"[^\w.-]", "_", name), figure, caption, alt)
