"""Devices leave and join projects after their days were sealed; no row was changed."""

import psycopg
import pytest

from services.issuer.audit import audit
from tests.planted import planted
from tests.services.issuer import logged, plant

BOUND = "      - {device: inv-2, role: generation, case: 3}\n"
LEAVES = BOUND.replace("case: 3", "case: 3, to: 2026-03-02")
OTHER = """  - id: pv-2
    name: Rooftop PV, another roof
    methodology: jcm-vn-am007
    version: "1.0"
    crediting_period: {from: 2026-03-02, to: 2036-01-01}
    devices: [{device: inv-2, role: generation, case: 3}]
"""


@pytest.fixture
def who(database_url, tmp_path):
    """Return the signers over a plant with three days of readings."""
    return planted(logged.with_buses, database_url, tmp_path)


def _audit(url):
    with logged.issuer(url) as conn:
        return audit(conn, logged.NOW).first_break


@pytest.mark.parametrize("rest", ["", OTHER])
def test_a_device_that_leaves_a_project_accuses_nobody(database_url, who, tmp_path, rest):
    """
    An accepted import that ended a service was reported as rows that
    someone took out by hand.
    """
    assert logged.seal_now(database_url, who).refused == []
    plant.imported(database_url, tmp_path, plant.REGISTRY.replace(BOUND, LEAVES) + rest)
    for recheck in (False, True):
        report = logged.seal_now(database_url, who, recheck=recheck)
        assert report.refused == []
    assert _audit(database_url) is None


def test_a_device_that_joins_a_project_raises_no_finding(database_url, who, tmp_path):
    """Days of a reassigned device were sealed under no project, or under a wrong one."""
    plant.imported(database_url, tmp_path, plant.REGISTRY.replace(BOUND, LEAVES))
    logged.seal_now(database_url, who)
    plant.imported(database_url, tmp_path, plant.REGISTRY)
    for recheck in (False, True):
        report = logged.seal_now(database_url, who, recheck=recheck)
        assert report.refused == []
    assert _audit(database_url) is None


def test_a_day_whose_rows_wait_for_an_import_is_sealed_after_them(database_url, who, tmp_path):
    """
    Emissions from before the import were reported as rows that do not follow from the
    readings.
    """
    logged.seal_now(database_url, who)
    plant.imported(database_url, tmp_path, plant.REGISTRY.replace(BOUND, LEAVES))
    plant.register(database_url, tmp_path, plant.REGISTRY)
    report = logged.seal_now(database_url, who, recheck=True)
    assert (report.refused, report.waiting, report.again) == ([], ["inv-2"], 0)
    with logged.issuer(database_url) as conn:
        notes = [n for step in audit(conn, logged.NOW).steps for n in step.notes]
    assert any("rows of inv-2 are not calculated from their readings" in one for one in notes)
    plant.derive(database_url)
    report = logged.seal_now(database_url, who, recheck=True)
    report = logged.seal_now(database_url, who, recheck=True)
    assert (report.refused, report.waiting, report.again) == ([], [], 0)
    assert _audit(database_url) is None


@pytest.mark.parametrize("text", [plant.REGISTRY.replace(BOUND, LEAVES), plant.REGISTRY])
def test_rows_that_are_gone_are_named_whatever_was_imported(database_url, who, tmp_path, text):
    """Anyone who ends a service could take the readings out of the days that were sealed."""
    logged.seal_now(database_url, who)
    plant.imported(database_url, tmp_path, text)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute("DELETE FROM reading_pv_inverter WHERE device_id = 'inv-2'"
                     " AND time >= '2026-03-02T05:00Z' AND time < '2026-03-02T05:16Z'")  # fmt: skip
    report = logged.seal_now(database_url, who, recheck=True)
    assert any("inv-2 on 2026-03-02" in what for what in report.refused)
    assert "inv-2 on 2026-03-02" in _audit(database_url)
