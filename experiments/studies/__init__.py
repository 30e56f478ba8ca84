"""What ``experiments.solve`` can study, one file each; a config names its study.

A study is a function ``run(settings, desk)``: the config as plain data, its
``optimizers`` those that the user selected; and the edges.
"""

from collections.abc import Callable, Mapping
from typing import Any

from experiments.studies import nist
from experiments.studies.desk import Desk

#: Name to study.
STUDIES: dict[str, Callable[[Mapping[str, Any], Desk], None]] = {
    "nist": nist.run,
}
