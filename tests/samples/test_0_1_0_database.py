"""A database of 0.1.0, with all kinds of field faults, under the present version."""

import json
import shutil

import psycopg
import pytest
import yaml

from services.issuer.audit import audit
from services.store.postgres.pool import connect
from tests.samples import sample
from tests.samples.sample import SAMPLE, must, tonne
from tests.samples.test_0_1_0_packs import REDUCTIONS

pytestmark = pytest.mark.integration
DATA = SAMPLE / "database" / "data.copy.xz"
# what `tonne migrate` itself keeps, and what days had been added up: marks of days are in its place
OWN = {"schema_migration", "day_clock", "day_made"}
# the figures that statements and dashboards stand on; never to be taken out of the comparison
FIGURES = {
    "interval_quantity", "interval_emission", "indicator_value", "monitoring_period",
    "statement", "statement_event", "statement_evidence", "claim", "finding_event",
    "log_entry", "log_checkpoint", "data_seal", "dead_letter", "reading_pv_inverter",
}  # fmt: skip
RAISED = "TN-cat-ba-pv-20260101-20260103-1"  # under verification, with an open clarification
NOW_US = 1_768_211_400_000_000  # 2026-01-12T09:50:00Z, when the sample was taken
NREL = ("--from", "2025-12-27T00:00:00Z", "--to", "2026-01-02T00:00:00Z")
ALL = ("--from", "2025-12-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z")


@pytest.fixture
def reader(operator, came_from_0_1_0):
    """Return the environment in which commands read the migrated database."""
    return operator | {"TONNE_DATABASE_URL": came_from_0_1_0}


@pytest.fixture
def writer(operator, upgraded):
    """Return the environment in which commands write to a copy of it."""
    return operator | {"TONNE_DATABASE_URL": upgraded}


def test_every_row_is_the_same(came_from_0_1_0):
    """A figure that an update changes was either wrong before or is wrong now."""
    differ, compared = {}, set()
    with psycopg.connect(came_from_0_1_0) as conn:
        for table, columns, rows in sample.blocks(DATA):
            if table in OWN:
                continue
            compared.add(table)
            then, now = sorted(rows.splitlines()), sample.rows_of(conn, table, columns)
            if then != now:
                differ[table] = sorted(set(then) ^ set(now))[:4] or (len(then), len(now))
    assert differ == {}
    assert compared >= FIGURES


def test_the_sample_holds_what_it_is_for():
    """A sample of good days alone would prove little."""
    held = {table: (columns, rows.splitlines()) for table, columns, rows in sample.blocks(DATA)}

    def values(table, column):
        columns, rows = held[table]
        return {row.split("\t")[columns.index(column)] for row in rows}

    assert values("statement_event", "state") >= {"issued", "superseded", "revoked", "rejected"}
    assert values("dead_letter", "reason") >= {
        "conflict",
        "malformed_json",
        "not_your_device",
        "time_future",
        "time_missing",
        "unknown_device",
        "value_missing",
    }
    tables = {
        "archive_drop", "credential", "device_replacement", "invoice", "log_cosignature",
        "monitoring_plan", "published_factor", "quality_flag", "signed_value", "sparkplug_birth",
        "statement_sampling", "topic_template", "device_quality", "late_day",
    }  # fmt: skip
    assert tables - held.keys() == set()


def test_migrating_again_changes_nothing(reader):
    """Anyone who starts a deployment twice would not know what happened."""
    assert "applied" not in must(reader, "migrate")


def test_the_log_leads_on_and_what_was_noted_as_late_is_late_of_sealed_days(writer, monkeypatch):
    """
    A log that does not follow from the head that an auditor kept is one that was cut; readings
    that the older pipeline stored before the update would be called forged.
    """
    # by the clock of then: days that ended since are sealed by nobody
    monkeypatch.setenv("TONNE_ARCHIVE_URL", writer["TONNE_ARCHIVE_URL"])
    day = "'nck-inv-1', '2026-01-05"
    with psycopg.connect(writer["TONNE_DATABASE_URL"]) as conn:
        # as 0.1.0 stored it: it noted the day, and no more
        row = f"(device_id, time, frequency_hz) VALUES ({day} 04:07:33Z', 50)"
        conn.execute(f"INSERT INTO reading_pv_inverter {row}")
        conn.execute(f"INSERT INTO late_day (device_id, day) VALUES ({day}')")
    with connect(writer["TONNE_DATABASE_URL"], role="tonne_mrv", autocommit=True) as conn:
        found = audit(conn, NOW_US, ((SAMPLE / "checkpoint.txt").read_text(),))
        notes = [note for step in found.steps for note in step.notes]
        assert found.first_break is None, found.to_json()
        assert "278 entries" in json.dumps(found.to_json())
        assert any("2026-01-05: late readings of nck-inv-1" in note for note in notes)


