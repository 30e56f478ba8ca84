"""Four published nets at reduced width on CIFAR-10: do they train on 32 x 32 pixels?

    python -m experiments.compare --config=configs/architectures.py --data_dir=DIR
    python -m experiments.compare --config=configs/architectures.py --data_dir=DIR \
        --config.contenders=mobilenet --config.data.examples=50000 --config.epochs=20

SqueezeNet, the smallest here, is tuned over three rates as lanes; the others have one
rate each. Adam, 512 images, 2 epochs of 16 steps: a trial that all of it works, which
ranks nothing. The running batch statistics forget faster than published (momentum 0.9,
not 0.99), since evaluation uses them after 32 steps.

With --config.data.examples=10000 --config.epochs=6 (1,836 steps), two seeds, they have
learned: xception 39.2% on test, resnet50v2 34.9, squeezenet 28.5, mobilenet 23.8; a run
takes 14 to 30 s on two CPU cores, compiling 16 to 38 s.
"""

from configs import digits_optimizers


def get_config():
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.title = "Published nets, at reduced width, on CIFAR-10"
    config.note = "A trial that these nets train on 32 x 32 pixels. It ranks nothing."
    config.data.name = "cifar10"
    config.data.validation_fraction = 0.02
    config.data.examples = 512
    config.model = {"name": "squeezenet"}
    config.optimizer = {"name": "adam", "learning_rate": 1e-3}
    config.epochs = 2
    config.batch_size = 32
    config.tune_seeds = 1
    config.report_seeds = 2
    config.target = 0.2

    config.contenders.squeezenet = {
        "model": {"name": "squeezenet", "width": 0.5},
        "optimizer": {"learning_rate": (3e-4, 1e-3, 3e-3)},
    }
    for name, width in (("mobilenet", 0.25), ("xception", 0.1), ("resnet50v2", 0.125)):
        config.contenders[name] = {
            "model": {"name": name, "width": width, "momentum": 0.9}
        }
    return config
