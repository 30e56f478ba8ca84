"""The page of a comparison of optimizers."""

import os
from pathlib import Path

from optlab.report import figures, tables
from optlab.report.document import (
    Block,
    Facts,
    Listing,
    Picture,
    Section,
    write_page,
)
from optlab.results import Results

_CAPTIONS = {
    "epochs": "Top: training loss (solid) and validation loss (dashed). Bottom: "
    "validation accuracy; its axis starts above the first quarter of the run.",
    "wall_time": "The same runs against their own wall time: one lane alone on the "
    "device, the time to compile left out.",
    "training_steps": "Loss and error of each mini-batch as the steps saw it, smoothed "
    "by an exponential moving average of 0.99 with its start corrected. The average "
    "trails the run by about a hundred steps.",
    "sensitivity": "Each sweep's final validation figures. The ring is the chosen "
    "optimum, named above; a cross marks a rate at which every seed diverged, a small "
    "cross one at which some did; a triangle one whose accuracy is below the axis, "
    "which is made for the good rates. Other swept hyperparameters are at their best.",
    "time_to_target": "Bars: the median over the runs that reached the target; dots: "
    "each of these runs; in brackets: how many of the runs did.",
}


def write(results: Results, directory: str | os.PathLike[str]) -> Path:
    """Writes ``index.html`` of a comparison, and its figures as PNG and PDF.

    Args:
      results: of a whole comparison.
      directory: to write in.

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
    """The sections of a comparison's page.

    Args:
      results: of a whole comparison.

    Returns:
      Result, differences, training, tuning, time to target, and how to repeat it.
    """
    pairs = tables.difference_table(results)
    published = tables.published_table(results)
    training = ["epochs", "wall_time", *["training_steps"] * bool(results.traces)]
    return (
        Section(
            "Result",
            (
                tables.summary_table(results),
                *([] if published is None else [published]),
                "Losses are means per example at the end of the run; the gap is test "
                "loss minus training loss. One run: the median time of a run alone on "
                "the device, compile excluded. Compile: all training programs of the "
                "row. Diverged: of all lanes of the sweep. Means "
                "and intervals (Student t) are over the report runs that did not "
                "diverge.",
            ),
        ),
        *([] if pairs is None else [_differences(pairs)]),
        Section("Training", tuple(_picture(results, name) for name in training)),
        Section(
            "Tuning",
            (_picture(results, "sensitivity"), tables.budget_table(results)),
        ),
        Section("Time to target", (_picture(results, "time_to_target"),)),
        Section("To make it again", _provenance(results)),
    )


def _asked(results: Results) -> str:
    names = list(dict.fromkeys(cell.optimizer for cell in results.cells))
    sizes = list(dict.fromkeys(cell.batch_size for cell in results.cells))
    plural = "s" if len(sizes) > 1 else ""
    return (
        f"{', '.join(names)} at batch size{plural} {', '.join(map(str, sizes))}: each "
        "tuned on the validation split, then its best point run again with fresh seeds "
        "and reported on the test split."
    )


def _differences(pairs: tables.Table) -> Section:
    text = (
        "Runs of one seed share their initial parameters and their data order, so the "
        "difference is taken seed by seed. An interval that leaves out zero separates "
        "the two; one that holds it does not."
    )
    if len(pairs.rows) > 1:
        text += (
            f" Each interval holds 95% by itself: if none of these {len(pairs.rows)} "
            f"pairs differed, {0.05 * len(pairs.rows):.2g} of them would still look "
            "separated on average."
        )
    return Section("Differences", (pairs, text))


def _picture(results: Results, name: str) -> Picture:
    figure = figures.FIGURES[name](results)
    names = ", ".join(dict.fromkeys(cell.optimizer for cell in results.cells))
    drawn = figure.get_suptitle()
    alt = f"{drawn}, for {names}. The tables of this page hold the final figures."
    return Picture(name, figure, _CAPTIONS[name], alt)


def _provenance(results: Results) -> tuple[Block, ...]:
    return Facts(results.environment), Listing("Config", results.config)
