"""DFP: the first quasi-Newton method; BFGS with the roles of s and r exchanged.

    V+ = V + s s' / s.r - V r r' V / r.V r
    d  = V g,    x+ = x - t d

s is the step and r the change of the gradient.

Sources: Davidon 1959; Fletcher, Powell, Computer Journal 6 (1963); Nocedal, Wright,
Numerical Optimization (2nd ed.), equation 6.15.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from optlab.optim.arguments import checked
from optlab.optim.dense.secant import scale_by_secant


def dfp_formula(V: jax.Array, s: jax.Array, r: jax.Array) -> jax.Array:  # noqa: N803
    """Computes the symmetric V+ with V+ r = s of DFP.

    >>> V, s, r = jnp.eye(2), jnp.array([1.0, 0.0]), jnp.array([2.0, 0.0])
    >>> dfp_formula(V, s, r)
    Array([[0.5, 0. ], [0. , 1. ]], dtype=float32)
    """
    Vr = V @ r  # noqa: N806
    gain = jnp.outer(s, s) / jnp.vdot(s, r)
    return V + gain - jnp.outer(Vr, Vr) / jnp.vdot(r, Vr)


@checked
def dfp(
    scaling: str = "none", curvature: Any = 0.1, first_step: Any = 0.1
) -> optax.GradientTransformationExtraArgs:
    """Builds the method of Davidon, Fletcher and Powell, dense.

    Use it to compare or to teach: it recovers more slowly than `bfgs` from a wrong V,
    and needs a more exact search. Not for noisy batches, nor for parameters in units
    far apart. A step costs a few more gradients than a step of `bfgs`, and with n
    parameters also of the order of n^2 operations and 3 n^2 numbers, n^2 of them state.
    Try `bfgs` next.

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
    >>> solve(dfp(), jnp.array([-1.2, 1.0]), value_fn=rosenbrock).params.round(3)
    Array([1., 1.], dtype=float32)
    """
    step = scale_by_secant(dfp_formula, scaling, curvature, first_step, name="dfp")
    return optax.chain(step, optax.scale(-1.0))
