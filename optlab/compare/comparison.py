"""The comparison: tune each contender on validation, report the winner on test.

Tuning runs every point of a contender with the same seeds, as lanes of one program. The
best point by validation then runs again with fresh seeds, each run a lane on its own,
so that its time is that of a real run; only these runs see the test split, once, after
their last step.
"""

import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax

from optlab import sweep
from optlab.compare.contenders import Contender
from optlab.compare.stages import Compilation, Observer, Stage, run_stage, runs_of
from optlab.errors import InputError
from optlab.models.cost import multiply_adds
from optlab.optim.info import find, refuse_evaluation
from optlab.problems import Metric
from optlab.ranges import is_whole
from optlab.results import Entry, choose_point
from optlab.sweep import Lanes, Lowered, first_lane, parallel, width


class Protocol(NamedTuple):
    """The rules, the same for every contender."""

    tune_seeds: int
    report_seeds: int
    parallel: str = "jit"  # one of parallel.MODES
    width: int | None = None  # lanes at a time; None: the fastest of a trial


def metrics_of(contenders: Sequence[Contender]) -> tuple[Metric, ...]:
    """Finds the metrics by which contenders are compared.

    Args:
      contenders: one contender or more.

    Returns:
      The metrics; the first one decides.

    Raises:
      InputError: contenders whose problems have other metrics.
    """
    found = {}
    for contender in contenders:
        problem = contender.task.problem(contender.points[0])
        found[contender.label] = problem.metrics
    first = next(iter(found.values()))
    names = [metric.name for metric in first]
    for label, metrics in found.items():
        others = [metric.name for metric in metrics]
        if others != names:
            raise InputError(
                f"contender {label!r} is measured by {', '.join(others)} and the first "
                f"one by {', '.join(names)}: compare problems of one kind"
            )
    return first


def compare(
    contenders: Sequence[Contender],
    protocol: Protocol,
    observer: Observer | None = None,
) -> tuple[Entry, ...]:
    """Compares whole recipes, fairly tuned.

    Args:
      contenders: recipes with their points.
      protocol: seeds, and the mode of running lanes.
      observer: callbacks between segments.

    Returns:
      One entry a contender.

    Raises:
      InputError: see `check`.
    """
    check(contenders, protocol)
    observer = observer or Observer()
    metrics = metrics_of(contenders)
    stages = 1 + protocol.report_seeds
    observer.begin(stages * sum(contender.epochs for contender in contenders))
    entries = []
    for contender in contenders:
        with contender.scope():
            entries.append(_entry(contender, metrics, protocol, observer))
    return tuple(entries)


def check(contenders: Sequence[Contender], protocol: Protocol) -> None:
    """Refuses rules that could only fail later, before anything is compiled.

    Args:
      contenders: recipes with their points.
      protocol: seeds, and the mode of running lanes.

    Raises:
      InputError: no seed, no width, or a layout that does not fit.
    """
    for name in ("tune_seeds", "report_seeds"):
        count = getattr(protocol, name)
        if not is_whole(count) or count < 1:
            raise InputError(f"{name}={count!r} must be a whole number of 1 or more")
    if protocol.width is not None and protocol.width < 1:
        raise InputError(f"width must be 1 or more: {protocol.width}")
    if protocol.parallel == "pmap" and jax.process_count() > 1:
        raise InputError("parallel='pmap' runs in one process; choose jit or data")
    decides = metrics_of(contenders)[0]
    for contender in contenders:
        if contender.stop.target is not None:
            decides.check_target("stop.target", contender.stop.target)
        parallel.layout(protocol.parallel, 1, contender.task.batch_size)
        if protocol.parallel == "pmap":
            with contender.scope():
                refuse_evaluation(_fresh_state(contender))


