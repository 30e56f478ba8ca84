"""BFGS: the inverse Hessian from changes of the gradient, with a line search.

    V+ = V + (1 + r.V r / s.r) s s' / s.r - (s r' V + V r s') / s.r
    d  = V g,    x+ = x - t d

s is the step and r the change of the gradient.

Sources: Broyden 1970, Fletcher 1970, Goldfarb 1970, Shanno 1970; Nocedal, Wright,
Numerical Optimization (2nd ed.), equation 6.17, multiplied out.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from optlab.optim.arguments import checked
from optlab.optim.dense.secant import scale_by_secant


def bfgs_formula(V: jax.Array, s: jax.Array, r: jax.Array) -> jax.Array:  # noqa: N803
    """Computes the symmetric V+ with V+ r = s of BFGS.

    >>> V, s, r = jnp.eye(2), jnp.array([1.0, 0.0]), jnp.array([2.0, 0.0])
    >>> bfgs_formula(V, s, r)
    Array([[0.5, 0. ], [0. , 1. ]], dtype=float32)
    """
    sr, Vr = jnp.vdot(s, r), V @ r  # noqa: N806
    cross = jnp.outer(s, Vr) + jnp.outer(Vr, s)
    return V + ((1 + jnp.vdot(r, Vr) / sr) * jnp.outer(s, s) - cross) / sr


@checked
def bfgs(
    scaling: str = "none", curvature: Any = 0.9, first_step: Any = 0.1
) -> optax.GradientTransformationExtraArgs:
    """Builds the method of Broyden, Fletcher, Goldfarb and Shanno, dense.

    Use it first for smooth functions that are no sums of squares, of up to some
    thousand parameters. Its model comes from gradients of one function, so noisy
    batches mislead it. It starts from one unit for all parameters: in float32 it ends
    early where theirs are far apart (1 and 1e6). Most steps cost one to three gradients
    beside the given one, and with n parameters of the order of n^2 operations and 3 n^2
    numbers, n^2 of them state. Try `newton` next where it is slow or n is small,
    `levenberg_marquardt` for sums of squares, `newton_cg` for large n.

    All numbers may change during a run, by `optax.inject_hyperparams`.

    Args:
      scaling: updates before which V is scaled by the curvature along r, static:
        ``none``, ``first`` (the identity only, for large and well-scaled problems) or
        ``always``.
      curvature: c2 of the line search; smaller for a more exact one.
      first_step: greatest length of the first trial while V is the identity.

    Returns:
      The optimizer. Its state's ``info`` holds the diagnostics of the last search.

    Raises:
      InputError: a number out of its range, unless it is traced; from ``init``, where a
        dense matrix does not fit.

    >>> from optlab.solving import solve
    >>> rosenbrock = lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    >>> solve(bfgs(), jnp.array([-1.2, 1.0]), value_fn=rosenbrock).params.round(3)
    Array([1., 1.], dtype=float32)
    """
    step = scale_by_secant(bfgs_formula, scaling, curvature, first_step, name="bfgs")
    return optax.chain(step, optax.scale(-1.0))
