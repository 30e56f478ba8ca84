"""The benchmark: honest turns, plain statistics, suites that run, one-line errors."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from experiments import bench
from experiments.benchmarks import (
    SUITES,
    accelerator,
    compiles,
    conv,
    peers,
    sweep,
    tables,
)
from experiments.benchmarks.suite import Bench, Ratio, SuiteResult, Value
from experiments.benchmarks.turns import in_turns
from experiments.benchmarks.work import work_of
from optlab.errors import InputError
from optlab.report import Table
from optlab.report.figures.ratios import Bar, ratio_bars

QUIET = Bench(tell=lambda text: None)
SWEEP = {
    "repeats": 2,
    "learning_rates": (0.001, 0.01),
    "seeds": 2,
    "examples": 256,
    "batch_size": 64,
    "hidden": (8,),
}
CONV = {
    "repeats": 1,
    "image": (8, 8, 3),
    "features": (4, 4, 4),
    "dense": 8,
    "batch_size": 8,
    "steps": 2,
    "stock_steps": 1,
    "lanes": 2,
}
COMPILE = {
    "learning_rates": 3,
    "seeds": 2,
    "examples": 128,
    "batch_size": 64,
    "hidden": (8,),
    "growth": (1, 4),
    "repeats": 1,
}


@pytest.fixture
def no_torch(monkeypatch):
    def find_spec(name):
        return None if name in ("torch", "keras") else object()

    monkeypatch.setattr(peers.importlib.util, "find_spec", find_spec)


def test_turns_take_turns_after_one_warm_up_each():
    calls, heard = [], []
    contestants = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = in_turns(contestants, 3, heard.append)
    assert "".join(calls) == "ab" + 3 * "ab"
    assert {name: len(each) for name, each in seconds.items()} == {"a": 3, "b": 3}
    assert heard[0] == "warm-up: a"
    assert heard[-1] == "turn 3 of 3: b"


def test_a_ratio_is_paired_by_turn():
    ratio = Ratio("work", "peer", (2.0, 9.0, 4.0), (1.0, 3.0, 4.0), target=2.0)
    np.testing.assert_array_equal(ratio.each, [2.0, 3.0, 1.0])
    assert ratio.median == 2.0
    assert ratio.met
    assert not ratio._replace(target=2.1).met
    assert ratio._replace(target=None).met is None


@pytest.mark.parametrize(
    ("limits", "met"),
    [({}, None), ({"least": 1, "most": 1}, True), ({"most": 0}, False),
     ({"least": 2}, False), ({"most": 1.5}, True)],
)  # fmt: skip
def test_a_value_keeps_within_its_limits(limits, met):
    assert Value("programs", 1, **limits).met is met


def test_only_the_first_run_of_a_rate_compiles():
    seconds = {
        sweep.OWN: [1.0],
        sweep.ALONE: [0.5],
        sweep.FIRST: [3.0],
        sweep.AGAIN: [0.25],
        sweep.ONCE: [0.25],
        sweep.OWN_LAYERS: [0.125],
    }
    anew, once, own_layers, alone = sweep.ratios(seconds, points=16, seeds=4)
    assert anew.median == 16 * 3.0 + 48 * 0.25
    assert (once.median, own_layers.median, alone.median) == (16.0, 8.0, 32.0)
    assert "x 16" in anew.note
    assert "x 64" in once.note


def test_pytorch_s_target_is_against_its_fastest_form():
    names = conv.SCANNED, conv.PLAIN, conv.LANES, conv.STOCK, conv.STOCK_SCANNED
    seconds = {name: [1.0] for name in names}
    seconds |= {conv.TORCH + "slow": [2.0], conv.TORCH + "fast": [0.5]}
    rows = {ratio.peer: ratio for ratio in conv.ratios(seconds, lanes=8)}
    assert rows[conv.TORCH + "slow"].target is None
    assert rows[conv.TORCH + "fast"].target == pytest.approx(1 / 1.3)
    assert tables.target(rows[conv.TORCH + "fast"]) == "0.769 missed"
    assert tables.faster(rows[conv.TORCH + "fast"]) == "peer"


@pytest.mark.usefixtures("no_torch")
def test_a_peer_that_is_missing_says_how_to_install_it():
    said = peers.missing("torch")
    assert "torch is not installed" in said
    assert "pip install torch" in said
    assert peers.missing("scipy") == ""


@pytest.mark.usefixtures("no_torch")
def test_the_sweep_runs_without_pytorch():
    result = SUITES["sweep"](SWEEP, QUIET)
    assert [ratio.peer for ratio in result.ratios] == [
        "Flax, jit per rate",
        sweep.ONCE,
        sweep.OWN_LAYERS,
        sweep.ALONE,
    ]
    assert all(ratio.each.shape == (2,) for ratio in result.ratios)
    assert result.ratios[0].median > result.ratios[1].median  # it compiles
    for peer in ("torch", "keras"):
        assert any(f"{peer} is not installed" in note for note in result.notes)


def test_less_than_a_batch_is_refused():
    with pytest.raises(InputError, match="examples=63 do not fill a batch of 64"):
        sweep.make_task(SWEEP | {"examples": 63})


@pytest.mark.usefixtures("no_torch")
def test_the_convolutional_step_runs_without_pytorch():
    result = SUITES["conv"](CONV, QUIET)
    assert [ratio.work for ratio in result.ratios] == [
        *["a step in a scan"] * 3,
        "a step of 2 lanes",
    ]
    assert any("torch" in note for note in result.notes)


@pytest.mark.usefixtures("no_torch")
def test_an_accelerator_is_measured_where_there_is_one():
    settings = CONV | {"lanes": (1, 2), "examples": 16, "product": 8}
    assert "no GPU" in SUITES["accelerator"](settings, QUIET).notes[0]
    result = accelerator.measure(settings, QUIET)
    names = [value.name for value in result.values]
    assert names[3::2] == ["runs a second, 1 lane", "runs a second, 2 lanes"]
    assert result.ratios == ()


def test_rates_of_an_accelerator():
    rates = accelerator.rates({4: 2.0}, run_flops=10**12, product_rate=8e12)
    assert [value.value for value in rates] == [8.0, 2.0, 25.0]
    seconds = {"4 lanes": [2.0], conv.TORCH + "a": [1.5], conv.TORCH + "b": [1.0]}
    (ratio,) = accelerator.ratios(seconds, [4])
    assert (ratio.peer, ratio.median) == (conv.TORCH + "b", 2.0)


def test_arithmetic_of_a_convolutional_step():
    # One pixel, one channel each: nine weights, then one dense unit, ten classes.
    settings = CONV | {"image": (1, 1, 1), "features": (1,), "dense": 1}
    assert conv.step_flops(settings) == 2 * 8 * (2 * 9 + 3 * 1 + 3 * 10)
    assert work_of(conv._step_program(settings)).flops == conv.step_flops(settings)


def test_the_work_of_products_is_read_off_a_program():
    def program(a, b):
        return jax.jit(jnp.matmul)(a, b).sum() + lax.platform_dependent(
            a, cpu=lambda a: (a.T @ a).sum(), default=lambda a: 0.0
        )

    jaxpr = jax.make_jaxpr(program)(jnp.ones((2, 3)), jnp.ones((3, 5))).jaxpr
    flops = 2 * 3 * (2 * 5) + 2 * 2 * (3 * 3)
    numbers = (2 * 3 + 3 * 5 + 2 * 5) + (3 * 2 + 2 * 3 + 3 * 3)
    assert work_of(jaxpr) == (flops, 4 * numbers)


def test_one_training_program_and_a_cache_that_serves_a_second_process(tmp_path):
    first, second = (compiles._count(COMPILE, str(tmp_path)) for _ in range(2))
    assert (first["training"], first["again"], first["found"]) == (1, 0, 0)
    assert second["found"] == second["all"] == first["all"]


def test_compile_time_is_measured_for_every_number_of_lanes():
    assert list(compiles.growth(COMPILE, QUIET)) == [1, 4]


def test_a_page_and_strict_json_of_whatever_was_measured(tmp_path):
    found = {
        "times": SuiteResult(
            ratios=(
                Ratio("work", "slow", (3.0, 4.0), (1.0, 1.0), 5.0, "one run x 64"),
                Ratio("work", "fast", (0.5, 0.5), (1.0, 1.0), 0.8),
            ),
            notes=("torch is not installed",),
        ),
        "counts": SuiteResult(
            values=(Value("programs", 1, least=1, most=1), Value("share", np.nan)),
            blocks=(Table("more", ("a",), "l", (("b",),), ("",)),),
        ),
    }
    page = bench.write(tmp_path, found, {"times": {}}, {"jax": "0"}).read_text()
    assert "5 missed" in page
    assert ">peer</td>" in page
    assert "exactly 1" in page
    assert "torch is not installed" in page
    written = json.loads((tmp_path / "results.json").read_text())["suites"]
    assert written["times"]["ratios"][0]["median"] == 3.5
    assert written["counts"]["values"][1]["value"] is None
    assert (tmp_path / "figures" / "ratios.png").exists()


def test_a_busy_machine_is_told_of(tmp_path):
    assert bench.busy(0.2) == ""
    bench.write(tmp_path, {}, {}, {}, bench.busy(3.04))
    for name in ("index.html", "results.json"):
        assert "3.0 other programs were running" in (tmp_path / name).read_text()


def test_counts_alone_draw_no_chart(tmp_path):
    found = {"counts": SuiteResult(values=(Value("programs", 1),))}
    bench.write(tmp_path, found, {}, {})
    assert not (tmp_path / "figures").exists()


def test_the_chart_names_every_peer_and_shows_every_target():
    bars = [Bar("a", "slow", 20.0, 10.0, 30.0, 15.0), Bar("b", "fast", 0.4, 0.3, 0.5)]
    panel = ratio_bars(bars, "title", "ratio").axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["slow", "fast"]
    low, high = panel.get_xlim()
    assert low < 0.3
    assert high > 30
    texts = [text.get_text() for text in panel.texts]
    assert texts == ["20x", "0.4x", "a", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suite=sweep,convv",), "error: unknown suite 'convv'; did you mean conv?"),
        (("--config.sweep.example=2",), "error: unknown config key 'sweep.example'; "),
        (("--config.conv.repeats=0",), "error: conv.repeats must be 1 or more: 0"),
        (("--config.compile.growth=()",), "error: compile.growth is empty"),
        (("--config=configs/nist.py",), "error: this config has no block 'sweep'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(arguments, message):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.bench", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip().startswith(message)
    assert done.stderr.count("\n") == 1
