"""
The owner of a database can write anything: an audit names each change.

Each change is made with triggers off and all rights, to a database with an issued statement under a
sealed log, and rolled back after the audit.
"""

import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from ingest import classes
from mrv.log.witness import cosign
from mrv.statement.sampling import Size
from services.issuer import cosigning, documents, keys
from services.issuer import external_signatures as accept
from services.issuer import transitions as life
from services.issuer.audit import audit
from services.store.postgres.pool import connect
from services.store.postgres.row_hashes import STATES, UNSEALED, WRITTEN, tables
from services.store.statements import transparency_log as log
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period
from tests.services.issuer.spoil import spoil
from tests.soak import SOAK

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
factors:
  - {id: vn-grid-2024, kind: grid.vn, value: 0.6, unit: tCO2/MWh, direction: consumed,
     valid_from: 2024-01-01, valid_to: 2025-01-01, source: a letter, certainty: R, verified: true}
  - {id: vn-grid-2025, kind: grid.vn, value: 0.7, unit: tCO2/MWh, direction: consumed,
     valid_from: 2025-01-01, valid_to: 2026-01-01, source: a letter, certainty: R, verified: true}
programme:
  name: Hai Phong
  actions: [{id: "1", name: Green Industry, target_kt: 1477}, {id: "2", name: Ports, target_kt: 5}]
"""
COLUMNS = {
    "pv_inverter": "active_power_w",
    "ev_charger": "energy_import_wh",
    "vehicle": "odometer_m",
    "energy_meter": "energy_import_wh",
    "air_station": "pm2_5_ug_m3",
    "noise_station": "laeq_dba",
    "wastewater_plant": "flow_total_ml",
}
DEVICES = {
    "pv_inverter": "inv-1",
    "ev_charger": "ch-1",
    "vehicle": "bus-1",
    "energy_meter": "meter-1",
    "air_station": "air-1",
    "noise_station": "noise-1",
    "wastewater_plant": "works-1",
}


@pytest.fixture(scope="module")
def url(timescale, migrated_template, tmp_path_factory):
    """Return a database with a statement, a superseded one, and all under a sealed log."""
    from tests.fix_timescale import _fresh  # noqa: PLC0415 - a database for the module

    made = _fresh(timescale, migrated_template)
    url = next(made)
    _fill(url, tmp_path_factory.mktemp("home"))
    yield url
    next(made, None)


# The other classes, one device each.
OTHERS = sorted(set(classes.load()) - set(DEVICES))
AGAIN = (
    plant.PLAN.replace('"1"', '"2"')
    .replace("2026-01-01", "2026-03-03")
    .replace("        reason:", "        kind: permanent_change\n        reason:", 1)
)


def _register(url, home):
    plant.register(url, home)
    plant.register(url, home, plant.REGISTRY.replace(plant.PLAN, AGAIN))
    plant.register(url, home, MORE)
    rows = [
        f"  - {{id: its-{name}, site: hp, class: {name}, profile: generic,"
        " installed: 2026-01-01T00:00:00+07:00}"
        for name in OTHERS
    ]
    plant.register(url, home, "devices:\n" + "\n".join(rows))


def _verifying(url, who, project, begin, end):
    """Leave a statement under verification, with a sample and an answered finding."""
    with logged.issuer(url) as conn:
        name = close_period(conn, project, plant.us(begin), plant.us(end), "test").statement
        life.submit(conn, name, who["operator"])
        life.sample(conn, name, who["verifier"], Size(1, 1))
        for key, said in (
            ("verifier", ("raised", "CAR", "seen in the files of the period", None)),
            ("operator", ("answered", "CAR-1", "it was seen at the plant in March", None)),
        ):
            accept.finding(conn, name, documents.sign(conn, name, who[key], said))


# Rows of tables that no part of the tests' own plant writes.
MADE = """
INSERT INTO status_list (project_id, signed, multikey, document)
SELECT 'pv', now(), multikey, convert_to(name, 'UTF8') FROM enrolled_key ORDER BY multikey LIMIT 2;
ALTER TABLE statement_approval DISABLE TRIGGER step;
INSERT INTO statement_approval (statement_id, multikey, actor, document)
SELECT (SELECT min(id) FROM statement), multikey, name, convert_to(name, 'UTF8')
FROM enrolled_key ORDER BY multikey LIMIT 2;
ALTER TABLE statement_approval ENABLE TRIGGER step;
INSERT INTO invoice (id, project_id, document) VALUES ('a', 'pv', '{}'), ('b', 'pv', '{"x": 1}');
INSERT INTO signed_value (received, topic, time, channel, data, method, encoding, public_key,
    payload, sha256)
