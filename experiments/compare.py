r"""Compares optimizers on a data set: tuned on validation, reported on test.

  python -m experiments.compare
  python -m experiments.compare --config.batch_size=512 --config.epochs=10
  python -m experiments.compare --config.optimizers=adam,lion,mypackage.mymodule.mine
  python -m experiments.compare --config.optimizers.adam.learning_rate="(1e-3,1e-2)"
  python -m experiments.compare --config.optimizers=adam,lion \
      --config.optimizers.lion.b1="(0.9,0.95)"
  python -m experiments.compare --config.schedule.name=cosine \
      --config.schedule.decay_epochs=30
  python -m experiments.compare --config=configs/cifar10_optimizers.py:reduced \
      --data_dir=DIR --workdir=runs/cifar10

Each optimizer runs every point of its grid with the same seeds, all as lanes of one
compiled program. The point with the best validation accuracy runs again with fresh
seeds, and these runs are reported: a table here; index.html, figures, rows.csv and
results.json in the working directory. The same command again goes on where a stopped
run was, or shows the results of a finished one.

Every line of the config is a flag: --config.KEY=VALUE. A tuple is a grid. Optimizers
and schedules also take what their functions take, --config.optimizers.NAME.ARGUMENT
and --config.schedule.OPTION, lengths of a schedule in epochs.
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
from optlab import data, models, optim, problems, report, results
from optlab.compare import comparison
from optlab.compare.comparison import Contender, Protocol
from optlab.errors import InputError

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

#: What a config of a comparison holds.
KEYS = (
    "title", "note", "data", "augment", "model", "epochs", "batch_size", "tune_seeds",
    "report_seeds", "target_accuracy", "optimizers", "learning_rate", "schedule",
    "published",
)  # fmt: skip

#: Schedule options that a config gives in epochs, and what they are in steps.
EPOCH_OPTIONS = {
    "decay_epochs": "decay_steps",
    "boundary_epochs": "boundaries",
    "window_epochs": "window",
}


def main(given: cli.Given) -> None:
    """Flags and config in, a comparison's results out."""
    config = CONFIG.value
    settings = choose(config, given)
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
    made_with = results.environment(sys.orig_argv)
    with Host(workdir, Console(stderr=True), made_with, TENSORBOARD.value) as host:
        outcome = comparison.compare(dataset, problem, contenders, protocol, host)
    found = results.Results(
        rows=outcome.rows,
        cells=outcome.cells,
        traces=outcome.traces,
        target_accuracy=config.target_accuracy,
        title=title(config.title, given, contenders, dataset.name),
        note=config.note,
        config=json.dumps(settings, indent=2),
        environment=host.environment(),
        published=config.published,
    )
    results.write_csv(workdir / "rows.csv", found.rows)
    results.write_json(workdir / "results.json", found)
    page = report.write(found, workdir)
    report.show(found, console)
    console.print(f"page: {page}", soft_wrap=True)


def choose(config: Any, given: cli.Given) -> dict[str, Any]:
    """The config as plain data, with the optimizers that the command line names.

    Args:
      config: of the file, overridden.
      given: by the command line beside it.

    Returns:
      The settings. An optimizer that the file does not know is tried at
      ``learning_rate``, if it takes one.

    Raises:
      InputError: it is no config of a comparison, or something given has no use.
    """
    if missing := [key for key in KEYS if key not in config]:
        raise InputError(
            f"this config is no comparison's: it has no {missing[0]!r}; "
            "see configs/digits_optimizers.py"
        )
    if not 0 < config.target_accuracy <= 1:
        raise InputError(
            f"target_accuracy={config.target_accuracy} is no share: between 0 and 1"
        )
    settings = cli.with_added(config.to_dict(), given)
    known = settings["optimizers"]
    chosen = {name: dict(known.get(name, {})) for name in given.selection or known}
    for key in given.added:
        name = key.removeprefix("optimizers.").rpartition(".")[0]
        if key.startswith("optimizers.") and name not in chosen:
            raise InputError(f"--config.{key}: {name} is not in --config.optimizers")
    without_grid = [
        name
        for name, entry in chosen.items()
        if name not in config.optimizers
        and "learning_rate" not in entry
        and optim.takes(entry.get("optimizer", name), "learning_rate")
    ]
    for name in without_grid:
        chosen[name]["learning_rate"] = config.learning_rate
    if "learning_rate" in given.keys and not without_grid:
        raise InputError(
            "--config.learning_rate is for optimizers that the config has no grid of; "
            f"set --config.optimizers.{next(iter(chosen), 'NAME')}.learning_rate"
        )
    return {**settings, "optimizers": chosen}


def title(
    written: str, given: cli.Given, contenders: Sequence[Contender], dataset: str
) -> str:
    """The config's title, or a plain one where the command line made it untrue.

    Args:
      written: in the config.
      given: by the command line.
      contenders: that run.
      dataset: its name.

    Returns:
      The title.

    >>> title("Adam on digits", cli.Given(keys=frozenset(["data.name"])), (), "mnist")
    '0 optimizers on mnist'
    """
    about = ("optimizers", "data.name")
    changed = given.selection or any(key.startswith(about) for key in given.keys)
    if "title" in given.keys or not changed:
        return written
    labels = [contender.label for contender in contenders]
    names = " and ".join([", ".join(labels[:-1]), *labels[-1:]]).removeprefix(" and ")
    count = f"{len(labels)} optimizers"
    return f"{names if 0 < len(labels) < 5 else count} on {dataset}"


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


def _contender(label: str, entry: dict, settings: Mapping[str, Any]) -> Contender:
    name = entry.pop("optimizer", label)
    fixed, points = grids.split(label, entry)
    options = dict(settings["schedule"])
    schedule = options.pop("name")

    def optimizer(hyperparameters: Mapping[str, Any], steps_per_epoch: int):
        return optax.chain(
            optim.make(name, **fixed, **hyperparameters),
            _scheduled(schedule, options, steps_per_epoch),
        )

    return Contender(label.rpartition(".")[2], optimizer, points)


def _scheduled(
    name: str, options: Mapping[str, Any], steps_per_epoch: int
) -> optax.GradientTransformation:
    try:
        return optim.schedules.make(name, **_in_steps(options, steps_per_epoch))
    except InputError as error:
        text = str(error)
        for in_epochs, in_steps in EPOCH_OPTIONS.items():
            text = text.replace(f"'{in_steps}'", f"'{in_epochs}'")
        raise InputError(f"schedule: {text}") from error


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
    cli.run(
        main,
        "stopped; the same command goes on from the last saved epoch, if one was saved",
    )
