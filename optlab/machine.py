"""What this machine has: cores, memory."""

import os
from typing import Any


def cores() -> int:
    """CPU cores that this process may use, which need not be all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes(device: Any) -> int:
    """The memory that arrays on a device may take: its own, or on a CPU the host's.

    Args:
      device: one of ``jax.devices()``.
    """
    statistics = device.memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"]
    return host_memory_bytes()


def host_memory_bytes() -> int:
    """The memory of this host, on a system of POSIX's kind."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
