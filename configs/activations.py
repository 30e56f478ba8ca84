"""Activations in nets of 2, 5 and 20 hidden layers, and what makes depth trainable.

    python -m experiments.compare --config=configs/activations.py
    python -m experiments.compare --config=configs/activations.py:deep
    python -m experiments.compare --config=configs/activations.py \
        --config.data.name=mnist --config.data.examples=2500 --data_dir=DIR

The default: binary step, none (a linear net), logistic, tanh, ReLU, leaky ReLU and
PReLU, at 2 and 5 hidden layers of 30 units with Glorot's initial weights, beside a net
without a hidden layer. Claims: a step has no gradient, so that the layers before it do
not train; a deep linear net is no better than one layer; logistic units are worse than
ReLU in a deep net.

``deep`` has 20 hidden layers: tanh and logistic units with Glorot's weights, ReLU
with Glorot's and He's, and both with batch normalization.

Found, 6 seeds, test accuracy at 2 and 5 layers: binary step 50.6 +- 2.4 and 19.9 +-
3.0%, linear 96.2 +- 0.7 and 95.5 +- 0.7%, ReLU 97.0 +- 0.2 and 95.4 +- 0.9%, logistic
96.6 +- 0.7 and 80.7 +- 17.7%. Held: a step does not train what is before it. Not shown:
ReLU over a linear net (digits are nearly linear), over logistic units in 5 layers
(+14.7 [-3.7, +33.1] points), and that a learned slope is no better.

At 20 layers: tanh 93.3 +- 0.6%, logistic 6.7 +- 1.4% at every rate, with batch
normalization 94.0 +- 1.7% (held); ReLU with He's weights 87.7 +- 2.2%, with Glorot's
69.8 +- 6.6% (held), with batch normalization 84.9 +- 6.2% (better than He's alone: not
shown). 135 s of CPU time each.

A comparison sees what comes out of training; ``configs/vanishing.py`` has gradients by
layer, dead units, clipping and residual links, and draws the derivatives.

On MNIST (2,000 training and 500 validation images, all 10,000 test images; the command
above), 6 seeds, test accuracy at 2 and 5 layers: binary step 39.1 +- 2.0 and 17.1 +-
1.8%, linear 88.5 +- 0.2 and 87.8 +- 0.4%, ReLU 91.0 +- 0.4 and 89.6 +- 1.3%, logistic
89.8 +- 0.5 and 76.0 +- 7.5%. Held: a step does not train what is before it; in 5 layers
logistic units are worse than ReLU, by 13.6 [6.1, 21.1] points. Not shown: ReLU over a
linear net, +2.5 [1.9, 3.1] points at 2 layers and +1.8 [0.2, 3.4] at 5. At 20 layers:
tanh 84.4 +- 1.7%, logistic 11.4%, with batch normalization 86.7 +- 0.8% (held), ReLU
with He's weights 78.2 +- 3.1%, with Glorot's 75.7 +- 6.9%, with batch normalization
74.8 +- 2.7% (neither claim about ReLU is shown).
"""

from typing import Any

from configs import digits_optimizers

VARIANTS = ("shallow", "deep")
ACTIVATIONS = (
    "binary_step", "identity", "sigmoid", "tanh", "relu", "leaky_relu", "prelu"
)  # fmt: skip


def get_config(variant: str = "shallow"):
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.model = {
        "name": "mlp", "initializer": "glorot_normal", "hidden": ((30,) * 2, (30,) * 5)
    }  # fmt: skip
    config.optimizer.learning_rate = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    config.epochs = 15
    config.tune_seeds = 2
    config.report_seeds = 6
    config.target = 0.9
    if variant == "deep":
        _deep(config)
        return config
    config.title = "Activations in nets of 2 and of 5 hidden layers"
    config.contenders = {name: {"model": {"activation": name}} for name in ACTIVATIONS}
    five = f"hidden {(30,) * 5}"
    config.claims = (
        {"says": "With a binary step the layers before it do not train: worse than a "
         "linear net", "better": "identity", "than": "binary_step"},
        {"says": "ReLU is better than a linear net", "better": "relu",
         "than": "identity"},
        {"says": "In 5 layers logistic units are worse than ReLU",
         "better": "relu", "than": "sigmoid", "group": five},
        {"says": "A learned slope (PReLU) is no better than ReLU",
         "not_better": "prelu", "than": "relu"},
    )  # fmt: skip
    return config


def _deep(config: Any) -> None:
    config.title = "Twenty hidden layers: what makes them trainable?"
    config.model.hidden = (30,) * 20
    he = {"activation": "relu", "initializer": "he_normal"}
    nets = {
        "sigmoid": {"activation": "sigmoid"},
        "sigmoid_norm": {"activation": "sigmoid", "normalization": "batch"},
        "tanh": {"activation": "tanh"},
        "relu_glorot": {"activation": "relu"},
        "relu_he": he,
        "relu_norm": {**he, "normalization": "batch"},
    }
    config.contenders = {name: {"model": model} for name, model in nets.items()}
    config.claims = (
        {"says": "Twenty layers of logistic units do not train: under 20% are right",
         "less": "sigmoid", "than": 0.2, "by": "test_accuracy"},
        {"says": "Batch normalization makes them train", "better": "sigmoid_norm",
         "than": "sigmoid"},
        {"says": "He's initial weights are better than Glorot's with ReLU",
         "better": "relu_he", "than": "relu_glorot"},
        {"says": "Batch normalization is better than He's initial weights alone",
         "better": "relu_norm", "than": "relu_he"},
    )  # fmt: skip
