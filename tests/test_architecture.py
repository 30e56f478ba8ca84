"""Who may import whom: the contracts in pyproject.toml hold."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
# In a process of its own: import-linter takes hold of the terminal for good.
COMMAND = "from importlinter.cli import lint_imports_command as run; run()"


def test_imports_keep_to_the_contracts():
    linted = subprocess.run(
        [sys.executable, "-c", COMMAND, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
