"""Claims about contenders, judged against numbers worked by hand."""

import math

import numpy as np
import pytest

from optlab.errors import InputError
from optlab.problems import Metric
from optlab.results import Entry, Results, Runs, claims

ACCURACY = Metric("accuracy", True, True, lambda outputs, targets: None)
LOSS = Metric("loss", False, False, lambda outputs, targets: None)


def entry(name, accuracy, loss=None, train_loss=None, group="", reached=None):
    """A contender's report runs: final values by seed, and epochs to reach 0.5."""
    seeds, epochs = len(accuracy), 4
    loss = [0.5] * seeds if loss is None else loss
    train_loss = loss if train_loss is None else train_loss

    def over_time(last):
        values = np.full((epochs + 1, seeds, 1), np.nan)
        values[-1, :, 0] = last
        return values

    climb = np.zeros((epochs + 1, seeds, 1))
    for seed, epoch in enumerate(reached or [epochs] * seeds):
        climb[epoch:, seed] = 0.6
    ends = np.full((seeds, 1), epochs) - np.arange(seeds)[:, None]
    report = Runs(
        phase="report",
        seeds=tuple(range(7, 7 + seeds)),
        points=(0,),
        steps_per_epoch=10,
        seconds=np.minimum(np.arange(epochs + 1.0)[:, None, None], ends),
        steps={},
        evaluations={
            "test": {"accuracy": over_time(accuracy), "loss": over_time(loss)},
            "train": {"accuracy": over_time(accuracy), "loss": over_time(train_loss)},
            "validation": {"accuracy": climb, "loss": over_time(loss)},
        },
        diverged=np.isnan(np.array(accuracy))[:, None],
        ends=ends,
    )
    return Entry(
        label=f"{name}, {group}" if group else name,
        name=name,
        group=group,
        settings={},
        points=({},),
        tune=report,
        best=0,
        report=report,
        parameters=1,
        multiply_adds=1,
        compiles=1,
        compile_seconds=0.0,
        sweep_seconds=0.0,
    )


def judged(entries, *asked, target=0.5):
    return claims.judge(
        Results(
            entries=tuple(entries),
            metrics=(ACCURACY, LOSS),
            target=target,
            title="",
            note="",
            config="{}",
            environment={},
            claims=asked,
        )
    )


# Differences 5, 4, 6, 3 points: mean 4.5, deviation sqrt(5/3), t = 4.5 / sqrt(5/12).
GOOD = entry("good", [0.95, 0.96, 0.97, 0.96])
FAIR = entry("fair", [0.90, 0.92, 0.91, 0.93])
LIKE = entry("like", [0.97, 0.94, 0.98, 0.95])  # 2, -2, 1, -1 points above good


def p_of(t):
    """Two-sided p of Student's t with three degrees of freedom, in closed form."""
    angle = math.atan(t / math.sqrt(3))
    return 1 - 2 / math.pi * (angle + math.sin(angle) * math.cos(angle))


def test_a_claim_is_judged_by_the_paired_test_worked_by_hand():
    claim = {"says": "good wins", "better": "good", "than": "fair"}
    (found,) = judged([GOOD, FAIR], claim)
    (test,) = found.comparisons
    assert (found.says, found.by, found.verdict) == (
        "good wins",
        "test_accuracy",
        "held",
    )
    half = 3.182446 * math.sqrt(5 / 3) / 2 / 100  # t(0.975; 3)
    wanted = [0.045, 0.045 - half, 0.045 + half, 4]
    np.testing.assert_allclose(test.interval, wanted, rtol=1e-5)
    np.testing.assert_allclose(test.p, p_of(4.5 / math.sqrt(5 / 12)), rtol=1e-5)
    assert found.p == test.p  # of one claim with one comparison
    np.testing.assert_allclose(test.claimed, 0.045)


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ({"better": "good", "than": "fair"}, "held"),
        ({"better": "fair", "than": "good"}, "contradicted"),
        ({"better": "good", "than": "like"}, "not shown"),
        ({"better": "good", "than": ("fair", "like")}, "not shown"),
        ({"not_better": "fair", "than": "good"}, "held"),
        ({"not_better": "good", "than": "fair"}, "contradicted"),
        ({"not_better": "good", "than": "like"}, "not shown"),
        ({"not_better": "good", "than": "fair", "margin": 0.1}, "held"),
        ({"better": "good", "than": "fair", "margin": 0.1}, "contradicted"),
        ({"better": "good", "than": "fair", "margin": 0.045}, "not shown"),
        ({"more": "good", "than": 0.9}, "held"),
        ({"less": "good", "than": 0.9}, "contradicted"),
        ({"less": "fair", "than": "good"}, "held"),
    ],
)
def test_verdicts_follow_relation_margin_and_number(claim, verdict):
    (found,) = judged([GOOD, FAIR, LIKE], {"says": "it", **claim})
    assert found.verdict == verdict


