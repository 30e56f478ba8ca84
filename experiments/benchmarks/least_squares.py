"""Nonlinear least squares: fits of a small net, many restarts of it, NIST's 54 fits.

Fits of the net are warm and end at a mean squared error of 1e-4: optlab and optimistix
in float32, optlab and SciPy in float64. NIST's fits are timed as a whole table,
compiling included: every problem is a program of its own for a peer, and one program
serves all of them in optlab. LAPACK has one thread on all sides.
"""

import functools
import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from configs import nist as nist_config
from configs import small_nets as nets_config
from experiments.benchmarks.peers import missing, optimistix_fits, scipy_fits
from experiments.benchmarks.suite import Ratio, SuiteResult, Value
from experiments.benchmarks.timing import Status, interleaved
from experiments.studies import nist as nist_study
from experiments.studies import small_nets
from optlab import optim
from optlab.solving import Stop, solve
from optlab.sweep import multistart, parallel
from optlab.testproblems import nist

# Names of the timed programs.
OWN, OPTIMISTIX = "optlab", "optimistix LM"
SCIPY, SCIPY_LM = "SciPy trf, differences", "SciPy lm, exact Jacobian"

METHOD = "levenberg_marquardt"

#: Tolerances of SciPy on NIST's problems.
TIGHT = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)


def run(settings: Mapping[str, Any], status: Status) -> SuiteResult:
    """Runs the fits, interleaved with the peers'.

    Returns:
      Ratios of times, and the number of fits that each solves.
    """
    notes = {name: missing(name) for name in ("optimistix", "scipy")}
    parts = []
    if not notes["optimistix"]:
        parts.append(_single_fits(settings, status))
    if not notes["scipy"]:
        parts.append(_restarts(settings, status))
    folder = Path(settings["nist_dir"] or nist.directory())
    if settings["nist_dir"] or folder.is_dir():
        names = list(nist.MODELS)[: settings["nist_problems"]]
        problems = [nist.load(name, folder) for name in names]
        parts.append(_tables(problems, notes, status))
    else:
        notes["nist"] = (
            "NIST's fits are left out: give --config.least_squares.nist_dir=DIR"
        )
    return SuiteResult(
        ratios=tuple(ratio for part in parts for ratio in part.ratios),
        values=tuple(value for part in parts for value in part.values),
        notes=tuple(note for note in notes.values() if note),
    )


def _single_fits(settings: Mapping[str, Any], status: Status) -> SuiteResult:
    """The net from one start after another, beside optimistix."""
    count, steps = settings["starts"], settings["steps"]
    net = _net(count)
    residual_fn = net.functions["residual_fn"]
    tx = optim.make(METHOD, **settings["method"])
    stop = Stop(gradient=-1.0, target=net.target, steps=steps)
    fits = {
        OWN: jax.jit(lambda x: solve(tx, x, stop=stop, residual_fn=residual_fn).params),
        OPTIMISTIX: optimistix_fits.make_fit(residual_fn, 1e-7, steps, net.target),
    }
    starts = [jax.tree.map(lambda x, i=i: x[i], net.starts) for i in range(count)]
    calls = {
        f"{name}, start {i}": lambda fit=fit, x=x: jax.block_until_ready(fit(x))
        for i, x in enumerate(starts)
        for name, fit in fits.items()
    }
    seconds = interleaved(calls, settings["repeats"], status)

    def medians(name):
        each = [seconds[f"{name}, start {i}"] for i in range(count)]
        return tuple(statistics.median(times) for times in zip(*each, strict=True))

    def reached(fit):
        values = [0.5 * jnp.sum(residual_fn(fit(x)) ** 2) for x in starts]
        return sum(float(value) <= 1.001 * net.target for value in values)

    work = f"LM on sinc(10 x), {net.parameters} weights, to mse {net.target:g}"
    note = f"median of {count} starts, one at a time"
    return SuiteResult(
        (Ratio(work, OPTIMISTIX, medians(OPTIMISTIX), medians(OWN), note),),
        tuple(
            Value(f"{name}: starts that reach {net.target:g}", reached(fit),
                  f"of {count}")
            for name, fit in fits.items()
        ),
    )  # fmt: skip


