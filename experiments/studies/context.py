"""The side effects of a study: its folder of data, its results, its console."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from experiments import workdir
from optlab.report import Section, Table, show_table


class Context(NamedTuple):
    """Folders of a study, and the console that prints its tables."""

    name: str  # name of the study
    data_dir: str | None  # as the user gave it
    workdir: str | None  # as the user gave it
    console: Console

    def claim(self, settings: Any) -> Path:
        """Reserves the study's working directory; see `workdir.claim`.

        Args:
          settings: config as nested plain data, the command line applied.

        Returns:
          The folder.
        """
        return workdir.claim(self.workdir, self.name, settings)

    def show(self, table: Table) -> None:
        """Prints a table and an empty line.

        Args:
          table: table to print.
        """
        show_table(table, self.console)
        self.console.print()

    def write(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        content: Mapping[str, Any],
        sections: Sequence[Section],
        lead: Sequence[str],
    ) -> None:
        """Writes results and page, and prints the path of the page.

        Args:
          folder: working directory from `claim`.
          settings: config with the page's ``title``.
          content: results for ``results.json``.
          sections: sections of the page.
          lead: paragraphs before the first section.
        """
        title = settings["title"]
        page = workdir.write_results(
            folder, title, settings, content, sections, lead=lead
        )
        self.console.print(f"page: {page}", soft_wrap=True, markup=False)
