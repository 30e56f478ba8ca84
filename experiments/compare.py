r"""Compares recipes on a problem: tuned on validation, reported on test.

  python -m experiments.compare
  python -m experiments.compare --config.batch_size=512 --config.epochs=10
  python -m experiments.compare --config.optimizers=adam,lion,mypackage.mymodule.mine
  python -m experiments.compare --config.optimizers.adam.learning_rate="(1e-3,1e-2)"
  python -m experiments.compare --config.model.dropout="(0.0,0.2,0.5)"
  python -m experiments.compare --config.schedule.name=cosine \
      --config.schedule.decay_epochs=30
  python -m experiments.compare --config=configs/two_recipes.py
  python -m experiments.compare --config=configs/regression.py
  python -m experiments.compare --config=configs/cifar10_optimizers.py:reduced \
      --data_dir=DIR --workdir=runs/cifar10

A contender is a whole recipe: data, augmentation, net, loss, optimizer, schedule, batch
size. config.contenders names each with what it changes in the config;
config.optimizers is the short form for contenders that differ in their optimizer.

A tuple is swept. Numbers run as lanes of one compiled program; names, shapes and batch
sizes become contenders of their own. Each contender runs every point, which is one
choice of its swept numbers, with the same seeds. The point with the best validation
figure runs again with fresh seeds, and these runs are reported: a table is printed;
index.html, figures, rows.csv, results.json and the trained nets go into the working
directory. The same command again goes on where a stopped run was, or shows the results
of a finished one.

One run over several processes or machines: start the same command in each, with
--coordinator_address=HOST:PORT of process 0, --num_processes and --process_id; on
SLURM, Open MPI, Kubernetes and TPU pods JAX finds these out. Lanes are spread over all
devices; process 0 alone writes. One that dies stops the others; the same command, with
as many processes as you like, goes on. --parallel=data spreads each batch instead.

config.stop ends a run before its last epoch: --config.stop.patience=5 (epochs without a
new least validation loss), target (of the deciding metric on validation),
gradient_norm or weight_change; the first rule that is met counts.

config.claims says beforehand what is claimed of contenders; table and page say in words
whether it held. See optlab.results.claims.

Every line of the config is a flag: --config.KEY=VALUE. Parts also take what their
functions take: --config.optimizers.NAME.ARGUMENT, --config.model.OPTION,
--config.schedule.OPTION (lengths in epochs), --config.augment=flip,crop. A part of
yours is named by its dotted path: --config.model.name=mypackage.MyNet.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging
from rich.console import Console

from experiments import cli, overrides, processes
from experiments.recorder import Recorder, check_names
from experiments.workdir import claim
from optlab import compare, optim, ranges, report, results
from optlab.compare import Contender, Protocol, Search, recipe
from optlab.errors import InputError, check_choice
from optlab.problems import Metric
from optlab.report.tables import conclusions
from optlab.results import claims

CONFIG = cli.define_config("configs/digits_optimizers.py")
flags.declare_key_flag("config")
flags.declare_key_flag("data_dir")
flags.declare_key_flag("workdir")
DOWNLOAD = flags.DEFINE_bool("download", False, "Prepare a missing data set first.")
PARALLEL = flags.DEFINE_string(
    "parallel",
    "jit",
    "jit: lanes over devices, then batches; data, or pmap: batches over all devices.",
)
WIDTH = flags.DEFINE_integer(
    "width",
    None,
    "Lanes to run at a time; by default the fastest of a short trial at the start.",
)
TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Write event files too.")

#: Keys of a comparison's config beside those of a recipe.
KEYS = (
    "title", "note", "tune_seeds", "report_seeds", "target", "search", "points",
    "optimizers", "learning_rate", "contenders", "claims", "published",
)  # fmt: skip


def main(given: overrides.Given) -> None:
    """Flags and config in, a comparison's results out."""
    settings = choose(overrides.settings(CONFIG.value, given), given)
    protocol = Protocol(
        tune_seeds=settings["tune_seeds"],
        report_seeds=settings["report_seeds"],
        parallel=PARALLEL.value,
        width=WIDTH.value,
    )
    contenders = compare.make_contenders(
        {key: settings[key] for key in recipe.KEYS},
        recipe.overrides(settings),
        lambda settings: recipe.load_dataset(
            settings, cli.DATA_DIR.value, DOWNLOAD.value
        ),
        Search(settings["search"], settings["points"]),
    )
    compare.check(contenders, protocol)
    metrics = compare.metrics_of(contenders)
    # A claim may name a contender of the file that the command line leaves out.
    names = [contender.name for contender in contenders]
    names += recipe.overrides(CONFIG.value.to_dict())
    claims.check(settings["claims"], {*names}, metrics, settings["target"])
    check_report(settings, metrics)
    check_names([contender.label for contender in contenders])

    processes.require_same([settings, PARALLEL.value, WIDTH.value])
    if not processes.leads():
        compare.compare(contenders, protocol, compare.Together(compare.Observer()))
        return
    console = Console()
    workdir = claim(cli.WORKDIR.value, "compare", settings)
    cautions = compare.cautions(contenders)
    for caution in cautions:
        logging.warning("%s", caution)
    recorder = Recorder(
        workdir,
        Console(stderr=True),
        results.environment(sys.orig_argv),
        cli.DATA_DIR.value,
        TENSORBOARD.value,
    )
    with recorder:
        entries = compare.compare(contenders, protocol, compare.Together(recorder))
    found = results.Results(
        entries=entries,
        metrics=metrics,
        target=settings["target"],
        title=title(settings, given, contenders),
        note=" ".join(filter(None, (settings["note"], *cautions))),
        config=json.dumps(settings, indent=2),
        environment=recorder.environment(),
        published=settings["published"],
        claims=settings["claims"],
        constants=recorder.constants(entries),
    )
    said = conclusions(found)
    results.write_json(workdir / "results.json", found, said)
    page = report.write(found, workdir)
    report.show(found, console)
    console.print(f"page: {page}", soft_wrap=True, markup=False, highlight=False)


