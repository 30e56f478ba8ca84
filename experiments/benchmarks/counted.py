"""A sweep in a process of its own, which counts what it compiles and prints it.

  python -m experiments.benchmarks.counted SETTINGS CACHE

SETTINGS is the block ``compile`` of the config as JSON, CACHE the folder of JAX's
persistent compilation cache.
"""

import collections
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import engine
from experiments.benchmarks.sweep import make_task
from optlab import sweep

#: How JAX calls the events: a program made ready, and one that was found in the cache.
READY = "/jax/core/compile/backend_compile_duration"
FOUND = "/jax/compilation_cache/cache_hits"

#: How JAX calls the training program.
TRAINING = "jit(_train_epoch)"


def count(settings: Mapping[str, Any]) -> dict[str, int]:
    """Runs every rate with every seed, then as many others, and evaluates them.

    Args:
      settings: as in ``configs/bench.py``, ``compile``.

    Returns:
      Programs made ready: ``training``, ``all``, ``again`` (by the other rates and
      seeds); and ``found``, how many of all came from the cache.
    """
    seen: collections.Counter[str] = collections.Counter()

    def heard(event: str, **_: Any) -> None:
        seen[event] += 1

    def timed(event: str, duration_secs: float, **named: Any) -> None:
        del duration_secs  # counted, not timed
        if event == READY:
            seen.update([event, named["fun_name"]])

    jax.monitoring.register_event_listener(heard)
    jax.monitoring.register_event_duration_secs_listener(timed)
    task, seeds = make_task(settings), settings["seeds"]
    first, second = np.geomspace(1e-4, 1e-1, 2 * settings["learning_rates"]).reshape(
        2, -1
    )
    points = sweep.grid({"learning_rate": first.tolist()})
    compiled = engine.compile_lanes(task, range(seeds), points, width=len(points))
    _train(compiled)
    ready = seen[READY]
    others = sweep.grid({"learning_rate": second.tolist()})
    _train(compiled._replace(lanes=sweep.make_lanes(range(seeds, 2 * seeds), others)))
    return {
        "training": seen[TRAINING],
        "all": seen[READY],
        "again": seen[READY] - ready,
        "found": seen[FOUND],
    }


def _train(compiled: engine.Compiled) -> None:
    states = sweep.init_states(compiled.task, compiled.lanes)
    states, _ = compiled.program.train(states, compiled.lanes, 0)
    jax.block_until_ready(compiled.program.evaluate(states, "validation"))


def main(arguments: Sequence[str]) -> None:
    """Counts with the cache on, for programs of any size, and prints JSON."""
    settings, cache = arguments
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    print(json.dumps(count(json.loads(settings))))


if __name__ == "__main__":
    main(sys.argv[1:])
