"""Minimizing one function: the loop, when it ends, bounds, derivatives, uncertainties.

    objective       functions and their arguments -> functions of the parameters alone
    bounds          parameters within bounds -> free variables
    stopping        criteria, and the reason for the end of a run
    loop            `solve`: function + transformation -> ``while_loop``
    implicit        derivatives of the end with respect to the arguments
    uncertainty     covariance of fitted parameters
"""

from optlab.solving.bounds import Bounds as Bounds
from optlab.solving.loop import History as History
from optlab.solving.loop import Solution as Solution
from optlab.solving.loop import solve as solve
from optlab.solving.stopping import Reason as Reason
from optlab.solving.stopping import Stop as Stop
from optlab.solving.uncertainty import Uncertainties as Uncertainties
from optlab.solving.uncertainty import uncertainties as uncertainties
