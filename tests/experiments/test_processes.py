"""Real processes on the loopback address run one comparison, and one of them dies."""

import csv
import functools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import jax
import numpy as np
import pytest

from experiments import processes
from optlab.errors import InputError

ROOT = pathlib.Path(__file__).parents[2]

#: Three rates, for which two devices train four lanes of each seed.
COMMAND = (
    sys.executable, "-m", "experiments.compare",
    "--config=configs/digits_optimizers.py",
    "--config.data.examples=200",
    "--config.model.name=mlp",
    "--config.model.hidden=(4,)",
    "--config.optimizers=momentum",
    "--config.optimizers.momentum.learning_rate=(0.01,0.02,0.03)",
    "--config.epochs=60",
    "--config.batch_size=20",
    "--config.tune_seeds=1",
    "--config.report_seeds=1",
)  # fmt: skip


#: Three starts, of which two devices get two each: the last one is copied.
NETS = (
    sys.executable, "-m", "experiments.solve",
    "--config=configs/small_nets.py",
    "--config.nets=xor",
    "--config.starts=3",
    "--config.steps=20",
    "--config.optimizers=levenberg_marquardt",
)  # fmt: skip


#: Three methods on one function: process 0 walks with two, process 1 with one.
PATHS = (
    sys.executable, "-m", "experiments.solve",
    "--config=configs/paths.py",
    "--config.problems=beale",
    "--config.optimizers=sgd,adam,adagrad",
    "--config.steps=20",
    "--config.frames=(20,)",
)  # fmt: skip


#: Process 1 has nothing to do, process 0 waits for a file.
UNEVEN = (sys.executable, "-c", """
import pathlib, time
import jax
from absl import app, flags
from experiments import processes

WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the file.")

def main(argv):
    folder = pathlib.Path(WORKDIR.value)
    if jax.process_index() == 0:
        (folder / "runs").touch()
        while not (folder / "killed").exists():
            time.sleep(0.01)

app.run(processes.together(main))
""")  # fmt: skip


def start(folder, count, *flags, command=COMMAND):
    """Starts the processes of one command, with further flags."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    together = f"--coordinator_address={address}", f"--num_processes={count}"
    return [
        subprocess.Popen(
            [
                *(*command, f"--workdir={folder}", *flags),
                *((*together, f"--process_id={i}") if count > 1 else ()),
            ],
            cwd=ROOT,
            env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]


def ends(started):
    """Exit code, output and errors of each."""
    try:
        found = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
    return [(p.returncode, *text) for p, text in zip(started, found, strict=True)]


def rows(folder):
    """Columns of the rows, but for times."""
    with open(folder / "rows.csv", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    return {key: [row[key] for row in table] for key in table[0] if key != "seconds"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a comparison by two processes, and what they printed.

    They measure how many lanes to run at a time, and choose alike.
    """
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, ends(start(folder, 2))


def test_process_0_alone_writes_and_prints(whole):
    folder, ((code, printed, _), other) = whole
    assert (code, other) == (0, (0, "", ""))
    assert "momentum on digits" in printed
    assert "Gloo" not in printed
    assert (folder / "index.html").exists()


def test_a_death_stops_all_and_one_process_goes_on_to_the_same_rows(whole, tmp_path):
    first, second = start(tmp_path / "run", 2, "--width=1")
    saved = tmp_path / "run" / "state" / "momentum_tune_0.state"
    while not saved.exists() and first.poll() is None:
        time.sleep(0.01)
    second.send_signal(signal.SIGKILL)
    (code, _, errors), _ = ends([first, second])
    assert code == 1
    line = "error: process 1 died: all processes stop; the same command goes on from "
    assert line + "the last saved epoch" in errors.splitlines()
    ((code, _, errors),) = ends(start(tmp_path / "run", 1, "--width=1"))
    assert code == 0
    assert re.search(r"momentum tune 0 goes on after epoch \d+\n", errors)
    found, expected = rows(tmp_path / "run"), rows(whole[0])
    assert found.keys() == expected.keys()
    for key, column in found.items():
        if key in ("loss", "accuracy"):
            # The lanes that run together are others: to rounding.
            values, others = (np.array(x, float) for x in (column, expected[key]))
            np.testing.assert_allclose(values, others, rtol=1e-3, atol=1e-3)
        else:
            assert column == expected[key], key


def test_a_death_after_its_part_is_no_error(tmp_path):
    first, second = start(tmp_path, 2, command=UNEVEN)
    while not (tmp_path / "runs").exists() and first.poll() is None:
        time.sleep(0.01)
    time.sleep(0.5)  # in which the second says that it is done
    second.kill()
    second.wait()
    (tmp_path / "killed").touch()
    (code, _, errors), _ = ends([first, second])
    assert code == 0
    assert "Traceback" not in errors
    assert "Fatal" not in errors


