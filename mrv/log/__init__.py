"""
The transparency log: signed notes, entries, checkpoints, inclusion and consistency proofs.

Signed notes (c2sp.org/signed-note): signed text for people and programs.

    text lines
    (an empty line)
    — key name base64(key id || signature)

A key is identified by its name and a 4-byte id; lines of unknown keys are ignored, because other
parties may countersign.  A line of a known key must verify.

Published keys of logs and witnesses: `name+id+base64(type, key)` (C2SP vkey).

The type of a key determines what is signed:

    0x01    the note's text, Ed25519 (c2sp.org/signed-note)
    0x04    time and text of a checkpoint, Ed25519 (c2sp.org/tlog-cosignature)
    0x06    time, origin, size and root of a checkpoint, ML-DSA-44 (the same)

ML-DSA-44 (FIPS 204) resists quantum computers; `cryptography` has it since version 48.  A secret
key is its seed.

The log as static files (c2sp.org/tlog-tiles), from which every root and proof can be calculated:

    checkpoint                   the signed head
    tile/L/N[.p/W]               256 hashes of level L, each the root of 256^L entries
    tile/entries/N[.p/W]         the entries, 256 per bundle

N is written in groups of three digits, `x001/x234/067`.  A tile never changes; one with fewer than
256 hashes has its width W in its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from mrv.errors import CanonicalError, LogError, SignatureError
from mrv.signatures import ed25519
from mrv.signatures.canonical import sha256
from mrv.signatures.ed25519 import decode_base64, encode_base64
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import EMPTY_ROOT, HASH_BYTES, check_sizes, node_hash, root_hash

_ED25519 = b"\x01"  # signature type of the note format
DASH = "\N{EM DASH} "
_ID_BYTES = 4
_MAX_SIGNATURES = 64
NOTE, COSIGNATURE, ML_DSA_COSIGNATURE = 0x01, 0x04, 0x06
WITNESS_TYPES = (COSIGNATURE, ML_DSA_COSIGNATURE)
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class NoteKey:
    """
    A public key that may sign notes under a name.

    `name`: like `example.com/log`: no blanks, no plus.
    `public`: Ed25519 public key; weak keys are rejected.
    """

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(_blank(char) for char in self.name):
            raise SignatureError(
                f"key name {self.name!r} is empty or contains a blank or a plus; choose "
                "another name"
            )
        ed25519.check_public_key(self.public)

    @property
    def key_id(self) -> bytes:
        """Return the first 4 bytes of SHA-256(name, newline, type, key)."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public)[:_ID_BYTES]

    @property
    def vkey(self) -> str:
        """Return the text to publish: `name+id+key`."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(_ED25519 + self.public)}"


def parse_vkey(vkey: str) -> NoteKey:
    """
    Return the key of the text `name+id+key`.

    Raises SignatureError if it is not an Ed25519 vkey or its id is not that of the key.
    """
    name, _, rest = vkey.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        raw = decode_base64(encoded)
    except CanonicalError as error:
        raise SignatureError(
            f"vkey {vkey!r} cannot be read: {error}; copy the whole vkey again"
        ) from error
    if raw[:1] != _ED25519:
        raise SignatureError(f"vkey {vkey!r} is not an Ed25519 key; copy it again")
    key = NoteKey(name, raw[1:])
    if key.key_id.hex() != key_id:
        raise SignatureError(
            f"vkey {vkey!r} has the id {key_id}, but its key has {key.key_id.hex()}; copy the "
            "whole vkey again"
        )
    return key


def sign_note(text: str, name: str, key: SigningKey) -> str:
    """
    Return a signed text that ends with a newline, under a key name.

    Raises SignatureError if the text or name is not valid in a note.
    """
    _check_text(text)
    signature = NoteKey(name, key.public).key_id + key.sign(text.encode())
    return f"{text}\n{DASH}{name} {encode_base64(signature)}\n"


def verify_note(note: str, *known: NoteKey) -> str:
    """
    Return the text of a note signed by a known key.

    `note`: text, empty line, signature lines.
    `known`: accepted keys; at least one must have signed.
    Raises SignatureError if the note is malformed, a known key's signature is wrong, or no known
    key signed.
    """
    text, lines = _split(note)
    signed = False
    for line in lines:
        name, key_id, signature = _signature(line)
        for key in known:
            if (key.name, key.key_id) != (name, key_id):
                continue
            if not ed25519.verifies(key.public, signature, text.encode()):
                raise SignatureError(
                    f"signature of {name} does not match this note, which was changed; get the "
                    "note again"
                )
            signed = True
    if not signed:
        raise SignatureError(
            f"note is not signed by {', '.join(key.name for key in known)}; trust the key of "
            "its log, or get the note of the right log"
        )
    return text


def signature_lines(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """
    Return the text of a note, with name and raw bytes of each signature line, unverified.

    Raises SignatureError if it is not a note.
    """
    text, lines = _split(note)
    return text, [(name, key_id + rest) for name, key_id, rest in map(_signature, lines)]


def _split(note: str) -> tuple[str, list[str]]:
    head, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise SignatureError("note has no signature lines after an empty line; download it again")
    _check_text(head + "\n")
    lines = tail[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise SignatureError(
            f"note has {len(lines)} signatures; remove all but {_MAX_SIGNATURES} of them"
        )
    return head + "\n", lines


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, gap, encoded = line.removeprefix(DASH).partition(" ")
    if not line.startswith(DASH) or not name or not gap:
        raise SignatureError(f"note line {line[:40]!r} is not a signature; download the note again")
    try:
        raw = decode_base64(encoded)
    except CanonicalError as error:
        raise SignatureError(
            f"signature of {name} cannot be read: {error}; download the note again"
        ) from error
    if len(raw) <= _ID_BYTES:
        raise SignatureError(f"signature of {name} is too short; download the note again")
    return name, raw[:_ID_BYTES], raw[_ID_BYTES:]


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(char < " " and char != "\n" for char in text):
        raise SignatureError("note text must end with a newline and contain no control characters")


def _blank(char: str) -> bool:
    return char.isspace() or char < " "


@dataclass(frozen=True, slots=True)
class Vkey:
    """
    A public key of a log or a witness.

    `name`: like `witness.example/w1`: no blanks, no plus, 255 bytes at most.
    `kind`: signature type.
    `public`: Ed25519 (32 bytes; weak keys are rejected) or ML-DSA-44 (1,312 bytes).
    """

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        if (
            not 1 <= len(self.name.encode("utf-8", "surrogateescape")) <= _LONGEST_NAME
            or "+" in self.name
            or any(char.isspace() or char < " " for char in self.name)
        ):
            raise SignatureError(
                f"key name {self.name!r} is empty, too long, or contains a blank or a plus; "
                "choose another name"
            )
        if self.kind == ML_DSA_COSIGNATURE:
            if len(self.public) != ML_DSA_KEY_BYTES:
                raise SignatureError(
                    f"the key of {self.name} has {len(self.public)} bytes, but a key of "
                    f"ML-DSA-44 has {ML_DSA_KEY_BYTES}; copy it again"
                )
        elif self.kind in (NOTE, COSIGNATURE):
            ed25519.check_public_key(self.public)
        else:
            raise SignatureError(
                f"the key of {self.name} is of type {self.kind:#04x}; supported types "
                "are 0x01, 0x04 and 0x06"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the key from its published text.

        Raises SignatureError if it is not a vkey of a known type, or its id is not that of the key.
        """
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = decode_base64(encoded)
        except CanonicalError as error:
            raise SignatureError(
                f"vkey {text[:80]!r} cannot be read: {error}; copy the whole vkey again"
            ) from error
        if not raw:
            raise SignatureError(f"vkey {text[:80]!r} is not name+id+key; copy it again")
        key = cls(name, raw[0], raw[1:])
        if key.key_id.hex() != key_id:
            raise SignatureError(
                f"vkey of {name} has the id {key_id[:16]}, but its key has {key.key_id.hex()}; "
                "copy the whole vkey again"
            )
        return key

    @property
    def key_id(self) -> bytes:
        """Return the first 4 bytes of SHA-256(name, newline, type, key)."""
        name = self.name.encode("utf-8", "surrogateescape")
        return sha256(name + b"\n" + bytes([self.kind]) + self.public)[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"


ML_DSA_KEY_BYTES = 1312
_SEED_BYTES = 32
_SIGNATURE_BYTES = 2420
_LACKS_ML_DSA = (
    "this build of `cryptography` has no ML-DSA-44; install 48 or later as a wheel, which brings"
    " its own OpenSSL"
)


class MlDsaKey:
    """
    A secret ML-DSA-44 key; printing does not show it.

    `seed`: 32 bytes.
    Raises SignatureError if the seed has another length, or the library lacks the algorithm.
    """

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != _SEED_BYTES:
            raise SignatureError(
                f"a seed of ML-DSA-44 has {_SEED_BYTES} bytes, not {len(seed)}; copy the "
                "whole seed again"
            )
        try:
            self._private = MLDSA44PrivateKey.from_seed_bytes(seed)
        except UnsupportedAlgorithm as error:
            raise SignatureError(_LACKS_ML_DSA) from error
        self.public = self._private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """Return a new key from the operating system's randomness."""
        try:
            return cls(MLDSA44PrivateKey.generate().private_bytes_raw())
        except UnsupportedAlgorithm as error:
            raise SignatureError(_LACKS_ML_DSA) from error

    def sign(self, message: bytes) -> bytes:
        """Return the signature of the message, without a context; 2,420 bytes."""
        return self._private.sign(message)


def ml_dsa_verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """
    Return whether the secret key of this public key signed the message.

    Raises SignatureError if the key has another length, or the library lacks the algorithm.
    """
    if len(public) != ML_DSA_KEY_BYTES:
        raise SignatureError(
            f"a key of ML-DSA-44 has {ML_DSA_KEY_BYTES} bytes, not {len(public)}; copy the whole"
            " key again"
        )
    if len(signature) != _SIGNATURE_BYTES:
        return False
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except UnsupportedAlgorithm as error:
        raise SignatureError(_LACKS_ML_DSA) from error
    except (InvalidSignature, ValueError):
        return False
    return True


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

    `entries`: all entries of the checkpoint.
    `leaves`: their leaf hashes.
    Raises LogError if an entry is longer than a bundle permits.
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
        First entry of the bundle, number of its entries, its path, and its path once it is full.
    """
    for index in range(begin // WIDTH, -(-size // WIDTH)):
        width = min(WIDTH, size - index * WIDTH)
        yield (index * WIDTH, width, tile_path(ENTRIES, index, width), tile_path(ENTRIES, index))


def read_bundle(content: bytes, width: int) -> list[bytes]:
    """
    Return the first `width` entries of a bundle.

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
        self._fetched: dict[tuple[int, int], bytes] = {}

    def consistency_proof(self, earlier: int) -> list[bytes]:
        """
        Return the hashes that prove that the first `earlier` entries are unchanged (RFC 9162,
        2.1.4.1).

        Raises LogError if the earlier size is 0 or above this one, or a tile is damaged.
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
        """Return the root of the first `size` entries (by default of all), 32 bytes."""
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
        if (level, index) not in self._fetched:
            width = min(WIDTH, (self.size >> (_HEIGHT * level)) - index * WIDTH)
            path = tile_path(level, index, width)
            content = self._fetch(path, tile_path(level, index))[: width * HASH_BYTES]
            if len(content) != width * HASH_BYTES:
                raise LogError(
                    f"{path} has {len(content)} bytes instead of {width * HASH_BYTES};"
                    f" download it again"
                )
            self._fetched[level, index] = content
        return self._fetched[level, index]


def _middle(begin: int, end: int) -> int:
    """
    Return the index at which a subtree is split: `begin` plus the largest power of two below its
    length.
    """
    return begin + (1 << ((end - begin - 1).bit_length() - 1))
