"""Nonlinear least squares: NIST's 54 fits, and restarts of a small net.

The times of NIST's fits are of whole tables, compiling included: every problem is a
program of its own for a peer, and one program serves all of them in optlab. Those of
the net are warm, of fits until a mean squared error of 1e-4 is reached: optlab and
optimistix in float32, optlab and SciPy in float64.

LAPACK has one thread on all sides, as in every experiment of optlab's: with two,
optimistix takes half as long again, and SciPy as long as with one.
"""

import functools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from configs import nist as nist_config
from configs import small_nets as nets_config
from experiments.benchmarks.peers import missing, optimistix_fits, scipy_fits
from experiments.benchmarks.suite import Bench, Ratio, SuiteResult, Value
from experiments.benchmarks.turns import in_turns
from experiments.studies import nist as nist_study
from experiments.studies import small_nets
from optlab import optim
from optlab.solving import Stop, solve
from optlab.sweep import multistart, parallel
from optlab.testproblems import nist, samples

#: Names of contestants.
OWN, OPTIMISTIX = "optlab", "optimistix LM"
SCIPY, SCIPY_LM = "SciPy trf, as it comes", "SciPy lm, exact Jacobian"

METHOD = "levenberg_marquardt"


def run(settings: Mapping[str, Any], bench: Bench) -> SuiteResult:
    """Runs the fits in turns with their peers.

    Args:
      settings: as in ``configs/bench.py``, ``least_squares``.
      bench: whom to tell.

    Returns:
      Ratios of times, and how many of NIST's fits each solves.
    """
    left_out = [missing("optimistix"), missing("scipy")]
    here = not left_out[0], not left_out[1]
    parts = [_sinc(settings, here, bench), _restarts(settings, here, bench)]
    folder = settings["nist_dir"] or nist.directory()
    if nist.directory().is_dir() or settings["nist_dir"]:
        problems = [nist.load(name, folder) for name in nist.MODELS]
        parts.append(_nist(problems[: settings["nist_problems"]], here, bench))
    else:
        left_out.append("NIST's fits are left out: --config.least_squares.nist_dir=DIR")
    return SuiteResult(
        ratios=sum((part.ratios for part in parts), ()),
        values=sum((part.values for part in parts), ()),
        notes=tuple(line for line in left_out if line),
    )


def _net(settings: Mapping[str, Any], starts: int) -> small_nets.Net:
    known = nets_config.get_config().to_dict()
    return small_nets.make_net("sinc", known | {"starts": starts}, None)


def _sinc(
    settings: Mapping[str, Any], here: tuple[bool, bool], bench: Bench
) -> SuiteResult:
    """One start after another, beside optimistix: seconds of each, medians."""
    if not here[0]:
        return SuiteResult()
    net = _net(settings, settings["starts"])
    residual_fn, steps = net.functions["residual_fn"], settings["steps"]
    tx = optim.make(METHOD, **settings["method"])
    stop = Stop(gradient=-1.0, target=net.target, steps=steps)
    fits = {
        OWN: jax.jit(lambda x: solve(tx, x, stop=stop, residual_fn=residual_fn)),
        OPTIMISTIX: jax.jit(
            optimistix_fits.make_fit(residual_fn, 1e-7, steps, net.target)
        ),
    }
    contestants = {
        f"{name} {i}": functools.partial(_finish, fit, start)
        for i, start in enumerate(_each(net.starts))
        for name, fit in fits.items()
    }
    seconds = in_turns(contestants, settings["repeats"], bench.tell)

    def medians(name: str) -> tuple[float, ...]:
        each = [seconds[f"{name} {i}"] for i in range(settings["starts"])]
        return tuple(statistics.median(turn) for turn in zip(*each, strict=True))

    losses = {
        name: [_loss(residual_fn, _params(fit(x))) for x in _each(net.starts)]
        for name, fit in fits.items()
    }
    return SuiteResult(
        ratios=(
            Ratio("LM on sinc(10 x), 61 weights, to mse 1e-4", OPTIMISTIX,
                  medians(OPTIMISTIX), medians(OWN), 10.0,
                  f"median of {settings['starts']} starts, one at a time"),
        ),
        values=tuple(
            Value(f"{name}: starts that reach 1e-4",
                  sum(loss <= 1.001 * net.target for loss in each),
                  f"of {settings['starts']}")
            for name, each in losses.items()
        ),
    )  # fmt: skip


