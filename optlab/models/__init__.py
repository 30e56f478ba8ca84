"""Models by name; a new one is its own file and one line in ``MODELS``."""

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from optlab import names
from optlab.errors import InputError, check_choice
from optlab.models.architectures import ARCHITECTURES
from optlab.models.autoencoder import Autoencoder
from optlab.models.cnn import CNN
from optlab.models.embedding_mlp import EmbeddingMLP
from optlab.models.fcn import FCN
from optlab.models.lenet5 import LeNet5
from optlab.models.mlp import MLP

#: Name to module class; each takes ``classes`` and options of its own.
MODELS: dict[str, Callable[..., nn.Module]] = {
    **ARCHITECTURES,
    "autoencoder": Autoencoder,
    "cnn": CNN,
    "embedding_mlp": EmbeddingMLP,
    "fcn": FCN,
    "lenet5": LeNet5,
    "mlp": MLP,
}


def make(name: str, classes: int, **options: Any) -> Any:
    """Builds a model by name.

    Args:
      name: key of ``MODELS``, or dotted path of a ``flax.linen`` module class or of a
        function that returns a model as `problems.classification` takes one.
      classes: number of outputs; a custom model that does not take ``classes`` is
        built without it.
      **options: attributes of the module, or arguments of the function. Those that
        are real numbers, such as a dropout share, may be tracers.

    Returns:
      The model; it holds no parameters yet.

    Raises:
      InputError: the name or an option is unknown, an option is missing or has an
        impossible value.

    >>> make("mlp", classes=10, hidden=(30, 15)).hidden
    (30, 15)
    """
    if classes < 1:
        raise InputError(f"model {name!r}: classes={classes}: give one or more")
    factory = names.find("model", name, MODELS)
    accepted = inspect.signature(factory).parameters
    any_name = any(p.kind == p.VAR_KEYWORD for p in accepted.values())
    known = set(accepted) - {"parent", "name", "classes"}
    for option in () if any_name else options:
        check_choice("option", option, known, f"model {name!r}")
    if "classes" in accepted or any_name:
        options["classes"] = classes
    return names.call(f"model {name!r}", factory, options)
