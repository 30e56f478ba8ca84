"""The page of a compression: its sections and figures."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.compression import activations
from experiments.compression.files import Written
from experiments.compression.stages import Nets
from experiments.compression.tables import (
    WHOLE_WAY,
    Measure,
    contender_table,
    layer_table,
    plus_minus,
)
from experiments.compression.thresholds import kept_at
from optlab import compress
from optlab.compress.low_rank import Factors, paying_rank, rank_for
from optlab.report import Picture, Section, tabulate
from optlab.report.figures import compression as figures

#: Most layers whose histograms stand side by side.
MOST_HISTOGRAMS = 6

#: Ways to choose the weights that go.
MAGNITUDE, LEARNED = "magnitude", "learned thresholds"


class Studies(NamedTuple):
    """Errors beside those of the files."""

    thresholds: Mapping[str, figures.Curve]  # way to choose weights -> nets; or empty
    scan: np.ndarray  # [seeds, layers, sparsities], validation
    activations: Mapping[int, Mapping[str, np.ndarray]]  # bits -> range -> [seeds]


def sections(
    contenders: Sequence[Written],
    nets: tuple[Nets, Nets, Nets],
    studies: Studies,
    settings: Mapping[str, Any],
    measure: Measure,
) -> list[Section]:
    """Makes the page's sections.

    The dense parent is the first contender; the nets are dense, pruned and shared.
    """
    dense, pruned, shared = (each.of(0)["params"] for each in nets)
    size = 4 * sum(leaf.size for leaf in jax.tree.leaves(dense))
    found = [
        _errors(contenders, size, settings, measure),
        _stages(contenders, size),
        Section("Weights", (_histograms(dense, pruned, shared),)),
    ]
    if studies.thresholds:
        strengths = settings["thresholds"]["strengths"]
        found.append(_thresholds(studies.thresholds, strengths, measure))
    names = [name.removesuffix("/kernel") for name in compress.kernel_names(dense)]
    found += [
        _sensitivity(names, studies.scan, settings["scan"]["sparsities"], measure),
        _activations(studies.activations, measure),
    ]
    if picture := _masks(pruned, nets[0].problem):
        found.append(Section("What the first layer looks at", (picture,)))
    if picture := _spectra(dense, settings["low_rank"]["energy"]):
        found.append(Section("Singular values", (picture,)))
    return found


def _errors(
    contenders: Sequence[Written],
    size: int,
    settings: Mapping[str, Any],
    measure: Measure,
) -> Section:
    """Shows what all contenders cost and do, beside published figures."""
    points = [
        figures.Point(each.name, each.bytes, measure.of(each.values))
        for each in contenders
    ]
    for each in settings["published"]:
        numbers = (np.array([each[key]]) for key in ("bytes", "error"))
        points.append(figures.Point(each["name"], *numbers, published=True))
    figure = figures.error_by_bytes(points, settings["title"], measure.label)
    caption = "Left and low is better. The dotted line is the dense parent."
    alt = f"{measure.label} against bytes of the file for each contender"
    described = [{"contender": e.name, "file": e.description} for e in contenders]
    sources = [f"Published: {each['source']}." for each in settings["published"]]
    content = (
        Picture("error_by_bytes", figure, caption, alt),
        contender_table(contenders, size, measure),
        tabulate("Contenders", described, ["contender", "file"]),
        *dict.fromkeys(sources),
    )
    return Section("Error against bytes", content)


def _stages(contenders: Sequence[Written], size: int) -> Section:
    """Shows the parts of a file after each stage."""
    by_name = {each.name: each for each in contenders}
    steps = {name: _parts(by_name[name]) for name in ("P", "P+Q", WHOLE_WAY)}
    figure = figures.stage_bars(steps, size, "Bytes of the file, stage by stage")
    caption = (
        "P: float32 values of the weights that are left, and their positions. Q: "
        "values become codes. H: frequent codes become shorter. First seed."
    )
    alt = "bytes of values, indices, tables and the rest after each stage"
    picture = Picture("stages", figure, caption, alt)
    return Section("What each stage bought", (picture, layer_table(by_name[WHOLE_WAY])))


def _parts(written: Written) -> dict[str, int]:
    """Bytes of the parts of a file, of the first seed."""
    data = written.first.read_bytes()
    entries = compress.stored(data)
    kernels = [each for each in entries if each.path.endswith("kernel")]
    others = sum(e.codes + e.gaps + e.tables for e in entries if e not in kernels)
    parts = {
        "values": sum(each.codes for each in kernels),
        "indices": sum(each.gaps for each in kernels),
        "codebooks, tables": sum(each.tables for each in kernels),
        "biases": others,
    }
    return parts | {"names, shapes": len(data) - sum(parts.values())}


def _kernels(params: Any) -> dict[str, Any]:
    """Kernels, or what stands for them, by their path."""
    compressed = lambda node: type(node) in (compress.Shared, Factors)  # noqa: E731
    leaves = jax.tree.leaves_with_path(params, is_leaf=compressed)
    names = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf
             for path, leaf in leaves}  # fmt: skip
    return {
        name: leaf
        for name, leaf in names.items()
        if compressed(leaf) or np.ndim(leaf) > 1
    }


def _histograms(dense: Any, pruned: Any, shared: Any) -> Picture:
    triples = zip(
        *(_kernels(each).items() for each in (dense, pruned, shared)), strict=True
    )
    layers = []
    for (name, before), (_, after), (_, codes) in triples:
        used = codes.centroids[np.unique(codes.codes[codes.codes > 0]).astype(int) - 1]
        kept = after[after != 0]
        label = name.removesuffix("/kernel")
        layers.append(figures.Layer(label, before.ravel(), kept, used))
    shown = layers[:MOST_HISTOGRAMS]
    figure = figures.weight_histograms(shown, "Weights before and after compression")
    caption = (
        "Above: all weights of a layer of the dense parent. Below: those that are left "
        "after pruning and retraining; vertical lines are the centroids, the values "
        "that they then share. First seed"
        + (f", the first {len(shown)} of {len(layers)} layers." if layers[len(shown):]
           else ".")
    )  # fmt: skip
    return Picture("weights", figure, caption, "histograms of each layer's weights")


def _thresholds(
    curves: Mapping[str, figures.Curve], strengths: Sequence[float], measure: Measure
) -> Section:
    """Compares learned thresholds with magnitude, in as many epochs."""
    learned, rows = curves[LEARNED], []
    for i, strength in enumerate(strengths):
        kept, error = learned.shares[:, i].mean(), learned.values[:, i].mean()
        other = kept_at(curves[MAGNITUDE], error)
        row = {
            "strength of\nthe penalty": f"{strength:g}",
            "kept %": f"{100 * kept:.2f}",
            measure.label: plus_minus(learned.values[:, i]),
            "magnitude keeps %\nat this error": "-" if other is None else
            f"{100 * other:.2f}",
            "learned /\nmagnitude": "-" if other is None else f"{kept / other:.2f}",
        }  # fmt: skip
        rows.append(row)
    title = "Learned thresholds beside magnitude"
    figure = figures.error_curves(curves, title, measure.label, "kept")
    caption = (
        "A point a sparsity, or a strength of the penalty on kept weights; thresholds "
        "are hardened and the weights above them retrained. Both ways take as many "
        "epochs from the same parents. Low and left is better."
    )
    alt = "test error against the share of weights kept, for both ways"
    note = (
        "A dash: magnitude does not reach this error at the sparsities tried, or does "
        "at all of them. Its share is interpolated between their mean errors."
    )
    table = tabulate(
        "Weights kept at the same error", rows, ["strength of\nthe penalty"], [note]
    )
    return Section(
        "Learned thresholds", (Picture("thresholds", figure, caption, alt), table)
    )


def _sensitivity(
    names: Sequence[str],
    scan: np.ndarray,
    sparsities: Sequence[float],
    measure: Measure,
) -> Section:
    """Shows the scan of the dense nets, a layer at a time."""
    shares = np.array([sparsities])
    curves = {name: figures.Curve(shares, scan[:, i]) for i, name in enumerate(names)}
    title = "Sensitivity of each layer to pruning"
    label = measure.label.replace("test", "validation")
    figure = figures.error_curves(curves, title, label, "pruned")
    caption = (
        "One layer of the dense parent loses its smallest weights, all others stay "
        "whole, and nothing is retrained: how much each layer can give up."
    )
    alt = "validation error against the sparsity of one layer, a line a layer"
    return Section("Sensitivity", (Picture("sensitivity", figure, caption, alt),))


def _activations(
    found: Mapping[int, Mapping[str, np.ndarray]], measure: Measure
) -> Section:
    """Compares ways to find the ranges of layers' inputs, at several bits."""
    label = measure.label.replace("test", "validation")
    rows = [
        {"range": name.replace("_", " ")}
        | {
            f"{bits} bits,\n{label}": plus_minus(each[name])
            for bits, each in found.items()
        }
        for name in found[8]
    ]
    images = activations.CALIBRATION[0] * activations.CALIBRATION[1]
    words = (
        "Each layer's inputs are rounded to 2^bits evenly spaced numbers between two "
        "ends; what lies beyond is cut off, and a narrower range has finer steps. The "
        "ends are the smallest and the largest value of all calibration batches (min "
        "max), a moving average of those of each batch, the values beyond which lie "
        "0.1% at either end (percentile), or the share of the full range with the "
        "least squared error; or they are those of each batch itself (online)."
    )
    seeds = len(found[8][activations.EXACT])
    notes = [
        f"{seeds} seed{'s' * (seeds > 1)}; mean ± 95% interval. Weights are dense, of "
        f"8 bits. Calibration: {images} examples of the training split."
    ]
    table = tabulate("Ranges of layers' inputs", rows, ["range"], notes)
    return Section("Activations of few bits", (words, table))


