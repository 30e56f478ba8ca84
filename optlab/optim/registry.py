"""The registry: every built-in method, and the ``scale_by_*`` part that it is made of.

An import here exports the name from `optlab.optim`. A method is thereby known to
`optlab.optim.make` and tested by the contract suite; a part is only exported.
"""

from optlab.optim.methods.adagrad import adagrad as adagrad
from optlab.optim.methods.adam import adam as adam
from optlab.optim.methods.bfgs import bfgs as bfgs
from optlab.optim.methods.bfgs import scale_by_bfgs as scale_by_bfgs
from optlab.optim.methods.bold_driver import bold_driver as bold_driver
from optlab.optim.methods.bold_driver import (
    scale_by_bold_driver as scale_by_bold_driver,
)
from optlab.optim.methods.dfp import dfp as dfp
from optlab.optim.methods.dfp import scale_by_dfp as scale_by_dfp
from optlab.optim.methods.gauss_newton import gauss_newton as gauss_newton
from optlab.optim.methods.gauss_newton import (
    scale_by_gauss_newton as scale_by_gauss_newton,
)
from optlab.optim.methods.lamb import lamb as lamb
from optlab.optim.methods.levenberg_marquardt import (
    levenberg_marquardt as levenberg_marquardt,
)
from optlab.optim.methods.levenberg_marquardt import (
    scale_by_levenberg_marquardt as scale_by_levenberg_marquardt,
)
from optlab.optim.methods.momentum import momentum as momentum
from optlab.optim.methods.muon import muon as muon
from optlab.optim.methods.nadam import nadam as nadam
from optlab.optim.methods.nesterov import nesterov as nesterov
from optlab.optim.methods.newton import newton as newton
from optlab.optim.methods.newton import scale_by_newton as scale_by_newton
from optlab.optim.methods.newton_cg import newton_cg as newton_cg
from optlab.optim.methods.newton_cg import scale_by_newton_cg as scale_by_newton_cg
from optlab.optim.methods.rmsprop import rmsprop as rmsprop
from optlab.optim.methods.sgd import sgd as sgd
from optlab.optim.methods.steepest_descent import (
    scale_by_steepest_descent as scale_by_steepest_descent,
)
from optlab.optim.methods.steepest_descent import steepest_descent as steepest_descent
