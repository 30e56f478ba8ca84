"""Output sizes of layers: squares to scale, beside those of their inputs."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from optlab.report.figures import style


@style.themed
def output_squares(
    title: str, side: int, outputs: Mapping[str, Sequence[tuple[str, int]]]
) -> Figure:
    """Draws each layer's input as an outline and its output as a filled square.

    ``side`` is the pixels along a side of the inputs. ``outputs`` maps a group, drawn
    as a row, to its layers: label, and pixels along a side of the outputs.
    """
    most = max(map(len, outputs.values()))
    width = max(1.5 * most, 4.5)
    figure, axes = style.panels(title, width, [1.9] * len(outputs), [""])
    for panel, (group, row) in zip(axes[:, 0], outputs.items(), strict=True):
        panel.set_title(style.literal(group))
        for i, (label, output) in enumerate(row):
            left, size = 1.35 * i, output / side
            panel.add_patch(Rectangle((left, 0), 1, 1, fill=False, color=style.GREY))
            panel.add_patch(
                Rectangle((left, 0), size, size, alpha=0.6, color=style.PALETTE[0])
            )
            panel.text(left, -0.08, f"{label}\n{side} to {output}", va="top")
        panel.set_xlim(-0.05, 1.35 * most)
        panel.set_ylim(-0.5, max(1.05, *(output / side for _, output in row)))
        panel.set_aspect("equal", anchor="W")
        panel.axis("off")
    return figure
