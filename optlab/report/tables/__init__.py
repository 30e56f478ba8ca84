"""Tables of a comparison."""

from optlab.report.tables.judged import claims_table as claims_table
from optlab.report.tables.judged import conclusions as conclusions
from optlab.report.tables.judged import difference_table as difference_table
from optlab.report.tables.judged import published_table as published_table
from optlab.report.tables.measured import constants_table as constants_table
from optlab.report.tables.measured import contender_table as contender_table
from optlab.report.tables.measured import summary_table as summary_table
from optlab.report.tables.measured import teeth_table as teeth_table
from optlab.report.tables.plain import Table as Table
from optlab.report.tables.plain import tabulate as tabulate
from optlab.report.tables.tuning import budget_line as budget_line
from optlab.report.tables.tuning import budget_table as budget_table
from optlab.report.tables.tuning import regions_table as regions_table
