"""Studies of ``experiments.solve``, one file each; a config names its study.

A study is a function ``run(settings, context)``: the config as plain data with the
command line applied, and its side effects.
"""

from collections.abc import Callable, Mapping
from typing import Any

from experiments.studies import convergence, nist, paths, small_nets, vanishing
from experiments.studies.context import Context

#: Name to study.
STUDIES: dict[str, Callable[[Mapping[str, Any], Context], None]] = {
    "convergence": convergence.run,
    "nist": nist.run,
    "paths": paths.run,
    "small_nets": small_nets.run,
    "vanishing": vanishing.run,
}
