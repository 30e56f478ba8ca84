"""The suite of least squares once, at a tiny size."""

import jax
import numpy as np
import pytest

from configs import bench as config
from experiments.benchmarks import least_squares
from experiments.benchmarks.peers import missing
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
