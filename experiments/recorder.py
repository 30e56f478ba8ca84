"""Side effects of a running comparison: bar, log, states, nets, rows, TensorBoard."""

import contextlib
import hashlib
import json
import math
import pathlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from optlab import compare
from optlab.compare import About, Observer, Progress, Stage
from optlab.errors import InputError
from optlab.results import (
    Entry,
    Runs,
    checkpoint,
    read_json,
    write_atomic,
    write_csv,
)
from optlab.sweep import Program
from optlab.training import Trained

#: States are saved when that costs at most this share of the time since the last save.
SAVING_SHARE = 0.05

#: Most bytes of a label in the name of a file; others are cut.
LONGEST_NAME = 120


class Recorder(Observer):
    """Draws a live bar, logs, keeps states, nets and rows in a working directory.

    Args:
      workdir: folder that receives ``state/`` (progress of stages), ``nets/`` (trained
        nets of the report runs) and ``rows.csv`` (rows of all finished stages).
      console: console that draws the bar.
      made_with: versions, hardware, command.
      data_dir: folder of prepared data sets, kept with each net.
      tensorboard: whether to write event files into ``tensorboard/``.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        console: Console,
        made_with: Mapping[str, str],
        data_dir: str | None = None,
        tensorboard: bool = False,
    ):
        self.workdir = workdir
        self.made_with = made_with
        self.data_dir = data_dir
        self.events = _Events(workdir / "tensorboard") if tensorboard else None
        self.bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("epochs, alive {task.fields[alive]},"),
            TimeElapsedColumn(),
            TextColumn("elapsed,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
        )
        self.runs: list[tuple[str, Any, Runs]] = []  # label, points, arrays
        self.saving_since = self.saved_at = time.monotonic()

    def __enter__(self) -> "Recorder":
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

    def restore(self, stage: Stage, fresh: Progress) -> Progress:
        """Reads the stage's saved progress, if any."""
        finished, under_way = self._paths(stage)
        if finished.exists():
            history = checkpoint.restore(finished, fresh.history)
            self.bar.advance(self.task, stage.epochs)
            self._keep(stage, history)
            return Progress(history, None)
        if not under_way.exists():
            return fresh
        progress = checkpoint.restore(under_way, fresh)
        logging.info("%s goes on after epoch %d", stage.name, progress.history.epoch)
        self.bar.advance(self.task, int(progress.history.epoch))
        return progress

    def widths(
        self, name: str, measure: Callable[[], Mapping[int, float]]
    ) -> Mapping[int, float]:
        """Reads the table of this working directory, measured once and logged."""
        path = self.workdir / "state" / "widths.json"
        again = "lanes are timed again; a stage under way may end in other last digits"
        tables = _read_or_set_aside(path, _is_width_table, again) or {}
        if name not in tables:
            self.bar.update(self.task, description=f"time lanes, {name}")
            tables[name] = {str(w): t for w, t in measure().items()}
            write_atomic(path, json.dumps(tables, indent=1))
        seconds = {int(w): t for w, t in tables[name].items()}
        if not any(map(math.isnan, seconds.values())):  # a width without another
            times = ", ".join(f"{1e3 * t:.3g} at {w}" for w, t in seconds.items())
            logging.info("%s: ms a lane and step by lanes at a time: %s", name, times)
        return seconds

    def compiling(self, stage: Stage) -> None:
        """Updates the status text and records provenance when training starts."""
        self._describe(stage, "compile")
        signed = self._signed()
        if self.made_with not in signed:
            text = json.dumps([*signed, self.made_with], indent=1)
            write_atomic(self._signatures, text)

    def compiled(self, stage: Stage, program: Program) -> None:
        """Logs the time and the number of lanes at a time."""
        text = "%s: compiled in %.1f s, lanes at a time: %d"
        logging.info(text, stage.name, program.compile_seconds, program.width)

    def wants_states(self, stage: Stage) -> bool:
        """Tells whether to save now: at a small share of the time since the last one.

        The time that it takes to gather states counts as saving, too.
        """
        took, now = self.saved_at - self.saving_since, time.monotonic()
        if took > SAVING_SHARE * (now - self.saved_at):
            return False
        self.saving_since = now
        return True

    def segment(self, stage: Stage, progress: Progress) -> None:
        """Moves the bar; writes events, state and rows."""
        history, states = progress
        self._describe(stage, stage.phase)
        lost = compare.diverged(stage, history)
        alive = f"{lost.size - lost.sum()}/{lost.size}"
        done = compare.done(stage, history)
        moved = int(history.epoch > 0) + done * (stage.epochs - int(history.epoch))
        self.bar.update(self.task, advance=moved, alive=alive)
        if self.events is not None:
            self.events.write(stage, history)
        finished, under_way = self._paths(stage)
        if not done:
            if states is not None:
                checkpoint.save(under_way, progress)
                self.saved_at = time.monotonic()
            return
        checkpoint.save(finished, history)
        under_way.unlink(missing_ok=True)
        self._keep(stage, history)
        write_csv(self.workdir / "rows.csv", self.runs)
        text = "%s: %d epochs, %s lanes alive, %.1f s training"
        logging.info(text, stage.name, history.epoch, alive, history.seconds[-1])

    def trained(self, stage: Stage, trained: Trained) -> None:
        """Writes the net of a report run."""
        contender, (seed,), (point,) = stage.contender, stage.seeds, stage.points
        compare.save_trained(
            self._net(contender.label, seed),
            trained,
            About(
                label=contender.label,
                settings=contender.settings,
                point=contender.points[point],
                seed=seed,
                data_dir=self.data_dir,
            ),
        )

    def constants(self, entries: Sequence[Entry]) -> dict[str, dict[str, np.ndarray]]:
        """Reads the learned constants of the kept nets, by contender's label."""
        seeds = {e.label: e.report.seeds for e in entries if e.report is not None}
        found = {
            label: compare.learned_constants([self._net(label, s) for s in each])
            for label, each in seeds.items()
        }
        return {label: constants for label, constants in found.items() if constants}

    def environment(self) -> dict[str, str]:
        """Joins the provenance of this run and of earlier ones, if any trained."""
        made = self._signed() or [self.made_with]
        return {
            label: "; then ".join(
                dict.fromkeys(each.get(label, "unknown") for each in made)
            )
            for label in self.made_with
        }

    @property
    def _signatures(self) -> pathlib.Path:
        return self.workdir / "state" / "made_with.json"

    def _signed(self) -> list[dict[str, str]]:
        lost = "versions and commands of earlier runs are not known any more"
        return _read_or_set_aside(self._signatures, _is_signed, lost) or []

    def _keep(self, stage: Stage, history: Any) -> None:
        runs = compare.runs_of(stage, [history])
        self.runs.append((stage.contender.label, stage.contender.points, runs))

    def _describe(self, stage: Stage, what: str) -> None:
        label = f"{what} {stage.contender.label}"
        self.bar.update(self.task, description=label)

    def _net(self, label: str, seed: int) -> pathlib.Path:
        return self.workdir / "nets" / f"{_file_name(label)}-seed{seed}.net"

    def _paths(self, stage: Stage) -> tuple[pathlib.Path, pathlib.Path]:
        """Files of a stage: finished (its history), and under way (states too)."""
        folder, name = self.workdir / "state", _file_name(stage.name)
        return folder / f"{name}.done", folder / f"{name}.state"


