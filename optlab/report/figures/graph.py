"""A computational graph: values forward, local derivatives on edges, gradients back.

Nodes stand in columns by the length of the longest path to them, and within a column
near their neighbors (K. Sugiyama, S. Tagawa and M. Toda, "Methods for Visual
Understanding of Hierarchical System Structures", 1981).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from optlab.backprop import Graph, Node
from optlab.report.figures import style
from optlab.report.figures.routes import curve, place_labels

FORWARD, BACKWARD, LOCAL = style.PALETTE[2], style.PALETTE[1], style.PALETTE[0]

_LETTER = 0.078  # mean width of a character, in inches
_HEIGHT = 0.62  # of a box
_ROW, _GAP = 1.0, 1.15  # from row to row; between the boxes of two columns
_MORE = 0.12  # added to a gap for each edge in it beyond the fourth
_PORT = 0.11  # from edge to edge at a box, at most
_HEAD = 0.16  # from where an edge is level to the column of its end
_SWEEPS = 8


class _Layout(NamedTuple):
    """Places in inches, the same in every step."""

    size: tuple[float, float]
    boxes: list[tuple[float, float, float, float]]  # center and size of each node's
    curves: list[Path]  # of each edge
    labels: np.ndarray  # [edges, 2]


class Step(NamedTuple):
    """One step of the two passes."""

    words: str  # what is computed
    figure: Figure


def draw_graph(graph: Graph, title: str = "") -> Figure:
    """Draws a graph with all values, local derivatives and gradients."""
    count = len(graph.nodes)
    return _draw(graph, _lay_out(graph), title, range(count), range(count))


def steps(graph: Graph) -> Iterator[Step]:
    """Draws the graph after each step of the forward and of the backward pass.

    Yields:
      The variables; each operation's value; the output's gradient, which is 1; each
      other gradient.
    """
    nodes, count, layout = graph.nodes, len(graph.nodes), _lay_out(graph)
    first = next((i for i in range(count) if nodes[i].formula), count)
    yield Step("The variables.", _draw(graph, layout, "", range(first), ()))
    for i in range(first, count):
        words = (
            f"Forward: {nodes[i].name} = {nodes[i].formula} = {_text(nodes[i].value)}."
        )
        yield Step(words, _draw(graph, layout, "", range(i + 1), (), i))
    for i in reversed(range(count)):
        words = f"Backward: {_backward_words(graph, i)}."
        yield Step(words, _draw(graph, layout, "", range(count), range(i, count), i))


def _backward_words(graph: Graph, i: int) -> str:
    y, name = graph.nodes[graph.output].name, graph.nodes[i].name
    if i == graph.output:
        return f"d{y}/d{y} = 1"
    parts = [
        f"{_text(graph.nodes[edge.target].gradient)} * {_text(edge.derivative)}"
        for edge in graph.edges
        if edge.source == i
    ]
    total = _text(graph.nodes[i].gradient)
    return f"d{y}/d{name} = {' + '.join(parts) or '0'} = {total}"


def _text(value: float) -> str:
    return f"{float(value):z.5g}"  # z: a zero without a sign


def _lines(node: Node) -> tuple[str, str, str]:
    head = f"{node.name} = {node.formula}" if node.formula else node.name
    return head, f"value {_text(node.value)}", f"gradient {_text(node.gradient)}"


@style.themed
def _draw(
    graph: Graph,
    layout: _Layout,
    title: str,
    valued: Sequence[int],
    derived: Sequence[int],
    now: int | None = None,
) -> Figure:
    """Draws the graph with some values and gradients, and marks one node."""
    width, height = layout.size
    head = 0.35 if title else 0.0
    figure = Figure(figsize=(width, height + head + 0.35))
    panel = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    panel.set_axis_off()
    panel.set_xlim(0, width)
    panel.set_ylim(-0.35, height + head)
    for edge, path, at in zip(graph.edges, layout.curves, layout.labels, strict=True):
        colour = BACKWARD if now == edge.source and derived else style.GREY
        panel.add_patch(
            FancyArrowPatch(
                path=path, arrowstyle="-|>", mutation_scale=9,
                color=colour, linewidth=1.1, shrinkA=0, shrinkB=0,
            )
        )  # fmt: skip
        if edge.target in valued:
            panel.text(
                at[0], at[1], _text(edge.derivative), color=LOCAL, fontsize=8.5,
                ha="center", va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
    for i, node in enumerate(graph.nodes):
        _box(panel, layout.boxes[i], node, (i in valued, i in derived), i == now)
    if title:
        panel.text(0.15, height + 0.1, style.literal(title), weight="bold")
    _legend(panel)
    return figure


def _lay_out(graph: Graph) -> _Layout:
    """Places nodes, edges and the edges' labels; values and gradients are known."""
    columns, chains = _columns(graph)
    widths = [
        _LETTER * max(len(line) for line in _lines(node)) + 0.2 for node in graph.nodes
    ]
    pairs = [pair for chain in chains for pair in pairwise(chain)]
    at, spans, size = _positions(columns, widths, pairs)
    boxes = [(*at[i], width, _HEIGHT) for i, width in enumerate(widths)]
    leaving, reaching = ([c[:2] for c in chains], [c[:-3:-1] for c in chains])
    starts, ends = (_ports(parts, at) for parts in (leaving, reaching))
    curves = []
    for chain, y0, y1 in zip(chains, starts, ends, strict=True):
        first, *bends, last = chain
        stops = [(at[first][0] + widths[first] / 2, y0), (spans[first][1], y0)]
        stops += [(x, at[bend][1]) for bend in bends for x in spans[bend]]
        tip = at[last][0] - widths[last] / 2 - 0.04
        stops += [(spans[last][0] - _HEAD, y1), (tip, y1)]
        curves.append(curve(stops))
    texts = [_text(edge.derivative) for edge in graph.edges]
    sizes = np.array([(_LETTER * len(text) + 0.08, 0.2) for text in texts])
    return _Layout(size, boxes, curves, place_labels(curves, sizes, np.array(boxes)))