def test_several_comparisons_make_one_p_and_holm_corrects_for_claims():
    every = {"says": "a", "better": "good", "than": ("fair", 0.9)}
    some = {"says": "b", "better": "like", "than": ("fair", "good", 0.9999)}
    one = {"says": "c", "less": "good", "than": "like"}
    found = judged([GOOD, FAIR, LIKE], every, some, one)
    plain = [[test.p for test in each.comparisons] for each in found]
    assert [test.claimed > 0 for test in found[1].comparisons] == [True, False, False]
    # All point the claimed way: the largest. Two against it: three times the smallest.
    of_claims = [max(plain[0]), min(3 * min(plain[1][1:]), 1), plain[2][0]]
    order = np.argsort(of_claims)
    expected = np.maximum.accumulate(np.array(of_claims)[order] * [3, 2, 1]).clip(max=1)
    np.testing.assert_allclose([found[i].p for i in order], expected)
    assert [each.verdict for each in found] == ["held", "not shown", "not shown"]


def test_measures_have_their_own_direction():
    small = entry(
        "small", [0.9] * 3, [0.2, 0.3, 0.4], [0.1, 0.2, 0.29], reached=[1, 1, 2]
    )
    large = entry(
        "large", [0.9] * 3, [0.9, 1.1, 1.0], [0.1, 0.2, 0.1], reached=[3, 2, 9]
    )
    found = judged(
        [small, large],
        {"says": "loss", "better": "small", "than": "large", "by": "test_loss"},
        {"says": "gap", "more": "large", "than": "small", "by": "gap"},
        {"says": "sooner", "less": "small", "than": "large", "by": "epochs_to_target"},
        {"says": "time", "better": "small", "than": "large", "by": "seconds_to_target"},
    )
    gaps, epochs, seconds = (each.comparisons[0].interval for each in found[1:])
    np.testing.assert_allclose(gaps.mean, np.mean([0.7, 0.8, 0.79]))
    # A run that misses counts as all 4 epochs, though it was stopped after 2.
    np.testing.assert_allclose(epochs.mean, np.mean([1 - 3, 1 - 2, 2 - 4]))
    np.testing.assert_allclose(seconds, epochs)  # a second an epoch
    assert [each.verdict for each in found[:2]] == ["held", "held"]


def test_seeds_that_diverged_are_left_out_and_a_lost_contender_is_worse():
    partly = entry("partly", [0.90, math.nan, 0.91, 0.93])
    lost = FAIR._replace(name="lost", label="lost", best=None, report=None)
    some, all_of_it, no_better, gap = judged(
        [GOOD, partly, lost],
        {"says": "some", "better": "good", "than": "partly"},
        {"says": "all", "better": "good", "than": "lost"},
        {"says": "not", "not_better": "good", "than": "lost"},
        {"says": "gap", "more": "lost", "than": "good", "by": "gap"},
    )
    assert some.comparisons[0].interval.n == 3
    verdicts = [each.verdict for each in (all_of_it, no_better, gap)]
    assert verdicts == ["held", "contradicted", "not shown"]
    assert all_of_it.comparisons[0].remark == "every lane of lost diverged"


def test_a_claim_is_judged_in_each_group_or_in_the_one_it_names():
    entries = [each._replace(group=g) for g in ("a", "b") for each in (GOOD, FAIR)]
    claim = {"says": "it", "better": "good", "than": "fair"}
    both, one = judged(entries, claim, {**claim, "group": "b"})
    assert [test.group for test in both.comparisons] == ["a", "b"]
    assert [test.group for test in one.comparisons] == ["b"]
    assert judged([GOOD], claim) == ()  # the other one did not run


def test_one_seed_shows_nothing():
    one = [entry("good", [0.9]), entry("fair", [0.1])]
    (found,) = judged(one, {"says": "it", "better": "good", "than": "fair"})
    assert found.verdict == "not shown"


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (
            {"better": "god", "than": "fair"},
            "claim 'it': no contender 'god'; did you m",
        ),
        (
            {"better": "good", "than": ("fair", "x")},
            "no contender 'x'; known: fair, good",
        ),
        ({"betters": "good", "than": "fair"}, "no key 'betters'; did you mean better"),
        ({"better": "good"}, "claim 'it' needs says, than and one of better"),
        ({"better": "good", "less": "good", "than": 1}, "needs says, than and one of"),
        (
            {"better": "good", "than": 1, "by": "accuracy"},
            "'accuracy'; did .*_accuracy",
        ),
        (
            {"better": "good", "than": 1, "margin": "x"},
            "margin must be a number, not 'x'",
        ),
        ({"better": "good", "than": 1, "margin": np.nan}, "margin must be finite"),
        (
            {"better": "good", "than": ("fair", None)},
            "than must be a contender, several",
        ),
        ({"better": "good", "than": ()}, "than must be a contender, several"),
        ({"better": 3, "than": "fair"}, "better must be a text, not 3"),
        ({"better": "good", "than": 1, "by": ["gap"]}, "by must be a text"),
        ({"less": "good", "than": 1, "by": "epochs_to_target"}, "needs a target"),
    ],
)
def test_a_mistake_says_what_would_be_right(claim, message):
    with pytest.raises(InputError, match=message):
        claims.check(
            [{"says": "it", **claim}], ["good", "fair"], (ACCURACY, LOSS), None
        )


@pytest.mark.parametrize("given", [None, "better", ["better"], {"says": "it"}])
def test_claims_that_are_none_are_one_line(given):
    with pytest.raises(InputError, match=r"claims must be|a claim is a mapping"):
        claims.check(given, ["good"], (ACCURACY,), None)