def test_intervals_and_emissions_are_computed_the_same(reader):
    """Live figures would jump on the day of the update, with no one to say why."""
    told = tonne(reader, "rebuild", *ALL, "--check", "--json")
    differing = json.loads(told.output)["differences"]
    flags = [one for one in differing if one["table"] == "quality_flag"]
    differing = [one for one in differing if one not in flags]
    # honest nights and clouds, which its limits flagged; a flag changes no quantity
    assert {(*one["key"][2:], one["computed"]) for one in flags} == {
        ("module_temperature_c", "flat_line", None), ("active_power_w", "spike", None)
    }  # fmt: skip
    # a day that is not judged names the file that an operator may copy, where it lies today
    moved = [one for one in differing if one["table"] == "indicator_value"]
    for one in moved:
        today = str(one["stored"]).replace("mrv/", "mrv/countries/vn/")
        assert today.replace("give them with", "enter them with") == str(one["computed"])
    differing = [one for one in differing if one not in moved]
    assert {one["table"] for one in differing} == {"interval_emission"}
    # open time of wastewater is accounted as the close does, by the month: no quarter hour has rows
    assert {one["key"][0] for one in differing} == {"nck-wastewater", "trang-minh-wastewater"}
    assert all(one["computed"] is None for one in differing)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_pack_is_written_with_the_same_documents(reader, tmp_path, name):
    """What an auditor is given twice would differ, and one of the two be called forged."""
    must(reader, "statement", "export", name, "--out", tmp_path / "pack")
    then = SAMPLE / "packs" / name
    if not then.is_dir():
        shutil.unpack_archive(f"{then}.zip", tmp_path / "then")
        then = tmp_path / "then" / name
    for file in ("statement.json", "verification.json", "receipt.txt", "digests.json"):
        assert (tmp_path / "pack" / file).read_bytes() == (then / file).read_bytes(), file
    for file in ("findings.json", "sampling.json"):
        assert (tmp_path / "pack" / file).exists() == (then / file).exists()
    done = tonne({}, "verify", tmp_path / "pack", "--keys", SAMPLE / "trusted-no-witness.json")
    assert done.exit_code in (0, 4), done.output


def test_the_registry_says_the_same(reader):
    """Devices, certificates or plans would be other than those that statements name."""
    now = yaml.safe_load(must(reader, "registry", "export"))
    then = yaml.safe_load((SAMPLE / "database" / "registry.export.yaml").read_text())
    assert list(sample.holds(now, then)) == []


def test_the_archive_holds(reader):
    """Readings of the past would be gone, and no statement could be proved from them."""
    assert "matches the seals" in must(reader, "archive", "verify")


def test_the_archive_comes_back(writer):
    """An auditor who asks for the raw readings would be shown files that no one can load."""
    must(writer, "archive", "restore", *NREL, "--reason", "audit")
    with psycopg.connect(writer["TONNE_DATABASE_URL"]) as conn:
        found = conn.execute(
            "SELECT count(*), min(energy_export_wh), max(energy_export_wh)"
            " FROM reading_pv_inverter WHERE device_id = 'nrel-rsf2-inv2'"
        ).fetchone()
    assert found == (480, 0, 1_455_886)


def test_a_verification_that_was_begun_goes_on(writer):
    """Statements that were under way at the update would have to begin again."""
    finding = ("statement", "finding")
    must(
        writer,
        *finding,
        "answer",
        RAISED,
        "CL-1",
        "--key",
        "plant",
        "--text",
        "the first certificate is the valid one",
    )
    must(
        writer,
        *finding,
        "close",
        RAISED,
        "CL-1",
        "--key",
        "auditor",
        "--text",
        "both certificates were seen on site",
    )
    (only,) = json.loads(must(writer, *finding, "list", RAISED, "--json"))
    assert only["state"] == "closed"


def test_identities_are_renewed_by_the_same_authority(writer):
    """Every device would have to be visited with a new certificate of the authority."""
    assert "nck-inv-1" in must(writer, "registry", "credentials")
    must(writer, "registry", "issue-credentials", "nck-inv-1", "--renew", "--no-apply")
