"""Any value of any key of any config: one line, or it runs; never a traceback.

Each experiment is driven as its command line drives it, in a process of its own, up to
the moment where it claims its folder and compiles.
"""

import pathlib
import subprocess
import sys

import pytest

from optlab.testproblems import nist

ROOT = pathlib.Path(__file__).parents[2]

DRIVE = r"""
import importlib, sys, types, warnings
import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

experiment, config, *words = sys.argv[1:]
sys.argv = [experiment, f"--config={config}"]
warnings.simplefilter("ignore")
module = importlib.import_module(f"experiments.{experiment}")
from absl import flags
from experiments import overrides, workdir
from experiments.studies import nist, small_nets
from experiments.studies import convergence
from optlab.compare import recipe
from optlab.errors import InputError

flags.FLAGS([word for word in [experiment, *words] if not word.startswith("--config.")])
words = [word for word in words if word.startswith("--config.")]


class Compiles(Exception):
    pass


def compiles(*_):
    raise Compiles


for place in (module, workdir, small_nets, convergence):
    place.claim = compiles
nist.compile_fit = compiles
loaded = {}
load_dataset = recipe.load_dataset


def load_once(settings, *more):
    key = repr(settings["data"])
    if key not in loaded:
        loaded[key] = load_dataset(settings, *more)
    return loaded[key]


recipe.load_dataset = load_once
known = recipe.flatten(overrides.read_config(config).to_dict())
more = [word.partition("=")[0].removeprefix("--config.") for word in words]
keys = sorted({*known, *more, "optimizers.adam.b1", "model.new", "data.size"})
leaves = (
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats() | st.just(1j)
    | st.text("a$[]{<\n", max_size=3) | st.just("digits") | st.just(10**400)
)
values = st.recursive(
    leaves,
    lambda x: st.lists(x, max_size=2).map(tuple)
    | st.lists(x, max_size=2)
    | st.dictionaries(st.text("ab", max_size=2), x, max_size=1),
    max_leaves=4,
)


@settings(
    max_examples=80, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
)
@given(st.sampled_from(keys), values.map(repr) | st.text("abc-1.,()", max_size=6))
def drive(key, text):
    sys.argv = [experiment, f"--config={config}", *words, f"--config.{key}={text}"]
    module.CONFIG = types.SimpleNamespace(value=overrides.read_config(config))
    try:
        module.main(overrides.take(sys.argv, known)[0])
    except (Compiles, InputError) as error:
        assert not str(error).count("\n\n"), error


drive()
"""

SMALL = ("--config.epochs=2", "--config.model.hidden=(3,)")
COMMANDS = {
    "digits": (
        "compare", "configs/digits_optimizers.py", "--config.optimizers=adam",
        "--config.model.name=mlp", *SMALL, "--config.schedule.name=cosine",
        "--config.schedule.decay_epochs=3", "--config.augment=noise",
        "--config.augment.noise.std=0.1", "--config.loss.label_smoothing=0.1",
    ),
    "optax": (
        "compare", "configs/digits_optimizers.py", "--config.optimizers=lbfgs",
        "--config.optimizers.lbfgs.memory_size=3", "--config.model.name=mlp", *SMALL,
    ),
    "regression": ("compare", "configs/regression.py", *SMALL),
    "second_order": (
        "compare", "configs/digits_second_order.py",
        "--config.optimizers=levenberg_marquardt", *SMALL,
    ),
    "nist": ("solve", "configs/nist.py", "--config.problems=('Misra1a',)"),
    "small_nets": (
        "solve", "configs/small_nets.py", "--config.nets=xor", "--config.starts=2",
    ),
    "convergence": ("solve", "configs/convergence.py", "--config.optimizers=newton"),
    "paths": ("solve", "configs/paths.py"),
    "vanishing": ("solve", "configs/vanishing.py"),
    "compress": (
        "compress", "configs/compress.py", "--config.model.hidden=(4,)",
        "--config.data.examples=200",
    ),
    "filters": ("filters", "configs/compress_filters.py"),
    "gallery": ("gallery", "configs/gallery.py"),
    "bench": ("bench", "configs/bench.py"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_any_value_is_one_line_or_runs(name, tmp_path, a_core_a_device):
    if name == "nist" and not nist.directory().is_dir():
        pytest.skip("no NIST .dat files; set OPTLAB_NIST_DIR")
    run = subprocess.run(
        [sys.executable, "-c", DRIVE, *COMMANDS[name]],
        cwd=ROOT,
        env=a_core_a_device | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-3000:]
