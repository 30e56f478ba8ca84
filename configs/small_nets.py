"""Every method of the catalogue on small nets, each from the same 16 starts.

    python -m experiments.solve --config=configs/small_nets.py --data_dir=DIR
    python -m experiments.solve --config=configs/small_nets.py --config.nets=sinc \
        --config.optimizers=levenberg_marquardt,bfgs,adam

DIR holds the regression tables concrete, energy and yacht (see
``optlab.testproblems.samples``); the other nets need no file. A rate is tuned on the
16 starts themselves: compared is how fast a method minimizes, not how well the net
predicts. Full batches, float32.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = ConfigDict()
    config.study = "small_nets"
    config.title = "Every method on small nets, from the same starts"
    config.nets = "sinc,xor,spirals,diabetes,concrete,energy,yacht,digits"
    config.starts = 16
    config.seed = 0

    # A run ends after this many steps or, if that is earlier, evaluations of the
    # objective, but not before the first step. A Jacobian of n parameters counts n.
    config.steps = 1000
    config.evaluations = 10_000

    # Units of the one tanh layer, and the target value: a mean squared error (of
    # targets of variance 1, or of +-1), or the cross-entropy where there are classes.
    config.net = ConfigDict()
    for name, units, target in (
        ("sinc", 20, 1e-4), ("xor", 4, 1e-4), ("spirals", 30, 0.1),
        ("diabetes", 8, 0.4), ("concrete", 20, 0.1), ("energy", 12, 0.01),
        ("yacht", 10, 0.01), ("digits", 8, 0.05),
    ):  # fmt: skip
        config.net[name] = {"hidden": units, "target": target}

    config.learning_rate = (1e-3, 1e-2, 1e-1, 1.0)  # of an optimizer without numbers
    methods = (
        "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "nadam", "lamb",
        "steepest_descent", "bold_driver", "newton", "newton_cg", "bfgs", "dfp",
        "gauss_newton", "levenberg_marquardt",
    )  # fmt: skip
    config.optimizers = {name: {} for name in methods}
    return config