SELECT now(), 't', now(), n, n, 'm', 'e', 'k', 'x', sha256('x') FROM unnest('{a,b}'::text[]) n;
INSERT INTO laboratory_result (project_id, laboratory, sample, parameter, taken, value, method)
SELECT 'pv', 'lab', n, 'cod_in_mg_l', '2001-03-02', ascii(n), 'm' FROM unnest('{a,b}'::text[]) n;
INSERT INTO document_file (sha256, name, data, author, principal)
SELECT encode(sha256(n), 'hex'), encode(n, 'escape'), n, 'x', 'x' FROM unnest('{a,b}'::bytea[]) n;
INSERT INTO dead_letter_removal (author, before, letters, reasons, ids, sha256)
SELECT n, now(), 1, '{}', '{}', sha256('x') FROM unnest('{a,b}'::text[]) n;
INSERT INTO api_audit (principal, role, method, path, status, request)
SELECT n, 'r', 'GET', '/', 200, 'x' FROM unnest('{a,b}'::text[]) n;
INSERT INTO archive_place (id, url) VALUES (gen_random_uuid(), 'file:///a');
INSERT INTO archive_part (class_id, site, project_id, day, timezone, from_time, to_time, seal_index,
    path, bytes, sha256, manifest, rows, devices, counts, leaves)
SELECT 'c', n, 'pv', '2001-03-02', 'UTC', '2001-03-02Z', '2001-03-03Z', 0, n, 1, sha256('x'),
    sha256('x'), 1, '{d}', '{1}', sha256('x') FROM unnest('{a,b}'::text[]) n;
