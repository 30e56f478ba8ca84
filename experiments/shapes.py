"""Prints output sizes and costs of convolution and pooling, each checked by the layer.

  python -m experiments.shapes
  python -m experiments.shapes --side=32 --channels=3 --features=16
  python -m experiments.shapes 5/2/2 7/3/0

A window of F by F pixels that moves by S over images of W by W pixels, with P zeros
around, gives floor((W - F + 2P) / S) + 1 outputs along a side. The default table has
windows of 1, 3, 3 with stride 2, 4 and 10 on images of 100 x 100 x 3, without padding
and with as much as keeps W / S outputs; and pooling; without those that do not fit.
Words F/S/P ask for others. Parameters are F F D_in n_f + n_f, and multiply-adds F F
D_in n_f for each output pixel. A page holds the same table, and draws the sizes.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from absl import flags
from rich.console import Console

from experiments import cli, overrides
from experiments.workdir import claim, write_results
from optlab.errors import InputError
from optlab.models.cost import multiply_adds
from optlab.models.layers import Conv
from optlab.models.pooling import max_pool
from optlab.report import Picture, Section, Table, show_table, tabulate
from optlab.report.figures.sizes import output_squares

SIDE = flags.DEFINE_integer("side", 100, "Pixels along a side of an image.", 1)
CHANNELS = flags.DEFINE_integer("channels", 3, "Channels of an image.", 1)
FEATURES = flags.DEFINE_integer("features", 1, "Filters of a convolution.", 1)
flags.declare_key_flag("workdir")
WORKDIR = cli.WORKDIR

#: Windows and strides of the default table.
WINDOWS = ((1, 1), (3, 1), (3, 2), (4, 1), (10, 1))
POOLS = ((2, 2), (3, 2), (4, 4))

#: Outputs along a side.
FORMULA = "floor((W - F + 2P) / S) + 1"

PLAIN, PADDED, POOLED = "without padding", "with padding", "max pooling"


class Size(NamedTuple):
    """One row: the formula's size, and what the layer itself says."""

    group: str
    window: int
    stride: int
    padded: int  # zeros on both sides together, 2P
    formula: int
    layer: int
    parameters: int
    multiply_adds: int  # for one image


def main(given: overrides.Given) -> None:
    """Words in, a table out."""
    side, channels, features = SIDE.value, CHANNELS.value, FEATURES.value
    notes = []
    if given.words:
        asked = [("as asked", *read(word)) for word in given.words]
    else:
        asked = [(PLAIN, window, stride, 0) for window, stride in WINDOWS]
        asked += [
            (PADDED, window, stride, same_padding(side, window, stride))
            for window, stride in WINDOWS
        ]
        asked += [(POOLED, window, stride, 0) for window, stride in POOLS]
        large = [each for each in asked if each[1] > side + each[3]]
        asked = [each for each in asked if each not in large]
        out = ", ".join(f"{f}/{s} {group}" for group, f, s, _ in large)
        notes = [f"Windows F/S that do not fit: {out}."] if large else []
    sizes = [measure((side, channels), features, *each) for each in asked]
    table = tabulated((side, channels), features, sizes, notes)
    config = {"side": side, "channels": channels, "features": features, "asked": asked}
    folder = claim(WORKDIR.value, "shapes", config)
    show_table(table, Console())
    if wrong := [each for each in sizes if each.formula != each.layer]:
        raise RuntimeError(f"formula and layer disagree: {wrong}")
    write_results(
        folder,
        "Output sizes of convolution and pooling",
        config,
        {"sizes": [each._asdict() for each in sizes]},
        (Section("Sizes and costs", (picture(side, sizes), table)),),
        lead=(
            f"By {FORMULA} a side of {side} pixels becomes "
            f"{', '.join(str(each.formula) for each in sizes)}; all "
            f"{len(sizes)} layers have these sizes themselves.",
        ),
    )


def read(word: str) -> tuple[int, int, int]:
    """Reads a word such as ``5/2/1``.

    Args:
      word: window, stride and padding of one side.

    Returns:
      Window, stride, and the padding of both sides together.

    Raises:
      InputError: it is no such word.

    >>> read("5/2/1")
    (5, 2, 2)
    """
    match = re.fullmatch(r"(\d+)/(\d+)/(\d+)", word)
    if match is None:
        raise InputError(f"{word!r} is no layer: write F/S/P, such as 3/2/1")
    window, stride, padding = map(int, match.groups())
    for name, size in (("window", window), ("stride", stride)):
        if size == 0:
            raise InputError(f"{word!r}: the {name} must be at least 1 pixel, not 0")
    return window, stride, 2 * padding


