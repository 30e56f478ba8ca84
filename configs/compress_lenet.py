"""LeNet-300-100 on MNIST, compressed: the whole file, beside the published figures.

    python -m experiments.compress --config=configs/compress_lenet.py --data_dir=DIR

DIR holds MNIST as tensorflow-datasets prepares it. 266,610 parameters, 1,066,440 bytes
as float32; everything is trained on 59,000 images. Two seeds, 8 minutes on 2 busy
cores: 1.56% test error dense, and 1.67% in a file of 16,427 bytes (64.9 times fewer).
"""

from typing import Any

from ml_collections import ConfigDict

from configs import compress


def get_config() -> ConfigDict:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config: Any = compress.get_config()
    config.title = "LeNet-300-100 on MNIST, compressed"
    config.data.name = "mnist"
    config.data.validation_fraction = 1 / 60
    config.epochs = 20
    config.batch_size = 128
    config.schedule.decay_epochs = 20

    config.prune.update(compress.retraining(epochs=40, rate=1e-3))
    config.prune.sparsity = 0.945
    config.prune.weight = 0.0
    config.prune.pruning_epochs = 24
    config.prune.every = 100

    config.share.update(compress.retraining(epochs=4, rate=1e-4))

    config.distill.model.hidden = (20,)
    config.distill.epochs = 20
    config.distill.schedule.decay_epochs = 20
    for stage in (config.prune, config.share, config.distill):
        stage.batch_size = 128

    source = (
        "sizes do not count biases, one run each. Han et al., Deep compression, "
        "2015, table 1; Ullrich et al., Soft weight-sharing, 2017, table 1"
    )
    config.published = tuple(
        {"name": name, "bytes": size, "error": error, "source": source}
        for name, size, error in (
            ("Deep compression", 27_000, 1.58),
            ("soft weight-sharing", 16_660, 1.94),
        )
    )
    return config
