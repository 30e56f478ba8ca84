"""Arrays of lanes, honest statistics of them, and the files that hold both."""

from optlab.results.claims import Comparison, Judgement, judge
from optlab.results.files import plain, read_json, write_atomic, write_csv, write_json
from optlab.results.provenance import environment
from optlab.results.rates import PowerLaw, convergence, extrapolate, power_law
from optlab.results.records import Entry, Results, Runs
from optlab.results.statistics import (
    Difference,
    Interval,
    mean_band,
    median_time,
    ranks,
)
from optlab.results.summary import (
    Summary,
    choose_point,
    differences,
    distinct,
    edge,
    final,
    median_time_to_target,
    rank_points,
    short_names,
    summarize,
    swept_names,
    times_to_target,
)

__all__ = [
    "Comparison",
    "Difference",
    "Entry",
    "Interval",
    "Judgement",
    "PowerLaw",
    "Results",
    "Runs",
    "Summary",
    "choose_point",
    "convergence",
    "differences",
    "distinct",
    "edge",
    "environment",
    "extrapolate",
    "final",
    "judge",
    "mean_band",
    "median_time",
    "median_time_to_target",
    "plain",
    "power_law",
    "rank_points",
    "ranks",
    "read_json",
    "short_names",
    "summarize",
    "swept_names",
    "times_to_target",
    "write_atomic",
    "write_csv",
    "write_json",
]
