"""Paths over contours: formulas of the walks, and the command."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.studies import paths
from experiments.studies.small_nets import make_method
from optlab import optim
from optlab.report.figures import paths as figures


@pytest.mark.usefixtures("float64")
def test_plain_descent_in_the_valley_is_the_power_of_a_matrix():
    """x_k - x* = (I - rate H)^k (x_0 - x*), and eigenvalues are 1 and the condition."""
    problem, rate = paths.make_problem("valley", 100.0), 0.015
    hessian = jax.hessian(problem.value_fn)(jnp.asarray(problem.start))
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), [1, 100], rtol=1e-9)
    walk = paths.walk(make_method("sgd", {"learning_rate": (rate,)}, ()), problem, 20)
    power = np.linalg.matrix_power(np.eye(2) - rate * np.asarray(hessian), 20)
    end = problem.minimizer + power @ (problem.start - problem.minimizer)
    np.testing.assert_allclose(walk.points[-1], end, rtol=1e-9)
    assert walk.values[0] == pytest.approx((10**2 + 100 * 1**2) / 2)


@pytest.mark.usefixtures("float64")
def test_the_rate_that_ends_lowest_is_kept():
    problem = paths.make_problem("rosenbrock", 1.0)
    method = make_method("sgd", {"learning_rate": (1e-5, 1e-3, 10.0)}, ())
    walk = paths.walk(method, problem, 50)  # 10 diverges, 1e-5 hardly moves
    assert walk.point == {"learning_rate": 1e-3}
    assert np.isfinite(walk.points).all()


@pytest.mark.usefixtures("float64")
def test_a_rate_at_the_end_of_its_grid_is_marked():
    problem = paths.make_problem("rosenbrock", 1.0)
    grids = (1e-5, 1e-3, 10.0), (1e-5, 1e-4), (1e-4,)
    walks = [
        paths.walk(make_method("sgd", {"learning_rate": grid}, ()), problem, 50)
        for grid in grids
    ]
    assert [walk.edge for walk in walks] == [{}, {"learning_rate": "upper"}, {}]
    table = paths._walks_table(problem, walks)
    assert [row[1] for row in table.rows] == ["0.001", "0.0001*", "0.0001"]
    assert table.notes == (paths.STAR,)


def test_paths_that_leave_the_panel_are_named_and_the_cross_is_seen():
    x = np.linspace(-1.0, 1.0, 5)
    surface = figures.Surface(x, x, np.abs(x)[:, None] + np.abs(x), np.zeros(2))
    inside = np.array([[0.9, 0.5], [0.1, 0.1], [0.0, 0.0]])
    both = [
        figures.Path("sgd", "rate 1", inside),
        figures.Path("lamb", "rate 2", inside * [[1], [20], [1]]),
    ]
    figure = figures.by_method("f", surface, both)
    assert figure.get_supxlabel() == "some steps are outside of the panel: lamb"
    assert figures.by_method("f", surface, both[:1]).get_supxlabel() == ""
    assert figures.together("f", surface, both, 0).get_supxlabel() == ""
    assert "lamb" in figures.together("f", surface, both, 1).get_supxlabel()
    first, second = figure.axes
    assert (first.get_xlabel(), first.get_ylabel()) == ("x1", "x2")
    assert (second.get_xlabel(), second.get_ylabel()) == ("x1", "")
    orders = {line.get_marker(): line.get_zorder() for line in first.lines}
    assert orders["+"] > orders["o"]


@pytest.mark.usefixtures("float64")
def test_where_nothing_is_swept_the_one_point_is_walked():
    problem = paths.make_problem("beale", 1.0)
    fixed = paths.walk(make_method("sgd", {"learning_rate": 0.01}, ()), problem, 5)
    swept = paths.walk(make_method("sgd", {"learning_rate": (0.01,)}, ()), problem, 5)
    assert fixed.point == {}
    np.testing.assert_allclose(fixed.points, swept.points, rtol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_momentum_moves_1_over_1_minus_beta_times_as_fast(beta):
    rows = paths.slope_rows([beta], 300)
    ratios = {row["method"]: float(row["ratio"]) for row in rows}
    assert ratios["momentum"] == pytest.approx(1 / (1 - beta), rel=1e-2)
    assert ratios["nesterov"] == pytest.approx(1 / (1 - beta), rel=1e-2)
    assert ratios["adagrad"] == pytest.approx(300**-0.5, rel=1e-2)
    path = paths.trace(
        optim.make("momentum", learning_rate=0.1, momentum=beta),
        jax.value_and_grad(lambda x: -x[0]),
        jnp.zeros(1),
        3,
    )  # steps 1, 1 + beta, 1 + beta + beta^2 of 0.1
    steps = np.diff(path[:, 0]) / 0.1
    np.testing.assert_allclose(steps, np.cumsum(beta ** np.arange(3)), rtol=1e-5)


def test_the_command_writes_a_page_with_steps(run, tmp_path):
    done = run(
        "experiments.solve",
        "--config=configs/paths.py",
        "--config.problems=beale",
        "--config.optimizers=sgd",
        "--config.optimizers.sgd.learning_rate=(1e-4,1e-3)",
        "--config.steps=20",
        "--config.frames=(1,5,50)",
        f"--workdir={tmp_path / 'run'}",
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "run" / "index.html").read_text()
    assert "beale after 1 step." in page
    assert "beale after 5 steps." in page
    assert "beale after 50 steps." not in page  # there are but 20
    assert "the best of its grid; at an end of it, which may be too narrow: " in page
    assert (tmp_path / "run" / "figures" / "paths_beale.png").exists()
    (walk,) = json.loads((tmp_path / "run" / "results.json").read_text())["walks"]
    assert len(walk["values"]) == 21
    assert walk["values"][0] == pytest.approx(14.203125 / 2)  # at (1, 1), 0.5 sum r^2


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.problems=bale", "no problem 'bale'; did you mean beale"),
        ("--config.betas=(1.0,)", "--config.betas must be from 0 to 1"),
    ],
)
def test_a_mistake_is_one_line(refused, argument, message):
    refused("experiments.solve", ("--config=configs/paths.py", argument), message)
