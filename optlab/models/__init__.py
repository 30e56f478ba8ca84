"""Models by name; a new one is its own file and one line in ``MODELS``."""

import dataclasses
from typing import Any

import flax.linen as nn

from optlab.errors import InputError, near
from optlab.models.cnn import CNN
from optlab.models.mlp import MLP

#: Name to module class; each takes ``classes`` and options of its own.
MODELS: dict[str, type[nn.Module]] = {"cnn": CNN, "mlp": MLP}


def make(name: str, classes: int, **options: Any) -> nn.Module:
    """Builds a model by name.

    Args:
      name: a key of ``MODELS``.
      classes: number of outputs.
      **options: the module's own attributes.

    Returns:
      The module; it holds no parameters yet.

    Raises:
      InputError: the name or an option is unknown, or a layer would have no unit.

    >>> make("mlp", classes=10, hidden=(30, 15)).hidden
    (30, 15)
    """
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; {near(name, MODELS)}")
    known = {f.name for f in dataclasses.fields(MODELS[name]) if f.init}
    known -= {"parent", "name", "classes"}
    for option in options:
        if option not in known:
            raise InputError(
                f"model {name!r} has no option {option!r}; {near(option, known)}"
            )
    if classes < 1:
        raise InputError(f"model {name!r}: classes={classes}: give one or more")
    return MODELS[name](classes=classes, **options)
