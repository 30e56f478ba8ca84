"""Tables, figures and the page of small synthetic comparisons."""

import base64
import html.parser
import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from rich.console import Console

from optlab import report
from optlab.problems import Metric
from optlab.report import figures, tables, wording
from optlab.report.figures import curves, labels, style, swept
from optlab.report.page import sections
from optlab.results import Interval, choose_point, responses, swept_names

EIGHT = "sgd", "adam", "lamb", "nadam", "adagrad", "rmsprop", "momentum", "nesterov"
RATE = "optimizer.learning_rate"
DRAWN = [
    {RATE: 10 ** (-3 + 0.1 * i), "model.dropout": 0.1 + 0.37 * i % 0.5}
    for i in range(16)
]
CASES = {
    "two groups": {
        "groups": ("batch_size 64", "batch_size 512"),
        "lost": ("lamb",),
        "note": "reduced: 10 examples",
    },
    "error": {"metrics": ("absolute_error", "accuracy", "loss")},
    "loss": {"metrics": ("loss",), "target": None, "axes": {RATE: (0.001, 0.01)}},
    "single": {"names": ("sgd",), "seeds": 1, "epochs": 1, "axes": {RATE: (0.01,)}},
    "all diverged": {"lost": EIGHT},
    "sixteen": {"names": (*EIGHT, *map(str.upper, EIGHT)), "epochs": 2},
    "random search": {"names": ("sgd", "adam"), "points": DRAWN},
    "markup": {"names": ("$x$", "a $y", "_mine", "[red]b[/]"), "groups": ("$g$",)},
}


@pytest.fixture(scope="module")
def case(request, make_results):
    return make_results(**CASES[request.param])


@pytest.fixture(scope="module")
def two_groups(make_results):
    return make_results(**CASES["two groups"])


def every(name):
    return pytest.mark.parametrize("case", name or list(CASES), indirect=True)


def texts(figure):
    return [text for text in figure.findobj(mpl.text.Text) if text.get_text()]


def said(figure):
    return "\n".join(text.get_text() for text in texts(figure))


