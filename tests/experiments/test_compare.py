"""``python -m experiments.compare``: from a command line to a page, and on again."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from optlab import results

ROOT = pathlib.Path(__file__).parents[2]

#: Seconds instead of minutes: a small net, one seed to tune with.
TINY = (
    "--config.model.cnn.features=(2,)",
    "--config.model.cnn.dense=4",
    "--config.tune_seeds=1",
    "--config.epochs=2",
)


def start(*words, path=""):
    """Starts a comparison on one device."""
    paths = os.pathsep.join(filter(None, [str(path), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.compare", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": "", "COLUMNS": "200", "PYTHONPATH": paths},
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
        f"--workdir={tmp_path / 'work'}",
    )
    _stop_after_a_stage(tmp_path / "work", words)

    code, output, log = run(*words)
    assert code == 0, log
    assert "momentum-b32-tune-0" not in log  # it was done
    for name in ("momentum-b32-report-2", "adam-b32-tune-0", "adam-b32-report-2"):
        assert re.search(rf"{name}: 2 epochs, \d/\d lanes alive", log)
    _check_output(output, tmp_path / "work")
    _check_page_and_figures(tmp_path / "work")
    _check_results(tmp_path / "work", command=words)
    _check_kept(tmp_path / "work")

    rows = (tmp_path / "work" / "rows.csv").read_bytes()
    code, output, log = run(*words)
    assert (code, log.strip()) == (0, "")  # nothing was trained
    assert (tmp_path / "work" / "rows.csv").read_bytes() == rows
    _check_output(output, tmp_path / "work")


def _stop_after_a_stage(workdir, words):
    process = start(*words)
    deadline = time.monotonic() + 240
    while not (workdir / "state" / "momentum-b32-tune-0.done").exists():
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
    names = {"epochs", "sensitivity", "time_to_target", "training_steps", "wall_time"}
    assert {figure.name for figure in figures} == {
        f"{name}.{kind}" for name in names for kind in ("png", "pdf")
    }
    for figure in figures:
        begin = {".png": b"\x89PNG", ".pdf": b"%PDF"}[figure.suffix]
        assert figure.read_bytes().startswith(begin)


def _texts(rows):
    return [
        repr(row._replace(hyperparameters=sorted(row.hyperparameters.items())))
        for row in rows
    ]


def _check_results(workdir, command):
    found = results.read_json(workdir / "results.json")
    assert _texts(found.rows) == _texts(results.read_csv(workdir / "rows.csv"))
    # momentum's second program was compiled again, if the run stopped inside it.
    for cell, label, rates in zip(
        found.cells, ("momentum", "adam"), ((0.01, 0.1), (1e-3, 1e-2)), strict=True
    ):
        assert (cell.optimizer, cell.batch_size, cell.epochs) == (label, 32, 2)
        assert tuple(point["learning_rate"] for point in cell.grid) == rates
        assert cell.compiles == 2 or (label, cell.compiles) == ("momentum", 3)
        assert cell.compile_seconds > 0
    config = json.loads(found.config)
    assert list(config["optimizers"]) == ["momentum", "adam"]
    assert config["optimizers"]["adam"]["learning_rate"] == [1e-3, 1e-2]
    assert "-m experiments.compare" in found.environment["command"]
    assert command[-1] in found.environment["command"]
    for name in ("commit", "date", "python", "jax", "platform", "processor"):
        assert found.environment[name]
    tested = [row for row in found.rows if row.split == "test"]
    assert [(row.phase, row.epoch) for row in tested] == [("report", 2)] * 4


def _check_kept(workdir):
    assert json.loads((workdir / "config.json").read_text())["epochs"] == 2
    kept = sorted(file.name for file in (workdir / "state").iterdir())
    done = [
        f"{optimizer}-b32-{stage}.done"
        for optimizer in ("momentum", "adam")
        for stage in ("tune-0", "report-1", "report-2")
    ]
    assert kept == sorted([*done, "made_with.json", "widths.json"])
    runs = {str(f.parent.relative_to(workdir)) for f in workdir.rglob("events.*")}
    for optimizer in ("momentum", "adam"):
        folder = f"tensorboard/{optimizer}-b32"
        assert {f"{folder}/tune-point{point}-seed0" for point in (0, 1)} <= runs
        reported = {run for run in runs if run.startswith(f"{folder}/report-point")}
        assert len(reported) == 2
    assert len(runs) == 8


MY_MODULE = '''
import optax

def sign_descent(learning_rate, scale=1.0):
    """Steps of one length: w <- w - learning_rate * sign(g)."""
    return optax.chain(
        optax.scale_by_sign(), optax.scale_by_learning_rate(learning_rate * scale)
    )
'''


def test_an_optimizer_of_one_s_own_is_compared_by_its_dotted_name(tmp_path):
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "mymodule.py").write_text(MY_MODULE)
    code, output, log = run(
        *TINY,
        "--config.epochs=1",
        "--config.report_seeds=1",
        "--config.batch_size=512",
        "--config.optimizers=adam,mypackage.mymodule.sign_descent",
        "--config.optimizers.adam.learning_rate=(1e-4,1e-3)",
        "--config.learning_rate=(1e-3,)",
        f"--workdir={tmp_path / 'work'}",
        path=tmp_path,
    )
    assert code == 0, log
    assert "sign_descent" in output
    found = results.read_json(tmp_path / "work" / "results.json")
    adam, own = found.cells
    assert (adam.optimizer, own.optimizer) == ("adam", "sign_descent")
    assert [point["learning_rate"] for point in adam.grid] == [1e-4, 1e-3]
    assert [point["learning_rate"] for point in own.grid] == [1e-3]
    assert (own.batch_size, own.steps_per_epoch) == (512, 1150 // 512)
    assert [row for row in found.rows if row.split == "test"]


def test_help_teaches():
    code, output, _ = run("--help")
    assert code in (0, 1)  # absl's own exit code is 1
    for line in (
        "python -m experiments.compare --config.batch_size=512 --config.epochs=10",
        "--config.optimizers=adam,lion,mypackage.mymodule.mine",
        "A tuple is a grid.",
        "--data_dir",
        "--workdir",
        "--[no]download",
        "--parallel",
        "configs/digits_optimizers.py",
        "--config.optimizers.adam.b1=(0.9,)",
    ):
        assert line in output
    assert "None')" not in output
