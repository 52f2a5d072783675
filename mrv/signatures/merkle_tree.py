"""
Merkle tree hash of RFC 6962, section 2.1 (the same in RFC 9162).

A leaf and an inner node are hashed with different first bytes, so that no inner node can be passed
off as a leaf.  The tree of n leaves is, from left to right, the perfect subtrees whose sizes are
the powers of two in n; their roots are sufficient to append entries and to calculate the root.
"""

from collections.abc import Iterable
from typing import Self

from mrv.errors import LogError
from mrv.signatures.canonical import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"")


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry as a leaf, 32 bytes."""
    return sha256(b"\x00" + entry)


def node_hash(remaining: bytes, right: bytes) -> bytes:
    """Return the hash of two neighbouring subtrees, 32 bytes."""
    return sha256(b"\x01" + remaining + right)


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """
    Return the root over leaf hashes in order, 32 bytes.

    Parameters
    ----------
    leaves : iterable of bytes
        Leaf hashes, as `leaf_hash` makes them.
    """
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


class CompactRange:
    """
    A growing tree as the roots of its perfect subtrees, largest first.

    Parameters
    ----------
    size : int
        Number of leaves so far.
    nodes : iterable of bytes
        Roots of the subtrees, one for each bit set in `size`; store them with
        the size to go on after a restart.
    """

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._nodes = list(nodes)
        if size < 0 or len(self._nodes) != size.bit_count():
            raise LogError(
                f"a tree of {size} leaves does not have {len(self._nodes)} perfect subtrees; "
                "build it again from the leaves"
            )

    @property
    def nodes(self) -> tuple[bytes, ...]:
        """Return the roots of the perfect subtrees, largest first; at most log2(size) + 1."""
        return tuple(self._nodes)

    def append(self, leaf: bytes) -> Self:
        """Add a leaf hash; return self."""
        # Trailing ones of the size are subtrees that the new leaf completes.
        level = self.size
        while level & 1:
            leaf = node_hash(self._nodes.pop(), leaf)
            level >>= 1
        self._nodes.append(leaf)
        self.size += 1
        return self

    def root(self) -> bytes:
        """Return the root of the tree, 32 bytes."""
        if not self._nodes:
            return EMPTY_ROOT
        root = self._nodes[-1]
        for node in reversed(self._nodes[:-1]):
            root = node_hash(node, root)
        return root
