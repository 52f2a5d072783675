"""Merkle tree hash of RFC 6962."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.errors import LogError
from mrv.signatures.merkle_tree import EMPTY_ROOT, CompactRange, leaf_hash, node_hash, root_hash

CONSISTENCY = Path(__file__).parents[1] / "vectors/merkle_consistency.jsonl"
# Entries of the reference tree that Certificate Transparency implementations share.
ENTRIES = [
    bytes.fromhex(text)
    for text in [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
]


def test_reference_roots() -> None:
    """No one else's software could recompute the root of our log."""
    vectors = map(json.loads, CONSISTENCY.read_text().splitlines())
    vector = next(one for one in vectors if one["name"] == "1/happy-path")
    leaves = [leaf_hash(entry) for entry in ENTRIES]
    assert root_hash(leaves) == base64.b64decode(vector["root2"])
    assert root_hash(leaves[:1]) == base64.b64decode(vector["root1"])
    assert (
        root_hash([])
        == EMPTY_ROOT
        == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )


def _recursive(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY_ROOT
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(_recursive(leaves[:split]), _recursive(leaves[split:]))


@given(st.integers(0, 70), st.data())
def test_appending_gives_the_root_of_the_definition(size: int, data: st.DataObject) -> None:
    """The log's root after a restart would differ from the one over all its entries."""
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    stop = data.draw(st.integers(0, size))
    tree = CompactRange()
    for leaf in leaves[:stop]:
        tree.append(leaf)
    stored = CompactRange(tree.size, tree.nodes)
    for leaf in leaves[stop:]:
        stored.append(leaf)
    assert stored.size == size
    assert stored.root() == root_hash(leaves) == _recursive(leaves)
    assert len(stored.nodes) == size.bit_count()


@pytest.mark.parametrize(("size", "nodes"), [(0, 1), (3, 1), (4, 2), (-1, 0)])
def test_damaged_state_is_refused(size: int, nodes: int) -> None:
    """A log would go on from a half-written state and contradict its own checkpoints."""
    with pytest.raises(LogError, match="perfect subtrees"):
        CompactRange(size, [EMPTY_ROOT] * nodes)
