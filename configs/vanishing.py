"""Gradients by layer, and dead units before and after training, at 2 and 20 layers.

    python -m experiments.solve --config=configs/vanishing.py
    python -m experiments.solve --config=configs/vanishing.py \
        --config.depths="(2,5,10,20)"
    python -m experiments.solve --config=configs/vanishing.py \
        --config.data.name=mnist --config.data.examples=3000 --data_dir=DIR

The same images through nets of 30 units a layer, 8 seeds: how large is the
gradient of each layer's weights, and which units have no slope on any image? By
activation and initial weights, with batch normalization, with residual links, and with
the gradient scaled to a norm of at most 1 (clipped). Units are counted before training
and after 10 epochs of SGD at 0.1. The page also draws each activation beside its
derivative.

Shown at 20 layers, 8 seeds, the first layer's gradient as a multiple of the last one's,
and accuracy on validation images after training: binary step 0, 11.5 +- 2.0%; logistic
2.5e-13, 7.4 +- 2.4%, clipped the same: a small gradient is not scaled up, and the ratio
of two layers is not changed. Logistic with residual links 0.011, 84.0 +- 4.5%, with
batch normalization 0.69, 94.4 +- 2.0%; tanh 0.52, 85.5 +- 7.6%. ReLU with Glorot's
weights 0.69, 11.7 +- 6.4%, with He's 0.44, 35.4 +- 12.3%, with He's and batch
normalization 26 (it grows), 71.8 +- 3.7%. With He's weights and residual links the
gradient explodes: all 8 seeds diverge, and none once it is clipped (22.4 +- 4.5%).
Dead are 22.5% of ReLU units at the start and 15.6% after training with He's weights
(23.4% with Glorot's), 1.9 and 2.9% in a net of 2 layers; none of leaky ones. 82 s of
CPU time.

On 2,700 images of MNIST (the last command), 20 layers: binary step 0, 11.8 +- 1.2% of
validation images; logistic 2.0e-13, 12.3%; with residual links 0.0081, 88.9 +- 1.4%,
with batch normalization 0.51, 85.5 +- 1.2%; tanh 0.48, 82.5 +- 7.7%; ReLU with Glorot's
weights 0.67, 23.3 +- 7.5%, with He's 0.35, 40.8 +- 8.9%, with He's and batch
normalization 24, 61.8 +- 3.5%. With He's weights and residual links all 8 seeds diverge
again, and none once clipped (12.5 +- 0.3%, 91% of the units dead). At 2 layers ReLU
with He's weights is the most accurate (92.0 +- 1.0%), logistic at 81.8 +- 2.2%.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = ConfigDict()
    config.study = "vanishing"
    config.title = "Vanishing gradients and dead units, layer by layer"
    config.data = {"name": "digits", "validation_fraction": 0.1}
    config.units = 30
    config.depths = (2, 20)  # numbers of hidden layers; the deepest is drawn
    config.seeds = 8
    config.examples = 256  # on which gradients and dead units are measured
    config.optimizer = {"name": "sgd", "learning_rate": 0.1}
    config.epochs = 10
    config.batch_size = 64
    config.drawn = (
        "binary_step", "identity", "sigmoid", "tanh", "relu", "leaky_relu", "prelu",
        "softmax",
    )  # fmt: skip

    glorot, he = {"initializer": "glorot_normal"}, {"initializer": "he_normal"}
    nets = {
        "step": {"activation": "binary_step", **glorot},
        "logistic": {"activation": "sigmoid", **glorot},
        "logistic, normalized": {
            "activation": "sigmoid", "normalization": "batch", **glorot
        },
        "logistic, residual": {"activation": "sigmoid", "residual": True, **glorot},
        "logistic, clipped": {"activation": "sigmoid", "clip": 1.0, **glorot},
        "tanh": {"activation": "tanh", **glorot},
        "ReLU, Glorot": {"activation": "relu", **glorot},
        "ReLU, He": {"activation": "relu", **he},
        "leaky ReLU, He": {"activation": "leaky_relu", **he},
        "ReLU, He, normalized": {"activation": "relu", "normalization": "batch", **he},
        "ReLU, He, residual": {"activation": "relu", "residual": True, **he},
        "ReLU, He, residual, clipped": {
            "activation": "relu", "residual": True, "clip": 1.0, **he
        },
    }  # fmt: skip
    config.nets = tuple({"name": name, **model} for name, model in nets.items())
    return config
