"""Costs, savings and earnings of energy by a site's tariffs; never in tonnes."""

from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from openpyxl import load_workbook

from mrv.report import make_programme
from services.registry.files import to_yaml
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import load_registry
from services.store.views import parks
from services.store.views.fleet_metrics import refresh_days
from services.store.views.programme_report import report_document
from tests import registering
from tests.services.issuer import plant

CITY = """
sites:
  - id: roof
    name: Roof
    latitude: 47.99
    longitude: 7.85
    timezone: Europe/Berlin
    country: DE
    tariffs:
      - {{from: 2026-01-01, currency: EUR, import_per_kwh: 0.31, export_per_kwh: 0.08}}
      - {{from: 2026-06-02, currency: EUR, import_per_kwh: 0.4{more}}}
devices:
  - {{id: inv, site: roof, class: pv_inverter, profile: generic, rated_power_w: 100000,
     installed: 2026-01-01T00:00:00Z}}
  - {{id: meter, site: roof, class: energy_meter, profile: generic, rated_power_w: 100000,
     installed: 2026-01-01T00:00:00Z}}
  - {{id: ch, site: roof, class: ev_charger, profile: generic, rated_power_w: 100000,
     installed: 2026-01-01T00:00:00Z}}
projects:
  - id: pv
    name: Roof
    methodology: ams-i-d
    version: "18.0"
    crediting_period: {{from: 2026-01-01, to: 2036-01-01}}
    devices: [{{device: inv, role: generation}}]
    parameters: {{ef_grid_t_per_mwh: 0.3, capacity_mw: 0.1}}
programme: {{name: Freiburg}}
"""
DAYS = (date(2026, 6, 1), date(2026, 6, 3))


@pytest.fixture
def filled(database_url, tmp_path):
    """Return two local days of a roof, a grid meter and a charger, with a tariff change between."""

    def made(more=""):
        registering.register(database_url, tmp_path, CITY.format(more=more))
        begin = plant.instant_us("2026-06-01", "Europe/Berlin")
        times = [begin + i * 15 * plant.MINUTE_US for i in range(2 * 96 + 1)]
        up = [1000 * i for i in range(len(times))]
        sun = [0]
        for i in range(len(times) - 1):
            sun.append(sun[-1] + (2000 if 6 * 4 <= i % 96 < 18 * 4 else 0))
        plant.send(database_url, "inv", times, energy_export_wh=sun)
        plant.send(database_url, "meter", times, energy_import_wh=up, energy_export_wh=up)
        plant.send(database_url, "ch", times, energy_import_wh=up)
        with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
            refresh_days(conn)
        return database_url

    return made


def _amounts(found):
    return {(one.kind, one.currency): (one.energy_kwh, one.amount) for one in found}


def test_each_day_has_the_price_of_its_date(filled):
    """A price that rose would be counted back to the beginning, or not at all."""
    url = filled()
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        inverter = _amounts(parks.of_device(conn, "inv", *DAYS))
        # 96 kWh a day: 0.31 on the first, 0.40 on the second
        assert inverter == {("saved", "EUR"): (Decimal(192), Decimal("68.16"))}
        meter = _amounts(parks.of_device(conn, "meter", *DAYS))
        # no export price from the second day on: nothing is earned, rather than the old price
        assert meter == {
            ("cost", "EUR"): (Decimal(192), Decimal("68.16")),
            ("earned", "EUR"): (Decimal(96), Decimal("7.68")),
        }
        assert _amounts(parks.of_device(conn, "ch", *DAYS)).keys() == {("cost", "EUR")}
        assert _amounts(parks.of_project(conn, "pv", *DAYS)) == inverter
        assert parks.of_device(conn, "inv", date(2025, 1, 1), date(2026, 1, 1)) == []


def test_what_is_fed_in_whole_is_sold_and_saves_nothing(filled):
    """A plant whose energy is sold would be shown to save its owner's bill as well."""
    url = filled(", feed_in_per_kwh: 0.07")
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        assert _amounts(parks.of_device(conn, "inv", *DAYS)) == {
            ("saved", "EUR"): (Decimal(96), Decimal("29.76")),
            ("earned", "EUR"): (Decimal(96), Decimal("6.72")),
        }


def test_money_has_a_sheet_of_its_own_and_is_in_no_tonnes(filled):
    """An officer would add euros to tonnes, or look for them in vain."""
    url = filled()
    with connect(url, autocommit=True) as conn:
        document = report_document(conn, 2026)
        again = load_registry(conn)
    (row,) = document["money"]
    assert (row["project"], row["kind"], row["amount"], row["currency"]) == (
        "pv", "saved", "68.16", "EUR",
    )  # fmt: skip
    book = load_workbook(BytesIO(make_programme(document, "xlsx", "de")))
    cells = [cell.value for line in book["Kosten und Erlöse"] for cell in line]
    assert "EUR" in cells
    assert 68.16 in cells
    rest = (sheet for sheet in book if sheet.title != "Kosten und Erlöse")
    others = [str(c.value) for sheet in rest for line in sheet for c in line]
    assert not [one for one in others if "EUR" in one or "68.16" in one]
    assert "tariffs" in to_yaml(again)
    assert again.sites["roof"].tariffs[1].import_per_kwh == Decimal("0.4")