def _restarts(
    settings: Mapping[str, Any], here: tuple[bool, bool], bench: Bench
) -> SuiteResult:
    """Many restarts as lanes of one program, beside SciPy run as often."""
    if not here[1]:
        return SuiteResult()
    count, of_peer = settings["restarts"], settings["scipy_runs"]
    with jax.enable_x64(True):
        net = _net(settings, count)
        starts = jax.tree.map(lambda x: x.astype(jnp.float64), net.starts)
        search = multistart.Search(
            lambda point: optim.make(METHOD, **settings["method"], **point),
            net.functions,
        )
        lanes = multistart.make_starts(starts)
        layout = parallel.layout("jit", count, [1])
        bench.tell(f"compiling {count} restarts")
        program, _ = multistart.compile_fastest(search, lanes, layout)
        stop = Stop(gradient=-1.0, target=net.target, steps=settings["steps"])
        vectors = [np.asarray(ravel_pytree(each)[0]) for each in _each(starts)]
        found = jax.device_get(program.run(lanes, stop))
        examples = samples.load("sinc")
        hidden = len(vectors[0]) // 3
        residuals, jacobian = scipy_fits.sinc_net(
            examples.inputs[:, 0], examples.targets[:, 0], hidden
        )
        _check_same(net.functions["residual_fn"], residuals, starts, vectors)
        turn = iter(range(10**9))

        def scipy_runs(**options):
            first = next(turn) * of_peer % count
            for vector in vectors[first : first + of_peer]:
                scipy_fits.fit(residuals, vector, net.target, **options)

        contestants = {
            OWN: lambda: jax.block_until_ready(program.run(lanes, stop)),
            SCIPY: lambda: scipy_runs(max_nfev=settings["steps"]),
            SCIPY_LM: lambda: scipy_runs(
                method="lm", jac=jacobian, max_nfev=settings["steps"]
            ),
        }
        seconds = in_turns(contestants, settings["repeats"], bench.tell)
    work = f"{count} restarts of LM on sinc(10 x), to mse 1e-4"
    scale, note = count / of_peer, f"{of_peer} runs a turn x {count // of_peer}"
    return SuiteResult(
        ratios=tuple(
            Ratio(work, name, tuple(scale * each for each in seconds[name]),
                  seconds[OWN], target, note)
            for name, target in ((SCIPY, 20.0), (SCIPY_LM, None))
        ),
        values=(
            Value("restarts that reach 1e-4", int((found.value <= net.target).sum()),
                  f"of {count}"),
            Value("steps of a restart, median", float(np.median(found.steps))),
            Value("restarts that run at a time", program.width),
        ),
    )  # fmt: skip


def _nist(problems: list, here: tuple[bool, bool], bench: Bench) -> SuiteResult:
    """Whole tables, compiling included, one turn each."""
    config = nist_config.get_config().to_dict()
    tables: dict[str, Callable] = {OWN: functools.partial(_own_table, config)}
    if here[1]:
        tables |= {
            f"SciPy {method}": functools.partial(_scipy_table, method)
            for method in ("lm", "trf")
        }
    if here[0]:
        tables[OPTIMISTIX] = _optimistix_table
    seconds, solved = {}, {}
    with jax.enable_x64(True):
        runs = {name: functools.partial(run, problems) for name, run in tables.items()}
        for name, table in runs.items():
            bench.tell(f"NIST's fits by {name}")
            started = time.perf_counter()
            digits = table()
            seconds[name] = (time.perf_counter() - started,)
            solved[name] = int((np.concatenate(digits) >= config["digits"]).sum())
    work = f"NIST, {2 * len(problems)} fits, compiling included"
    return SuiteResult(
        ratios=tuple(
            Ratio(work, name, seconds[name], seconds[OWN], None, "one turn")
            for name in seconds
            if name != OWN
        ),
        values=(
            Value("NIST by optlab's LM, compiling included", seconds[OWN][0], "s",
                  most=12.0),
            *(
                Value(f"NIST, four digits by {name}", count, f"of {2 * len(problems)}")
                for name, count in solved.items()
            ),
        ),
    )  # fmt: skip


def _own_table(config: Mapping[str, Any], problems: list) -> list[np.ndarray]:
    tx = optim.make(METHOD, **config["optimizers"][METHOD])
    stop = Stop(**config["stop"])
    program, _ = nist_study.compile_fit(tx, stop, problems[0])
    return [nist_study.fit(program, problem).digits for problem in problems]


def _scipy_table(method: str, problems: list) -> list[np.ndarray]:
    """The Jacobian by forward mode, compiled; scaled by it, as MINPACK does."""
    digits = []
    for problem in problems:
        values = jax.jit(problem.residual_fn)
        slopes = jax.jit(jax.jacfwd(problem.residual_fn))
        found = [
            scipy_fits.fit(
                lambda b, f=values: np.asarray(f(b)),
                start,
                jac=lambda b, f=slopes: np.asarray(f(b)),
                method=method,
                x_scale="jac",
                ftol=1e-15,
                xtol=1e-15,
                gtol=1e-15,
                max_nfev=2000,
            )
            for start in problem.starts
        ]
        digits.append(nist.log_relative_error(np.array(found), problem.certified))
    return digits


def _optimistix_table(problems: list) -> list[np.ndarray]:
    digits = []
    for problem in problems:
        fit = jax.jit(optimistix_fits.make_fit(problem.residual_fn, 1e-12, 2000))
        found = [np.asarray(fit(jnp.asarray(start))[0]) for start in problem.starts]
        digits.append(nist.log_relative_error(np.array(found), problem.certified))
    return digits


def _each(starts: Any) -> list[Any]:
    """Start by start."""
    count = len(jax.tree.leaves(starts)[0])
    return [jax.tree.map(lambda x, i=i: x[i], starts) for i in range(count)]


def _finish(fit: Callable, start: Any) -> Any:
    return jax.block_until_ready(fit(start))


def _params(found: Any) -> Any:
    return found.params if hasattr(found, "params") else found[0]


def _loss(residual_fn: Callable, params: Any) -> float:
    return float(0.5 * jnp.sum(residual_fn(params) ** 2))


def _check_same(residual_fn: Callable, by_hand: Callable, starts: Any, vectors: list):
    """Both sides fit the same function: an honest benchmark checks it."""
    own = residual_fn(jax.tree.map(lambda x: x[0], starts))
    np.testing.assert_allclose(own.ravel(), by_hand(vectors[0]), atol=1e-12)
