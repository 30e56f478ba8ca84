"""The side effects of a study: its folder of data, its results, its console."""

from typing import NamedTuple

from rich.console import Console

from optlab.report import Table, show_table


class Context(NamedTuple):
    """Folders of a study, and the console that prints its tables."""

    name: str  # name of the study
    data_dir: str | None  # as the user gave it
    workdir: str | None  # as the user gave it
    console: Console

    def show(self, table: Table) -> None:
        """Prints a table and an empty line.

        Args:
          table: table to print.
        """
        show_table(table, self.console)
        self.console.print()
