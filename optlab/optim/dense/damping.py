"""Damping of Levenberg-Marquardt: rules for its size, and its scaling.

    trainlm   nu+ = decrease * nu          after an accepted step, increase * nu else
    nielsen   nu+ = nu * max(decrease, 1 - (2 rho - 1)^3)    after an accepted step
              nu+ = nu * v, v+ = 2 v       after the first, second, ... rejection
    D         I, diag(G), the maximum of diag(G) so far, or a maximum that fades

Sources: Hagan, Menhaj, IEEE Trans. Neural Networks 5 (1994), as in MATLAB's trainlm;
Nielsen, IMM-REP-1999-05, DTU, eq. (2.8); Marquardt, SIAM J. Appl. Math. 11 (1963);
More, The Levenberg-Marquardt Algorithm, LNM 630 (1978), section 6 (the maximum).
"""

from typing import Any

import jax
import jax.numpy as jnp

# Rule to the factors (decrease, increase) of its source.
RULES = {"trainlm": (0.1, 10.0), "nielsen": (1 / 3, 2.0)}
# Scaling to the share of the last maximum that a step keeps. A plain maximum never
# forgets the start, where a column of J may be 1e20 times as long as at the solution.
SCALINGS = {"identity": None, "marquardt": 0.0, "more": 1.0, "fading": 0.9}


def next_damping(
    rule: str,
    nu: Any,
    growth: Any,
    ratio: Any,
    accepted: Any,
    factors: tuple[Any, Any],
) -> tuple[jax.Array, jax.Array]:
    """Computes the damping after a trial, and Nielsen's growth factor.

    Args:
      rule: key of ``RULES``.
      nu: damping of the trial.
      growth: Nielsen's growth factor v at the trial.
      ratio: gain ratio rho of the trial.
      accepted: bool, whether the step was taken.
      factors: decrease and increase.

    Returns:
      The next nu and v.

    >>> nu, v = next_damping("nielsen", 1.0, 2.0, 1.0, jnp.array(True), (1 / 3, 2.0))
    >>> round(float(nu), 4), float(v)
    (0.3333, 2.0)
    >>> nu, v = next_damping("nielsen", 1.0, 2.0, -1.0, jnp.array(False), (1 / 3, 2.0))
    >>> float(nu), float(v)
    (2.0, 4.0)
    """
    decrease, increase = factors
    if rule == "trainlm":
        return nu * jnp.where(accepted, decrease, increase), growth
    shrink = jnp.maximum(decrease, 1 - (2 * ratio - 1) ** 3)
    nu = nu * jnp.where(accepted, shrink, growth)
    return nu, jnp.where(accepted, increase, 2 * growth)


def next_scale(scaling: str, before: jax.Array, here: Any) -> jax.Array:
    """Computes the damping's scale D from the last one and the problem near x.

    Guard: 1 in place of a zero, for a parameter that no output depends on.

    Args:
      scaling: key of ``SCALINGS``.
      before: last scale, [n], or a scalar for ``identity``; zeros at the start.
      here: `least_squares.Local` problem.

    Returns:
      D [n], or a scalar for ``identity``.

    >>> from types import SimpleNamespace
    >>> here = SimpleNamespace(diagonal=jnp.array([1.0, 2.0]))
    >>> next_scale("fading", jnp.array([10.0, 1.0]), here)
    Array([9., 2.], dtype=float32)
    """
    memory = SCALINGS[scaling]
    now = here.curvature if memory is None else here.diagonal
    scale = now if memory is None else jnp.maximum(memory * before, now)
    return jnp.where((scale > 0) & jnp.isfinite(scale), scale, 1.0)
