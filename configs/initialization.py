"""Initial weights: all equal, zeros, too small, too large, LeCun, Glorot, He.

    python -m experiments.compare --config=configs/initialization.py
    python -m experiments.compare --config=configs/initialization.py \
        --config.data.name=mnist --config.data.examples=2500 --data_dir=DIR

A net with five hidden layers of 30 ReLU units, SGD with momentum. Claims: weights that
are all equal stay equal within a layer (``tests/models/test_symmetry.py``), so that
the net learns as one of a single unit a layer; zeros do not learn at all; weights too
small or too large are worse than He's; He's is made for ReLU and is better than
Glorot's.

Found, 8 seeds, test accuracy: he 95.7 +- 0.7%, lecun 95.5 +- 0.8%, glorot 95.5 +- 0.8%,
not separated (he - glorot +0.2 [-0.6, +1.1] points: that claim is not shown); equal
weights 27.3 +- 1.4%, three times He's 12.0 +- 7.8%, a tenth of He's and zeros 6.1%, a
single class.

On MNIST (2,000 training and 500 validation images, all 10,000 test images; the command
above), 8 seeds, test accuracy: lecun 90.1 +- 0.6%, glorot 89.8 +- 0.5%, he 88.4 +-
0.9%: He's are worse than Glorot's by 1.4 [0.3, 2.5] points, contradicted. Equal weights
18.6 +- 0.5%, three times He's 13.2 +- 2.7%, a tenth of He's and zeros 11.4%, a single
class.
"""

from configs import digits_optimizers


def get_config():
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.title = "Initial weights of a net with five hidden layers"
    config.model = {"name": "mlp", "hidden": (30,) * 5}
    config.epochs = 15
    config.tune_seeds = 2
    config.report_seeds = 8
    config.target = 0.9
    rates = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    config.optimizer = {"name": "momentum", "momentum": 0.9, "learning_rate": rates}
    starts = {
        "zeros": {"initializer": "zeros"},
        "equal": {"initializer": "ones", "initial_scale": 0.05},
        "too_small": {"initializer": "he_normal", "initial_scale": 0.1},
        "too_large": {"initializer": "he_normal", "initial_scale": 3.0},
        "lecun": {"initializer": "lecun_normal"},
        "glorot": {"initializer": "glorot_normal"},
        "he": {"initializer": "he_normal"},
    }
    config.contenders = {name: {"model": model} for name, model in starts.items()}
    config.claims = (
        {"says": "Zeros do not learn: under 20% of the digits are right",
         "less": "zeros", "than": 0.2, "by": "test_accuracy"},
        {"says": "Weights that are all equal are worse than He's",
         "better": "he", "than": "equal"},
        {"says": "Weights a tenth of He's are worse", "better": "he",
         "than": "too_small"},
        {"says": "Weights three times He's are worse", "better": "he",
         "than": "too_large"},
        {"says": "With ReLU, He's are better than Glorot's",
         "better": "he", "than": "glorot"},
    )  # fmt: skip
    return config
