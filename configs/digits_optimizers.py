"""SGD with momentum, Adam and LAMB on handwritten digits: the default experiment.

    python -m experiments.compare

scikit-learn's 1797 digits (8x8 pixels) come inside a package: no network. A small CNN
(9,258 parameters), 8 learning rates x 3 seeds an optimizer, the winner again with 5
fresh seeds.
"""

from typing import Any

from ml_collections import ConfigDict, config_dict


def base() -> Any:
    """Builds the ConfigDict that other experiments start from, without contenders."""
    config = ConfigDict()
    config.title = ""
    config.note = ""  # shown in a frame on the page: what a reader must know

    # The recipe that all contenders share. A tuple is swept.
    config.data = ConfigDict()
    config.data.name = "digits"
    config.data.validation_fraction = 0.2  # of the training examples
    config.data.examples = config_dict.placeholder(int)  # training examples; None: all
    # Name -> options, such as {"flip": {}, "crop": {"padding": 2}}, and for one
    # of yours {"my_noise": {"augmentation": "mypackage.noise", "std": 0.1}}.
    config.augment = {}
    config.problem = "classification"  # or regression, autoencoder
    config.metric = config_dict.placeholder(str)  # decides; None: the problem's own
    config.model = ConfigDict()
    config.model.name = "cnn"
    config.model.features = (16, 32)  # channels of each 3x3 convolution
    config.model.dense = 32  # hidden units
    config.model.dropout = 0.0  # share of hidden units
    config.loss = {"name": "cross_entropy"}
    config.optimizer = {"name": "adam"}  # what contenders that name none share
    config.schedule = {"name": "constant"}  # a factor on updates, see optim.schedules
    config.epochs = 30
    config.stop = {}  # patience, target, gradient_norm or weight_change
    config.batch_size = 64
    config.precision = "float32"  # or bfloat16 (in the net alone), float64

    config.tune_seeds = 3
    config.report_seeds = 5  # fresh ones
    config.target = 0.95  # of the deciding metric on validation, for time to target
    config.search = "grid"  # or random, halton: a tuple is then a range (low, high)
    config.points = config_dict.placeholder(int)  # of a random or halton search

    # Contenders: label -> what it changes in the recipe above.
    config.contenders = {}
    # The short form: contenders that differ in their optimizer.
    config.optimizers = {}

    # For an optimizer that is named on the command line and has no grid of its own.
    config.learning_rate = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)

    config.claims = ()  # what is claimed of contenders, see optlab.results.claims
    config.published = ()  # figures from elsewhere, to be shown beside
    return config


def get_config() -> Any:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = base()
    config.title = "SGD with momentum, Adam and LAMB on handwritten digits"
    config.optimizers = {
        "momentum": {
            "learning_rate": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0),
            "momentum": 0.9,
        },
        "adam": {
            "learning_rate": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
            "b1": 0.9,
            "b2": 0.999,
        },
        "lamb": {
            "learning_rate": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0),
            "weight_decay": 0.01,
        },
    }
    return config
