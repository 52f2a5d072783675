"""
Merkle tree of RFC 6962 and RFC 9162, section 2.1: hashes of the tree, and proofs over it.

A leaf and an inner node are hashed with different first bytes, so that an inner node cannot be
presented as a leaf.  The tree of n leaves consists, from left to right, of perfect subtrees whose
sizes are the powers of two in n; their roots are sufficient to append entries and to calculate the
root.

An inclusion proof shows that an entry is in the tree of a root; a consistency proof shows that a
tree has all entries of an earlier one, unchanged and in front.  Proofs are calculated from leaf
hashes: a log of statements is small, so no cache is needed.  The empty tree is consistent with
every tree; a proof for it is rejected.
"""

from collections.abc import Iterable, Sequence
from typing import Self

from mrv.errors import LogError
from mrv.signatures.canonical import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"")


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry as a leaf, 32 bytes."""
    return sha256(b"\x00" + entry)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two neighbouring subtrees, 32 bytes."""
    return sha256(b"\x01" + left + right)


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes in order, 32 bytes. `leaves`: results of `leaf_hash`."""
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


class CompactRange:
    """
    A growing tree as the roots of its perfect subtrees, largest first.

    `size`: number of leaves so far.
    `nodes`: roots of the subtrees, one for each bit set in `size`; stored with the size, they
    permit continuing after a restart.
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


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """
    Return the path from a leaf to the root.

    `index`: index of the leaf, from 0.
    `leaves`: all leaf hashes of the tree.
    Raises LogError if the tree has no such leaf.

    Returns: sibling hashes, from the leaf upwards.
    """
    if not 0 <= index < len(leaves):
        raise LogError(f"no leaf {index} in a tree of {len(leaves)}; indices count from 0")
    path: list[bytes] = []
    while len(leaves) > 1:
        split = _split(len(leaves))
        remaining, right = leaves[:split], leaves[split:]
        if index < split:
            path.append(root_hash(right))
            leaves = remaining
        else:
            path.append(root_hash(remaining))
            leaves, index = right, index - split
    return path[::-1]


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """
    Check that a leaf is at an index of the tree with a size and root.

    `index`, `size`: index of the leaf, from 0, and number of leaves.
    `leaf`, `root`: leaf hash and root.
    `proof`: from `inclusion_proof`.
    Raises LogError if the proof does not lead from the leaf to the root.
    """
    if not 0 <= index < size:
        raise LogError(f"no leaf {index} in a tree of {size}; indices count from 0")
    _check_hashes([leaf, root, *proof])
    place, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise LogError(
                f"a proof of {len(proof)} hashes is too long for {size} leaves; get a new one"
            )
        if place & 1 or place == last:
            result = node_hash(sibling, result)
            place, last = _climb(place, last)
        else:
            result = node_hash(result, sibling)
        place, last = place >> 1, last >> 1
    if last or result != root:
        raise LogError(
            f"inclusion proof of leaf {index} does not lead to the root {root.hex()}; get "
            "receipt and head again from the log"
        )


def root_before(index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """
    Return the root of the tree of all earlier leaves, from a leaf's inclusion proof.

    The left siblings of an inclusion path are the roots of the perfect subtrees before the leaf, so
    a verified inclusion proof contains a consistency proof.

    `index`, `size`: index of the leaf, at least 1, and number of leaves.
    `proof`: a proof accepted by `verify_inclusion`.
    Raises LogError if there is no earlier leaf, or the proof is of another index.
    """
    place, last = index, size - 1
    remaining: list[bytes] = []
    for sibling in proof:
        if place & 1 or place == last:
            remaining.append(sibling)
            place, last = _climb(place, last)
        place, last = place >> 1, last >> 1
    if not remaining or len(remaining) != index.bit_count():
        raise LogError(
            f"the proof of leaf {index} does not prove the entries before it; get the proof "
            "again from the log"
        )
    root = remaining[0]
    for bigger in remaining[1:]:
        root = node_hash(bigger, root)
    return root


def consistency_proof(earlier: int, leaves: Sequence[bytes]) -> list[bytes]:
    """
    Return the hashes that prove that the first leaves are unchanged in the whole tree.

    `earlier`: size of the earlier tree, at least 1.
    `leaves`: all leaf hashes of the later tree.
    Raises LogError if the earlier size is 0 or above the later one.
    """
    check_sizes(earlier, len(leaves))
    path: list[bytes] = []
    whole = True  # whether the part is still the whole earlier tree, whose root is known
    while earlier != len(leaves):
        split = _split(len(leaves))
        remaining, right = leaves[:split], leaves[split:]
        if earlier <= split:
            path.append(root_hash(right))
            leaves = remaining
        else:
            path.append(root_hash(remaining))
            leaves, earlier, whole = right, earlier - split, False
    return ([] if whole else [root_hash(leaves)]) + path[::-1]


def verify_consistency(
    earlier: int, later: int, proof: Sequence[bytes], earlier_root: bytes, later_root: bytes
) -> None:
    """
    Check that to an earlier tree only leaves were added.

    `earlier`, `later`: sizes, 1 <= earlier <= later.
    `proof`: from `consistency_proof`; empty for equal sizes.
    `earlier_root`, `later_root`: roots of the two trees.
    Raises LogError if the proof is not valid.
    """
    check_sizes(earlier, later)
    if earlier == later:
        if proof or earlier_root != later_root:
            raise LogError(
                f"the log has two different heads of {later} entries, {earlier_root.hex()} and"
                f" {later_root.hex()}: it presented two histories; do not rely on it, and report"
                " both heads to the programme"
            )
        return
    _check_hashes([earlier_root, later_root, *proof])
    # A perfect earlier tree is itself the first node, and omitted from the proof.
    path = [earlier_root, *proof] if earlier.bit_count() == 1 else list(proof)
    if not path or _fold(earlier, later, path) != (earlier_root, later_root):
        raise LogError(
            f"tree of {later} leaves does not contain the tree of {earlier} unchanged: the log was "
            "rewritten, or the proof is for other sizes; get a new proof"
        )


def _fold(earlier: int, later: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    place, last = earlier - 1, later - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            place, last = _climb(place, last)
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    return None if last else (old, new)


def _climb(place: int, last: int) -> tuple[int, int]:
    """Return the index and last index on the lowest level at which the node has a left sibling."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _split(size: int) -> int:
    """Return the largest power of two below the size, at least 1."""
    return 1 << ((size - 1).bit_length() - 1)


def check_sizes(earlier: int, later: int) -> None:
    """Check that a consistency proof between two sizes can exist. Raises LogError otherwise."""
    if not 1 <= earlier <= later:
        raise LogError(
            f"no consistency proof from {earlier} to {later} leaves; the earlier "
            "tree must have at least 1 leaf and not more than the later one"
        )


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise LogError(f"a hash of the proof is not {HASH_BYTES} bytes long; get a new proof")