def printed(results, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    report.show(results, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def drawn(results):
    found = [figures.progress(results, "epoch"), figures.progress(results, "time")]
    found += [figures.progress(results, "step")]
    found += [figures.sensitivity(results, key) for key in swept_names(results)]
    if results.target is not None:
        found.append(figures.time_to_target(results))
    return found


@every([name for name in CASES if name != "all diverged"])
def test_every_figure_shows_all_of_its_labels_and_no_empty_panel(case):
    for figure in drawn(case):
        figure.draw_without_rendering()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0) > -0.02
        assert box.x1 < width + 0.02
        assert box.y1 < height + 0.02
        assert all(panel.lines or panel.patches for panel in figure.axes)
        assert case.entries[0].name.replace("$", r"\$") in said(figure)
        for text in said(figure).replace(r"\$", "").splitlines():
            assert "$" not in text or "mathdefault" in text  # but for ticks, no formula


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_a_figure_is_the_same_file_each_time(two_groups, kind):
    once, again = (
        style.render(figures.progress(two_groups, "epoch"), kind) for _ in range(2)
    )
    assert once == again
    assert b"Date" not in once


def test_figures_leave_the_global_style_alone(two_groups):
    before = dict(mpl.rcParams)
    style.render(figures.sensitivity(two_groups, RATE), "svg")
    assert dict(mpl.rcParams) == before


def test_a_contender_has_one_colour_in_every_figure_and_group(two_groups):
    for by in ("epoch", "time", "step"):
        for panel in figures.progress(two_groups, by).axes:
            colours = {t.get_text(): t.get_color() for t in panel.texts}
            assert (colours["sgd"], colours["adam"]) == ("#0072B2", "#D55E00")


def test_the_figure_says_which_runs_it_leaves_out(make_results):
    results = make_results(("sgd", "adam", "lamb", "lion"), lost=("lamb", "lion"))
    assert results.entries[0].report is not None
    results.entries[0].report.diverged[1] = True
    for by in ("epoch", "step"):
        figure = figures.progress(results, by)
        assert "lamb, lion: all lanes diverged" in said(figure)
        assert "sgd: 1 of 4 runs diverged, left out" in said(figure)
        assert figure.get_supxlabel().startswith("mean of 3 to 4 seeds")


def test_steps_are_drawn_as_errors_only_if_a_share_of_which_more_is_better(
    make_results,
):
    labels = {
        name: [
            panel.get_ylabel()
            for panel in figures.progress(make_results(**CASES[name]), "step").axes
        ]
        for name in ("random search", "error", "loss")
    }
    assert labels["random search"] == ["training loss", "training error"]
    assert labels["error"] == ["training loss", "training absolute error"]
    assert labels["loss"] == ["training loss"]
    loss = make_results(**CASES["loss"])
    assert len(figures.sensitivity(loss, RATE).axes) == 1
    results = make_results(("sgd",), seeds=1)
    assert results.entries[0].report is not None
    values = results.entries[0].report.steps["accuracy"][0, 0]
    line = figures.progress(results, "step").axes[1].lines[0]
    wanted = 1 - curves.moving_average(values)
    np.testing.assert_allclose(line.get_ydata(), wanted, rtol=1e-5)


def test_the_metric_axis_follows_its_direction_and_kind(make_results):
    loss, share = figures.progress(make_results(), "epoch").axes
    assert [line.get_linestyle() for line in loss.lines[:2]] == ["-", "--"]
    assert share.yaxis.get_major_formatter()(0.925, 0) == "92.5%"
    assert share.get_ylim()[0] > 0.5  # without the first quarter of the runs
    error = figures.progress(
        make_results(metrics=("absolute_error", "loss")), "epoch"
    ).axes[1]
    assert error.get_yscale() == "log"
    assert error.get_ylim()[1] > 1  # with it


def test_moving_average_is_corrected_at_its_start():
    np.testing.assert_allclose(curves.moving_average(np.full((2, 5), 3.0)), 3.0)
    # m = .1 * 1 = .1, /.1 = 1;  m = .09 + .2 = .29, /.19 = 1.526316
    average = curves.moving_average(np.array([1.0, 2.0]), 0.9)
    np.testing.assert_allclose(average, [1.0, 0.29 / 0.19])


def test_sensitivity_takes_the_best_of_the_other_keys(make_results):
    results = make_results(("sgd",))
    entry = results.entries[0]
    worse = [point["optimizer.momentum"] > 0 for point in entry.points]
    entry.tune.evaluations["validation"]["accuracy"][-1][:, worse] = 0.0
    entry = entry._replace(best=choose_point(entry.tune, results.metrics))
    found = responses.response(entry, RATE, results.metrics)
    assert found.x.tolist() == sorted({point[RATE] for point in entry.points})
    assert found.joined
    assert found.best == 2
    assert (found.metric[:, :4] > 0).all()
    assert found.lost.tolist() == [0, 0, 0, 0, 1]
    assert np.isnan(found.metric[:, 4]).all()


@pytest.mark.parametrize(
    ("metric", "means", "lost", "low", "high"),
    [
        # One point of a percentage: 0.97 is within one point of 0.98, 0.969 is not.
        ("accuracy", [0.971, 0.969, 0.975, 0.98, 0.971], (), 1e-2, 1.0),
        ("accuracy", [0.971, 0.972, 0.975, 0.98, 0.971], (1,), 1e-2, 1.0),
        ("accuracy", [0.5, 0.6, 0.985, 0.98, 0.6], (), 1e-2, 1e-1),  # fewer diverged
        # A tenth of the best error: 0.54 is within it, 0.56 is not.
        ("loss", [0.9, 0.54, 0.52, 0.5, 0.56], (), 1e-3, 1e-1),
    ],
)
def test_the_good_region_ends_where_a_neighbour_is_worse(
    metric, means, lost, low, high
):
    kinds = {"accuracy": (True, True), "loss": (False, False)}
    kind = Metric(metric, *kinds[metric], lambda outputs, targets: None)
    values, share = np.array([means] * 2), np.zeros(5)
    share[list(lost)] = 0.5
    x = np.logspace(-4, 0, 5)
    curve = responses.Response(x, values, values, share, 3, True)
    found = responses.good_region(curve, kind)
    np.testing.assert_allclose([found.best, found.low, found.high], [0.1, low, high])
    assert (found.open_low, found.open_high) == (False, high == 1.0)
    for without in ({"joined": False}, {"best": None}, {"x": x - 1}):
        assert responses.good_region(curve._replace(**without), kind) is None


def test_the_width_of_the_good_region_is_a_table(make_results):
    results = make_results(("sgd", "adam"))
    table = tables.regions_table(results, RATE)
    assert [row[0] for row in table.rows] == ["sgd", "adam"]
    assert tables.regions_table(results, "optimizer.momentum") is None  # two values


def test_a_search_that_drew_all_keys_at_once_is_drawn_as_points(make_results):
    results = make_results(**CASES["random search"])
    entry = results.entries[0]
    found = responses.response(entry, "model.dropout", results.metrics)
    assert not found.joined
    assert len(found.x) == 16
    assert found.best is not None
    assert found.x[found.best] == entry.points[entry.best]["model.dropout"]
    rates = figures.sensitivity(results, RATE).axes[0]
    shares = figures.sensitivity(results, "model.dropout").axes[0]
    assert (rates.get_xscale(), shares.get_xscale()) == ("log", "linear")
    assert rates.lines[0].get_linestyle() == "None"


def test_good_values_fill_the_panel_and_the_others_are_marked(make_results):
    """Final accuracies 30, 60, 97, 100, 98, 10, none: the last three of them marked."""
    rates = (*np.logspace(-3, -0.5, 6), 1.0)
    results = make_results(("sgd", "adam"), axes={RATE: rates})
    entries = []
    for entry in results.entries:
        lost = np.broadcast_to(np.arange(7) == 6, (3, 7))
        final = entry.tune.evaluations["validation"]
        final["accuracy"][-1] = 0.3, 0.6, 0.97, 1.0, 0.98, 0.1, 0.1
        final["loss"][-1] = 0.1
        entries.append(entry._replace(tune=entry.tune._replace(diverged=lost), best=3))
    results = results._replace(entries=tuple(entries))
    figure = figures.sensitivity(results, RATE)
    panel = figure.axes[0]
    low, high = panel.get_ylim()
    assert 0.8 < low < 0.97
    assert 1.0 < high < 1.02
    figure.draw_without_rendering()
    assert "100%" in said(figure)
    assert "100.5%" not in said(figure)
    marks = {line.get_marker(): line.get_xdata() for line in panel.lines}
    np.testing.assert_allclose(marks["v"], [1e-3, 10**-2.5, 10**-0.5])
    np.testing.assert_allclose(marks["x"], [1.0])
    assert {"below the axis", "diverged"} <= set(said(figure).splitlines())
    assert f"sgd\n{rates[3]:.3g}" in said(figure)
    assert swept.reach([np.array([0.3, 0.97, 0.98, 0.99])], [0.3]) == 0.3


def test_the_band_is_the_interval_kept_within_what_is_possible():
    (panel,) = mpl.figure.Figure().subplots(1, 1, squeeze=False)[0]
    values = np.array([[0.99, 5.0], [1.0, 7.0], [0.95, 6.0]])
    style.band(panel, np.arange(2), values[:, :1].repeat(2, 1), share=True)
    style.band(panel, np.arange(2), values[:, 1:].repeat(2, 1))
    share, positive = (area.get_paths()[0].vertices for area in panel.collections)
    # s = 0.0264575 and 1; t(0.975; 2) / sqrt(3) = 2.484138
    low = 0.98 - 2.484138 * 0.0264575
    assert (share[:, 1].min(), share[:, 1].max()) == pytest.approx((low, 1.0))
    ratio = np.exp(2.484138 / 6)
    ends = positive[:, 1].min(), positive[:, 1].max()
    assert ends == pytest.approx((6 / ratio, 6 * ratio))


def test_two_seeds_get_a_band_between_them(make_results):
    """Their 95% interval is 12.7 times as wide, and said to be none."""
    results = make_results(seeds=2)
    figure = figures.progress(results, "epoch")
    assert figure.get_supxlabel() == "mean of 2 seeds, band: from one to the other"
    found = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    values = curves.evaluated(results.entries[0], "train", "loss")
    assert (found.min(), found.max()) == pytest.approx((values.min(), values.max()))


def test_sixteen_contenders_look_different():
    looks = style.looks(map(str, range(16)))
    assert len({look[:2] for look in looks.values()}) == 16
    lines = [look.line(np.arange(50)) for look in looks.values()]
    assert all(line["marker"] and len(line["markevery"]) == 5 for line in lines)
    assert style.looks("ab")["a"].line(np.arange(50)) == {"color": "#0072B2"}


def test_runs_that_missed_the_target_are_open_markers(make_results):
    results = make_results(("sgd", "adam", "lamb"), lost=("lamb",))
    for entry, reached in zip(results.entries, (3, 1), strict=False):
        assert entry.report is not None
        values = entry.report.evaluations["validation"]["accuracy"]
        values[:] = 0.5
        values[2, :reached] = 0.95
    figure = figures.time_to_target(results)
    text = said(figure)
    assert "3 s  (3 of 4)" in text
    assert "median not reached  (1 of 4)" in text
    assert "all lanes diverged" in text
    lines = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    opened = [line for line in lines if line.get_markerfacecolor() == "white"]
    assert len(opened) == 1 + 3
    ends = [float(line.get_xdata()[0]) for line in opened]
    assert ends == pytest.approx([6.0, 6.6, 6.6, 6.6])


def test_labels_are_kept_apart_within_the_limits():
    wanted = [0.9, 0.91, 0.92, 0.1, 1.0]
    places = labels.spread(wanted, 0.1, 0.0, 1.0)
    assert (np.diff(np.sort(places)) >= 0.1 - 1e-9).all()
    assert places.max() <= 1.0 + 1e-9
    assert np.argsort(places).tolist() == np.argsort(wanted).tolist()
    crowded = labels.spread([0.5] * 30, 0.1, 0.0, 1.0)
    assert crowded.min() >= -1e-9
    assert crowded.max() <= 1 + 1e-9
    assert labels.spread([], 0.1, 0.0, 1.0).size == 0


@pytest.mark.parametrize("width", [80, 120])
@every(None)
def test_tables_fit_the_terminal_and_names_are_literal(case, width):
    text = printed(case, width)
    assert max(map(len, text.splitlines())) <= width
    for entry in case.entries:
        assert entry.name in text
        assert entry.group in text


def test_the_printed_tables_have_every_column_and_the_verdicts(two_groups):
    text = printed(two_groups, 120)
    for word in ("train", "valid.", "gap", "accuracy %", "one run", "compile", "best"):
        assert word in text
    for word in ("Holm's", "batch_size 64", "batch_size 512", "30/30", "sgd - adam"):
        assert word in text
    assert "12 programs compiled in 54 s" in text
    assert "points x 3 seeds x 4 epochs" in text
    assert "batch_size 64: by test accuracy, " in text


def test_an_error_is_no_percentage_and_other_metrics_have_columns(make_results):
    results = make_results(**CASES["error"])
    table = tables.summary_table(results)
    assert table.columns[4:6] == ("test\nabsolute error", "test\naccuracy %")
    mean, half = table.rows[0][4].split(" ± ")
    assert 0.04 < float(mean) < 0.06
    assert float(half) < 0.01
    assert 95 < float(table.rows[0][5].split(" ± ")[0]) < 98
    pairs = tables.difference_table(results)
    assert pairs is not None
    assert pairs.columns[1] == "difference"
    # By the formulas of the fixture, lamb falls fastest: its error is the lowest.
    assert pairs.rows[1][0] == "sgd - lamb"
    assert float(pairs.rows[1][1]) > 0
    assert pairs.rows[1][-1] == "lamb better"


def test_equal_differences_get_a_dash_and_one_line_that_says_why(make_results):
    asked = ({"says": "Adam wins", "better": "adam", "than": "sgd"},)
    results = make_results(("sgd", "adam"), claims=asked)
    first, second = (entry.report for entry in results.entries)
    assert first is not None
    assert second is not None
    for table in (tables.difference_table, tables.claims_table):
        found = table(results)
        assert found is not None
        assert "[" in found.rows[0][found.columns.index("95% interval")]
        assert not any("sign test" in note for note in found.notes)
    first.evaluations["test"]["accuracy"][:] = 0.9
    second.evaluations["test"]["accuracy"][:] = 0.95
    for table in (tables.difference_table, tables.claims_table):
        found = table(results)
        assert found is not None
        assert found.rows[0][found.columns.index("95% interval")] == "-"
        assert sum("the sign test's, 2^(1 - n)" in note for note in found.notes) == 1


def test_the_best_point_names_its_keys_and_marks_the_edge(make_results):
    axes = {RATE: (0.01, 0.02), "model.dropout": (0.0, 0.2, 0.4), "loss.scale": (1.0,)}
    results = make_results(("sgd",), axes=axes)
    (entry,) = results.entries
    results = results._replace(entries=(entry._replace(best=1),))
    table = tables.summary_table(results)
    assert table.rows[0][7] == "0.01*, dropout 0.2"
    assert "best learning_rate 0.01 is at the lower edge" in table.notes[0]
    drawn = results._replace(entries=(entry._replace(best=1, drawn=True),))
    assert not any("edge" in note for note in tables.summary_table(drawn).notes)


def test_contenders_are_listed_with_their_settings(make_results):
    results = make_results(("sgd",))
    settings = {
        "optimizer.b1": 0.9,
        RATE: (0.1, 0.2, 0.3, 0.4),
        "model.features": (8, 16),
    }
    (entry,) = results.entries
    results = results._replace(entries=(entry._replace(settings=settings),))
    assert tables.contender_table(results).rows == (
        (
            "sgd",
            "25,000",
            "1,000,000",
            "b1 0.9, learning_rate (4 values, 0.1 to 0.4), features (8, 16)",
        ),
    )


def test_conclusions_rank_only_what_is_separated(make_results):
    results = make_results(("sgd", "adam", "lamb"))
    for entry, value in zip(results.entries, (0.5, 0.9, 0.5), strict=True):
        assert entry.report is not None
        last = entry.report.evaluations["test"]["accuracy"][-1]
        last[...] = value * (1 + np.linspace(0, 0.1, last.size).reshape(last.shape))
    (sentence,) = tables.conclusions(results)
    assert sentence == (
        "By test accuracy, adam is ahead of every other; possible ranks: adam 1, "
        "sgd 2-3, lamb 2-3."
    )
    (alone,) = tables.conclusions(make_results(("sgd", "adam"), seeds=1))
    assert "no two contenders are separated" in alone


def test_published_figures_are_beside_the_measured_ones(make_results):
    published = {"contender": "adam", "test_accuracy": 0.7958, "train_loss": 0.5}
    published |= {"seconds": 109, "source": "a [talk]"}
    text = printed(make_results(published=(published,)), 80)
    for word in ("79.58", "0.500", "1:49 min", "a [talk]"):
        assert word in text
    assert tables.published_table(make_results()) is None


def test_a_metric_that_is_no_number_is_a_dash():
    metric = Metric("r2", True, False, lambda outputs, targets: None)
    assert wording.measured(Interval(np.nan, np.nan, np.nan, 0), metric) == "-"


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


@pytest.fixture(scope="module")
def page(tmp_path_factory, two_groups):
    directory = tmp_path_factory.mktemp("run")
    return directory, read(report.write(two_groups, directory))


def test_the_page_holds_every_figure_and_its_files(page):
    directory, reader = page
    names = [attrs["id"] for tag, attrs in reader.tags if tag == "figure"]
    assert names == [
        "epochs", "wall_time", "training_steps", "sensitivity_learning_rate",
        "sensitivity_momentum", "time_to_target",
    ]  # fmt: skip
    images = [attrs for tag, attrs in reader.tags if tag == "img"]
    assert len(images) == len(names)
    for image in images:
        code = image["src"].removeprefix("data:image/svg+xml;base64,")
        assert b"<svg" in base64.b64decode(code)
        assert len(image["alt"]) > 40
    for name in names:
        for kind in ("png", "pdf"):
            assert (directory / "figures" / f"{name}.{kind}").stat().st_size > 1000
    assert len(list(directory.rglob("*.*"))) == 1 + 2 * len(names)


def test_the_page_loads_nothing(page):
    _, reader = page
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "link", "iframe", "object"}
    for _, attrs in reader.tags:
        for name in ("src", "href"):
            where = attrs.get(name) or "#"
            assert where.startswith(("#", "figures/", "data:image/svg+xml"))
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_page_escapes_and_says_everything(page):
    _, reader = page
    assert "compared" not in {tag for tag, _ in reader.tags}
    for words in (
        "Digits <compared>",
        "abc<123>",
        '"cnn & co"',
        "reduced: 10 examples",
        "Decided by accuracy: higher is better.",
        "Tuned with seeds 0, 1, 2; reported with seeds 10, 11, 12, 13.",
        "lamb, batch_size 64: all lanes diverged",
        "12 programs compiled",
        "Holm's p",
    ):
        assert words in reader.text


