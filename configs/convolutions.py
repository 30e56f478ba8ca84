"""The same net with standard, depthwise, pointwise and separable convolutions.

    python -m experiments.compare --config=configs/convolutions.py
    python -m experiments.compare --config=configs/convolutions.py:cifar10_reduced \
        --data_dir=DIR
    python -m experiments.compare --config=configs/convolutions.py:cifar10 \
        --data_dir=DIR

A fully convolutional net: 3 x 3 convolutions, each halved by a 2 x 2 maximum, and one
map for each class. The contenders differ in the kind of its convolutions; the page has
accuracy, parameters, multiply-adds for an image, and the time of a run. By the formulas
(``optlab.models.depthwise``) a separable convolution takes 1/n_f + 1/9 of the multiply-
adds of a standard one. ``python -m experiments.bench --suite=conv`` sets formula, count
and time of single layers side by side.

The default is scikit-learn's digits, which have one channel: the first separable layer
has a single 3 x 3 kernel there, and the first depthwise one sixteen. ``cifar10`` is the
whole set, ``cifar10_reduced`` for two CPU cores.

The default, 5 seeds, test accuracy and multiply-adds for an image: standard 97.77 ±
0.98%, 84,224; depthwise 95.99 ± 2.07%, 15,104; separable 90.03 ± 5.78%, 13,376;
pointwise 25.79 ± 4.96%, 10,496.

``cifar10_reduced``, 3 seeds, accuracy, multiply-adds and time of a run: standard 33.2 ±
9.4%, 10,342,400, 3.0 s; depthwise 33.5 ± 9.7%, 503,040, 5.2 s; separable 33.0 ± 3.9%,
1,305,600, 2.7 s; pointwise 26.0 ± 0.9%, 1,167,360, 0.94 s. That separable convolutions
take less time is held (0.29 s [0.22, 0.36]), that they lose at most two points is not
shown (0.3 [-9.3, 9.9] points). 4:07 min beside other work.
"""

from configs import digits_optimizers

VARIANTS = ("digits", "cifar10", "cifar10_reduced")
KINDS = ("standard", "depthwise", "pointwise", "separable")


def get_config(variant: str = "digits"):
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.title = "Standard and separable convolutions"
    config.model = {"name": "fcn", "features": (16, 32)}
    config.optimizer.learning_rate = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    config.epochs = 20
    config.tune_seeds = 2
    config.target = 0.9
    config.contenders = {kind: {"model": {"convolution": kind}} for kind in KINDS}
    config.claims = (
        {"says": "Separable convolutions lose at most two points of accuracy",
         "not_better": "standard", "than": "separable", "margin": 0.02},
        {"says": "A run with separable convolutions takes less time",
         "better": "separable", "than": "standard", "by": "seconds"},
        {"says": "Channels must be mixed: depthwise alone is worse than separable",
         "better": "separable", "than": "depthwise"},
        {"says": "Neighbors must be seen: pointwise alone is worse than separable",
         "better": "separable", "than": "pointwise"},
    )  # fmt: skip
    if variant != "digits":
        config.title += " on CIFAR-10"
        config.data.name = "cifar10"
        config.data.validation_fraction = 0.1
        config.augment = {"flip": {}}
        config.model = {"name": "fcn", "features": (32, 64, 128)}
        config.tune_seeds = 1
        config.target = 0.65
    if variant == "cifar10_reduced":
        config.data.examples = 2_000
        config.epochs = 4
        config.report_seeds = 3
        config.target = 0.25
        config.note = (
            "Reduced: 2,000 training images and 4 epochs, for two CPU cores. "
            "Accuracies are far below those of the full experiment."
        )
    return config
