"""Every day is sealed within 36 hours of its end, and whoever looks hears of one that is not."""

import json

import psycopg
import pytest
from structlog import get_logger

from services.cli.local import doctor_signing
from services.issuer import keys, sealer
from services.issuer.sealed_day_contents import HOUR_US, PROMISED_US, SETTLE_US
from services.metrics import Metrics
from services.store.postgres.pool import connect
from tests.invoked import tonne
from tests.services.issuer import logged, plant

BEGIN = plant.us("2026-03-02")


@pytest.fixture
def at(database_url, tmp_path, monkeypatch):
    """Return a round of the sealer at a time, over three days of readings; its metrics."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, minutes=60)
    metrics = Metrics()
    one = sealer.Sealer(
        database_url, tmp_path, keys.LOG_KEY, sealer.EVERY_S, metrics, get_logger("test")
    )

    def at(now):
        monkeypatch.setattr(sealer, "now_us", lambda: now)
        one.once()
        assert metrics.registry.get_sample_value("tonne_log_seal_failures_total") == 0
        return metrics.registry.get_sample_value("tonne_log_seal_late_seconds")

    return at


def _sealed(url):
    """End of each sealed day by project and day. [us UTC]"""
    with connect(url, role="tonne_mrv") as conn:
        rows = conn.execute(
            "SELECT project_id, day, (extract(epoch FROM to_time) * 1000000)::bigint"
            " FROM data_seal WHERE sequence = 1"
        )
        return {(project, day): int(us) for project, day, us in rows}


def test_the_sealer_leaves_no_day_longer_than_promised(at, database_url):
    """What stood in the database for days could be rewritten before anybody fixed it."""
    assert SETTLE_US + sealer.EVERY_S * 1_000_000 < PROMISED_US
    waited, step = {}, 11 * HOUR_US  # eleven times as rarely as it does
    for now in range(BEGIN, BEGIN + 5 * 24 * HOUR_US, step):
        assert at(now) == 0
        for key, end in _sealed(database_url).items():
            waited.setdefault(key, now - end)
    days = sorted(day.isoformat() for project, day in waited if project == "pv")
    assert days[:3] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert min(waited.values()) >= SETTLE_US
    assert max(waited.values()) <= SETTLE_US + step <= PROMISED_US


def test_a_sealer_that_was_away_says_how_late_it_is(at, database_url):
    """Three days without a seal would look like three days with one."""
    first_ends = BEGIN
    assert at(first_ends + PROMISED_US + 30 * HOUR_US) == 30 * 3_600
    assert len(_sealed(database_url)) >= 2
    assert at(first_ends + PROMISED_US + 31 * HOUR_US) == 0


def test_the_doctor_names_a_day_that_waits(database_url, tmp_path, monkeypatch):
    """Who asks what is wrong would hear that all is well while the log stands still."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, minutes=60)
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_MQTT_URL", "mqtt://127.0.0.1:1")
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.setattr(doctor_signing, "now_us", lambda: logged.NOW)

    def told():
        found = json.loads(tonne("doctor", "--json").stdout)
        return next(one for one in found if one["what"] == "seals")

    late = told()
    assert late["state"] == "wrong"
    assert "project pv, 2026-03-01" in late["found"]
    assert "tonne log seal" in late["fix"]
    who = logged.signers(database_url, tmp_path)
    logged.seal_now(database_url, who)
    assert told()["state"] == "ok"
    times, energy, _ = plant.sunny("2026-03-02", "2026-03-03", 60)
    plant.send(
        database_url, "inv-1", times[12:13] + 60_000_000, energy_export_wh=energy[12:13] + 100
    )
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE late_reading SET noted = '2026-03-03'")
    assert told()["found"] == "late readings of inv-1 have waited for their seal since 2026-03-03"
    logged.seal_now(database_url, who)
    assert told()["state"] == "ok"
