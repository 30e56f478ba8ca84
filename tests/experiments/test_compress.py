"""The study of compression: what it writes, and what it refuses."""

import json
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from experiments.compression import files, tables
from optlab import compress
from optlab.problems import Metric
from optlab.report.figures import compression as figures

#: A net that trains in a blink; its codes are too few for Huffman's to pay.
SMALL = (
    "--config.data.name=optlab.data.embedded.digits",  # of another name
    "--config.model.hidden=(12,8)",
    "--config.seeds=2",
    "--config.epochs=3",
    "--config.prune.epochs=3",
    "--config.prune.pruning_epochs=2",
    "--config.prune.schedule.name=constant",
    "--config.thresholds.strengths=(0.5,)",
    "--config.thresholds.sparsities=(0.5,0.9)",
    "--config.share.epochs=1",
    "--config.share.bits=3",
    "--config.distill.epochs=1",
    "--config.distill.optimizer.name=adamw",
    "--config.distill.optimizer.learning_rate=0.01",
    "--config.distill.optimizer.weight_decay=0.1",
    "--config.distill.model.hidden=(4,)",
)


@pytest.fixture(scope="module")
def done(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    found = run("experiments.compress", *SMALL, f"--workdir={folder}")
    assert found.returncode == 0, found.stderr
    return folder, found.stdout


def test_the_bytes_are_those_of_the_files(done):
    folder, printed = done
    found = json.loads((folder / "results.json").read_text())
    for each in found["contenders"]:
        first = folder / "files" / each["first"]
        assert first.stat().st_size == each["bytes"][0]
        assert len(each["values"]) == len(each["bytes"]) == 2
        assert all(0 <= value < 100 for value in each["values"])
    names = [each["name"] for each in found["contenders"]]
    assert names == [
        "dense", "dense, gzip", "dense, xz", "pruned, gzip", "pruned, xz", "P", "P+Q",
        "P+Q+H", "int8", "int8, inputs too", "int4, MMSE", "int4, two tensors",
        "low rank", "distilled",
    ]  # fmt: skip
    assert "P+Q+H" in printed
    size = {each["name"]: each["bytes"][0] for each in found["contenders"]}
    assert size["P+Q+H"] <= size["P+Q"] < size["P"] < size["pruned, gzip"]
    assert found["dense_bytes"] == 4 * (65 * 12 + 13 * 8 + 9 * 10) < size["dense"]
    studies = found["studies"]
    assert np.shape(studies["scan"]) == (2, 3, 10)
    assert np.shape(studies["thresholds"]["magnitude"]["values"]) == (2, 2)
    assert {*studies["activations"]["4"]} == {
        "min_max", "moving_average", "percentile", "least_squares", "online",
        "not_rounded",
    }  # fmt: skip


def test_the_files_hold_pruned_nets_of_few_values(done):
    folder, _ = done
    net = compress.decode((folder / "files" / "pqh-0.olnt").read_bytes())
    kernels = [leaf for leaf in jax.tree.leaves(net) if leaf.ndim == 2]
    kept = sum(np.count_nonzero(kernel) for kernel in kernels)
    assert kept == 944 - round(0.9 * 944)
    assert all(len(np.unique(kernel)) <= 8 for kernel in kernels)


def test_the_page_has_every_section_and_figure(done):
    folder, _ = done
    text = (folder / "index.html").read_text()
    for heading in (
        "Error against bytes", "What each stage bought", "Weights", "Sensitivity",
        "Learned thresholds", "Activations of few bits",
        "What the first layer looks at", "Singular values",
    ):  # fmt: skip
        assert heading in text
    assert "<h1>A net of optlab.data.embedded.digits, compressed</h1>" in text
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    assert drawn == {
        "error_by_bytes", "masks", "sensitivity", "spectra", "stages",
        "thresholds", "weights",
    }  # fmt: skip


def test_a_net_that_a_comparison_kept_is_compressed(run, refused, tmp_path):
    """One without classes: no net teaches another, which its config cannot know."""
    small = (
        "--config=configs/regression.py", "--config.epochs=1", "--config.tune_seeds=1",
        "--config.report_seeds=1", "--config.optimizers=adam",
        "--config.optimizers.adam.learning_rate=0.01",
    )  # fmt: skip
    kept = run("experiments.compare", *small, f"--workdir={tmp_path}/a")
    assert kept.returncode == 0, kept.stderr
    (net,) = (tmp_path / "a" / "nets").iterdir()
    words = *SMALL[4:], "--config.thresholds.strengths=()", f"--trained={net}"
    refused("experiments.compress", words, "prune.weight must be 0 where there are no")
    folder = tmp_path / "b"
    refused("experiments.compress", (*words, words[-1]), "hold the same net, of seed")
    words = *words, "--config.prune.weight=0", f"--workdir={folder}"
    found = run("experiments.compress", *words)
    assert found.returncode == 0, found.stderr
    assert "one seed: none" in found.stdout
    assert "distilled" not in found.stdout
    stored = compress.stored((folder / "files" / "p-0.olnt").read_bytes())
    assert sum(each.size for each in stored) == 10 * 11 + 11
    text = (folder / "index.html").read_text()
    assert "<h1>adam, compressed</h1>" in text
    assert "Learned thresholds" not in text


def test_a_stopped_run_says_that_it_begins_anew(tmp_path):
    words = *SMALL, f"--workdir={tmp_path / 'out'}"
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.compress", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while not (tmp_path / "out" / "files").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said == "error: stopped; the same command begins anew\n"
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config.prune.sparsity=1.0",), "prune.sparsity must be at least 0 and"),
        (("--config.prune.weight=1.1",), "prune.weight must be from 0 to 1, not 1.1"),
        (("--config.prune.temperature=0",), "prune.temperature must be finite and mo"),
        (("--config.scan.sparsities=(0.5,1.0)",), "scan.sparsities must be at least 0"),
        (("--config.low_rank.energy=1.5",), "low_rank.energy must be more than 0 and"),
        (("--config.key_layers.error=-1",), "key_layers.error must be finite and at l"),
        (("--config.share.bits=12",), "share.bits must be from 1 to 8, not 12"),
        (("--config.share.start=linaer",), "must be linear or density or random, not"),
        (("--config.distill.temperature=-4",), "distill.temperature must be finite"),
        (("--config.distill.weight=2",), "distill.weight must be from 0 to 1, not 2"),
        (
            ("--config.thresholds.strengths=(-1.0,)",),
            "thresholds.strengths must be fin",
        ),
        (("--config.thresholds.sharpness=0",), "thresholds.sharpness must be finite"),
        (("--config.thresholds.rate=-0.1",), "thresholds.rate must be finite and more"),
        (("--config.prune.pruning_epochs=40",), "must be less than prune.epochs"),
        (("--config.published=(3,)",), "has name, bytes, error, source, and not 3"),
        (("--config.first_seed=5000000000",), "first_seed must be at most 2^31, not"),
        (("--config.prune.optimizer.learning_rate=-1",), "--config.prune: "),
        (
            ("--config.prune.optimizer.name=newton",),
            "--config.prune: this optimizer ch",
        ),
        (("--config.prune.optimizer.weight_dcay=1",), "weight_dcay"),
        (("--config.prune.sparsty=0.5",), "unknown config key 'prune.sparsty'; did yo"),
        (("--config.share.schedule.name=cosin",), "--config.share: "),
        (("--config.distill.model.name=mpl",), "--config.distill.model: "),
        (("--config.distill.batch_size=5000",), "--config.distill: batch_size=5000 of"),
        (("--config.seeds=0",), "--config.seeds must be a whole number of 1 or more"),
        (("--config=configs/nist.py",), "no compression's: see configs/compress.py"),
        (("--trained=nothing.net",), "cannot read nothing.net"),
        (
            (
                "--config=configs/compress_lenet.py:lenet300_60x",
                "--config.first_seed=0",  # which is none of the file's, and no mistake
                "--data_dir=nowhere",
            ),
            "mnist",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(refused, arguments, message):
    refused("experiments.compress", arguments, message)


def test_errors_are_of_the_deciding_metric():
    of = lambda outputs, targets: None  # noqa: E731
    accuracy = tables.Measure(Metric("accuracy", True, True, of))
    assert accuracy.of(np.array([0.98])) == pytest.approx([2.0])
    assert tables.Measure(Metric("mse", False, False, of)).of(np.array([0.5])) == [0.5]


def test_differences_are_paired_by_seed(tmp_path):
    def written(name, *values):
        size = np.full(3, 1000)
        return files.Written(name, "", size, np.array(values), tmp_path)

    measure = tables.Measure(Metric("accuracy", True, True, lambda *_: None))
    dense = written("dense", 0.98, 0.96, 0.97)
    other = written("P", 0.979, 0.959, 0.969)
    table = tables.contender_table([dense, other], 4000, measure)
    row = dict(zip(table.columns, table.rows[1], strict=True))
    assert row["minus\ndense"] == "+0.10"
    assert row["95% interval"] == "-"  # beside p = 0.25 one without width would lie
    assert "the sign test's" in table.notes[1]
    assert row["times\nsmaller"] == "4.0x"
    said = tables.conclusion([dense, other._replace(name="P+Q+H")], 4000, measure)
    assert "1,000 bytes, 4.0 times less" in said
    assert "is +0.10, the same with each seed (3 seeds)." in said
    other = other._replace(values=np.array([0.979, 0.959, 0.967]))
    table = tables.contender_table([dense, other], 4000, measure)
    assert dict(zip(table.columns, table.rows[1], strict=True))["95% interval"] == (
        "[-0.12, +0.45]"
    )
    assert len(table.notes) == 1


def test_one_seed_and_published_figures_are_drawn():
    one = np.array([1.0])
    points = [
        figures.Point("dense", 1e6 * one, 1.6 * one),
        figures.Point("Deep compression", 27e3 * one, 1.58 * one, published=True),
    ]
    figure = figures.error_by_bytes(points, "MNIST", "test error %")
    figure.draw_without_rendering()
    assert "hollow: published" in figure.get_supxlabel()
    assert figure.axes[0].get_ylabel() == "test error %"


def test_one_bad_contender_does_not_press_the_others_together():
    one = np.array([1.0])
    points = [
        figures.Point(name, 1e6 * one, x * one) for name, x in (("a", 1), ("b", 4))
    ]
    figure = figures.error_by_bytes(points, "MNIST", "test error %")
    figure.draw_without_rendering()
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylabel() == "test error % (log axis)"
