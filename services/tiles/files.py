"""
Static files (tiles) of a log: published into a folder, read from a folder or web server.

A full tile is written once.  A folder whose files contradict the log, or whose checkpoint the log
does not continue, is not changed. The checkpoint is written last, so that readers always find its
tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from ingest.errors import InputError, ServerError
from mrv.errors import LogError
from mrv.log.note import signature_lines
from mrv.log.receipt import Checkpoint
from mrv.log.tiles import files
from mrv.signatures.merkle_tree import root_hash

# a bundle of the longest entries; hashes are far shorter
_LONGEST = 256 * (2 + 0xFFFF)
_TIMEOUT_S = 30.0
_OK, _MISSING = 200, (404, 410)
CHECKPOINT = "checkpoint"


class Source(Protocol):
    """Reads files of a log by their paths."""

    def get(self, path: str) -> bytes | None:
        """
        Return a tile, or the full tile that replaced it.

        Raises
        ------
        InputError
            If neither exists.
        """


def tile(source: Source, path: str, full: str) -> bytes:
    """
    Return a tile, or the full tile that replaced it.

    Raises
    ------
    InputError
        If neither is there.
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

    Parameters
    ----------
    url : str
        URL of the folder with `checkpoint`.
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

        Raises
        ------
        ServerError
            If the server does not answer, or answers with something else or too much.
        """
        try:
            with self._http.stream("GET", path) as answer:
                if answer.status_code in _MISSING:
                    return None
                if answer.status_code != _OK:
                    raise ServerError(f"{answer.url} answers {answer.status_code}; ask again later")
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
            raise ServerError(f"{path} of the log cannot be read: {error}; ask again") from error


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

    Parameters
    ----------
    note : str
        The signed head.
    entries, leaves : sequence of bytes
        The log's entries and their leaf hashes; those beyond the head are ignored.

    Raises
    ------
    LogError
        If the entries differ from the head, or the folder has another log.
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
