r"""Draws backpropagation on the graph of an expression, or through a small net.

  python -m experiments.backprop "((a+b)*(c+d))**2" a=1 b=2 c=3 d=4
  python -m experiments.backprop "sigmoid(w*x + b)" w=2 x=-1 b=3
  python -m experiments.backprop mypackage.mymodule.f x=0.5
  python -m experiments.backprop --net=2,3,1 --activation=tanh

The first word is an expression (numbers, names, + - * / **, parentheses, and functions
such as exp, log, sin, tanh, sigmoid, relu; it is parsed, never executed as code), or
the dotted path of a JAX function of scalars. The words after it give each variable a
number. An expression that begins with a minus stands after " -- ".

Printed, and drawn on a page step by step: each node's value on the way forward, each
edge's local derivative, each node's gradient on the way back; checked against jax.grad.
--net does the same for a net with these numbers of units, in matrices: W, b, z, a and
delta of each layer, for one example.
"""

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from rich.console import Console

from experiments import cli, overrides
from experiments.workdir import claim, write_results
from optlab import backprop, names
from optlab.errors import InputError, first_line
from optlab.models.mlp import ACTIVATIONS
from optlab.report import Picture, Section, Steps, Table, show_table, tabulate
from optlab.report.figures.graph import draw_graph, steps
from optlab.report.figures.matrices import matrices

NET = flags.DEFINE_list(
    "net", None, "Units of a net, inputs first, such as 2,3,1: in place of words."
)
ACTIVATION = flags.DEFINE_string("activation", "sigmoid", "Activation of the net.")
SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the net's weights and example.", lower_bound=0
)
flags.declare_key_flag("workdir")
WORKDIR = cli.WORKDIR

#: Most nodes of a graph that is also drawn step by step.
MOST_STEPS = 30

#: Most units of a layer of a net: every number of its matrices is shown.
MOST_UNITS = 64

EXAMPLE = 'python -m experiments.backprop "((a+b)*(c+d))**2" a=1 b=2 c=3 d=4'


def main(given: overrides.Given) -> None:
    """Words or a net in, tables and a page out."""
    if bool(given.words) == (NET.value is not None):
        raise InputError(f"give an expression or --net, as in: {EXAMPLE}")
    with jax.enable_x64(True):
        if NET.value is None:
            show_graph(given.words[0], read_values(given.words[1:]))
        else:
            show_net(NET.value, ACTIVATION.value, SEED.value)


def read_values(words: Sequence[str]) -> dict[str, float]:
    """Reads words such as ``a=1``.

    Args:
      words: words of the command line.

    Returns:
      Name to number.

    Raises:
      InputError: a word is none of these, or gives a name twice.

    >>> read_values(["a=1", "b=-2e-3"])
    {'a': 1.0, 'b': -0.002}
    """
    values: dict[str, float] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            number = float(text)
        except ValueError:
            raise InputError(f"{word!r} gives no number: write NAME=NUMBER") from None
        if name in values:
            raise InputError(f"{name!r} is given twice")
        values[name] = number
    return values


def show_graph(text: str, values: Mapping[str, float]) -> None:
    """Prints and draws the graph of an expression or function.

    Args:
      text: expression, or dotted path of a function.
      values: name to number.

    Raises:
      InputError: it is neither, takes other variables, is not scalar, or is not
        finite at these values.
    """
    dotted = re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", text)
    function = by_name(text) if dotted else backprop.parse(text)
    names.bind(text, function, values)
    try:
        graph = backprop.trace(function, values)
        largest = difference(function, values, graph)
    except InputError:
        raise
    except Exception as error:  # of any kind: the function is the user's own
        raise InputError(f"{text} fails on scalars: {reason(error)}") from error
    for node in graph.nodes:
        if not math.isfinite(node.value):
            computed = f"{node.name} = {node.formula}" if node.formula else node.name
            raise InputError(
                f"{text}: {computed} is {node.value:g}: give other numbers"
            )
    config = {"expression": text, "values": dict(values)}
    folder = claim(WORKDIR.value, "backprop", config)
    tables = graph_tables(graph)
    checked = " ".join([against_jax(largest), *not_finite(graph)])
    console = Console()
    for table in tables:
        show_table(table, console)
        console.print()
    console.print(checked)

    whole = Picture(
        "graph",
        draw_graph(graph, text),
        "Values are computed from left to right and gradients from right to left: a "
        "node's gradient is the sum, over its edges to the right, of the local "
        "derivative times the gradient at the edge's end.",
        f"The graph of {text}; the tables below hold its numbers.",
    )
    content = (Section("The graph", (whole, *tables)),)
    if len(graph.nodes) <= MOST_STEPS:
        frames = tuple(
            Picture(f"step-{i}", step.figure, step.words, step.words)
            for i, step in enumerate(steps(graph))
        )
        how = "Click on a number, or go on with the arrow keys."
        content += (Section("Step by step", (how, Steps("steps", frames))),)
    output = graph.nodes[graph.output]
    found = ", ".join(
        f"d/d{node.name} = {number(node.gradient)}"
        for node in graph.nodes
        if node.name in values
    )
    write_results(
        folder,
        f"Backpropagation through {text}",
        config,
        {"nodes": [node._asdict() for node in graph.nodes]},
        content,
        lead=(f"The value is {number(output.value)}; {found}. {checked}",),
    )


