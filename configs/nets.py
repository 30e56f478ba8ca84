"""Sizes of published nets, and what each kind of optimizer would take to train them.

    python -m experiments.nets
    python -m experiments.nets --config.optimizers=adam,lamb,newton
    python -m experiments.nets --config.nets="('resnet50','mobilenet')" \
        --config.classes=10 --config.width=0.25

Nothing is allocated: shapes alone are traced, which takes half a minute at most.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = ConfigDict()
    config.title = "Why deep nets are trained by first-order methods"
    config.nets = (
        "alexnet", "vgg16", "vgg19", "inception_v3", "inception_resnet_v2",
        "resnet50", "resnet101", "resnet152", "resnet50v2", "resnet101v2",
        "resnet152v2", "squeezenet", "xception", "mobilenet", "mobilenet_v2",
    )  # fmt: skip
    config.classes = 1000
    config.width = 1.0  # factor on the channels of every layer
    config.batch_size = 64  # of Gauss-Newton's Jacobian, a row for each output

    methods = ("sgd", "momentum", "adam", "newton_cg", "bfgs", "gauss_newton", "newton")
    config.optimizers = {name: {} for name in methods}
    return config
