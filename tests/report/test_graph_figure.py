"""The figure of a computational graph: nothing overlaps, every text fits its box."""

import itertools

import jax.numpy as jnp
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from optlab.backprop import parse, trace
from optlab.report.figures.graph import draw_graph


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
    figure = draw_graph(graph, "$title$")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (panel,) = figure.axes
    renderer = canvas.get_renderer()
    patches = [each for each in panel.patches if isinstance(each, FancyBboxPatch)]
    boxes = [each.get_window_extent(renderer) for each in patches]
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
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
