"""Compression of nets: prune, share, quantize, code, and back from the bytes.

    tx = compress.pruned(optlab.adam(1e-3), sparsity=0.95, end=2000)   # zeros that stay
    net = compress.share(params, bits=5)                               # few values
    data = compress.encode(net)                                        # few bytes
    params = compress.decode(data)                                     # the same bits

Each part works alone, on any tree of arrays.
"""

from optlab.compress.codebook import Shared as Shared
from optlab.compress.codebook import halve as halve
from optlab.compress.codebook import share as share
from optlab.compress.codebook import shared as shared
from optlab.compress.codebook import with_codes as with_codes
from optlab.compress.container import Stored as Stored
from optlab.compress.container import decode as decode
from optlab.compress.container import encode as encode
from optlab.compress.container import stored as stored
from optlab.compress.distilled import distilled as distilled
from optlab.compress.filters import filter_counts as filter_counts
from optlab.compress.filters import filter_norms as filter_norms
from optlab.compress.filters import keep_filters as keep_filters
from optlab.compress.filters import shrink as shrink
from optlab.compress.linear import Quantized as Quantized
from optlab.compress.linear import dequantize as dequantize
from optlab.compress.linear import integer_product as integer_product
from optlab.compress.linear import quantize as quantize
from optlab.compress.linear import quantize_within as quantize_within
from optlab.compress.low_rank import Factors as Factors
from optlab.compress.low_rank import factorize as factorize
from optlab.compress.low_rank import truncated_svd as truncated_svd
from optlab.compress.masks import above_deviation as above_deviation
from optlab.compress.masks import density as density
from optlab.compress.masks import global_magnitude as global_magnitude
from optlab.compress.masks import layer_magnitude as layer_magnitude
from optlab.compress.mmse import TwoTensors as TwoTensors
from optlab.compress.mmse import mmse_quantize as mmse_quantize
from optlab.compress.mmse import mmse_two_tensors as mmse_two_tensors
from optlab.compress.mmse import sum_of_two as sum_of_two
from optlab.compress.plain import plain as plain
from optlab.compress.pruned import PrunedState as PrunedState
from optlab.compress.pruned import cubic_sparsity as cubic_sparsity
from optlab.compress.pruned import masks_of as masks_of
from optlab.compress.pruned import pruned as pruned
from optlab.compress.ranges import least_squares as least_squares
from optlab.compress.ranges import min_max as min_max
from optlab.compress.ranges import moving_average as moving_average
from optlab.compress.ranges import observe as observe
from optlab.compress.ranges import percentile as percentile
from optlab.compress.ranges import quantized as quantized
from optlab.compress.sensitivity import kernel_names as kernel_names
from optlab.compress.sensitivity import one_layer_magnitude as one_layer_magnitude
from optlab.compress.thresholds import add_threshold_penalty as add_threshold_penalty
from optlab.compress.thresholds import harden as harden
from optlab.compress.thresholds import kept_share as kept_share
from optlab.compress.thresholds import soft_threshold as soft_threshold
from optlab.compress.thresholds import thresholded as thresholded
