"""What the host does between segments: bar, log, state, rows, TensorBoard."""

import json
import pathlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from absl import logging
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from optlab.compare import stages
from optlab.compare.stages import Observer, Stage
from optlab.errors import InputError
from optlab.results import Row, checkpoint, write_atomic, write_csv
from optlab.sweep.lanes import fastest

#: States are saved when that costs at most this share of the time since the last save.
SAVING_SHARE = 0.05


class Host(Observer):
    """Draws a live bar, logs, keeps states and rows in a working directory.

    Args:
      workdir: the stages' states lie in its folder ``state``, the rows of all
        finished stages in ``rows.csv``.
      console: where the bar is drawn.
      made_with: versions, hardware, command.
      tensorboard: whether to write event files into the folder ``tensorboard``.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        console: Console,
        made_with: Mapping[str, str],
        tensorboard: bool,
    ):
        self.workdir = workdir
        self.made_with = made_with
        self.events = _Events(workdir / "tensorboard") if tensorboard else None
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("epochs, alive {task.fields[alive]},"),
            TimeElapsedColumn(),
            TextColumn("gone,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
        )
        self.rows: tuple[Row, ...] = ()
        self.saved_at = time.monotonic()
        self.saving_took = 0.0

    def __enter__(self) -> "Host":
        self.bar.start()
        # The bar stands in for sys.stderr while it lives; the log must go through it.
        logging.get_absl_handler().python_handler.setStream(sys.stderr)
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()
        logging.get_absl_handler().python_handler.setStream(sys.stderr)
        if self.events is not None:
            self.events.close()

    def begin(self, segments: int) -> None:
        """Sets the bar's length."""
        self.task = self.bar.add_task("starting", total=segments, alive="-")

    def restore(self, stage: Stage, fresh: stages.Progress) -> stages.Progress:
        """The stage as it was saved, or the fresh one."""
        finished, under_way = self._paths(stage)
        if finished.exists():
            history = checkpoint.restore(finished, fresh.history)
            self.bar.advance(self.task, stage.epochs)
            self.rows += stages.rows_of(stage, history)
            return stages.Progress(history, None)
        if not under_way.exists():
            return fresh
        progress = checkpoint.restore(under_way, fresh)
        logging.info("%s goes on after epoch %d", stage.name, progress.history.epoch)
        self.bar.advance(self.task, int(progress.history.epoch))
        return progress

    def widths(
        self, name: str, measure: Callable[[], Mapping[int, float]]
    ) -> Mapping[int, float]:
        """The table of this working directory, measured once; says what it shows."""
        path = self.workdir / "state" / "widths.json"
        tables = json.loads(path.read_text()) if path.exists() else {}
        if name not in tables:
            self.bar.update(self.task, description=f"measure widths, {name}")
            tables[name] = {str(w): t for w, t in measure().items()}
            write_atomic(path, json.dumps(tables, indent=1))
        seconds = {int(w): t for w, t in tables[name].items()}
        chosen = fastest(seconds)
        logging.info(
            "%s: lanes at a time: %d (ms a lane and step: %s)",
            name,
            chosen,
            ", ".join(f"{1e3 * t:.3g} at {w}" for w, t in seconds.items()),
        )
        return seconds

    def compiling(self, stage: Stage) -> None:
        """Says so, for nothing moves; signs the results, for now some are made."""
        self._describe(stage, "compile")
        signed = self._signed()
        if self.made_with not in signed:
            text = json.dumps([*signed, self.made_with], indent=1)
            write_atomic(self._signatures, text)

    def segment(self, stage: Stage, progress: stages.Progress) -> None:
        """Moves the bar; writes events, state and rows."""
        history, states = progress
        self._describe(stage, stage.phase)
        lost = stages.diverged(stage, history)
        alive = f"{lost.size - lost.sum()}/{lost.size}"
        self.bar.update(self.task, advance=int(history.epoch > 0), alive=alive)
        if self.events is not None:
            epoch = int(history.epoch)
            self.events.write(stages.rows_of(stage, history, first_epoch=epoch))
        finished, under_way = self._paths(stage)
        if states is not None:
            since = time.monotonic() - self.saved_at
            if self.saving_took <= SAVING_SHARE * since:
                started = time.monotonic()
                checkpoint.save(under_way, progress)
                self.saved_at = time.monotonic()
                self.saving_took = self.saved_at - started
            return
        checkpoint.save(finished, history)
        under_way.unlink(missing_ok=True)
        self.rows += stages.rows_of(stage, history)
        write_csv(self.workdir / "rows.csv", self.rows)
        logging.info(
            "%s: %d epochs, %s lanes alive, %.1f s training, %.1f s compiling",
            stage.name,
            stage.epochs,
            alive,
            history.seconds[-1],
            history.compile_seconds,
        )

    def environment(self) -> dict[str, str]:
        """What the results were made with: by this run, earlier ones, or several."""
        made = self._signed() or [self.made_with]
        return {
            label: "; then ".join(dict.fromkeys(each[label] for each in made))
            for label in self.made_with
        }

    @property
    def _signatures(self) -> pathlib.Path:
        return self.workdir / "state" / "made_with.json"

    def _signed(self) -> list[dict[str, str]]:
        path = self._signatures
        return json.loads(path.read_text()) if path.exists() else []

    def _describe(self, stage: Stage, what: str) -> None:
        label = f"{what} {stage.contender.label}, batch {stage.batch_size}"
        self.bar.update(self.task, description=label)

    def _paths(self, stage: Stage) -> tuple[pathlib.Path, pathlib.Path]:
        """Where a stage lies: finished (its history), and under way (states too)."""
        folder = self.workdir / "state"
        return folder / f"{stage.name}.done", folder / f"{stage.name}.state"


class _Events:
    """TensorBoard event files, a folder a run."""

    def __init__(self, folder: pathlib.Path):
        try:
            import tensorboardX
        except ModuleNotFoundError as error:
            raise InputError(
                "--tensorboard needs tensorboardX: pip install 'optlab[tensorboard]'"
            ) from error
        self.open = tensorboardX.SummaryWriter
        self.folder = folder
        self.writers: dict[str, Any] = {}

    def write(self, rows: tuple[Row, ...]) -> None:
        """Adds the loss and accuracy of some rows, by step."""
        for row in rows:
            run = (
                f"{row.optimizer}-b{row.batch_size}/"
                f"{row.phase}-point{row.point}-seed{row.seed}"
            )
            if run not in self.writers:
                self.writers[run] = self.open(str(self.folder / run))
            for name in ("loss", "accuracy"):
                tag, value = f"{name}/{row.split}", getattr(row, name)
                self.writers[run].add_scalar(tag, value, row.step)

    def close(self) -> None:
        """Flushes every file."""
        for writer in self.writers.values():
            writer.close()