def check_names(labels: Sequence[str]) -> None:
    """Refuses labels whose files would have the same name.

    Args:
      labels: labels of all contenders.

    Raises:
      InputError: two of them differ in spaces and underscores alone, or in case alone,
        which is one file on some systems.
    """
    taken: dict[str, str] = {}
    for label in labels:
        other = taken.setdefault(_file_name(label).casefold(), label)
        if other != label:
            raise InputError(
                f"contenders {other!r} and {label!r} would share their files: give "
                "one of them another name"
            )


def _file_name(label: str) -> str:
    """A label as part of a file's name, which is no path and not too long for one.

    >>> _file_name("adam, batch_size 64"), _file_name("a/[b]"), _file_name("..")
    ('adam,_batch_size_64', 'a%2F%5Bb%5D', '%2E.')
    >>> len(_file_name("x" * 999))
    129
    """
    text = re.sub(
        r"^\.|[^\w.,+=-]",
        lambda match: f"%{ord(match[0]):02X}",
        label.replace(" ", "_"),
    )
    data = text.encode(errors="replace")
    if len(data) <= LONGEST_NAME:
        return text
    digest = hashlib.sha256(data).hexdigest()[:8]
    return f"{data[:LONGEST_NAME].decode(errors='ignore')}-{digest}"


