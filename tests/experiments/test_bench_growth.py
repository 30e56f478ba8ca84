"""The suites of least squares and of growth, shrunken: what they hand back."""

from pathlib import Path

import numpy as np
import pytest

from configs import bench as config
from experiments.benchmarks import least_squares, scaling
from experiments.benchmarks.peers import scipy_fits
from experiments.benchmarks.suite import Bench
from optlab.report import Picture
from optlab.report.figures.scaling import Growth
from optlab.results import PowerLaw

QUIET = Bench(tell=lambda text: None)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(least_squares, "missing", lambda package: (
        "" if package == "scipy" else f"{package} is left out"))  # fmt: skip
    monkeypatch.setattr(least_squares.nist, "directory", lambda: Path("nowhere"))
    settings = config.get_config().least_squares.to_dict()
    return settings | {"repeats": 1, "restarts": 4, "scipy_runs": 1, "steps": 150}


def test_restarts_are_measured_beside_scipy(small):
    found = least_squares.run(small, QUIET)
    assert [ratio.peer for ratio in found.ratios] == [
        least_squares.SCIPY,
        least_squares.SCIPY_LM,
    ]
    assert all(ratio.median > 0 for ratio in found.ratios)
    values = {value.name: value.value for value in found.values}
    assert values["restarts that reach 1e-4"] == 4
    assert values["steps of a restart, median"] < 60
    assert len(found.notes) == 2


def test_the_jacobian_by_hand_is_the_derivative():
    inputs, targets = np.linspace(-1, 1, 7), np.linspace(0, 1, 7) ** 2
    residuals, jacobian = scipy_fits.sinc_net(inputs, targets, hidden=3)
    x = np.random.default_rng(0).normal(size=10)
    steps = 1e-6 * np.eye(10)
    slopes = [(residuals(x + s) - residuals(x - s)) / 2e-6 for s in steps]
    np.testing.assert_allclose(jacobian(x), np.stack(slopes, axis=1), atol=1e-8)


def test_scipy_ends_at_the_target():
    x = scipy_fits.fit(lambda x: x - 3, np.array([0.0]), target=0.5)
    assert 0.5 * (x[0] - 3) ** 2 <= 0.5
    np.testing.assert_allclose(scipy_fits.fit(lambda x: x - 3, np.array([0.0])), 3)


def test_growth_is_drawn_and_tabulated():
    settings = config.get_config().scaling.to_dict()
    settings |= {
        "repeats": 1,
        "base": {"lanes": 2, "hidden": 4, "examples": 128, "batch_size": 64},
        "lanes": (1, 2, 4),
        "hidden": (2, 4),
        "examples": (64, 128),
        "memory_lanes": (),
    }
    found = scaling.run(settings, QUIET)
    assert [value.name.split()[4].rstrip(",") for value in found.values] == [
        "lanes",
        "parameters",
        "examples",
    ]
    table, picture = found.blocks
    assert len(table.rows) == 7
    assert table.rows[3][0] == f"{784 * 2 + 2 + 2 * 10 + 10:,}"
    assert isinstance(picture, Picture)
    assert len(picture.figure.axes) == 3


def test_a_power_law_stands_beside_its_exponent():
    each = Growth(
        "lanes", np.array([1, 10]), np.array([2.0, 20.0]), PowerLaw(1.0, 2.0, 1, 10)
    )
    texts = [text.get_text() for text in scaling.scaling([each]).axes[0].texts]
    assert texts == ["exponent 1.00"]
