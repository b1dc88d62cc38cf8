"""A growing Merkle tree as RFC 6962, section 2.1 defines it.

Of the libraries on the package index, pymerkle is GPL and the others have no users or other hash rules, so the forty
lines are here; sigstore-python's verifier and the RFC's test vectors check them in the tests.
"""

from __future__ import annotations

import hashlib


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry as a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """Return the largest power of two below ``size``: how many leaves the left subtree has."""
    return 1 << (size - 1).bit_length() - 1


class Tree:
    """Leaves are appended and never change.

    The hashes of complete subtrees are kept, so that roots and proofs cost O(log n), not O(n).
    """

    def __init__(self) -> None:
        self._leaves: list[bytes] = []
        self._complete: dict[tuple[int, int], bytes] = {}

    def __len__(self) -> int:
        return len(self._leaves)

    def append(self, leaf: bytes) -> int:
        """Add the hash of a leaf; returns its index."""
        self._leaves.append(leaf)
        return len(self._leaves) - 1

    def root(self, size: int | None = None) -> bytes:
        """Return MTH, the root over the first ``size`` leaves (all, if not given)."""
        size = len(self._leaves) if size is None else size
        return self._hash(0, size) if size else hashlib.sha256().digest()

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return PATH(index, D[size]), leaf first (section 2.1.1)."""
        return self._path(index, 0, len(self._leaves) if size is None else size)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Return PROOF(first, D[second]) (section 2.1.2); ``0 < first <= second``."""
        return self._subproof(first, 0, second, known=True)

    def _hash(self, start: int, end: int) -> bytes:
        size = end - start
        if size == 1:
            return self._leaves[start]
        if (start, end) in self._complete:
            return self._complete[start, end]
        middle = start + _split(size)
        value = _node(self._hash(start, middle), self._hash(middle, end))
        if size & (size - 1) == 0:
            self._complete[start, end] = value
        return value

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._hash(middle, end)]
        return [*self._path(index, middle, end), self._hash(start, middle)]

    def _subproof(self, first: int, start: int, end: int, *, known: bool) -> list[bytes]:
        if first == end:
            return [] if known else [self._hash(start, end)]
        middle = start + _split(end - start)
        if first <= middle:
            return [*self._subproof(first, start, middle, known=known), self._hash(middle, end)]
        return [*self._subproof(first, middle, end, known=False), self._hash(start, middle)]
