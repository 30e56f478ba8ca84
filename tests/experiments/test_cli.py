"""The command line: bad input is one clear line, before any compile or file."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

#: Words to the line that they are answered with.
BAD_INPUT = {
    # Typing mistakes
    "--config.optimizers=adma": "no optimizer 'adma'; did you mean .*adam",
    "--config.data.name=mnst": r"'mnst'; did you mean .*\bmnist",
    "--config.model.name=cn": r"no model 'cn'; did you mean .*cnn",
    "--config.epoch=3": r"unknown config key 'epoch'; did you mean epochs\?",
    "--config.optimizers.adam.lr=1.": "adam got an unexpected .*'lr'; it takes learn",
    "--config.optimizers.adma.b1=1.": "adma is not in --config.optim",
    "--config.optimizers=adam --config.optimizers.lion.b1=0.5": "lion is not in "
    "--config.optimizers",
    "--config.optimizers=adam --config.learning_rate=(0.1,)": "has no grid of; set "
    "--config.optimizers.adam.learning_rate",
    "--config.schedule.name=cosine": "schedule: .*'decay_epochs'",
    "--config.schedule.decay=3": "schedule: .*'decay'",
    "--config.model.dense=(32,32)": "model.dense=.* has a value twice",
    "--config.batch_size=(64,64)": r"batch_size=\(64, 64\) has a value twice",
    "--config.optimizers.adam.learning_rate=()": "learning_rate=.* is empty",
    "--config.optimizers.adam.learning_rate=(-1e-3,)": "at least 0, not -0.001",
    "--config.optimizers.adam.learning_rate=(1e999,)": "must be finite .* not inf",
    "--config.optimizers.adam.learning_rate=('a',)": "learning_rate must be a number",
    "--config.optimizers.adam.learning_rate=(nan,)": "is not a tuple",
    "--config.batch_size=5000": "batch_size=5000 does not fit .* holds 1150 examples",
    "--config.batch_size=(64,5000)": "batch_size=5000 does not fit",
    "--workdir={tmp}/other": "other experiment's results .it differs in title",
    "--config.data.name=mnist --data_dir={tmp}": "'mnist' is not prepared in {tmp}",
    # Contenders
    "--config.contenders=a": "no contender 'a'",
    "--config.contenders.a.epochs=1": "a is not in --config.contenders",
    "--config=configs/two_recipes.py --config.contenders=relu,sigmid": "no contender "
    "'sigmid'; did you mean sigmoid",
    "--config=configs/two_recipes.py --config.contenders.relu.modle.x=1": "overrides "
    "'modle', which is no key of a recipe; did you mean model",
    "--config=configs/two_recipes.py --config.optimizers=relu": "no optimizer 'relu'",
    "--config.published=5": "published must be a tuple of figures, not 5",
    "--config.published=(5,)": "figures is a mapping with 'contender', .* not 5",
    "--config.target=abc": "target=abc is not a number",
    "--config.target=95": "target=95: accuracy is a share from 0 to 1, 0.95 for 95%",
    "--config.stop.target=2": r"stop.target=2: accuracy is a share from 0 to 1",
    "--config.published=({'contender':'adam','test_acuracy':1},)": "no published "
    "figure 'test_acuracy'; did you mean test_accuracy",
    "--config.optimisers=adam": "unknown config key 'optimisers'; did you mean opti"
    "mizers",
    "--config.optimizers=lion --config.optimizers.lion.weight_decay=abc": "weight_dec"
    "ay must be a number or a schedule, not 'abc'",
    "--config.optimizers=lbfgs --config.optimizers.lbfgs.memory_size=-1": "lbfgs .*"
    "memory_size",
    "--config.optimizers=levenberg_marquardt --config.optimizers.levenberg_marquardt"
    ".geodesic=maybe": "geodesic must be True or False, not 'maybe'",
    "--config.model.features=(16,'a')": "features",
    "--config.schedule.name=cosine --config.schedule.decay_epochs=abc": "decay_epochs "
    "must be a number, not 'abc'",
    "--config.schedule.name=cosine --config.schedule.decay_epochs=None": "decay_epochs "
    "must be a number, not None",
    "--config.metric=recall": "no metric 'recall'; known: accuracy, loss",
    "--config.problem=regression": "floating-point",
    "--config.problem=clasification": "no kind of problem .* did you mean classif",
    "--config.search=halton": "search='halton' needs points",
    "--config.search=halton --config.points=4": "learning_rate=.* is no range",
    "--config.points=4": "a grid has its own",
    "--config.data.name=diabetes": "has no classes: its problem is 'regression'",
    # Numbers that mean nothing
    "--config.epochs=0": "epochs=0 must be a whole number of 1 or more",
    "--config.data.nam": "write --config.data.nam=VALUE",
    "--config.model=cnn": "is a section: set --config.model.NAME",
    "--config.epochs=True": "is not a number",
    "--config=configs": "no config file 'configs'",
    "--config.epochs=abc": "--config.epochs=abc is not a number",
    "--config.batch_size=()": "is not a number",
    "--config.tune_seeds=0": "tune_seeds=0 must be",
    "--config.data.examples=1": "examples=1: digits has 1438",
    "--width=0": "width must be 1 or more: 0",
    # Names that are not there
    "--config.optimizers=no.such.optimizer": "no module 'no' for optimizer",
    "--config.optimizers=": "--config.optimizers= leaves out a name",
    "--config.augment=flp": r"no augmentation 'flp'; did you mean flip\?",
    "--config.loss.name=hinge": "no loss 'hinge'",
    "--config.schedule.name=cosin": r"no schedule 'cosin'; did you mean cosine\?",
    "--parallel=pmap --config.optimizers=bfgs": "evaluates the objective",
    "--config.optimizers=adam,adam": "adam,adam names one twice",
    "--config.model.dropout=2.": "dropout must be at least 0 and less than 1, not 2.0",
    "--parallel=pmpa": "'pmpa': choose from jit, data, pmap",
    "--workdr=x": "Unknown command line flag 'workdr'. Did you mean: workdir",
    "adam": "unexpected word 'adam': every option begins with --",
    # Configs that are not there
    "--config=nofile.py": "no config file 'nofile.py': name a file",
    "--config=configs/nist.py": "is no comparison's: it has no '.*'",
    "--workdir=": "--workdir= is empty: name a folder, or leave it out",
    "--workdir=README.md/x": "--workdir=README.md/x cannot be written: Not a dir",
    "--config=experiments/sizes.py": "'experiments/sizes.py' defines no get_config",
    "--config=configs/cifar10_optimizers.py:tiny": "no variant 'tiny'; "
    "known: full, reduced",
    "--config=configs/digits_optimizers.py:tiny": "has no variants: leave out :tiny",
}


def test_bad_input_is_one_line_and_leaves_nothing(run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"title": "another experiment"}')
    before = sorted(ROOT.glob("runs/*"))
    there = str(tmp_path)

    def command(words):
        words = words.replace("{tmp}", there).split()
        claimed = any(word.startswith("--workdir") for word in words)
        return words if claimed else [*words, f"--workdir={there}/new"]

    wrong = []
    for words, expected in BAD_INPUT.items():
        found = run("experiments.compare", *command(words))
        line = rf"error: .*{expected.replace('{tmp}', re.escape(there))}.*\n"
        if (
            found.returncode != 1
            or found.stdout
            or not re.fullmatch(line, found.stderr)
        ):
            wrong.append({words: found})
    assert not wrong
    assert not (tmp_path / "new").exists()
    assert [file.name for file in other.iterdir()] == ["config.json"]
    assert sorted(ROOT.glob("runs/*")) == before


def test_an_override_may_stand_before_the_config(refused):
    words = "--config.title=2026", "--config.problems=bale", "--config=configs/paths.py"
    for order in (words, words[::-1]):
        refused("experiments.solve", order, "no problem 'bale'; did you mean beale")


@pytest.mark.parametrize(
    ("module", "word"),
    [("shapes", "config"), ("shapes", "config.side"), ("bench", "data_dir")],
)
def test_a_flag_of_other_experiments_is_unknown(refused, module, word):
    message = f"error: Unknown command line flag '{word}'"
    refused(f"experiments.{module}", (f"--{word}=1",), message)


def test_every_core_is_a_device_unless_the_user_says_how_many(a_core_a_device):
    count = (
        "import jax; from experiments import cli; from optlab import machine; "
        "cli.use_cores(); print(len(jax.devices()), machine.cores())"
    )

    def devices(**environment):
        clean = a_core_a_device | environment
        command = [sys.executable, "-c", count]
        words = subprocess.check_output(command, env=clean, text=True).split()
        return tuple(map(int, words))

    found, cores = devices()
    assert found == cores
    assert devices(JAX_NUM_CPU_DEVICES="3")[0] == 3
    flag = "--xla_force_host_platform_device_count=5"
    assert devices(XLA_FLAGS=flag)[0] == 5


def test_ctrl_c_comes_again_where_python_would_drop_it():
    """Errors of a callback of the garbage collector are printed and forgotten."""
    script = """
import gc, signal, time
from experiments import cli

def _xla_gc_callback(phase, info):
    signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, cli._interrupt)
gc.callbacks.append(_xla_gc_callback)
try:
    gc.collect()
    gc.callbacks.clear()
    time.sleep(20)
except KeyboardInterrupt:
    print("stopped")
"""
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("stopped\n", "")
