"""A sweep in this process: its losses, its time, its peak of memory.

  python -m experiments.benchmarks.trained JOB

JOB is an ``apart.Job`` as JSON. Prints an ``apart.Report`` as JSON.
"""

import ctypes
import gc
import json
import pathlib
import re
import statistics
import sys
import time
from collections.abc import Sequence

import jax
import numpy as np

from experiments.benchmarks import engine
from experiments.benchmarks.apart import Job, Report
from experiments.benchmarks.sweep import make_task
from optlab import sweep

#: Steps after which losses are compared: later on, training itself makes much of a
#: difference in rounding.
EARLY = 20


def measure(job: Job) -> Report:
    """Trains the lanes and looks at time and memory.

    Args:
      job: what to do; JAX's devices must be as it says.

    Returns:
      The report.
    """
    task = make_task(job._asdict())
    rates = np.geomspace(1e-4, 1e-2, job.lanes).tolist()
    points = sweep.grid({"learning_rate": rates})
    compiled = engine.compile_lanes(task, (0,), points, width=job.width)

    def train(epochs):
        states = sweep.init_states(task, compiled.lanes)
        seconds, first = [], None
        for epoch in range(epochs):
            started = time.perf_counter()
            states, metrics = jax.block_until_ready(
                compiled.program.train(states, compiled.lanes, epoch)
            )
            seconds.append(time.perf_counter() - started)
            first = metrics if first is None else first
        assert first is not None
        return seconds, np.asarray(first.loss[0, :, :EARLY][:, -1]), states

    *_, states = train(1)
    state_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(states))
    del states
    data_bytes = task.dataset.train.images.nbytes
    before = _resident("VmRSS")
    _forget_peak()
    seconds, losses, _ = train(job.epochs)
    return Report(
        losses=losses.tolist(),
        seconds=statistics.median(seconds),
        state_bytes=state_bytes,
        data_bytes=data_bytes,
        # The data set lies on the device already.
        grown_bytes=_resident("VmHWM") - before + data_bytes,
    )


def _resident(name: str) -> int:
    """Bytes, by their name in the kernel's status of this process."""
    gc.collect()
    if name == "VmRSS":
        ctypes.CDLL(None).malloc_trim(0)  # what was freed is not resident
    status = pathlib.Path("/proc/self/status").read_text()
    found = re.search(rf"^{name}:\s*(\d+) kB", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def _forget_peak() -> None:
    """From here on VmHWM is the peak since now (Linux, proc(5))."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def main(arguments: Sequence[str]) -> None:
    """Reads the job, sets devices and processes up, prints the report."""
    job = Job(*json.loads(arguments[0]))
    jax.config.update("jax_num_cpu_devices", job.devices)
    if job.processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{job.port}", job.processes, job.process)
    print(json.dumps(measure(job)._asdict()))


if __name__ == "__main__":
    main(sys.argv[1:])
