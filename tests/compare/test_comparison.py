"""The comparison: tuned on validation, reported on test once, resumed to the bit."""

import dataclasses
import functools
import math

import jax
import numpy as np
import pytest

from optlab import compare, sweep
from optlab.compare import Observer, Protocol, comparison
from optlab.errors import InputError
from optlab.results import checkpoint

OVERRIDES = {
    "sgd": {},
    "adam": {"optimizer": {"name": "adam", "learning_rate": (0.01, 0.1)}},
}
# The width is fixed: measured, it might differ between two runs, and with it the bits.
PROTOCOL = Protocol(tune_seeds=2, report_seeds=2, width=100)


class Diary(Observer):
    """Writes down every callback."""

    def __init__(self):
        self.calls, self.nets = [], []

    def begin(self, segments):
        self.calls.append(("begin", segments))

    def restore(self, stage, fresh):
        self.calls.append(("restore", stage))
        return fresh

    def segment(self, stage, progress):
        self.calls.append(("segment", stage, progress))

    def trained(self, stage, trained):
        self.nets.append((stage, trained))


@pytest.fixture(scope="module")
def compared(contenders_of):
    diary = Diary()
    return compare.compare(contenders_of(OVERRIDES), PROTOCOL, diary), diary


def test_tuning_looks_at_validation_alone(compared):
    for entry in compared[0]:
        assert entry.tune.seeds == (0, 1)
        assert entry.tune.points == (0, 1)
        assert list(entry.tune.evaluations) == ["validation"]
        for values in entry.tune.evaluations["validation"].values():
            assert values.shape == (3, 2, 2)
            assert np.isfinite(values).all()
        assert np.isnan(entry.tune.seconds).all()  # they ran together


def test_the_winner_is_reported_with_fresh_seeds_and_tested_once(compared):
    for entry in compared[0]:
        report = entry.report
        assert (report.seeds, report.points) == ((2, 3), (entry.best,))
        assert report.steps["loss"].shape == (2, 1, 6)
        assert (
            report.steps["loss"][:, 0, -1].mean() < report.steps["loss"][:, 0, 0].mean()
        )
        test = report.evaluations["test"]["accuracy"]
        assert np.isnan(test[:2]).all()
        assert np.isfinite(test[2]).all()
        assert (np.diff(report.seconds, axis=0) > 0).all()
        assert (report.seconds[0] == 0).all()


def test_common_random_numbers(compared):
    """Contenders of one net start from the same parameters, seed by seed."""
    sgd, adam = (entry.report.evaluations["train"]["loss"][0] for entry in compared[0])
    np.testing.assert_array_equal(sgd, adam)
    assert sgd[0] != sgd[1]


def test_an_entry_says_what_was_spent(compared):
    for entry, label in zip(compared[0], ("sgd", "adam"), strict=True):
        assert (entry.label, entry.name, entry.group) == (label, label, "")
        assert entry.parameters == 3 * 4 + 4 + 4 * 2 + 2
        assert entry.multiply_adds == 3 * 4 + 4 * 2
        assert entry.compiles == 2  # the sweep, and one lane for all fresh seeds
        assert entry.compile_seconds > 0
        assert entry.sweep_seconds > 0


def test_the_observer_hears_of_every_segment_and_net(compared):
    calls, nets = compared[1].calls, compared[1].nets
    assert calls[0] == ("begin", 2 * 3 * 2)  # contenders x stages x epochs
    assert [call[1].name for call in calls if call[0] == "restore"] == [
        f"{label} {stage}"
        for label in ("sgd", "adam")
        for stage in ("tune 0-1", "report 2", "report 3")
    ]
    epochs = [int(call[2].history.epoch) for call in calls if call[0] == "segment"]
    assert epochs == [0, 1, 2] * 6
    assert [(stage.contender.label, stage.seeds) for stage, _ in nets] == [
        ("sgd", (2,)), ("sgd", (3,)), ("adam", (2,)), ("adam", (3,)),
    ]  # fmt: skip


def test_a_net_evaluates_to_the_table_s_figures(compared):
    for stage, trained in compared[1].nets:
        (entry,) = (e for e in compared[0] if e.label == stage.contender.label)
        i = entry.report.seeds.index(stage.seeds[0])
        for name, value in trained.evaluate("test").items():
            assert float(value) == entry.report.evaluations["test"][name][-1, i, 0]


