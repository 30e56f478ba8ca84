"""Index page of several experiments: a card each, grouped as a course."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from optlab.report.document import template
from optlab.results import write_atomic

#: Claims of a card that are shown before the reader opens the rest.
SHOWN = 4


class Claimed(NamedTuple):
    """A claim, its verdict, and what was measured, each in words."""

    says: str
    verdict: str
    measured: str


class Card(NamedTuple):
    """One experiment on the index page; paths are relative to the page."""

    name: str  # unique on the page
    title: str
    command: str
    time: str
    page: str = ""  # of the experiment itself; empty before it has run
    picture: str = ""  # path of an image; empty for none
    said: tuple[str, ...] = ()  # conclusions in whole sentences
    claims: tuple[Claimed, ...] = ()
    remark: str = ""  # why there is no result


def write_gallery(
    directory: str | os.PathLike[str],
    title: str,
    groups: Mapping[str, Sequence[Card]],
    lead: Sequence[str] = (),
) -> Path:
    """Writes ``index.html`` of a folder that holds experiments.

    The page runs nothing, and loads nothing but the pictures of its cards.

    Args:
      directory: folder to write in; made where it is missing.
      title: title of the page.
      groups: heading of each group to its cards, both in reading order.
      lead: paragraphs before the first group.

    Returns:
      The path of the page.
    """
    text = template("gallery.html.j2").render(
        title=title, groups=groups, lead=lead, shown=SHOWN
    )
    write_atomic(Path(directory) / "index.html", text)
    return Path(directory) / "index.html"
