"""SGD, Adam and LAMB on CIFAR-10 at two batch sizes: the experiment of a thesis talk.

    python -m experiments.compare --config=configs/cifar10_optimizers.py \
        --data_dir=DIR --workdir=runs/cifar10

A CNN with max-pooling (356,810 parameters), cross-entropy, 20 epochs. Adam at an
untuned rate of 1e-3, batch 64, one seed, reaches 78.6% on test with mirrored images
and 76.3% after 14 epochs without, where it has begun to overfit. The talk's figures,
one run each; its losses are stated per image:

    batch  optimizer  test accuracy  train loss  validation loss  time
    64     SGD        79.19%         .0071       .192             1:27
    64     Adam       79.58%         .0044       .218             1:49
    64     LAMB       78.36%         .0066       .204             1:30
    512    SGD        65.38%
    512    Adam       78.91%
    512    LAMB       73.23%

``:reduced`` behind the file's name is for two CPU cores, about 6 minutes: 4,000 of
the training images, 3 epochs, one tuning seed, three fresh ones.
"""

from typing import Any

from configs import digits_optimizers

VARIANTS = ("full", "reduced")

# optimizer, batch size, test accuracy, training loss, validation loss, seconds
_TALK: tuple[tuple[Any, ...], ...] = (
    ("momentum", 64, 0.7919, 0.0071, 0.192, 87),
    ("adam", 64, 0.7958, 0.0044, 0.218, 109),
    ("lamb", 64, 0.7836, 0.0066, 0.204, 90),
    ("momentum", 512, 0.6538),
    ("adam", 512, 0.7891),
    ("lamb", 512, 0.7323),
)


def get_config(variant: str = "full") -> Any:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.get_config()
    config.title = "SGD with momentum, Adam and LAMB on CIFAR-10"
    config.data.name = "cifar10"
    config.data.validation_fraction = 0.1
    config.augment = {"flip": {}}
    config.model.features = (32, 64, 128)
    config.model.dense = 128
    config.model.dropout = 0.5
    config.epochs = 20
    with config.ignore_type():  # a tuple where the base config has one number
        config.batch_size = (64, 512)
    config.tune_seeds = 1
    config.target = 0.75

    for entry in (config, *config.optimizers.values()):  # all but the largest rate
        entry.learning_rate = entry.learning_rate[:-1]
    config.published = tuple(_published(*figures) for figures in _TALK)

    if variant == "reduced":
        config.note = (
            "Reduced: 4,000 of the 50,000 training images and 3 epochs, for two CPU "
            "cores. Accuracies are far below those of the full experiment, and the "
            "published figures are not comparable."
        )
        config.data.examples = 4_000
        config.epochs = 3
        config.report_seeds = 3
        config.target = 0.35
    return config


def _published(optimizer: str, batch_size: int, *figures: float) -> dict[str, Any]:
    """A line of the talk's table; it states losses and times for batch 64 only."""
    names = ("test_accuracy", "train_loss", "validation_loss", "seconds")
    given = dict(zip(names, figures, strict=False))
    label = f"{optimizer}, batch_size {batch_size}"
    return dict(contender=label, source="thesis talk", **given)
