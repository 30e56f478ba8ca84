"""optlab beside its peers, in turns on this machine: ratios of times, counts.

    python -m experiments.bench
    python -m experiments.bench --config=configs/bench.py --suite=sweep,conv,compile
    python -m experiments.bench --suite=sweep --config.sweep.examples=2000

A block a suite. Peers that are not installed are left out, with a line that says how
to install them. Minutes on 2 CPU cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The benchmarks as plain data; every line can be overridden by a flag."""
    config = ConfigDict()

    # Many small runs: an MLP, each learning rate with each seed, one epoch.
    config.sweep = ConfigDict()
    config.sweep.repeats = 5  # turns
    config.sweep.learning_rates = tuple(10 ** (i / 5 - 4) for i in range(16))
    config.sweep.seeds = 4
    config.sweep.examples = 60_000  # random images, 28x28x1, as many as MNIST has
    config.sweep.batch_size = 64
    config.sweep.hidden = (30, 15)

    # A small convolutional net: one step in and outside of a loop, eight lanes.
    config.conv = ConfigDict()
    config.conv.repeats = 5
    config.conv.image = (32, 32, 3)
    config.conv.features = (32, 64, 64)
    config.conv.dense = 64
    config.conv.batch_size = 64
    config.conv.steps = 20  # a turn
    config.conv.stock_steps = 2  # of the stock convolution in a loop: seconds each
    config.conv.lanes = 8

    # Programs counted, never timed.
    config.compile = ConfigDict()
    config.compile.learning_rates = 36
    config.compile.seeds = 10
    config.compile.examples = 1_024
    config.compile.batch_size = 64
    config.compile.hidden = (30, 15)
    config.compile.growth = (1, 16, 256)  # lanes
    config.compile.repeats = 3  # compiles of each, for the growth

    # Nonlinear least squares: NIST's fits, and a net of 61 weights on sinc(10 x).
    config.least_squares = ConfigDict()
    config.least_squares.repeats = 3
    config.least_squares.method = ConfigDict({"rule": "nielsen"})
    config.least_squares.steps = 400  # of a fit of the net, at most
    config.least_squares.starts = 16  # one at a time
    config.least_squares.restarts = 256  # lanes of one program
    config.least_squares.scipy_runs = 4  # of the restarts, a turn
    config.least_squares.nist_dir = ""  # folder of the .dat files
    config.least_squares.nist_problems = 27

    # Growth along one axis, everything else at its base; and the peak of memory.
    config.scaling = ConfigDict()
    config.scaling.repeats = 3
    config.scaling.base = ConfigDict(
        {"lanes": 16, "hidden": 30, "examples": 4_096, "batch_size": 64}
    )
    config.scaling.lanes = (1, 4, 16, 64, 256, 1024)
    config.scaling.hidden = (4, 16, 64, 256, 1024)
    config.scaling.examples = (256, 1_024, 4_096, 16_384, 65_536)
    config.scaling.memory_lanes = (64, 256)
    config.scaling.memory_examples = 60_000

    # Lanes over devices and processes, on the cores of this host.
    config.devices = ConfigDict()
    config.devices.repeats = 3
    config.devices.lanes = 64
    config.devices.examples = 16_384
    config.devices.batch_size = 64
    config.devices.hidden = (30, 15)
    config.devices.epochs = 3

    # Runs a second on a GPU or TPU, images as many and as large as CIFAR-10's.
    config.accelerator = ConfigDict()
    config.accelerator.repeats = 3
    config.accelerator.lanes = (1, 8, 64)
    config.accelerator.examples = 50_000  # a run
    config.accelerator.image = config.conv.image
    config.accelerator.features = config.conv.features
    config.accelerator.dense = config.conv.dense
    config.accelerator.batch_size = 64
    config.accelerator.product = 8_192  # rows and columns, for the rate of a product
    return config
