"""The benchmark: interleaved rounds, plain ratios, a page, one-line errors."""

import json

import flax.linen as nn
import jax
import numpy as np
import pytest

from experiments import bench
from experiments.benchmarks import conv, peers, sweep
from experiments.benchmarks.peers import flax_loop, scipy_fits
from experiments.benchmarks.suite import Ratio, SuiteResult, Value
from experiments.benchmarks.timing import interleaved
from optlab import models
from optlab.report import Table


def test_rounds_are_interleaved_after_one_warm_up_each():
    calls, heard = [], []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    interleaved(functions, 3, heard.append)
    assert "".join(calls) == "ab" + 3 * "ab"
    assert (heard[0], heard[-1]) == ("warm-up: a", "round 3 of 3: b")
    interleaved(functions, 1, heard.append, warm_up=False)
    assert "".join(calls) == 5 * "ab"


def test_a_ratio_is_paired_by_round():
    ratio = Ratio("work", "peer", (2.0, 9.0, 4.0), (1.0, 3.0, 4.0))
    np.testing.assert_array_equal(ratio.each, [2.0, 3.0, 1.0])
    assert (ratio.median, ratio.faster) == (2.0, "neither")


def test_only_the_first_run_of_a_rate_compiles():
    seconds = {
        sweep.OWN: [1.0],
        sweep.SINGLE: [0.5],
        sweep.FLAX: [3.0],
        sweep.FLAX_LATER: [0.25],
        sweep.FLAX_ONCE: [0.125],
    }
    found = {each.peer: each.median for each in sweep.ratios(seconds, 16, 4)}
    assert found == {
        sweep.FLAX: 16 * 3.0 + 48 * 0.25,
        sweep.FLAX_ONCE: 64 * 0.125,
        sweep.SINGLE: 64 * 0.5,
    }


def test_lanes_are_compared_with_pytorch_s_fastest_form():
    seconds = {conv.OWN: [1.0], conv.LANES: [4.0], conv.PLAIN: [2.0]}
    seconds |= {conv.TORCH + "slow": [2.0], conv.TORCH + "fast": [0.25]}
    found = {each.peer: each for each in conv.ratios(seconds, lanes=8)}
    assert found[conv.TORCH + "fast"].faster == "the peer"
    assert found[conv.TORCH + "fast, 8 times"].median == 8 * 0.25 / 4
    assert found[conv.OWN + ", 8 times"].median == 8 * 1.0 / 4
    assert conv.TORCH + "slow, 8 times" not in found


def test_a_missing_peer_comes_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    line = "torch is not installed and left out: pip install torch"
    assert peers.missing("torch") == line
    assert peers.versions() == {}


@pytest.mark.parametrize("features", [(), (4, 8)])
def test_peers_train_nets_of_as_many_weights(features):
    """An MLP and a convolutional net, optlab's and Flax's own layers."""
    hidden = (6,) if features else (6, 5)
    options = {"features": features, "dense": 6} if features else {"hidden": hidden}
    own = models.make("cnn" if features else "mlp", 10, **options)
    stock = flax_loop.Net(10, features, hidden)
    images = np.ones((2, 8, 8, 3), np.float32)

    def weights(net: nn.Module):
        params = jax.eval_shape(net.init, jax.random.key(0), images)["params"]
        return sum(leaf.size for leaf in jax.tree.leaves(params))

    assert weights(stock) == weights(own)


def classifier():
    random = np.random.default_rng(0)
    images = random.normal(size=(24, 8, 8, 3)).astype(np.float32)
    return peers.Classifier(images, np.arange(24, dtype=np.int32) % 3, 3, 8, (4,), (5,))


def test_pytorch_trains():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from experiments.benchmarks.peers import pytorch

    for form in ("eager", "channels_last"):
        pytorch.make_loop(classifier(), form)(1e-3, 0)()


def test_keras_trains():
    pytest.importorskip("keras", reason="Keras is not installed")
    from experiments.benchmarks.peers import keras_fit

    keras_fit.mlp_fit(classifier()._replace(features=()))(1e-3, 0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("jacobian", [True, False])
def test_scipy_ends_at_the_target_or_at_the_solution(jacobian):
    pytest.importorskip("scipy", reason="SciPy is not installed")
    start = np.array([0.0])
    x = scipy_fits.make_fit(lambda x: x - 3, 0.5, jacobian)(start)
    assert 0.5 * (x[0] - 3) ** 2 <= 0.5
    solution = scipy_fits.make_fit(lambda x: x - 3, jacobian=jacobian)(start)
    np.testing.assert_allclose(solution, 3)


def test_the_page_says_who_is_faster_and_the_json_is_strict(tmp_path):
    found = {
        "times": SuiteResult(
            ratios=(
                Ratio("work", "slow", (3.0, 4.0), (1.0, 1.0), "one run x 64"),
                Ratio("work", "fast", (0.5, 0.5), (1.0, 1.0)),
            ),
            notes=("torch is not installed",),
        ),
        "counts": SuiteResult(
            values=(Value("share", np.nan),),
            blocks=(Table("more", ("a",), "l", (("b",),), ("",)),),
        ),
    }
    page = bench.write(tmp_path, found, {"times": {}}, {"torch": "2.9"}).read_text()
    for text in (">the peer</td>", "one run x 64", "torch is not installed", "2.9"):
        assert text in page
    written = json.loads((tmp_path / "results.json").read_text())["suites"]
    assert written["times"]["ratios"][0]["median"] == 3.5
    assert written["counts"]["values"][0]["value"] is None
    assert (tmp_path / "figures" / "ratios.png").exists()
    bench.write(tmp_path / "without", {"counts": found["counts"]}, {}, {})
    assert not (tmp_path / "without" / "figures").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suite=sweep,convv",), "error: no suite 'convv'; did you mean conv?"),
        (("--config.sweep.seeds=0",), "error: --config.sweep.seeds must be a whole n"),
        (("--config=configs/nist.py",), "error: this config has no block 'sweep'"),
        (
            ("--suite=least_squares", "--config.least_squares.nist_dir=/none"),
            "error: cannot read /none/Misra1a.dat (No such file or directory)",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(refused, arguments, message):
    refused("experiments.bench", arguments, message)
