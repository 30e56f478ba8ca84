"""Tidy rows, honest statistics, and files that hold them."""

from optlab.results.files import (
    plain,
    read_csv,
    read_json,
    write_atomic,
    write_csv,
    write_json,
)
from optlab.results.provenance import commit, environment
from optlab.results.rates import (
    Convergence,
    PowerLaw,
    convergence,
    extrapolate,
    power_law,
)
from optlab.results.records import Cell, Results, Row, Trace
from optlab.results.statistics import (
    Difference,
    Interval,
    mean_band,
    mean_interval,
    paired_difference,
    ranks,
    verdict,
)
from optlab.results.summary import (
    Summary,
    accuracies_by_seed,
    cell_rows,
    choose_point,
    compare,
    diverged_lanes,
    edge,
    final_rows,
    summarize,
    times_to_target,
)

__all__ = [
    "Cell",
    "Convergence",
    "Difference",
    "Interval",
    "PowerLaw",
    "Results",
    "Row",
    "Summary",
    "Trace",
    "accuracies_by_seed",
    "cell_rows",
    "choose_point",
    "commit",
    "compare",
    "convergence",
    "diverged_lanes",
    "edge",
    "environment",
    "extrapolate",
    "final_rows",
    "mean_band",
    "mean_interval",
    "paired_difference",
    "plain",
    "power_law",
    "ranks",
    "read_csv",
    "read_json",
    "summarize",
    "times_to_target",
    "verdict",
    "write_atomic",
    "write_csv",
    "write_json",
]
