"""Regression on a table: Adam, Levenberg-Marquardt, Gauss-Newton and BFGS on one net.

    python -m experiments.compare --config=configs/regression.py
    python -m experiments.compare --config=configs/regression.py \
        --config.data.name=yacht --data_dir=DIR

442 patients of scikit-learn's diabetes table, ten features, one number to predict; a
tanh net of 10 hidden units (121 parameters), half the squared error, batches of 64 of
the 283 training rows. The mean squared error decides, in units of the target's
variance; R^2 stands beside it. concrete, energy and yacht are read from a folder.
"""

from configs import digits_optimizers, digits_second_order


def get_config():
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.title = "Adam and second-order methods on a regression table"
    config.data.name = "diabetes"
    config.problem = "regression"
    config.model = {"name": "mlp", "hidden": (10,), "activation": "tanh"}
    config.loss.name = "squared_error"
    config.epochs = 30
    config.batch_size = 64
    config.target = 0.55

    config.optimizers = digits_second_order.get_config().optimizers
    del config.optimizers.newton_cg
    return config
