"""Contenders: whole recipes, each with the numbers that are swept in it.

A tuple in a recipe is swept. A number that the training step takes as a tracer becomes
lanes of one program. A name, a shape or any other value becomes a contender for each:
in groups of their own where all contenders share it, else beside each other.
"""

import contextlib
import inspect
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jax.extend.core import Jaxpr

from optlab import models, names, optim, precision, sweep
from optlab.compare import recipe, stop
from optlab.compare.search import Search, draw
from optlab.compare.search import check as check_search
from optlab.data import Dataset, augment
from optlab.errors import InputError, first_line, origin
from optlab.losses import LOSSES
from optlab.problems import Problem
from optlab.ranges import is_whole
from optlab.sweep import Task


class Contender(NamedTuple):
    """A recipe to be compared."""

    label: str  # unique in a comparison
    name: str  # unique in its group
    group: str  # contenders of a group are compared with each other; may be ""
    settings: Mapping[str, Any]  # whole recipe, with tuples where numbers are swept
    differs: Mapping[str, Any]  # dotted key -> value, of what sets it apart
    points: tuple[Mapping[str, float], ...]  # dotted key -> number
    epochs: int  # at most
    stop: stop.Stop
    task: Task
    step: Jaxpr  # program of one training step
    drawn: bool = False  # whether the points are of a random or halton search

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Makes the context of its precision, in which it is to be used."""
        return precision.scope(self.settings["precision"])


def make_contenders(
    base: Mapping[str, Any],
    overrides: Mapping[str, Mapping[str, Any]],
    load: Callable[[Mapping[str, Any]], Dataset],
    search: Search = Search(),  # noqa: B008  a frozen value
) -> list[Contender]:
    """Makes contenders from plain data, and refuses what could only fail later.

    Args:
      base: recipe that all contenders share; nested plain data, see `recipe.KEYS`.
      overrides: label to what the contender changes in it, likewise nested.
      load: function from a recipe's settings to its data set.
      search: kind of search and number of points.

    Returns:
      The contenders, group by group.

    Raises:
      InputError: a label or key is wrong, a part is unknown or refuses its options, the
        parts do not fit each other, or a batch does not fit the training split.
    """
    check_search(search)
    base = {**recipe.DEFAULTS, **base}
    if not overrides:
        raise InputError("there is no contender: give one or more")
    if not all(name.strip() for name in overrides):
        raise InputError("a contender has no name: its label is empty")
    workshop = _Workshop(load, search)
    found: list[Contender] = []
    for name, changes in overrides.items():
        try:
            recipe.check_keys(name, changes)
            settings = recipe.override(base, changes)
            found += workshop.contenders(name, settings, recipe.flatten(changes))
        except InputError as error:
            text = str(error)
            raise InputError(text if name in text else f"{name}: {text}") from error
        except (
            ArithmeticError, AttributeError, LookupError, TypeError, ValueError
        ) as error:  # fmt: skip
            # A library's: it refuses what the recipe gives it. A bug in code of the
            # user's, or of ours, keeps its traceback.
            if origin(error) != "package":
                raise
            kind = type(error).__name__
            raise InputError(
                f"{name}: this recipe cannot run: {kind}: {first_line(error)}"
            ) from error
    labels = [contender.label for contender in found]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"two contenders are called {label!r}")
    groups = dict.fromkeys(contender.group for contender in found)
    return [each for group in groups for each in found if each.group == group]


class _Workshop:
    """Data sets and problems that contenders share are made once."""

    def __init__(self, load: Callable, search: Search):
        self.load, self.search = load, search
        self.datasets: dict[str, Dataset] = {}
        self.problems: dict[str, Callable[[Mapping], Problem]] = {}
        self.tasks: dict[str, tuple[Task, Jaxpr]] = {}

    def contenders(
        self, name: str, settings: Mapping[str, Any], own: Mapping[str, Any]
    ) -> list[Contender]:
        """One contender for each combination of values that cannot be lanes."""
        axes = swept(settings)
        lanes = self._traceable(
            settings, axes, [key for key in axes if _numeric(key, axes[key])]
        )
        others = [key for key in axes if key not in lanes]
        shared = [key for key in others if key not in own]
        found = []
        for values in itertools.product(*(axes[key] for key in others)):
            fixed = dict(zip(others, values, strict=True))
            mine = {key: fixed[key] for key in others if key not in shared}
            parts = [name, *(_said(k, x) for k, x in mine.items() if len(axes[k]) > 1)]
            group = ", ".join(_said(k, fixed[k]) for k in shared if len(axes[k]) > 1)
            full = ", ".join(filter(None, [*parts, group]))
            here = recipe.fill(settings, fixed)
            with precision.scope(here["precision"]):
                task, step = self._task(here, lanes)
            contender = Contender(
                label=full,
                name=", ".join(parts),
                group=group,
                settings=here,
                differs={**own, **fixed},
                points=draw(self.search, {key: axes[key] for key in lanes}),
                epochs=here["epochs"],
                stop=stop.make(here["stop"]),
                task=task,
                step=step,
                drawn=self.search.kind != "grid",
            )
            with contender.scope():
                _check_points(contender)
            found.append(contender)
        return found

    def _traceable(
        self, settings: Mapping[str, Any], axes: Mapping[str, Any], keys: list[str]
    ) -> list[str]:
        """Chooses the swept numbers that a training step takes as tracers."""
        if not keys:
            return []
        first = recipe.fill(settings, {key: values[0] for key, values in axes.items()})

        def passes(some: Sequence[str]) -> bool:
            swept = recipe.fill(first, {key: axes[key] for key in some})
            try:
                with precision.scope(swept["precision"]):
                    self._task(swept, some)
            except Exception:  # of any kind: with plain numbers it is tried again
                return False
            return True

        if passes(keys):
            return keys
        return [key for key in keys if passes([key])]

    def _task(
        self, settings: Mapping[str, Any], lanes: Sequence[str]
    ) -> tuple[Task, Jaxpr]:
        """A recipe as a task, and its training step with the lanes traced."""
        about = [settings, list(lanes)]
        return _once(self.tasks, about, lambda: self._make_task(settings, lanes))

    def _make_task(
        self, settings: Mapping[str, Any], lanes: Sequence[str]
    ) -> tuple[Task, Jaxpr]:
        dataset = _once(self.datasets, settings["data"], lambda: self.load(settings))
        _check_sizes(settings, dataset)
        steps = sweep.examples_in(dataset.train) // settings["batch_size"]
        read = tuple(key for key in lanes if key.split(".")[0] in recipe.PROBLEM)
        about = {key: settings[key] for key in ("data", *recipe.PROBLEM)}

        def problem_of() -> Callable[[Mapping], Problem]:
            if read:
                return lambda point: recipe.make_problem(
                    recipe.fill(settings, point), dataset
                )
            fixed = recipe.make_problem(settings, dataset)
            return lambda point: fixed

        def optimizer(point):
            own = {key: value for key, value in point.items() if key not in read}
            return recipe.make_optimizer(recipe.fill(settings, own), steps)

        task = Task(
            dataset,
            settings["batch_size"],
            _once(self.problems, [about, read], problem_of),
            optimizer,
            read,
        )
        values = recipe.flatten(settings)
        point = {key: float(values[key][0]) for key in lanes}
        return task, sweep.step_of(task, sweep.make_lanes((0,), [point]))


def swept(settings: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Finds what is swept in a recipe: its tuples.

    An option that is itself a sequence, such as the sizes of layers, is swept by a
    tuple of tuples.

    Args:
      settings: nested plain data.

    Returns:
      Dotted key to values.

    Raises:
      InputError: a tuple is empty.
    """
    axes = {}
    for key, value in recipe.flatten(settings).items():
        if not isinstance(value, tuple):
            continue
        if _takes_sequence(settings, key) and not (
            value and all(isinstance(each, tuple) for each in value)
        ):
            continue
        if not value:
            raise InputError(f"{key}=() is empty: give one value or more")
        if any(each in value[:i] for i, each in enumerate(value)):  # may be lists
            raise InputError(f"{key}={value} has a value twice")
        axes[key] = value
    return axes