def _entry(
    contender: Contender,
    metrics: tuple[Metric, ...],
    protocol: Protocol,
    observer: Observer,
) -> Entry:
    """Tunes and reports one contender."""
    tune = Stage(
        phase="tune",
        contender=contender,
        metrics=metrics,
        seeds=tuple(range(protocol.tune_seeds)),
        points=tuple(range(len(contender.points))),
        splits=("validation",),
        final_splits=(),
    )
    compiler = _Compiler(contender, protocol, observer)
    count = len(contender.points)
    copies = parallel.padded(count, protocol.parallel) - count
    tuned = run_stage(tune, compiler, observer, copies)
    runs = runs_of(tune, [tuned])
    best = choose_point(runs, metrics)
    reported, stage = [], tune
    fresh = range(protocol.tune_seeds, protocol.tune_seeds + protocol.report_seeds)
    for seed in fresh if best is not None else ():
        assert best is not None
        stage = tune._replace(
            phase="report",
            seeds=(seed,),
            points=(best,),
            splits=("train", "validation"),
            final_splits=("test",),
        )
        reported.append(run_stage(stage, compiler, observer))
    if reported:
        stage = stage._replace(seeds=(fresh[0],))
    parameters, multiply_adds = _sizes(contender)
    return Entry(
        label=contender.label,
        name=contender.name,
        group=contender.group,
        settings=contender.differs,
        points=contender.points,
        tune=runs,
        best=best,
        report=runs_of(stage, reported) if reported else None,
        parameters=parameters,
        multiply_adds=multiply_adds,
        compiles=sum(int(history.compiles) for history in (tuned, *reported)),
        compile_seconds=sum(float(h.compile_seconds) for h in (tuned, *reported)),
        sweep_seconds=float(tuned.seconds[-1]),
        drawn=contender.drawn,
    )


def _sizes(contender: Contender) -> tuple[int, int | None]:
    """Numbers of parameters, and of multiply-adds of the net for one example."""
    problem = contender.task.problem(contender.points[0])
    one = jax.tree.map(lambda x: x[:1], problem.dataset.train)
    params, model_state = jax.eval_shape(problem.init, jax.random.key(0))
    try:
        count = multiply_adds(
            lambda *net: problem.outputs(*net, problem.make_batch(one).inputs),
            params,
            model_state,
        )
    except ValueError:  # of a custom net with products in a while_loop
        count = None
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)), count


def _fresh_state(contender: Contender) -> Any:
    """The shapes of an optimizer's state, at the first point."""
    tx = contender.task.optimizer(contender.points[0])
    problem = contender.task.problem(contender.points[0])
    params, _ = jax.eval_shape(problem.init, jax.random.key(0))
    return jax.eval_shape(tx.init, params)


class _Compiler:
    """Starts to compile a contender's programs when the first one is wanted.

    The program of the report runs compiles beside that of tuning, on another core.
    """

    def __init__(self, contender: Contender, protocol: Protocol, observer: Observer):
        self.contender = contender
        self.protocol, self.observer = protocol, observer
        self.started: dict[tuple[int, int], Compilation] = {}
        self.used: set[tuple[int, int]] = set()
        self.pool = ThreadPoolExecutor(2)

    def __call__(self, lanes: Lanes) -> Compilation:
        """The program for lanes of this shape."""
        # Traced in this thread: another one has JAX's default configuration.
        compilation, _ = self._start(lanes), self._start(first_lane(lanes))
        fresh = lanes.shape not in self.used
        self.used.add(lanes.shape)
        return compilation._replace(fresh=fresh)

    def _start(self, lanes: Lanes) -> Compilation:
        """Starts to compile, unless that was done before."""
        if lanes.shape not in self.started:
            task = self.contender.task
            layout = parallel.layout(
                self.protocol.parallel, lanes.shape[1], task.batch_size
            )
            lower = functools.cache(functools.partial(sweep.lower, task, lanes, layout))
            lowered = lower(self._width(lanes, layout, lower))
            self.started[lanes.shape] = Compilation(
                lowered, self.pool.submit(lowered.compile), fresh=True
            )
        return self.started[lanes.shape]

    def _width(
        self,
        lanes: Lanes,
        layout: parallel.Layout,
        lower: Callable[[int], Lowered],
    ) -> int:
        """Lanes at a time: the user's choice, or the fastest measured."""
        seeds, points = lanes.shape
        if seeds * points == 1:
            return 1
        contender = self.contender
        if self.protocol.width is not None:
            measured = {self.protocol.width: math.nan}
        else:
            # Steps that take a gradient cost about the same, those that evaluate do
            # not, nor do those of another problem or batch. Of nets that differ in no
            # product, one trial serves all.
            about = [f"batch {contender.task.batch_size}", f"{seeds} x {points} lanes"]
            same = "batch_size", "epochs", "optimizer", "stop"
            others = {k for k in contender.differs if k.split(".")[0] not in same}
            if find(_fresh_state(contender)) or any(
                not key.startswith("model.") for key in others
            ):
                about.append(contender.label)
            elif others:
                count = _sizes(contender)[1]
                about.append(f"{count} multiply-adds" if count else contender.label)
            measured = self.observer.widths(
                ", ".join(about),
                lambda: sweep.measure_widths(
                    contender.task,
                    lanes,
                    layout,
                    lower,
                    beside=lambda: self._start(first_lane(lanes)).program,
                ),
            )
        return width.choose(measured, contender.step, seeds * points, layout)
