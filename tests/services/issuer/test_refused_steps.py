"""Steps that must be refused: with a clear message, and without a change in the database."""

import shutil

import pytest

from ingest.errors import InputError
from mrv.errors import EnrolmentError, PeriodError
from mrv.packs.reader import read_pack
from mrv.signatures.keys import SigningKey
from mrv.verify import verify
from services.issuer import close, keys
from services.issuer import transitions as life
from services.issuer.pack import export
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from tests import holders
from tests.invoked import tonne
from tests.opinions import concluded
from tests.planted import planted
from tests.services.issuer import logged, plant, sealed
from tests.services.issuer.sealed import close_period

FINDING = concluded("unqualified")
COUNTED = ("monitoring_period", "statement", "statement_event", "claim", "log_entry",
           "statement_evidence", "enrolled_key", "statement_sampling", "finding_event")  # fmt: skip


def _drafted(url, home):
    return logged.quarter_hours(url, home), _close(url, "2026-03-02", "2026-03-03")


@pytest.fixture
def drafted(database_url, tmp_path):
    """Draft a day of the plant; return the database, the signers and the name."""
    return database_url, *planted(_drafted, database_url, tmp_path)


def _close(url, begin, end):
    with logged.issuer(url) as conn:
        return close_period(conn, "pv", plant.us(begin), plant.us(end), "test").statement


def _rows(url):
    with connect(url) as conn:
        return {n: conn.execute(f"SELECT count(*) FROM {n}").fetchone()[0] for n in COUNTED}


def _refused(url, error, step, *given, **more):
    if step is close_period:
        with logged.issuer(url) as conn:
            sealed.up_to(conn, plant.us("2026-03-05"))
        step = close.close_period
    before = _rows(url)
    with logged.issuer(url) as conn, pytest.raises(error) as told:
        step(conn, *given, **more)
    assert _rows(url) == before
    return str(told.value)


@pytest.mark.parametrize(
    ("begin", "end", "word"),
    [
        ("2025-12-01", "2026-01-01", "extends beyond the crediting period"),
        ("2035-12-31", "2036-01-02", "extends beyond the crediting period"),
        ("2026-03-03", "2026-03-02", "is empty"),
        ("2026-03-02T00:07:00+07:00", "2026-03-03", "start of a 15-minute interval"),
    ],
)
def test_periods_that_cannot_be(drafted, begin, end, word):
    """Energy from before the project, or of half an interval of 15 minutes, would be claimed."""
    url, _, _ = drafted
    span = plant.us(begin), plant.us(end)
    assert word in _refused(url, PeriodError, close_period, "pv", *span, "test")


def test_a_charger_registered_too_small_closes_nothing(database_url, tmp_path):
    """Kilowatts typed as watts in the registry would raise what the buses are credited."""
    text = plant.REGISTRY.replace("rated_power_w: 60000", "rated_power_w: 60")
    plant.register(database_url, tmp_path, text)
    plant.fill_buses(database_url)
    span = plant.us("2026-03-02"), plant.us("2026-03-03")
    said = _refused(database_url, PeriodError, close_period, "bus", *span, "test")
    assert "ch-1 counts" in said
    assert "rated_power_w" in said


def test_time_before_a_device_was_installed_earns_nothing(database_url, tmp_path):
    """A meter's life before the project would be claimed with it."""
    text = plant.REGISTRY.replace("installed: 2026-01-01", "installed: 2026-03-02", 1)
    plant.register(database_url, tmp_path, text)
    plant.fill_pv(database_url, minutes=15)
    with logged.issuer(database_url) as conn:
        span = plant.us("2026-03-01"), plant.us("2026-03-03")
        first, second = close_period(conn, "pv", *span, "test").result.devices
    assert (first.coverage.installed_share, second.coverage.installed_share) == (
        "0.500000",
        "1.000000",
    )
    assert first.outside_service > 0


def test_unknown_and_ended_keys_sign_nothing(drafted, tmp_path):
    """Anyone who makes a key, or finds an old one, could sign in the operator's name."""
    url, who, name = drafted
    stranger = life.Signer(*_made(tmp_path, "stranger", "operator"))
    assert "not enrolled" in _refused(url, EnrolmentError, life.submit, name, stranger)
    with logged.issuer(url) as conn:
        enrolled.enroll(conn, stranger.holder)
        conn.execute("UPDATE enrolled_key SET valid_until = now() WHERE name = 'stranger'")
    assert "stranger" in _refused(url, EnrolmentError, life.submit, name, stranger)
    assert "operator" in _refused(url, EnrolmentError, life.submit, name, who["verifier"])
    with logged.issuer(url) as conn:
        life.submit(conn, name, who["operator"])


def _made(home, name, role):
    holders.create(home, name, role)
    return keys.load(home, name)


def test_whoever_prepared_does_not_verify(drafted, tmp_path):
    """A second key of the same person cannot verify."""
    url, who, name = drafted
    with logged.issuer(url) as conn:
        life.submit(conn, name, who["operator"])
    assert _refused(url, EnrolmentError, life.verify, name, who["operator"], FINDING)
    key = SigningKey.generate()
    same = life.Signer(key, who["operator"].holder)
    assert _refused(url, InputError, life.verify, name, same, FINDING)


@pytest.mark.parametrize("name", ["../../outside.json", "readings/../../outside.json", "/etc/x"])
def test_names_that_lead_out_of_a_pack(drafted, tmp_path, name):
    """File names that lead outside the pack are rejected."""
    url, _, statement = drafted
    with logged.issuer(url) as conn:
        folder = export(conn, statement, tmp_path / "pack")
    manifest = folder / "manifest.json"
    text = manifest.read_text("utf-8")
    manifest.write_text(text.replace('"plan.json"', f'"{name}"'), "utf-8")
    failure = verify(read_pack(folder)).failure
    assert failure.name == "form"
    assert name in failure.detail
    shutil.rmtree(folder)


def test_a_status_list_that_cannot_be_had(drafted, tmp_path):
    """A reader would take a missing check for a passed one."""
    url, who, name = drafted
    with logged.issuer(url) as conn:
        life.submit(conn, name, who["operator"])
        folder = export(conn, name, tmp_path / "pack")
    absent = tonne("verify", folder, "--status", tmp_path / "none.json", code=2)
    assert "none.json" in absent.output
    without = tonne("verify", folder, code=4)
    assert "get the newest list from the operator" in without.output
    (tmp_path / "cut.json").write_text('{"type": ', "utf-8")
    cut = tonne("verify", folder, "--status", tmp_path / "cut.json", code=1)
    assert "status" in cut.output.split("FAILED at step 6")[1]
