"""Trees of arrays saved to one file and restored to the bit.

The format is flax's msgpack. Typed PRNG keys, which it cannot hold, are saved as their
raw words.
"""

import math
import os
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import msgpack
import numpy as np
from flax import serialization

from optlab.errors import InputError
from optlab.results import write_atomic

Tree = TypeVar("Tree")
_NUMBERS = bool | int | float | complex

#: Bounds of what is read: bytes of a file, and beside the arrays that are expected;
#: entries of all maps; axes of an array.
MOST_BYTES, MOST_EXTRA, MOST_ENTRIES, MOST_AXES = 2**34, 2**20, 10**6, 64


def save(path: str | os.PathLike[str], tree: Any) -> None:
    """Writes a tree atomically: a reader sees the old file or the new one.

    Args:
      path: name of the file; its folder is made where it is missing.
      tree: tree of arrays, numbers and typed keys.
    """
    write_atomic(path, serialization.msgpack_serialize(as_maps(tree)))


def restore(path: str | os.PathLike[str], like: Tree) -> Tree:
    """Reads a tree that :func:`save` wrote.

    Args:
      path: name of the file.
      like: tree of the same structure and shapes: arrays or their abstract shapes.

    Returns:
      The tree, with the arrays that were saved.

    Raises:
      InputError: the file holds a tree of another structure, shape or type.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "state"
    >>> save(path, {"w": jnp.arange(3.0), "key": jax.random.key(7)})
    >>> back = restore(path, {"w": jnp.zeros(3), "key": jax.random.key(0)})
    >>> back["w"].tolist(), jax.random.key_data(back["key"]).tolist()
    ([0.0, 1.0, 2.0], [0, 7])
    """
    leaves = jax.tree.leaves(jax.tree.map(_shape, like))
    bytes_ = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
    try:
        saved = read(path, most=2 * bytes_ + 1000 * len(leaves) + MOST_EXTRA)
        return from_maps(saved, like)
    except InputError:  # it cannot be read
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds another state than this program's ({error}); delete it, or "
            "choose another folder"
        ) from error


def as_maps(tree: Any) -> Any:
    """Converts a tree to what a file holds: nested dictionaries of arrays.

    Args:
      tree: tree of arrays, numbers and typed keys.

    Returns:
      Nested dictionaries; typed keys as their words.
    """
    return serialization.to_state_dict(jax.tree.map(_raw, tree))


def from_maps(saved: Any, like: Tree) -> Tree:
    """Converts what a file holds to a tree.

    Args:
      saved: nested dictionaries of arrays, as `read` returns them.
      like: tree of the same structure and shapes: arrays or their abstract shapes.

    Returns:
      The tree, with the arrays that were saved.

    Raises:
      ValueError, KeyError, TypeError: the structure, a shape or a type differs.
    """
    shapes = jax.tree.map(_shape, like)
    expected: Any = serialization.to_state_dict(shapes)
    if jax.tree.structure(saved) != jax.tree.structure(expected):
        raise ValueError("its structure differs")
    raw = serialization.from_state_dict(shapes, saved)
    return jax.tree.map(_typed, raw, like, shapes)


def read(path: str | os.PathLike[str], most: int = MOST_BYTES) -> Any:
    """Reads the tree of a file without a template, in memory of a few times its size.

    Nothing in the file is executed. Arrays that claim more entries than they hold, and
    lists and maps beyond what a saved tree needs, are refused before they are made.

    Args:
      path: name of the file.
      most: greatest number of bytes that is read.

    Returns:
      Nested dictionaries of NumPy arrays, numbers and texts.

    Raises:
      InputError: the file cannot be read.
      ValueError: it is larger, cut, no msgpack, or no saved tree.
    """
    try:
        with open(path, "rb") as file:
            # Guard: Python reserves all the memory that a read may need.
            data = file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > most:
        raise ValueError(f"it is larger than {most} bytes")
    count = 0

    def counted(pairs: list) -> None:
        nonlocal count
        count += len(pairs)
        if count > MOST_ENTRIES:
            raise ValueError(f"it has more than {MOST_ENTRIES} entries")

    def checked(code: int, payload: bytes) -> None:
        # An array is [shape, type, bytes], a complex number [real, imaginary].
        msgpack.unpackb(payload, raw=True, max_array_len=MOST_AXES, max_map_len=0)

    try:
        msgpack.unpackb(
            data,
            ext_hook=checked,
            object_pairs_hook=counted,
            strict_map_key=False,
            max_array_len=0,  # trees are saved as maps
            max_map_len=MOST_ENTRIES,
        )
        return serialization.msgpack_restore(data)
    except Exception as error:  # msgpack and its hooks raise what they like
        raise ValueError(str(error) or type(error).__name__) from error


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(getattr(leaf, "dtype", jnp.float32), jax.dtypes.prng_key)


def _raw(leaf: Any) -> Any:
    if _is_key(leaf):
        return jax.random.key_data(leaf)
    # A number of Python has no type of its own; numpy keeps all its bits.
    return np.asarray(leaf) if isinstance(leaf, _NUMBERS) else leaf


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    # Not eval_shape of all: that would take numpy's float64 for float32.
    raw = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else _raw(leaf)
    return jax.ShapeDtypeStruct(raw.shape, raw.dtype)


def _typed(raw: Any, like: Any, shape: Any) -> Any:
    if raw.shape != shape.shape or raw.dtype != shape.dtype:
        raise ValueError(f"{raw.dtype}{raw.shape} where {shape} was expected")
    if isinstance(like, _NUMBERS) and not isinstance(like, np.generic):
        return type(like)(raw)
    return jax.random.wrap_key_data(raw) if _is_key(like) else raw
