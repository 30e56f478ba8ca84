"""Low rank: a matrix as the product of two thin ones, by the singular values.

    W ~ (U_k S_k) V_k^T,    ||W - W_k||^2 = sum_{i > k} sigma_i^2

(m + n) k numbers instead of m n, so that it pays only below k = m n / (m + n).

C. Eckart, G. Young, "The approximation of one matrix by another of lower rank", 1936;
E. Denton et al., "Exploiting linear structure within convolutional networks for
efficient evaluation", 2014.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optlab.errors import InputError


class Factors(NamedTuple):
    """A matrix as ``left @ right``."""

    left: jax.Array  # [m, k]
    right: jax.Array  # [k, n]


def truncated_svd(matrix: jax.Array, rank: int) -> Factors:
    """Computes the nearest matrix of a rank, as two factors.

    Args:
      matrix: ``[m, n]``.
      rank: number of singular values that are kept.

    Returns:
      ``[m, rank]`` and ``[rank, n]``.

    Raises:
      InputError: the factors would hold as many numbers as the matrix, or more.

    >>> w = jnp.outer(jnp.arange(1.0, 7.0), jnp.arange(5.0))
    >>> left, right = truncated_svd(w, rank=1)
    >>> bool(jnp.allclose(left @ right, w, atol=1e-4))
    True
    """
    m, n = matrix.shape
    most = paying_rank(m, n)
    if not 1 <= rank <= most:
        raise InputError(
            f"rank={rank} does not pay for a matrix of {m} x {n}: give 1 to {most}"
            if most
            else f"no rank pays for a matrix of {m} x {n}: leave it as it is"
        )
    left, values, right = jnp.linalg.svd(matrix, full_matrices=False)
    return Factors(left[:, :rank] * values[:rank], right[:rank])


def paying_rank(m: int, n: int) -> int:
    """Computes the largest rank at which two factors are smaller than the matrix.

    Args:
      m: number of rows.
      n: number of columns.

    Returns:
      The largest k with k (m + n) < m n; 0 where there is none.

    >>> paying_rank(300, 784), paying_rank(1, 9)
    (216, 0)
    """
    return (m * n - 1) // (m + n)


def rank_for(singular_values: Any, energy: float) -> int:
    """Chooses the least rank that keeps a share of the sum of squares.

    Args:
      singular_values: singular values, descending.
      energy: share of ``sum(sigma^2)`` that is kept, in (0, 1].

    Returns:
      The rank, at least 1.

    Raises:
      InputError: an energy outside (0, 1].

    >>> rank_for([3.0, 2.0, 1.0], energy=0.9), rank_for([3.0, 2.0, 1.0], energy=0.95)
    (2, 3)
    """
    if not 0 < energy <= 1:
        raise InputError(f"energy={energy!r}: give a share in (0, 1]")
    squares = np.asarray(singular_values, float) ** 2
    kept = np.cumsum(squares) / max(squares.sum(), np.finfo(float).tiny)
    return int(min(np.searchsorted(kept, energy * (1 - 1e-12)) + 1, len(squares)))


def factorize(params: Any, energy: float) -> Any:
    """Replaces each matrix by two factors where that makes it smaller.

    Args:
      params: tree of parameters. Kernels of convolutions, of more than two axes, stay.
      energy: see `rank_for`.

    Returns:
      The tree with `Factors` in the place of matrices for which the rank pays.
    """

    def of(leaf):
        if jnp.ndim(leaf) != 2:
            return leaf
        rank = rank_for(jnp.linalg.svd(leaf, compute_uv=False), energy)
        return truncated_svd(leaf, rank) if rank <= paying_rank(*leaf.shape) else leaf

    return jax.tree.map(of, params)
