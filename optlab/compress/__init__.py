"""Compression of nets: prune, share, quantize, code, and back from the bytes.

    tx = compress.pruned(optlab.adam(1e-3), sparsity=0.95, end=2000)   # zeros that stay
    net = compress.share(params, bits=5)                               # few values
    data = compress.encode(net)                                        # few bytes
    params = compress.decode(data)                                     # the same bits

Each part works alone, on any tree of arrays.
"""

from optlab.compress.codebook import Shared, halve, share, shared, with_codes
from optlab.compress.container import Stored, decode, encode, stored
from optlab.compress.distilled import distilled
from optlab.compress.filters import filter_counts, filter_norms, keep_filters, shrink
from optlab.compress.linear import (
    Quantized,
    dequantize,
    integer_product,
    quantize,
    quantize_within,
)
from optlab.compress.low_rank import Factors, factorize, truncated_svd
from optlab.compress.masks import (
    above_deviation,
    density,
    global_magnitude,
    layer_magnitude,
)
from optlab.compress.mmse import (
    TwoTensors,
    mmse_quantize,
    mmse_two_tensors,
    sum_of_two,
)
from optlab.compress.plain import plain
from optlab.compress.pruned import PrunedState, cubic_sparsity, masks_of, pruned
from optlab.compress.ranges import (
    least_squares,
    min_max,
    moving_average,
    observe,
    percentile,
    quantized,
)
from optlab.compress.sensitivity import kernel_names, one_layer_magnitude
from optlab.compress.thresholds import (
    add_threshold_penalty,
    harden,
    kept_share,
    soft_threshold,
    thresholded,
)

__all__ = [
    "Factors",
    "PrunedState",
    "Quantized",
    "Shared",
    "Stored",
    "TwoTensors",
    "above_deviation",
    "add_threshold_penalty",
    "cubic_sparsity",
    "decode",
    "density",
    "dequantize",
    "distilled",
    "encode",
    "factorize",
    "filter_counts",
    "filter_norms",
    "global_magnitude",
    "halve",
    "harden",
    "integer_product",
    "keep_filters",
    "kept_share",
    "kernel_names",
    "layer_magnitude",
    "least_squares",
    "masks_of",
    "min_max",
    "mmse_quantize",
    "mmse_two_tensors",
    "moving_average",
    "observe",
    "one_layer_magnitude",
    "percentile",
    "plain",
    "pruned",
    "quantize",
    "quantize_within",
    "quantized",
    "share",
    "shared",
    "shrink",
    "soft_threshold",
    "stored",
    "sum_of_two",
    "thresholded",
    "truncated_svd",
    "with_codes",
]