def _read_or_set_aside(
    path: pathlib.Path, check: Callable[[Any], bool], consequence: str
) -> Any:
    """Reads a small file; a damaged one is renamed with a warning, and the run goes on.

    Returns:
      The content; None where there is no file, or a damaged one.
    """
    if not path.exists():
        return None
    content = read_json(path, check)
    if content is None:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        logging.warning("%s was damaged and is now %s: %s", path, aside, consequence)
    return content


def _is_width_table(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(table, dict)
        and table
        and all(
            width.isdigit() and int(width) > 0 and isinstance(time, int | float)
            for width, time in table.items()
        )
        for table in content.values()
    )


def _is_signed(content: Any) -> bool:
    return isinstance(content, list) and all(
        isinstance(facts, dict) and all(isinstance(x, str) for x in facts.values())
        for facts in content
    )


class _Events:
    """TensorBoard event files, a folder a run; no thread writes, which fails unseen."""

    def __init__(self, folder: pathlib.Path):
        try:
            import tensorboardX.event_file_writer
            import tensorboardX.summary
        except ModuleNotFoundError as error:
            raise InputError(
                "--tensorboard needs tensorboardX: pip install 'optlab[tensorboard]'"
            ) from error
        self.format: Any = tensorboardX.event_file_writer
        self.scalar = tensorboardX.summary.scalar
        self.folder = folder
        self.writers: dict[str, Any] = {}

    def write(self, stage: Stage, history: Any) -> None:
        """Adds the metrics, at the history's epoch, of every lane that got there."""
        epoch, ends = int(history.epoch), compare.ends(stage, history)
        step = epoch * stage.contender.task.steps_per_epoch
        with self._one_line():
            for split, metrics in history.evaluations.items():
                for name, values in metrics.items():
                    for (i, j), value in np.ndenumerate(values[epoch]):
                        if epoch <= ends[i, j] and not np.isnan(value):
                            run = f"point{stage.points[j]}-seed{stage.seeds[i]}"
                            writer = self._writer(f"{stage.phase}-{run}", stage)
                            event = self.format.event_pb2.Event(
                                wall_time=time.time(),
                                step=step,
                                summary=self.scalar(f"{name}/{split}", value),
                            )
                            writer.write_event(event)
            for writer in self.writers.values():
                writer.flush()

    def _writer(self, run: str, stage: Stage) -> Any:
        path = f"{_file_name(stage.contender.label)}/{run}"
        if path not in self.writers:
            (self.folder / path).mkdir(parents=True, exist_ok=True)
            prefix = str(self.folder / path / "events")
            self.writers[path] = self.format.EventsWriter(prefix)
        return self.writers[path]

    @contextlib.contextmanager
    def _one_line(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"cannot write {self.folder}: {error.strerror or error}. All that was "
                "written before is kept; when it can be written, the same command goes "
                "on"
            ) from error

    def close(self) -> None:
        """Closes every file."""
        with self._one_line():
            for writer in self.writers.values():
                writer.close()
