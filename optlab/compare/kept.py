"""Trained nets in files: the recipe, the point, the seed, parameters and history.

    trained = optlab.load_trained("runs/mine/nets/adam-seed3.net")
    trained.evaluate("test"), trained.params, trained.history

A file is one msgpack map, written whole or not at all. Nothing in it is executed.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import serialization

from optlab import precision
from optlab.compare import recipe
from optlab.errors import InputError
from optlab.models.shift_scale import CONSTANTS
from optlab.results import checkpoint, plain, write_atomic
from optlab.training import History, Trained

#: First entry of every file.
FORMAT, VERSION = "optlab.net", 1


class About(NamedTuple):
    """Recipe, point and seed, from which a net's problem is made again."""

    label: str
    settings: Mapping[str, Any]  # whole recipe, as nested plain data
    point: Mapping[str, float]  # swept numbers by dotted key
    seed: int
    data_dir: str | None  # folder of prepared data sets


def save_trained(path: str | os.PathLike[str], trained: Trained, about: About) -> None:
    """Writes a trained net.

    Args:
      path: file to write.
      trained: net with its history.
      about: recipe, point and seed.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "about": json.dumps(plain(about)),
        "params": checkpoint.as_maps(trained.params),
        "model_state": checkpoint.as_maps(trained.model_state),
        "history": checkpoint.as_maps(trained.history),
    }
    content["digest"] = _digest(content)
    write_atomic(path, serialization.msgpack_serialize(content))


def read_about(path: str | os.PathLike[str]) -> About:
    """Reads the recipe, point and seed of a trained net.

    Args:
      path: file that `save_trained` wrote.

    Returns:
      The recipe, point and seed.

    Raises:
      InputError: see `load_trained`.
    """
    return _about(path, _read(path))


def load_trained(path: str | os.PathLike[str], data_dir: str | None = None) -> Trained:
    """Loads a trained net with its problem.

    On the same machine its evaluation gives the same numbers as that of the run.

    Args:
      path: file that a comparison kept.
      data_dir: folder of prepared data sets; by default the one of the run.

    Returns:
      The net: ``problem``, ``params``, ``model_state``, ``history``, ``evaluate``.

    Raises:
      InputError: the file is missing, cut, no trained net or of another version, or
        its parameters do not fit its recipe.
    """
    content = _read(path)
    about = _about(path, content)
    dataset = recipe.load_dataset(about.settings, data_dir or about.data_dir)
    settings = recipe.fill(about.settings, about.point)
    problem = recipe.make_problem(settings, dataset)
    with precision.scope(settings.get("precision", "float32")):
        shapes = jax.eval_shape(problem.init, jax.random.key(0))
    try:
        params, model_state = (
            checkpoint.from_maps(content[name], shape)
            for shape, name in zip(shapes, ("params", "model_state"), strict=True)
        )
        history = History(**content["history"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not hold the net of its own recipe ({error}): it is damaged, "
            "or a part of the recipe has changed since"
        ) from error
    return Trained(params, model_state, history, problem)


def learned_constants(
    paths: Sequence[str | os.PathLike[str]],
) -> dict[str, np.ndarray]:
    """Reads the learned constants of nets of one recipe: shifts, scales and slopes.

    Args:
      paths: files that a comparison kept, one a seed.

    Returns:
      Parameter's name, such as ``Shift_0.shift``, to ``[seeds, 2]``: mean and standard
      deviation over its entries, in the order of the net's parameters.

    Raises:
      InputError: see `load_trained`.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for path in paths:
        flat = recipe.flatten(_read(path)["params"])
        for name, values in flat.items():
            if name.rpartition(".")[2] in CONSTANTS:
                entry = float(np.mean(values)), float(np.std(values))
                found.setdefault(name, []).append(entry)
    return {name: np.array(found[name]) for name in sorted(found, key=_layer_number)}


def _layer_number(name: str) -> tuple[int, str]:
    """The order of layers in a net: Shift_1 and Scale_1 go before Shift_2."""
    number = re.search(r"_(\d+)\.\w+$", name)
    return int(number[1]) if number else -1, name


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        content = checkpoint.read(path)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no trained net, or is cut: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is no trained net of optlab")
    if content.get("version") != VERSION:
        raise InputError(
            f"{path} is a trained net of version {content.get('version')}, and this "
            f"optlab reads version {VERSION}"
        )
    digest = content.pop("digest", None)
    if digest is not None and digest != _digest(content):
        raise InputError(f"{path} is damaged: it is not what was written")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(serialization.msgpack_serialize(content)).hexdigest()


def _about(path: str | os.PathLike[str], content: Mapping[str, Any]) -> About:
    try:
        about = About(**json.loads(content["about"]))
        return about._replace(settings=_with_tuples(about.settings))
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"{path} has a damaged recipe: {error}") from error


def _with_tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    if isinstance(value, dict):
        return {key: _with_tuples(each) for key, each in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
