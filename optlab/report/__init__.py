"""Output for readers: tables on the terminal, figures, one HTML page."""

from optlab.report.document import (
    Facts,
    Folded,
    Listing,
    Picture,
    Section,
    Steps,
    write_page,
)
from optlab.report.gallery import Card, Claimed, write_gallery
from optlab.report.page import write
from optlab.report.tables import Table, tabulate
from optlab.report.terminal import show, show_table
from optlab.report.wording import duration, number

__all__ = [
    "Card",
    "Claimed",
    "Facts",
    "Folded",
    "Listing",
    "Picture",
    "Section",
    "Steps",
    "Table",
    "duration",
    "number",
    "show",
    "show_table",
    "tabulate",
    "write",
    "write_gallery",
    "write_page",
]
