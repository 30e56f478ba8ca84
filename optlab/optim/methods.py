"""Every method of the house, one line each: the whole registry.

A line here exports the method from `optlab.optim`, makes it known to
`optlab.optim.make` and puts it under the contract suite.
"""

from optlab.optim.adagrad import adagrad as adagrad
from optlab.optim.adam import adam as adam
from optlab.optim.bfgs import bfgs as bfgs
from optlab.optim.bold_driver import bold_driver as bold_driver
from optlab.optim.dfp import dfp as dfp
from optlab.optim.gauss_newton import gauss_newton as gauss_newton
from optlab.optim.lamb import lamb as lamb
from optlab.optim.levenberg_marquardt import (
    levenberg_marquardt as levenberg_marquardt,
)
from optlab.optim.momentum import momentum as momentum
from optlab.optim.nadam import nadam as nadam
from optlab.optim.nesterov import nesterov as nesterov
from optlab.optim.newton import newton as newton
from optlab.optim.newton_cg import newton_cg as newton_cg
from optlab.optim.rmsprop import rmsprop as rmsprop
from optlab.optim.sgd import sgd as sgd
from optlab.optim.steepest_descent import steepest_descent as steepest_descent
