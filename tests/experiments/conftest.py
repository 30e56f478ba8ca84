"""What the experiments' command lines have in common."""

import itertools
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

# Imports once what the experiments import, then forks for each command line that it
# reads: a command need not import it again. (It forks before JAX has started a thread.)
FORK = """
import gc, json, os, runpy, sys, warnings
import matplotlib.figure, ml_collections.config_flags, rich.progress
import sklearn.datasets, tensorflow_datasets
from experiments import cli
from optlab import backprop, compare, compress, data, models, report, testproblems
from optlab.results import checkpoint
warnings.simplefilter("ignore")  # about forks
gc.freeze()  # a child that looks through all of this at its end takes half a second

def child(module, words, environment, folder):
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY), descriptor)
    os.environ.update(environment)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)

for line in sys.stdin:
    *command, folder = json.loads(line)
    os.makedirs(folder)
    if not (pid := os.fork()):
        child(*command, folder)
        sys.exit()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    texts = [open(f"{folder}/{name}").read() for name in ("out", "err")]
    print(json.dumps([code, *texts]), flush=True)
"""


@pytest.fixture(scope="session")
def run(tmp_path_factory, a_core_a_device):
    """A function that runs ``python -m MODULE WORDS``, in a fork as ``FORK`` says."""
    folder = tmp_path_factory.mktemp("commands")
    process = subprocess.Popen(
        [sys.executable, "-c", FORK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=a_core_a_device,
    )
    number = itertools.count()

    def run(module, *words, **environment):
        request = [module, words, environment, str(folder / str(next(number)))]
        print(json.dumps(request), file=process.stdin, flush=True)
        code, output, error = json.loads(process.stdout.readline())
        return subprocess.CompletedProcess(words, code, output, error)

    with process:
        yield run
        process.stdin.close()


@pytest.fixture
def refused(run, tmp_path):
    """A function that checks that a mistake ends in one line and leaves no folder."""

    def check(module, words, message, **environment):
        folder = tmp_path / "out"
        found = run(module, *words, f"--workdir={folder}", **environment)
        assert found.returncode == 1
        assert found.stderr.startswith("error: ")
        assert message in found.stderr
        assert found.stderr.count("\n") == 1
        assert not folder.exists()

    return check
