"""Unconstrained problems of the CUTEst collection, as sif2jax has them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np


class Problem(NamedTuple):
    """A function to minimize, from its published start."""

    name: str
    value_fn: Callable[[jax.Array], jax.Array]  # [n] -> scalar
    start: np.ndarray  # [n], float64


def load(largest: int) -> list[Problem]:
    """Loads problems of at most ``largest`` unknowns, float64, in sif2jax's order."""
    import sif2jax  # pyright: ignore[reportMissingImports]

    return [
        Problem(each.name, lambda x, p=each: p.objective(x, p.args), np.array(each.y0))
        for each in sif2jax.unconstrained_minimisation_problems
        if np.size(each.y0) <= largest
    ]
