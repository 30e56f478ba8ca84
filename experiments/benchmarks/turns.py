"""Timing in turns: whatever slows the machine down for a while slows all of them."""

import time
from collections.abc import Callable, Mapping
from typing import Any


def in_turns(
    contestants: Mapping[str, Callable[[], Any]],
    repeats: int,
    tell: Callable[[str], None],
) -> dict[str, tuple[float, ...]]:
    """Runs each contestant once to warm up, then all of them in turns.

    Args:
      contestants: name to a call that returns when its work is done.
      repeats: turns.
      tell: hears who runs.

    Returns:
      Name to seconds, one a turn, without the warm-up.

    >>> seconds = in_turns({"a": lambda: 1, "b": lambda: 2}, 3, lambda text: None)
    >>> {name: len(each) for name, each in seconds.items()}
    {'a': 3, 'b': 3}
    """
    for name, run in contestants.items():
        tell(f"warm-up: {name}")
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeats):
        for name, run in contestants.items():
            tell(f"turn {turn + 1} of {repeats}: {name}")
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: tuple(each) for name, each in seconds.items()}
