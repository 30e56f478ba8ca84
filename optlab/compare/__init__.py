"""Whole recipes, tuned on validation and reported on test with fresh seeds."""

from optlab.compare.cautions import cautions as cautions
from optlab.compare.comparison import Protocol as Protocol
from optlab.compare.comparison import check as check
from optlab.compare.comparison import compare as compare
from optlab.compare.comparison import metrics_of as metrics_of
from optlab.compare.contenders import Contender as Contender
from optlab.compare.contenders import make_contenders as make_contenders
from optlab.compare.kept import About as About
from optlab.compare.kept import learned_constants as learned_constants
from optlab.compare.kept import load_trained as load_trained
from optlab.compare.kept import save_trained as save_trained
from optlab.compare.processes import Together as Together
from optlab.compare.search import Search as Search
from optlab.compare.stages import Observer as Observer
from optlab.compare.stages import Progress as Progress
from optlab.compare.stages import Stage as Stage
from optlab.compare.stages import diverged as diverged
from optlab.compare.stages import done as done
from optlab.compare.stages import ends as ends
from optlab.compare.stages import runs_of as runs_of
