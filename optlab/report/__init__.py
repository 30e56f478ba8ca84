"""What a reader gets: tables on the terminal, figures, one HTML page."""

from optlab.report.document import Facts, Listing, Picture, Section, write_page
from optlab.report.page import write
from optlab.report.tables import Table
from optlab.report.terminal import show

__all__ = [
    "Facts",
    "Listing",
    "Picture",
    "Section",
    "Table",
    "show",
    "write",
    "write_page",
]