def _takes_sequence(settings: Mapping[str, Any], key: str) -> bool:
    """Tells by its annotation whether an option's own values are sequences."""
    section, _, option = key.rpartition(".")
    first, _, rest = section.partition(".")
    if first == "augment":
        factory = augment.function_of(rest, settings["augment"][rest])
    elif first == "data":
        from optlab.data import load as factory
    elif first in recipe.NAMED and option != "name":
        find = {
            "model": lambda name: names.find("model", name, models.MODELS),
            "loss": lambda name: names.find("loss", name, LOSSES),
            "optimizer": optim.find,
            "schedule": lambda name: names.find(
                "schedule", name, optim.schedules.SCHEDULES
            ),
        }[first]
        name = settings[first]["name"]
        factory = find(name[0] if isinstance(name, tuple) else name)
    else:
        return False
    option = recipe.EPOCH_OPTIONS.get(option, option) if first == "schedule" else option
    parameter = inspect.signature(factory).parameters.get(option)
    annotation = str(parameter.annotation) if parameter else ""
    return "tuple" in annotation or "Sequence" in annotation


def _numeric(key: str, values: Sequence[Any]) -> bool:
    """Tells whether values may become tracers: numbers of a part, no counts."""
    numbers = all(isinstance(x, int | float) for x in values)
    flags = any(isinstance(x, bool) for x in values)
    return numbers and not flags and key.split(".")[0] in (*recipe.NAMED, "augment")


def _said(key: str, value: Any) -> str:
    return f"{key.rpartition('.')[2]} {value}"


def _once(made: dict[str, Any], about: Any, make: Callable[[], Any]) -> Any:
    key = json.dumps(about, default=str)
    if key not in made:
        made[key] = make()
    return made[key]


def _check_sizes(settings: Mapping[str, Any], dataset: Dataset) -> None:
    examples = sweep.examples_in(dataset.train)
    size, epochs = settings["batch_size"], settings["epochs"]
    for name, count in (("batch_size", size), ("epochs", epochs)):
        if not is_whole(count) or count < 1:
            raise InputError(f"{name}={count!r} must be a whole number of 1 or more")
    if size > examples:
        raise InputError(
            f"batch_size={size} does not fit the training split of {dataset.name}, "
            f"which holds {examples} examples"
        )


def _check_points(contender: Contender) -> None:
    """Lets problem and optimizer check their own numbers."""
    task = contender.task
    for point in contender.points:
        task.optimizer(point)
    read = [
        {key: point[key] for key in task.problem_numbers} for point in contender.points
    ]
    for numbers in [each for i, each in enumerate(read) if each not in read[:i]]:
        task.problem(numbers)
