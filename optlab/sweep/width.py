"""The number of lanes that run at a time: chosen here, for every program of lanes.

Lanes that run together share a program's fixed costs and their seed's batches; lanes
whose intermediate values fall out of the cache run slower together than one after
another. Which of the two weighs more depends on net, batch and machine, so a few steps
at each candidate are timed. Lanes that the memory cannot hold together run in chunks.
"""

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Jaxpr, jaxprs_in_params
from jax.lax import linalg

from optlab.sweep.lanes import chunk_size
from optlab.sweep.parallel import LANE, Layout, agreed, share_host

#: Largest share of the device's memory for the values that lanes compute.
MEMORY_SHARE = 0.5

#: Timed runs of a trial.
TRIALS = 2

#: A trial makes as many steps as touch this many bytes in all its lanes, within limits.
TRIAL_BYTES, TRIAL_STEPS = 2**33, (4, 32)

#: An epoch of all lanes that touches no more bytes is a trial itself.
EPOCH_BYTES = 2**34

#: From this many points on, their square root is a candidate too.
MANY_POINTS = 32

#: Names of the primitives that a CPU leaves to LAPACK.
FACTORIZATIONS = {
    primitive.name for name, primitive in vars(linalg).items() if name.endswith("_p")
}


class Trial(NamedTuple):
    """A few steps of some lanes, traced and still to be compiled."""

    compile: Callable[[], Callable[[], Any]]  # returns a run, which waits for its end
    made: int  # steps of a run, over all its lanes


def measure(
    step: Jaxpr,
    shape: tuple[int, int],
    layout: Layout,
    trial: Callable[[int, int], Trial],
    beside: Callable[[], Future | None] = lambda: None,
) -> dict[int, float]:
    """Times a few steps at each width that is worth a trial.

    Candidates are one lane, the points of one seed and all lanes, as far as they fit;
    wider ones are left out once the widest so far is not the fastest.

    Args:
      step: program of one step of one lane.
      shape: number of seeds and of points.
      layout: device mesh that the lanes are spread over.
      trial: function from a width and a number of steps of each lane to a trial.
      beside: starts what else is to be compiled, while a width compiles that leaves
        a core free.

    Returns:
      Width to seconds of one step of one lane, the fastest of ``TRIALS`` runs after
      one that warms up, as process 0 measured them. A single candidate is not timed:
      its time is NaN.
    """
    rows, columns = shape
    devices, most = layout.mesh.shape[LANE], largest(step, rows * columns, layout)
    tried = [1, min(most, columns)]
    if columns >= MANY_POINTS:
        tried.append(math.isqrt(tried[1]))
    widths = {chunk_size(columns, devices, width) for width in tried}
    if rows * columns <= most:
        widths.add(rows * columns)
    if len(widths) == 1:
        return dict.fromkeys(widths, math.nan)
    fewest, longest = TRIAL_STEPS
    budget = TRIAL_BYTES // computed_bytes(step)
    first, second, *others = sorted(widths)
    seconds: dict[int, float] = {}
    for wave in ([first, second], *([width] for width in others)):
        if seconds and min(seconds, key=seconds.__getitem__) != max(seconds):
            break
        with ThreadPoolExecutor(len(wave)) as pool:
            trials, compiling = [], []
            for width in wave:  # the next one is traced while this one compiles
                steps = min(max(budget // width, fewest), longest)
                trials.append(trial(width, steps))
                compiling.append(pool.submit(trials[-1].compile))
            other = beside() if len(wave) == 1 else None
            runs = [each.result() for each in compiling]
            if other is not None:  # it would disturb the clock
                other.result()
        times = [
            _seconds(run) / trial.made for run, trial in zip(runs, trials, strict=True)
        ]
        seconds |= zip(wave, agreed(times), strict=True)
    return seconds


def _seconds(run: Callable[[], Any]) -> float:
    run()
    times = []
    for _ in range(TRIALS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def choose(
    measured: Mapping[int, float], step: Jaxpr, lanes: int, layout: Layout
) -> int:
    """Chooses the fastest width among those that fit.

    Args:
      measured: width to seconds, from `measure` or given by the user as one width.
      step: program of one step of one lane.
      lanes: number of lanes.
      layout: device mesh that the lanes are spread over.

    Returns:
      The width.
    """
    fastest = min(measured, key=lambda width: measured[width])
    return min(fastest, largest(step, lanes, layout))


def largest(step: Jaxpr, lanes: int, layout: Layout) -> int:
    """Computes the largest width that fits the memory and cannot deadlock.

    On a CPU a batch of factorizations holds a thread of the one pool while it waits
    for others of that pool; batches of as many devices as there are threads hold them
    all (seen with jax 0.10.2). One matrix at a time is safe.

    Args:
      step: program of one step of one lane.
      lanes: number of lanes.
      layout: device mesh that the lanes are spread over.

    Returns:
      At least 1 and at most ``lanes``.
    """
    memory = MEMORY_SHARE * layout.memory_bytes / max(computed_bytes(step), 1)
    one_pool = layout.mesh.size > 1 and share_host(list(layout.mesh.devices.flat))
    if one_pool and _factorizes(step):
        lanes = min(lanes, layout.mesh.shape[LANE])
    return min(max(1, int(memory)), lanes)


def computed_bytes(program: Jaxpr) -> int:
    """Bounds the working set of a program from above.

    Args:
      program: jaxpr; of its inner programs the largest counts.

    Returns:
      Bytes of all values that it computes: nothing is taken to be fused or reused.
    """
    total = 0
    for equation in program.eqns:
        inner = list(jaxprs_in_params(equation.params))
        if inner:
            total += max(map(computed_bytes, inner))
        if not inner or equation.primitive is lax.scan_p:  # which stacks results
            shapes: list[Any] = [result.aval for result in equation.outvars]
            total += sum(math.prod(x.shape) * _itemsize(x.dtype) for x in shapes)
    return total


def _itemsize(dtype: Any) -> int:
    # Typed keys have no size of their own: two words.
    return 8 if jnp.issubdtype(dtype, jax.dtypes.prng_key) else dtype.itemsize


def _factorizes(program: Jaxpr) -> bool:
    return any(
        equation.primitive.name in FACTORIZATIONS
        or any(map(_factorizes, jaxprs_in_params(equation.params)))
        for equation in program.eqns
    )
