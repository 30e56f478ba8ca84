"""The suites of trained nets once, at a tiny size."""

import jax
import numpy as np
import pytest

from configs import bench as config
from experiments.benchmarks import SUITES, conv, sweep
from experiments.benchmarks.peers import missing, pytorch
from optlab.errors import InputError
from optlab.report import Picture
from optlab.sweep import width

SETTINGS = config.get_config().to_dict()
DEVICES = jax.devices()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One of the eight devices, and no trial of widths."""
    monkeypatch.setattr(jax, "devices", lambda: DEVICES[:1])
    widest = lambda step, shape, *_: {np.prod(shape): np.nan}  # noqa: E731
    monkeypatch.setattr(width, "measure", widest)


def run(name, **settings):
    settings = SETTINGS[name] | {"repeats": 1} | settings
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
    assert {len(ratio.each) for ratio in result.ratios} == {1}


def test_pruning():
    result = run("pruning", examples=32, batch_size=16, hidden=(8,), sparsities=3)
    assert peers_of(result) == ["a dense run", "a sparsity at a time"]
    figures = {name: value for name, value, _ in result.values}
    assert figures["sparsities in one program"] == 3
    pruned = result.ratios[0]
    assert figures["a pruned step / a dense one, median"] == pytest.approx(
        pruned.own_seconds[0] / pruned.peer_seconds[0]
    )


def test_conv(monkeypatch):
    """PyTorch's compiler takes long; a form that fails costs a note alone."""
    forms = {"eager": pytorch.FORMS["eager"], "odd": ("no_format", False)}
    monkeypatch.setattr(pytorch, "FORMS", forms)
    net = {"image": (4, 4, 1), "features": (2,), "dense": 4, "batch_size": 8}
    single = {"side": 4, "channels": 3, "batch_size": 2, "steps": 1, "native_steps": 1}
    result = run("conv", **net, steps=2, scanned_steps=1, lanes=2, layers=single)
    expected = [conv.PLAIN, conv.FLAX, conv.FLAX_SCANNED]
    assert [name for name in peers_of(result) if name in expected] == expected
    if missing("torch"):
        assert result.notes == (missing("torch"),)
    else:
        assert conv.TORCH + "eager, 2 times" in peers_of(result)
        assert result.notes[0].startswith("PyTorch, odd: left out, it fails with Attr")
    assert 1 <= result.values[0].value <= 2
    (table,) = result.blocks
    for kind, formula, counted, weights, found, *_ in table.rows:
        assert formula == counted
        assert weights == found
        assert {"standard": "81", "depthwise": "27"}.get(kind, weights) == weights


def test_scaling(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: DEVICES[:2])
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
