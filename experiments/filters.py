r"""Prunes whole filters of a net, which really gets smaller, and retrains it.

  python -m experiments.filters
  python -m experiments.filters --config.shares="(0.3,0.6)" --config.model.dense=32
  python -m experiments.filters --config=configs/compress_filters.py:cifar10_reduced \
      --data_dir=DIR

Dense parents are trained, one a seed. Filters with the smallest L1 norms go, with their
feature maps and the next layer's kernels on these, chosen layer by layer independently
or greedily; the nets are retrained, and nets of their shape are trained from scratch.
Test error, parameters, multiply-adds and the time of a batch against the share removed.
Nets with normalization or residual links are refused: there a filter is held by more
than the two layers around it.

Tables here; index.html, figures and results.json in the working directory. The same
command begins anew, after a stop as after its end.
Every line of the config is a flag: --config.KEY=VALUE.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import flags
from rich.console import Console

from experiments import cli, overrides, sizes
from experiments.compression import filters, stages
from experiments.compression.filters import GREEDY, INDEPENDENT, SCRATCH, Removed
from experiments.compression.tables import Measure, plus_minus
from experiments.workdir import claim, write_results
from optlab import ranges, report
from optlab.compare import recipe
from optlab.compress import filter_counts
from optlab.errors import InputError
from optlab.problems import Problem
from optlab.ranges import Range
from optlab.report import Picture, Section, Table, tabulate
from optlab.report.figures.filters import filter_curves

CONFIG = cli.define_config("configs/compress_filters.py")
flags.declare_key_flag("config")
flags.declare_key_flag("data_dir")
flags.declare_key_flag("workdir")
DATA_DIR, WORKDIR = cli.DATA_DIR, cli.WORKDIR

RANGES = {
    "first_seed": stages.FIRST_SEED,
    "shares": Range(
        ranges.NUMBERS,
        "more than 0 and less than 1 each, and ascending",
        lambda xs: all(0 < x < 1 for x in xs) and list(xs) == sorted({*xs}),
    ),
}

LEAD = (
    "Filters of every hidden layer with the smallest L1 norms are removed, with their "
    "feature maps and the next layer's kernels on these. Errors are those after the "
    "last step; from scratch trains as many epochs as parent and retraining together."
)


def main(given: overrides.Given) -> None:
    """Flags and config in, tables and page out."""
    settings, defaults = overrides.settings(CONFIG.value, given), CONFIG.value.to_dict()
    if "shares" not in settings or "retrain" not in settings:
        raise InputError(
            "this config prunes no filters: see configs/compress_filters.py"
        )
    sizes.check(settings, defaults)
    ranges.check("config", RANGES, settings)
    dataset = recipe.load_dataset(settings, DATA_DIR.value)
    problem = recipe.make_problem(settings, dataset)
    if given.about("data.name") and not given.about("title"):
        settings["title"] = f"Filters of a net of {dataset.name}, pruned"
    seeds = stages.seeds_of(settings)
    rehearse(settings, problem, seeds)
    folder, console = claim(WORKDIR.value, "filters", settings), Console()
    measure = Measure(problem.metrics[0])
    console.print("train the dense parents", style="dim")
    dense = stages.train_dense(settings, problem, seeds)
    with console.status("") as spinner:
        found = filters.study(dense, settings, seeds, spinner.update)
    found = [_in_errors(each, measure) for each in found]
    tables = (
        error_table(found, measure),
        cost_table(found, settings["timing"]["images"]),
    )
    for table in tables:
        report.show_table(table, console)
    content = {"shares": [each._asdict() for each in found]}
    write_results(
        folder,
        settings["title"],
        settings,
        content,
        [Section("Error and cost", (_picture(found, measure, settings), *tables))],
        note=settings["note"],
        lead=[conclusion(found, measure), LEAD],
    )


def rehearse(settings: Mapping[str, Any], problem: Problem, seeds: Any) -> None:
    """Traces what trains, on shapes alone: what a part refuses is told at once.

    Raises:
      InputError: the net has filters that cannot be pruned, or a part of a recipe is
        wrong.
    """

    def everything(seeds):
        dense = stages.train_dense(settings, problem, seeds)
        filter_counts(jax.tree.map(lambda x: x[0], dense.params))
        with stages.section("retrain"):
            stages.train_on(dense, settings["retrain"], seeds)

    filters.sizes(settings["model"], {"Dense_0": 1, "Dense_1": 1})
    jax.eval_shape(everything, seeds)


def conclusion(found: Sequence[Removed], measure: Measure) -> str:
    """Says in a sentence what the largest share of removed filters saves and costs."""
    whole, last = found[0], found[-1]
    parents, errors = whole.after, last.after
    return (
        f"Without {100 * last.share:g}% of the filters, "
        f"{100 * last.multiply_adds / whole.multiply_adds:.0f}% of the multiply-adds "
        f"are left and {last.seconds / whole.seconds:.2f} times the time; "
        f"{measure.label}: {plus_minus(parents[GREEDY])} before, "
        f"{plus_minus(errors[GREEDY])} retrained, {plus_minus(errors[SCRATCH])} from "
        f"scratch ({_counted(parents, '95% intervals')})."
    )


def error_table(found: Sequence[Removed], measure: Measure) -> Table:
    """Tabulates errors, a row a share of filters, the parents first."""
    rows = []
    for each in found:
        row = {"filters\nremoved": f"{100 * each.share:g}%"}
        row |= {
            f"{way},\n{measure.label}": plus_minus(each.after[way])
            for way in (INDEPENDENT, GREEDY, SCRATCH)
        }
        row |= {
            f"{way},\nnot retrained": plus_minus(each.before[way])
            for way in (INDEPENDENT, GREEDY)
        }
        rows.append(row)
    seeds = _counted(found[0].after, "mean ± 95% interval")
    notes = [f"{seeds.capitalize()}. 0%: the dense parents, before any retraining."]
    return tabulate("Error", rows, ["filters\nremoved"], notes)


def cost_table(found: Sequence[Removed], images: int) -> Table:
    """Tabulates what nets cost, a row a share of filters; batches have ``images``."""
    whole = found[0]
    rows = [
        {
            "filters\nremoved": f"{100 * each.share:g}%",
            "filters left": ", ".join(str(n) for n in list(each.filters.values())[:-1]),
            "parameters": f"{each.parameters:,}",
            "multiply-adds\nof an image": f"{each.multiply_adds:,}",
            "time of\na batch": f"{1e3 * each.seconds:.3g} ms",
            "to the\nparent's": f"{each.seconds / whole.seconds:.2f}x",
        }
        for each in found
    ]
    notes = [
        f"Time: outputs of {images} images by the net of the first seed, median of "
        "rounds in which all shapes took turns."
    ]
    return tabulate("Cost", rows, ["filters\nremoved"], notes)


def _counted(values: Mapping[str, np.ndarray], shown: str) -> str:
    """The number of seeds, and what is shown of several."""
    seeds = len(values[GREEDY])
    return f"{seeds} seeds, {shown}" if seeds > 1 else "one seed, no interval"


def _in_errors(found: Removed, measure: Measure) -> Removed:
    before, after = (
        {way: measure.of(values) for way, values in each.items()}
        for each in (found.before, found.after)
    )
    return found._replace(before=before, after=after)


def _picture(found: Sequence[Removed], measure: Measure, settings: Any) -> Picture:
    shares = np.array([each.share for each in found])
    stack = lambda way: np.stack([e.after[way] for e in found], axis=1)  # noqa: E731
    curves = {way: stack(way) for way in (INDEPENDENT, GREEDY, SCRATCH)}
    costs = {
        "parameters": np.array([each.parameters for each in found]),
        "multiply-adds": np.array([each.multiply_adds for each in found]),
        "time of a batch": np.array([each.seconds for each in found]),
    }
    figure = filter_curves(shares, curves, costs, settings["title"], measure.label)
    caption = "Left: error after retraining. Right: what is left of each cost."
    alt = "error, and parameters, multiply-adds and time, against filters removed"
    return Picture("filters", figure, caption, alt)


if __name__ == "__main__":
    cli.run(main, "stopped; the same command begins anew")
