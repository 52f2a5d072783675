"""
The log as static files that never change (c2sp.org/tlog-tiles).

    checkpoint                   the signed head
    tile/L/N[.p/W]               256 hashes of level L, each the root of 256^L entries
    tile/entries/N[.p/W]         the entries, 256 per bundle

N is written in groups of three digits, `x001/x234/067`.  A full tile never changes; a partial one
has its width W in its name and never changes either.  Every root and proof can be calculated from
the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mrv.errors import LogError
from mrv.signatures.merkle_tree import EMPTY_ROOT, HASH_BYTES, check_sizes, node_hash, root_hash

WIDTH = 256
_HEIGHT = 8  # levels of the tree in one tile
_LENGTH_BYTES, _LONGEST = 2, 0xFFFF
ENTRIES = "entries"


def tile_path(level: int | str, index: int, width: int = WIDTH) -> str:
    """
    Return the path of a tile.

    `level`: level, or `entries` for a bundle.
    `index`: index of the tile in its level, from 0.
    `width`: hashes or entries in it, 1 to 256.
    """
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"


def files(entries: Sequence[bytes], leaves: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """
    Yield every tile and bundle of a log with its path: bundles first, then tiles by level.

    `entries`: all entries under the head.
    `leaves`: their leaf hashes.
    Raises LogError if an entry is longer than a bundle allows.
    """
    for index, begin in enumerate(range(0, len(entries), WIDTH)):
        part = entries[begin : begin + WIDTH]
        yield tile_path(ENTRIES, index, len(part)), _bundle(begin, part)
    level, hashes = 0, list(leaves)
    while hashes:
        parts = [hashes[begin : begin + WIDTH] for begin in range(0, len(hashes), WIDTH)]
        for index, row in enumerate(parts):
            yield tile_path(level, index, len(row)), b"".join(row)
        level, hashes = level + 1, [root_hash(row) for row in parts if len(row) == WIDTH]


def _bundle(begin: int, entries: Sequence[bytes]) -> bytes:
    for place, entry in enumerate(entries, begin):
        if len(entry) > _LONGEST:
            raise LogError(
                f"entry {place} has {len(entry)} bytes; a bundle has entries of at most {_LONGEST}"
            )
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def bundle_paths(begin: int, size: int) -> Iterator[tuple[int, int, str, str]]:
    """
    Yield the bundles that contain the entries from an index on.

    Yields
    ------
    tuple of int, int, str, str
        First entry of the bundle, entries in it, its path, and its path once it is full.
    """
    for index in range(begin // WIDTH, -(-size // WIDTH)):
        width = min(WIDTH, size - index * WIDTH)
        yield (index * WIDTH, width, tile_path(ENTRIES, index, width), tile_path(ENTRIES, index))


def read_bundle(content: bytes, width: int) -> list[bytes]:
    """
    Return the first entries of a bundle.

    Raises LogError if it contains fewer, or is truncated.
    """
    result: list[bytes] = []
    place = 0
    while len(result) < width:
        begin = place + _LENGTH_BYTES
        place = begin + int.from_bytes(content[place:begin], "big")
        if len(content) < max(begin, place):
            raise LogError(
                f"a bundle ends after {len(result)} of {width} entries; download it again"
            )
        result.append(content[begin:place])
    return result


class Tiles:
    """
    Roots and proofs of a log, from the required tiles.

    The results are only as reliable as the tiles: compare them with a signed root.

    `size`: size of the log.
    `fetch`: returns the bytes of a tile, by its path and by the path of the full tile.
    """

    def __init__(self, size: int, fetch: Callable[[str, str], bytes]) -> None:
        self.size = size
        self._fetch = fetch
        self._held: dict[tuple[int, int], bytes] = {}

    def consistency_proof(self, earlier: int) -> list[bytes]:
        """
        Return hashes that prove an earlier size unchanged in this log (RFC 9162, 2.1.4.1).

        Raises LogError if the earlier size is 0 or beyond this one, or a tile is damaged.
        """
        check_sizes(earlier, self.size)
        path: list[bytes] = []
        begin, end, whole = 0, self.size, True
        while earlier != end:
            middle = _middle(begin, end)
            if earlier <= middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(begin, middle))
                begin, whole = middle, False
        return ([] if whole else [self._root(begin, end)]) + path[::-1]

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first entries (of all by default), 32 bytes."""
        size = self.size if size is None else size
        return self._root(0, size) if size else EMPTY_ROOT

    def _root(self, begin: int, end: int) -> bytes:
        count = end - begin
        if count & (count - 1):
            middle = _middle(begin, end)
            return node_hash(self._root(begin, middle), self._root(middle, end))
        level, within = divmod(count.bit_length() - 1, _HEIGHT)
        first = begin >> (_HEIGHT * level)
        row = self._row(level, first // WIDTH)
        place = first % WIDTH * HASH_BYTES
        hashes = row[place : place + (HASH_BYTES << within)]
        return root_hash(hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))

    def _row(self, level: int, index: int) -> bytes:
        if (level, index) not in self._held:
            width = min(WIDTH, (self.size >> (_HEIGHT * level)) - index * WIDTH)
            path = tile_path(level, index, width)
            content = self._fetch(path, tile_path(level, index))[: width * HASH_BYTES]
            if len(content) != width * HASH_BYTES:
                raise LogError(
                    f"{path} has {len(content)} bytes instead of {width * HASH_BYTES};"
                    f" download it again"
                )
            self._held[level, index] = content
        return self._held[level, index]


def _middle(begin: int, end: int) -> int:
    """
    Return the split point of a subtree: `begin` plus the largest power of two below its
    length.
    """
    return begin + (1 << ((end - begin - 1).bit_length() - 1))