INSERT INTO archive_day (project_id, day, seal_index)
VALUES ('pv', '2001-03-02', 0), ('pv', '2001-03-03', 0);
INSERT INTO archive_drop (class_id, from_time, to_time, bytes)
SELECT n, '2001-03-02Z', '2001-03-03Z', 1 FROM unnest('{a,b}'::text[]) n;
INSERT INTO archive_hold (from_time, to_time, until, reason)
SELECT '2001-03-02Z', '2001-03-03Z', now(), n FROM unnest('{a,b}'::text[]) n;
INSERT INTO authority_entry (kind, id, record)
SELECT 'registration', n, '{"project": "pv"}' FROM unnest('{a,b}'::text[]) n;
INSERT INTO filed_submission (party, year, version, sha256, tables)
SELECT 'VNM', 2026, n, repeat(n::text, 64), '{}' FROM generate_series(1, 2) n;
ALTER TABLE energy_certificate DISABLE TRIGGER certify;
INSERT INTO energy_certificate (id, scheme, device_id, period, wh, issuing_body, document)
SELECT n, 'I-REC', 'meter-1', '[2001-03-02Z,2001-03-03Z)', ascii(n), 'b', 'd'
FROM unnest('{a,b}'::text[]) n;
ALTER TABLE energy_certificate ENABLE TRIGGER certify;
INSERT INTO energy_certified (certificate_id, start, device_id, wh)
SELECT n, '2001-03-02Z', 'meter-1', ascii(n) FROM unnest('{a,b}'::text[]) n;
SET LOCAL session_replication_role = replica;  -- the plant credits no whole tonne
INSERT INTO unit_event (statement_id, vintage, units, event, day, document)
SELECT min(s.id), 2026, int8range(n, n, '[]'), 'issued', '2001-03-02', 'd' || n
FROM statement s, generate_series(1, 2) n GROUP BY n;
"""


def _fill(url, home):
    _register(url, home)
    plant.fill_pv(url, begin="2026-03-02", minutes=15)
    plant.fill_buses(url, begin="2026-03-02")  # each audit walks all days of all devices
    times = plant.sunny("2026-03-02", "2026-03-04", 60)[0]
    for class_id in list(COLUMNS)[3:]:
        values = {COLUMNS[class_id]: range(1000, 1000 + len(times))}
        plant.send(url, DEVICES[class_id], times, **values)
    for name in OTHERS:
        channel = next(iter(classes.load()[name].channels))
        plant.send(url, f"its-{name}", times, **{channel: range(1000, 1000 + len(times))})
    with connect(url) as conn:  # before the first seal, as if a file had brought them
        conn.execute(
            "INSERT INTO device_replacement (device_id, channel, at, last_value, first_value,"
            " reason) VALUES ('meter-1', 'energy_import_wh', '2026-03-03Z', 1, 1, 'swap'),"
            " ('meter-2', 'energy_import_wh', '2026-03-03Z', 2, 1, 'swap')"
        )
        key = "(device_id, begins, key, document)"
        crossed = "'energy_export_wh', 'energy_import_wh', '2026-03-04Z'"
        for row in (
            "topic_template VALUES ('t', 'plants/{device}', true)",
            "device_quality VALUES ('inv-1', 'active_power_w', '2026-01-01Z', '{}', 'x', 'y')",
            "programme_reported VALUES ('1', 2026, 5, 'x')",
            "device_array (device_id, begins, dc_power_w) VALUES ('meter-1', '2026-01-01Z', 1000)",
            "device_array (device_id, begins, dc_power_w) VALUES ('meter-2', '2026-01-01Z', 2000)",
            f"device_exchange VALUES ('meter-1', {crossed}, '2026-03-05Z', 'x', 'log')",
            f"device_exchange VALUES ('meter-2', {crossed}, '2026-03-06Z', 'x', 'log')",
            f"meter_key {key} VALUES ('meter-1', '2026-01-01Z', 'aa', 'x')",
            f"meter_key {key} VALUES ('meter-2', '2026-01-01Z', 'bb', 'y')",
        ):
            conn.execute(f"INSERT INTO {row}")
    who = logged.signers(url, home)
    logged.issue(url, who)
    _verifying(url, who, "pv", "2026-03-03", "2026-03-04")
    _verifying(url, who, "bus", "2026-03-02", "2026-03-03")
    with connect(url) as conn:
        for at in ("03:00", "04:00"):
            conn.execute(
                "INSERT INTO dead_letter (received, topic, principal, reason, detail, payload,"
                f" sha256) VALUES ('2026-03-02 {at}Z', 't', 'p', 'r', 'd', 'x', sha256('x'))"
            )
        conn.execute("INSERT INTO dead_letter_replay (dead_letter_id) SELECT id FROM dead_letter")
        conn.execute(MADE)
    logged.seal_now(url, who)
    with logged.issuer(url) as conn:
        signer = keys.load(home, "the-witness")
        head = log.checkpoint(conn)
        cosigning.keep(conn, head + cosign(head, "the-witness", signer[0], 1_772_000_000))
    logged.seal_now(url, who)


@cache
def _clean(url):
    with connect(url, autocommit=True) as conn:
        report = audit(conn, logged.NOW)
    assert report.first_break is None, report.to_json()
    return report


def _audited(url, cases):
    _clean(url)
    with connect(url) as conn:
        conn.execute("SET session_replication_role = replica")
        for case in cases:
            assert conn.execute(case["sql"]).rowcount > 0, f"{case['table']}: nothing was changed"
        report = audit(conn, logged.NOW)
        conn.rollback()
    return report


CASES = tomllib.loads(Path(__file__).with_name("tampering.toml").read_text("utf-8"))["case"]


ROWS = {name for names in STATES.values() for name in names}


def _kind(table):
    """
    Return the kind of comparison of a table in one audit that names each device or row.

    A sealed day is compared device by device; tables of the registry, and append-only tables, row
    by row.
    """
    for start, kind in (("reading_", "readings"), ("interval_", "intervals")):
        if table.startswith(start):
            return kind
    if table in ROWS:
        return "states"
    # a head may be cosigned at any time: the log's own tables are held against the log
    return "records" if table in WRITTEN and not table.startswith("log_") else table


def _together():
    """Return the cases by kind of change; those that are named one by one are made together."""
    found = defaultdict(list)
    for case in CASES:
        found[f"{_kind(case['table'])}-{case['what'].replace(' ', '-')}"].append(case)
    return found


def _named(case):
    """Return the text that the audit must give for a case; another finding is not sufficient."""
    table = case["table"]
    match _kind(table):
        case "intervals":
            return f": {table} of "
        case "states" | "records":
            return f": {table} '"  # and the row's key
    return case["named"]


# an audit of all for each: here what changes a row, and some of the others; all of them in the soak
AUDITED = {
    what: cases
    for i, (what, cases) in enumerate(_together().items())
    if SOAK or what.endswith("-change") or i % 4 == 0
}


@pytest.mark.parametrize("cases", AUDITED.values(), ids=AUDITED)
def test_what_an_owner_changed_is_named(url, cases):
    """Data changed by the database owner are detected."""
    report = _audited(url, cases)
    assert report.first_break is not None
    said = [f"{step.name}: {text}" for step in report.steps for text in step.breaks]
    for case in cases:
        assert any(_named(case) in text for text in said), (case["table"], _named(case), said)


def test_dead_letters_that_policy_removed_are_no_break(url):
    """An operator who keeps to the rules would be listed as one who hid refused readings."""
    with connect(url) as conn:
        removed = conn.execute(
            "SELECT tonne_expire_dead_letters(now() - interval '30 days', 'me')"
        ).fetchone()
        report = audit(conn, logged.NOW)
        conn.rollback()
    assert removed == (2,)
    assert report.first_break is None, report.to_json()


def test_no_table_is_forgotten(url):
    """A new table would be outside every audit, unnoticed."""
    # as the sealer sees them: a table that it may not read is none that it seals
    with connect(url, role="tonne_mrv") as conn:
        unknown = tables(conn).unknown
    assert unknown == (), (
        f"{', '.join(unknown)}: no seal covers them. Does a statement rest on one? Then give it an"
        " `append_only` trigger, let tonne_mrv SELECT it and name the column of its time in"
        " services/store/postgres/row_hashes.WRITTEN; or, if imports change it, name it in STATES."
        " Does none? Then name it in UNSEALED with the reason"
    )


# What cannot be done to a table, and why that is no hole.
IMPOSSIBLE = {
    ("archive_place", "add"): "it holds one row",
    ("archive_place", "reorder"): "it holds one row",
    ("archive_day", "reorder"): "it is all key, but for the time",
    ("document_file", "add"): "its key is the hash of its data",
    ("programme", "add"): "it holds one row",
    ("programme", "change"): "its case stands in tampering.toml",
}


def _sealed(conn):
    """Return the tables that the log seals and that have no separate case in tampering.toml."""
    every = [
        name
        for (name,) in conn.execute(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') ORDER BY relname"
        )
    ]
    own = {case["table"] for case in CASES}
    return [name for name in every if name not in own and name not in UNSEALED]


@pytest.mark.parametrize("what", ["change", "delete", "add", "reorder"])
@pytest.mark.parametrize("measured", [True, False])
def test_tables_without_cases_of_their_own(url, what, measured):
    """A new table would be named in the log without its contents."""
    _clean(url)
    with connect(url) as conn:
        conn.execute("SET session_replication_role = replica")
        # apart: a factor or a device that cannot be read hides what was done to readings
        found = [name for name in _sealed(conn) if name.startswith("reading_") is measured]
        untouched = [name for name in found if not spoil(conn, name, what)]
        report = str(audit(conn, logged.NOW).to_json())
        conn.rollback()
    idle = [name for name in untouched if (name, what) not in IMPOSSIBLE]
    assert idle == [], (
        f"{what}: nothing could be done to {', '.join(idle)}; put two rows that differ into _fill"
        " or MADE, or say in IMPOSSIBLE why it cannot be done"
    )
    assert len(found) > 10
    missed = [name for name in found if name not in untouched and _word(name) not in report]
    assert missed == [], f"{what}: the audit does not name what was done to {', '.join(missed)}"


def _word(table):
    """Return the audit's word for a table's rows: those of readings by their device."""
    return f"its-{table.removeprefix('reading_')}" if table.startswith("reading_") else table
