"""Backpropagation to look at: graphs of scalar functions, and layers of a small net.

function = backprop.parse("((a + b) * (c + d)) ** 2")
graph = backprop.trace(function, {"a": 1, "b": 2, "c": 3, "d": 4})

cost, layers = backprop.layers(weights, inputs, targets, jax.nn.sigmoid)
"""

from optlab.backprop.expression import FUNCTIONS, parse
from optlab.backprop.graph import Edge, Graph, Node, trace
from optlab.backprop.layered import Layer, layers

__all__ = [
    "FUNCTIONS",
    "Edge",
    "Graph",
    "Layer",
    "Node",
    "layers",
    "parse",
    "trace",
]