def _masks(pruned: Any, problem: Any) -> Picture | None:
    """Masks of a dense first layer of images of one channel, as images."""
    kernel = next(iter(_kernels(pruned).values()))
    inputs = problem.dataset.train.inputs
    shape = getattr(inputs, "shape", ())[1:]
    if kernel.ndim != 2 or len(shape) != 3 or shape[2] != 1:
        return None
    if kernel.shape[1] != shape[0] * shape[1]:
        return None
    masks = (kernel != 0).reshape(-1, *shape[:2])
    figure = figures.mask_images(masks, "Masks of the first layer")
    unseen = int((masks.sum(axis=0) == 0).sum())
    none = f"no unit looks at {unseen} of the {shape[0] * shape[1]} pixels"
    caption = (
        f"Left: number of units that keep a weight on each pixel; "
        f"{none if unseen else 'every pixel has some'}. Right: the pixels, dark, on "
        "which the units with most weights keep one. First seed."
    )
    return Picture("masks", figure, caption, "kept weights of the first layer by pixel")


def _spectra(dense: Any, energy: float) -> Picture | None:
    layers = []
    for name, kernel in _kernels(dense).items():
        if kernel.ndim == 2:
            values = np.linalg.svd(kernel, compute_uv=False)
            rank = rank_for(values, energy)
            if rank > paying_rank(*kernel.shape):
                rank = len(values)
            label = name.removesuffix("/kernel")
            layers.append(figures.Spectrum(label, values, rank))
    if not layers:
        return None
    figure = figures.spectra(layers, energy, "Singular values of the dense kernels")
    caption = (
        "Dashed: the rank that is kept; a layer stays whole where its two factors "
        "would be larger. First seed."
    )
    return Picture("spectra", figure, caption, "singular values and ranks by layer")
