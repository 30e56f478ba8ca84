"""Tables on the terminal, printed by rich; those of a comparison together."""

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from optlab.report.tables import (
    Table,
    budget_line,
    difference_table,
    published_table,
    summary_table,
)
from optlab.results import Results


def show(results: Results, console: Console | None = None) -> None:
    """Prints the tables of a comparison.

    Args:
      results: of a whole comparison.
      console: where to print; standard output by default.
    """
    console = console or Console()
    console.print(Text(results.title, style="bold"))
    if results.note:
        console.print(Text(results.note, style="yellow"))
    for table in (
        summary_table(results),
        difference_table(results),
        published_table(results),
    ):
        if table is not None:
            console.print()
            show_table(table, console)
    console.print()
    console.print(Text(budget_line(results)))


def show_table(table: Table, console: Console) -> None:
    """Prints one table.

    Args:
      table: to print.
      console: where to print.
    """
    console.print(Text(table.title, style="bold"))
    rich = RichTable(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1 if console.width >= 100 else 0),
        header_style="dim",
    )
    for header, align in zip(table.columns, table.align, strict=True):
        rich.add_column(
            Text(header),
            justify="left" if align == "l" else "right",
            no_wrap=align == "r",
            overflow="fold",  # a name that is cut off is no name
            vertical="top",
        )
    group = None
    for row, own in zip(table.rows, table.groups, strict=True):
        if own != group and own:
            rich.add_row(Text(own, style="bold cyan"))
            group = own
        rich.add_row(*(Text(cell) for cell in row))
    console.print(rich)
    for note in table.notes:
        console.print(Text(note))
