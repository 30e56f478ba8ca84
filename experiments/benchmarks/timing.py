"""Interleaved timing: a disturbance of the machine meets every program alike."""

import time
from collections.abc import Callable, Mapping
from typing import Any

#: Receives progress messages.
Status = Callable[[str], None]


def interleaved(
    calls: Mapping[str, Callable[[], Any]],
    repeats: int,
    status: Status,
    warm_up: bool = True,
) -> dict[str, tuple[float, ...]]:
    """Times all calls one after another, in rounds.

    A call returns when its work is done. With ``warm_up`` each runs once before the
    first round, untimed. ``status`` receives the name of the running call. Returns name
    to seconds of each round.

    >>> seconds = interleaved({"a": lambda: 1, "b": lambda: 2}, 3, lambda text: None)
    >>> {name: len(each) for name, each in seconds.items()}
    {'a': 3, 'b': 3}
    """
    for name, call in calls.items() if warm_up else ():
        status(f"warm-up: {name}")
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(repeats):
        for name, call in calls.items():
            status(f"round {i + 1} of {repeats}: {name}")
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return {name: tuple(each) for name, each in seconds.items()}
