"""The suites of least squares and of minimization once, at a tiny size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import bench as config
from experiments.benchmarks import least_squares, minimization
from experiments.benchmarks.peers import missing, sif2jax_problems
from optlab.errors import InputError
from optlab.report import Table
from optlab.sweep import width
from optlab.testproblems import nist, samples


@pytest.mark.skipif(bool(missing("scipy")), reason=missing("scipy"))
def test_least_squares(monkeypatch):
    devices = jax.devices()[:2]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    widest = lambda step, shape, layout, trial: {np.prod(shape): np.nan}  # noqa: E731
    monkeypatch.setattr(width, "measure", widest)
    sinc = samples.load("sinc")  # every 20th of its 2000 examples
    few = sinc._replace(inputs=sinc.inputs[::20], targets=sinc.targets[::20])
    monkeypatch.setitem(samples.SAMPLES, "sinc", lambda: few)
    settings = config.get_config().least_squares.to_dict()
    settings |= {"repeats": 1, "starts": 1, "restarts": 4, "scipy_runs": 1}
    result = least_squares.run(settings | {"nist_problems": 1}, lambda text: None)
    values = {value.name: value.value for value in result.values}
    assert {least_squares.SCIPY, least_squares.SCIPY_LM} <= {
        each.peer for each in result.ratios
    }
    assert values["restarts that reach 0.0001"] == 4
    assert values["steps of a restart, median"] < 60
    if not missing("optimistix"):
        assert values["optlab: starts that reach 0.0001"] == 1
    if nist.directory().is_dir():
        assert values["NIST, four digits by optlab"] == 2
    else:
        assert any("nist_dir=DIR" in note for note in result.notes)


@pytest.mark.skipif(bool(missing("scipy")), reason=missing("scipy"))
def test_minimization(monkeypatch):
    def rosenbrock(x):
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    def bowl(x):
        return jnp.sum((x - 2) ** 2)

    problems = [
        sif2jax_problems.Problem("rosenbrock", rosenbrock, np.array([-1.2, 1.0])),
        sif2jax_problems.Problem("bowl", bowl, np.array([3.0])),
        sif2jax_problems.Problem("left out", bowl, np.zeros(1)),
    ]
    monkeypatch.setattr(minimization, "missing", lambda name: "")
    few = lambda largest: problems if largest > 1 else []  # noqa: E731
    monkeypatch.setattr(sif2jax_problems, "load", few)
    settings = {"methods": ("newton", "steepest_descent"), "steps": 50}
    settings |= {"unknowns": 12, "problems": 2}
    result = minimization.run(settings, lambda text: None)
    assert {value.name: value.value for value in result.values} == {
        "problems that newton solves": 2,
        "problems that steepest_descent solves": 1,
        "problems that SciPy BFGS solves": 2,
        "problems that SciPy trust-exact solves": 2,
    }
    (table,) = result.blocks
    assert isinstance(table, Table)
    assert table.columns == ("problem", "best", "steepest_descent")
    assert [row[0] for row in table.rows] == ["rosenbrock"]
    assert all(value.unit == "of 2" for value in result.values)
    with pytest.raises(InputError, match="no problem has 1 unknowns or fewer"):
        minimization.run(settings | {"unknowns": 1}, lambda text: None)
    settings["methods"] = ("levenberg_marquardt",)
    with pytest.raises(InputError, match="cannot minimize rosenbrock"):
        minimization.run(settings, lambda text: None)


def test_minimization_without_its_problems(monkeypatch):
    monkeypatch.setattr(minimization, "missing", lambda name: f"{name} is missing")
    result = minimization.run({}, lambda text: None)
    assert result.notes == ("sif2jax is missing", "scipy is missing")
    assert not result.values
