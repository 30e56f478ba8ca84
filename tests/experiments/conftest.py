"""What the experiments' command lines have in common."""

import subprocess
import sys

import pytest


@pytest.fixture
def refused(tmp_path):
    """A function that checks that a mistake ends in one line and leaves no folder."""

    def check(module, arguments, message):
        folder = tmp_path / "out"
        command = [sys.executable, "-m", module, *arguments, f"--workdir={folder}"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        assert found.returncode == 1
        assert found.stderr.startswith("error: ")
        assert message in found.stderr
        assert found.stderr.count("\n") == 1
        assert not folder.exists()

    return check
