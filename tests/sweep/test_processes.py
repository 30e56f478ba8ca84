"""Lanes over two real processes on the loopback address: the losses of one process."""

import json
import os
import socket
import subprocess
import sys

import numpy as np

#: Trains four lanes; prints losses, width, and process 0's numbers as this process
#: received them. Arguments: processes, index of this one, port, width or 0.
SCRIPT = """
import json, sys
import jax
import numpy as np
import optax

processes, process, port, width = map(int, sys.argv[1:])
jax.config.update("jax_num_cpu_devices", 1)
if processes > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)

from optlab import data, models, problems, sweep
from optlab.sweep import parallel, width as widths

digits = data.load("digits", examples=80)
net = models.make("mlp", classes=10, hidden=(5,), activation="tanh")
problem = problems.classification(net, digits)
task = sweep.Task(digits, 16, lambda _: problem, lambda point: optax.adam(**point))
lanes = sweep.make_lanes((0, 1), sweep.grid({"learning_rate": (0.01, 0.1)}))
layout = parallel.layout("jit", 2, 16)
if not width:
    measured = sweep.measure_widths(task, lanes, layout)
    width = widths.choose(measured, sweep.step_of(task, lanes), 4, layout)
program = sweep.compile_program(task, lanes, layout, width)
states = sweep.init_states(task, lanes)
for epoch in range(2):
    states, metrics = program.train(states, lanes, epoch)
evaluation = program.evaluate(states, lanes, "test")
print(json.dumps({
    "layout": str(layout),
    "width": program.width,
    "agreed": parallel.agreed([process + 1 / 3]),
    "losses": np.asarray(metrics["loss"]).tolist(),
    "evaluation": np.asarray(evaluation["loss"]).tolist(),
}))
"""


def launch(processes, width):
    """Runs the script in processes at the same time and returns their reports."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = os.environ["XLA_FLAGS"].split()
    flags = [flag for flag in flags if "force_host_platform_device_count" not in flag]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *map(str, (processes, i, port, width))],
            env={**os.environ, "XLA_FLAGS": " ".join(flags)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(processes)
    ]
    outputs = [process.communicate(timeout=120) for process in running]
    for process, (_, errors) in zip(running, outputs, strict=True):
        assert not process.returncode, errors
    # Libraries print lines of their own; the report is the last one.
    return [json.loads(out.splitlines()[-1]) for out, _ in outputs]


def test_two_processes_agree_with_one():
    """They measure the width, and choose alike."""
    (alone,) = launch(1, width=2)
    assert alone["layout"] == "jit over 1 x 1 devices (lane x data)"
    first, second = launch(2, width=0)
    assert first == second
    assert first["layout"] == "jit over 2 x 1 devices (lane x data)"
    assert first["agreed"] == [1 / 3]
    for key in ("losses", "evaluation"):
        np.testing.assert_allclose(first[key], alone[key], rtol=1e-3)
