"""What ``experiments.solve`` can study, one file each; a config names its study.

A study is a function ``run(settings, desk)``: the config as plain data, its
``optimizers`` those that the user selected; and the edges.
"""

from collections.abc import Callable, Mapping
from typing import Any

from experiments.studies import convergence, nist, small_nets
from experiments.studies.desk import Desk

#: Name to study.
STUDIES: dict[str, Callable[[Mapping[str, Any], Desk], None]] = {
    "convergence": convergence.run,
    "nist": nist.run,
    "small_nets": small_nets.run,
}
