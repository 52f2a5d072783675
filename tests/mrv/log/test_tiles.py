"""The log as tiles: paths, bundles, and the roots and proofs calculated from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.errors import LogError
from mrv.log import Tiles, bundle_paths, files, read_bundle, tile_path
from mrv.signatures.merkle_tree import (
    EMPTY_ROOT,
    consistency_proof,
    leaf_hash,
    root_hash,
    verify_consistency,
)
from tests.transparency import HOME, needs_judge

ENTRIES = [f"entry {i}".encode() for i in range(1_000)]
LEAVES = [leaf_hash(one) for one in ENTRIES]


def tiles_of(size, held=None):
    held = dict(files(ENTRIES[:size], LEAVES[:size])) if held is None else held
    return Tiles(size, lambda path, _: held[path])


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (1, 0, 3, "tile/1/000.p/3"),
        ("entries", 3, 232, "tile/entries/003.p/232"),
        (0, 1_234_067, 256, "tile/0/x001/x234/067"),
        (0, 1_000, 1, "tile/0/x001/000.p/1"),
    ],
)
def test_paths_are_those_of_the_specification(level, index, width, path):
    """No reader of another maker would find a tile."""
    assert tile_path(level, index, width) == path


@needs_judge
def test_files_are_those_that_another_implementation_wrote():
    """Our log could be read by ourselves alone."""
    sample = HOME / "sample-log"
    theirs = {
        f"{one.relative_to(sample)}": one.read_bytes()
        for one in (sample / "tile").rglob("*")
        if one.is_file()
    }
    assert dict(files(ENTRIES, LEAVES)) == theirs


@given(st.integers(0, 1_000), st.integers(1, 1_000))
def test_proofs_from_tiles_are_those_from_the_leaves(one, other):
    """A monitor would call an honest log a liar, or a liar honest."""
    earlier, later = sorted((max(one, 1), other))
    tiles = tiles_of(later)
    assert tiles.root() == root_hash(LEAVES[:later])
    assert tiles.root(earlier) == root_hash(LEAVES[:earlier])
    proof = tiles.consistency_proof(earlier)
    assert proof == consistency_proof(earlier, LEAVES[:later])
    verify_consistency(earlier, later, proof, tiles.root(earlier), tiles.root())


def test_a_big_log_has_tiles_of_three_levels():
    """A city's log would stop at 65,536 entries."""
    size = 256 * 256 + 300
    entries = [b""] * size
    leaves = [leaf_hash(b"")] * size
    held = dict(files(entries, leaves))
    assert {"tile/2/000.p/1", "tile/1/001.p/1", "tile/0/257.p/44", "tile/1/000"} <= held.keys()
    tiles = tiles_of(size, held)
    assert tiles.root() == root_hash(leaves)
    assert tiles.consistency_proof(65_537) == consistency_proof(65_537, leaves)


def test_the_empty_log_has_no_tiles():
    """A monitor that begins before the first seal would fail."""
    assert list(files([], [])) == []
    assert tiles_of(0).root() == EMPTY_ROOT
    assert list(bundle_paths(0, 0)) == []


def test_bundles_hold_their_entries():
    """An entry that is cut would be hashed as another one."""
    held = dict(files(ENTRIES, LEAVES))
    found = []
    for _, width, path, _ in bundle_paths(0, 1_000):
        found += read_bundle(held[path], width)
    assert found == ENTRIES
    assert [row[0] for row in bundle_paths(511, 1_000)] == [256, 512, 768]
    whole = held["tile/entries/000"]
    assert read_bundle(whole, 3) == ENTRIES[:3]
    for cut in (whole[:-1], whole[:1], b"", whole[:3]):
        with pytest.raises(LogError, match="ends after"):
            read_bundle(cut, 256)


def test_an_entry_that_is_too_long_is_named():
    """
    A too long entry would be written with another length, and
    readers would lose their position.
    """
    long = b"x" * 65_535
    assert dict(files([long], [leaf_hash(long)]))["tile/entries/000.p/1"][2:] == long
    with pytest.raises(LogError, match="entry 1 has 65536 bytes"):
        list(files([b"", long + b"x"], [leaf_hash(b"")] * 2))


def test_a_cut_tile_is_named():
    """A disk error would be taken for a rewritten log."""
    held = dict(files(ENTRIES, LEAVES))
    held["tile/0/003.p/232"] = held["tile/0/003.p/232"][:-1]
    with pytest.raises(LogError, match="instead of 7424; download"):
        tiles_of(1_000, held).root()
