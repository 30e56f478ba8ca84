"""The figure of a computational graph: nothing overlaps, every text fits its box."""

import itertools

import jax.numpy as jnp
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from optlab.backprop import parse, trace
from optlab.report.figures.graph import draw_graph

NINE = "a*b + b*c - a*c*d + sin(d)*a/b + c*d - b*d + a*d*2.5 + c**2 - tanh(a*b*c)"


def drawn(graph, title):
    """The panel, its renderer, and the figure's box."""
    figure = draw_graph(graph, title)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (panel,) = figure.axes
    return panel, canvas.get_renderer(), figure.bbox


def boxes_of(panel, renderer):
    patches = [each for each in panel.patches if isinstance(each, FancyBboxPatch)]
    return [each.get_window_extent(renderer) for each in patches]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "a*b*c + a*c + b*c + a + b + sigmoid(a*b) * exp(c)",
            {"a": 1.25, "b": -0.333333, "c": 2.7},
        ),
        ("(a*b+c)*(a-b)", {"a": 2, "b": 3, "c": 1}),
        (NINE, {"a": 1.5, "b": -2.5, "c": 4, "d": 0.7}),
    ],
)
def test_labels_cover_no_other_label_edge_or_box(text, values):
    graph = trace(parse(text), values)
    panel, renderer, _ = drawn(graph, text)
    arrows = [each for each in panel.patches if isinstance(each, FancyArrowPatch)]
    labels = [
        each.get_window_extent(renderer).padded(1)
        for each in panel.texts[: len(arrows)]
    ]
    assert len(arrows) == len(graph.edges)
    for one, other in itertools.combinations(labels, 2):
        assert not one.overlaps(other)
    for i, label in enumerate(labels):
        assert not any(label.overlaps(box) for box in boxes_of(panel, renderer))
        for j, arrow in enumerate(arrows):
            path = panel.transData.transform_path(arrow.get_path())
            line, *_ = path.to_polygons(closed_only=False)  # then the arrow's head
            assert Path(line).intersects_bbox(label, filled=False) == (i == j)


def wide(x, y):
    return jnp.where(x > y, jnp.sin(x) * y, -x) / (1 + jnp.exp(-x * y)) + x


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (parse("((a+b)*(c+d))**2"), {"a": 1, "b": 2, "c": 3, "d": 4}),
        (wide, {"x": -1234.5678e-7, "y": 1e9 / 7}),
        (parse("x"), {"x": 0.1}),
    ],
)
def test_boxes_are_apart_and_hold_their_texts(function, values):
    graph = trace(function, values)
    panel, renderer, whole = drawn(graph, "$title$")
    boxes = boxes_of(panel, renderer)
    assert len(boxes) == len(graph.nodes)
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    inside = [
        text.get_window_extent(renderer)
        for text in panel.texts
        if any(box.contains(*text.get_transform().transform(text.get_position()))
               for box in boxes)
    ]  # fmt: skip
    assert len(inside) == 3 * len(graph.nodes)  # name, value, gradient
    for text in inside:
        box = next(box for box in boxes if box.overlaps(text))
        assert box.x0 <= text.x0 < text.x1 <= box.x1
    for box in boxes:  # nothing is cut off
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
