"""Second-order methods beside Adam on digits: mini-batches of 64, and full batches.

    python -m experiments.compare --config=configs/digits_second_order.py

A net of 610 parameters (64-8-10, tanh), cross-entropy; the Gauss-Newton matrices
are the generalized ones. The full batch is all 1,150 training images, one step an
epoch.
"""

from configs import digits_optimizers


def get_config():
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.title = "Second-order methods and Adam on handwritten digits"
    config.model = {"name": "mlp", "hidden": (8,), "activation": "tanh"}
    config.epochs = 10
    config.tune_seeds = 2
    with config.ignore_type():  # a tuple where the base config has one number
        config.batch_size = (64, 1150)
    config.target = 0.9

    config.optimizers = {
        "adam": {"learning_rate": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)},
        "levenberg_marquardt": {"damping": (1e-2, 1e-1, 1.0)},
        "gauss_newton": {"damping": (1e-2, 1e-1, 1.0)},
        "newton_cg": {"radius": (0.1, 1.0)},
        "bfgs": {},
    }
    return config
