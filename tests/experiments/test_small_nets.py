"""The study of small nets: what it measures, and what a user sees of it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from configs import small_nets as config
from experiments.studies import small_nets
from optlab.report.figures.descent import Descent, descents


@pytest.fixture(scope="module")
def settings():
    return config.get_config().to_dict() | {"starts": 3, "steps": 40}


@pytest.fixture(scope="module")
def xor(settings):
    return small_nets.make_net("xor", settings, None)


def fit(name, entry, net, settings):
    method = small_nets._method(name, entry, settings["learning_rate"])
    return small_nets.fit(method, net, settings)


def test_the_value_is_the_mean_squared_error(settings, xor):
    """4 examples, 2-4-1: 17 parameters; outputs start near 0, targets are +-1."""
    assert xor.parameters == 17
    found = fit("sgd", {"learning_rate": (1e-9,)}, xor, settings)
    first, last = (
        {key: np.asarray(value) for key, value in xor.starts[layer].items()}
        for layer in ("Dense_0", "Dense_1")
    )
    x = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], float)
    for lane in range(3):
        hidden = np.tanh(x @ first["kernel"][lane].T + first["bias"][lane])
        out = hidden @ last["kernel"][lane].T + last["bias"][lane]
        error = np.mean((out[:, 0] + x.prod(axis=1)) ** 2)
        assert found.descent.values[lane, 0] == pytest.approx(error, rel=1e-5)


def test_the_best_rate_is_kept_and_a_run_that_explodes_is_not(settings, xor):
    found = fit("sgd", {"learning_rate": (1e-6, 0.3, 1e4)}, xor, settings)
    assert found.point == {"learning_rate": 0.3}
    assert found.descent.values.shape == (3, 41)
    assert (found.descent.values[:, -1] < found.descent.values[:, 0]).all()
    assert not found.descent.evaluates


def test_evaluations_limit_the_steps(settings, xor):
    """A step costs LM a gradient, a trial and 17 products: 100 of them are 5 steps."""
    budget = settings | {"evaluations": 100}
    found = fit("levenberg_marquardt", {}, xor, budget)
    assert found.descent.evaluates
    assert 4 <= found.descent.steps.max() <= 6
    assert found.descent.evaluations.max() <= 100 + 20


def test_one_step_is_made_however_few_evaluations_there_are(settings, xor):
    found = fit("levenberg_marquardt", {}, xor, settings | {"evaluations": 1})
    assert found.descent.steps.tolist() == [1, 1, 1]
    descents("xor", [found.descent], "error", 1e-4).draw_without_rendering()


def test_second_order_reaches_what_gradients_do_not(settings, xor):
    lm = fit("levenberg_marquardt", {}, xor, settings)
    sgd = fit("sgd", {"learning_rate": (0.1,)}, xor, settings)
    assert np.isfinite(lm.descent.reached(1e-4).steps).all()
    assert not np.isfinite(sgd.descent.reached(1e-4).steps).any()


def test_the_figure_has_a_row_for_each_kind_of_method():
    values = np.geomspace(1, 1e-3, 6)[None].repeat(2, 0)
    made = np.arange(1, 7)[None].repeat(2, 0)
    runs = [
        Descent(name, evaluates, values, made, np.array([5, 5]), 0.01)
        for name, evaluates in (("sgd", False), ("adam", False), ("bfgs", True))
    ]
    figure = descents("net", runs, "error", 1e-2)
    assert len(figure.axes) == 6
    names = [[t.get_text() for t in ax.get_legend().get_texts()]
             for ax in figure.axes if ax.get_legend()]  # fmt: skip
    assert names == [["sgd", "adam"], ["bfgs"]]
    assert len(descents("net", runs[:2], "error", 1e-2).axes) == 3


def test_the_figure_holds_all_that_is_drawn_from_step_0_on():
    """Steps 0 to 5 of two groups of eight; the first step goes up to 40 times."""
    values = np.array([1.0, 40.0, 0.5, 0.1, 0.05, 0.02])[None].repeat(2, 0)
    made = np.arange(1, 7)[None].repeat(2, 0)
    runs = [
        Descent(f"m{i}", i >= 8, values, made, np.array([5, 5]), 0.01)
        for i in range(16)
    ]
    figure = descents("net", runs, "error", 1e-2)
    figure.draw_without_rendering()
    for panel in figure.axes:
        low, high = panel.get_ylim()
        assert low < 0.01
        assert high > 40
    steps = figure.axes[3]
    assert steps.get_xlim()[0] == 0
    assert steps.lines[0].get_xdata().tolist() == [0, 1, 2, 3, 4, 5]
    assert steps.get_xticks()[0] == 0
    worn = {
        (line.get_color(), line.get_marker())
        for panel in figure.axes
        for line in panel.lines
        if line.get_label().startswith("m")
    }
    assert len(worn) == 16


def test_a_method_that_explodes_leaves_the_figure():
    made = np.arange(1, 5)[None].repeat(2, 0)
    runs = [
        Descent("sane", False, np.full((2, 4), 0.5), made, np.array([3, 3]), 0.01),
        Descent("wild", False, np.array([[1, 2, np.inf, np.nan], [1, 1e30, 1, 1]]),
                made, np.array([3, 3]), 0.01),
    ]  # fmt: skip
    figure = descents("net", runs, "error", 1e-2)
    figure.draw_without_rendering()
    assert figure.axes[0].get_ylim()[1] < 1e4


def solve(*arguments):
    command = [sys.executable, "-m", "experiments.solve"]
    command += ["--config=configs/small_nets.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_writes_page_and_numbers(tmp_path):
    done = solve(
        "--config.nets=xor",
        "--config.optimizers=levenberg_marquardt,sgd",
        "--config.starts=2",
        "--config.steps=30",
        f"--workdir={tmp_path}/out",
    )
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stdout
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [each["method"] for each in found["fits"]] == ["levenberg_marquardt", "sgd"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "xor" in page
    assert (tmp_path / "out" / "figures" / "xor.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config.nets=sink",), "error: --config.nets: no 'sink'; did you mean sinc"),
        (("--config.nets=yacht",), "error: 'yacht' is read from a folder of tables"),
        (("--config.optimizers=adma",), "error: no optimizer"),
        (("--config.starts=0",), "error: --config.starts must be 1 or more: 0"),
        (("--config.steps=0",), "error: --config.steps must be 1 or more: 0"),
        (("--config.evaluations=-1",), "error: --config.evaluations must be 1 or more"),
        (
            ("--config.nets=xor", "--config.net.xor.hidden=0"),
            "error: --config.net.xor.hidden must be 1 or more: 0",
        ),
        (
            ("--config.nets=xor", "--config.net.xor.target=0.0"),
            "error: --config.net.xor.target must be above 0: 0.0",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(tmp_path, arguments, message):
    done = solve(*arguments, f"--workdir={tmp_path}/out")
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
