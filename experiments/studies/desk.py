"""What a study works at: where its data lie, where its results go, whom it tells."""

from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from experiments import workdir


class Desk(NamedTuple):
    """The edges of a study; the only place where it has side effects."""

    name: str  # of the study
    data_dir: str | None  # as the user gave it
    workdir: str | None  # as the user gave it
    console: Console

    def claim(self, settings: Any) -> Path:
        """The study's working directory, made its own; see ``workdir.claim``.

        Args:
          settings: the config with the user's selection in it, plain nested data.

        Returns:
          The folder.
        """
        return workdir.claim(self.workdir, self.name, settings)
