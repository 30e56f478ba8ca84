"""Backpropagation to look at: graphs of scalar functions, and layers of a small net.

function = backprop.parse("((a + b) * (c + d)) ** 2")
graph = backprop.trace(function, {"a": 1, "b": 2, "c": 3, "d": 4})

cost, layers = backprop.layers(weights, inputs, targets, jax.nn.sigmoid)
"""

from optlab.backprop.expression import FUNCTIONS as FUNCTIONS
from optlab.backprop.expression import parse as parse
from optlab.backprop.graph import Edge as Edge
from optlab.backprop.graph import Graph as Graph
from optlab.backprop.graph import Node as Node
from optlab.backprop.graph import trace as trace
from optlab.backprop.layered import Layer as Layer
from optlab.backprop.layered import layers as layers
