"""The side effects of a study: its folder of data, its results, its console.

Of several processes process 0 alone has them; the others compute with it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import Progress

from experiments import workdir
from optlab.report import Section, Table, show_table


class Context(NamedTuple):
    """Folders of a study, and the console that prints its tables."""

    name: str  # name of the study
    data_dir: str | None  # as the user gave it
    workdir: str | None  # as the user gave it
    console: Console
    leads: bool = True  # whether this process prints and writes

    def claim(self, settings: Mapping[str, Any]) -> Path | None:
        """Reserves the working directory; see `workdir.claim`.

        Returns None in a process that does not write.
        """
        return workdir.claim(self.workdir, self.name, settings) if self.leads else None

    def progress(self) -> Progress:
        """Makes a progress bar on standard error, hidden where nothing is printed."""
        console = Console(stderr=True)
        return Progress(console=console, transient=True, disable=not self.leads)

    def show(self, table: Table) -> None:
        """Prints a table and an empty line."""
        if self.leads:
            show_table(table, self.console)
            self.console.print()

    def write(
        self,
        folder: Path | None,
        settings: Mapping[str, Any],
        content: Mapping[str, Any],
        sections: Sequence[Section],
        lead: Sequence[str],
    ) -> None:
        """Writes ``results.json`` and the page to `claim`'s folder; see `workdir`.

        ``lead`` has the paragraphs before the first section.
        """
        if folder is not None:
            title = settings["title"]
            workdir.write_results(folder, title, settings, content, sections, lead=lead)
