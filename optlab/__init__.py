"""optlab, the optimizer laboratory for JAX.

    solve, Stop, Bounds, uncertainties    minimizes a function, fits a curve
    adam(), levenberg_marquardt(), ...    optimizers, optim.make(name) for all by name
    train, load_trained                   trains a net, loads one of a comparison
    data, models, losses, problems        parts of what is trained
    compress                              prunes, shares, quantizes and encodes a net

``import optlab`` brings in jax and optax only; flax, tensorflow-datasets,
scikit-learn and matplotlib are imported by the modules that use them, when these are
first used: ``optlab.models``, ``optlab.data``, ``optlab.report``.
"""

import importlib
from typing import TYPE_CHECKING

from optlab import optim as optim
from optlab.errors import InputError as InputError
from optlab.optim.registry import *  # noqa: F403  optlab.adam() is optlab.optim.adam()
from optlab.solving import Bounds as Bounds
from optlab.solving import Reason as Reason
from optlab.solving import Solution as Solution
from optlab.solving import Stop as Stop
from optlab.solving import solve as solve
from optlab.solving import uncertainties as uncertainties

if TYPE_CHECKING:
    from optlab.compare import load_trained as load_trained
    from optlab.training import Trained as Trained
    from optlab.training import train as train

__version__ = "0.1.0"

#: Names that are imported with their module when they are first used.
_LATER = {"train": "training", "Trained": "training", "load_trained": "compare"}

#: In the order in which data flow.
_MODULES = (
    "data",
    "models",
    "losses",
    "problems",
    "curvature",
    "training",
    "compress",
    "sweep",
    "compare",
    "results",
    "report",
    "testproblems",
)


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"optlab.{name}")
    if name in _LATER:
        return getattr(importlib.import_module(f"optlab.{_LATER[name]}"), name)
    raise AttributeError(f"module 'optlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, *_LATER])
