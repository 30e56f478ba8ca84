"""Who may import whom: the contracts in pyproject.toml hold."""

import pathlib

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = pathlib.Path(__file__).parents[1]


def test_imports_keep_to_the_contracts(capsys):
    status = lint_imports(str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out
