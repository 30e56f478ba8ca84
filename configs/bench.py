"""optlab beside its peers on this machine: ratios of times, and growth with size.

    python -m experiments.bench
    python -m experiments.bench --config=configs/bench.py --suite=sweep,conv
    python -m experiments.bench --suite=sweep --config.sweep.examples=2000

A block a suite. Peers that are not installed are left out, with a line that says how
to install them. Minutes on 2 CPU cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Builds the benchmarks as plain data; every line can be overridden by a flag."""
    config = ConfigDict()

    # Many small runs: an MLP, each learning rate with each seed, one epoch.
    config.sweep = ConfigDict()
    config.sweep.repeats = 5  # rounds
    config.sweep.learning_rates = tuple(10 ** (i / 5 - 4) for i in range(16))
    config.sweep.seeds = 4
    config.sweep.examples = 60_000  # random images, 28x28x1, as many as MNIST has
    config.sweep.batch_size = 64
    config.sweep.hidden = (30, 15)

    # A small convolutional net: steps of one lane, and of several lanes together.
    config.conv = ConfigDict()
    config.conv.repeats = 5
    config.conv.image = (32, 32, 3)
    config.conv.features = (32, 64, 64)
    config.conv.dense = 64
    config.conv.batch_size = 64
    config.conv.steps = 20  # a round
    config.conv.scanned_steps = 2  # of Flax's convolution in a scan: seconds on a CPU
    config.conv.lanes = 8
    config.conv.layers = ConfigDict(  # single layers; native: XLA's depthwise one
        {"side": 16, "channels": 64, "batch_size": 64, "steps": 10, "native_steps": 1}
    )

    # Nonlinear least squares: a net of 61 weights on sinc(10 x), and NIST's fits.
    config.least_squares = ConfigDict()
    config.least_squares.repeats = 3
    config.least_squares.method = ConfigDict()
    config.least_squares.steps = 400  # of a fit of the net, at most
    config.least_squares.starts = 16  # one at a time
    config.least_squares.restarts = 256  # lanes of one program
    config.least_squares.scipy_runs = 4  # of the restarts, a round
    config.least_squares.nist_dir = ""  # folder of the .dat files
    config.least_squares.nist_problems = 27

    # Published unconstrained problems: who ends at the best value found by any.
    config.minimization = ConfigDict()
    config.minimization.methods = ("newton", "newton_cg", "bfgs", "dfp")
    config.minimization.unknowns = 12  # of a problem, at most
    config.minimization.problems = 200  # at most
    config.minimization.steps = 2000

    # Steps with masks beside dense ones, and many sparsities as lanes of one program.
    config.pruning = ConfigDict()
    config.pruning.repeats = 5
    config.pruning.examples = 16_384  # an epoch of 128 steps; masks change once
    config.pruning.hidden = (300, 100)
    config.pruning.batch_size = 128
    config.pruning.sparsities = 64

    # Growth along one axis, everything else at its base.
    config.scaling = ConfigDict()
    config.scaling.repeats = 3
    config.scaling.base = ConfigDict(
        {"lanes": 16, "hidden": 30, "examples": 4_096, "batch_size": 64}
    )
    config.scaling.lanes = (1, 4, 16, 64, 256, 1024)
    config.scaling.hidden = (4, 16, 64, 256, 1024)
    config.scaling.examples = (256, 1_024, 4_096, 16_384, 65_536)
    return config
