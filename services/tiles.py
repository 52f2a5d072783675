"""The log as static files for third parties, and its monitor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from ingest.errors import InputError, ServerError
from mrv.errors import LogError, MrvError, SignatureError
from mrv.log import NoteKey, Tiles, bundle_paths, files, read_bundle, signature_lines
from mrv.log.entries import Checkpoint, verify_checkpoint
from mrv.signatures.merkle_tree import CompactRange, leaf_hash, root_hash, verify_consistency

# maximum size of a bundle of the longest entries; hashes are far shorter [bytes]
_LONGEST = 256 * (2 + 0xFFFF)
_TIMEOUT_S = 30.0
_OK, _MISSING = 200, (404, 410)
CHECKPOINT = "checkpoint"


class Source(Protocol):
    """Reads files of a log by their paths."""

    def get(self, path: str) -> bytes | None:
        """Return a file; None if missing."""


def tile(source: Source, path: str, full: str) -> bytes:
    """
    Return the bytes of a tile, or of the full tile that replaced it.

    `path`: path of a partial or full tile.  `full`: path of the full tile.
    Raises InputError if neither exists.
    """
    result = source.get(path)
    if result is None and path != full:
        result = source.get(full)
    if result is None:
        raise InputError(f"the log has no {path}; its operator must publish it")
    return result


class Folder:
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, path: str) -> bytes | None:
        """Return a file, or None where missing."""
        place = self._folder / path
        return place.read_bytes() if place.is_file() else None


class Web:
    """
    Files below a URL; redirects are not followed, so only the named server is asked.

    `url`: URL of the folder with `checkpoint`.
    """

    def __init__(self, url: str) -> None:
        import httpx  # noqa: PLC0415 - an extra; folders are read without it

        self._error = httpx.HTTPError
        try:
            self._http = httpx.Client(base_url=url.rstrip("/") + "/", timeout=_TIMEOUT_S)
        except (httpx.InvalidURL, ValueError) as error:
            raise InputError(f"{url} is not a URL: {error}; correct it") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str) -> bytes | None:
        """
        Return a file; None if missing.

        Raises ServerError if the server does not answer, or answers with something else or too
        much.
        """
        try:
            with self._http.stream("GET", path) as answer:
                if answer.status_code in _MISSING:
                    return None
                if answer.status_code != _OK:
                    raise ServerError(f"{answer.url} answers {answer.status_code}; try again later")
                content = bytearray()
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > _LONGEST:
                        raise ServerError(
                            f"{answer.url} is longer than any file of a log; check the "
                            "address of the log"
                        )
                return bytes(content)
        except self._error as error:
            raise ServerError(f"{path} of the log cannot be read: {error}; try again") from error


@dataclass(frozen=True, slots=True)
class Published:
    """Result of publishing: entries below the head, files written, and unchanged files."""

    size: int
    written: int
    kept: int


def publish(
    folder: Path, note: str, entries: Sequence[bytes], leaves: Sequence[bytes]
) -> Published:
    """
    Update a folder to a signed head, and return the result.

    `note`: the signed head.
    `entries`, `leaves`: the log's entries and their leaf hashes; those beyond the head are ignored.
    Raises LogError if the entries differ from the head, or the folder has another log.
    """
    head = _head(note)
    entries, leaves = entries[: head.size], leaves[: head.size]
    if len(leaves) != head.size or root_hash(leaves) != head.root:
        raise LogError(
            f"the log's entries do not match its head over {head.size} entries; audit the log"
        )
    _extend(folder / CHECKPOINT, head, leaves)
    written = kept = 0
    for path, content in files(entries, leaves):
        place = folder / path
        if place.is_file():
            if place.read_bytes() != content:
                raise LogError(
                    f"{place} belongs to another log or is damaged; publish to a new folder"
                )
            kept += 1
            continue
        _write(place, content)
        written += 1
    _write(folder / CHECKPOINT, note.encode())
    return Published(head.size, written, kept)


def _head(note: str) -> Checkpoint:
    return Checkpoint.from_text(signature_lines(note)[0])


def _extend(place: Path, head: Checkpoint, leaves: Sequence[bytes]) -> None:
    if not place.is_file():
        return
    before = _head(place.read_text(encoding="utf-8"))
    if before.size > head.size or root_hash(leaves[: before.size]) != before.root:
        raise LogError(
            f"{place} is a head over {before.size} entries that is not part of this log's history; "
            "`tonne log audit --checkpoint` with it shows details"
        )


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f"{place.name}.new")
    try:
        fresh.write_bytes(content)
        fresh.replace(place)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


_STATE = "state.json"
_CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Seen:
    """Last valid signed head, and its tree."""

    note: str
    head: Checkpoint
    tree: CompactRange


def place(home: Path, key: NoteKey) -> Path:
    """Return the folder of a log, by its key."""
    return home / "monitor" / hashlib.sha256(key.vkey.encode()).hexdigest()[:16]


def load(folder: Path, key: NoteKey) -> Seen | None:
    """
    Return the last state; None before the first round.

    Raises InputError if the file is damaged.
    """
    file = folder / _STATE
    if not file.exists():
        return None
    try:
        stored = json.loads(file.read_bytes())
        head = verify_checkpoint(stored["note"], key)
        tree = CompactRange(head.size, map(bytes.fromhex, stored["nodes"]))
    except (ValueError, KeyError, TypeError, MrvError) as error:
        raise InputError(f"{file} is damaged: {error}; restore it from a backup") from error
    if tree.root() != head.root:
        raise InputError(
            f"{file} is damaged: its tree does not match its head; restore the file from a backup"
        )
    return Seen(stored["note"], head, tree)


def save(folder: Path, note: str, tree: CompactRange) -> None:
    """Store a valid head, and its tree."""
    state = {"note": note, "nodes": [node.hex() for node in tree.nodes]}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = folder / f"{_STATE}.new"
    fresh.write_text(json.dumps(state, indent=2), encoding="utf-8")
    fresh.replace(folder / _STATE)


def evidence(folder: Path, *notes: str) -> list[Path]:
    """Store contradicting signed heads as evidence; return their files."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = []
    for note in notes:
        name = hashlib.sha256(note.encode()).hexdigest()[:16]
        file = folder / f"contradiction-{name}.txt"
        file.write_text(note, encoding="utf-8")
        paths.append(file)
    return paths


