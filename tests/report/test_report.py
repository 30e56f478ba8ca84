import base64
import html.parser
import io

import numpy as np
import pytest
from rich.console import Console

from optlab import report
from optlab.report import figures, tables
from optlab.report.figures import curves, labels, learning_rate, style
from optlab.results import Cell, Results, Row, Trace, cell_rows, choose_point, edge

NAMES = "sgd", "adam", "lamb", "nadam", "adagrad", "rmsprop", "momentum", "nesterov"


def synthetic(names=NAMES[:3], sizes=(64,), seeds=4, rates=5, epochs=4, lost=(), **kw):
    """A comparison whose numbers follow from a formula and a seeded generator."""
    random = np.random.default_rng(0)
    rows, cells, traces = [], [], []
    for size in sizes:
        for place, name in enumerate(names):
            grid = tuple(
                {"learning_rate": rate, "momentum": momentum}
                for rate in np.logspace(-3, -3 + (rates - 1) / 2, rates).tolist()
                for momentum in (0.0, 0.9)
            )
            report_seeds = tuple(range(10, 10 + seeds))

            def lane(phase, point, seed, name=name, size=size, grid=grid, place=place):
                rate = grid[point]["learning_rate"]
                far = np.log10(rate) + 2
                gone = name in lost or far > 0.6
                for epoch in range(epochs + 1):
                    fall = np.exp(-epoch * (1 + 0.1 * place))
                    for split in ("train", "validation", "test"):
                        if split == "test" and (phase, epoch) != ("report", epochs):
                            continue
                        loss = 2.3 * fall + 0.05 + 0.1 * far**2 + 0.01 * random.random()
                        accuracy = 0.97 - 0.8 * fall - 0.1 * far**2
                        rows.append(
                            Row(
                                phase, name, size, seed, point, grid[point], epoch,
                                10 * epoch, split, np.nan if gone and epoch else loss,
                                accuracy + 0.01 * random.random(),
                                epoch * 1.5 if phase == "report" else np.nan, gone,
                            )
                        )  # fmt: skip

            for point in range(len(grid)):
                for seed in (0, 1, 2):
                    lane("tune", point, seed)
            cell = Cell(
                name, size, grid, (0, 1, 2), report_seeds, epochs, 10, None, 2, 9.0,
                4.0, 25_000,
            )  # fmt: skip
            cell = cell._replace(best=choose_point(cell_rows(rows, cell, "tune")))
            cells.append(cell)
            if cell.best is not None:
                for seed in report_seeds:
                    lane("report", cell.best, seed)
                loss = 2.3 * np.exp(-np.arange(40) / 10) + random.random((seeds, 40))
                traces.append(Trace(name, size, report_seeds, loss, loss / 4))
    fields = {
        "target_accuracy": 0.9,
        "title": "Digits <compared>",
        "note": "",
        "config": "model: cnn & co\n",
        "environment": {"commit": "abc<123>"},
    }
    return Results(tuple(rows), tuple(cells), tuple(traces), **(fields | kw))


CASES = {
    "two sizes": synthetic(sizes=(64, 512), lost=("lamb",), note="reduced: 10 images"),
    "single": synthetic(NAMES[:1], seeds=1, rates=1, epochs=1),
    "all diverged": synthetic(lost=NAMES),
    "eight": synthetic(NAMES),
    "no traces": synthetic(NAMES[:2])._replace(traces=()),
    "empty": synthetic(())._replace(cells=(), rows=()),
}


def figure_text(figure):
    texts = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return "\n".join(text.get_text() for text in texts)


