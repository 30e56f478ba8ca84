"""A small training set, and what is done about overfitting.

    python -m experiments.compare --config=configs/overfitting.py
    python -m experiments.compare --config=configs/overfitting.py \
        --config.data.name=cifar10 --config.data.examples=2000 --data_dir=DIR

100 training images, a net with two hidden layers of 64 units, Adam, 60 epochs; none,
dropout, batch normalization, weight decay, early stopping (10 epochs), and
augmentation: mirrored, shifted, rotated, scaled images and noise, new ones in each
epoch, each with its strength tuned. The page has the gap of test and training loss with
its interval. Claims: each remedy lessens the gap, and makes the net more accurate;
mirroring, which makes other digits of digits, does not.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import digits_optimizers

REMEDIES = {
    "dropout": {"model": {"dropout": (0.1, 0.3, 0.5)}},
    "batch_norm": {"model": {"normalization": "batch"}},
    "decay": {"optimizer": {"name": "adamw", "weight_decay": (0.01, 0.1, 1.0)}},
    "early_stopping": {"epochs": 10},
    "shift": {"augment": {"crop": {"padding": (1, 2)}}},
    "rotate": {"augment": {"rotate": {"degrees": (5.0, 10.0, 20.0)}}},
    "scale": {"augment": {"zoom": {"factor": (0.1, 0.2)}}},
    "noise": {"augment": {"noise": {"std": (0.1, 0.3, 1.0)}}},
    "mirror": {"augment": {"flip": {"share": 0.5}}},
}
RATES = (1e-3, 3e-3, 1e-2, 3e-2)


def get_config() -> ConfigDict:
    """The experiment as plain data; every line can be overridden by a flag."""
    config: Any = digits_optimizers.get_config()
    config.title = "Overfitting a small training set"
    config.note = "100 training images, so that there is overfitting to be cured."
    config.data.examples = 100
    config.model = ConfigDict({"name": "mlp", "hidden": (64, 64)})
    config.epochs = 60
    config.batch_size = 20
    config.tune_seeds = 2
    config.report_seeds = 10
    config.target = 0.85
    config.optimizers = ConfigDict()
    config.optimizer = ConfigDict({"name": "adam", "learning_rate": RATES})
    config.contenders.none = ConfigDict()
    for name, changes in REMEDIES.items():
        config.contenders[name] = ConfigDict(changes)
    config.contenders.decay.optimizer.learning_rate = RATES
    cures = [name for name in REMEDIES if name != "mirror"]
    config.claims = (
        *({"says": f"{name}: the gap is smaller than without",
           "less": name, "than": "none", "by": "gap"} for name in cures),
        *({"says": f"{name}: more accurate than without",
           "better": name, "than": "none"} for name in cures),
        {"says": "Mirrored digits make the net worse", "better": "none",
         "than": "mirror"},
    )  # fmt: skip
    return config
