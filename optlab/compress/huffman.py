"""Whole numbers as bits: canonical Huffman codes, or codes of one width.

A canonical code is given by the lengths of its words alone: words of one length are
consecutive binary numbers in the order of their symbols. So a stream stores a length
for each symbol and no tree.

E. Schwartz, B. Kallick, "Generating a canonical prefix encoding", 1964. The words come
from ``bitarray.util.canonical_huffman``.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from bitarray import bitarray
from bitarray.util import canonical_decode, canonical_huffman, int2ba

#: Longest word that a length table can hold.
LONGEST = 63


class Packed(NamedTuple):
    """A sequence of symbols as bytes."""

    lengths: bytes  # word length of each symbol; empty where all words have one width
    data: bytes


def pack(symbols: np.ndarray, alphabet: int, huffman: bool = True) -> Packed:
    """Writes symbols as bits.

    Args:
      symbols: ``[n]``, whole numbers below ``alphabet``.
      alphabet: number of possible symbols.
      huffman: whether frequent symbols get shorter words where that, with the table of
        lengths, takes fewer bytes.

    Returns:
      Word lengths and bits. A sequence of one symbol only takes no bits.

    >>> packed = pack(np.array([0, 0, 0, 1, 0, 2, 0, 0] * 9), alphabet=3)
    >>> len(packed.data), unpack(packed, count=8, alphabet=3).tolist()
    (12, [0, 0, 0, 1, 0, 2, 0, 0])
    """
    width = width_of(alphabet)
    bits = (symbols[:, None] >> np.arange(width)[::-1]) & 1
    fixed = Packed(b"", np.packbits(bits.astype(np.uint8).ravel()).tobytes())
    if not huffman:
        return fixed
    used, counts = np.unique(symbols, return_counts=True)
    lengths = np.zeros(alphabet, np.uint8)
    if len(used) < 2:
        lengths[used] = 1
        return _shorter(fixed, Packed(_pack_lengths(lengths), b""))
    words = canonical_huffman(dict(zip(used.tolist(), counts.tolist(), strict=True)))[0]
    lengths[used] = [len(words[symbol]) for symbol in used.tolist()]
    bits = bitarray()
    bits.encode(_words(lengths), symbols.tolist())
    return _shorter(fixed, Packed(_pack_lengths(lengths), bits.tobytes()))


def _shorter(*packed: Packed) -> Packed:
    return min(packed, key=lambda each: len(each.lengths) + len(each.data))


def unpack(packed: Packed, count: int, alphabet: int) -> np.ndarray:
    """Reads symbols that `pack` wrote.

    Args:
      packed: word lengths and bits.
      count: number of symbols, which the caller has bounded.
      alphabet: number of possible symbols.

    Returns:
      ``[count]``, int64.

    Raises:
      ValueError: the bytes are no such sequence.
    """
    if not packed.lengths:
        width = width_of(alphabet)
        if len(packed.data) != -(-count * width // 8):
            raise ValueError("codes of another length than their number")
        bits = np.unpackbits(np.frombuffer(packed.data, np.uint8), count=count * width)
        weights = 1 << np.arange(width, dtype=np.int64)[::-1]
        symbols = bits.reshape(count, width) @ weights
        if count and symbols.max() >= alphabet:
            raise ValueError("a code beyond the last one")
        return symbols
    lengths = _unpack_lengths(packed.lengths, alphabet)
    used = np.flatnonzero(lengths)
    if len(used) < 2:
        if packed.data or (count and not len(used)):
            raise ValueError("codes without words")
        return np.full(count, used[0] if len(used) else 0, np.int64)
    if sum(1 << (LONGEST - int(length)) for length in lengths[used]) != 1 << LONGEST:
        raise ValueError("word lengths of no prefix code")
    if count > 8 * len(packed.data):
        raise ValueError("more codes than bits")
    bits = bitarray()
    bits.frombytes(packed.data)
    count_of_length = np.bincount(lengths[used]).tolist()
    found = canonical_decode(bits, count_of_length, _canonical_order(lengths))
    return np.fromiter(itertools.islice(found, count), np.int64, count)


def packed_size(counts: Sequence[int], alphabet: int, huffman: bool = True) -> int:
    """Computes the bytes of `pack` from the symbols' counts.

    Args:
      counts: number of occurrences of each symbol that occurs.
      alphabet: number of possible symbols.
      huffman: see `pack`.

    Returns:
      Bytes of the codes and the length table.

    >>> packed_size([60, 10, 10], alphabet=3)  # 60 + 20 + 20 bits; 3 lengths of 2 bits
    15
    """
    fixed = -(-sum(counts) * width_of(alphabet) // 8)
    if not huffman:
        return fixed
    if len(counts) < 2:
        return min(fixed, 1 + -(-alphabet // 8))
    codes = canonical_huffman(dict(enumerate(counts)))[0]
    bits = sum(count * len(codes[i]) for i, count in enumerate(counts))
    width = max(map(len, codes.values())).bit_length()
    return min(fixed, -(-bits // 8) + 1 + -(-alphabet * width // 8))


def width_of(alphabet: int) -> int:
    """Counts the bits that tell the symbols of an alphabet apart.

    >>> [width_of(n) for n in (0, 1, 2, 3, 256)]
    [0, 0, 1, 2, 8]
    """
    return max(alphabet - 1, 0).bit_length()


def _canonical_order(lengths: np.ndarray) -> list[int]:
    """Symbols by length and then by number, which bitarray's own order is not."""
    used = np.flatnonzero(lengths)
    return used[np.argsort(lengths[used], kind="stable")].tolist()


def _words(lengths: np.ndarray) -> dict[int, bitarray]:
    """The canonical words of some lengths: one more than the last, and longer."""
    words, word, last = {}, -1, 0
    for symbol in _canonical_order(lengths):
        length = int(lengths[symbol])
        word = (word + 1) << (length - last)
        words[symbol], last = int2ba(word, length), length
    return words


def _pack_lengths(lengths: np.ndarray) -> bytes:
    width = int(lengths.max(initial=0)).bit_length()
    return bytes([width]) + pack(lengths.astype(np.int64), 1 << width, False).data


def _unpack_lengths(data: bytes, alphabet: int) -> np.ndarray:
    if data[0] > LONGEST.bit_length():
        raise ValueError("a table of word lengths that are too long")
    return unpack(Packed(b"", data[1:]), alphabet, 1 << data[0])
