"""Nonlinear least squares: fits of a small net, many restarts of it, NIST's 54 fits.

Fits of the net are warm and end at a mean squared error of 1e-4: optlab and optimistix
in float32, optlab and SciPy in float64. NIST's fits are timed as a whole table,
compiling included, which optlab's program does fast rather than well: every problem is
a program of its own for a peer, and one program serves all of them in optlab, start by
start. Fits and steps with fewer outputs than parameters are in
``dual``. LAPACK has one thread on all sides.
"""

import functools
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from configs import nist as nist_config
from configs import small_nets as nets_config
from experiments.benchmarks import dual
from experiments.benchmarks.peers import missing, optimistix_fits, scipy_fits
from experiments.benchmarks.suite import Ratio, SuiteResult, Value
from experiments.benchmarks.timing import Status, interleaved
from experiments.studies import small_nets
from optlab import optim
from optlab.solving import Stop, solve
from optlab.sweep import compiler, multistart, parallel
from optlab.testproblems import nist

# Names of the timed programs.
OWN, OPTIMISTIX = "optlab", "optimistix LM"
SCIPY, SCIPY_LM = "SciPy trf, differences", "SciPy lm, exact Jacobian"
FAST = ", compiled as fast"  # a peer's functions, with the options of our program

METHOD = "levenberg_marquardt"

#: Tolerances of SciPy on NIST's problems.
TIGHT = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)


def run(settings: Mapping[str, Any], status: Status) -> SuiteResult:
    """Times the fits, interleaved with the peers'; counts those that each solves."""
    peers = "optimistix", "scipy", "nlls_gram", "somax"
    notes = {name: missing(name) for name in peers}
    problems = []
    folder = Path(settings["nist_dir"] or nist.directory())
    if settings["nist_dir"] or folder.is_dir():
        names = list(nist.MODELS)[: settings["nist_problems"]]
        problems = [nist.load(name, folder) for name in names]
    found = dual.run(settings, notes, status)
    if not notes["optimistix"]:
        found += _single_fits(settings, status)
    if not notes["scipy"]:
        with jax.enable_x64(True):
            found += _restarts(settings, status)
    if problems:
        with jax.enable_x64(True):
            found += _tables(problems, notes, status)
    else:
        notes["nist"] = (
            "NIST's fits are left out: give --config.least_squares.nist_dir=DIR"
        )
    return SuiteResult(
        ratios=tuple(each for each in found if isinstance(each, Ratio)),
        values=tuple(each for each in found if isinstance(each, Value)),
        notes=tuple(note for note in notes.values() if note),
    )


def _single_fits(settings: Mapping[str, Any], status: Status) -> list[Ratio | Value]:
    """Fits the net from one start after another, beside optimistix."""
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
    own, peer = (
        tuple(np.median([seconds[f"{name}, start {i}"] for i in range(count)], axis=0))
        for name in fits
    )
    work = f"LM on sinc(10 x), {net.parameters} weights, to mse {net.target:g}"
    found: list[Ratio | Value] = [
        Ratio(work, OPTIMISTIX, peer, own, f"median of {count} starts, one at a time")
    ]
    for name, fit in fits.items():
        values = [float(0.5 * jnp.sum(residual_fn(fit(x)) ** 2)) for x in starts]
        reached = sum(value <= 1.001 * net.target for value in values)
        text = f"{name}: starts that reach {net.target:g}"
        found.append(Value(text, reached, f"of {count}"))
    return found