def reason(error: Exception) -> str:
    r"""Says in one line why a function cannot be traced, and what to write instead.

    >>> reason(ValueError("no x\nin f"))
    'ValueError: no x'
    """
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return "if, while, and, or cannot test a traced number: use jax.numpy.where"
    untraced = jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError
    if isinstance(error, untraced):
        return "numpy, math, float and int take no traced number: use jax.numpy"
    return f"{type(error).__name__}: {first_line(error)}"


def by_name(path: str) -> Callable[..., jax.Array]:
    """Imports a function, and lets all its arguments be passed by keyword.

    >>> by_name("jax.numpy.sinc")(x=0.0).item()
    1.0
    """
    function = names.find("function", path, {})
    signature, kinds = inspect.signature(function), inspect.Parameter
    parameters = [
        each.replace(kind=kinds.POSITIONAL_OR_KEYWORD)
        if each.kind is kinds.POSITIONAL_ONLY
        else each
        for each in signature.parameters.values()
    ]
    signature = signature.replace(parameters=parameters)

    def by_keyword(**values: Any) -> jax.Array:
        bound = signature.bind(**values)
        bound.apply_defaults()  # an argument without its number may stand between
        return function(*bound.args, **bound.kwargs)

    by_keyword.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
    return by_keyword


def difference(
    function: Callable[..., jax.Array], values: Mapping[str, float], graph: Any
) -> float:
    """Computes the largest difference of a graph's gradients from jax.grad's.

    Args:
      function: function of the graph.
      values: name to number.
      graph: the graph.

    Returns:
      The largest absolute difference over the variables.
    """
    start = {name: jnp.asarray(value, float) for name, value in values.items()}
    expected = jax.grad(lambda xs: function(**xs))(start)
    found = {node.name: node.gradient for node in graph.nodes}
    pairs = [(found[name], float(each)) for name, each in expected.items()]
    return max(0.0 if np.array_equal(a, b, equal_nan=True) else abs(a - b)
               for a, b in pairs)  # fmt: skip


def graph_tables(graph: backprop.Graph) -> list[Table]:
    """Tabulates nodes and edges.

    Args:
      graph: the graph.

    Returns:
      Table of the nodes with value and gradient; table of the edges, where there are
      any, with the local derivative and what it hands back.
    """
    output = graph.nodes[graph.output].name
    nodes = [
        {
            "node": node.name,
            "computed as": node.formula,
            "value": number(node.value),
            f"gradient\nd{output}/dnode": number(node.gradient),
        }
        for node in graph.nodes
    ]
    title = "Nodes: values forward, gradients backward"
    tables = [tabulate(title, nodes, ["node", "computed as"])]
    edges = []
    for edge in graph.edges:
        source, target = graph.nodes[edge.source], graph.nodes[edge.target]
        value, handed = number(edge.derivative), edge.derivative * target.gradient
        parts = f"{value} * {number(target.gradient)} = {number(handed)}"
        row = {
            "edge": f"{source.name} -> {target.name}",
            "derivative": f"d{target.name}/d{source.name}",
            "its value": value,
            "part of the gradient": parts,
        }
        edges.append(row)
    if edges:
        title = "Edges: local derivatives"
        note = "A node's gradient is the sum of the parts of the edges out of it."
        tables.append(tabulate(title, edges, ["edge", "derivative"], [note]))
    return tables


def against_jax(largest: float) -> str:
    """Says how far gradients are from those of ``jax.grad``.

    >>> against_jax(0.0)
    "Gradients equal jax.grad's."
    """
    if largest == 0:
        return "Gradients equal jax.grad's."
    return f"Gradients differ from jax.grad's by at most {largest:.2g}."


def not_finite(graph: backprop.Graph) -> list[str]:
    """Says by which nodes the output has no finite gradient; empty where by none.

    >>> not_finite(backprop.trace(backprop.parse("sqrt(x)"), {"x": 0}))
    ['The gradient is not finite here by x.']
    """
    bad = [each.name for each in graph.nodes if not math.isfinite(each.gradient)]
    return [f"The gradient is not finite here by {', '.join(bad)}."] if bad else []


