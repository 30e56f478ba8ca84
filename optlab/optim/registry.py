"""Every method of the house, one line each: the whole registry.

A line here exports the method from `optlab.optim`, makes it known to
`optlab.optim.make` and puts it under the contract suite.
"""

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
from optlab.optim.methods.nadam import nadam as nadam
from optlab.optim.methods.nesterov import nesterov as nesterov
from optlab.optim.methods.newton import newton as newton
from optlab.optim.methods.newton_cg import newton_cg as newton_cg
from optlab.optim.methods.rmsprop import rmsprop as rmsprop
from optlab.optim.methods.sgd import sgd as sgd
from optlab.optim.methods.steepest_descent import steepest_descent as steepest_descent
