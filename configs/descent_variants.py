"""Batch, mini-batch and stochastic descent for the same number of examples seen.

    python -m experiments.compare --config=configs/descent_variants.py
    python -m experiments.compare --config=configs/descent_variants.py \
        --config.data.name=mnist --data_dir=DIR

Softmax regression (convex), 10 epochs each: all 1,150 training images a step, 32, or
one. On other data give the whole batch by
``--config.contenders.batch.batch_size=EXAMPLES``. ``floor`` and ``decayed``
are stochastic descent from the same rate, 0.1, constant or falling as
0.1 / (1 + epochs / 0.5). The page draws the path by step (moving average) and the time
of a run. Claims: with more steps an epoch descends further; an epoch of single examples
costs more time; at a constant rate stochastic descent stays on a floor, and a falling
rate takes it away.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import digits_optimizers


def get_config() -> ConfigDict:
    """The experiment as plain data; every line can be overridden by a flag."""
    config: Any = digits_optimizers.get_config()
    config.title = "Batch, mini-batch and stochastic descent"
    config.model = ConfigDict({"name": "mlp", "hidden": ()})
    config.epochs = 10
    config.tune_seeds = 1
    config.report_seeds = 6
    config.target = 0.9
    config.optimizers = ConfigDict()
    sizes = {
        "batch": (1150, (0.1, 0.3, 1.0, 3.0)),
        "mini_batch": (32, (0.01, 0.03, 0.1, 0.3, 1.0)),
        "stochastic": (1, (1e-3, 3e-3, 0.01, 0.03, 0.1)),
        "floor": (1, 0.1),
        "decayed": (1, 0.1),
    }
    for name, (size, rates) in sizes.items():
        config.contenders[name] = ConfigDict(
            {
                "batch_size": size,
                "optimizer": {"name": "sgd", "learning_rate": rates},
            }
        )
    config.contenders.decayed.schedule = ConfigDict(
        {"name": "power", "decay_epochs": 0.5}
    )
    config.claims = (
        {"says": "For the same examples, mini-batches reach a lower loss than batches",
         "better": "mini_batch", "than": "batch", "by": "train_loss"},
        {"says": "Single examples reach 90% in fewer epochs than mini-batches",
         "less": "stochastic", "than": "mini_batch", "by": "epochs_to_target"},
        {"says": "An epoch of single examples takes more time than one of mini-batches",
         "better": "mini_batch", "than": "stochastic", "by": "seconds"},
        {"says": "A falling rate goes below the floor of a constant one",
         "better": "decayed", "than": "floor", "by": "train_loss"},
    )  # fmt: skip
    return config
