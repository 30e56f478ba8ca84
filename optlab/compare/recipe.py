"""A recipe as plain data, and the data set, problem and optimizer made of it.

Settings are nested plain data with the keys of ``KEYS``. A section of ``NAMED`` names
a part and gives its options: ``{"name": "cnn", "dropout": 0.2}``.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import optax
from jax.core import Tracer

from optlab import data, losses, models, optim, precision, problems, ranges
from optlab.data import Dataset, augment
from optlab.errors import InputError, near
from optlab.problems import Problem

#: The keys of a recipe.
KEYS = (
    "data", "augment", "problem", "metric", "model", "loss", "optimizer", "schedule",
    "epochs", "stop", "batch_size", "precision",
)  # fmt: skip

#: Values of keys that a recipe may leave out.
DEFAULTS = {"precision": "float32", "stop": {}}

#: Sections that name a part; another name drops the options of the old one.
NAMED = ("model", "loss", "optimizer", "schedule")

#: Sections that `make_problem` reads.
PROBLEM = ("augment", "problem", "metric", "model", "loss", "precision")

#: Schedule options that are given in epochs, and their names in steps.
EPOCH_OPTIONS = {
    "decay_epochs": "decay_steps",
    "boundary_epochs": "boundaries",
    "transition_epochs": "transition_steps",  # of optax's own schedules
    "warmup_epochs": "warmup_steps",
    "window_epochs": "window",
}


def override(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes some of a recipe's settings and keeps the rest.

    Args:
      settings: nested plain data.
      changes: nested plain data; where a section of ``NAMED`` gets another name, the
        options of the old part are dropped.

    Returns:
      A new recipe.

    >>> base = {"model": {"name": "cnn", "dense": 32}, "epochs": 3}
    >>> override(base, {"model": {"dense": 8}})
    {'model': {'name': 'cnn', 'dense': 8}, 'epochs': 3}
    >>> override(base, {"model": {"name": "mlp", "hidden": (9,)}, "epochs": 1})
    {'model': {'name': 'mlp', 'hidden': (9,)}, 'epochs': 1}
    """
    found = dict(settings)
    for key, value in changes.items():
        old = found.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            renamed = value.get("name", old.get("name")) != old.get("name")
            value = override({} if key in NAMED and renamed else old, value)
        found[key] = value
    return found


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Lists nested settings by dotted key.

    Args:
      settings: nested plain data.
      prefix: text that goes before every key.

    Returns:
      Dotted key to value; an empty section is a value.

    >>> flatten({"model": {"name": "mlp"}, "epochs": 3, "augment": {}})
    {'model.name': 'mlp', 'epochs': 3, 'augment': {}}
    """
    leaves: dict[str, Any] = {}
    for key, value in settings.items():
        if hasattr(value, "items") and value:
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def fill(settings: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """Puts the numbers of a point in the place of what is swept.

    Args:
      settings: nested plain data.
      point: dotted key to number.

    Returns:
      New settings.

    >>> fill({"model": {"dropout": (0.0, 0.5)}}, {"model.dropout": 0.5})
    {'model': {'dropout': 0.5}}
    """
    found = dict(settings)
    for key, value in point.items():
        # The name of an entry may have dots itself.
        first = max((x for x in found if f"{key}.".startswith(f"{x}.")), key=len)
        rest = key[len(first) + 1 :]
        found[first] = fill(found[first], {rest: value}) if rest else value
    return found


def load_dataset(
    settings: Mapping[str, Any], data_dir: str | None = None, download: bool = False
) -> Dataset:
    """Loads a recipe's data set.

    Args:
      settings: settings of a recipe; ``data`` is read. Its ``augment`` (names and
        strengths, as in a recipe's) and ``copies`` enlarge the training split before
        training, see `data.enlarge`; the other entries are arguments of `data.load`.
      data_dir: folder of prepared data sets or tables.
      download: whether a missing set is prepared first.

    Returns:
      The data set.
    """
    options: dict[str, Any] = {
        key: x for key, x in settings["data"].items() if x is not None or key == "name"
    }
    copies, augmentations = options.pop("copies", 0), options.pop("augment", {})
    if not isinstance(augmentations, Mapping):
        raise InputError("data.augment is a section: give its augmentations by name")
    dataset = data.load(data_dir=data_dir, download=download, **options)
    if copies == 0 and not augmentations:
        return dataset
    return data.enlarge(dataset, augmentations, copies)


def make_problem(settings: Mapping[str, Any], dataset: Dataset) -> Problem:
    """Makes a recipe's problem.

    Args:
      settings: settings of a recipe; the sections of ``PROBLEM`` are read. Numbers may
        be tracers.
      dataset: examples.

    Returns:
      The problem.

    Raises:
      InputError: a part is unknown or does not take its options, or the parts do not
        fit each other.
    """
    settings = {**DEFAULTS, **settings}
    kind = settings["problem"]
    name, options = _named(settings["model"])
    module = models.make(name, problems.outputs_of(kind, dataset), **options)
    loss_name, loss_options = _named(settings["loss"])
    problem = problems.PROBLEMS[kind](
        module,
        dataset,
        loss=losses.make(loss_name, **loss_options),
        augment=augment.make(settings["augment"]),
    )
    problem = precision.at(problem, settings["precision"])
    metric = settings["metric"]
    return problem if metric is None else problems.decided_by(problem, metric)


def make_optimizer(
    settings: Mapping[str, Any], steps_per_epoch: int
) -> optax.GradientTransformationExtraArgs:
    """Makes a recipe's optimizer with its schedule.

    Args:
      settings: settings of a recipe; ``optimizer`` and ``schedule`` are read. Numbers
        may be tracers.
      steps_per_epoch: turns the lengths of schedules from epochs into steps.

    Returns:
      The optimizer.

    Raises:
      InputError: a name, an argument or a number is wrong.
    """
    name, options = _named(settings["optimizer"])
    tx = optim.make(name, **options)
    name, options = _named(settings["schedule"])
    if (name, options) == ("constant", {}):
        return tx
    try:
        schedule = optim.schedules.make(name, **_in_steps(options, steps_per_epoch))
    except InputError as error:
        text = str(error)
        for in_epochs, in_steps in EPOCH_OPTIONS.items():
            text = re.sub(rf"\b{in_steps}\b", in_epochs, text)
        raise InputError(f"schedule: {text}") from error
    return optim.schedules.chained(tx, schedule)


def overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Lists the contenders of a config.

    Args:
      settings: ``contenders``, label to what each changes in the recipe; and
        ``optimizers``, label to options of the optimizer, where ``optimizer`` names one
        that is not the label.

    Returns:
      Label to changes.

    Raises:
      InputError: two of one label.

    >>> overrides({"contenders": {}, "optimizers": {"my.lion": {"b1": 0.9}}})
    {'lion': {'optimizer': {'name': 'my.lion', 'b1': 0.9}}}
    """
    found = dict(settings["contenders"])
    for label, changes in found.items():
        if not isinstance(label, str):
            raise InputError(f"the label of a contender is a text, not {label!r}")
        if not isinstance(changes, Mapping):
            raise InputError(
                f"contender {label!r} is a section of what it changes in the recipe, "
                f"not {changes!r}"
            )
    for name, entry in settings["optimizers"].items():
        options = dict(entry)
        label = name.rpartition(".")[2]
        if label in found:
            raise InputError(f"two contenders are called {label!r}")
        part = {"name": options.pop("optimizer", name), **options}
        found[label] = {"optimizer": part}
    return found


def check_keys(label: str, changes: Mapping[str, Any]) -> None:
    """Refuses overrides of keys that no recipe has.

    Args:
      label: name of the contender for messages.
      changes: overrides of the contender.

    Raises:
      InputError: a key is unknown, or a section is not one.
    """
    for key, value in changes.items():
        known = [each for each in KEYS if each != "metric"]
        if key not in known:
            raise InputError(
                f"contender {label!r} overrides {key!r}, which is no key of a recipe; "
                f"{near(key, known)}"
            )
        section = key in (*NAMED, "data", "augment", "stop")
        if section != isinstance(value, Mapping):
            what = "a section: give its options by name" if section else "one value"
            raise InputError(f"contender {label!r}: {key} is {what}, not {value!r}")


def _named(section: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    options = dict(section)
    return options.pop("name"), options


def _whole_steps(count: Any) -> Any:
    return round(count) if math.isfinite(count) else count  # which is then refused


def _in_steps(schedule: Mapping[str, Any], steps_per_epoch: int) -> dict[str, Any]:
    """Schedule options with those in epochs turned into steps."""
    options = {}
    for key, value in schedule.items():
        if key in EPOCH_OPTIONS:
            key = EPOCH_OPTIONS[key]
            if isinstance(value, tuple) and all(map(ranges.is_number, value)):
                value = tuple(_whole_steps(each * steps_per_epoch) for each in value)
            elif isinstance(value, Tracer) or ranges.is_number(value):
                value = value * steps_per_epoch
        options[key] = value
    return options
