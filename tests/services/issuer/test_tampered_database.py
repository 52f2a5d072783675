"""
Whoever owns the database can write what they like: an audit names it.

Each case is done with triggers off and all rights, to a database that holds an
issued statement under a sealed log, and is rolled back after the audit.
"""

import tomllib
from functools import cache
from pathlib import Path

import pytest

from mrv.log.cosignature import cosign
from services.issuer import keys, witness
from services.issuer.audit import audit
from services.store import log
from services.store.pool import connect
from services.store.row_hashes import tables
from tests.services.issuer import logged, plant

pytestmark = pytest.mark.integration

MORE = """
devices:
  - {id: meter-1, site: hp, class: energy_meter, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: meter-2, site: hp, class: energy_meter, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: air-1, site: hp, class: air_station, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: noise-1, site: hp, class: noise_station, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: works-1, site: hp, class: wastewater_plant, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
programme:
  name: Hai Phong
  actions: [{id: "1", name: Green Industry, target_kt: 1477}, {id: "2", name: Ports, target_kt: 5}]
"""
COLUMNS = {
    "pv_inverter": "active_power_w", "ev_charger": "energy_import_wh", "vehicle": "odometer_m",
    "energy_meter": "energy_import_wh", "air_station": "pm2_5_ug_m3",
    "noise_station": "laeq_dba", "wastewater_plant": "flow_total_ml",
}  # fmt: skip
DEVICES = {
    "pv_inverter": "inv-1", "ev_charger": "ch-1", "vehicle": "bus-1", "energy_meter": "meter-1",
    "air_station": "air-1", "noise_station": "noise-1", "wastewater_plant": "works-1",
}  # fmt: skip


@pytest.fixture(scope="module")
def url(timescale, migrated_template, tmp_path_factory):
    """Return a database with a statement, a superseded one, and all under a sealed log."""
    from tests.fix_timescale import _fresh  # noqa: PLC0415 - a database for the module

    made = _fresh(timescale, f"TEMPLATE {migrated_template}")
    url = next(made)
    _fill(url, tmp_path_factory.mktemp("home"))
    yield url
    next(made, None)


def _fill(url, home):
    plant.register(url, home)
    plant.register(url, home, MORE)
    plant.fill_pv(url, begin="2026-03-02", minutes=15)
    plant.fill_buses(url)
    times = plant.sunny("2026-03-02", "2026-03-04", 60)[0]
    for class_id in list(COLUMNS)[3:]:
        values = {COLUMNS[class_id]: range(1000, 1000 + len(times))}
        plant.send(url, DEVICES[class_id], times, **values)
    who = logged.signers(url, home)
    logged.issue(url, who)
    with connect(url) as conn:
        for at in ("03:00", "04:00"):
            conn.execute(
                "INSERT INTO dead_letter (received, topic, principal, reason, detail, payload,"
                f" sha256) VALUES ('2026-03-02 {at}Z', 't', 'p', 'r', 'd', 'x', sha256('x'))"
            )
        conn.execute("INSERT INTO dead_letter_replay (dead_letter_id) SELECT id FROM dead_letter")
        conn.execute(
            "INSERT INTO device_replacement (device_id, channel, at, last_value, first_value,"
            " reason) VALUES ('meter-1', 'energy_import_wh', '2026-03-03Z', 1, 1, 'swap'),"
            " ('meter-2', 'energy_import_wh', '2026-03-03Z', 2, 1, 'swap')"
        )
        for row in (
            "topic_template VALUES ('t', 'plants/{device}', true)",
            "device_quality VALUES ('inv-1', 'active_power_w', '2026-01-01Z', '{}', 'x', 'y')",
            "programme_reported VALUES ('1', 2026, 5, 'x')",
        ):
            conn.execute(f"INSERT INTO {row}")
    logged.seal_now(url, who)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        signer = keys.load(home, "the-witness")
        head = log.checkpoint(conn)
        witness.keep(conn, head + cosign(head, "the-witness", signer[0], 1_772_000_000))
    logged.seal_now(url, who)


@cache
def _clean(url):
    with connect(url, autocommit=True) as conn:
        report = audit(conn, logged.NOW)
    assert report.first_break is None, report.to_json()
    return report


def _audited(url, statement):
    _clean(url)
    with connect(url) as conn:
        conn.execute("SET session_replication_role = replica")
        assert conn.execute(statement).rowcount > 0, "the case changed nothing"
        report = audit(conn, logged.NOW)
        conn.rollback()
    return report


CASES = tomllib.loads(Path(__file__).with_name("tampering.toml").read_text("utf-8"))["case"]


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{case['table']}-{case['what']}".replace(" ", "-") for case in CASES]
)
def test_what_an_owner_changed_is_named(url, case):
    """Whoever runs the database could rewrite what tonnes rest on."""
    report = _audited(url, case["sql"])
    assert report.first_break is not None
    assert case["named"] in str(report.to_json())


def test_dead_letters_that_policy_removed_are_no_break(url):
    """An operator who keeps to the rules would stand there as one who hid refused readings."""
    with connect(url) as conn:
        removed = conn.execute(
            "SELECT tonne_expire_dead_letters(now() - interval '30 days', 'me')"
        ).fetchone()
        report = audit(conn, logged.NOW)
        conn.rollback()
    assert removed == (2,)
    assert report.first_break is None, report.to_json()


def test_no_table_is_forgotten(url):
    """A table that comes later would be outside of every audit, and nobody would know."""
    with connect(url) as conn:
        assert tables(conn).unknown == ()