def test_a_kept_net_is_loaded_with_its_problem(compared, tmp_path, blobs, monkeypatch):
    monkeypatch.setattr(compare.recipe, "load_dataset", lambda *_: blobs)
    stage, trained = compared[1].nets[0]
    contender = stage.contender
    point = contender.points[stage.points[0]]
    about = compare.About(contender.label, contender.settings, point, 2, None)
    path = tmp_path / "net"
    compare.save_trained(path, trained, about)
    back = compare.load_trained(path)
    assert back.evaluate("test") == trained.evaluate("test")
    jax.tree.map(np.testing.assert_array_equal, back.params, trained.params)
    loss = back.history.evaluations["validation"]["loss"]
    np.testing.assert_array_equal(
        loss, trained.history.evaluations["validation"]["loss"]
    )

    whole = path.read_bytes()
    for place in range(0, len(whole), 37):  # one bit, anywhere
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(InputError):
            compare.load_trained(path)

    monkeypatch.setattr("optlab.compare.kept._digest", lambda content: "the same")
    compare.save_trained(path, trained, about)
    whole = path.read_bytes()
    for damaged, message in (
        (whole[: len(whole) // 2], "is cut"),
        (b"PK\x03\x04", "no trained net"),
        (b"", "no trained net"),
        (whole.replace(b"version\x01", b"version\x63"), "version 99"),
        (whole.replace(b"optlab.net", b"otherx.net"), "no trained net of optlab"),
        (whole.replace(b'"hidden": [4]', b'"hidden": [5]'), "does not hold the net"),
        (whole.replace(b'{"label"', b'["label"'), "damaged recipe"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=message) as info:
            compare.load_trained(path)
        assert "\n" not in str(info.value)
    with pytest.raises(InputError, match="cannot read"):
        compare.load_trained(tmp_path / "none")


def test_learned_constants_are_read_in_the_order_of_the_layers(compared, tmp_path):
    _, trained = compared[1].nets[0]
    about = compare.About("a", {}, {}, 0, None)
    nets = []
    for seed in (1.0, 2.0):
        params = {
            "Dense_0": {"kernel": np.ones((2, 2)), "bias": np.ones(2)},
            "Shift_10": {"shift": np.float32(seed)},
            "Shift_2": {"shift": np.array([0.0, 2 * seed])},
            "block": {"Scale_2": {"scale": np.float32(3)}},
        }
        nets.append(tmp_path / f"{seed}.net")
        net = dataclasses.replace(trained, params=params)
        compare.save_trained(nets[-1], net, about)
    found = compare.learned_constants(nets)
    assert list(found) == ["Shift_2.shift", "block.Scale_2.scale", "Shift_10.shift"]
    np.testing.assert_array_equal(found["Shift_2.shift"], [[1, 1], [2, 2]])
    np.testing.assert_array_equal(found["Shift_10.shift"], [[1, 0], [2, 0]])


def test_when_all_lanes_diverge_that_is_the_result(contenders_of):
    wild = contenders_of({"sgd": {"optimizer": {"learning_rate": (1e20, 1e30)}}})
    (entry,) = compare.compare(wild, PROTOCOL)
    assert (entry.best, entry.report, entry.compiles) == (None, None, 1)
    assert entry.tune.diverged.all()


def test_an_error_that_decides_is_lowest_at_the_best(contenders_of):
    rates = {"optimizer": {"learning_rate": (1e-6, 0.5)}}
    (entry,) = compare.compare(contenders_of({"sgd": rates}, metric="loss"), PROTOCOL)
    assert entry.best == 1


class Keeper(Observer):
    """Saves every segment, and is stopped after some."""

    def __init__(self, folder, segments=math.inf):
        self.folder, self.left, self.started = folder, segments, []

    def restore(self, stage, fresh):
        for suffix, like in (("done", fresh._replace(states=None)), ("state", fresh)):
            path = self.folder / f"{stage.name}.{suffix}"
            if path.exists():
                return checkpoint.restore(path, like)
        return fresh

    def compiling(self, stage):
        self.started.append(stage.name)

    def segment(self, stage, progress):
        suffix = "done" if progress.states is None else "state"
        checkpoint.save(self.folder / f"{stage.name}.{suffix}", progress)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


# Of 9 segments: in the sweep's middle, at the start of a report run and at its end.
@pytest.mark.parametrize("segments", [2, 4, 6])
def test_a_stopped_run_goes_on_to_the_same_bits(
    contenders_of, compared, tmp_path, segments
):
    adam = contenders_of({"adam": OVERRIDES["adam"]})
    run = functools.partial(compare.compare, adam, PROTOCOL)
    with pytest.raises(KeyboardInterrupt):
        run(Keeper(tmp_path, segments))
    keeper = Keeper(tmp_path)
    (resumed,), (_, whole) = run(keeper), compared[0]
    for one, other in ((resumed.tune, whole.tune), (resumed.report, whole.report)):
        for field in ("steps", "evaluations", "diverged"):
            jax.tree.map(
                np.testing.assert_array_equal,
                getattr(one, field),
                getattr(other, field),
            )
    done = segments // 3  # a stage is three segments: its start and two epochs
    assert keeper.started == ["adam tune 0-1", "adam report 2", "adam report 3"][done:]
    again = Keeper(tmp_path)
    run(again)
    assert not again.started  # a finished run compiles nothing


def test_lanes_at_a_time_are_the_fastest_that_fit(contenders_of, monkeypatch):
    asked, compiled = [], []

    class Chooser(Observer):
        def widths(self, name, measure):
            asked.append(name)
            return {1: 0.2, 2: 0.1, 4: 0.3}

        def compiled(self, stage, program):
            compiled.append((stage.phase, program.width))

    protocol = PROTOCOL._replace(width=None, report_seeds=1)
    compare.compare(contenders_of({"sgd": {}}), protocol, Chooser())
    assert asked == ["batch 8, 2 x 2 lanes"]
    assert compiled == [("tune", 2), ("report", 1)]


def test_a_trial_of_short_epochs_leaves_the_programs_compiled(
    contenders_of, monkeypatch
):
    """None is lowered twice: those of the trial train, and the report's is beside."""
    lowered = []

    def lower(task, lanes, layout, width):
        lowered.append((lanes.shape, width))
        return real(task, lanes, layout, width)

    real = sweep.lower
    monkeypatch.setattr(sweep, "lower", lower)
    protocol = PROTOCOL._replace(width=None)
    compare.compare(contenders_of({"sgd": {}}), protocol)
    assert len(lowered) == len(set(lowered))
    assert ((1, 1), 1) in lowered
    assert {shape for shape, _ in lowered} == {(1, 1), (2, 2)}


def test_the_first_report_run_is_no_program_s_first_run(contenders_of, monkeypatch):
    """Its time would be that of a cold program; what it trains is the same."""
    trained = []

    def lower(*arguments):
        lowered = real(*arguments)

        def compiled():
            program = lowered.compile()

            def train(states, lanes, epoch):
                trained.append((lanes.shape, epoch))
                return program.train(states, lanes, epoch)

            return program._replace(train=train)

        return lowered._replace(compile=compiled)

    real = sweep.lower
    monkeypatch.setattr(sweep, "lower", lower)
    compare.compare(contenders_of({"sgd": {}}), PROTOCOL)
    runs = [epoch for shape, epoch in trained if shape == (1, 1)]
    assert runs == [0, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"tune_seeds": 0}, "tune_seeds=0 must be"),
        ({"report_seeds": -1}, "report_seeds=-1 must be"),
        ({"width": 0}, "width must be 1 or more: 0"),
        ({"parallel": "pmpa"}, "parallel='pmpa': choose from jit, data, pmap"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(contenders_of, protocol, message):
    with pytest.raises(InputError, match=message):
        comparison.check(contenders_of({"sgd": {}}), PROTOCOL._replace(**protocol))


def test_pmap_and_a_method_that_evaluates_are_refused_together(contenders_of):
    bfgs = contenders_of({"bfgs": {"optimizer": {"name": "bfgs"}}})
    with pytest.raises(InputError, match="evaluates the objective"):
        comparison.check(bfgs, PROTOCOL._replace(parallel="pmap"))
