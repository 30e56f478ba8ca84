"""A recipe that trains in a blink, for the tests of comparisons."""

import numpy as np
import pytest

from optlab import compare, data

RECIPE = {
    "data": {"name": "blobs"},
    "augment": {},
    "problem": "classification",
    "metric": None,
    "model": {"name": "mlp", "hidden": (4,)},
    "loss": {"name": "cross_entropy"},
    "optimizer": {"name": "sgd", "learning_rate": (0.05, 0.5)},
    "schedule": {"name": "constant"},
    "epochs": 2,
    "batch_size": 8,
}


@pytest.fixture(scope="session")
def blobs():
    """Two classes of points that a line separates, 24 to train on."""
    random = np.random.default_rng(0)

    def split(n):
        targets = np.arange(n) % 2
        inputs = random.normal(size=(n, 3)) + 2.0 * targets[:, None]
        return inputs.astype(np.float32), targets.astype(np.int32)

    return data.from_arrays(
        "blobs", classes=2, train=split(24), validation=split(10), test=split(12)
    )


@pytest.fixture(scope="session")
def contenders_of(blobs):
    """(overrides, search, **changes of the recipe) -> contenders."""

    def make(overrides, search=None, **changes):
        return compare.make_contenders(
            compare.recipe.override(RECIPE, changes),
            overrides,
            lambda settings: blobs,
            search or compare.Search(),
        )

    return make
