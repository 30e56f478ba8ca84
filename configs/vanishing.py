"""Gradients by layer, and dead units, of nets of 2 and 20 layers before training.

    python -m experiments.solve --config=configs/vanishing.py
    python -m experiments.solve --config=configs/vanishing.py \
        --config.depths="(2,10,40)"

The same images of digits through nets of 30 units a layer, 8 seeds: how large is the
gradient of each layer's weights, and which units have no slope on any image? By
activation and initial weights, and with batch normalization.

Shown at 20 layers, 8 seeds, the first layer's gradient as a multiple of the last one's:
binary step 0, logistic 2.9e-13, with batch normalization 0.72; tanh 0.70, ReLU with
He's weights 0.46, with batch normalization 28 (it grows). A fifth of ReLU units, 19.8%,
are dead at the start, 1.3% of a net of 2 layers; none of leaky ones. 26 s of CPU time.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = ConfigDict()
    config.study = "vanishing"
    config.title = "Vanishing gradients and dead units, layer by layer"
    config.units = 30
    config.depths = (2, 20)  # numbers of hidden layers; the last one is drawn
    config.seeds = 8
    config.examples = 256

    glorot, he = {"initializer": "glorot_normal"}, {"initializer": "he_normal"}
    nets = {
        "step": {"activation": "binary_step", **glorot},
        "logistic": {"activation": "sigmoid", **glorot},
        "logistic, normalized": {
            "activation": "sigmoid", "normalization": "batch", **glorot
        },
        "tanh": {"activation": "tanh", **glorot},
        "ReLU, Glorot": {"activation": "relu", **glorot},
        "ReLU, He": {"activation": "relu", **he},
        "leaky ReLU, He": {"activation": "leaky_relu", **he},
        "ReLU, He, normalized": {"activation": "relu", "normalization": "batch", **he},
    }  # fmt: skip
    config.nets = tuple({"name": name, **model} for name, model in nets.items())
    return config