def test_many_differences_are_folded(make_results):
    def block(names):
        found = {s.heading: s.content for s in sections(make_results(names=names))}
        return found["Differences"][0]

    assert isinstance(block("ab"), tables.Table)
    many = block("abcdefg")  # 21 pairs
    assert isinstance(many, report.Folded)
    assert len(many.table.rows) == 21


@pytest.mark.parametrize("diverged", [False, True])
def test_stopped_runs_are_explained_where_their_epochs_are_shown(
    make_results, diverged
):
    results = make_results(names=("sgd",))
    (entry,) = results.entries
    ends, lost = entry.report.ends.copy(), entry.report.diverged.copy()
    ends[0], lost[0] = 2, diverged
    stopped = entry.report._replace(ends=ends, diverged=lost)
    results = results._replace(entries=(entry._replace(report=stopped),))
    found = {section.heading: section.content for section in sections(results)}
    words = " ".join(each for each in found["Result"] if isinstance(each, str))
    assert ("Epochs: a rule" in words) == (not diverged)
    columns = tables.summary_table(results).columns
    assert ("epochs" in columns) == (not diverged)


@pytest.mark.parametrize("name", ["loss", "all diverged"])
def test_the_page_leaves_out_figures_of_nothing(tmp_path, make_results, name):
    reader = read(report.write(make_results(**CASES[name]), tmp_path))
    names = {attrs["id"] for tag, attrs in reader.tags if tag == "figure"}
    assert "time_to_target" not in names
    assert ("epochs" in names) == (name == "loss")
    assert "Time to target" not in reader.text


