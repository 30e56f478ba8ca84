"""Files of compressed nets: nothing is lost, and nothing forged is believed."""

import zlib

import jax
import jax.numpy as jnp
import ml_dtypes
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optlab import compress
from optlab.compress import container
from optlab.errors import InputError

TYPES = ("float32", "float16", "bfloat16", "float64", "int8", "uint16", "int64", "bool")


def same(found, expected):
    """Equal to the bit: -0.0 is not 0.0, and nan is nan."""
    found, expected = map(np.asarray, (found, expected))
    return (
        found.dtype == expected.dtype
        and found.shape == expected.shape
        and found.tobytes() == expected.tobytes()
    )


@st.composite
def arrays(draw):
    """Any density, any number of distinct values, any number of axes, all types."""
    dtype = np.dtype(getattr(ml_dtypes, draw(st.sampled_from(TYPES)), None) or "f4")
    name = draw(st.sampled_from(TYPES))
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    shape = tuple(draw(st.lists(st.integers(0, 40), max_size=3)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.normal(size=shape) * draw(st.sampled_from((0.01, 1.0, 100.0)))
    if distinct := draw(st.sampled_from((0, 1, 2, 15, 300))):
        values = random.normal(size=distinct)[random.integers(distinct, size=shape)]
    kept = random.random(shape) < draw(st.sampled_from((0.0, 0.001, 0.05, 0.5, 1.0)))
    with np.errstate(all="ignore"):
        return np.asarray(np.where(kept, values, 0)).astype(dtype)


@settings(deadline=None, max_examples=200)
@given(arrays(), st.booleans())
def test_what_is_read_is_what_was_written(array, huffman):
    net = {"layer": {"kernel": array}}
    data = compress.encode(net, huffman)
    # Another number of gaps may take two bytes more to write down.
    assert len(compress.encode(net)) <= len(compress.encode(net, huffman=False)) + 2
    assert same(compress.decode(data)["layer"]["kernel"], array)
    (of,) = compress.stored(data)
    assert (of.path, of.size) == ("layer/kernel", array.size)
    assert of.codes + of.gaps + of.tables <= len(data)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0,), np.float32),
        np.float32(3.5),
        np.array(0.0, np.float32),
        np.array([[7.0]], np.float32),
        np.zeros((300, 784), np.float32),
        np.array([0.0, -0.0, np.nan, np.inf, 1e-40], np.float32),
        np.eye(1, 100_000, 99_999, dtype=np.float32),  # one gap of 99,999
        np.arange(5, dtype=ml_dtypes.bfloat16),
        np.full((4, 3), 65504.0, np.float32),
        np.full((4, 3), 65536.0, np.float32),  # beyond float16
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_cases_at_the_edge(array):
    for huffman in (True, False):
        data = compress.encode({"x": array}, huffman)
        assert same(compress.decode(data)["x"], array)
    assert len(data) < 450  # 32 bytes and, for the long gap, 393 skips of 255


def test_all_kinds_of_weights_stay_what_they_are():
    kernel = jax.random.normal(jax.random.key(0), (20, 30))
    net = {
        "a": compress.quantize(kernel, 4, axis=0),
        "b": compress.truncated_svd(kernel, 3),
        "c": {"bias": jnp.zeros(3)},
    }
    found = compress.decode(compress.encode(net))
    assert jax.tree.structure(found) == jax.tree.structure(net)
    assert all(jax.tree.leaves(jax.tree.map(same, found, net)))
    shared = compress.share({"k": kernel}, 3)
    plain = compress.decode(compress.encode(shared))
    assert same(plain["k"], compress.plain(shared)["k"])


def test_a_sparse_net_of_few_values_takes_what_its_entropy_says():
    """5% of 235,200 weights in 15 equally frequent values: 4 + 5.7 bits each."""
    random = np.random.default_rng(0)
    kept = random.random((300, 784)) < 0.05
    values = np.linspace(-1, 1, 16).astype(np.float16).astype(np.float32)
    values = np.delete(values, 8)[random.integers(15, size=kept.shape)]
    net = {"kernel": np.where(kept, values, np.float32(0))}
    entropy = -(0.05 * np.log2(0.05) + 0.95 * np.log2(0.95)) / 0.05 + np.log2(15)
    bits = 8 * len(compress.encode(net)) / kept.sum()
    assert entropy < bits < 1.04 * entropy
    fixed = 8 * len(compress.encode(net, huffman=False)) / kept.sum()
    assert bits < fixed < 1.1 * (5 + 4) * (1 + 0.95**31)


