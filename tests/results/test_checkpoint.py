"""State out and in again: to the bit, whole or not at all, and only its own."""

import errno
import pathlib
import pickle
import re
import tracemalloc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import msgpack
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
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(pathlib.Path, fails_at, full_disk)
        with pytest.raises(InputError, match=r"cannot write .*: no space left .* kept"):
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


def nested(depth, head):
    """Lists within lists, each of which claims to be as long as the file."""
    return head * depth + b"\x00" * 100_000


HOSTILE = {
    "a list in a list": nested(900, b"\xdd\x00\x01\x00\x00"),
    "a long list": b"\xdd\xff\xff\xff\xff",
    "a long map": b"\xdf\xff\xff\xff\xff",
    "a long text": b"\xdb\xff\xff\xff\xff",
    "maps in maps": b"\x81\xa1a" * 3000,
    "two million entries": b"\xde\xff\xff" + b"\xcd\x00\x00\x00" * 65535,
    "an array of lists": msgpack.packb(
        {"w": msgpack.ExtType(1, nested(900, b"\xdd\x00\x01\x00\x00"))}
    ),
    "an array without its bytes": msgpack.packb(
        {"w": msgpack.ExtType(1, msgpack.packb(((10**12,), "float32", b"\x00" * 4)))}
    ),
    "an array of objects": msgpack.packb(
        {"w": msgpack.ExtType(1, msgpack.packb(((1,), "object", b"\x00" * 8)))}
    ),
    "no array": msgpack.packb({"w": msgpack.ExtType(9, b"x")}),
    "a pickle": pickle.dumps({"w": np.zeros(3)}),
    "nothing": b"",
    "larger than the state": bytes(2**21),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_in_little_memory(tmp_path, content):
    (tmp_path / "state").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="holds another state"):
            checkpoint.restore(tmp_path / "state", SAVED)
        assert tracemalloc.get_traced_memory()[1] < 2**23 + 4 * len(content)
    finally:
        tracemalloc.stop()


def test_nothing_that_is_read_is_executed():
    """Pickle, marshal and eval would run what a file says; a config is code."""
    forbidden = re.compile(
        r"\b(pickle|dill|joblib|marshal|shelve|allow_pickle=True)\b|(?<!\w)eval\("
    )
    package = pathlib.Path(checkpoint.__file__).parents[1]
    sources = [*package.rglob("*.py"), *(package.parent / "experiments").rglob("*.py")]
    found = {
        str(path): line
        for path in sources
        for line in path.read_text().splitlines()
        if forbidden.search(line) and ".eval(" not in line
    }
    assert not found


def test_a_read_reserves_no_more_memory_than_the_file_needs(tmp_path):
    checkpoint.save(tmp_path / "state", {"w": np.ones(2)})
    assert checkpoint.read(tmp_path / "state", most=2**60)["w"].tolist() == [1.0, 1.0]
