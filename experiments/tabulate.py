"""Tables from rows in which each cell stands beside its header."""

from collections.abc import Mapping, Sequence

from optlab.report import Table


def tabulate(
    title: str,
    rows: Sequence[Mapping[str, str]],
    left: Sequence[str],
    notes: Sequence[str] = (),
    groups: Sequence[str] = (),
) -> Table:
    """Makes a table of rows that map a header to a cell.

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
    return Table(
        title=title,
        columns=columns,
        align="".join("l" if column in left else "r" for column in columns),
        rows=tuple(tuple(row.values()) for row in rows),
        groups=tuple(groups) or ("",) * len(rows),
        notes=tuple(notes),
    )
