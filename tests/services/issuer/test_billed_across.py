"""Suppliers invoice from the fifth to the fifth, and periods are calendar months."""

import json
import re
from datetime import date
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest

from services.issuer.audit import audit
from services.issuer.close import preview_period
from services.store.postgres.pool import connect
from tests import registering
from tests.invoked import tonne
from tests.planted import planted
from tests.services.issuer import logged, plant

# one inverter of the plant's registry
REGISTRY = plant.REGISTRY[: plant.REGISTRY.index("  - id: bus\n")].replace(
    "      - {device: inv-2, role: generation, case: 3}\n", ""
)
MONTHS = [f"2026-{month:02}-01" for month in (3, 4, 5, 6)]
BILLS = [date(2026, month, 5) for month in (2, 3, 4, 5, 6)]


def _sunny_spring(url, folder):
    """Store the readings of an inverter from February to June."""
    plant.register(url, folder, REGISTRY)
    times, energy, power = plant.sunny("2026-02-01", "2026-06-10", 15)
    plant.send(url, "inv-1", times, energy_export_wh=energy, active_power_w=power)
    plant.derive(url)


@pytest.fixture
def url(database_url, tmp_path):
    planted(_sunny_spring, database_url, tmp_path)
    return database_url


def kwh(first, end):
    """Return the inverter's energy between two local midnights, by the supplier's meter."""
    times, energy, _ = plant.sunny("2026-02-01", "2026-06-10", 15)
    at = [plant.us(f"{day}T00:00:00+07:00") for day in (first, end)]
    begin, until = np.interp(at, times, energy)
    return round((until - begin) / 1000, 3)


def invoices_of(*rows, share=1.0):
    """Return invoices for some times, as a file contains them."""
    return [
        {
            "id": f"i-{first}-{end}", "project": "pv", "number": f"{first}-{end}",
            "devices": ["inv-1"], "issuer": "EVN Hai Phong", "issued": f"{end}",
            "from": f"{first}", "to": f"{end}", "amount": round(kwh(first, end) * share, 3),
            "quantity": "energy_export", "sha256": sha256(f"{first} {end}".encode()).hexdigest(),
        }
        for first, end in rows
    ]  # fmt: skip


def billed(url, folder, *rows, share=1.0):
    """Import invoices for some times."""
    registering.billed(url, folder, invoices_of(*rows, share=share))


def test_a_small_plant_is_told_what_rounding_takes(url, monkeypatch):
    """A plant of nine tonnes a month would lose a tenth of its year, month by month."""
    monkeypatch.setenv("TONNE_DATABASE_URL", url)
    whole = tonne("period", "preview", "pv", "--from", MONTHS[0], "--to", MONTHS[1], code=0).output
    assert "  rounding" not in whole  # 0.1 % of 63 t
    said = tonne("period", "preview", "pv", "--from", MONTHS[0], "--to", "2026-03-06").output
    (line,) = [one for one in said.splitlines() if one.startswith("  rounding")]
    lost, days = re.fullmatch(
        r"  rounding    (0\.\d{3}) t above the whole tonnes; a period of (\d+) days like these"
        " loses less than 1 % by rounding", line,
    ).groups()  # fmt: skip
    reduction, credited = (
        float(re.search(rf"  {name} +([\d.]+)", said)[1]) for name in ("reduction", "credited")
    )
    assert float(lost) == pytest.approx(reduction - credited, abs=0.001)
    assert reduction / 5 * int(days) >= 100 > reduction / 5 * (int(days) - 1)


def test_a_pack_compares_the_same_offline_and_an_audit_with_what_is_stored(url, tmp_path):
    """
    Anyone who has no database could not see which amounts were compared; who has it, whether they
    are true.
    """
    who = logged.signers(url, tmp_path)
    billed(url, tmp_path, *pairwise(BILLS))
    name = logged.issue(url, who, "2026-03-01", "2026-04-01", "pv")
    with logged.issuer(url) as conn:
        assert not _notes(conn)
    pack = logged.packed(url, name, tmp_path / "pack")
    before, after = json.loads(pack.files["plan.json"])["outsidePeriod"]
    assert (before["from"], after["to"]) == ("2026-02-04T17:00:00Z", "2026-04-04T17:00:00Z")
    assert int(before["metered"]) == pytest.approx(kwh("2026-02-05", MONTHS[0]) * 1000, rel=0.001)
    with connect(url) as conn:
        conn.execute(
            "UPDATE interval_quantity SET value = value + 5000 WHERE device_id = 'inv-1'"
            " AND quantity = 'energy_export' AND start = '2026-02-10T05:00:00Z'"
        )
        conn.commit()
    with logged.issuer(url) as conn:
        (said,) = _notes(conn)
    assert f"statement {name}: it compares invoices with {before['metered']}" in said


def _notes(conn):
    steps = audit(conn, logged.NOW).steps
    return [note for step in steps for note in step.notes if "compares invoices" in note]


def test_invoices_whose_time_is_not_known_are_not_compared(url, tmp_path):
    """Days that were never metered, or are to come, would be taken for whatever an owner likes."""
    too_long = date(2026, 1, 20), date(2026, 3, 20)
    to_come = date(2026, 3, 20), date(2026, 4, 18)
    away = date(2026, 4, 1), date(2026, 4, 18)
    billed(url, tmp_path, too_long, to_come, away)
    with connect(url) as conn:
        conn.execute(
            "DELETE FROM interval_quantity WHERE device_id = 'inv-1'"
            " AND start >= '2026-04-08' AND start < '2026-04-12'"
        )
        conn.commit()
    with logged.issuer(url) as conn:
        found = preview_period(conn, "pv", plant.us(MONTHS[0]), plant.us(MONTHS[1])).result
    # one that lies outside the period takes no part
    assert [check.holds for check in found.cross_checks] == [None, None]
    assert all("beyond the period" in str(check.detail) for check in found.cross_checks)