def choose(settings: dict[str, Any], given: overrides.Given) -> dict[str, Any]:
    """Completes the optimizers of a config.

    Args:
      settings: config as nested plain data, the command line applied.
      given: overrides of the command line.

    Returns:
      The settings. An optimizer that the file does not know is tried at
      ``learning_rate``, if it takes one.

    Raises:
      InputError: it is no config of a comparison, or something given has no use.
    """
    if missing := [key for key in (*recipe.KEYS, *KEYS) if key not in settings]:
        raise InputError(
            f"this config is no comparison's: it has no {missing[0]!r}; "
            "see configs/digits_optimizers.py"
        )
    known = CONFIG.value.optimizers
    chosen = {name: dict(entry) for name, entry in settings["optimizers"].items()}
    without_grid = [
        name
        for name, entry in chosen.items()
        if name not in known
        and "learning_rate" not in entry
        and optim.takes(entry.get("optimizer", name), "learning_rate")
    ]
    for name in without_grid:
        chosen[name]["learning_rate"] = settings["learning_rate"]
    if "learning_rate" in given.changes and not without_grid:
        raise InputError(
            "--config.learning_rate is for optimizers that the config has no grid of; "
            f"set --config.optimizers.{next(iter(chosen), 'NAME')}.learning_rate"
        )
    return {**settings, "optimizers": chosen}


def check_report(settings: Mapping[str, Any], metrics: Sequence[Metric]) -> None:
    """Refuses what is only read once all is trained: texts, target, published figures.

    Args:
      settings: config as nested plain data.
      metrics: metrics of the comparison; the first one decides.

    Raises:
      InputError: a value is of another type, a target cannot be reached, or a figure
        has no such name.
    """
    declared = {"title": ranges.TEXT, "note": ranges.TEXT}
    if settings["target"] is not None:
        declared["target"] = ranges.FINITE
    ranges.check("this config", declared, {key: settings[key] for key in declared})
    if settings["target"] is not None:
        metrics[0].check_target("target", settings["target"])
    losses = "train_loss", "validation_loss", "seconds"
    figures_known = [*(f"test_{metric.name}" for metric in metrics), *losses]
    published = settings["published"]
    if not isinstance(published, tuple | list):
        raise InputError(
            f"published must be a tuple of figures, not {ranges.shown(published)}"
        )
    for figures in published:
        if not isinstance(figures, Mapping) or "contender" not in figures:
            raise InputError(
                "each of the published figures is a mapping with 'contender', a label, "
                f"and not {ranges.shown(figures)}"
            )
        texts = {"contender": ranges.TEXT, "source": ranges.TEXT}
        for name in {*figures} - {*texts}:
            check_choice("published figure", name, figures_known)
        numbers = dict.fromkeys(figures_known, ranges.FINITE)
        ranges.check("published", texts | numbers, figures)


def title(
    settings: dict[str, Any], given: overrides.Given, contenders: Sequence[Contender]
) -> str:
    """Names the comparison by its config, or plainly where that became untrue.

    Args:
      settings: config as nested plain data.
      given: overrides of the command line.
      contenders: recipes that run.

    Returns:
      The title.
    """
    about = "optimizers", "contenders", "data.name"
    if given.about("title") or not given.about(*about):
        return settings["title"]
    labels = list(dict.fromkeys(contender.name for contender in contenders))
    names = " and ".join([", ".join(labels[:-1]), *labels[-1:]]).removeprefix(" and ")
    datasets = " and ".join(dict.fromkeys(c.task.dataset.name for c in contenders))
    return f"{names if len(labels) < 5 else f'{len(labels)} contenders'} on {datasets}"


if __name__ == "__main__":
    cli.run(
        processes.together(main, "the same command goes on from the last saved epoch"),
        "stopped; the same command goes on from the last saved epoch, if one was saved",
    )
