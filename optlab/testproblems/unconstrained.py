"""Every unconstrained test problem by its name: ``PROBLEMS["rosenbrock"]``."""

from optlab.testproblems import classical, more_garbow_hillstrom
from optlab.testproblems.problem import Problem

PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (*more_garbow_hillstrom.PROBLEMS, *classical.PROBLEMS)
}
