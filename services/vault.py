"""
Storage of an archive, a folder or a bucket of an S3-compatible store, and its files.

A part is a file of readings with its manifest.

Errors:

    ServerError
      VaultError     the location cannot be reached, is full or refuses access: try again later
    InputError
      DamagedError   a file is not what was written: it must not be used

The manifest names the file's sealed day and the leaves of its devices in the log, so that the file
can be checked without a database.

A file appears completely or not at all: in a folder it is written under another name, forced to
disk, and renamed; an upload to a store is atomic.  Written files are read back.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from urllib.request import getproxies, proxy_bypass

from ingest.errors import InputError, ServerError
from mrv.calendar import utc_text
from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf

_CONNECT_S, _REQUEST_S, _ATTEMPTS = 5.0, 20.0, 2
_UNFINISHED = ".writing-"
_OPTIONS = frozenset({"endpoint_override", "scheme", "region", "timeout_s"})


class Place:
    """
    Files by name in a folder or bucket.

    `url`: an absolute path or `file://` URL of a folder, or `s3://bucket/prefix` with
    `?endpoint_override=host:port&scheme=http&region=..` for a store other than Amazon's, and
    `timeout_s` for a slow one.  Credentials come from the environment or the files that AWS tools
    read.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._folder = _folder_of(url)
        self._files: Any = _local(self._folder) if self._folder is not None else _bucket(url)

    def put(self, name: str, data: bytes) -> None:
        """Write a file; an existing one is replaced."""
        with self._usable(f"write {name}"):
            if self._folder is None:
                with self._files.open_output_stream(name) as out:
                    out.write(data)
            else:
                _write_whole(self._folder / name, data)

    def keep(self, name: str, data: bytes) -> None:
        """
        Write a file and read it back.

        Raises VaultError if the location cannot be used, or returns other bytes than were written.
        """
        self.put(name, data)
        back = self.find(name) or b""
        if back != data:
            raise VaultError(
                f"archive {self.url}: {name} was written with {len(data)} bytes but read back with "
                f"other content ({len(back)} bytes); the location is not reliable; nothing was "
                "deleted"
            )

    def get(self, name: str) -> bytes:
        """
        Return the content of a completely written file.

        Raises DamagedError if there is none.
        Raises VaultError if the location cannot be reached.
        """
        with self.open(name) as file, self._usable(f"read {name}"):
            return bytes(file.read())

    def open(self, name: str) -> Any:
        """Return a file opened for random access; errors as `get`."""
        with self._usable(f"open {name}"):
            try:
                return self._files.open_input_file(name)
            except FileNotFoundError:
                self._root()
                raise DamagedError(
                    f"archive {self.url}: {name} is missing; restore it from a copy of the "
                    "archive, `tonne archive verify` lists all faults"
                ) from None

    def find(self, name: str) -> bytes | None:
        """Return a complete file, None where there is none."""
        with self._usable(f"look for {name}"):
            try:
                with self._files.open_input_file(name) as file:
                    return bytes(file.read())
            except FileNotFoundError:
                return None

    def names(self) -> dict[str, int]:
        """Return the size of each complete file by name. [bytes]"""
        from pyarrow import fs  # noqa: PLC0415

        with self._usable("list files"):
            self._root()
            result = self._files.get_file_info(fs.FileSelector("", recursive=True))
        return {
            info.path: int(info.size)
            for info in result
            if info.type != fs.FileType.Directory and not info.base_name.startswith(_UNFINISHED)
        }

    def make(self) -> None:
        """Create the folder; a bucket must exist."""
        if self._folder is not None:
            with self._usable("make the folder"):
                self._folder.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Remove the remains of interrupted writes; no other writer may run."""
        if self._folder is not None:
            with self._usable("clear unfinished files"):
                for file in self._folder.rglob(f"{_UNFINISHED}*"):
                    file.unlink(missing_ok=True)

    def _root(self) -> None:
        """Raise VaultError if the location itself is missing, as opposed to a file in it."""
        if self._folder is not None and not self._folder.is_dir():
            raise VaultError(f"archive {self.url} does not exist; check that its disk is mounted")

    @contextmanager
    def _usable(self, operation: str) -> Iterator[None]:
        import pyarrow as pa  # noqa: PLC0415

        try:
            yield
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:300]
            raise VaultError(
                f"archive {self.url}: cannot {operation}: {reason}; check its credentials and its "
                "storage"
            ) from error


def _folder_of(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return None
    path = Path(parts.path if parts.scheme == "file" else url)
    if parts.scheme not in {"", "file"} or not path.is_absolute():
        raise InputError(
            f"archive {url!r} must be an absolute path or an s3:// URL, such as "
            "/srv/tonne-archive or s3://bucket/prefix?endpoint_override=s3.example.org"
        )
    return path


def _local(folder: Path) -> Any:
    from pyarrow import fs  # noqa: PLC0415

    return fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())


def _bucket(url: str) -> Any:
    from pyarrow import fs  # noqa: PLC0415

    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = options.keys() - _OPTIONS
    if unknown or not parts.netloc or "@" in parts.netloc:
        what = f"option {min(unknown)!r}" if unknown else "host part"
        raise InputError(
            f"archive s3 URL: its {what} is not supported; write s3://bucket/prefix with "
            f"{', '.join(sorted(_OPTIONS))}, and set the credentials AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        )
    patience = _seconds(options.pop("timeout_s", str(_REQUEST_S)))
    store = fs.S3FileSystem(
        **options,
        connect_timeout=min(_CONNECT_S, patience),
        request_timeout=patience,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        background_writes=False,
        allow_delayed_open=True,  # a small file is uploaded in one request
        proxy_options=_proxy(options),
    )
    return fs.SubTreeFileSystem(f"{parts.netloc}{parts.path}".rstrip("/"), store)


def _proxy(options: Mapping[str, str]) -> str | None:
    """Return the proxy for a bucket, from HTTPS_PROXY and NO_PROXY."""
    host = options.get("endpoint_override") or f"s3.{options.get('region', '')}.amazonaws.com"
    result = getproxies().get(options.get("scheme", "https"))
    if not result or proxy_bypass(host):
        return None
    return result if "://" in result else f"http://{result}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3_600:  # noqa: PLR2004
        raise InputError(f"archive s3 URL: timeout_s={text} must be 1 to 3600 seconds")
    return seconds


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{_UNFINISHED}{path.name}")
    try:
        with unfinished.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
            # so that reading back uses the disk and not the cache in memory
            os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(path)
    _force(path.parent)


def _force(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


FORMAT = "tonne-archive-1"
MARKER = "tonne-archive.json"
PARQUET, MANIFEST = ".parquet", ".json"
_HASH_LENGTH = 16


class VaultError(ServerError):
    """The archive's storage is not available."""


