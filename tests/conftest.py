"""Every test sees eight CPU devices, so that what is sharded is tested as such."""

import os

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
_FLAG = "--xla_force_host_platform_device_count"
if _FLAG not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}=8".strip()


@pytest.fixture
def float64():
    """Float64 for the length of a test."""
    import jax  # only now: the flag above must stand first

    with jax.enable_x64(True):
        yield
