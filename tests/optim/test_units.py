"""An optimum does not depend on the unit of the objective, for second-order methods.

The curve p0 exp(-p1 t) is fitted to 3 exp(-2 t) with residuals in units of 1 / k, so
that f is k^2 times as large.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.optim import METHODS, info
from optlab.solving import solve

# The bold driver is none of them: its rate is the user's, in units of x^2 / f.
WAYS = {
    name: factory
    for name, factory in METHODS.items()
    if name not in ("bold_driver", "levenberg_marquardt")  # which has its own test
    and info.find(factory().init(jnp.ones(1)))
}
OPTIMUM = np.array([3.0, 2.0])
# Half the time to compile, and there is little to run.
QUICK = {"xla_backend_optimization_level": 0}


def residuals(p, k):
    t = jnp.linspace(0.0, 2.0, 20, dtype=p.dtype)
    return k * (p[0] * jnp.exp(-p[1] * t) - 3 * jnp.exp(-2 * t))


@pytest.mark.parametrize(
    ("way", "bits"), [*((way, 32) for way in WAYS), ("newton", 64), ("dfp", 64)]
)
def test_the_optimum_is_the_same_in_every_unit(way, bits):
    with jax.enable_x64(bits == 64):
        k = np.array([1e-9, 1e-5, 1e4, 1e9, 2.0**-20, 2.0**-24], f"float{bits}")
        k[:4] **= 1 if bits == 32 else 4 / 3

        def run(k):
            return solve(
                WAYS[way](),
                jnp.ones(2, k.dtype),
                residual_fn=lambda p: residuals(p, k),
            )

        lanes = jax.jit(jax.vmap(run), compiler_options=QUICK)(k)
    np.testing.assert_allclose(lanes.params, np.tile(OPTIMUM, (6, 1)), rtol=1e-5)
    if hasattr(lanes.state[0], "unit"):
        # Powers of two between units that are made up for as a whole change no bit.
        np.testing.assert_array_equal(lanes.params[4], lanes.params[5])
        np.testing.assert_array_equal(lanes.steps[4], lanes.steps[5])
