"""Minimizes problems by one method after another, until a criterion holds.

  python -m experiments.solve --data_dir=DIR
  python -m experiments.solve --config=configs/small_nets.py --data_dir=DIR
  python -m experiments.solve --config=configs/convergence.py
  python -m experiments.solve --config=configs/paths.py
  python -m experiments.solve --config.optimizers=levenberg_marquardt,bfgs

The config names the study: NIST's nonlinear regressions (the default, where DIR, or
else $OPTLAB_NIST_DIR, or else shared/nist_strd beside this checkout, holds the .dat
files of https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml), small nets (where DIR
holds tables of numbers), orders of convergence and costs, paths over contours, or
gradients by layer. Tables are printed, and a page is written into the working
directory. Every line of the config is a flag: --config.KEY=VALUE; an optimizer also
takes its other arguments, --config.optimizers.NAME.ARGUMENT=VALUE.

Several processes, started as those of experiments.compare, share out the starts and
rates of small nets, and the methods or nets of the other studies; convergence alone,
which measures times, runs in each of them alike.
"""

from absl import flags
from rich.console import Console

from experiments import cli, overrides, processes, sizes
from experiments.studies import STUDIES
from experiments.studies.context import Context
from optlab.errors import InputError, near

CONFIG = cli.define_config("configs/nist.py")
flags.declare_key_flag("config")
flags.declare_key_flag("data_dir")
flags.declare_key_flag("workdir")

#: Sections of a config whose numbers may be swept, and so are no sizes.
SWEPT = ("optimizers", "learning_rate")


def main(given: overrides.Given) -> None:
    """Runs the study of a config."""
    settings, defaults = overrides.settings(CONFIG.value, given), CONFIG.value.to_dict()
    study = settings.get("study", "")
    if study not in STUDIES:
        raise InputError(
            f"this config is none of experiments.solve (study={study!r}; "
            f"{near(study, STUDIES)}); python -m experiments.compare may take it"
        )
    checked = {key: value for key, value in settings.items() if key not in SWEPT}
    sizes.check(checked, defaults)
    processes.require_same(settings)
    leads = processes.leads()
    context = Context(study, cli.DATA_DIR.value, cli.WORKDIR.value, Console(), leads)
    STUDIES[study](settings, context)


if __name__ == "__main__":
    cli.run(processes.together(main))
