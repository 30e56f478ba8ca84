"""Optimizers by name: ``make("adam", learning_rate=0.01)``.

Every factory here returns an ordinary optax optimizer (``init`` and ``update``), which
is chained, masked and swept as any other. Dense methods are also exported as their
``scale_by_*`` parts. `schedules` holds the learning-rate schedules.

A number out of its range is refused where a factory is called. One that is traced is
not known there: it gives the step of the formulas, or none (``Info.accepted``).
"""

from optlab.optim import schedules as schedules
from optlab.optim.catalogue import METHODS as METHODS
from optlab.optim.catalogue import find as find
from optlab.optim.catalogue import make as make
from optlab.optim.catalogue import names as names
from optlab.optim.catalogue import takes as takes
from optlab.optim.evaluation import evaluation_params as evaluation_params
from optlab.optim.registry import *  # noqa: F403  (one import line there per method)
