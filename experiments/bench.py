"""Measures optlab beside its peers on this machine, in turns.

  python -m experiments.bench
  python -m experiments.bench --suite=sweep,conv,compile
  python -m experiments.bench --suite=sweep --config.sweep.examples=2000

Each suite runs optlab and its peers in turns in one process: the same work, data,
precision and threads, warm on both sides. Printed are the median of the ratios of
their times, its spread, and the target; where a peer is faster the table says so.
index.html, a chart and results.json go into the working directory. A peer that is not
installed is left out: pip install 'optlab[bench]', by hand pip install torch keras.
Every line of the config is a flag: --config.KEY=VALUE.
"""

import functools
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import flags
from rich.console import Console
from rich.progress import (
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from experiments import cli
from experiments.benchmarks import SUITES, tables
from experiments.benchmarks.peers import versions
from experiments.benchmarks.suite import Bench, SuiteResult
from experiments.workdir import claim
from optlab import report, results
from optlab.errors import InputError, near
from optlab.report import Facts, Listing, Picture, Section, Table
from optlab.report.document import Block
from optlab.report.figures.ratios import ratio_bars
from optlab.results.files import plain

CONFIG = cli.define_config("configs/bench.py")
flags.declare_key_flag("config")
SUITE = flags.DEFINE_string(
    "suite", None, f"Which, with commas between: {', '.join(SUITES)}; by default all."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where results go; by default a folder of runs/ for each config."
)

TITLE = "optlab beside its peers"
LEAD = (
    "Measured in turns in one process on this machine: the same work, data, precision "
    "and number of threads, warm on both sides. A ratio is the peer's time over "
    "optlab's in the same turn; above 1 optlab is faster."
)
CAPTION = (
    "Blue: optlab is faster. Orange: the peer is. Whiskers reach from the least to the "
    "greatest turn; a black mark is the target that was set before measuring."
)

#: Load average from which a machine counts as busy.
BUSY = 0.5


def main(_: cli.Given) -> None:
    """Flags and config in, tables and a page out."""
    names = choose(SUITE.value)
    config = CONFIG.value.to_dict()
    settings = {name: config[name] for name in names if name in config}
    if unknown := [name for name in names if name not in settings]:
        raise InputError(
            f"this config has no block {unknown[0]!r}: see configs/bench.py"
        )
    check(settings)
    workdir = claim(WORKDIR.value, "bench", settings)
    # A program that a peer compiles again is to be compiled, not found on a disk.
    jax.config.update("jax_enable_compilation_cache", False)
    console, found = Console(), {}
    note = busy(os.getloadavg()[0])
    if note:
        console.print(Text(note, style="yellow"))
    made_with = results.environment(sys.orig_argv) | versions()
    for name in names:
        with _progress() as progress:
            line = progress.add_task(name)
            tell = functools.partial(_describe, progress, line, name)
            found[name] = SUITES[name](settings[name], Bench(tell))
        show(name, found[name], console)
    page = write(workdir, found, settings, made_with, note)
    on = ", ".join(f"{label} {made_with[label]}" for label in ("cores", *versions()))
    console.print(f"{made_with['processor']}, {on}", soft_wrap=True)
    console.print(f"page: {page}", soft_wrap=True)


def choose(names: str | None) -> list[str]:
    """The suites that a user names, each once.

    Args:
      names: with commas between; None for all.

    Returns:
      Their names.

    Raises:
      InputError: there is none of that name.

    >>> choose("sweep, sweep")
    ['sweep']
    """
    if names is None:
        return list(SUITES)
    chosen = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in chosen:
        if name not in SUITES:
            raise InputError(f"unknown suite {name!r}; {near(name, SUITES)}")
    return chosen


def check(settings: Mapping[str, Any]) -> None:
    """Refuses sizes that leave nothing to measure, before a suite runs for minutes.

    Args:
      settings: of the suites.

    Raises:
      InputError: a count is below 1, or a list is empty.
    """
    for name, value in cli.flatten(settings).items():
        if isinstance(value, int) and value < 1:
            raise InputError(f"{name} must be 1 or more: {value}")
        if isinstance(value, tuple) and not value:
            raise InputError(f"{name} is empty: give one or more")


def busy(load: float) -> str:
    """A warning, where other programs ran when the benchmark began.

    Threads that wait for each other, as PyTorch's do, lose most on a busy machine.

    Args:
      load: programs that wanted to run, averaged over the last minute.

    Returns:
      The warning; empty where the machine was idle.

    >>> busy(0.1)
    ''
    """
    if load < BUSY:
        return ""
    return (
        f"{load:.1f} other programs were running when this began: these are figures of "
        "a busy machine, and unfair to whoever waits for its threads."
    )


def show(name: str, result: SuiteResult, console: Console) -> None:
    """Prints what a suite measured.

    Args:
      name: of the suite.
      result: of it.
      console: where to print.
    """
    console.print(Text(f"\n{name}", style="bold cyan"))
    for block in blocks(result):
        if isinstance(block, Table):
            report.show_table(block, console)
        elif isinstance(block, str):
            console.print(Text(block))


def write(
    workdir: Path,
    found: Mapping[str, SuiteResult],
    settings: Mapping[str, Any],
    made_with: Mapping[str, str],
    note: str = "",
) -> Path:
    """Writes ``results.json``, the chart and the page.

    Args:
      workdir: where.
      found: suite's name to what it measured.
      settings: of the suites.
      made_with: versions and hardware.
      note: what a reader must know before anything else; may be empty.

    Returns:
      The path of the page.
    """
    content = {
        "note": note,
        "environment": made_with,
        "config": settings,
        "suites": {name: tables.record(result) for name, result in found.items()},
    }
    text = json.dumps(plain(content), indent=1, allow_nan=False)
    results.write_atomic(workdir / "results.json", text)
    bars, chart = tables.bars(found), ()
    if bars:
        figure = ratio_bars(
            bars, "Times as fast as its peers", "peer's time / optlab's"
        )
        alt = "The medians and spreads of the tables below, as bars."
        chart = (Section("Ratios", (Picture("ratios", figure, CAPTION, alt),)),)
    suites = [Section(name, blocks(result)) for name, result in found.items()]
    again = Facts(made_with), Listing("Config", json.dumps(settings, indent=2))
    sections = (*chart, *suites, Section("To make it again", again))
    return report.write_page(workdir, TITLE, sections, note, (LEAD,))


def blocks(result: SuiteResult) -> tuple[Block, ...]:
    """What a suite measured, in the order in which it is read.

    Args:
      result: of the suite.

    Returns:
      Tables, notes and what else the suite draws.
    """
    found: list[Block] = []
    if result.ratios:
        found.append(tables.ratio_table(result.ratios))
    if result.values:
        found.append(tables.value_table(result.values))
    return (*found, *result.blocks, *result.notes)


def _progress() -> Progress:
    """A line on standard error that says what is being done, and for how long."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _describe(progress: Progress, line: TaskID, name: str, text: str) -> None:
    progress.update(line, description=f"{name}: {text}")


if __name__ == "__main__":
    cli.run(main)
