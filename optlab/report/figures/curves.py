"""Loss and accuracy of the report runs: by epoch, by wall time, step by step."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from optlab.report.figures import style
from optlab.report.figures.labels import label_ends, say
from optlab.results import Cell, Results, cell_rows, diverged_lanes, mean_band

_HEIGHTS = 3.0, 2.6


def by_epoch(results: Results) -> Figure:
    """Training and validation loss, and validation accuracy, against epochs.

    Args:
      results: whose report runs are drawn, as means with 95% bands over seeds.

    Returns:
      The figure, one column a batch size.
    """
    return _progress(results, "Loss and accuracy by epoch", "epoch", seconds=False)


def by_time(results: Results) -> Figure:
    """The same as ``by_epoch``, against the wall time of one run on its own.

    Args:
      results: whose report runs are drawn; compile time is not in their seconds.

    Returns:
      The figure, one column a batch size.
    """
    label = "seconds of one run alone, compile excluded"
    return _progress(results, "Loss and accuracy by wall time", label, seconds=True)


def moving_average(values: np.ndarray, decay: float = 0.99) -> np.ndarray:
    """Exponential moving average along the last axis, its start corrected.

    m_t = decay * m_(t-1) + (1 - decay) * x_t,    m_0 = 0,    shown: m_t / (1 - decay^t)

    Kingma and Ba, "Adam" (2015), section 3, for the correction.

    Args:
      values: ``[..., steps]``.
      decay: how much of the past is kept at each step.

    Returns:
      ``[..., steps]``; the first is the first value itself.

    >>> moving_average(np.array([1.0, 3.0]), 0.5).round(3).tolist()  # (.5 + 1.5*2)/1.5
    [1.0, 2.333]
    """
    average = np.empty_like(values, dtype=float)
    mean = np.zeros(values.shape[:-1])
    for step in range(values.shape[-1]):
        mean = decay * mean + (1 - decay) * values[..., step]
        average[..., step] = mean / (1 - decay ** (step + 1))
    return average


def by_step(results: Results, decay: float = 0.99, points: int = 500) -> Figure:
    """Moving averages of the mini-batch training loss and error, against steps.

    Args:
      results: whose traces are drawn, as means with 95% bands over seeds.
      decay: of the average.
      points: at most so many are drawn of each line.

    Returns:
      The figure, one column a batch size.
    """
    with style.house():
        title = f"Mini-batch training loss and error, moving average ({decay:g})"
        foot = style.over_seeds(_counts(results))
        figure, axes = style.canvas(results, title, _HEIGHTS, foot)
        looks = style.looks(style.optimizers(results))
        drawn: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        ends: dict[int, list] = {}
        for column, size in enumerate(style.batch_sizes(results)):
            recorded = set()
            for cell in (c for c in results.cells if c.batch_size == size):
                steps, averages = smoothed(results, cell, decay, points)
                if not steps.size:
                    continue
                recorded.add(cell.optimizer)
                look = looks[cell.optimizer]
                for row, values in enumerate(averages):
                    mean = style.band(
                        axes[row, column], steps, values, row == 0, **look.line(steps)
                    )
                    drawn[row].append(values)
                    end = (cell.optimizer, look.colour, *_last(steps, mean))
                    ends.setdefault(column, [[], []])[row].append(end)
            axes[1, column].set_xlabel("training step")
            say(axes[0, column], _left_out(results, size, recorded))
        axes[0, 0].set_ylabel("training loss")
        axes[1, 0].set_ylabel("training error")
        style.scale(axes[0], drawn[0])
        style.scale(axes[1], drawn[1], percent=True)
        _label(axes, ends)
    return figure


def _progress(results: Results, title: str, label: str, seconds: bool) -> Figure:
    with style.house():
        foot = style.over_seeds(_counts(results))
        figure, axes = style.canvas(results, title, _HEIGHTS, foot)
        looks = style.looks(style.optimizers(results))
        losses: list[np.ndarray] = []
        accuracies: list[np.ndarray] = []
        ends: dict[int, list] = {}
        for column, size in enumerate(style.batch_sizes(results)):
            top, bottom = axes[:, column]
            recorded = set()
            for cell in (c for c in results.cells if c.batch_size == size):
                x, values = curves(results, cell)
                x = mean_band(values["seconds"])[0] if seconds else x
                if not x.size or not np.isfinite(x).all():
                    continue
                recorded.add(cell.optimizer)
                colour, line = (
                    looks[cell.optimizer].colour,
                    looks[cell.optimizer].line(x),
                )
                train, validation, accuracy = (
                    values[name]
                    for name in ("train loss", "validation loss", "validation accuracy")
                )
                style.band(top, x, train, True, **line)
                held = style.band(top, x, validation, True, **line, ls=(0, (4, 1.5)))
                right = style.band(bottom, x, accuracy, False, **line)
                losses += [train, validation]
                accuracies.append(accuracy[:, len(x) // 4 :])  # the rise would squash
                ends.setdefault(column, [[], []])
                ends[column][0].append((cell.optimizer, colour, *_last(x, held)))
                ends[column][1].append((cell.optimizer, colour, *_last(x, right)))
            bottom.axhline(results.target_accuracy, color=style.GREY, lw=0.9, ls=":")
            bottom.set_xlabel(label)
            bottom.xaxis.set_major_locator(
                MaxNLocator("auto", steps=[1, 2, 5, 10], integer=not seconds)
            )
            say(top, _left_out(results, size, recorded))
        axes[0, 0].set_ylabel("loss")
        axes[1, 0].set_ylabel("validation accuracy")
        style.scale(axes[0], losses)
        style.scale_accuracy(axes[1], accuracies)
        _label(axes, ends)
        _explain_dashes(axes[0, -1], axes[1, -1], results.target_accuracy)
    return figure


def smoothed(
    results: Results, cell: Cell, decay: float, points: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The moving averages of one cell's trace, thinned out for drawing.

    Args:
      results: with the traces.
      cell: whose trace is wanted.
      decay: of the average.
      points: at most so many steps are kept, the first and the last among them.

    Returns:
      The steps, ``[n]``, counted from one, and the averages of loss and error, each
      ``[seeds, n]``, of the runs that did not diverge; empty where there is none.
    """
    name = cell.optimizer, cell.batch_size
    lost = _lost(results, cell)
    for trace in (t for t in results.traces if (t.optimizer, t.batch_size) == name):
        kept = [i for i, seed in enumerate(trace.seeds) if seed not in lost]
        count = trace.loss.shape[1]
        if not kept or not count:
            continue
        at = np.unique(np.linspace(0, count - 1, min(count, points)).astype(int))
        loss, error = (
            moving_average(np.asarray(values)[kept], decay)[:, at]
            for values in (trace.loss, trace.error)
        )
        return at + 1, (loss, error)
    return np.zeros(0, int), (np.zeros((0, 0)), np.zeros((0, 0)))


