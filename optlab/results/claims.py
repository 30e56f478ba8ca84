"""Claims about contenders, written before the run, and in words whether they held.

A claim is plain data, so that a config can hold it::

    {"says": "Momentum beats plain descent", "better": "momentum", "than": "sgd"}
    {"says": "The deep net overfits more", "more": "deep", "than": ("flat", "wide"),
     "by": "gap"}
    {"says": "A binary step does not train", "less": "step", "than": 0.2,
     "by": "test_accuracy"}

A relation of ``RELATIONS`` names the subject. ``than`` names a contender, several
(each is compared with the subject, and the claim holds if it holds of each), or a
number. ``by`` is a measure, by default the deciding metric on test. ``margin``, by
default 0, is what "better" or "more" must exceed. ``group`` names one of several groups
of contenders; by default a claim is judged in each.

With x the subject's measure, y the other's, seed by seed, and x - y turned so that more
is what the relation says::

    better, more, less    d = (x - y) - margin
    not_better            d = margin - (x - y)

A claim is held where d > 0 in the mean of every comparison, with p < 0.05; contradicted
where d < 0 in one, with p < 0.05; else not shown: the seeds decide neither. So "not
better" is the opposite of "better", not its absence. A contender whose every lane
diverged is worse than one that trained.

p is that of the paired t test. Of k comparisons that all point the claimed way the
largest counts, since a claim that they all hold needs no correction (R. Berger,
"Multiparameter Hypothesis Testing and Acceptance Sampling", 1982); else k times the
smallest of those that point the other way. Holm's method corrects for several claims.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from optlab import ranges
from optlab.errors import InputError, check_choice
from optlab.problems import Metric
from optlab.ranges import is_number, shown
from optlab.results.records import Entry, Results
from optlab.results.statistics import LEVEL, Interval, holm, paired_interval, paired_p
from optlab.results.summary import (
    epochs_to_target,
    final,
    finite_by_seed,
    times_to_target,
)

#: Relations of a claim's subject to the others.
RELATIONS = ("better", "not_better", "more", "less")

KEYS = ("says", *RELATIONS, "than", "by", "margin", "group")

#: Type and range of the entries of a claim, by key.
RANGES = {
    **dict.fromkeys(("says", *RELATIONS, "by", "group"), ranges.TEXT),
    "margin": ranges.FINITE,
}

#: Measures beside metrics: description; less is better of each.
MEASURES = {
    "gap": "test loss minus training loss",
    "seconds": "time of one run",
    "epochs": "epochs of one run, until a rule stopped it",
    "epochs_to_target": "epochs to the target; a miss counts as all epochs",
    "seconds_to_target": "seconds to the target; a miss counts as those of all epochs",
}

SPLITS = ("test", "validation", "train")

HELD, CONTRADICTED, NOT_SHOWN = "held", "contradicted", "not shown"


class Comparison(NamedTuple):
    """The test of one claim against one contender, or against a number."""

    subject: str  # name
    against: str  # name, or the number as text
    group: str
    interval: Interval  # of subject minus the other; n is the number of seeds
    claimed: (
        float  # mean of d: the difference in the claimed direction, less the margin
    )
    p: float  # of the paired t test of d; nan for fewer than two pairs
    remark: str  # contenders that diverged; may be empty


class Judgement(NamedTuple):
    """A claim, and whether it held."""

    says: str
    by: str  # measure
    verdict: str  # HELD, CONTRADICTED or NOT_SHOWN
    p: float  # of the claim, corrected by Holm's method over all claims
    comparisons: tuple[Comparison, ...]


def check(
    claims: Sequence[Mapping[str, Any]],
    names: Iterable[str],
    metrics: Sequence[Metric],
    target: float | None,
) -> None:
    """Refuses claims that could not be judged.

    Args:
      claims: claims as plain data.
      names: names of the contenders.
      metrics: metrics of the comparison.
      target: target of the deciding metric, if there is one.

    Raises:
      InputError: a key, contender or measure is unknown, or one is missing.
    """
    names = list(names)
    if not isinstance(claims, tuple | list):
        raise InputError(f"claims must be a tuple of claims, not {shown(claims)}")
    for claim in claims:
        if not isinstance(claim, Mapping):
            raise InputError(f"a claim is a mapping, not {shown(claim)}")
        label = f"claim {claim.get('says', dict(claim))!r}"
        for key in claim:
            check_choice("key", key, KEYS, label)
        relations = [key for key in RELATIONS if key in claim]
        if "says" not in claim or "than" not in claim or len(relations) != 1:
            raise InputError(
                f"{label} needs says, than and one of {', '.join(RELATIONS)}"
            )
        ranges.check(label, RANGES, claim)
        others = _others(claim)
        if not others or not all(isinstance(x, str) or is_number(x) for x in others):
            raise InputError(
                f"{label}: than must be a contender, several, or a number, not "
                f"{shown(claim['than'])}"
            )
        for name in contenders_of(claim):
            check_choice("contender", name, names, label)
        measure = claim.get("by", default_measure(metrics))
        check_choice("measure", measure, _measures(metrics), label)
        if measure.endswith("_to_target") and target is None:
            raise InputError(f"{label}: {measure} needs a target")


def contenders_of(claim: Mapping[str, Any]) -> tuple[str, ...]:
    """Lists the contenders that a claim names, its subject first.

    >>> contenders_of({"better": "adam", "than": ("sgd", "lamb")})
    ('adam', 'sgd', 'lamb')
    >>> contenders_of({"less": "step", "than": 0.2})
    ('step',)
    """
    return tuple(
        each for each in (_subject(claim), *_others(claim)) if isinstance(each, str)
    )


def default_measure(metrics: Sequence[Metric]) -> str:
    """Names the measure of a claim that names none."""
    return f"test_{metrics[0].name}"


def judge(results: Results) -> tuple[Judgement, ...]:
    """Judges the claims of a comparison, as far as their contenders ran.

    Args:
      results: a whole comparison, with its claims.

    Returns:
      A judgement for each claim whose contenders are all in one group or more.
    """
    found = []
    for claim in results.claims:
        if pairs := _pairs(claim, results.entries):
            found.append((claim, tuple(_test(claim, results, *pair) for pair in pairs)))
    corrected = holm([_claim_p(tests) for _, tests in found])
    return tuple(
        Judgement(
            claim["says"],
            claim.get("by", default_measure(results.metrics)),
            _verdict(tests, p),
            p,
            tests,
        )
        for (claim, tests), p in zip(found, corrected, strict=True)
    )


def _claim_p(tests: Sequence[Comparison]) -> float:
    """The p value of a claim that all of its comparisons hold, or that one does not."""
    against = [test.p for test in tests if test.claimed < 0]
    if against:
        return min(len(tests) * float(np.min(against)), 1.0)
    return float(np.max([test.p for test in tests]))


def _verdict(tests: Sequence[Comparison], p: float) -> str:
    if not p < LEVEL:
        return NOT_SHOWN
    return CONTRADICTED if any(test.claimed < 0 for test in tests) else HELD


def _pairs(
    claim: Mapping[str, Any], entries: Sequence[Entry]
) -> list[tuple[Entry, Entry | float]]:
    """Subject and other, for each group that has all contenders of a claim."""
    pairs: list[tuple[Entry, Entry | float]] = []
    for group in dict.fromkeys(entry.group for entry in entries):
        found = {entry.name: entry for entry in entries if entry.group == group}
        asked = claim.get("group", group) == group
        if asked and all(name in found for name in contenders_of(claim)):
            subject = found[_subject(claim)]
            pairs += [
                (subject, found[each] if isinstance(each, str) else each)
                for each in _others(claim)
            ]
    return pairs


def _test(
    claim: Mapping[str, Any], results: Results, subject: Entry, other: Entry | float
) -> Comparison:
    measure = claim.get("by", default_measure(results.metrics))
    own = _by_seed(subject, measure, results)
    if isinstance(other, Entry):
        theirs, against = _by_seed(other, measure, results), other.name
    else:
        theirs, against = dict.fromkeys(own, float(other)), f"{other:g}"
    gaps = np.array([x - theirs[seed] for seed, x in own.items() if seed in theirs])
    up = "more" in claim or (
        "less" not in claim and _measures(results.metrics)[measure]
    )
    d = (gaps if up else -gaps) - claim.get("margin", 0.0)
    d = -d if "not_better" in claim else d
    both = [each for each in (subject, other) if isinstance(each, Entry)]
    lost = [each.label for each in both if each.report is None]
    claimed, p = float(np.mean(d)) if d.size else np.nan, paired_p(d)
    if len(lost) == 1 < len(both) and ("better" in claim or "not_better" in claim):
        claimed = np.inf if (subject.report is None) != ("better" in claim) else -np.inf
        p = 0.0
    return Comparison(
        subject=subject.name,
        against=against,
        group=subject.group,
        interval=paired_interval(gaps.tolist()),
        claimed=claimed,
        p=p,
        remark=" and ".join(f"every lane of {label} diverged" for label in lost),
    )


def _by_seed(entry: Entry, measure: str, results: Results) -> dict[int, float]:
    """Seed to the value of a measure, of the report runs that have one."""
    report = entry.report
    if report is None:
        return {}
    decides, target = results.metrics[0], results.target
    if measure == "gap":
        values = final(report, "test", "loss") - final(report, "train", "loss")
    elif measure == "seconds":
        values = report.seconds[-1]
    elif measure == "epochs":
        values = report.ends
    elif measure == "seconds_to_target":
        assert target is not None
        times, reached = times_to_target(report, decides, target)
        # A miss that a rule stopped counts as all epochs, too, and not as a short time.
        values = np.where(reached, times, times * report.epochs / report.ends[:, 0])
    elif measure == "epochs_to_target":
        assert target is not None
        values = epochs_to_target(report, decides, target)[0]
    else:
        split, _, metric = measure.partition("_")
        values = final(report, split, metric)
    return finite_by_seed(report, values)


def _measures(metrics: Sequence[Metric]) -> dict[str, bool]:
    """Name of every measure to whether more of it is better."""
    return dict.fromkeys(MEASURES, False) | {
        f"{split}_{metric.name}": metric.higher
        for split in SPLITS
        for metric in metrics
    }


def _subject(claim: Mapping[str, Any]) -> str:
    return next(claim[key] for key in RELATIONS if key in claim)


def _others(claim: Mapping[str, Any]) -> tuple[str | float, ...]:
    than = claim["than"]
    return tuple(than) if isinstance(than, tuple | list) else (than,)
