"""Compressed weights as ordinary arrays, which every model takes."""

from typing import Any

import jax

from optlab.compress.codebook import Shared, weights_of
from optlab.compress.linear import Quantized, dequantize
from optlab.compress.low_rank import Factors
from optlab.compress.mmse import TwoTensors, sum_of_two

#: Kind of compressed weights to the function that expands them.
EXPAND = {
    Factors: lambda factors: factors.left @ factors.right,
    Quantized: dequantize,
    Shared: weights_of,
    TwoTensors: sum_of_two,
}


def plain(net: Any) -> Any:
    """Expands all compressed weights of a net.

    Args:
      net: parameters in which `Shared`, `Quantized`, `TwoTensors` and `Factors` may
        stand for arrays.

    Returns:
      Parameters that the model takes.

    >>> import numpy as np
    >>> factors = Factors(np.ones((2, 1)), np.array([[1.0, 2.0]]))
    >>> plain({"kernel": factors})["kernel"].tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    return jax.tree.map(
        lambda leaf: EXPAND[type(leaf)](leaf) if type(leaf) in EXPAND else leaf,
        net,
        is_leaf=lambda node: type(node) in EXPAND,
    )
