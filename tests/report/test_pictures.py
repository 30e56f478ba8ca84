"""Figures of sizes, matrices and activations: what is drawn where."""

import matplotlib.colors
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle

from optlab.report.figures.activations import Curve, with_derivatives
from optlab.report.figures.matrices import matrices
from optlab.report.figures.sizes import output_squares
from optlab.report.figures.style import render


def test_output_squares_are_to_scale():
    outputs = {"plain": [("a", 49), ("b", 98)], "x": [("c", 25)]}
    figure = output_squares("Sizes", 100, outputs)
    found = [
        [patch.get_width() for patch in panel.patches if isinstance(patch, Rectangle)]
        for panel in figure.axes
    ]
    assert found == [[1, 0.49, 1, 0.98], [1, 0.25]]
    assert render(figure, "png")


def test_zero_is_white_and_small_matrices_have_their_numbers():
    row = {"W": np.array([[-0.0, 2.0], [-1.0, 0.5]]), "z": np.ones((7, 12))}
    figure = matrices("Passes", {"layer 1": row})
    small, large = figure.axes
    image = small.images[0]
    assert np.allclose(image.to_rgba(0.0)[:3], matplotlib.colors.to_rgb("w"), atol=0.05)
    assert image.get_clim() == (-2, 2)
    assert [each.get_text() for each in small.texts] == ["0", "2", "-1", "0.5"]
    assert not large.texts


def test_numbers_fit_into_their_cells_and_have_all_digits_before_the_point():
    random = np.random.default_rng(0)
    row = {
        "W": random.normal(size=(4, 6)).round(2),
        "dW": np.outer([1.0, 12.4, 0.0, -2034.4], [0.0, 1.0, 1.0, 0.1, 2.0, 0.0]),
        "b": random.normal(size=(10, 1)),
        "tiny": 1e-7 * random.normal(size=(3, 2)),
    }
    figure = matrices("Passes", {"layer 1": row, "layer 2": row})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for panel in figure.axes:
        rows, columns = panel.images[0].get_array().shape
        assert len(panel.texts) == rows * columns
        box = panel.get_window_extent()
        for text in panel.texts:
            found = text.get_window_extent(canvas.get_renderer())
            assert found.width < box.width / columns
            assert found.height < box.height / rows
    assert "-2034" in [text.get_text() for text in figure.axes[1].texts]


def test_each_activation_has_a_panel_with_value_and_derivative():
    x = np.linspace(-1, 1, 3)
    figure = with_derivatives("Both", [Curve(f"f_{i}", x, x, x * i) for i in range(5)])
    shown = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_title(loc="left") for panel in shown] == [
        f"f {i}" for i in range(5)
    ]
    lines = {line.get_label(): line for line in shown[3].lines}
    np.testing.assert_array_equal(lines["derivative"].get_ydata(), 3 * x)
