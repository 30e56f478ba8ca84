"""``python -m experiments.compare``: from a command line to a page, and on again."""

import csv
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

import optlab

ROOT = pathlib.Path(__file__).parents[2]

#: Seconds instead of minutes: a small net, one seed to tune with.
TINY = (
    "--config.model.features=(2,)",
    "--config.model.dense=4",
    "--config.tune_seeds=1",
    "--config.epochs=2",
)


#: A name that is no markup, though it looks like some.
WORK = "w [r] x[b]y $z$ <i>"


def start(*words, path=""):
    """Starts a comparison on two devices."""
    paths = os.pathsep.join(filter(None, [str(path), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.compare", *map(str, words)],
        cwd=ROOT,
        env=os.environ
        | {"JAX_NUM_CPU_DEVICES": "2", "COLUMNS": "200", "PYTHONPATH": paths},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(*words, path=""):
    """Exit code, output and log of a comparison."""
    process = start(*words, path=path)
    output, log = process.communicate(timeout=300)
    return process.returncode, output, log


def test_a_run_is_stopped_goes_on_and_is_shown_again(tmp_path):
    words = (
        *TINY,
        "--config.data.examples=100",
        "--config.batch_size=32",
        "--config.report_seeds=2",
        "--config.optimizers=momentum,adam",
        "--config.optimizers.momentum.learning_rate=(0.01,0.1)",
        "--config.optimizers.adam.learning_rate=(1e-3,1e-2)",
        "--tensorboard",
        f"--workdir={tmp_path / WORK}",
    )
    _stop_after_a_stage(tmp_path / WORK, words)

    code, output, log = run(*words)
    assert code == 0, log
    assert "momentum tune 0" not in log  # it was done
    for name in ("momentum report 2", "adam tune 0", "adam report 2"):
        assert re.search(rf"{name}: 2 epochs, \d/\d lanes alive", log)
    _check_output(output, tmp_path / WORK)
    _check_page_and_figures(tmp_path / WORK)
    _check_results(tmp_path / WORK, command=words)
    _check_kept(tmp_path / WORK)

    rows = (tmp_path / WORK / "rows.csv").read_bytes()
    code, output, log = run(*words)
    assert (code, log.strip()) == (0, "")  # nothing was trained
    assert (tmp_path / WORK / "rows.csv").read_bytes() == rows
    _check_output(output, tmp_path / WORK)


def _stop_after_a_stage(workdir, words):
    process = start(*words)
    deadline = time.monotonic() + 240
    while not (workdir / "state" / "momentum_tune_0.done").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert not output
    assert "Traceback" not in log
    assert log.splitlines()[-1].startswith("error: stopped; the same command goes on")
    assert not list(workdir.rglob("*.partial"))


def _check_output(output, workdir):
    for word in ("momentum", "adam", f"page: {workdir}/index.html"):
        assert word in output


def _check_page_and_figures(workdir):
    page = (workdir / "index.html").read_text()
    for word in ("momentum", "adam", "data:image/", "experiments.compare"):
        assert word in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)  # self-contained
    figures = sorted((workdir / "figures").iterdir())
    kinds = {figure.suffix for figure in figures}
    assert (len(figures), kinds) == (10, {".png", ".pdf"})
    for figure in figures:
        begin = {".png": b"\x89PNG", ".pdf": b"%PDF"}[figure.suffix]
        assert figure.read_bytes().startswith(begin)


def _rows(workdir, **wanted):
    with open(workdir / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [r for r in rows if all(r[name] == value for name, value in wanted.items())]


def _check_results(workdir, command):
    found = json.loads((workdir / "results.json").read_text())
    labels = [summary["label"] for summary in found["summary"]]
    assert labels == ["momentum", "adam"]
    config = found["config"]
    assert config["optimizers"]["adam"]["learning_rate"] == [1e-3, 1e-2]
    assert "-m experiments.compare" in found["environment"]["command"]
    assert command[-1] in found["environment"]["command"]
    for name in ("commit", "date", "python", "jax", "platform", "processor"):
        assert found["environment"][name]
    tested = _rows(workdir, split="test")
    assert [(r["phase"], r["epoch"]) for r in tested] == [("report", "2")] * 4
    assert {r["contender"] for r in tested} == {"adam", "momentum"}


def _check_kept(workdir):
    assert json.loads((workdir / "config.json").read_text())["epochs"] == 2
    kept = sorted(file.name for file in (workdir / "state").iterdir())
    done = [
        f"{name}_{stage}.done"
        for name in ("momentum", "adam")
        for stage in ("tune_0", "report_1", "report_2")
    ]
    assert kept == sorted([*done, "made_with.json", "widths.json"])
    runs = {str(f.parent.relative_to(workdir)) for f in workdir.rglob("events.*")}
    for name in ("momentum", "adam"):
        folder = f"tensorboard/{name}"
        assert {f"{folder}/tune-point{point}-seed0" for point in (0, 1)} <= runs
        reported = {run for run in runs if run.startswith(f"{folder}/report-point")}
        assert len(reported) == 2
        for seed in (1, 2):
            net = optlab.load_trained(workdir / "nets" / f"{name}-seed{seed}.net")
            (row,) = _rows(workdir, contender=name, seed=str(seed), split="test")
            for metric, value in net.evaluate("test").items():
                # The run sees other devices than this process: another program.
                assert float(value) == pytest.approx(float(row[metric]), rel=1e-5)
    assert len(runs) == 8


MY_MODULE = '''
import jax
import jax.numpy as jnp
import numpy as np
import optax

def my_data(count):
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    return random.normal(size=(count, 2)) + labels[:, None], labels

class MyNet:
    """A pair of init and apply."""

    def __init__(self, classes, hidden):
        self.sizes = hidden, classes

    def init(self, key, inputs):
        hidden, classes = self.sizes
        one, two = jax.random.split(key)
        return (jax.random.normal(one, (inputs.shape[1], hidden)),
                jax.random.normal(two, (hidden, classes)))

    def apply(self, params, inputs):
        return jnp.tanh(inputs @ params[0]) @ params[1]

class Broken(MyNet):
    def __init__(self, classes, **options):
        super().__init__(classes, 3)

    def apply(self, params, inputs):
        return {}["my own mistake"]

def my_loss(outputs, targets):
    return optax.softmax_cross_entropy_with_integer_labels(outputs, targets)

def my_noise(keys, inputs, size):
    noise = jax.vmap(lambda key: jax.random.normal(key, inputs.shape[1:]))(keys)
    return inputs + size * noise

def my_schedule():
    return lambda count: 1 / (1 + count)

def sign_descent(learning_rate, scale=1.0):
    """Steps of one length: w <- w - learning_rate * sign(g)."""
    return optax.chain(
        optax.scale_by_sign(), optax.scale_by_learning_rate(learning_rate * scale)
    )
'''


def _package(folder):
    package = folder / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text(MY_MODULE)
    return folder


def test_every_part_may_be_a_custom_one(tmp_path):
    code, output, log = run(
        "--config.data.name=mypackage.my_data",
        "--config.data.count=60",
        "--config.model.name=mypackage.MyNet",
        "--config.model.hidden=5",
        "--config.loss.name=mypackage.my_loss",
        "--config.augment=mypackage.my_noise",
        "--config.augment.mypackage.my_noise.size=0.1",
        "--config.schedule.name=mypackage.my_schedule",
        "--config.optimizers=adam,mypackage.sign_descent",
        "--config.optimizers.adam.learning_rate=(1e-3,1e-2)",
        "--config.learning_rate=(1e-2,)",
        "--config.epochs=2",
        "--config.batch_size=8",
        "--config.tune_seeds=1",
        "--config.report_seeds=1",
        f"--workdir={tmp_path / WORK}",
        path=_package(tmp_path),
    )
    assert code == 0, log
    assert "sign_descent" in output
    rows = _rows(tmp_path / WORK, split="test")
    assert {row["contender"] for row in rows} == {"adam", "sign_descent"}
    assert [r["optimizer.learning_rate"] for r in rows if r["contender"] != "adam"] == [
        "0.01"
    ]


def test_the_bug_of_a_custom_model_keeps_its_own_traceback(tmp_path):
    code, _, log = run(
        "--config.model.name=mypackage.Broken",
        f"--workdir={tmp_path / WORK}",
        path=_package(tmp_path),
    )
    assert code == 1
    assert "KeyError: 'my own mistake'" in log
    assert not (tmp_path / WORK).exists()


def test_help_teaches():
    code, output, _ = run("--help")
    assert code in (0, 1)  # absl's own exit code is 1
    for line in (
        "python -m experiments.compare --config.batch_size=512 --config.epochs=10",
        "--config.optimizers=adam,lion,mypackage.mymodule.mine",
        "A tuple is swept.",
        "--data_dir",
        "--workdir",
        "--[no]download",
        "--parallel",
        "configs/digits_optimizers.py",
        "--config.optimizers.adam.b1=0.9",
    ):
        assert line in output
    assert "None')" not in output
