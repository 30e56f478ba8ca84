"""Damping of Levenberg-Marquardt: rules for its size, and its scaling.

    trainlm   nu+ = decrease * nu          after an accepted step, increase * nu else
    nielsen   nu+ = nu * max(decrease, 1 - (2 q - 1)^3)      after an accepted step
              nu+ = nu * v, v+ = 2 v       after the first, second, ... rejection
              q = rho up to 1, and max(2 - rho, 1/2) beyond
    D         c I with c = g.G g / g.g, the curvature along the gradient;
              d = diag(G), its maximum so far, or a maximum that fades;
              balanced: d min(sqrt(max(d) / d), 10) of the last one

Sources: Hagan, Menhaj, IEEE Trans. Neural Networks 5 (1994), as in MATLAB's trainlm;
Nielsen, IMM-REP-1999-05, DTU, eq. (2.8), where q = rho; Marquardt, SIAM J. Appl. Math.
11 (1963); More, The Levenberg-Marquardt Algorithm, LNM 630 (1978), section 6 (the
maximum).
"""

from typing import Any

import jax
import jax.numpy as jnp

# Rule to the factors (decrease, increase) of its source.
RULES = {"trainlm": (0.1, 10.0), "nielsen": (1 / 3, 2.0)}
# Scaling to the share of the last maximum that a step keeps. A plain maximum never
# forgets the start, where a column of J may be 1e20 times as long as at the solution.
SCALINGS = {"identity": None, "marquardt": 0.0, "more": 1.0, "fading": 0.9}
SCALINGS["balanced"] = SCALINGS["fading"]
# Entries of a balanced scale are at most this factor above those of a fading one.
BALANCE = 10.0


def next_damping(
    rule: str,
    nu: Any,
    growth: Any,
    ratio: Any,
    accepted: Any,
    factors: tuple[Any, Any],
) -> tuple[jax.Array, jax.Array]:
    """Computes the damping after a trial, and Nielsen's growth factor.

    A step that gains twice what the model promised agrees with it as little as one that
    gains nothing: by Nielsen's rule beyond 1 too, the next steps would be rejected.

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
    agreement = jnp.where(ratio > 1, jnp.maximum(2 - ratio, 0.5), ratio)
    shrink = jnp.maximum(decrease, 1 - (2 * agreement - 1) ** 3)
    nu = nu * jnp.where(accepted, shrink, growth)
    return nu, jnp.where(accepted, increase, 2 * growth)


def next_scale(
    scaling: str, before: jax.Array, here: Any
) -> tuple[jax.Array, jax.Array]:
    """Computes the memory of the damping's scale, and the scale D itself.

    A balanced D lies between c I, with which nets converge fastest, and diag(G), which
    parameters in units far apart need. Guard: 1 in place of a zero, for a parameter
    that no output depends on.

    Args:
      scaling: key of ``SCALINGS``.
      before: last memory, [n], or a scalar for ``identity``; zeros at the start.
      here: `least_squares.Local` problem.

    Returns:
      The next memory and D, both [n], or scalars for ``identity``.

    >>> from types import SimpleNamespace
    >>> here = SimpleNamespace(diagonal=jnp.array([1.0, 4.0]))
    >>> next_scale("fading", jnp.array([10.0, 1.0]), here)[1]
    Array([9., 4.], dtype=float32)
    >>> next_scale("balanced", jnp.zeros(2), here)[1]
    Array([2., 4.], dtype=float32)
    """
    share = SCALINGS[scaling]
    now = here.curvature if share is None else here.diagonal
    memory = now if share is None else jnp.maximum(share * before, now)
    usable = (memory > 0) & jnp.isfinite(memory)
    memory = jnp.where(usable, memory, 0.0)
    scale = jnp.where(usable, memory, 1.0)
    if scaling == "balanced":
        raised = jnp.sqrt(jnp.max(memory)) / jnp.sqrt(scale)
        scale = scale * jnp.where(usable, jnp.minimum(raised, BALANCE), 1.0)
    return memory, scale
