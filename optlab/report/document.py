"""A self-contained HTML page of sections, for any experiment.

Figures are embedded as SVG, and written beside the page as PNG and PDF. The page loads
nothing and runs nothing: it reads the same in twenty years.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
from matplotlib.figure import Figure

from optlab.report.figures.style import render, settle
from optlab.report.tables import Table
from optlab.results import write_atomic


class Picture(NamedTuple):
    """A figure, with a description for readers who cannot see it."""

    name: str  # stem of its files
    figure: Figure
    caption: str
    alt: str


class Folded(NamedTuple):
    """A long table, of which the page shows the title until it is opened."""

    table: Table


class Steps(NamedTuple):
    """Figures shown one at a time: the reader goes from one to the next."""

    name: str  # unique on the page
    pictures: tuple[Picture, ...]  # no files are written of these


class Listing(NamedTuple):
    """Preformatted text, such as a config."""

    caption: str
    text: str


class Facts(NamedTuple):
    """Labels and their values."""

    entries: Mapping[str, str]


#: A string is a paragraph.
Block = str | Table | Folded | Picture | Steps | Listing | Facts


class Section(NamedTuple):
    """A heading and its content."""

    heading: str
    content: tuple[Block, ...]


def write_page(
    directory: str | os.PathLike[str],
    title: str,
    sections: Sequence[Section],
    note: str = "",
    lead: Sequence[str] = (),
) -> Path:
    """Writes ``index.html``, and each picture as ``figures/NAME.png`` and ``.pdf``.

    The same content gives the same bytes. The page is written last and atomically, so
    that it never names a missing figure.

    Args:
      directory: folder to write in; made where it is missing.
      title: title of the page.
      sections: sections in their order.
      note: text shown in a frame above all else, such as "reduced"; may be empty.
      lead: paragraphs before the first section.

    Returns:
      The path of the page.
    """
    directory = Path(directory)
    blocks = [block for section in sections for block in section.content]
    inline = {}
    for picture in (block for block in blocks if isinstance(block, Picture)):
        settle(picture.figure)
        for kind in ("png", "pdf"):
            path = directory / "figures" / f"{picture.name}.{kind}"
            write_atomic(path, render(picture.figure, kind))
        inline[picture.name] = _data_uri(picture.figure)
    for block in (block for block in blocks if isinstance(block, Steps)):
        inline |= {each.name: _data_uri(each.figure) for each in block.pictures}
    page = template("page.html.j2").render(
        title=title, note=note, lead=lead, sections=sections, inline=inline
    )
    write_atomic(directory / "index.html", page)
    return directory / "index.html"


def _data_uri(figure: Figure) -> str:
    code = base64.b64encode(render(figure, "svg")).decode()
    return f"data:image/svg+xml;base64,{code}"


def template(name: str) -> jinja2.Template:
    """Loads a template of this package; what it is given is escaped.

    Args:
      name: name of its file.

    Returns:
      The template. A missing value is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("optlab.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment.get_template(name)
