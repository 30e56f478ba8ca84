"""Files of nets: written, read back, and the net that comes out evaluated."""

import gzip
import lzma
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import serialization

from experiments.compression import stages
from optlab import compress
from optlab.problems import Problem
from optlab.results import write_atomic


class Format(NamedTuple):
    """A way to write a net as bytes, and to read it."""

    suffix: str
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


def _floats(net: Any) -> bytes:
    return serialization.msgpack_serialize(jax.tree.map(np.asarray, net))


#: Plain floats, by Flax and in two general compressors.
FLOATS = Format("msgpack", _floats, serialization.msgpack_restore)
GZIP = Format(
    "msgpack.gz",
    lambda net: gzip.compress(_floats(net), mtime=0),
    lambda data: serialization.msgpack_restore(gzip.decompress(data)),
)
XZ = Format(
    "msgpack.xz",
    lambda net: lzma.compress(_floats(net), preset=9),
    lambda data: serialization.msgpack_restore(lzma.decompress(data)),
)
#: Compressed nets, with codes of one width or Huffman's.
FIXED = Format("olnt", lambda net: compress.encode(net, False), compress.decode)
HUFFMAN = Format("olnt", compress.encode, compress.decode)


class Written(NamedTuple):
    """A contender: its files, and what the nets in them do on the test split."""

    name: str
    description: str
    bytes: np.ndarray  # [seeds], on disk
    values: np.ndarray  # [seeds], deciding metric on the test split
    first: pathlib.Path  # file of the first seed


def write_nets(
    folder: pathlib.Path,
    name: str,
    description: str,
    nets: Sequence[Mapping[str, Any]],
    form: Format,
    problem: Problem,
) -> Written:
    """Writes the net of each seed, reads it, and evaluates what was read."""
    stem = name.lower().replace(" ", "-").replace(",", "").replace("+", "")
    sizes, values, paths = [], [], []
    for i, net in enumerate(nets):
        paths.append(folder / f"{stem}-{i}.{form.suffix}")
        write_atomic(paths[-1], form.write(net))
        variables = form.read(paths[-1].read_bytes())
        test = problem.dataset.test
        values.append(float(stages.deciding_value(problem, variables, test)))
        sizes.append(paths[-1].stat().st_size)
    return Written(name, description, np.array(sizes), np.array(values), paths[0])
