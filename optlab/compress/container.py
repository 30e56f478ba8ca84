"""A compressed net as bytes, and back, without a loss.

    data = encode(net)      # write it: what is written is what is evaluated
    net = decode(data)      # the same arrays to the bit

`encode` asks for no settings of the pipeline before it: an array with many zeros is
stored as gaps and the values that are left, one with few distinct values as a codebook
and codes, both as Huffman codes; each array gets the form, scan order and gap width
that take the fewest bytes.

A file is ``OLNT``, a version, a checksum and one msgpack map. Every number in it is
checked before memory is taken for it.
"""

import itertools
import math
import zlib
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import ml_dtypes
import msgpack
import numpy as np

from optlab.compress.codebook import expand
from optlab.compress.gaps import to_gaps, to_positions
from optlab.compress.huffman import Packed, pack, packed_size, unpack
from optlab.compress.linear import Quantized
from optlab.compress.low_rank import Factors
from optlab.compress.mmse import TwoTensors
from optlab.errors import InputError

#: First bytes of every file, and the version after them.
MAGIC, VERSION = b"OLNT", 1

#: Bits of a gap that are tried.
GAP_BITS = range(2, 9)

#: Most distinct values that are stored as a codebook.
MOST_VALUES = 256

#: Nested maps that are read at most.
DEEPEST = 64

#: Types of compressed arrays beside plain ones, by their tag in a file.
KINDS: dict[str, type] = {
    "quantized": Quantized,
    "two": TwoTensors,
    "factors": Factors,
}

_TYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "bfloat16", "complex64",
)  # fmt: skip
_ORDERS: tuple[Literal["C", "F"], ...] = ("C", "F")  # of rows, of columns


class Stored(NamedTuple):
    """Bytes of one array in a file."""

    path: str  # names joined by /
    size: int  # numbers in the array
    kept: int  # numbers that are not zero, or all where zeros are stored too
    codes: int  # bytes of the values or of their codes
    gaps: int  # bytes of the positions
    tables: int  # bytes of codebook and word lengths


def encode(net: Any, huffman: bool = True) -> bytes:
    """Writes a net as bytes.

    Args:
      net: nested dictionaries of arrays; `Quantized` and `Factors` stay what they are,
        `Shared` become the weights that they stand for.
      huffman: whether frequent codes are shorter where that saves bytes; otherwise all
        have the same width.

    Returns:
      The file's content; ``len(...)`` is its size.

    Raises:
      InputError: something in the net is no array of numbers, or a name is no text.

    >>> kernel = np.zeros((30, 40), np.float32)
    >>> kernel[::5, 3] = 0.5
    >>> data = encode({"Dense_0": {"kernel": kernel}})
    >>> len(data), bool((decode(data)["Dense_0"]["kernel"] == kernel).all())
    (62, True)
    """
    body = _packed(_encode_node(expand(net), huffman))
    check = zlib.crc32(body).to_bytes(4, "little")
    return MAGIC + bytes([VERSION]) + check + body


def decode(data: bytes, largest: int = 2**30) -> Any:
    """Reads a net that `encode` wrote.

    Args:
      data: content of a file.
      largest: most bytes that all arrays of the net may take in memory.

    Returns:
      The net: nested dictionaries of NumPy arrays, `Quantized` and `Factors`.

    Raises:
      InputError: the bytes are cut, changed, of another version or no compressed net,
        or the net is larger than ``largest``.
    """
    reader = _Reader(largest)
    return _read(data, lambda body: reader.node(body, ""))


def stored(data: bytes, largest: int = 2**30) -> tuple[Stored, ...]:
    """Counts the bytes of each array of a file.

    Args:
      data: content of a file.
      largest: see `decode`.

    Returns:
      One entry an array; what they leave of ``len(data)`` is names, shapes and the
      file's own head.

    Raises:
      InputError: see `decode`.
    """
    reader = _Reader(largest, sizes_only=True)
    _read(data, lambda body: reader.node(body, ""))
    return tuple(reader.stored)


def _read(data: bytes, of: Any) -> Any:
    head = len(MAGIC) + 5
    if data[: len(MAGIC)] != MAGIC:
        raise InputError("this is no compressed net of optlab")
    if data[len(MAGIC) : head - 4] != bytes([VERSION]):
        found = data[len(MAGIC)] if len(data) > len(MAGIC) else "none"
        raise InputError(
            f"this compressed net has version {found}, and this optlab reads version "
            f"{VERSION}"
        )
    body = data[head:]
    if zlib.crc32(body).to_bytes(4, "little") != data[head - 4 : head]:
        raise InputError("this compressed net is cut or changed: its checksum differs")
    try:
        return of(msgpack.unpackb(body))
    except InputError:
        raise
    except Exception as error:  # whatever a forged file makes of the readers below
        raise InputError(f"this compressed net is damaged: {error}") from error


def _packed(form: Any) -> bytes:
    data = msgpack.packb(form)
    assert data is not None  # of a type that the stubs leave open
    return data


def _encode_node(node: Any, huffman: bool) -> Any:
    if isinstance(node, Mapping):
        if not all(isinstance(name, str) for name in node):
            raise InputError("a net's names must be text")
        return {name: _encode_node(each, huffman) for name, each in node.items()}
    for tag, kind in KINDS.items():
        if isinstance(node, kind):
            return [tag, *(_encode_node(each, huffman) for each in node)]
    if not isinstance(node, np.ndarray | np.generic | jax.Array):
        raise InputError(
            f"a net is nested dictionaries of arrays, and this one holds a "
            f"{type(node).__name__}"
        )
    if node.dtype.name not in _TYPES:
        raise InputError(f"arrays of type {node.dtype.name} cannot be stored")
    return _encode_array(np.asarray(node), huffman)


