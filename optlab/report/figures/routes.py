"""Edges of a layered graph as curves, and places of their labels."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

#: Distance of points along a curve, in inches: less than a label's height.
STEP = 0.05

#: Most places of a label along its curve.
MOST = 60

#: Free space that is wanted around a label, in inches.
SPACE = 0.1


def curve(stops: Sequence[tuple[float, float]]) -> Path:
    """Draws a curve through stops (x, y) from left to right, level at each of them."""
    points, codes = list(stops[:1]), [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(stops):
        third = (x1 - x0) / 3
        points += [(x0 + third, y0), (x1 - third, y1), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return Path(points, codes)


def place_labels(
    curves: Sequence[Path], sizes: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    """Finds for each label a place on its curve, off other curves, labels and boxes.

    Args:
      curves: curves, in inches.
      sizes: width and height of each curve's label, ``[curves, 2]``.
      boxes: center and size of each box, ``[boxes, 4]``.

    Returns:
      The labels' centers, ``[curves, 2]``: where there is no free place, one that
      covers the least; else near the middle of the curve.
    """
    if not curves:
        return np.zeros((0, 2))
    evenly = [_evenly(each) for each in curves]
    points = np.concatenate(evenly)
    owner = np.repeat(np.arange(len(curves)), [len(each) for each in evenly])
    order = np.argsort(points[:, 0])
    points, owner = points[order], owner[order]
    candidates = [each[:: len(each) // MOST + 1] for each in evenly]

    def covered(i: int, place: np.ndarray) -> float:
        """Weighs other curves under the label, and in the space around it."""
        wide = (sizes[i] + SPACE) / 2
        ends = place[0] - wide[0], place[0] + wide[0]
        near = slice(*np.searchsorted(points[:, 0], ends))
        apart = np.abs(points[near] - place)[owner[near] != i]
        under, around = (np.all(apart < r, axis=1).sum() for r in (sizes[i] / 2, wide))
        return 10 * under + around

    costs = []
    for i, places in enumerate(candidates):
        on_boxes = _overlaps(places, sizes[i], boxes[:, :2], boxes[:, 2:])
        from_middle = np.abs(np.linspace(-1, 1, len(places)))
        on_curves = np.array([covered(i, place) for place in places])
        costs.append(on_curves + 1000 * on_boxes + from_middle)
    chosen = np.array(
        [each[np.argmin(cost)] for each, cost in zip(candidates, costs, strict=True)]
    )
    for _ in range(3):  # each label in turn makes way for the others
        for i, places in enumerate(candidates):
            rest = np.arange(len(curves)) != i
            hits = _overlaps(places, sizes[i], chosen[rest], sizes[rest])
            chosen[i] = places[np.argmin(costs[i] + 1000 * hits)]
    return chosen


def _evenly(path: Path) -> np.ndarray:
    """Puts points a step apart along a curve, ``[n, 2]``."""
    fine = Affine2D().scale(1 / STEP)  # a polygon's parts are about a unit long
    points = np.asarray(path.transformed(fine).to_polygons(closed_only=False)[0])
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.linspace(0, at[-1], max(int(at[-1]), 2) + 1)
    return STEP * np.stack([np.interp(wanted, at, xs) for xs in points.T], axis=1)


def _overlaps(
    places: np.ndarray, size: np.ndarray, centers: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Counts the boxes that a box of a size overlaps at each of some places."""
    apart = np.abs(places[:, None] - centers)
    return np.all(apart < (size + sizes) / 2, axis=-1).sum(1)
