"""Contenders, tuned on validation and reported on test with fresh seeds."""

from optlab.compare.comparison import Outcome as Outcome
from optlab.compare.comparison import Protocol as Protocol
from optlab.compare.comparison import check as check
from optlab.compare.comparison import compare as compare
from optlab.compare.stages import Contender as Contender
