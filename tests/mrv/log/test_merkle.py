"""Merkle tree hash of RFC 6962, and proofs of inclusion and consistency."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.errors import LogError
from mrv.signatures.merkle_tree import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.every import every

VECTORS = Path(__file__).parents[2] / "vectors"
INCLUSION, CONSISTENCY = (
    [json.loads(line) for line in (VECTORS / f"merkle_{kind}.jsonl").read_text().splitlines()]
    for kind in ("inclusion", "consistency")
)
LEAVES = [leaf_hash(bytes([number])) for number in range(64)]


def _hash(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def _proof(vector: dict[str, Any]) -> list[bytes]:
    return [_hash(text) for text in vector["proof"] or []]


def _holds(verify: Any, *arguments: Any) -> bool:
    try:
        verify(*arguments)
    except LogError:
        return False
    return True


def test_official_inclusion() -> None:
    """A receipt would be accepted for a statement that was never logged."""

    @every(INCLUSION)
    def _(vector: dict[str, Any]) -> None:
        held = _holds(
            verify_inclusion,
            vector["leafIdx"],
            vector["treeSize"],
            _hash(vector["leafHash"]),
            _proof(vector),
            _hash(vector["root"]),
        )
        assert held is not vector["wantErr"], vector["desc"]


def test_official_consistency() -> None:
    """The operator could rewrite the log between two checkpoints."""

    @every(CONSISTENCY)
    def _(vector: dict[str, Any]) -> None:
        held = _holds(
            verify_consistency,
            vector["size1"],
            vector["size2"],
            _proof(vector),
            _hash(vector["root1"]),
            _hash(vector["root2"]),
        )
        assert held is not vector["wantErr"], vector["desc"]


@given(st.integers(1, 64), st.data())
def test_made_inclusion_proofs_hold_for_their_leaf_only(size: int, data: st.DataObject) -> None:
    """A statement in the log could not be shown to be there, or another could in its place."""
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    leaves = LEAVES[:size]
    proof = inclusion_proof(index, leaves)
    assert len(proof) <= (size - 1).bit_length()
    verify_inclusion(index, size, leaves[index], proof, root_hash(leaves))
    assert _holds(verify_inclusion, index, size, leaves[other], proof, root_hash(leaves)) is (
        other == index
    )


@given(st.integers(1, 64), st.data())
def test_made_consistency_proofs_hold_for_their_sizes_only(later: int, data: st.DataObject) -> None:
    """An honest log could not show that it only grew, or a rewritten one could."""
    earlier = data.draw(st.integers(1, later))
    proof = consistency_proof(earlier, LEAVES[:later])
    old, new = root_hash(LEAVES[:earlier]), root_hash(LEAVES[:later])
    verify_consistency(earlier, later, proof, old, new)
    rewritten = [leaf_hash(b"x"), *LEAVES[1:later]]
    assert not _holds(
        verify_consistency,
        earlier,
        later,
        consistency_proof(earlier, rewritten),
        old,
        root_hash(rewritten),
    )


@pytest.mark.parametrize("size", [0, 5])
def test_no_consistency_from_nothing_or_from_the_future(size: int) -> None:
    """An empty checkpoint would be taken as proof of a whole history."""
    with pytest.raises(LogError, match="earlier tree must have at least 1 leaf"):
        consistency_proof(size, LEAVES[:4])
    with pytest.raises(LogError, match="earlier tree must have at least 1 leaf"):
        verify_consistency(size, 4, [], LEAVES[0], LEAVES[0])


@pytest.mark.parametrize("index", [-1, 4])
def test_no_inclusion_of_what_is_not_there(index: int) -> None:
    """A receipt for a place beyond the log would be made or accepted."""
    with pytest.raises(LogError, match=f"no leaf {index} in a tree of 4"):
        inclusion_proof(index, LEAVES[:4])
    with pytest.raises(LogError, match=f"no leaf {index} in a tree of 4"):
        verify_inclusion(index, 4, LEAVES[0], [], LEAVES[0])


def test_hashes_of_wrong_length_are_refused() -> None:
    """Concatenated hashes could replace others with the same bytes."""
    with pytest.raises(LogError, match="32 bytes"):
        verify_inclusion(0, 2, LEAVES[0], [LEAVES[1] + b"x"], LEAVES[0])
    with pytest.raises(LogError, match="32 bytes"):
        verify_consistency(1, 2, [b""], LEAVES[0], LEAVES[0])


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
    vector = next(one for one in CONSISTENCY if one["name"] == "1/happy-path")
    leaves = [leaf_hash(entry) for entry in ENTRIES]
    assert root_hash(leaves) == base64.b64decode(vector["root2"])
    assert root_hash(leaves[:1]) == base64.b64decode(vector["root1"])
    assert (
        root_hash([])
        == EMPTY_ROOT
        == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )


def _recursive(leaves: list[bytes]) -> bytes:
    """Return the hash by the definition of RFC 6962, section 2.1, implemented literally."""
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
