"""Measures optlab beside PyTorch, Keras, Flax, optimistix and SciPy on this machine.

  python -m experiments.bench
  python -m experiments.bench --suite=sweep,conv
  python -m experiments.bench --suite=sweep --config.sweep.examples=2000

Suites: sweep (many small runs), conv (a step of a convolutional net), least_squares
(fits of a small net and of NIST's problems), minimization (how many of CUTEst's small
problems each method solves), scaling (growth with lanes, parameters, examples,
devices), pruning (steps with masks beside dense ones). On a GPU or TPU, sweep and conv
are the ones to run.

A suite runs optlab and its peers in rounds, one after another in one process: the same
work, data, precision and threads, warm on both sides. Printed are the median of the
ratios of their times and its range; where a peer is faster, the table says so.
index.html, a chart and results.json go into the working directory. A peer that is not
installed is left out: pip install 'optlab[bench]' has optimistix and SciPy, PyTorch and
Keras are installed by hand. Every line of the config is a flag: --config.KEY=VALUE.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import flags
from rich.console import Console
from rich.text import Text

from experiments import cli, overrides, sizes, workdir
from experiments.benchmarks import SUITES, tables
from experiments.benchmarks.peers import versions
from experiments.benchmarks.suite import SuiteResult
from optlab import report
from optlab.errors import InputError, check_choice
from optlab.report import Picture, Section, Table
from optlab.report.figures.ratios import Bar, ratio_bars

CONFIG = cli.define_config("configs/bench.py")
flags.declare_key_flag("config")
flags.declare_key_flag("workdir")
SUITE = flags.DEFINE_string(
    "suite", None, f"Suites to run, with commas: {', '.join(SUITES)}; by default all."
)

TITLE = "optlab beside its peers"
LEAD = (
    "Measured in rounds in one process on this machine: the same work, data, precision "
    "and number of threads, warm on both sides. A ratio is the peer's time over "
    "optlab's in the same round: above 1 optlab is faster, below 1 the peer is."
)
CAPTION = (
    "Blue: optlab is faster. Orange: the peer is. Whiskers reach from the smallest to "
    "the largest ratio of a round."
)


def main(given: overrides.Given) -> None:
    """Runs the suites of a command line."""
    names = _chosen(SUITE.value)
    config = overrides.settings(CONFIG.value, given)
    settings = {name: config[name] for name in names if name in config}
    if unknown := [name for name in names if name not in settings]:
        raise InputError(
            f"this config has no block {unknown[0]!r}: see configs/bench.py"
        )
    sizes.check(settings, CONFIG.value.to_dict())
    folder = workdir.claim(cli.WORKDIR.value, "bench", settings)
    # Programs that a peer compiles again must be compiled, not read from a disk.
    jax.config.update("jax_enable_compilation_cache", False)
    console, found = Console(), {}
    # Threads that wait for each other, as PyTorch's do, lose most on a busy machine.
    load = f"{os.getloadavg()[0]:.1f} other programs running"
    for name in names:
        with Console(stderr=True).status(name) as spinner:
            found[name] = SUITES[name](
                settings[name],
                lambda text, name=name: spinner.update(f"{name}: {text}"),
            )
        console.print(Text(f"\n{name}", style="bold cyan"))
        for block in tables.blocks(found[name]):
            if isinstance(block, Table):
                report.show_table(block, console)
                console.print()
            elif isinstance(block, str):
                console.print(Text(block))
    write(folder, found, settings, versions() | {"load at the start": load})


def write(
    folder: Path,
    found: Mapping[str, SuiteResult],
    settings: Mapping[str, Any],
    made_with: Mapping[str, str],
) -> Path:
    """Writes ``results.json``, the chart and the page.

    Args:
      folder: working directory.
      found: suite's name to its measurements.
      settings: suite's name to its block of the config.
      made_with: versions of the peers, and the load of the machine.

    Returns:
      The path of the page.
    """
    sections = [Section(name, tables.blocks(result)) for name, result in found.items()]
    bars = [
        Bar(x.work, x.peer, x.median, min(x.each), max(x.each))
        for result in found.values()
        for x in result.ratios
    ]
    if bars:
        title, label = "Times as fast as its peers", "peer's time / optlab's"
        figure = ratio_bars(bars, title, label)
        alt = "Medians and ranges of the tables below, as bars."
        chart = Picture("ratios", figure, CAPTION, alt)
        sections.insert(0, Section("Ratios", (chart,)))
    suites = {
        name: {
            "ratios": [x._asdict() | {"median": x.median} for x in result.ratios],
            "values": result.values,
            "tables": [each for each in result.blocks if isinstance(each, Table)],
            "notes": result.notes,
        }
        for name, result in found.items()
    }
    content = {"suites": suites}
    return workdir.write_results(
        folder,
        TITLE,
        settings,
        content,
        sections,
        lead=(LEAD,) if bars else (),
        made_with=made_with,
    )


def _chosen(names: str | None) -> list[str]:
    """Splits names of suites at commas, each once; None selects all suites."""
    chosen = list(SUITES) if names is None else names.split(",")
    chosen = list(dict.fromkeys(name.strip() for name in chosen))
    for name in chosen:
        check_choice("suite", name, SUITES)
    return chosen


if __name__ == "__main__":
    cli.run(main)
