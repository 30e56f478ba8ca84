"""Orders of convergence and costs against n, as a user runs the study, but small."""

import json

import jax
import numpy as np
import pytest
from rich.console import Console

from configs import convergence as config
from experiments.studies import convergence
from experiments.studies.context import Context
from experiments.studies.convergence import cost, order, tables
from optlab import optim
from optlab.errors import InputError
from optlab.results.rates import PowerLaw

SETTINGS = config.get_config().to_dict()
METHODS = ("steepest_descent", "bfgs", "newton")


def measure(problem, methods, steps=3000):
    made = {name: optim.make(name, **SETTINGS["optimizers"][name]) for name in methods}
    with jax.enable_x64(True):
        return {run.method: run for run in order.measure(made, problem, steps)}


def problem(name):
    return order.problems((name,), (), 0)[0]


def test_orders_and_paths_are_those_of_theory_at_a_regular_minimum():
    runs = measure(problem("himmelblau"), METHODS)
    descent, bfgs, newton = (runs[name].found for name in METHODS)
    assert (descent.verdict, newton.verdict) == ("linear", "quadratic")
    assert descent.order == pytest.approx(1, abs=0.05)
    assert bfgs.order > 1.1
    for each in runs.values():
        distance = np.linalg.norm(problem("himmelblau").start - np.array([3, 2]))
        assert each.errors[0] == pytest.approx(distance)
        assert each.errors[-1] < 1e-14
        assert each.errors.size <= each.steps + 1


def test_newton_is_linear_with_two_thirds_at_a_singular_minimum():
    newton = measure(problem("powell_singular"), ["newton"])["newton"]
    assert np.isinf(newton.minimizer.condition)
    assert newton.found.ratio == pytest.approx(2 / 3, abs=0.05)
    assert newton.found.verdict == "linear"


def test_newton_ends_a_quadratic_of_known_condition_in_one_step():
    newton = measure(order.problems((), (100.0,), 4)[0], ["newton"])["newton"]
    assert newton.errors[1] < 1e-13
    assert "(1 step)" in tables.orders([newton], {})[1].rows[0]
    eigenvalues = newton.minimizer.eigenvalues
    np.testing.assert_allclose(eigenvalues[[0, -1]], [1, 100], rtol=1e-9)


def test_runs_that_end_elsewhere_have_a_minimizer_of_their_own():
    with jax.enable_x64(True):
        ends = [np.array([-2.8, 3.1]), np.array([-0.27, -0.92])]  # a maximum, too
        found = order.minimizers(problem("himmelblau"), ends)
    np.testing.assert_allclose(found[0].x, [3, 2])
    np.testing.assert_allclose(found[1].x, [-2.805118, 3.131313], rtol=1e-6)
    assert len(found) == 2


def test_what_needs_residuals_is_left_out_where_there_are_none():
    runs = measure(problem("three_hump_camel"), ["gauss_newton", "newton"])
    assert list(runs) == ["newton"]


def test_costs_stop_where_they_are_expected_to_be_too_high():
    settings = SETTINGS["cost"] | {"sizes": (8, 64, 512, 4096), "repeats": 2}
    settings |= {"memory": 1e7, "seconds": 60.0}
    curve = cost.measure("bfgs", optim.make("bfgs"), settings)
    assert curve.sizes.tolist() == [8, 64, 512]
    assert curve.memory_law.exponent == pytest.approx(2, abs=0.3)
    assert (curve.seconds > 0).all()
    settings |= {"seconds": 0.0}
    curve = cost.measure("newton_cg", optim.make("newton_cg"), settings)
    assert curve.sizes.tolist() == [8, 64, 512, 4096]
    assert curve.memory_law.exponent < 1.1
    assert curve.seconds.size == 2


