"""Paths of first-order methods over contours: a narrow valley, Beale, Rosenbrock.

    python -m experiments.solve --config=configs/paths.py
    python -m experiments.solve --config=configs/paths.py --config.problems=beale \
        --config.optimizers=sgd,momentum,adam

A rate is the one of its grid with the lowest value after all steps. The page draws each
path over the contours, and step by step all methods together. On a constant slope it
measures how far a step of momentum goes: 1 / (1 - beta) times a plain one.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = ConfigDict()
    config.study = "paths"
    config.title = "Paths over contours, from SGD to LAMB"
    config.problems = "valley,beale,rosenbrock"
    config.condition = 100.0  # of the valley, a quadratic turned by 30 degrees
    config.steps = 300
    config.frames = (1, 2, 4, 8, 16, 32, 64, 128, 300)
    config.slope_steps = 200  # on the constant slope
    config.betas = (0.5, 0.9)

    config.learning_rate = (  # of an optimizer without numbers
        1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0
    )  # fmt: skip
    names = "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "nadam", "lamb"
    config.optimizers = {name: {} for name in names}
    return config
