"""Output for readers: tables on the terminal, figures, one HTML page."""

from optlab.report.document import Facts as Facts
from optlab.report.document import Folded as Folded
from optlab.report.document import Listing as Listing
from optlab.report.document import Picture as Picture
from optlab.report.document import Section as Section
from optlab.report.document import Steps as Steps
from optlab.report.document import write_page as write_page
from optlab.report.gallery import Card as Card
from optlab.report.gallery import Claimed as Claimed
from optlab.report.gallery import write_gallery as write_gallery
from optlab.report.page import write as write
from optlab.report.tables import Table as Table
from optlab.report.tables import tabulate as tabulate
from optlab.report.terminal import show as show
from optlab.report.terminal import show_table as show_table
from optlab.report.wording import duration as duration
from optlab.report.wording import number as number