NET = {
    "kernel": np.where(np.arange(2000).reshape(40, 50) % 7, 0, 1.5).astype(np.float32),
    "other": np.random.default_rng(0).normal(size=(5, 5)),
    "q": compress.Quantized(np.arange(9, dtype=np.int8), np.ones(1), np.zeros(1)),
}


def test_a_file_that_is_cut_or_changed_is_one_error():
    data = compress.encode(NET)
    for end in range(len(data)):
        with pytest.raises(InputError):
            compress.decode(data[:end])
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x41
        with pytest.raises(InputError):
            compress.decode(bytes(changed))


def forged(body):
    """A file whose checksum is right."""
    packed = body if isinstance(body, bytes) else msgpack.packb(body)
    check = zlib.crc32(packed).to_bytes(4, "little")
    return container.MAGIC + bytes([container.VERSION]) + check + packed


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_forged_file_is_read_or_refused_in_bounded_memory(draw):
    """Any changes of a body with a right checksum: an InputError or some net."""
    body = bytearray(compress.encode(NET)[9:])
    for _ in range(draw.draw(st.integers(1, 4))):
        place = draw.draw(st.integers(0, len(body) - 1))
        body[place] = draw.draw(st.integers(0, 255))
    try:
        found = compress.decode(forged(bytes(body)), largest=10**6)
    except InputError:
        return
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(found)) <= 10**6


HUGE = [10**9, 10**9]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"k": ["float32", HUGE, "C", [3, 0, b"\x00", b""], [False, b""]]}, "largest"),
        ({"k": ["float32", [2], "C", None, [False, b""]]}, "another number"),
        ({"k": ["float32", [2, -1], "C", None, [False, b""]]}, "shape"),
        ({"k": ["object", [2], "C", None, [False, b""]]}, "'object'"),
        ({"k": ["int8", [9], "C", [3, 4, b"", b"\x6d\xb0"], [False, b"\1"]]}, "beyond"),
        ({"k": ["int8", [9], "C", [3, 10**9, b"", b""], [False, b""]]}, "beyond"),
        ({"k": ["int8", [9], "C", None, [False, b"\1\2", b"\1\xc0", b"\0"]]}, "bits"),
        ({"k": ["int8", [9], "C", None, [False, b"\1\2", b"\2\x60", b"\0\0"]]}, "pref"),
        ({"k": ["int8", [9], "C", None, [False, b"\1\2", b"\x3f\0", b"\0"]]}, "long"),
        ({"k": ["int8", [9], "C", None, [True, b"\1\2"]]}, "type"),
        ({"k": ["quantized", {}]}, "damaged"),
        ({"k": 7}, "damaged"),
        (b"\x81\xa1k\xdd\xff\xff\xff\xff", "damaged"),
        (b"\x81\xa0" * 1000 + b"\x80", "damaged"),
    ],
)
def test_lengths_that_lie_are_told(body, message):
    with pytest.raises(InputError, match=message):
        compress.decode(forged(body))


def test_sizes_are_counted_in_bounded_memory_too():
    """One symbol 10^10 times takes no bits in a file and 80 GB in memory."""
    gaps = [8, 10**10, b"\x01\x80" + bytes(31), b""]
    body = {"k": ["int8", [10**10], "C", gaps, [False, b""]]}
    with pytest.raises(InputError, match="decode it with a larger `largest`"):
        compress.stored(forged(body))


def test_what_is_no_file_of_this_version_is_told():
    data = compress.encode(NET)
    with pytest.raises(InputError, match="no compressed net"):
        compress.decode(b"PK\x03\x04" + data)
    with pytest.raises(InputError, match="version 9, and this optlab reads version 1"):
        compress.decode(data[:4] + b"\x09" + data[5:])


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ({"a": "text"}, "holds a str"),
        ({1: np.ones(3)}, "names must be text"),
        ({"a": np.array(["x"])}, "cannot be stored"),
    ],
)
def test_what_is_no_net_is_told(net, message):
    with pytest.raises(InputError, match=message):
        compress.encode(net)