def test_only_laws_through_enough_sizes_are_extrapolated():
    def curve(method, *timed):
        n = np.array([10, 100, 300, 1000, 3000])
        law = PowerLaw(2.0, 1e-9, 10, 1000)
        return cost.Curve(
            method, n, 4.0 * n**2, np.ones(len(timed)), law, law
        )._replace(sizes=np.array([*timed, *n[n > timed[-1]]]))

    enough, few = curve("newton", 10, 100, 300, 1000), curve("bfgs", 10, 100, 1000)
    small = curve("dfp", 10, 100, 200, 300)
    growth, _, nets, lead = tables.costs([enough, few, small], {}, {"VGG16": 10**8})
    assert nets is not None
    assert [row[:2] for row in nets.rows] == [("VGG16", "newton")]
    assert "bfgs, dfp, timed at fewer than 4 sizes or at none from" in growth.notes[-1]
    assert "newton n^2.0" in lead
    assert "bfgs" not in lead
    *_, nets, lead = tables.costs([few], {}, {"VGG16": 10**8})
    assert nets is None
    assert lead.startswith("Not extrapolated to nets: bfgs")


def test_remarks_are_of_problems_that_are_in_the_run():
    theory = SETTINGS["theory"]
    himmelblau = measure(problem("himmelblau"), ["newton"])["newton"]
    summary, matrix, *_ = tables.orders([himmelblau], theory)
    assert not any("powell_singular" in note for note in summary.notes)
    assert not any("singular" in note or "quadratic_k" in note for note in matrix.notes)
    singular = measure(problem("powell_singular"), ["newton"])["newton"]
    summary, matrix, *_ = tables.orders([himmelblau, singular], theory)
    assert "newton on powell_singular: linear with ratio 2/3" in summary.notes[2]
    assert "Nocedal, Wright, Numerical Optimization" in summary.notes[3]
    assert matrix.notes[0] == "* The Hessian at the minimizer is singular."


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        (
            "order",
            {"problems": ("beal",)},
            "no test problem 'beal'; did you mean beale",
        ),
        ("order", {"conditions": (0.5,)}, "a quadratic needs a condition of 1 or more"),
        ("optimizers", {"newton": {"radios": 1.0}}, "newton .* it takes damping"),
        ("cost", {"sizes": (10,)}, "cost.sizes must be two ascending numbers"),
    ],
)
def test_a_mistake_is_said_before_anything_is_written(tmp_path, part, values, message):
    settings = SETTINGS | {part: SETTINGS[part] | values}
    workdir = tmp_path / "new"
    with pytest.raises(InputError, match=message):
        convergence.run(settings, Context("convergence", None, str(workdir), Console()))
    assert not workdir.exists()


def test_the_command_prints_tables_and_writes_the_page(run, tmp_path):
    done = run(
        "experiments.solve",
        "--config=configs/convergence.py",
        f"--workdir={tmp_path / 'run'}",
        "--config.optimizers=newton,adam",
        "--config.order.problems=('beale',)",
        "--config.order.conditions=(10.0,)",
        "--config.order.steps=300",
        "--config.cost.sizes=(10,20,40)",
    )
    assert done.returncode == 0, done.stderr
    page = tmp_path / "run" / "index.html"
    assert str(page) in done.stdout.replace("\n", "")
    assert "1.91e+16" in done.stdout  # entries of VGG16's Hessian
    assert "Not extrapolated to nets: newton, adam, timed" in done.stdout
    assert "by the fitted laws" not in done.stdout
    assert "Numerical Optimization, 2nd ed." in " ".join(done.stdout.split())
    assert "powell_singular" not in done.stdout
    assert "* The Hessian" not in done.stdout
    assert "Cost against n" in page.read_text()
    for name in ("errors", "cost"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").exists()
    content = json.loads((tmp_path / "run" / "results.json").read_text())
    found = {(x["problem"], x["method"]): x["found"] for x in content["orders"]}
    assert len(found) == 4
    assert found["beale", "newton"]["verdict"] == "quadratic"
    assert [each["method"] for each in content["costs"]] == ["newton", "adam"]
