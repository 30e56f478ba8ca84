"""From SGD to Nadam, and the newer methods that people ask for, on handwritten digits.

    python -m experiments.compare --config=configs/momentum_to_nadam.py
    python -m experiments.compare --config=configs/momentum_to_nadam.py \
        --config.data.name=mnist --config.data.examples=2500 --data_dir=DIR
    python -m experiments.compare --config=configs/momentum_to_nadam.py \
        --config.optimizers=sgd,momentum,adam

SGD, momentum 0.9, Nesterov, AdaGrad, RMSProp 0.9, Adam, Nadam, LAMB; AdamW, Lion, Muon,
schedule-free AdamW, Prodigy. A net of 30 and 15 hidden units, seven rates each a
half decade apart, 2 seeds tuned, 6 reported. Claims: momentum reaches the target sooner
than SGD; Adam sooner than momentum; Nesterov and Nadam are no better than momentum and
Adam; AdaGrad, whose rate only falls, stops too early.

"On a constant slope momentum moves 1 / (1 - beta) times as fast" is shown by
``configs/paths.py``.

None of the five is shown, 6 seeds, all rates tuned: momentum is at 90% 0.67 [0.12,
1.21] epochs before SGD (p 0.13 after correction for five claims), Adam 0.33 [-0.21,
0.88] before momentum; Nesterov - momentum -0.3 [-1.1, +0.6] points, Nadam - Adam +0.3
[-0.8, +1.4]; AdaGrad's training loss - RMSProp's -0.008 [-0.058, +0.043]. Test
accuracies are from 95.3 +- 0.9% (Lion) to 96.7 +- 0.6% (schedule-free AdamW). 79 s of
CPU time.

On MNIST (2,000 training and 500 validation images, all 10,000 test images; the command
above), 6 seeds: momentum is at 90% 2.2 [0.8, 3.6] epochs before SGD (held), and RMSProp
ends at a training loss 0.10 [0.08, 0.12] below AdaGrad's (held). Not shown: Adam before
momentum, 0.5 [-2.5, 3.5] epochs later; Nesterov - momentum +0.3 [-0.3, +0.9] points,
Nadam - Adam -0.5 [-0.8, -0.1]. Test accuracies are from 88.4 +- 0.6% (Lion) to 91.1 +-
0.4% (Nesterov).
"""

from configs import digits_optimizers

LARGE = (1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)
MIDDLE = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
SMALL = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def get_config():
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.title = "From SGD to Nadam, and beyond"
    config.model = {"name": "mlp", "hidden": (30, 15)}
    config.epochs = 10
    config.tune_seeds = 2
    config.report_seeds = 6
    config.target = 0.9
    config.optimizers = {
        "sgd": {"learning_rate": LARGE},
        "momentum": {"learning_rate": MIDDLE, "momentum": 0.9},
        "nesterov": {"learning_rate": MIDDLE, "momentum": 0.9},
        "adagrad": {"learning_rate": MIDDLE},
        "rmsprop": {"learning_rate": SMALL, "decay": 0.9},
        "adam": {"learning_rate": SMALL},
        "nadam": {"learning_rate": SMALL},
        "lamb": {"learning_rate": MIDDLE},
        "adamw": {"learning_rate": SMALL},
        "lion": {"learning_rate": SMALL},
        "muon": {"learning_rate": MIDDLE},
        "schedule_free_adamw": {"learning_rate": MIDDLE},
        "prodigy": {"learning_rate": MIDDLE},
    }
    config.claims = (
        {"says": "Momentum reaches 90% in fewer epochs than SGD",
         "less": "momentum", "than": "sgd", "by": "epochs_to_target"},
        {"says": "Adam reaches 90% in fewer epochs than momentum",
         "less": "adam", "than": "momentum", "by": "epochs_to_target"},
        {"says": "Nesterov's momentum is no better than the plain one",
         "not_better": "nesterov", "than": "momentum"},
        {"says": "Nadam is no better than Adam", "not_better": "nadam", "than": "adam"},
        {"says": "AdaGrad stops too early: RMSProp ends at a lower training loss",
         "better": "rmsprop", "than": "adagrad", "by": "train_loss"},
    )  # fmt: skip
    return config