class DamagedError(InputError):
    """A file of the archive is missing, changed or foreign."""


class Day(NamedTuple):
    """Sealed day: project ('' for none), start and end, and log index of its seal."""

    project: str
    day: date
    timezone: str
    from_us: int
    to_us: int
    seal: int


class Part(NamedTuple):
    """
    File of the archive.

    `leaves`: sealed leaves by device, in the file's order.
    `sha256`, `manifest`: digests of the file and of its manifest, in hex.
    """

    day: Day
    class_id: str
    site: str
    path: str
    bytes: int
    sha256: str
    manifest: str
    leaves: Mapping[str, DayLeaf]

    @property
    def rows(self) -> int:
        """Return the number of readings."""
        return sum(leaf.rows for leaf in self.leaves.values())


def of(
    archive: str, day: Day, class_id: str, site: str, data: bytes, leaves: Mapping[str, DayLeaf]
) -> tuple[Part, bytes]:
    """Return an archive part named by the SHA-256 of its content, and its manifest's bytes."""
    sha256 = hashlib.sha256(data).hexdigest()
    stem = f"{day.day}_{site}_{day.project or '-'}_{sha256[:_HASH_LENGTH]}"
    path = f"{class_id}/{day.day:%Y/%m}/{stem}{PARQUET}"
    part = Part(day, class_id, site, path, len(data), sha256, "", leaves)
    manifest = canonical.encode(_manifest_of(archive, part))
    return part._replace(manifest=hashlib.sha256(manifest).hexdigest()), manifest


def manifest_path(path: str) -> str:
    """Return the name of a file's manifest."""
    return path.removesuffix(PARQUET) + MANIFEST


def _manifest_of(archive: str, part: Part) -> dict[str, Any]:
    day = part.day
    return {
        "format": FORMAT,
        "archive": archive,
        "class": part.class_id,
        "site": part.site,
        "project": day.project or None,
        "day": day.day.isoformat(),
        "timezone": day.timezone,
        "from": utc_text(day.from_us),
        "to": utc_text(day.to_us),
        "seal": day.seal,
        "file": {"bytes": part.bytes, "rows": part.rows, "sha256": part.sha256},
        "leaves": [leaf.to_json() for leaf in part.leaves.values()],
    }


def check_manifest(archive: str, part: Part, data: bytes) -> None:
    """
    Refuse a manifest that differs from the database's record of its file.

    Raises DamagedError, naming the difference.
    """
    name = manifest_path(part.path)
    try:
        result = canonical.parse_object(data)
    except CanonicalError as error:
        raise DamagedError(
            f"{name}: not a manifest: {error}; restore the file from a copy"
        ) from error
    expected = _manifest_of(archive, part)
    wrong = [
        key
        for key in sorted(expected.keys() | result.keys())
        if expected.get(key) != result.get(key)
    ]
    if wrong:
        raise DamagedError(
            f"{name}: {', '.join(wrong)} differ from the record; restore the file from a copy"
        )