def test_starts_spread_over_two_processes_end_as_in_one(tmp_path):
    counts = {"one": 1, "two": 2}
    started = [start(tmp_path / x, n, command=NETS) for x, n in counts.items()]
    alone, (code, printed, _), other = ends([p for each in started for p in each])
    assert (alone[0], code, other) == (0, 0, (0, "", ""))
    assert "levenberg_marquardt" in printed
    (two,), (one,) = (
        json.loads((tmp_path / name / "results.json").read_text())["fits"]
        for name in ("two", "one")
    )
    for key in ("final", "steps", "reasons", "point"):
        assert two[key] == one[key]


def test_methods_dealt_out_to_two_processes_end_as_in_one(tmp_path):
    counts = {"one": 1, "two": 2}
    started = [start(tmp_path / x, n, command=PATHS) for x, n in counts.items()]
    alone, (code, printed, _), other = ends([p for each in started for p in each])
    assert (alone[0], code, other) == (0, 0, (0, "", ""))
    assert printed.splitlines()[:-1] == alone[1].splitlines()[:-1]  # the page's path
    two, one = (
        json.loads((tmp_path / name / "results.json").read_text())
        for name in ("two", "one")
    )
    assert two["walks"] == one["walks"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, 2, None), "need --coordinator_address too"),
        (("localhost", 2, 0), "--coordinator_address=localhost is not HOST:PORT"),
        (("8080", 2, 0), "--coordinator_address=8080 is not HOST:PORT"),
        ((":80", 2, 0), "--coordinator_address=:80 is not HOST:PORT"),
        (("localhost:80", 2, 2), "--process_id=2 must be from 0 to 1"),
        (("localhost:80", 0, 0), "--num_processes=0 must be 1 or more"),
    ],
)
def test_wrong_flags_are_one_line(monkeypatch, given, message):
    for name, value in zip(("ADDRESS", "PROCESSES", "PROCESS"), given, strict=True):
        monkeypatch.setattr(processes, name, types.SimpleNamespace(value=value))
    with pytest.raises(InputError, match=message):
        processes.together(lambda: None)()


def test_a_stranger_is_sent_away_and_stops_nothing(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    token = bytes(range(16))
    with processes._listener() as listener:
        port = listener.getsockname()[1]
        stranger, other = (processes._reach(["127.0.0.1"], port) for _ in range(2))
        with stranger, other:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            other.sendall(token + (1).to_bytes(4))
            found = processes._accept(listener, token)
            assert stranger.recv(1) == b""
            with found.pop(1) as peer:
                peer.sendall(processes.DONE)
                assert other.recv(9) == processes.DONE
    assert not found


def test_news_that_end_within_a_letter_are_told(monkeypatch, capsys):
    monkeypatch.setattr(processes.workdir, "remove_unused", lambda: None)
    monkeypatch.setattr(os, "_exit", sys.exit)
    told, news = [], "process 1: \u00e9".encode()[:-1]
    watch = types.SimpleNamespace(_tell=told.append, lock=threading.Lock())
    watch._end_all = functools.partial(processes._Watch._end_all, watch)
    peer = types.SimpleNamespace(recv=lambda most: news)
    with pytest.raises(SystemExit):
        processes._Watch._hear(watch, 1, peer, None)
    assert told == [news]
    assert capsys.readouterr().err == "error: process 1: \ufffd\n"


def test_a_process_without_a_sign_of_life_is_named(monkeypatch):
    monkeypatch.setattr(processes, "SILENT", 0.1)
    monkeypatch.setattr(processes, "BEAT", 0.02)
    here, there = socket.socketpair()
    with here, there:
        watch = types.SimpleNamespace(peers={1: here}, _stop=sys.exit)
        watch._hear = functools.partial(processes._Watch._hear, watch)
        there.sendall(processes.ALIVE)
        with pytest.raises(SystemExit, match="process 1 was silent for"):
            processes._Watch._listen(watch)


def test_other_settings_than_those_of_process_0_are_refused(monkeypatch):
    processes.require_same({"epochs": 1})
    monkeypatch.setattr(processes, "broadcast", np.zeros_like)
    with pytest.raises(InputError, match="differ from those of process 0"):
        processes.require_same({"epochs": 2})


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, False),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, False),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, True),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
        ({"TPU_WORKER_HOSTNAMES": "t0,t1"}, True),
        ({"TPU_PROCESS_ADDRESSES": "t0:8476,t1:8476"}, True),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),  # a pod of no indexed job
        ({"KUBERNETES_SERVICE_HOST": "a", "JOB_COMPLETION_INDEX": "0"}, True),
    ],
)
def test_a_cluster_is_known_by_its_variables(monkeypatch, environment, found):
    for name in ("SLURM_STEP_NUM_TASKS", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert processes._in_cluster() is found


def test_a_batch_script_is_no_task_of_several(monkeypatch):
    """SLURM's batch step runs alone, though its job has four tasks."""
    for name in ("ADDRESS", "PROCESSES", "PROCESS"):
        monkeypatch.setattr(processes, name, types.SimpleNamespace(value=None))
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert not processes._is_one_of_several()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert processes._in_cluster()
