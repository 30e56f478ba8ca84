"""Fits and steps with fewer outputs than parameters, where an m x m system is enough.

- Levenberg-Marquardt by its defaults: 100 residuals of a tanh net of one input and
  4,000 weights, y = sin 4x, 20 steps, beside nlls-gram; timed from one start, and the
  half square where it ends is the median of eight.
- Gauss-Newton with damping 1 for cross-entropy on digits: batches of 64, a tanh net
  64-30-10 of 2,260 weights, 640 outputs, 30 steps, beside somax.

All in float32. somax damps in another unit, so that the steps and losses of the two
differ.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks.peers import nlls_gram_fits, somax_steps
from experiments.benchmarks.suite import Ratio, Value
from experiments.benchmarks.timing import Status, interleaved
from optlab import data, losses, optim
from optlab.optim.contract import extra_args
from optlab.solving import Stop, solve

RESIDUALS, UNITS, FIT_STEPS, STARTS = 100, 1_333, 20, 8
HIDDEN, BATCH_SIZE, STEPS, DAMPING = 30, 64, 30, 1.0
# Solver of Gauss-Newton to somax's method of the same kind.
SOMAX = {"cholesky": "egn_ce", "cg": "sgn_ce"}


def run(
    settings: Mapping[str, Any], notes: Mapping[str, str], status: Status
) -> list[Ratio | Value]:
    """Runs fits and steps, interleaved with those of the peers that are installed.

    ``notes`` maps a package to the line that says that it is missing, empty where it is
    not. Returns ratios of times, and the losses where each ends.
    """
    repeats = settings["repeats"]
    found: list[Ratio | Value] = []
    if not notes["nlls_gram"]:
        found += _fits(repeats, status)
    if not notes["somax"]:
        found += _steps(repeats, status)
    return found


def _fits(repeats: int, status: Status) -> list[Ratio | Value]:
    x = jnp.linspace(-1.0, 1.0, RESIDUALS)[:, None]

    def residual_fn(params):
        outputs = net(params, x)[:, 0]
        return (outputs - jnp.sin(4 * x[:, 0])) / RESIDUALS**0.5

    starts = [weights(1, UNITS, 1, seed) for seed in range(STARTS)]
    tx = optim.make("levenberg_marquardt")
    stop = Stop(gradient=-1.0, step=-1.0, rounding=-1, steps=FIT_STEPS)
    fits = {
        "optlab LM": lambda w: solve(tx, w, residual_fn=residual_fn, stop=stop).params,
        "nlls-gram LM": nlls_gram_fits.make_fit(residual_fn, FIT_STEPS),
    }
    size = sum(leaf.size for leaf in jax.tree.leaves(starts[0]))
    work = f"LM, {RESIDUALS} residuals, {size:,} weights, {FIT_STEPS} steps"

    def half_square(params):
        return 0.5 * jnp.sum(residual_fn(params) ** 2)

    given = [(start,) for start in starts]
    return _compared(work, fits, given, half_square, repeats, status)


def _steps(repeats: int, status: Status) -> list[Ratio | Value]:
    digits = data.load("digits")
    split = digits.train
    inputs = digits.prepare(jnp.asarray(split.inputs)).reshape(len(split.inputs), -1)
    labels = jnp.asarray(split.targets)
    order = jax.random.permutation(jax.random.key(1), jnp.arange(STEPS * BATCH_SIZE))
    order = (order % len(labels)).reshape(STEPS, BATCH_SIZE)
    start = weights(inputs.shape[1], HIDDEN, 10)
    arguments = start, inputs[order], labels[order]

    def loss(params):
        return losses.cross_entropy(net(params, inputs), labels).mean()

    found: list[Ratio | Value] = []
    for solver, peer in SOMAX.items():
        programs = {
            f"optlab gauss_newton, {solver}": jax.jit(_own_steps(solver)),
            f"somax {peer}": somax_steps.make_steps(peer, net, DAMPING),
        }
        work = f"Gauss-Newton, {solver}, {STEPS} batches of {BATCH_SIZE} digits"
        found += _compared(work, programs, [arguments], loss, repeats, status)
    return found


def _own_steps(solver: str) -> Callable[..., Any]:
    tx = optim.make("gauss_newton", damping=DAMPING, solver=solver)

    def step(carry, batch):
        (params, state), (x, y) = carry, batch
        output_fn = lambda params: net(params, x)  # noqa: E731
        loss_fn = lambda z: losses.cross_entropy(z, y).mean()  # noqa: E731
        value_fn = lambda params: loss_fn(output_fn(params))  # noqa: E731
        value, g = jax.value_and_grad(value_fn)(params)
        functions = {"output_fn": output_fn, "output_loss_fn": loss_fn}
        given = extra_args(params, value, g, value_fn=value_fn, **functions)
        updates, state = tx.update(g, state, params, **given)
        return (optax.apply_updates(params, updates), state), ()

    def steps(params, inputs, labels):
        return jax.lax.scan(step, (params, tx.init(params)), (inputs, labels))[0][0]

    return steps


def _compared(
    work: str,
    programs: Mapping[str, Callable],
    given: Sequence[tuple[Any, ...]],
    loss: Callable,
    repeats: int,
    status: Status,
) -> list[Ratio | Value]:
    """Times two programs, the own one first, and evaluates where they end.

    They are timed with the first of the given arguments; the losses are medians.
    """
    calls = {
        name: lambda program=program: jax.block_until_ready(program(*given[0]))
        for name, program in programs.items()
    }
    ends = {
        name: [float(loss(program(*arguments))) for arguments in given]
        for name, program in programs.items()
    }
    seconds = interleaved(calls, repeats, status)
    own, peer = programs
    return [
        Ratio(work, peer, seconds[peer], seconds[own]),
        *(
            Value(f"{work}: loss at the end of {name}", float(np.median(each)))
            for name, each in ends.items()
        ),
    ]


def net(params: Any, x: jax.Array) -> jax.Array:
    """Computes outputs [B, k] of a tanh net with one hidden layer, x [B, d]."""
    return jnp.tanh(x @ params["v"] + params["c"]) @ params["w"] + params["b"]


def weights(
    inputs: int, hidden: int, outputs: int, seed: int = 0
) -> dict[str, jax.Array]:
    """Draws the weights of `net`, normal with LeCun's variance."""
    first, second = jax.random.split(jax.random.key(seed))
    draw = jax.nn.initializers.lecun_normal()
    return {
        "v": draw(first, (inputs, hidden)),
        "c": jnp.zeros(hidden),
        "w": draw(second, (hidden, outputs)),
        "b": jnp.zeros(outputs),
    }
