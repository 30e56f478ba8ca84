"""Lanes in chunks: every result where it belongs, whatever runs at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.sweep.lanes import chunk_size, over_lanes


@pytest.mark.parametrize("width", [1, 2, 5, 6, 11, 12, 100])
@pytest.mark.parametrize("devices", [1, 2])
def test_a_lane_gets_its_own_and_its_rows_arguments(width, devices):
    shared, own = jnp.array([100.0, 200.0]), jnp.arange(12.0).reshape(2, 6)
    run = jax.jit(
        lambda: over_lanes(
            lambda row, state, x, tree: (state + x, {"sum": row + x + tree["y"]}),
            devices,
            width,
            shared,
            -own,
            (2 * own, {"y": 1000 * own}),
        )
    )
    states, found = run()
    np.testing.assert_array_equal(states, own)
    np.testing.assert_array_equal(found["sum"], np.array(shared)[:, None] + 1002 * own)


def test_chunks_do_not_copy_the_states():
    """Beside the states, which are donated, a chunk's own values and no more."""

    def run(states):
        return over_lanes(
            lambda _, state: (jnp.sin(state) @ state.T, 0.0),
            1,
            2,
            jnp.zeros(1),
            states,
            (),
        )

    states = jnp.zeros((1, 16, 64, 64))
    compiled = jax.jit(run, donate_argnums=0).lower(states).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < states.nbytes / 2


def test_a_chunk_holds_a_block_of_every_device():
    """With two devices, lanes 0 to 2 lie on the first and 3 to 5 on the second."""
    seen = []

    def run_lane(row, state, x):
        jax.debug.callback(lambda x: seen.append(float(x)), x, ordered=False)
        return state, x

    own = jnp.arange(6.0)[None]
    jax.block_until_ready(over_lanes(run_lane, 2, 2, jnp.zeros(1), (), (own,)))
    jax.effects_barrier()
    chunks = [set(seen[i : i + 2]) for i in range(0, 6, 2)]
    assert chunks == [{0, 3}, {1, 4}, {2, 5}]


def test_chunks_are_equal_and_no_wider_than_asked():
    for count in (1, 6, 7, 24):
        for width in (1, 2, 5, 24, 100):
            size = chunk_size(count, 1, width)
            assert count % size == 0
            assert size <= width
