r"""Compares optimizers on a data set: tuned on validation, reported on test.

  python -m experiments.compare
  python -m experiments.compare --config.batch_size=512 --config.epochs=10
  python -m experiments.compare --config.optimizers=adam,lion,mypackage.mymodule.mine
  python -m experiments.compare --config.optimizers.adam.learning_rate="(1e-3,1e-2)"
  python -m experiments.compare --config=configs/cifar10_optimizers.py:reduced \
      --data_dir=DIR --workdir=runs/cifar10

Each optimizer runs every point of its grid with the same seeds, all as lanes of one
compiled program. The point with the best validation accuracy runs again with fresh
seeds, and these runs are reported: a table here; index.html, figures, rows.csv and
results.json in the working directory. The same command again goes on where a stopped
run was, or shows the results of a finished one.

Every line of the config is a flag: --config.KEY=VALUE. A tuple is a grid.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import optax
from absl import flags
from rich.console import Console

from experiments import cli, grids
from experiments.host import Host
from experiments.workdir import claim
from optlab import comparison, data, models, optim, problems, report, results
from optlab.comparison import Contender, Protocol

CONFIG = cli.define_config("configs/digits_optimizers.py")
flags.declare_key_flag("config")
DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Where tensorflow-datasets keeps prepared data sets."
)
DOWNLOAD = flags.DEFINE_bool("download", False, "Prepare a missing data set first.")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where results go; by default a folder of runs/ for each config."
)
PARALLEL = flags.DEFINE_string(
    "parallel", "jit", "jit: lanes over devices, then batches; pmap: batches only."
)
WIDTH = flags.DEFINE_integer(
    "width",
    None,
    "Lanes to run at a time; by default the fastest of a short trial at the start.",
)
TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Write event files too.")

#: Schedule options that a config gives in epochs, and what they are in steps.
EPOCH_OPTIONS = {
    "decay_epochs": "decay_steps",
    "boundary_epochs": "boundaries",
    "window_epochs": "window",
}


def main(selection: Sequence[str]) -> None:
    """Flags and config in, a comparison's results out."""
    config = CONFIG.value
    settings = config.to_dict()
    if selection:
        settings["optimizers"] = {
            name: settings["optimizers"].get(name, _default_grid(name, config))
            for name in selection
        }
    contenders = make_contenders(settings)
    protocol = Protocol(
        epochs=config.epochs,
        batch_sizes=config.batch_size,
        tune_seeds=config.tune_seeds,
        report_seeds=config.report_seeds,
        augmentations=config.augment,
        parallel=PARALLEL.value,
        width=WIDTH.value,
    )
    dataset = data.load(data_dir=DATA_DIR.value, download=DOWNLOAD.value, **config.data)
    name = config.model.name
    options = settings["model"].get(name, {})  # a config may hold those of several
    module = models.make(name, dataset.classes, **options)
    problem = problems.classification(module, dataset.train.images.shape[1:])
    comparison.check(dataset, contenders, protocol)

    console = Console()
    workdir = claim(WORKDIR.value, "compare", settings)
    with Host(workdir, Console(stderr=True), TENSORBOARD.value) as host:
        outcome = comparison.compare(dataset, problem, contenders, protocol, host)
    found = results.Results(
        rows=outcome.rows,
        cells=outcome.cells,
        traces=outcome.traces,
        target_accuracy=config.target_accuracy,
        title=config.title,
        note=config.note,
        config=json.dumps(settings, indent=2),
        environment=results.environment(sys.orig_argv),
        published=config.published,
    )
    results.write_csv(workdir / "rows.csv", found.rows)
    results.write_json(workdir / "results.json", found)
    page = report.write(found, workdir)
    report.show(found, console)
    console.print(f"page: {page}", soft_wrap=True)


def make_contenders(settings: Mapping[str, Any]) -> list[Contender]:
    """The optimizers of a config, each with its grid.

    Args:
      settings: ``optimizers``: label to hyperparameters, where a tuple is swept and
        ``optimizer`` names one that is not the label; ``schedule``.

    Returns:
      One contender an entry.

    Raises:
      InputError: something in them is no number, or an optimizer does not take it.
    """
    return [
        _contender(label, dict(entry), settings)
        for label, entry in settings["optimizers"].items()
    ]


def _default_grid(name: str, config: Any) -> dict[str, Any]:
    """The grid of an optimizer that has none of its own in the config."""
    if optim.takes(name, "learning_rate"):
        return {"learning_rate": config.learning_rate}
    return {}


def _contender(label: str, entry: dict, settings: Mapping[str, Any]) -> Contender:
    name = entry.pop("optimizer", label)
    fixed, points = grids.split(label, entry)
    options = dict(settings["schedule"])
    schedule = options.pop("name")

    def optimizer(hyperparameters: Mapping[str, Any], steps_per_epoch: int):
        return optax.chain(
            optim.make(name, **fixed, **hyperparameters),
            optim.schedules.make(schedule, **_in_steps(options, steps_per_epoch)),
        )

    return Contender(label.rpartition(".")[2], optimizer, points)


def _in_steps(schedule: Mapping[str, Any], steps_per_epoch: int) -> dict[str, Any]:
    """Schedule options with those in epochs turned into steps."""
    options = {}
    for key, value in schedule.items():
        if key in EPOCH_OPTIONS:
            epochs = value if isinstance(value, tuple) else (value,)
            steps = tuple(round(epoch * steps_per_epoch) for epoch in epochs)
            key, value = EPOCH_OPTIONS[key], steps if value is epochs else steps[0]
        options[key] = value
    return options


if __name__ == "__main__":
    cli.run(main, "stopped; the same command goes on from the last saved epoch")
