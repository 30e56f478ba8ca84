"""Learning rates too small, right and too large, and the width of the good region.

    python -m experiments.compare --config=configs/learning_rate.py
    python -m experiments.compare --config=configs/learning_rate.py \
        --config.data.name=mnist --config.data.examples=2500 --data_dir=DIR

SGD at three fixed rates, and at the largest of them with "reduce when the loss no
longer improves"; then SGD, momentum, Adam and LAMB on one grid of factors of two that
holds 0.02, 0.04 and 0.08. The page draws the moving average (0.99) of the training
error, and validation accuracy against the rate, with a table of the width of each
optimizer's good region. Claims: a rate can be too small and too large, and reducing it
heals a rate that is too large.

Found, 8 seeds, test accuracy after 15 epochs: 33.0 +- 6.6% at 0.005, 96.6 +- 0.7% at
0.32, 9.4 +- 3.8% at 1.6. That reducing heals it is not shown, 11.8 +- 10.2%. Within one
point of its own best (validation, 2 seeds) Adam is from 0.005 to 0.02, momentum from
0.01 to 0.08, SGD from 0.32 to 0.64, LAMB from 0.005 to 0.01. That Adam's best is no
better than SGD's is not shown, +0.2 [-0.4, +0.8] points. 59 s of CPU time.

On MNIST (2,000 training and 500 validation images, all 10,000 test images; the command
above), 8 seeds, test accuracy: 80.4 +- 1.9% at 0.005, 91.1 +- 0.5% at 0.32, 11.1 +-
0.5% at 1.6, and 11.4 +- 0.0% reduced (not shown). Adam's best rate, 0.00125, is 0.8
[0.4, 1.1] points worse than SGD's, 0.16: held.
"""

from configs import digits_optimizers

#: Factors of two around 0.02, 0.04 and 0.08.
RATES = (
    0.00015625, 0.0003125, 0.000625, 0.00125, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08,
    0.16, 0.32, 0.64, 1.28, 2.56,
)  # fmt: skip


def get_config():
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.title = "Learning rates: too small, right, too large"
    config.model = {"name": "mlp", "hidden": (30, 15)}
    config.epochs = 15
    config.tune_seeds = 2
    config.report_seeds = 8
    config.target = 0.9

    fixed = {"too_small": 0.005, "right": 0.32, "too_large": 1.6}
    for name, rate in fixed.items():
        config.contenders[name] = {"optimizer": {"name": "sgd", "learning_rate": rate}}
    plateau = {"name": "plateau", "window_epochs": 1, "patience": 1, "factor": 0.5}
    config.contenders.reduced = {
        "optimizer": {"name": "sgd", "learning_rate": fixed["too_large"]},
        "schedule": plateau,
    }
    config.optimizers = {
        name: {"learning_rate": RATES} for name in ("sgd", "momentum", "adam", "lamb")
    }
    config.claims = (
        {"says": "A rate of 0.005 is too small: 0.32 learns more in the same time",
         "better": "right", "than": "too_small"},
        {"says": "A rate of 1.6 is too large: 0.32 ends better",
         "better": "right", "than": "too_large"},
        {"says": "Reducing a rate that is too large heals it",
         "better": "reduced", "than": "too_large"},
        {"says": "Adam's best rate is no better than SGD's",
         "not_better": "adam", "than": "sgd"},
    )  # fmt: skip
    return config
