"""NIST's 27 nonlinear regressions, both starts, by every method that can fit them.

    python -m experiments.solve --config=configs/nist.py --data_dir=DIR

DIR holds NIST's .dat files. float64. A fit is solved where four digits of every
parameter agree with the certified ones (log relative error, LRE). All problems share
one program, in which each has nine parameters and 250 rows, most of them padding: an
evaluation is a value (with its gradient) or a product, and a Jacobian counts nine.

Solved of 54 fits: Levenberg-Marquardt 54, BFGS 52, Gauss-Newton 49, DFP 47; all four
in 15 s on 2 fast CPU cores (27 beside other work), most of it compiling.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = ConfigDict()
    config.study = "nist"
    config.title = "NIST's nonlinear regressions"
    config.problems = ()  # NIST's names; empty for all 27
    config.digits = 4.0  # LRE (log relative error) from which a fit counts as solved

    # Criteria of optlab.solving.Stop; negative: off, as gradients have the problem's
    # units.
    config.stop = ConfigDict()
    config.stop.gradient = -1.0
    config.stop.step = 1e-15  # relative to the parameters
    config.stop.decrease = 1e-14  # relative to the value
    config.stop.patience = 3  # such steps in a row
    config.stop.steps = 20_000  # MGH10 from start 1 is a long, bent valley

    # Methods of so many steps that it pays to compile their programs well.
    config.long = ("dfp",)

    config.optimizers = ConfigDict()
    config.optimizers.levenberg_marquardt = {}
    config.optimizers.gauss_newton = {"damping": 0.0}
    config.optimizers.bfgs = {}
    config.optimizers.dfp = {}
    return config
