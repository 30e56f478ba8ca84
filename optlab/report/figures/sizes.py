"""Output sizes of layers: squares to scale, beside those of their inputs."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from optlab.report.figures import style


class Output(NamedTuple):
    """A layer whose images are squares."""

    group: str
    label: str
    side: int  # pixels along a side of its outputs


@style.themed
def output_squares(title: str, side: int, outputs: Sequence[Output]) -> Figure:
    """Draws each layer's input as an outline and its output as a filled square.

    Args:
      title: title of the figure.
      side: pixels along a side of the inputs.
      outputs: the layers, group by group.

    Returns:
      The figure, a row of squares a group.
    """
    groups = list(dict.fromkeys(each.group for each in outputs))
    rows = [[each for each in outputs if each.group == group] for group in groups]
    most = max(map(len, rows))
    width = max(1.5 * most, 4.5)
    figure, axes = style.panels(title, width, [1.9] * len(rows), [""])
    for panel, group, row in zip(axes[:, 0], groups, rows, strict=True):
        panel.set_title(style.literal(group))
        for i, each in enumerate(row):
            left, size = 1.35 * i, each.side / side
            panel.add_patch(Rectangle((left, 0), 1, 1, fill=False, color=style.GREY))
            panel.add_patch(
                Rectangle((left, 0), size, size, alpha=0.6, color=style.PALETTE[0])
            )
            panel.text(left, -0.08, f"{each.label}\n{side} to {each.side}", va="top")
        panel.set_xlim(-0.05, 1.35 * most)
        panel.set_ylim(-0.5, max(1.05, *(each.side / side for each in row)))
        panel.set_aspect("equal", anchor="W")
        panel.axis("off")
    return figure
