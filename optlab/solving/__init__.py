"""Minimizing one function: the loop, when it ends, bounds, derivatives, uncertainties.

``objective`` binds and checks the functions, ``bounds`` maps parameters to free
variables, ``loop`` runs the optimizer until ``stopping`` says why it ends, ``implicit``
differentiates that end, and ``uncertainty`` gives the covariance of fitted parameters.
"""

from optlab.solving.bounds import Bounds as Bounds
from optlab.solving.loop import History as History
from optlab.solving.loop import Solution as Solution
from optlab.solving.loop import solve as solve
from optlab.solving.stopping import Reason as Reason
from optlab.solving.stopping import Stop as Stop
from optlab.solving.uncertainty import Uncertainties as Uncertainties
from optlab.solving.uncertainty import uncertainties as uncertainties
