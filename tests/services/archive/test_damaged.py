"""A changed archive is reported, and refused by all of its readers."""

import pytest

from ingest.errors import InputError
from services import archived_files as check
from services.archive import _alone
from services.store.postgres.pool import connect
from services.vault import DamagedError
from tests.services.archive import shelved
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period


@pytest.fixture
def place(shelf):
    """Return the folder of the plant's archive."""
    return shelf


def _file(place, ending=".parquet"):
    return next(place.glob(f"pv_inverter/2026/03/2026-03-02_hp_pv_*{ending}"))


def _breaks(url):
    with connect(url, role="tonne_archive", autocommit=True) as conn:
        return check.check(conn).breaks


def _close(url):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        close_period(conn, "pv", plant.us("2026-03-02"), plant.us("2026-03-03"), "test")


def _flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def _swap(file):
    other = next(file.parent.glob("2026-03-01_hp_pv_*.parquet"))
    file.write_bytes(other.read_bytes())


DAMAGES = {
    "changed": _flip,
    "missing": lambda file: file.unlink(),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "empty": lambda file: file.write_bytes(b""),
    "of another day": _swap,
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_named_and_refused(sealed_url, place, how):
    """A statement would rest on readings that someone changed in a folder."""
    DAMAGES[how](_file(place))
    assert any("2026-03-02_hp_pv" in what for what in _breaks(sealed_url))
    with pytest.raises(DamagedError, match="2026-03-02_hp_pv"):
        _close(sealed_url)
    with pytest.raises(DamagedError):
        shelved.underived(sealed_url)


def test_a_late_reading_of_a_damaged_day_waits_as_a_dead_letter(sealed_url, place):
    """One damaged file would stop the readings of today, or swallow those of that day."""
    times, energy, _ = plant.sunny("2026-03-01", "2026-03-04", 15)
    for day in ("2026-10-18", "2026-10-19"):
        shelved.send(sealed_url, "inv-1", [plant.us(day)], energy_export_wh=energy[-1:])
    _file(place).unlink()
    late, today = times[140:141] + 60_000_000, [plant.us("2026-10-20")]
    done = shelved.send(sealed_url, "inv-1", late, energy_export_wh=energy[140:141])
    assert [r.reason for r in done.rejected] == ["archive_unusable"]
    assert "is missing" in done.rejected[0].detail
    assert shelved.send(sealed_url, "inv-1", today, energy_export_wh=energy[-1:]).rejected == []
    assert shelved.hot(sealed_url) == [3, 0, 0]


def test_a_device_whose_history_is_damaged_does_not_stop_the_others(sealed_url, place):
    """A meter that comes back after months would hold up the whole city's readings."""
    for file in place.glob("pv_inverter/2026/03/*.parquet"):
        file.unlink()
    today = [plant.us("2026-03-20")]
    done = shelved.send(sealed_url, "inv-1", today, energy_export_wh=[1])
    assert [r.reason for r in done.rejected] == ["archive_unusable"]
    assert shelved.send(sealed_url, "ch-1", today, energy_import_wh=[2_000_000]).rejected == []
    assert shelved.hot(sealed_url) == [0, 1, 0]


def test_a_damaged_day_is_not_brought_back(sealed_url, place):
    """Readings that someone changed in a folder would appear in the database as measured."""
    _flip(_file(place))
    wanted = check.Wanted(frozenset(), plant.us("2026-03-02"), plant.us("2026-03-03"))
    with (
        connect(sealed_url, role="tonne_ingest", autocommit=True) as conn,
        pytest.raises(DamagedError, match="2026-03-02_hp_pv"),
    ):
        check.restore(conn, wanted, 30, "test")
    assert shelved.hot(sealed_url)[0] == 0


def test_a_damaged_day_is_not_sealed_again(sealed_url, who, place):
    """The log would take a forgery for late readings."""
    _flip(_file(place))
    with pytest.raises(DamagedError, match="2026-03-02_hp_pv"):
        logged.seal_now(sealed_url, who, recheck=True)


def test_a_manifest_that_says_otherwise_is_named(sealed_url, place):
    """An auditor who has only the folder would compare with another day's digests."""
    file = _file(place, ".json")
    file.write_text(file.read_text().replace('"rows":96', '"rows":95'))
    assert any(
        "2026-03-02_hp_pv" in what and "differ from the record" in what
        for what in _breaks(sealed_url)
    )


def test_foreign_files_are_named(sealed_url, place):
    """A file that no one put there would be taken for evidence."""
    (place / "pv_inverter/2026/03/2026-03-09_hp_pv_0123456789abcdef.parquet").write_bytes(b"PAR1")
    (place / "notes.txt").write_text("hello")
    found = _breaks(sealed_url)
    assert len(found) == 2
    assert all("is not a file of this archive" in what for what in found)
    _close(sealed_url)


def test_a_database_has_one_archive(sealed_url, place, tmp_path):
    """Half of the days would be in a place that no one backs up."""
    before = {f: f.read_bytes() for f in place.rglob("*") if f.is_file()}
    with pytest.raises(DamagedError, match="is not the archive"):
        shelved.archive(sealed_url, tmp_path / "second")
    assert not (tmp_path / "second").exists()
    assert {f: f.read_bytes() for f in place.rglob("*") if f.is_file()} == before


def test_an_archive_has_one_database(database_url, sealed_url, place):
    """Two databases would write into each other's evidence."""
    with pytest.raises(DamagedError, match="belongs to another database"):
        shelved.archive(database_url, place)


def test_two_runs_at_once_are_refused(sealed_url, tmp_path):
    """Of two archive runs, each would drop days that the other had not finished."""
    with (
        connect(sealed_url, role="tonne_archive", autocommit=True) as conn,
        _alone(conn),
        pytest.raises(InputError, match="is running"),
    ):
        shelved.archive(sealed_url, tmp_path / "archive")


def test_a_device_that_is_not_there_is_no_success(sealed_url, place):
    """For a misspelt name, the answer would be that its evidence is complete."""
    with (
        connect(sealed_url, role="tonne_archive", autocommit=True) as conn,
        pytest.raises(InputError, match="'inv-9' has no data in the archive"),
    ):
        check.check(conn, wanted=check.Wanted(frozenset({"inv-9"})))
