"""The test of a tried step by its gain ratio, shared by all methods with a model.

    rho = (f(x) - f(x + s) + e) / (m(0) - m(s) + e),     e = 10 eps |f(x)|

with m the method's model. Near a minimum both decreases sink below the rounding of f,
and their plain ratio is noise; e pulls it to 1 there, so that the last steps, which
improve x but no longer f, are taken.

Source: Conn, Gould, Toint, Trust-Region Methods, SIAM 2000, section 17.4.2.
"""

import jax
import jax.numpy as jnp

# Armijo's constant: any step that gains this share of the prediction is progress.
SUFFICIENT = 1e-4


def rounding_of(value: jax.Array) -> jax.Array:
    """Computes e, the decrease of f that may be rounding only.

    >>> float(rounding_of(jnp.array(1.0))) == 10 * float(jnp.finfo(jnp.float32).eps)
    True
    """
    limits = jnp.finfo(value.dtype)
    # The tiniest number saves 0 / 0 at a minimum whose value is exactly zero.
    return 10 * limits.eps * jnp.abs(value) + limits.tiny


def judge(
    value: jax.Array,
    decrease: jax.Array,
    predicted: jax.Array,
    sufficient: jax.Array | float = SUFFICIENT,
) -> tuple[jax.Array, jax.Array]:
    """Computes the gain ratio of a tried step, and decides whether to take it.

    Args:
      value: f(x), scalar.
      decrease: f(x) - f(x + s), scalar; one that is not finite is a rejection.
      predicted: m(0) - m(s), scalar, positive where the model is convex.
      sufficient: greatest ratio that is still refused.

    Returns:
      The ratio rho (NaN where a decrease is not finite) and the bool ``accepted``.

    >>> ratio, accepted = judge(jnp.array(2.0), jnp.array(1.0), jnp.array(1.0))
    >>> round(float(ratio), 4), bool(accepted)
    (1.0, True)
    >>> judge(jnp.array(2.0), jnp.array([-1.0, jnp.nan]), jnp.array(1.0))[1].tolist()
    [False, False]
    """
    rounding = rounding_of(value)
    ratio = (decrease + rounding) / (predicted + rounding)
    ratio = jnp.where(jnp.isfinite(decrease), ratio, jnp.nan)
    return ratio, (ratio > sufficient) & (predicted >= 0)
