"""Optimizers by name: ``make("adam", learning_rate=0.01)``.

Every factory here is an ordinary optax optimizer: ``init`` and ``update``, chained,
masked and swept as any other. `schedules` holds the learning-rate schedules.
"""

from optlab.optim import schedules as schedules
from optlab.optim.catalogue import METHODS as METHODS
from optlab.optim.catalogue import make as make
from optlab.optim.catalogue import names as names
from optlab.optim.catalogue import takes as takes
from optlab.optim.registry import *  # noqa: F403  (one import line there per method)
