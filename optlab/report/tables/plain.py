"""One plain form of all tables, for the terminal and the page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Table(NamedTuple):
    """Text in rows and columns, independent of how it is shown."""

    title: str
    columns: tuple[str, ...]  # headers; a newline breaks a long one
    align: str  # "l" or "r" for each column
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]  # of each row; a new one starts a block with that header
    notes: tuple[str, ...] = ()


def tabulate(
    title: str,
    rows: Sequence[Mapping[str, str]],
    left: Sequence[str],
    notes: Iterable[str] = (),
    groups: Iterable[str] = (),
) -> Table:
    """Makes a table of rows in which each cell stands beside its header.

    Args:
      title: title of the table.
      rows: one row or more, all with the same headers in the same order.
      left: headers of the columns with text, which are aligned left.
      notes: remarks below the table.
      groups: heading of each row's block; empty for a table without blocks.

    Returns:
      The table.

    >>> rows = [{"net": "a", "n": "1"}, {"net": "b", "n": "2"}]
    >>> table = tabulate("Sizes", rows, left=["net"])
    >>> table.columns, table.align, table.rows
    (('net', 'n'), 'lr', (('a', '1'), ('b', '2')))
    """
    columns = tuple(rows[0])
    align = "".join("l" if column in left else "r" for column in columns)
    cells = tuple(tuple(row.values()) for row in rows)
    return Table(title, columns, align, cells, tuple(groups) or ("",) * len(rows),
                 tuple(notes))  # fmt: skip
