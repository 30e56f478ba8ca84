"""The registry: every built-in method, and the ``scale_by_*`` part that it is made of.

A name here is exported from `optlab.optim`. A method is thereby known to
`optlab.optim.make` and tested by the contract suite; a part is only exported.
"""

from optlab.optim.dense.lift import part_of as _part_of
from optlab.optim.methods.adagrad import adagrad as adagrad
from optlab.optim.methods.adam import adam as adam
from optlab.optim.methods.bfgs import bfgs as bfgs
from optlab.optim.methods.bold_driver import bold_driver as bold_driver
from optlab.optim.methods.dfp import dfp as dfp
from optlab.optim.methods.gauss_newton import gauss_newton as gauss_newton
from optlab.optim.methods.lamb import lamb as lamb
from optlab.optim.methods.levenberg_marquardt import (
    levenberg_marquardt as levenberg_marquardt,
)
from optlab.optim.methods.momentum import momentum as momentum
from optlab.optim.methods.muon import muon as muon
from optlab.optim.methods.nadam import nadam as nadam
from optlab.optim.methods.nesterov import nesterov as nesterov
from optlab.optim.methods.newton import newton as newton
from optlab.optim.methods.newton_cg import newton_cg as newton_cg
from optlab.optim.methods.rmsprop import rmsprop as rmsprop
from optlab.optim.methods.sgd import sgd as sgd
from optlab.optim.methods.steepest_descent import steepest_descent as steepest_descent

scale_by_bfgs = _part_of(bfgs)
scale_by_bold_driver = _part_of(bold_driver)
scale_by_dfp = _part_of(dfp)
scale_by_gauss_newton = _part_of(gauss_newton)
scale_by_levenberg_marquardt = _part_of(levenberg_marquardt)
scale_by_newton = _part_of(newton)
scale_by_newton_cg = _part_of(newton_cg)
scale_by_steepest_descent = _part_of(steepest_descent)
