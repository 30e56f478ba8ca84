"""Tables on the terminal, printed by rich."""

import itertools
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from optlab.report.tables import (
    Table,
    budget_line,
    claims_table,
    difference_table,
    published_table,
    summary_table,
)
from optlab.results import Results


def show(results: Results, console: Console | None = None) -> None:
    """Prints the tables of a comparison.

    Args:
      results: a whole comparison.
      console: console to print on; standard output by default.
    """
    console = console or Console()
    console.print(Text(results.title, style="bold"))
    if results.note:
        console.print(Text(results.note, style="yellow"))
    for table in (
        summary_table(results),
        difference_table(results),
        published_table(results),
        claims_table(results),
    ):
        if table is not None:
            console.print()
            show_table(table, console)
    console.print()
    console.print(Text(budget_line(results)))


def show_table(table: Table, console: Console) -> None:
    """Prints one table without cutting a word or a number.

    Text columns wrap between words. A table that is still too wide is printed in parts
    below one another, each with the first column.

    Args:
      table: table to print.
      console: console to print on.
    """
    console.print(Text(table.title, style="bold"))
    gap = 3 if console.width >= 100 else 1
    parts = _parts(table, console.width, gap)
    if len(parts) > 1:
        gap, parts = 1, _parts(table, console.width, gap=1)
    for columns in parts:
        if columns is not parts[0]:
            console.print()
        widths = _widths(table, columns, console.width, gap)
        console.print(_rich(table, widths, gap, rows=None))
        blocks = zip(table.rows, table.groups, strict=True)
        for group, rows in itertools.groupby(blocks, key=lambda block: block[1]):
            if group:  # not in a row: it may be wider than the first column
                console.print(Text(group, style="bold cyan"))
            console.print(_rich(table, widths, gap, [row for row, _ in rows]))
    for note in table.notes:
        console.print(Text(note))


def _rich(
    table: Table,
    widths: Mapping[int, int],
    gap: int,
    rows: Sequence[tuple[str, ...]] | None,
) -> RichTable:
    """Makes rich's table of some columns and rows; the header where rows is None."""
    rich = RichTable(
        box=box.SIMPLE_HEAD,
        show_header=rows is None,
        show_edge=False,
        padding=(0, gap // 2),
        header_style="dim",
    )
    for column, width in widths.items():
        rich.add_column(
            Text(table.columns[column]),
            justify="left" if table.align[column] == "l" else "right",
            width=width,
            overflow="fold",  # an ellipsis would hide a name
            vertical="top",
        )
    for row in rows or ():
        rich.add_row(*(Text(row[column]) for column in widths))
    return rich


def _parts(table: Table, width: int, gap: int) -> list[list[int]]:
    """Splits the columns into parts that fit into ``width``, ``gap`` apart."""
    first = _least_width(table, 0)
    parts, taken = [[0]], first
    for column in range(1, len(table.columns)):
        more = gap + _least_width(table, column)
        if taken + more > width - gap + 1 and len(parts[-1]) > 1:
            parts.append([0])
            taken = first
        parts[-1].append(column)
        taken += more
    return parts


def _widths(
    table: Table, columns: Sequence[int], width: int, gap: int
) -> dict[int, int]:
    """Computes the width of each column: its longest line, less where text wraps."""
    widths = {column: max(map(len, _lines(table, column))) for column in columns}
    # Guard: rich itself would shrink the widest column, numbers included.
    over = sum(widths.values()) + gap * len(widths) - 1 - width
    for column in reversed(columns):
        less = min(max(over, 0), widths[column] - _least_width(table, column))
        widths[column] -= less
        over -= less
    return widths


def _least_width(table: Table, column: int) -> int:
    """Length of the longest word of a text column, of the longest line of others."""
    lines = _lines(table, column)
    if table.align[column] == "l":
        lines = [word for line in lines for word in line.split(" ")]
    return max(map(len, lines))


def _lines(table: Table, column: int) -> list[str]:
    cells = [table.columns[column], *(row[column] for row in table.rows)]
    return [line for cell in cells for line in cell.split("\n")]
