"""somax's Gauss-Newton steps for cross-entropy, exact or stochastic."""

from collections.abc import Callable
from typing import Any

import jax


def make_steps(
    method: str, predict_fn: Callable, damping: float
) -> Callable[[Any, jax.Array, jax.Array], Any]:
    """Makes a compiled function that takes a Gauss-Newton step on each batch.

    It takes parameters, batches of inputs and batches of labels, and returns the last
    parameters. Of somax's methods ``egn_ce`` factorizes a matrix and ``sgn_ce`` forms
    none; the damping is absolute and constant.
    """
    import somax  # pyright: ignore[reportMissingImports]

    tx = getattr(somax, method)(predict_fn=predict_fn, lam0=damping)

    @jax.jit
    def steps(params, inputs, labels):
        def step(carry, batch):
            params, state = carry
            data = {"x": batch[0], "y": batch[1]}
            params, state, _ = tx.step(params, data, state, jax.random.key(0))
            return (params, state), ()

        first = params, tx.init(params)
        return jax.lax.scan(step, first, (inputs, labels))[0][0]

    return steps