def test_another_experiment_can_fill_the_page(tmp_path):
    table = report.Table("T", ("a", "b"), "lr", (("x", "1<2"),), ("",), ("n",))
    sections = [
        report.Section("One", ("A paragraph.", table, report.Facts({"k": "v"}))),
        report.Section("Two", (report.Listing("Code", "a < b"),)),
    ]
    path = report.write_page(tmp_path, "Small nets", sections, lead=("Lead.",))
    text = path.read_text()
    assert "1&lt;2" in text
    assert "a &lt; b" in text
    assert "rowgroup" not in text
    assert 'class="note"' not in text
    again = report.write_page(tmp_path, "Small nets", sections, lead=("Lead.",))
    assert again.read_text() == text


# Claims and learned constants


def test_claims_stand_first_in_words_with_interval_and_seeds(make_results):
    asked = (
        {"says": "Sgd loses", "less": "sgd", "than": 0.99},
        {"says": "Lamb is slow", "better": "adam", "than": "lamb", "by": "seconds"},
        {"says": "Lion wins", "better": "lion", "than": "sgd"},  # did not run
    )
    results = make_results(claims=asked)
    table = tables.claims_table(results)
    assert table is not None
    headings = list(dict.fromkeys(table.groups))
    assert len(headings) == 2
    assert re.fullmatch(r"Sgd loses: held, Holm's p [<.0-9]+\.", headings[0])
    first, second = table.rows
    assert first[:2] == ("sgd - 0.99", "accuracy, points")
    assert re.fullmatch(r"-\d+\.\d\d", first[2])
    assert first[-1] == "4"
    assert second[:2] == ("adam - lamb", "seconds")
    assert sections(results)[0].heading == "Claims"
    assert tables.claims_table(make_results()) is None


def test_learned_constants_show_layers_and_their_spread_over_seeds(make_results):
    constants = {
        "adam": {
            "Shift_0.shift": np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]),
            "Scale_0.scale": np.array([[1.0, 0.5], [1.0, 0.7], [1.0, 0.6]]),
        }
    }
    table = tables.constants_table(make_results(constants=constants))
    assert table is not None
    # mean 2, t(0.975; 2) / sqrt(3) = 4.303 / 1.732 = 2.5
    assert table.rows == (
        ("Shift_0", "shift", "2.00 ± 2.5", "1.00 .. 3.00", "-"),
        ("Scale_0", "scale", "1.00 ± 0", "1.00 .. 1.00", "0.600"),
    )
    assert table.groups == ("adam", "adam")
    assert tables.constants_table(make_results()) is None
