"""Storage that fails, lies or fills up: nothing is lost or doubled, the next run finishes."""

import contextlib
import os
import resource
import subprocess

import pytest

from ingest.errors import InputError
from services import archived_files as check
from services.store.postgres.pool import connect
from services.vault import DamagedError, Place, VaultError
from tests.services.archive import shelved
from tests.soak import often


@pytest.fixture
def before(sealed_url):
    """Return the number of readings of each class."""
    return shelved.hot(sealed_url)


def _holds(url, rows):
    """Return whether the archive has these readings once, and derived rows follow from them."""
    with connect(url, role="tonne_archive", autocommit=True) as conn:
        found = check.check(conn)
    assert (found.breaks, found.rows) == ([], sum(rows))
    assert shelved.hot(url) == [0, 0, 0]
    assert shelved.underived(url) == []


@pytest.mark.parametrize("mode", ["hang", "swallow"])
def test_a_store_that_misbehaves_costs_nothing(sealed_url, before, bucket, mode):
    """A store that confirms a file without keeping it would lose the only copy."""
    bucket.proxy.mode = mode
    with pytest.raises(VaultError, match=r"archive s3://"):
        shelved.archive(sealed_url, bucket.impatient_url if mode == "hang" else bucket.url)
    assert shelved.hot(sealed_url) == before
    bucket.proxy.mode = "pass"
    report = shelved.archive(sealed_url, bucket.url)
    assert report.refused == []
    _holds(sealed_url, before)


@pytest.mark.parametrize("mode", ["flip", "half", "refuse"][: often(1, 3)])
def test_a_store_that_misbehaves_later_costs_nothing(sealed_url, before, bucket, mode, monkeypatch):
    """The first file might arrive, and the others not."""
    put, puts = Place.put, []

    def counted(place, name, data):
        puts.append(name)
        bucket.proxy.mode = mode if len(puts) > 4 else "pass"
        put(place, name, data)

    with monkeypatch.context() as patched:
        patched.setattr(Place, "put", counted)
        with pytest.raises(VaultError):
            shelved.archive(sealed_url, bucket.url)
    assert shelved.hot(sealed_url) == before
    bucket.proxy.mode = "pass"
    shelved.archive(sealed_url, bucket.url)
    _holds(sealed_url, before)


def test_a_full_disk_costs_nothing(sealed_url, before, tmp_path):
    """An incomplete file would be taken for a complete one, or archiving would stop permanently."""
    with _small_disk(tmp_path / "disk") as place:
        with pytest.raises(VaultError, match=r"cannot write .*(No space left|File too large)"):
            shelved.archive(sealed_url, place)
        assert shelved.hot(sealed_url) == before
        assert not list(place.rglob(".writing-*"))
        with pytest.raises(VaultError):
            shelved.archive(sealed_url, place)
        _larger(place)
        shelved.archive(sealed_url, place)
        _holds(sealed_url, before)


@contextlib.contextmanager
def _small_disk(path):
    """Yield a disk of a few pages; without the right to mount one, a limit on file size."""
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", path], check=False, capture_output=True
    )
    mounted = done.returncode == 0
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if not mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, limits[1]))
    try:
        yield path
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        if mounted:
            subprocess.run(["umount", "--lazy", path], check=True)


def _larger(path):
    if os.path.ismount(path):
        subprocess.run(["mount", "-o", "remount,size=8m", path], check=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits[1], limits[1]))


def test_a_disk_that_is_not_mounted_is_no_new_archive(sealed_url, before, tmp_path):
    """An empty folder in its place would be taken for the archive, and be filled."""
    place = tmp_path / "archive"
    shelved.archive(sealed_url, place)
    place.rename(tmp_path / "elsewhere")
    with pytest.raises(DamagedError, match="its disk is mounted"):
        shelved.archive(sealed_url, place)
    assert not place.exists()
    (tmp_path / "elsewhere").rename(place)
    _holds(sealed_url, before)


@pytest.mark.parametrize(
    "url", ["relative/path", "ftp://host/x", "s3://", "s3://b/p?colour=red", "s3://k:s@b/p",
            "s3://b/p?timeout_s=never"],
)  # fmt: skip
def test_a_place_that_is_none_is_refused(url):
    """A misspelt URL would be found out by a traceback, with the secret in it."""
    with pytest.raises(InputError):
        Place(url)