def _restarts(settings: Mapping[str, Any], status: Status) -> list[Ratio | Value]:
    """Fits the net from many starts, the lanes of one program, beside SciPy."""
    count, sample = settings["restarts"], settings["scipy_runs"]
    net = _net(count)
    params = jax.tree.map(lambda x: x.astype(jnp.float64), net.starts)
    search = multistart.Search(
        lambda point: optim.make(METHOD, **settings["method"], **point), net.functions
    )
    starts = multistart.make_starts(params)
    status(f"compiling {count} restarts")
    layout = parallel.layout("jit", count, 1)
    program = multistart.compile_program(search, starts, layout)
    stop = Stop(gradient=-1.0, target=net.target, steps=settings["steps"])
    solution = jax.device_get(program.run(starts, stop))
    _, unravel = ravel_pytree(jax.tree.map(lambda x: x[0], params))
    vectors = np.asarray(jax.vmap(lambda x: ravel_pytree(x)[0])(params))

    def scipy_fits_of(*args, **options):  # the next few starts, round by round
        residual_fn = lambda x: net.functions["residual_fn"](unravel(x))  # noqa: E731
        options["max_nfev"] = settings["steps"]
        fit = scipy_fits.make_fit(residual_fn, net.target, *args, **options)
        ahead = itertools.cycle(vectors)
        return lambda: [fit(next(ahead)) for _ in range(sample)]

    calls = {
        SCIPY: scipy_fits_of(False),
        SCIPY_LM: scipy_fits_of(True, method="lm"),
        OWN: lambda: jax.block_until_ready(program.run(starts, stop)),
    }
    seconds = interleaved(calls, settings["repeats"], status)
    work = f"{count} restarts of LM on sinc(10 x), to mse {net.target:g}"
    scale, note = count / sample, f"{sample} starts a round x {count / sample:g}"
    reached = int((solution.value <= net.target).sum())
    return [
        *(
            Ratio(
                work, name, tuple(scale * x for x in seconds[name]), seconds[OWN], note
            )
            for name in (SCIPY, SCIPY_LM)
        ),
        Value(f"restarts that reach {net.target:g}", reached, f"of {count}"),
        Value("steps of a restart, median", float(np.median(solution.steps))),
        Value("restarts at a time", program.width),
    ]


def _tables(
    problems: list[nist.Regression], missing: Mapping[str, str], status: Status
) -> list[Ratio | Value]:
    """Fits NIST's problems from both starts, compiling included, once."""
    config = nist_config.get_config().to_dict()
    digits: dict[str, np.ndarray] = {}

    def own():
        tx = optim.make(METHOD, **config["optimizers"][METHOD])
        stop = Stop(**config["stop"])

        @functools.partial(jax.jit, compiler_options=compiler.in_a_hurry())
        def fit(data, start):
            # One trace of the models, which the method evaluates in several places.
            residual_fn = jax.jit(data.residual_fn)
            return solve(tx, start, residual_fn=residual_fn, stop=stop).params

        found = []
        for problem in problems:
            data, starts = nist.pad(problem)
            ends = np.array([fit(data, start) for start in starts])
            ends = ends[:, : problem.certified.size]
            found.append(nist.log_relative_error(ends, problem.certified))
        digits[OWN] = np.concatenate(found)

    def peer(name, make_fit, *args, **options):
        digits[name] = np.zeros(0)
        for problem in problems:
            fit = make_fit(problem.residual_fn, *args, **options)
            ends = np.array([np.asarray(fit(start)) for start in problem.starts])
            found = nist.log_relative_error(ends, problem.certified)
            digits[name] = np.append(digits[name], found)

    calls: dict[str, Callable[[], None]] = {OWN: own}
    options = {"x_scale": "jac", "max_nfev": 2000} | TIGHT
    for method in () if missing["scipy"] else ("lm", "trf"):
        for note, chosen in (("", None), (FAST, compiler.in_a_hurry())):
            name = f"SciPy {method}{note}"
            calls[name] = functools.partial(
                peer,
                name,
                scipy_fits.make_fit,
                method=method,
                compiler_options=chosen,
                **options,
            )
    if not missing["optimistix"]:
        make_fit = optimistix_fits.make_fit
        calls[OPTIMISTIX] = functools.partial(peer, OPTIMISTIX, make_fit, 1e-12, 2000)
    seconds = interleaved(calls, 1, status, warm_up=False)
    fits = 2 * len(problems)
    work = f"NIST, {fits} fits, compiling included"
    ratios = [
        Ratio(work, name, seconds[name], seconds[OWN], "one round")
        for name in calls
        if name != OWN
    ]
    solved = {name: int((x >= config["digits"]).sum()) for name, x in digits.items()}
    return ratios + [
        Value(f"NIST, four digits by {name}", number, f"of {fits}")
        for name, number in solved.items()
    ]


def _net(starts: int) -> small_nets.Net:
    settings = nets_config.get_config().to_dict()
    return small_nets.make_net("sinc", settings | {"starts": starts}, None)