@dataclass(slots=True)
class Report:
    """
    Result of a monitoring round.

    `origin`, `size`: the log, and the entries of its current head.
    `before`: entries of the last head seen here.
    `entries`: entries that name a watched statement or project: index and body.
    `ahead`: sizes of others' heads that the log has not reached.
    `contradiction`: reason for no longer trusting the log.
    `evidence`: files with the contradicting heads.
    """

    origin: str
    size: int
    before: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)
    ahead: list[int] = field(default_factory=list)
    contradiction: str | None = None
    evidence: list[Path] = field(default_factory=list)


def follow(
    source: Source,
    keys: Sequence[NoteKey],
    home: Path,
    watched: Sequence[str] = (),
    others: Sequence[str] = (),
) -> Report:
    """
    Run one monitoring round and return its result.

    `keys`: keys of the log, obtained independently.
    `home`: folder of the state.
    `watched`: names of statements or projects.
    `others`: signed heads received by others.
    Raises InputError, LogError, SignatureError or ServerError if the log cannot be read, or its
    head has no valid signature; that is not a contradiction.
    """
    raw = source.get(_CHECKPOINT)
    if raw is None:
        raise InputError("there is no checkpoint; pass the folder or URL that contains it")
    note = _text(raw)
    key, head = _verified(note, keys)
    folder = place(home, key)
    seen = load(folder, key)
    report = Report(head.origin, head.size, seen.head.size if seen else 0)
    tiles = Tiles(head.size, lambda path, full: tile(source, path, full))
    heads = [(seen.note, seen.head)] if seen else []
    heads += [(other, _verified(other, keys)[1]) for other in others]
    for at, (other, earlier) in enumerate(heads):
        if earlier.size > head.size and not (seen and at == 0):
            report.ahead.append(earlier.size)
            continue
        what = _contradicts(head, earlier, tiles)
        if what is not None:
            report.contradiction = what
            report.evidence = evidence(folder, other, note)
            return report
    tree = seen.tree if seen else CompactRange()
    for index, entry in _entries(source, tree.size, head.size):
        tree.append(leaf_hash(entry))
        if (body := _named(entry, watched)) is not None:
            report.entries.append({"index": index, "entry": body})
    if tree.root() != head.root:
        raise LogError(
            f"the entries that {head.origin} serves do not lead to its signed head over "
            f"{head.size}: its bundles are damaged or differ from those that it signed"
        )
    save(folder, note, tree)
    return report


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise SignatureError(
            f"the checkpoint is not text: {error}; check the address of the log"
        ) from error


def _verified(note: str, keys: Sequence[NoteKey]) -> tuple[NoteKey, Checkpoint]:
    origin = Checkpoint.from_text(signature_lines(note)[0]).origin
    for key in keys:
        if key.name == origin:
            return key, verify_checkpoint(note, key)
    known = ", ".join(key.name for key in keys) or "none"
    raise SignatureError(f"no key of log {origin!r} is given; given: {known}")


def _contradicts(head: Checkpoint, earlier: Checkpoint, tiles: Tiles) -> str | None:
    """Return why two heads cannot be of one log; None if one continues the other."""
    if earlier.size > head.size:
        return (
            f"the log shows {head.size} entries and showed {earlier.size} here before: entries"
            " were removed, or an old copy is served; repeat the request, also over another"
            " connection"
        )
    if not earlier.size:
        return None
    if earlier.size == head.size:
        root = head.root
    else:
        # the root of the earlier size is valid only if the same tiles also give the signed root
        root = tiles.root(earlier.size)
        proof = tiles.consistency_proof(earlier.size)
        verify_consistency(earlier.size, head.size, proof, root, head.root)
    if root == earlier.root:
        return None
    return (
        f"two signed heads belong to different histories: over {earlier.size} and over"
        f" {head.size} entries"
    )


def _entries(source: Source, begin: int, size: int) -> Iterator[tuple[int, bytes]]:
    for first, width, path, full in bundle_paths(begin, size):
        entries = read_bundle(tile(source, path, full), width)
        yield from ((i, entry) for i, entry in enumerate(entries, first) if i >= begin)


def _named(entry: bytes, watched: Sequence[str]) -> dict[str, Any] | None:
    """
    Return the body (JSON object) of a log entry if its statement or project is in `watched`, else
    None.
    """
    if not watched:
        return None
    try:
        body = json.loads(entry)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    return body if {body.get("statement"), body.get("project")} & set(watched) else None