def show_net(sizes: Sequence[str], activation: str, seed: int) -> None:
    """Prints both passes through a net of dense layers.

    Args:
      sizes: units of each layer as text, inputs first.
      activation: name of a function of ``ACTIVATIONS``.
      seed: seed of weights and example.

    Raises:
      InputError: sizes that are none or too many, or an unknown activation.
    """
    if len(sizes) < 2 or not all(each.isdecimal() and int(each) for each in sizes):
        raise InputError(
            f"--net={','.join(sizes)}: give two or more whole numbers of units, inputs "
            "first, such as 2,3,1"
        )
    function = names.find("activation", activation, ACTIVATIONS)
    counts = [int(each) for each in sizes]
    if max(counts) > MOST_UNITS:
        raise InputError(
            f"--net={','.join(sizes)}: all numbers are printed, so that a layer may "
            f"have at most {MOST_UNITS} units"
        )
    config = {"net": list(sizes), "activation": activation, "seed": seed}
    folder = claim(WORKDIR.value, "backprop", config)
    random = np.random.default_rng(seed)

    def draw(*shape: int) -> jax.Array:
        return jnp.asarray(random.normal(size=shape).round(2))

    weights = [(draw(n, k), draw(n)) for k, n in pairwise(counts)]
    # Targets are outputs of the activation, cut to two digits: the net can reach them.
    x, y = draw(counts[0], 1), jnp.trunc(100 * function(draw(counts[-1], 1))) / 100
    cost, layers = backprop.layers(weights, x, y, function)
    expected = jax.grad(lambda w: backprop.layers(w, x, y, function)[0])(weights)
    largest = max(
        float(jnp.max(jnp.abs(found - other)))
        for layer, (dw, db) in zip(layers, expected, strict=True)
        for found, other in ((layer.dw, dw), (layer.db, db))
    )
    checked = against_jax(largest)
    table = net_table(x, layers)
    about = f"Inputs {matrix(x.T)}, targets {matrix(y.T)}, cost {float(cost):.4g}."
    console = Console()
    show_table(table, console)
    console.print(about, checked, markup=False)
    write_results(
        folder,
        f"Backpropagation through a {'-'.join(sizes)} net of {activation} units",
        config,
        {"cost": float(cost)},
        (Section("Both passes", (net_picture(layers), table)),),
        lead=(about, checked),
    )


def net_picture(layers: Sequence[backprop.Layer]) -> Picture:
    """Draws the quantities of both passes as maps of colour.

    Args:
      layers: the layers, first to last.

    Returns:
      The picture, a row a layer.
    """
    names = {"dw": "dC/dW", "db": "dC/db", "w": "W"}
    shown = {}
    for number, layer in enumerate(layers, 1):
        found = {names.get(key, key): each for key, each in layer._asdict().items()}
        shown[f"layer {number}"] = {
            name: np.asarray(each).reshape(len(each), -1)
            for name, each in found.items()
        }
    return Picture(
        "matrices",
        matrices("Both passes, layer by layer", shown),
        "Forward, from the first layer on, W and b give z and a; backward, from the "
        "last layer on, delta gives dC/dW and dC/db. Red is above zero, blue below, "
        "each matrix on a scale of its own. Numbers are cut to fit, and left out of "
        "matrices too large for them; the table below holds all.",
        "Matrices of each layer; the table holds their numbers.",
    )


def net_table(inputs: jax.Array, layers: Sequence[backprop.Layer]) -> Table:
    """Tabulates the quantities of both passes, layer by layer.

    Args:
      inputs: ``[in, 1]``.
      layers: the layers, first to last.

    Returns:
      The table, a block a layer.
    """
    formulas = {
        "w": ("W", "weights"),
        "b": ("b", "biases"),
        "z": ("z", "W a(before) + b"),
        "a": ("a", "activation(z)"),
        "delta": ("delta", "W(next)^T delta(next) * activation'(z)"),
        "dw": ("dC/dW", "delta a(before)^T"),
        "db": ("dC/db", "delta"),
    }
    first = {"quantity": "a", "computed as": "inputs", "value": matrix(inputs.T)}
    rows, groups = [first], ["layer 0"]
    for number, layer in enumerate(layers, 1):
        for key, (name, formula) in formulas.items():
            if key == "delta" and layer is layers[-1]:
                formula = "(a - y) * activation'(z)"
            value = getattr(layer, key)
            text = matrix(value.T if key in ("z", "a", "delta") else value)
            rows.append({"quantity": name, "computed as": formula, "value": text})
            groups.append(f"layer {number}")
    title = "Forward from the first layer, delta backward from the last"
    notes = ["z, a and delta are columns, written as rows here."]
    return tabulate(title, rows, list(first), notes, groups)


def number(value: float, digits: int = 6) -> str:
    """Writes a number.

    >>> number(-0.0), number(-1 / 3)
    ('0', '-0.333333')
    """
    return f"{float(value):z.{digits}g}"  # z: a zero without a sign


def matrix(values: jax.Array) -> str:
    """Writes an array, a row between brackets.

    >>> matrix(jnp.array([[1.0, 2.5], [0.125, 1 / 3]]))
    '[1 2.5] [0.125 0.3333]'
    """
    rows = np.atleast_2d(np.asarray(values))
    return " ".join(f"[{' '.join(number(x, 4) for x in row)}]" for row in rows)


if __name__ == "__main__":
    cli.run(main, words=True)