def _restarts(settings: Mapping[str, Any], status: Status) -> SuiteResult:
    """The net from many starts as lanes of one program, beside SciPy."""
    count, sample = settings["restarts"], settings["scipy_runs"]
    with jax.enable_x64(True):
        net = _net(count)
        params = jax.tree.map(lambda x: x.astype(jnp.float64), net.starts)
        search = multistart.Search(
            lambda point: optim.make(METHOD, **settings["method"], **point),
            net.functions,
        )
        starts = multistart.make_starts(params)
        status(f"compiling {count} restarts")
        layout = parallel.layout("jit", count, 1)
        program = multistart.compile_program(search, starts, layout)
        stop = Stop(gradient=-1.0, target=net.target, steps=settings["steps"])
        found = jax.device_get(program.run(starts, stop))
        _, unravel = ravel_pytree(jax.tree.map(lambda x: x[0], params))
        vectors = np.asarray(jax.vmap(lambda x: ravel_pytree(x)[0])(params))
        make_fit = functools.partial(
            scipy_fits.make_fit,
            lambda x: net.functions["residual_fn"](unravel(x)),
            net.target,
            max_nfev=settings["steps"],
        )
        fits = {SCIPY: make_fit(False), SCIPY_LM: make_fit(True, method="lm")}

        def next_starts(fit, vectors):
            for vector in itertools.islice(vectors, sample):
                fit(vector)

        calls: dict[str, Callable[[], Any]] = {
            name: functools.partial(next_starts, fit, itertools.cycle(vectors))
            for name, fit in fits.items()
        }
        calls[OWN] = lambda: jax.block_until_ready(program.run(starts, stop))
        seconds = interleaved(calls, settings["repeats"], status)
    work = f"{count} restarts of LM on sinc(10 x), to mse {net.target:g}"
    scale, note = count / sample, f"{sample} starts a round x {count / sample:g}"
    reached = int((found.value <= net.target).sum())
    return SuiteResult(
        tuple(
            Ratio(work, name, tuple(scale * each for each in seconds[name]),
                  seconds[OWN], note)
            for name in fits
        ),
        (
            Value(f"restarts that reach {net.target:g}", reached, f"of {count}"),
            Value("steps of a restart, median", float(np.median(found.steps))),
            Value("restarts at a time", program.width),
        ),
    )  # fmt: skip


def _tables(
    problems: Sequence[nist.Regression], missing: Mapping[str, str], status: Status
) -> SuiteResult:
    """NIST's problems from both starts, compiling included, once."""
    config = nist_config.get_config().to_dict()
    make: dict[str, Callable[[nist.Regression], Callable]] = {}
    for method in () if missing["scipy"] else ("lm", "trf"):
        make[f"SciPy {method}"] = lambda problem, method=method: scipy_fits.make_fit(
            problem.residual_fn, method=method, x_scale="jac", max_nfev=2000, **TIGHT
        )
    if not missing["optimistix"]:
        make[OPTIMISTIX] = lambda problem: optimistix_fits.make_fit(
            problem.residual_fn, 1e-12, 2000
        )
    digits: dict[str, list[np.ndarray]] = {}

    def own():
        tx = optim.make(METHOD, **config["optimizers"][METHOD])
        program, _ = nist_study.compile_fit(tx, Stop(**config["stop"]), problems[0])
        digits[OWN] = [nist_study.fit(program, each).digits for each in problems]

    def peer(name):
        digits[name] = []
        for problem in problems:
            fit = make[name](problem)
            ends = np.array([np.asarray(fit(start)) for start in problem.starts])
            digits[name].append(nist.log_relative_error(ends, problem.certified))

    calls = {OWN: own, **{name: functools.partial(peer, name) for name in make}}
    with jax.enable_x64(True):
        seconds = interleaved(calls, 1, status, warm_up=False)
    fits = 2 * len(problems)
    return SuiteResult(
        tuple(
            Ratio(f"NIST, {fits} fits, compiling included", name, seconds[name],
                  seconds[OWN], "one round")
            for name in make
        ),
        tuple(
            Value(f"NIST, four digits by {name}",
                  int((np.concatenate(each) >= config["digits"]).sum()), f"of {fits}")
            for name, each in digits.items()
        ),
    )  # fmt: skip


def _net(starts: int) -> small_nets.Net:
    settings = nets_config.get_config().to_dict()
    return small_nets.make_net("sinc", settings | {"starts": starts}, None)
