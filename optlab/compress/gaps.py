"""Positions of kept weights as the gaps between them, with skips over long ones.

A symbol g < S means: g weights are pruned, and the next one is kept. The symbol S
means: S weights are pruned. So no weight is invented where a gap is long, as the filler
zeros of "Deep compression" (Han et al. 2015, figure 2) are.
"""

import numpy as np


def to_gaps(positions: np.ndarray, skip: int) -> np.ndarray:
    """Turns positions into symbols.

    Args:
      positions: ``[n]``, ascending, from 0.
      skip: S, the symbol of a skip over S weights; at least 1.

    Returns:
      Symbols from 0 to S, one for each position and each skip.

    >>> to_gaps(np.array([0, 3, 11]), skip=3).tolist()
    [0, 2, 3, 3, 1]
    """
    gaps = np.diff(positions, prepend=-1) - 1
    skips = gaps // skip
    ends = np.cumsum(skips + 1) - 1
    symbols = np.full(len(gaps) + int(skips.sum()), skip, np.int64)
    symbols[ends] = gaps % skip
    return symbols


def to_positions(symbols: np.ndarray, skip: int) -> np.ndarray:
    """Turns symbols back into positions.

    Args:
      symbols: symbols from 0 to S.
      skip: S.

    Returns:
      Positions, ascending, int64.

    >>> to_positions(np.array([0, 2, 3, 3, 1]), skip=3).tolist()
    [0, 3, 11]
    """
    kept = symbols != skip
    return (np.cumsum(np.where(kept, symbols + 1, skip)) - 1)[kept]
