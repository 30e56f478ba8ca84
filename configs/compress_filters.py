"""Filter pruning: error, parameters, multiply-adds and time against filters removed.

    python -m experiments.filters
    python -m experiments.filters --config=configs/compress_filters.py:cifar10_reduced \
        --data_dir=DIR
    python -m experiments.filters --config=configs/compress_filters.py:cifar10 \
        --data_dir=DIR

The default is a net of digits with two convolutions (13,706 parameters, 91,776
multiply-adds an image), 5 seeds, a minute of CPU. Its parents end at 2.17 ± 0.75% test
error. Without 25, 50 and 75% of the filters 58, 28 and 8% of the multiply-adds are
left; chosen independently and retrained, the errors are 1.78 ± 0.52, 4.12 ± 0.29 and
13.7 ± 3.1%, chosen greedily 1.84 ± 0.19, 4.01 ± 0.67 and 13.4 ± 3.2%, and from scratch
1.89 ± 0.51, 3.29 ± 0.93 and 11.8 ± 2.6%.

DIR holds CIFAR-10 as tensorflow-datasets prepares it; ``cifar10_reduced`` takes 4,000
of its images. There, with 3 seeds, the parents end at 51.3 ± 2.2%. Without 25, 50 and
75% of the filters 60, 30 and 10% of the multiply-adds and 0.90, 0.59 and 0.54 of the
time of a batch are left; the errors are 49.8 ± 3.2, 53.5 ± 0.9 and 62.5 ± 2.3%
independently, 49.7 ± 2.0, 53.7 ± 0.8 and 63.3 ± 1.9% greedily, 49.7 ± 2.6, 53.7 ± 1.4
and 61.9 ± 3.4% from scratch: no different at this size. 4:21 min beside other work.

``cifar10`` in full has run with one seed (--config.seeds=1), 40 minutes beside other
work: the parent of 356,810 parameters ends at 20.0%. Without 25, 50 and 75% of the
filters 58, 27 and 8% of the multiply-adds are left; the errors are 20.4, 23.2 and 30.6%
independently, 20.6, 22.6 and 30.8% greedily, 20.6, 23.5 and 33.8% from scratch.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import cifar10_optimizers, compress

#: Names after the colon of --config.
VARIANTS = ("digits", "cifar10_reduced", "cifar10")


def get_config(variant: str = "digits"):
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    own = compress.get_config()
    config: Any = ConfigDict({key: own[key] for key in compress.PARENT})
    config.title = "Filters of a net of digits, pruned"
    config.note = ""
    config.seeds = 5
    config.first_seed = 0
    config.model = {"name": "cnn", "features": (16, 32), "dense": 64}
    config.optimizer = {"name": "adam", "learning_rate": 1e-3}
    config.shares = (0.25, 0.5, 0.75)  # of the filters of every hidden layer

    config.epochs = 24  # of the dense parent; the rate falls to zero
    config.retrain = compress.retraining(epochs=16, rate=1e-3)  # after the removal
    config.timing = {"images": 256, "rounds": 15}
    if variant != "digits":
        _cifar10(config, reduced=variant == "cifar10_reduced")
    config.schedule = {"name": "cosine", "decay_epochs": config.epochs}
    config.batch_size = 64
    return config


def _cifar10(config: Any, reduced: bool) -> None:
    talk = cifar10_optimizers.get_config("reduced" if reduced else "full")
    config.title = "Filters of a net of CIFAR-10, pruned"
    config.data = talk.data
    config.augment = talk.augment
    config.model = talk.model
    config.epochs = 20
    config.retrain = compress.retraining(epochs=10, rate=1e-3)
    if reduced:
        config.note = (
            "Reduced: 4,000 of the 50,000 training images and narrow layers, for two "
            "CPU cores. Errors are far above those of the full experiment."
        )
        config.seeds = 3
        config.model.features = (16, 32, 32)
        config.model.dense = 64
        config.model.dropout = 0.0
        config.epochs = 8
        config.retrain = compress.retraining(epochs=6, rate=1e-3)
