"""The exact step in a trust region, by the eigenvalues of the Hessian.

    s minimizes -g.s + s.H s / 2  over |s| <= radius
    H = Q diag(l) Q^T,   c = Q^T g,   s = Q (c / (l + nu))
    nu = 0                             where H is positive definite and |s| <= radius
    nu >= -min(l) with |s| = radius    otherwise

Source: More, Sorensen, Computing a Trust Region Step, SIAM J. Sci. Stat. Comput. 4
(1983), sections 2 and 3.
"""

from typing import Any

import jax
import jax.numpy as jnp

# The root nu is found to this share of the radius, which itself is a guess. Bisection
# steps in where Newton's iteration leaves its bracket, hence the generous count.
RADIUS_TOLERANCE = 1e-2
MAX_ITERATIONS = 60


def secular_shift(l: jax.Array, c: jax.Array, radius: Any) -> jax.Array:  # noqa: E741
    """Finds the smallest nu >= 0 with l + nu >= 0 and |c / (l + nu)| <= radius.

    Newton's iteration on 1/|s| - 1/radius, which is almost linear in nu.

    Returns:
      nu, to ``RADIUS_TOLERANCE``. In the hard case no nu > -min(l) makes the step long
      enough, and the result is -min(l).

    >>> nu = secular_shift(jnp.array([-1.0, 2.0]), jnp.array([3.0, 0.0]), 1.5)
    >>> round(float(nu), 1)
    3.0
    """
    low = jnp.maximum(-jnp.min(l), 0.0)
    high = jnp.maximum(jnp.linalg.norm(c) / radius - jnp.min(l), low)
    step_at = lambda nu: jnp.where(c == 0, 0.0, c / (l + nu))  # noqa: E731
    interior = (jnp.min(l) > 0) & (jnp.linalg.norm(step_at(0.0)) <= radius)

    def going(carry):
        nu, low, high, k = carry
        miss = jnp.abs(jnp.linalg.norm(step_at(nu)) / radius - 1)
        open_ = high - low > 4 * jnp.finfo(l.dtype).eps * high
        # Not (miss <= ...): where s overflows, miss is no number.
        return ~interior & ~(miss <= RADIUS_TOLERANCE) & open_ & (k < MAX_ITERATIONS)

    def iterate(carry):
        nu, low, high, k = carry
        s = step_at(nu)
        norm = jnp.linalg.norm(s)
        short = norm <= radius
        low, high = jnp.where(short, low, nu), jnp.where(short, nu, high)
        newton = nu + (norm / radius - 1) * norm**2 / jnp.sum(s**2 / (l + nu))
        inside = (newton > low) & (newton < high)
        return jnp.where(inside, newton, 0.5 * (low + high)), low, high, k + 1

    nu = jax.lax.while_loop(going, iterate, (high, low, high, 0))[0]
    return jnp.where(interior, 0.0, nu)


def exact_step(
    H: jax.Array,  # noqa: N803
    g: jax.Array,
    radius: Any,
    damping: Any = 0.0,
    absolute: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Minimizes -g.s + s.(H + damping I) s / 2 over steps with |s| <= radius.

    ``absolute`` (static) takes the absolute values of H's eigenvalues.

    Returns:
      s [n], to be subtracted, and the decrease that the model predicts.

    >>> H = jnp.array([[2.0, 1.0], [1.0, 3.0]])
    >>> exact_step(H, jnp.array([4.0, 7.0]), 10.0)[0].round(4)
    Array([1., 2.], dtype=float32)
    """
    l, Q = jnp.linalg.eigh(H)  # noqa: E741, N806
    l = (jnp.abs(l) if absolute else l) + damping  # noqa: E741
    c = g @ Q
    # Guard: where curvature and slope are both only rounding, there is nothing to
    # gain; a rounding below zero would be followed all the way to the boundary.
    eps, largest = jnp.finfo(l.dtype).eps, jnp.max(jnp.abs(l))
    flat = (jnp.abs(l) <= 4 * eps * largest) & (
        jnp.abs(c) <= 4 * eps * jnp.linalg.norm(c)
    )
    l, c = jnp.where(flat, largest, l), jnp.where(flat, 0.0, c)  # noqa: E741
    nu = secular_shift(l, c, radius)
    # Guard: where l + nu is only rounding, c / (l + nu) is noise; the step is extended
    # to the boundary along the eigenvector instead (the hard case).
    resolved = l + nu > 4 * eps * largest
    s = jnp.where(resolved, c / jnp.where(resolved, l + nu, 1.0), 0.0)
    missing = jnp.sqrt(jnp.maximum(radius**2 - jnp.vdot(s, s), 0.0))
    lowest = jnp.argmin(l)
    fill = jnp.where(c[lowest] < 0, -missing, missing)
    hard = (nu > 0) & ~resolved[lowest]
    s = s.at[lowest].set(jnp.where(hard, fill, s[lowest]))
    return Q @ s, jnp.vdot(c, s) - 0.5 * jnp.vdot(l * s, s)
