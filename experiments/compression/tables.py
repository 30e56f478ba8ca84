"""Tables of a compression, and the sentence that sums it up."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from experiments.compression.files import Written
from optlab import compress
from optlab.problems import Metric
from optlab.report import Table, tabulate, wording
from optlab.results.statistics import holm, mean_interval, paired_interval, paired_p

#: The contender that goes through all stages.
WHOLE_WAY = "P+Q+H"


@dataclasses.dataclass(frozen=True)
class Measure:
    """A deciding metric as an error: lower is better."""

    metric: Metric

    @property
    def label(self) -> str:
        """Words of an axis or header."""
        if self.metric.percent and self.metric.higher:
            return "test error %"
        return f"test {self.metric.name}"

    def of(self, values: np.ndarray) -> np.ndarray:
        """Turns values of the metric into errors."""
        if not self.metric.higher:
            return values
        return 100 * (1 - values) if self.metric.percent else -values

    def change(self, values: np.ndarray, dense: np.ndarray) -> tuple[str, str]:
        """Writes how much more the error is than the dense parents', see `signed`."""
        if not self.metric.higher:
            more = paired_interval((values - dense).tolist())
            return wording.signed(more, percent=False)
        more = paired_interval((dense - values).tolist())
        return wording.signed(more, self.metric.percent)


def contender_table(
    contenders: Sequence[Written], dense_bytes: int, measure: Measure
) -> Table:
    """Tabulates error against bytes on disk, a row a contender, the dense parent first.

    Differences from the dense parent are paired by seed. ``dense_bytes`` are the bytes
    of the dense weights alone, four each.
    """
    dense, *others = contenders
    differences = [measure.of(c.values) - measure.of(dense.values) for c in others]
    corrected = [np.nan, *holm([paired_p(each.tolist()) for each in differences])]
    rows, intervals = [], []
    for each, p in zip(contenders, corrected, strict=True):
        size = float(each.bytes.mean())
        change, interval = measure.change(each.values, dense.values)
        own = each is dense
        row = {
            "contender": each.name,
            "bytes\non disk": f"{size:,.0f}",
            "times\nsmaller": f"{dense_bytes / size:.1f}x",
            measure.label.replace(" ", "\n", 1): plus_minus(measure.of(each.values)),
            "minus\ndense": "-" if own else change,
            "95% interval": "-" if own else interval or "one seed: none",
            "Holm's\np": wording.p_value(p),
        }
        rows.append(row)
        intervals += [] if own else [interval]
    seeds = len(dense.values)
    notes = [
        f"{seeds} seed{'s' * (seeds > 1)}; mean ± 95% interval, differences paired by "
        "seed. Times smaller: than the dense net's numbers at four bytes each. Every "
        "file is written, read back, and what was read is evaluated.",
        *wording.legend(intervals),
    ]
    return tabulate("Error against bytes on disk", rows, ["contender"], notes)


def conclusion(
    contenders: Sequence[Written], dense_bytes: int, measure: Measure
) -> str:
    """Says in a sentence what the whole way saves and costs; see `contender_table`."""
    dense = contenders[0]
    small = next(each for each in contenders if each.name == WHOLE_WAY)
    size, errors = float(small.bytes.mean()), measure.of(small.values)
    change, interval = measure.change(small.values, dense.values)
    texts = {"": "", wording.NONE: ", the same with each seed"}
    within = texts.get(interval, f", 95% interval {interval}")
    seeds = len(errors)
    return (
        f"Pruned, shared and in Huffman codes ({WHOLE_WAY}) the net takes {size:,.0f} "
        f"bytes, {dense_bytes / size:.1f} times less than its dense parent's numbers. "
        f"{measure.label.capitalize()}: {plus_minus(errors)}, the parent's "
        f"{plus_minus(measure.of(dense.values))}; the difference, paired by seed, is "
        f"{change}{within} ({seeds} seed{'s' * (seeds > 1)})."
    )


def plus_minus(values: np.ndarray) -> str:
    """Writes the mean of ``[seeds]`` with half of its 95% interval, if it has one."""
    return wording.plus_minus(mean_interval(values), fixed=True)


def layer_table(written: Written) -> Table:
    """Tabulates the bytes of a compressed net's file by array, for the first seed."""
    data = written.first.read_bytes()
    entries = compress.stored(data)
    sums = map(sum, zip(*(each[1:] for each in entries), strict=True))
    whole = compress.Stored("file", *sums)
    rest = compress.Stored("names, shapes, head", 0, 0, 0, 0, 0)
    head = len(data) - whole.codes - whole.gaps - whole.tables
    rows = [*map(_layer_row, entries), _layer_row(rest, head), _layer_row(whole, head)]
    title = f"{written.name} by layer, first seed"
    notes = [
        "Stored: numbers with a code of their own, which are those that are not zero, "
        "or all of them where that takes fewer bytes than indices do."
    ]
    return tabulate(title, rows, ["array"], notes)


def _layer_row(each: compress.Stored, head: int = 0) -> dict[str, str]:
    """A row of one array, or of a sum with the bytes of the file's own head."""
    kept = max(each.kept, 1)
    count = lambda n: f"{n:,}" if n else "-"  # noqa: E731
    bits = lambda n: f"{8 * n / kept:.2f}" if n and not head else "-"  # noqa: E731
    return {
        "array": each.path.removeprefix("params/"),
        "numbers": count(each.size),
        "stored\n%": f"{100 * each.kept / each.size:.1f}" if each.size else "-",
        "bits a\nweight": bits(each.codes),
        "bits an\nindex": bits(each.gaps),
        "values,\nbytes": count(each.codes),
        "indices,\nbytes": count(each.gaps),
        "codebook,\ntables": count(each.tables),
        "total,\nbytes": count(each.codes + each.gaps + each.tables + head),
    }