def printed(results, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    report.show(results, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", figures.FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_every_figure_can_be_drawn(case, name):
    figure = figures.FIGURES[name](CASES[case])
    assert figures.render(figure, "png", dpi=30).startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_a_figure_is_the_same_file_each_time(kind):
    once, again = (
        figures.render(figures.by_epoch(CASES["two sizes"]), kind, dpi=40)
        for _ in range(2)
    )
    assert once == again
    assert b"Date" not in once


def test_figures_leave_no_trace_in_the_global_style():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figures.render(figures.sensitivity(CASES["single"]), "svg")
    assert dict(mpl.rcParams) == before


def test_an_optimizer_wears_one_colour_in_every_figure():
    results = CASES["two sizes"]
    for name in ("epochs", "wall_time", "training_steps"):
        figure = figures.FIGURES[name](results)
        for panel in figure.axes:
            worn = {t.get_text(): t.get_color() for t in panel.texts}
            assert worn["sgd"] == "#0072B2"
            assert worn["adam"] == "#D55E00"


def test_the_figure_says_what_it_leaves_out():
    assert "lamb: all lanes diverged" in figure_text(
        figures.by_epoch(CASES["two sizes"])
    )
    results = synthetic()
    seed = results.cells[0].report_seeds[0]
    rows = tuple(
        row._replace(diverged=True, loss=np.nan)
        if (row.phase, row.optimizer, row.seed) == ("report", "sgd", seed)
        else row
        for row in results.rows
    )
    for draw in (figures.by_epoch, figures.by_step):
        text = figure_text(draw(results._replace(rows=rows)))
        assert "sgd: 1 of 4 runs diverged, left out" in text


def test_huge_losses_get_a_log_axis():
    results = CASES["single"]
    rows = tuple(row._replace(loss=10.0 ** (6 * row.epoch)) for row in results.rows)
    top, bottom = figures.by_epoch(results._replace(rows=rows)).axes
    assert top.get_yscale() == "log"
    assert bottom.get_yscale() == "linear"


def test_moving_average_is_corrected_at_its_start():
    np.testing.assert_allclose(figures.moving_average(np.full((2, 5), 3.0)), 3.0)
    # m = .1 * 1 = .1, /.1 = 1;  m = .09 + .2 = .29, /.19 = 1.526316
    average = figures.moving_average(np.array([1.0, 2.0]), 0.9)
    np.testing.assert_allclose(average, [1.0, 0.29 / 0.19])


def test_sensitivity_takes_the_best_of_the_other_hyperparameters():
    results = CASES["two sizes"]
    cell = results.cells[0]
    rows = tuple(
        row._replace(accuracy=0.0) if row.hyperparameters["momentum"] else row
        for row in results.rows
    )
    found = learning_rate.response(results._replace(rows=rows), cell)
    assert found.rates.tolist() == sorted({p["learning_rate"] for p in cell.grid})
    assert found.best == 2
    assert (found.accuracy[:, :4] > 0).all()
    assert found.lost.tolist() == [0, 0, 0, 0, 1]
    assert np.isnan(found.accuracy[:, 4]).all()


def test_sensitivity_marks_and_names_the_optimum():
    figure = figures.sensitivity(CASES["single"])
    assert "sgd\n0.001" in figure_text(figure)


def test_good_rates_fill_the_accuracy_panel_and_nothing_is_cut():
    """Final accuracies 30, 60, 97, 100, 98, 10, none: the last three of them marked."""
    results = synthetic(NAMES[:2], rates=7)
    found = 0.3, 0.6, 0.97, 1.0, 0.98, 0.1, 0.1
    accuracy = dict(zip(np.logspace(-3, 0, 7).round(6), found, strict=True))
    rows = tuple(
        row._replace(
            accuracy=accuracy[round(row.hyperparameters["learning_rate"], 6)],
            diverged=row.hyperparameters["learning_rate"] > 0.9,
            loss=0.1,
        )
        for row in results.rows
    )
    cells = tuple(cell._replace(best=6) for cell in results.cells)
    figure = figures.sensitivity(results._replace(rows=rows, cells=cells))
    panel = figure.axes[0]
    low, high = panel.get_ylim()
    assert 0.8 < low < 0.97
    assert 1.0 < high < 1.02
    assert max(panel.get_yticks()) <= 1.0
    marks = {line.get_marker(): line.get_xdata() for line in panel.lines}
    np.testing.assert_allclose(marks["v"], [1e-3, 10**-2.5, 10**-0.5])
    np.testing.assert_allclose(marks["x"], [1.0])
    assert {"below the axis", "diverged"} <= set(figure_text(figure).splitlines())


def test_a_chosen_rate_is_shown_however_low():
    swept = [np.array([0.3, 0.97, 0.98, 0.99])]
    assert learning_rate.reach(swept, [0.99]) > 0.9
    assert learning_rate.reach(swept, [0.3]) == 0.3


def test_two_seeds_get_a_band_between_them():
    """Their 95% interval is 12.7 times as wide, and said to be none."""
    results = synthetic(NAMES[:3], seeds=2)
    for draw in (figures.by_epoch, figures.by_step):
        figure = draw(results)
        assert figure.get_supxlabel() == "mean of 2 seeds, band: from one to the other"
        for panel in figure.axes:
            low, high = panel.get_ylim()
            for area in panel.collections:
                heights = area.get_paths()[0].vertices[:, 1]
                assert heights.max() <= high
                assert draw is figures.by_epoch or heights.min() >= low
    found = figures.by_epoch(results).axes[0].collections[0].get_paths()[0].vertices
    _, values = curves.curves(results, results.cells[0])
    assert found[:, 1].max() == pytest.approx(values["train loss"].max())


def test_the_caption_counts_the_runs_that_are_drawn():
    results = synthetic(NAMES[:2], seeds=3)
    rows = tuple(
        row._replace(diverged=True)
        if (row.phase, row.optimizer, row.seed) == ("report", "sgd", 10)
        else row
        for row in results.rows
    )
    said = figures.by_epoch(results._replace(rows=rows)).get_supxlabel()
    assert said.startswith("mean of 2 to 3 seeds, band: 95% interval (of two seeds:")


def test_sixteen_methods_look_different():
    looks = style.looks(map(str, range(16)))
    assert len({look[:2] for look in looks.values()}) == 16
    worn = [look.line(np.arange(50)) for look in looks.values()]
    assert all(line["marker"] and len(line["markevery"]) == 5 for line in worn)
    alone = style.looks("ab")["a"].line(np.arange(50))
    assert alone == {"color": "#0072B2"}


def test_a_target_never_reached_is_said():
    results = CASES["two sizes"]._replace(target_accuracy=1.1)
    text = figure_text(figures.time_to_target(results))
    assert "not reached (0 of 4)" in text
    assert "all lanes diverged" in text


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
@pytest.mark.parametrize("case", CASES)
def test_tables_fit_the_terminal(case, width):
    text = printed(CASES[case], width)
    assert max(map(len, text.splitlines())) <= width
    for cell in CASES[case].cells:
        assert cell.optimizer in text


def test_the_printed_table_has_every_column_and_the_verdicts():
    text = printed(CASES["two sizes"], 120)
    for word in ("train", "valid.", "gap", "accuracy", "one run", "compile", "rate"):
        assert word in text
    for word in ("batch 64", "batch 512", "30/30", "all lanes diverged", "points x"):
        assert word in text
    assert "12 compiles in 54 s" in text
    assert "sgd - adam" in text


def test_an_optimum_at_the_edge_is_said():
    results = CASES["single"]
    grid = tuple({"learning_rate": rate} for rate in (0.001, 0.01))
    results = results._replace(cells=(results.cells[0]._replace(grid=grid, best=0),))
    assert edge(grid, 0) == "lower"
    table = tables.summary_table(results)
    assert table.rows[0][7] == "0.001*"
    assert "at the lower edge of its grid: widen it" in table.notes[0]


def test_published_figures_stand_beside_the_measured_ones():
    published = {"optimizer": "adam", "batch_size": 64, "test_accuracy": 0.7958}
    published |= {"seconds": 109, "source": "a [talk]"}
    text = printed(synthetic(published=(published,)), 80)
    assert "79.58" in text
    assert "1:49 min" in text
    assert "a [talk]" in text
    assert tables.published_table(synthetic()) is None


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    path = report.write(CASES["two sizes"], directory)
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return directory, reader


def test_the_page_holds_every_figure_and_its_files(page):
    directory, reader = page
    images = [attrs for tag, attrs in reader.tags if tag == "img"]
    assert len(images) == len(figures.FIGURES)
    for image in images:
        code = image["src"].removeprefix("data:image/svg+xml;base64,")
        assert b"<svg" in base64.b64decode(code)
        assert len(image["alt"]) > 40
    for name in figures.FIGURES:
        for kind in ("png", "pdf"):
            assert (directory / "figures" / f"{name}.{kind}").stat().st_size > 1000
    assert len(list(directory.rglob("*.*"))) == 1 + 2 * len(figures.FIGURES)


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
        "model: cnn & co",
        "reduced: 10 images",
        "Tuned with seeds 0, 1, 2; reported with seeds 10, 11, 12, 13.",
        "lamb, batch size 64: all lanes diverged",
        "Batch size 64:",
    ):
        assert words in reader.text


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
    assert (
        path.read_bytes()
        == (
            report.write_page(tmp_path, "Small nets", sections, lead=("Lead.",))
        ).read_bytes()
    )
