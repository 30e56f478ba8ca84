"""Two whole recipes on handwritten digits: which one converges faster?

    python -m experiments.compare --config=configs/two_recipes.py
    python -m experiments.compare --config=configs/two_recipes.py \
        --config.data.name=mnist --data_dir=DIR

A net with 30 and 15 hidden units. One recipe is sigmoid units everywhere, one-hot
targets, C = 1/(2m) sum (y - yhat)^2 and gradient descent at a rate of 0.8; the other is
ReLU, softmax with cross-entropy and Adam. Batches of 10, 10 epochs.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import digits_optimizers


def get_config() -> ConfigDict:
    """The experiment as plain data; every line can be overridden by a flag."""
    config: Any = digits_optimizers.get_config()
    config.title = "Sigmoid, squared error and SGD; or ReLU, cross-entropy and Adam"
    config.model = ConfigDict({"name": "mlp", "hidden": (30, 15)})
    config.epochs = 10
    config.batch_size = 10
    config.tune_seeds = 1
    config.report_seeds = 10
    config.target = 0.9

    config.optimizers = ConfigDict()
    config.contenders.sigmoid = ConfigDict(
        {
            "model": {"activation": "sigmoid", "output_activation": "sigmoid"},
            "loss": {"name": "squared_error"},
            "optimizer": {"name": "sgd", "learning_rate": 0.8},
        }
    )
    config.contenders.relu = ConfigDict(
        {
            "model": {"activation": "relu"},
            "loss": {"name": "cross_entropy"},
            "optimizer": {"name": "adam", "learning_rate": 1e-3},
        }
    )
    return config
