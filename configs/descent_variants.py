"""Batch, mini-batch and stochastic descent for the same number of examples seen.

    python -m experiments.compare --config=configs/descent_variants.py
    python -m experiments.compare --config=configs/descent_variants.py:floor
    python -m experiments.compare --config=configs/descent_variants.py \
        --config.data.name=mnist --config.data.examples=2500 --data_dir=DIR \
        --config.contenders.batch.batch_size=2000

Softmax regression (convex) on digits, 10 epochs each: all 1,150 training images a step,
32, or one. On other data give the whole batch by
``--config.contenders.batch.batch_size=EXAMPLES``. The page draws the path by step
(moving average) and the time of a run. Claims: with more steps an epoch descends
further; single examples are the soonest at the target; an epoch of them takes longer.

Found, 6 seeds: mini-batches end at a training loss 0.51 [0.17, 0.85] lower than whole
batches (0.054 and 0.56), and a run of single examples takes 0.057 s in the median, of
mini-batches 0.016 s; single examples are no sooner at the target, 0.2 [-0.3, 0.6]
epochs later. Digits have no floor: every training image can be right, and a falling
rate ended higher than a constant one. 31 s of CPU time.

``floor`` is linear regression on a table whose noise no line can fit (diabetes, 283
patients a training epoch): stochastic descent from a rate of 0.05, constant or falling
as 0.05 / (1 + epochs / 2). Claim: a constant rate stays on a floor, and a falling one
takes it away. Held, 20 seeds (``--config.report_seeds=20``; the rate was chosen after a
look at six of them): the training loss ends 0.074 [0.049, 0.098] lower, and one run at
the constant rate diverged.

On MNIST (2,000 training and 500 validation images, all 10,000 test images; the command
above), 6 seeds: mini-batches end at a training loss 0.68 [0.43, 0.94] lower than whole
batches (0.18 and 0.86; both at the lower edge of their rates); no run is at 90% within
10 epochs; a run of single examples takes 0.016 s [0.014, 0.019] longer.
"""

from typing import Any

from configs import digits_optimizers

VARIANTS = ("digits", "floor")


def get_config(variant: str = "digits"):
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.model = {"name": "mlp", "hidden": ()}
    config.tune_seeds = 1
    config.report_seeds = 6
    if variant == "floor":
        _floor(config)
        return config
    config.title = "Batch, mini-batch and stochastic descent"
    config.epochs = 10
    config.tune_seeds = 3  # ten steps of a whole batch differ much between seeds
    config.target = 0.9
    sizes = {
        "batch": (1150, (0.3, 1.0, 3.0, 10.0, 30.0)),
        "mini_batch": (32, (0.03, 0.1, 0.3, 1.0, 3.0)),
        "stochastic": (1, (1e-3, 3e-3, 0.01, 0.03, 0.1)),
    }
    for name, (size, rates) in sizes.items():
        config.contenders[name] = {
            "batch_size": size,
            "optimizer": {"name": "sgd", "learning_rate": rates},
        }
    config.claims = (
        {"says": "For the same examples, mini-batches reach a lower loss than batches",
         "better": "mini_batch", "than": "batch", "by": "train_loss"},
        {"says": "Single examples reach 90% in fewer epochs than mini-batches",
         "less": "stochastic", "than": "mini_batch", "by": "epochs_to_target"},
        {"says": "An epoch of single examples takes more time than one of mini-batches",
         "better": "mini_batch", "than": "stochastic", "by": "seconds"},
    )  # fmt: skip
    return config


def _floor(config: Any) -> None:
    config.title = "The floor of stochastic descent, and a falling rate"
    config.data.name = "diabetes"
    config.problem = "regression"
    config.loss.name = "squared_error"
    config.epochs = 60
    config.batch_size = 1
    config.target = 0.55
    config.optimizer = {"name": "sgd", "learning_rate": 0.05}
    config.contenders.constant = {}
    config.contenders.falling = {"schedule": {"name": "power", "decay_epochs": 2}}
    config.claims = (
        {"says": "A falling rate goes below the floor of a constant one",
         "better": "falling", "than": "constant", "by": "train_loss"},
    )  # fmt: skip
