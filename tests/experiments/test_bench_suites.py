"""The suites of trained nets once, at a tiny size."""

import jax
import numpy as np
import pytest

from configs import bench as config
from experiments.benchmarks import SUITES, conv, sweep
from experiments.benchmarks.peers import missing
from optlab.errors import InputError
from optlab.report import Picture
from optlab.sweep import width

SETTINGS = config.get_config().to_dict()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Two of the eight devices, and no trial of widths: fewer and smaller programs."""
    devices = jax.devices()[:2]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    widest = lambda step, shape, layout, trial: {np.prod(shape): np.nan}  # noqa: E731
    monkeypatch.setattr(width, "measure", widest)


def run(name, **settings):
    settings = SETTINGS[name] | {"repeats": 2} | settings
    return SUITES[name](settings, lambda text: None)


def peers_of(result):
    assert all((ratio.each > 0).all() for ratio in result.ratios)
    return [ratio.peer for ratio in result.ratios]


def test_sweep():
    result = run(
        "sweep", learning_rates=(1e-3, 1e-2), seeds=2, examples=256, hidden=(8,)
    )
    found = peers_of(result)
    assert found[-3:] == [sweep.FLAX, sweep.FLAX_ONCE, sweep.SINGLE]
    assert (sweep.TORCH in found) == (missing("torch") == "")
    assert (sweep.KERAS in found) == (missing("keras") == "")
    assert result.notes == tuple(filter(None, map(missing, ("torch", "keras"))))
    flax = {ratio.peer: ratio for ratio in result.ratios}
    assert len(flax[sweep.FLAX].each) == 2


def test_conv():
    result = run(
        "conv",
        image=(4, 4, 1),
        features=(2,),
        dense=4,
        batch_size=8,
        steps=2,
        scanned_steps=1,
        lanes=2,
    )
    expected = [conv.PLAIN, conv.FLAX, conv.FLAX_SCANNED]
    assert [name for name in peers_of(result) if name in expected] == expected
    assert any(conv.TORCH in peer for peer in peers_of(result)) == (
        missing("torch") == ""
    )
    assert 1 <= result.values[0].value <= 2


def test_scaling():
    base = {"lanes": 2, "hidden": 4, "examples": 128, "batch_size": 64}
    sizes = {"lanes": (1, 2), "hidden": (2, 4), "examples": (64, 128)}
    result = run("scaling", repeats=1, base=base, **sizes)
    table, picture = result.blocks
    axes = ["lanes", "parameters", "examples", "devices"]
    assert list(dict.fromkeys(row[0] for row in table.rows)) == axes
    assert table.rows[2][1] == f"{784 * 2 + 2 + 2 * 10 + 10:,}"
    assert len(result.values) == len(axes)
    assert isinstance(picture, Picture)
    assert len(picture.figure.axes) == len(axes)
    with pytest.raises(InputError, match=r"scaling\.lanes must be two rising sizes"):
        run("scaling", base=base, lanes=(4, 1))


def test_less_than_a_batch_is_refused():
    with pytest.raises(InputError, match="examples=63 do not fill a batch of 64"):
        sweep.make_task(SETTINGS["sweep"] | {"examples": 63})