def curves(results: Results, cell: Cell) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The report runs of one cell that did not diverge, as arrays.

    Args:
      results: with the rows.
      cell: whose rows are wanted.

    Returns:
      The epochs, ``[n]``, and by name ``[seeds, n]``: train loss, validation loss,
      validation accuracy and seconds; nan where a run has no row.
    """
    lost = _lost(results, cell)
    rows = cell_rows(results.rows, cell, "report")
    rows = [row for row in rows if row.seed not in lost]
    epochs = sorted({row.epoch for row in rows if row.split == "validation"})
    seeds = sorted({row.seed for row in rows})
    names = "train loss", "validation loss", "validation accuracy", "seconds"
    values = {name: np.full((len(seeds), len(epochs)), np.nan) for name in names}
    place = {epoch: i for i, epoch in enumerate(epochs)}
    for row in rows:
        if row.epoch not in place:
            continue
        at = seeds.index(row.seed), place[row.epoch]
        if row.split in ("train", "validation"):
            values[f"{row.split} loss"][at] = row.loss
        if row.split == "validation":
            values["validation accuracy"][at] = row.accuracy
            values["seconds"][at] = row.seconds
    return np.array(epochs), values


def _last(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The last point of a line that is finite, or nan."""
    finite = np.flatnonzero(np.isfinite(y))
    at = finite[-1] if finite.size else None
    return (np.nan, np.nan) if at is None else (float(x[at]), float(y[at]))


def _label(axes: np.ndarray, ends: dict[int, list]) -> None:
    for column, rows in ends.items():
        for row, lines in enumerate(rows):
            label_ends(axes[row, column], lines, 0.85 * _HEIGHTS[row])


def _left_out(results: Results, size: int, recorded: set[str]) -> list[str]:
    """A line for each optimizer of which the panel shows nothing, or not all."""
    lines = []
    for cell in (cell for cell in results.cells if cell.batch_size == size):
        lost, count = len(_lost(results, cell)), len(cell.report_seeds)
        if cell.best is None:
            lines.append(f"{cell.optimizer}: all lanes diverged")
        elif lost:
            lines.append(f"{cell.optimizer}: {lost} of {count} runs diverged, left out")
        elif cell.optimizer not in recorded:
            lines.append(f"{cell.optimizer}: nothing recorded")
    return lines


def _counts(results: Results) -> list[int]:
    """How many report runs each line is the mean of."""
    return [
        len(cell.report_seeds) - len(_lost(results, cell))
        for cell in results.cells
        if cell.best is not None
    ]


def _lost(results: Results, cell: Cell) -> set[int]:
    """The seeds of the report runs that diverged."""
    lanes = diverged_lanes(cell_rows(results.rows, cell, "report"))
    return {seed for _, seed in lanes}


def _explain_dashes(top: Axes, bottom: Axes, target: float) -> None:
    kinds = {"validation": (0, (4, 1.5)), "training": "-"}
    lines = [Line2D([], [], color=style.GREY, ls=kind) for kind in kinds.values()]
    top.legend(lines, list(kinds), loc="upper right", handlelength=2.6)
    low, high = bottom.get_ylim()
    if low < target < high:
        dots = Line2D([], [], color=style.GREY, lw=0.9, ls=":")
        bottom.legend([dots], [f"target {100 * target:.4g}%"], loc="lower right")
