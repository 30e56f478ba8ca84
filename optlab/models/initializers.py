"""Initial weights by name, with a factor that may be a lane.

    LeCun  variance 1 / n_in              (LeCun et al., "Efficient BackProp", 1998)
    Glorot variance 2 / (n_in + n_out)    (X. Glorot, Y. Bengio, 2010, equation 12)
    He     variance 2 / n_in              (K. He et al., 2015, equation 10)

``normal`` draws from a normal distribution cut at two deviations, ``uniform`` evenly.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from optlab.errors import check_choice

_DRAWS: dict[str, Callable[..., Any]] = {
    f"{rule}_{shape}": getattr(nn.initializers, f"{rule}_{shape}")
    for rule in ("lecun", "glorot", "he")
    for shape in ("normal", "uniform")
}
_SAME = {"zeros": nn.initializers.zeros, "ones": nn.initializers.ones}

#: Names that `make` knows.
INITIALIZERS = (*_DRAWS, *_SAME)


def make(
    name: str, scale: Any = 1.0, in_axis: int = -2, out_axis: int = -1
) -> Callable[..., jax.Array]:
    """Makes a function ``(key, shape, dtype) -> weights``.

    Args:
      name: one of ``INITIALIZERS``.
      scale: factor on the weights; may be a tracer.
      in_axis: axis of the inputs in the shape; the axes beside both are a window.
      out_axis: axis of the outputs in the shape.

    Returns:
      The function.

    Raises:
      InputError: the name is unknown.

    >>> w = make("he_normal", scale=3.0)(jax.random.key(0), (1000, 50))
    >>> round(float(w.std() / 3), 3)  # sqrt(2 / 1000) = 0.0447
    0.045
    """
    check_choice("initializer", name, INITIALIZERS)
    if name in _SAME:
        draw = _SAME[name]
    else:
        draw = _DRAWS[name](in_axis=in_axis, out_axis=out_axis)
    return lambda *arguments: scale * draw(*arguments)