def _encode_array(array: np.ndarray, huffman: bool) -> list[Any]:
    """[type, shape, order, gaps, values], the shortest of all forms."""
    head = [array.dtype.name, list(array.shape)]
    raveled = {order: _bits(array.ravel(order)) for order in _ORDERS}
    dense = [*head, "C", None, _values(raveled["C"], array.dtype, huffman)]
    if not array.size or np.count_nonzero(raveled["C"]) == array.size:
        return dense
    order, bits = min(
        itertools.product(_ORDERS, GAP_BITS),
        key=lambda choice: _gap_bytes(raveled[choice[0]], choice[1], huffman),
    )
    skip, flat = 2**bits - 1, raveled[order]
    symbols = to_gaps(np.flatnonzero(flat), skip)
    gaps = [bits, len(symbols), *pack(symbols, skip + 1, huffman)]
    values = _values(flat[flat != 0], array.dtype, huffman)
    sparse = [*head, order, gaps, values]
    return min(dense, sparse, key=lambda form: len(_packed(form)))


def _gap_bytes(flat: np.ndarray, bits: int, huffman: bool) -> int:
    symbols = to_gaps(np.flatnonzero(flat), 2**bits - 1)
    counts = np.bincount(symbols) if len(symbols) else np.zeros(0, int)
    return packed_size(counts[counts > 0].tolist(), 2**bits, huffman)


def _values(bits: np.ndarray, dtype: np.dtype, huffman: bool) -> list[Any]:
    """[narrow, numbers] or [narrow, codebook, word lengths, codes]."""
    raw = _narrow(bits, dtype)
    distinct, codes = np.unique(bits, return_inverse=True)
    if len(distinct) > MOST_VALUES:
        return raw
    coded = _narrow(distinct, dtype) + list(pack(codes, len(distinct), huffman))
    return min(raw, coded, key=lambda form: len(_packed(form)))


def _narrow(bits: np.ndarray, dtype: np.dtype) -> list[Any]:
    """Numbers as bytes, float32 in two bytes each where that loses nothing."""
    if dtype == np.float32:
        with np.errstate(all="ignore"):
            half = bits.view(np.float32).astype(np.float16)
            if (_bits(half.astype(np.float32)) == bits).all():
                return [True, half.astype("<f2").tobytes()]
    return [False, bits.astype(bits.dtype.newbyteorder("<")).tobytes()]


def _bits(array: np.ndarray) -> np.ndarray:
    """An array's bit patterns: -0.0 is not zero, and nan equals itself."""
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


class _Reader:
    """Reads nodes of the map, within a bound on the memory of all arrays."""

    def __init__(self, largest: int, sizes_only: bool = False):
        self.left, self.sizes_only = largest, sizes_only
        self.largest = largest
        self.stored: list[Stored] = []

    def node(self, node: Any, path: str, depth: int = 0) -> Any:
        if depth > DEEPEST:
            raise ValueError("too deeply nested")
        if isinstance(node, dict):
            of = lambda name: self.node(node[name], f"{path}/{name}", depth + 1)  # noqa: E731
            return {name: of(name) for name in node}
        tag, *rest = node
        if tag in KINDS:
            names = KINDS[tag]._fields
            pairs = zip(rest, names, strict=True)
            return KINDS[tag](
                *(self.node(each, f"{path}/{name}", depth + 1) for each, name in pairs)
            )
        return self.array(node, path)

    def array(self, form: Any, path: str) -> Any:
        name, shape, order, gaps, values = form
        if name not in _TYPES or order not in _ORDERS:
            raise ValueError(f"an array of type {name!r} and order {order!r}")
        if not all(isinstance(side, int) and side >= 0 for side in shape):
            raise ValueError(f"an array of shape {shape}")
        dtype = np.dtype(getattr(ml_dtypes, name, name))
        size = math.prod(shape)
        self.left -= size * dtype.itemsize
        if self.left < 0 or len(shape) > 32:
            raise InputError(
                f"this compressed net takes more than the {self.largest:,} bytes that "
                "are allowed: if you trust the file, decode it with a larger `largest`"
            )
        positions, bytes_of_gaps = None, 0
        if gaps is not None:
            bits, count, lengths, data = gaps
            if bits not in GAP_BITS or not 0 <= count <= size:
                raise ValueError("positions beyond the array")
            skip = 2**bits - 1
            symbols = unpack(Packed(lengths, data), count, skip + 1)
            positions = to_positions(symbols, skip)
            bytes_of_gaps = len(data)
            if len(positions) and positions[-1] >= size:
                raise ValueError("positions beyond the array")
        kept = size if positions is None else len(positions)
        narrow, numbers, *coded = values
        tables = (len(numbers) + len(coded[0]) if coded else 0) + (
            len(gaps[2]) if gaps is not None else 0
        )
        codes = len(coded[1]) if coded else len(numbers)
        self.stored.append(
            Stored(path.strip("/"), size, kept, codes, bytes_of_gaps, tables)
        )
        if self.sizes_only:
            return None
        found = np.frombuffer(numbers, "<f2" if narrow else f"<u{dtype.itemsize}")
        if narrow:
            found = _bits(found.astype(np.float32))
        if coded:
            found = found[unpack(Packed(*coded), kept, len(found))]
        if len(found) != kept or (narrow and dtype != np.float32):
            raise ValueError("values of another number or type than the array's")
        flat = found
        if positions is not None:
            flat = np.zeros(size, f"u{dtype.itemsize}")
            flat[positions] = found
        flat = flat.astype(f"u{dtype.itemsize}")  # in this machine's order of bytes
        return np.reshape(flat.view(dtype), shape, order=order)