def output_size(side: int, window: int, stride: int, padded: int) -> int:
    """Counts the outputs along a side.

    Args:
      side: pixels along a side, W.
      window: pixels along a side of the window, F.
      stride: pixels from a window to the next, S.
      padded: zeros on both sides together, 2P; an odd number puts one more at the end.

    Returns:
      floor((W - F + 2P) / S) + 1.

    Raises:
      InputError: the window does not fit.

    >>> [output_size(100, window, stride, 0) for window, stride in WINDOWS]
    [100, 98, 49, 97, 91]
    """
    if window > side + padded:
        raise InputError(
            f"a window of {window} does not fit into {side + padded} pixels"
        )
    return (side - window + padded) // stride + 1


def same_padding(side: int, window: int, stride: int) -> int:
    """Counts the zeros that give side / stride outputs, rounded up.

    >>> [same_padding(100, window, stride) for window, stride in WINDOWS]
    [0, 2, 1, 3, 9]
    """
    return max((-(-side // stride) - 1) * stride + window - side, 0)


def measure(
    images: tuple[int, int],
    features: int,
    group: str,
    window: int,
    stride: int,
    padded: int,
) -> Size:
    """Applies formula and layer, the layer by its shapes alone.

    Args:
      images: pixels along a side, and channels.
      features: filters of a convolution.
      group: one of the table's; ``POOLED`` for pooling.
      window: pixels along a side of the window.
      stride: pixels from a window to the next.
      padded: zeros on both sides together.

    Returns:
      The row.

    Raises:
      InputError: the window does not fit.
    """
    side, channels = images
    formula = output_size(side, window, stride, padded)
    batch = jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32)
    variables: Any = {}
    if group == POOLED:

        def apply(variables: Any, images: jax.Array) -> jax.Array:
            return max_pool(images, window, stride)

    else:
        both = (padded // 2, padded - padded // 2)
        layer: nn.Module = Conv(
            features, (window, window), (stride, stride), padding=(both, both)
        )
        variables = jax.eval_shape(layer.init, jax.random.key(0), batch)
        apply = layer.apply  # pyright: ignore[reportAssignmentType]
    output = jax.eval_shape(apply, variables, batch)
    assert output.shape[1] == output.shape[2]
    return Size(
        group=group,
        window=window,
        stride=stride,
        padded=padded,
        formula=formula,
        layer=output.shape[1],
        parameters=sum(leaf.size for leaf in jax.tree.leaves(variables)),
        multiply_adds=multiply_adds(apply, variables, batch),
    )


def picture(side: int, sizes: Sequence[Size]) -> Picture:
    """Draws inputs and outputs to scale.

    Args:
      side: pixels along a side of an image.
      sizes: rows of the table.

    Returns:
      The picture.
    """
    outputs: dict[str, list[tuple[str, int]]] = {}
    for each in sizes:
        label = f"F {each.window}, S {each.stride}"
        outputs.setdefault(each.group, []).append((label, each.layer))
    return Picture(
        "sizes",
        output_squares("Output sizes", side, outputs),
        "An outline is an image, and the square in it a layer's output, to scale; F "
        "is the side of the window and S the stride.",
        "Sides of the outputs; the table holds the same numbers.",
    )


def tabulated(
    images: tuple[int, int], features: int, sizes: Sequence[Size], notes: Sequence[str]
) -> Table:
    """Tabulates rows, a block a group, above notes."""
    side, channels = images
    rows = []
    for each in sizes:
        quotient = f"({side} - {each.window} + {each.padded}) / {each.stride}"
        outputs = f"floor({quotient}) + 1 = {each.formula}"
        row = {
            "F": str(each.window),
            "S": str(each.stride),
            "2P": str(each.padded),
            FORMULA: outputs,
            "layer": str(each.layer),
            "agree": "yes" if each.layer == each.formula else "NO",
            "parameters": f"{each.parameters:,}",
            "multiply-adds": f"{each.multiply_adds:,}",
        }
        rows.append(row)
    plural = "s" * (features > 1)
    title = f"Images of {side} x {side} x {channels}, {features} filter{plural}"
    note = (
        "Where 2P is odd, one zero more stands at the end. The layer's size is read "
        "off its shapes (jax.eval_shape)."
    )
    left, groups = (FORMULA, "agree"), [each.group for each in sizes]
    return tabulate(title, rows, left, [note, *notes], groups)


if __name__ == "__main__":
    cli.run(main, words=True)
