"""Where a log's tiles are read: a folder, or any web server."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from ingest.errors import InputError, ServerError

# a bundle of the longest entries; hashes are far shorter
_LONGEST = 256 * (2 + 0xFFFF)
_TIMEOUT_S = 30.0
_OK, _MISSING = 200, (404, 410)


class Source(Protocol):
    """Reads files of a log by their paths."""

    def get(self, path: str) -> bytes | None:
        """Return a file, or None where it is not there."""


def tile(source: Source, path: str, full: str) -> bytes:
    """
    Return a tile, or the full one that took its place since.

    Raises
    ------
    InputError
        If neither is there.
    """
    found = source.get(path)
    if found is None and path != full:
        found = source.get(full)
    if found is None:
        raise InputError(f"the log has no {path}; its operator has to publish it")
    return found


class Folder:
    """Files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, path: str) -> bytes | None:
        """Return a file, or None where it is not there."""
        place = self._folder / path
        return place.read_bytes() if place.is_file() else None


class Web:
    """
    Files below a URL; redirects are not followed, so that only the named server is asked.

    Parameters
    ----------
    url : str
        Of the folder in which `checkpoint` is.
    """

    def __init__(self, url: str) -> None:
        import httpx  # noqa: PLC0415 - an extra; folders are read without it

        self._error = httpx.HTTPError
        try:
            self._http = httpx.Client(base_url=url.rstrip("/") + "/", timeout=_TIMEOUT_S)
        except (httpx.InvalidURL, ValueError) as error:
            raise InputError(f"{url} is no URL: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str) -> bytes | None:
        """
        Return a file, or None where it is not there.

        Raises
        ------
        ServerError
            If the server does not answer, answers otherwise, or with more than a log's file.
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
                        raise ServerError(f"{answer.url} is longer than any file of a log")
                return bytes(content)
        except self._error as error:
            raise ServerError(f"{path} of the log cannot be read: {error}; ask again") from error
