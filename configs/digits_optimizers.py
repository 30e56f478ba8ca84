"""SGD with momentum, Adam and LAMB on handwritten digits: the default experiment.

    python -m experiments.compare

scikit-learn's 1797 digits (8x8 pixels) come inside a package: no network. A small CNN
(9,258 parameters), 8 learning rates x 3 seeds an optimizer, the winner again with 5
fresh seeds.
"""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    """The experiment as plain data; every line can be overridden by a flag."""
    config = ConfigDict()
    config.title = "SGD with momentum, Adam and LAMB on handwritten digits"
    config.note = ""  # shown in a frame on the page: what a reader must know

    config.data = ConfigDict()
    config.data.name = "digits"
    config.data.validation_fraction = 0.2  # of the training images
    config.data.examples = config_dict.placeholder(int)  # training images; None: all
    config.augment = ()  # of "crop", "flip"; in this order

    config.model = ConfigDict()
    config.model.name = "cnn"
    config.model.cnn = ConfigDict()
    config.model.cnn.features = (16, 32)  # channels of each 3x3 convolution
    config.model.cnn.dense = 32  # hidden units
    config.model.cnn.dropout = 0.0  # share of hidden units
    config.model.mlp = ConfigDict()
    config.model.mlp.hidden = (30, 15)
    config.model.mlp.activation = "relu"

    config.epochs = 30
    config.batch_size = (64,)  # one comparison for each
    config.tune_seeds = 3
    config.report_seeds = 5  # fresh ones
    config.target_accuracy = 0.95  # on validation, for time to target

    # Every value in a tuple is tried; several tuples make a grid.
    config.optimizers = ConfigDict()
    config.optimizers.momentum = ConfigDict()
    config.optimizers.momentum.learning_rate = (
        1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0
    )  # fmt: skip
    config.optimizers.momentum.momentum = (0.9,)
    config.optimizers.adam = ConfigDict()
    config.optimizers.adam.learning_rate = (
        1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1
    )  # fmt: skip
    config.optimizers.adam.b1 = (0.9,)
    config.optimizers.adam.b2 = (0.999,)
    config.optimizers.lamb = ConfigDict()
    config.optimizers.lamb.learning_rate = (
        3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0
    )  # fmt: skip
    config.optimizers.lamb.weight_decay = (0.01,)

    # For an optimizer that is named on the command line and stands not above.
    config.learning_rate = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)

    # A factor on every optimizer's updates, see optlab.optim.schedules.
    config.schedule = ConfigDict()
    config.schedule.name = "constant"

    config.published = ()  # figures from elsewhere, to be shown beside
    return config
