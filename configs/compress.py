"""Compression of a net of digits: error against bytes on disk.

    python -m experiments.compress
    python -m experiments.compress --config.prune.sparsity=0.95 --config.share.bits=3
    python -m experiments.compress --trained=runs/mine/nets/adam-seed3.net

scikit-learn's 1797 digits, a 64-300-100-10 net (50,610 parameters), 5 seeds; every
contender's net is written, read back, and evaluated on the test split. In a minute of
CPU: dense 202,635 bytes at 2.12 ± 0.19% test error; pruned, shared and in Huffman codes
5,914 bytes (34 times less) at 2.56 ± 0.67%, paired +0.45 [-0.18, +1.07] points.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import digits_optimizers

#: Keys of a recipe that the dense parent takes from configs/digits_optimizers.py.
PARENT = ("data", "augment", "problem", "metric", "model", "loss", "optimizer")


def get_config() -> Any:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    base = digits_optimizers.base()
    config: Any = ConfigDict({key: base[key] for key in PARENT})
    config.title = "A net of digits, compressed"
    config.note = ""
    config.seeds = 5
    config.first_seed = 0  # seeds are first_seed, first_seed + 1, ...

    # The dense parent.
    config.model = {"name": "mlp", "hidden": (300, 100)}
    config.optimizer = {"name": "adam", "learning_rate": 1e-3}
    config.schedule = {"name": "cosine", "decay_epochs": 30}
    config.epochs = 30
    config.batch_size = 64

    # Prune and retrain: the parent goes on, and loses weights in its first epochs.
    config.prune = retraining(epochs=40, rate=2e-3)
    config.prune.sparsity = 0.9  # share of all kernels' weights that is pruned
    config.prune.pruning_epochs = 20
    config.prune.every = 20  # steps between two prunings
    config.prune.weight = 0.7  # the parent's share of the loss; 0 for targets alone
    config.prune.temperature = 3.0  # by which logits are divided in that share

    # Share and train centroids.
    config.share = retraining(epochs=10, rate=3e-4)
    config.share.bits = 4  # of a code: 2^bits - 1 values, and that of a pruned weight
    config.share.start = "linear"  # or density, random

    # One layer pruned at a time, without retraining: validation error.
    config.scan = {"sparsities": (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)}

    # Learned thresholds beside magnitude, in as many epochs as prune has; () for none.
    config.thresholds = ConfigDict()
    config.thresholds.strengths = (0.4, 0.8, 1.6, 3.2, 6.4)  # of the penalty
    config.thresholds.sparsities = (0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97)
    config.thresholds.sharpness = 8.0  # of a threshold's step
    config.thresholds.rate = 0.01  # of Adam on the logarithms of thresholds

    # A layer of 4 bits with a larger relative squared error gets two tensors.
    config.key_layers = {"error": 0.008}

    config.low_rank = {"energy": 0.9}  # of the squared singular values

    # A small net, taught by the parent.
    config.distill = retraining(epochs=60, rate=3e-3)
    config.distill.model = {"name": "mlp", "hidden": (24,)}
    config.distill.temperature = 4.0
    config.distill.weight = 0.9  # the teacher's share of the loss

    config.published = ()  # figures from elsewhere: name, bytes, error, source
    return config


def retraining(epochs: int, rate: float) -> Any:
    """Makes a recipe of a stage that trains: Adam, its rate falling to zero."""
    return {
        "optimizer": {"name": "adam", "learning_rate": rate},
        "schedule": {"name": "cosine", "decay_epochs": epochs},
        "epochs": epochs,
        "batch_size": 64,
    }
