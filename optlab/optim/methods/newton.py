"""Newton's method in a trust region, solved exactly by the Hessian's eigenvectors.

    (H + nu D^2) s = g,      x+ = x - s   if f falls as predicted, else x
    nu = 0                             where H is positive definite and |D s| <= radius
    nu with |D s| = radius             otherwise
    D^2 = |diag(H)|;   saddle-free: |H| in place of H, and D = I

Far from the minimum nu turns Newton's step towards the gradient's; close to it nu is 0
and convergence quadratic. In the coordinates D x, H has a diagonal of ones: the step
does not depend on the parameters' units.

Sources: More, Sorensen, Computing a Trust Region Step, SIAM J. Sci. Stat. Comput. 4
(1983); Dauphin et al., arXiv:1406.2572, algorithm 1 (saddle-free).
"""

from typing import Any

import jax.numpy as jnp
import optax

from optlab import curvature
from optlab.errors import check_choice
from optlab.optim.arguments import checked
from optlab.optim.dense.linear import unit_diagonal
from optlab.optim.dense.more_sorensen import exact_step
from optlab.optim.dense.trust_region import Trial, scale_by_trust_region

INDEFINITE = ("trust_region", "saddle_free")


@checked
def newton(
    damping: Any = 0.0,
    radius: Any = 100.0,
    max_radius: Any = 1e10,
    indefinite: str = "trust_region",
) -> optax.GradientTransformationExtraArgs:
    """Builds Newton's method, one trial step in a trust region for each update.

    Use it for up to some hundred parameters where runs must end, also from starts with
    negative curvature, at saddles and with parameters in units far apart. Not where a
    Hessian is noisy. With n parameters a step takes n products of the Hessian (about
    two gradients each), an eigendecomposition of the order of n^3 and 4 n^2 numbers;
    the state is a few scalars. Try `bfgs` next where that is too much, `newton_cg` for
    large n, and `levenberg_marquardt` for sums of squares.

    ``radius`` is read once, by ``init``; the other numbers may change during a run, by
    `optax.inject_hyperparams`.

    Args:
      damping: number always added to the Hessian's diagonal (of ones), for noisy
        batches.
      radius: radius of the first trust region in the coordinates D x, with D for f in
        the unit that the method chooses where f is huge or tiny.
      max_radius: upper bound of the radius; finite, since an indefinite model has no
        minimizer without a region.
      indefinite: treatment of negative curvature, static: ``trust_region`` follows it
        to the region's boundary, ``saddle_free`` takes its absolute value (D = I).

    Returns:
      The optimizer. Its state's ``info`` holds the diagnostics of the last trial.

    Raises:
      InputError: a number out of its range, unless it is traced; from ``update``, where
        a dense Hessian does not fit.

    >>> from optlab.solving import solve
    >>> rosenbrock = lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    >>> solve(newton(), jnp.array([-1.2, 1.0]), value_fn=rosenbrock).params.round(4)
    Array([1., 1.], dtype=float32)
    """
    check_choice("indefinite", indefinite, INDEFINITE, "newton")

    def minimize_model(g, x, radius, objective):
        n = x.size
        # H, its scaled form or eigenvectors, and two more for LAPACK's syevd.
        shapes = [(n, n)] * 4
        curvature.require_memory("newton", shapes, x.dtype, "newton_cg()")
        H = curvature.hessian(objective.value_fn, x)  # noqa: N806
        # Guard: without a finite Hessian, the step is the gradient's.
        H = jnp.where(jnp.all(jnp.isfinite(H)), H, 0.0)  # noqa: N806
        # The absolute value of a matrix depends on the coordinates: the paper's are x.
        absolute = indefinite == "saddle_free"
        D = jnp.ones_like(x) if absolute else unit_diagonal(jnp.abs(jnp.diag(H)))  # noqa: N806
        shift = jnp.asarray(damping, x.dtype)
        s, predicted = exact_step(H / D[:, None] / D, g / D, radius, shift, absolute)
        return Trial(
            step=s / D, length=jnp.linalg.norm(s), predicted=predicted, evaluations=n
        )

    step = scale_by_trust_region(minimize_model, radius, max_radius, name="newton")
    return optax.chain(step, optax.scale(-1.0))