def _ports(
    parts: Sequence[Sequence[int]], at: Mapping[int, tuple[float, float]]
) -> list[float]:
    """Heights of edges at a box, in the order of the heights from which they come.

    Args:
      parts: the box of each edge, and the node or bend next to it.
      at: centers of nodes and bends.
    """
    heights = [0.0] * len(parts)
    for box in {part[0] for part in parts}:
        own = [i for i, part in enumerate(parts) if part[0] == box]
        own.sort(key=lambda i: at[parts[i][1]][1])
        gap = min(_PORT, 0.8 * _HEIGHT / len(own))
        for rank, i in enumerate(own):
            heights[i] = at[box][1] + gap * (rank - (len(own) - 1) / 2)
    return heights


def _columns(graph: Graph) -> tuple[list[list[int]], list[list[int]]]:
    """Places nodes in ordered columns.

    Returns:
      The nodes of each column from top to bottom, and for each edge the nodes on its
      way. Numbers from ``len(graph.nodes)`` on are bends of edges that pass a column.
    """
    depth = [0] * len(graph.nodes)
    for edge in graph.edges:  # a target's edges stand after those of its sources
        depth[edge.target] = max(depth[edge.target], depth[edge.source] + 1)
    # A variable stands just before what needs it first.
    for i, node in enumerate(graph.nodes):
        users = [depth[edge.target] for edge in graph.edges if edge.source == i]
        if not node.formula and users:
            depth[i] = min(users) - 1
    columns: list[list[int]] = [[] for _ in range(max(depth) + 1)]
    for i, column in enumerate(depth):
        columns[column].append(i)
    chains, bend = [], len(graph.nodes)
    for edge in graph.edges:
        chain = [edge.source]
        for column in range(depth[edge.source] + 1, depth[edge.target]):
            columns[column].append(bend)
            chain.append(bend)
            bend += 1
        chains.append([*chain, edge.target])
    _untangle(columns, [pair for chain in chains for pair in pairwise(chain)])
    return columns, chains


def _untangle(columns: Sequence[list[int]], pairs: Sequence[tuple[int, int]]) -> None:
    """Sorts each column by the mean row of its neighbors, back and forth."""
    for sweep in range(_SWEEPS):
        back = sweep % 2
        row = {k: r - len(c) / 2 for c in columns for r, k in enumerate(c)}
        for column in columns[::-1] if back else columns:
            means = {}
            for k in column:
                near = [row[pair[back]] for pair in pairs if pair[1 - back] == k]
                means[k] = float(np.mean(near)) if near else row[k]
            column.sort(key=means.__getitem__)
            row |= {k: r - len(column) / 2 for r, k in enumerate(column)}


def _positions(
    columns: Sequence[Sequence[int]],
    widths: Sequence[float],
    pairs: Sequence[tuple[int, int]],
) -> tuple[dict, dict, tuple[float, float]]:
    """Places columns and rows, in inches.

    Returns:
      Center of each node and bend; left and right end of its column; size of the whole.
    """
    tallest = max(map(len, columns))
    at, spans, x = {}, {}, 0.2
    for column in columns:
        width = max((widths[k] for k in column if k < len(widths)), default=0.3)
        for row, k in enumerate(column):
            y = _ROW * (tallest / 2 + len(column) / 2 - row - 0.5)
            at[k], spans[k] = (x + width / 2, y), (x, x + width)
        edges = sum(source in column for source, _ in pairs)
        x += width + _GAP + _MORE * max(edges - 4, 0)
    right = max(end for _, end in spans.values())
    return at, spans, (max(right + 0.2, 5.0), _ROW * tallest + 0.1)


def _box(
    panel: Axes,
    box: tuple[float, float, float, float],
    node: Node,
    shown: tuple[bool, bool],
    now: bool,
) -> None:
    x, y, width, height = box
    panel.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor="#FFF6DC" if now else "#F5F7F9" if node.formula else "white",
            edgecolor="black" if now else style.GREY, linewidth=1.6 if now else 0.9,
        )
    )  # fmt: skip
    head, value, gradient = _lines(node)
    centered: Any = {"ha": "center", "va": "center"}
    panel.text(x, y + 0.18, style.literal(head), weight="bold", **centered)
    if shown[0]:
        panel.text(x, y - 0.01, value, color=FORWARD, fontsize=8.5, **centered)
    if shown[1]:
        panel.text(x, y - 0.2, gradient, color=BACKWARD, fontsize=8.5, **centered)


def _legend(panel: Axes) -> None:
    x = 0.15
    for text, colour in (
        ("value (forward)", FORWARD),
        ("local derivative (edge)", LOCAL),
        ("gradient (backward)", BACKWARD),
    ):
        panel.text(x, -0.22, text, color=colour, fontsize=8.5)
        x += _LETTER * len(text) + 0.15
