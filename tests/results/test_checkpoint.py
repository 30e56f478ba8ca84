"""State out and in again: to the bit, whole or not at all, and only its own."""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab.errors import InputError
from optlab.results import checkpoint


class State(NamedTuple):
    params: Any
    opt_state: Any
    key: jax.Array


def a_state():
    params = {
        "float32": jnp.array([1 / 3, jnp.nan, -jnp.inf, -0.0]),
        "bfloat16": jnp.arange(3, dtype=jnp.bfloat16) / 7,
        "bool": jnp.array([True, False]),
        "nothing": jnp.zeros((0, 3)),
        "float64": np.array([1 / 3]),
        "scalar": np.float64(1 / 3),
    }
    opt_state = optax.adam(0.1).init({"w": jnp.ones((2, 2))})
    return State(params, opt_state, jax.random.split(jax.random.key(7), (2, 3)))


def bits(tree):
    """Type, shape and bytes of every leaf; a typed key is told from its raw words."""

    def raw(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

    return [(x.dtype, x.shape, raw(x).tobytes()) for x in jax.tree.leaves(tree)]


def test_what_comes_back_is_what_was_saved_to_the_bit(tmp_path):
    checkpoint.save(tmp_path / "new" / "folder" / "state", a_state())
    back = checkpoint.restore(tmp_path / "new" / "folder" / "state", a_state())
    assert jax.tree.structure(back) == jax.tree.structure(a_state())
    assert bits(back) == bits(a_state())
    assert [p.name for p in tmp_path.rglob("*")] == ["new", "folder", "state"]


def test_numbers_of_python_come_back_as_they_were(tmp_path):
    tree = {"rate": 1 / 3, "step": 7, "done": True, "w": np.ones(2)}
    checkpoint.save(tmp_path / "state", tree)
    back = checkpoint.restore(tmp_path / "state", tree)
    assert {key: back[key] for key in ("rate", "step", "done")} == {
        "rate": 1 / 3,
        "step": 7,
        "done": True,
    }
    assert [type(back[key]) for key in ("rate", "step", "done")] == [float, int, bool]
    with pytest.raises(InputError, match="holds another state"):
        checkpoint.restore(tmp_path / "state", tree | {"step": 7.0})


def test_keys_that_come_back_draw_as_before(tmp_path):
    checkpoint.save(tmp_path / "state", a_state())
    back = checkpoint.restore(tmp_path / "state", a_state())
    draws = [jax.random.normal(state.key[1, 2]) for state in (back, a_state())]
    assert draws[0] == draws[1]


def test_abstract_shapes_are_enough_to_restore(tmp_path):
    state = {"w": jnp.arange(3.0), "key": jax.random.key(3)}
    checkpoint.save(tmp_path / "state", state)
    back = checkpoint.restore(tmp_path / "state", jax.eval_shape(lambda: state))
    assert bits(back) == bits(state)


@pytest.mark.parametrize("fails_at", ["write_bytes", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, fails_at):
    path = tmp_path / "state"
    checkpoint.save(path, {"w": jnp.zeros(3)})

    def full_disk(self, content):
        if fails_at == "write_bytes":  # half of it is written
            with self.open("wb") as file:
                file.write(content[: len(content) // 2])
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(pathlib.Path, fails_at, full_disk)
        with pytest.raises(OSError, match="no space left"):
            checkpoint.save(path, {"w": jnp.ones(3)})
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
    assert checkpoint.restore(path, {"w": jnp.ones(3)})["w"].tolist() == [0.0] * 3


def test_what_cannot_be_saved_leaves_the_old_file(tmp_path):
    path = tmp_path / "state"
    checkpoint.save(path, {"w": jnp.zeros(3)})
    with pytest.raises(TypeError):
        checkpoint.save(path, {"w": object()})
    assert checkpoint.restore(path, {"w": jnp.ones(3)})["w"].tolist() == [0.0] * 3


SAVED = {"w": jnp.zeros((2, 3)), "step": jnp.int32(0)}


@pytest.mark.parametrize(
    "like",
    [
        {"w": jnp.zeros((3, 2)), "step": jnp.int32(0)},
        {"w": jnp.zeros((2, 3), jnp.bfloat16), "step": jnp.int32(0)},
        {"w": jnp.zeros((2, 3)), "step": jnp.float32(0)},
        {"w": jnp.zeros((2, 3))},
        {"w": jnp.zeros((2, 3)), "step": jnp.int32(0), "more": jnp.zeros(1)},
        {"v": jnp.zeros((2, 3)), "step": jnp.int32(0)},
        {"w": {"deeper": jnp.zeros((2, 3))}, "step": jnp.int32(0)},
        {"w": jnp.zeros((2, 3)), "step": jax.random.key(0)},
        State(jnp.zeros((2, 3)), jnp.int32(0), jax.random.key(0)),
    ],
    ids=str,
)
def test_another_state_is_refused(tmp_path, like):
    checkpoint.save(tmp_path / "state", SAVED)
    with pytest.raises(
        InputError, match=r"holds another state .* delete it, or choose"
    ):
        checkpoint.restore(tmp_path / "state", like)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_damaged_file_is_refused(tmp_path, keep):
    path = tmp_path / "state"
    checkpoint.save(path, SAVED)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError, match="holds another state"):
        checkpoint.restore(path, SAVED)
