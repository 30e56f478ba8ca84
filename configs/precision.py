"""What do bfloat16 and float64 cost on handwritten digits, in accuracy and time?

    python -m experiments.compare --config=configs/precision.py

A small CNN (9,258 parameters) and Adam, 15 epochs; each precision tunes its own rate
and runs again with 6 fresh seeds. float32: all of it. bfloat16: the net's products and
activations; parameters and Adam's moments stay float32. float64: all of it. Metrics are
recorded in float32. Found on two cores of a CPU that has no bfloat16 products, beside
other work, so that only the times' ratios mean something:

| precision | test accuracy, 95% | validation loss | one run | best rate |
|---|---|---|---|---|
| float32 | 98.56 +- 0.50% | 0.062 | 1 (0.39 s) | 0.01 |
| bfloat16 | 98.00 +- 0.57% | 0.071 | 1.8 | 0.01 |
| float64 | 98.47 +- 0.31% | 0.064 | 1.6 | 0.01 |

No two are separated: bfloat16 over float32 -0.56 [-1.30, +0.18] points, float64 over
float32 -0.09 [-0.33, +0.15].
"""

from configs import digits_optimizers
from optlab.precision import PRECISIONS


def get_config():
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = digits_optimizers.base()
    config.title = "float32, bfloat16 and float64 on handwritten digits"
    config.epochs = 15
    config.tune_seeds = 1
    config.report_seeds = 6
    config.optimizer.learning_rate = (1e-3, 3e-3, 1e-2, 3e-2)
    config.contenders = {name: {"precision": name} for name in PRECISIONS}
    return config
