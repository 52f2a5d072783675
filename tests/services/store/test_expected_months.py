"""Expected values by month: as registered, as solar irradiation gives them, or equal."""

from datetime import date
from decimal import Decimal

import pytest

from mrv.accounting.rounded_figures import expected_of
from mrv.calendar import instant_us
from mrv.exante.sun import Roof, typical_months
from services.issuer.collect_evidence import plan_of
from services.processing import pv_outlook
from services.store.postgres.pool import connect
from tests import registering

STATED = "[26, 42, 84, 116, 132, 138, 142, 124, 94, 56, 30, 20]"
ROOF = """
sites:
  - {{id: roof, name: Roof, latitude: {latitude}, longitude: 7.85, timezone: Europe/Berlin,
     country: DE}}
devices:
  - id: inv
    site: roof
    class: pv_inverter
    profile: generic
    rated_power_w: 100000
    installed: 2020-01-01T00:00:00Z{device}
    dc_power_w: 110000
    tilt: {tilt}
    azimuth: 180
projects:
  - id: pv
    name: Roof
    methodology: ams-i-d
    version: "18.0"
    crediting_period: {{from: 2025-01-01, to: 2035-01-01}}
    devices: [{{device: inv, role: generation}}]
    parameters: {{ef_grid_t_per_mwh: 0.3, capacity_mw: 0.1}}
    expected: {{energy_kwh_per_year: 100000, reduction_t_per_year: 30{more}}}
"""


def _registered(url, home, more="", latitude=47.99, tilt=35, device=""):
    registering.register(
        url, home, ROOF.format(more=more, latitude=latitude, tilt=tilt, device=device)
    )


def _expected(url, begins, ends):
    """
    Return the expected tonnes of the project between two local days, as
    boards and pages query.
    """
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        return conn.execute(
            "SELECT tonne_expected_t('pv', %s::timestamp AT TIME ZONE 'Europe/Berlin',"
            " %s::timestamp AT TIME ZONE 'Europe/Berlin')",
            [begins, ends],
        ).fetchone()[0]


def test_a_stated_year_is_expected_month_by_month(database_url, tmp_path):
    """A roof would be behind each winter, and ahead each summer, whatever its owner does."""
    _registered(database_url, tmp_path, f", by_month: {STATED}")
    total = 26 + 42 + 84 + 116 + 132 + 138 + 142 + 124 + 94 + 56 + 30 + 20
    december = _expected(database_url, "2025-12-01", "2026-01-01")
    assert december == (Decimal(30) * 20 / total).quantize(Decimal("0.000001"), "ROUND_DOWN")
    half = _expected(database_url, "2025-06-01", "2025-06-16")
    assert half == pytest.approx(Decimal(30) * 138 / total / 2, abs=Decimal("0.000001"))
    # a whole year is the year, and a part before the crediting period is none
    assert _expected(database_url, "2025-01-01", "2026-01-01") == pytest.approx(30)
    assert _expected(database_url, "2024-01-01", "2025-01-01") == 0


def test_without_a_design_the_sun_of_the_place_says_the_months(database_url, tmp_path):
    """A German roof whose owner has no monthly design would be behind from November on."""
    _registered(database_url, tmp_path)
    assert _expected(database_url, "2025-12-01", "2026-01-01") == pytest.approx(
        Decimal(30) * 31 / 365, abs=Decimal("0.00001")
    )
    with connect(database_url, role="tonne_watch", autocommit=True) as conn:
        assert pv_outlook.refresh_months(conn) == 1
        assert pv_outlook.refresh_months(conn) == 0
    december = _expected(database_url, "2025-12-01", "2026-01-01")
    july = _expected(database_url, "2025-07-01", "2025-08-01")
    with connect(database_url) as conn:
        span = (
            instant_us("2025-07-01", "Europe/Berlin"),
            instant_us("2025-08-01", "Europe/Berlin"),
        )
        design = plan_of(conn, "pv", *span).project.expected
    share = expected_of(design, "reduction_t_per_year", (*span, "Europe/Berlin"))
    assert float(share) == pytest.approx(float(july), abs=0.001)  # of statements too
    # PVGIS gives Freiburg at 35 degrees to the south some 3 % in December and 13 % in July
    assert 0.02 < float(december) / 30 < 0.045
    assert 0.11 < float(july) / 30 < 0.145
    assert _expected(database_url, "2025-01-01", "2026-01-01") == pytest.approx(30)
    # other modules, other months; a design, and the sun's are gone
    _registered(database_url, tmp_path, tilt=70)
    with connect(database_url, role="tonne_watch", autocommit=True) as conn:
        assert pv_outlook.refresh_months(conn) == 1
        _registered(database_url, tmp_path, f", by_month: {STATED}")
        assert pv_outlook.refresh_months(conn) == 0
        assert conn.execute("SELECT count(*) FROM project_months").fetchone() == (0,)


def test_nothing_is_expected_before_commissioning(database_url, tmp_path):
    """A year whose plant starts in December would be forecast with twelve months of it."""
    year = date.today().year  # noqa: DTZ011 - a year that has come, and one that has not
    _registered(database_url, tmp_path, device=f"\n    commissioned: {year - 1}-12-28")
    assert _expected(database_url, f"{year - 1}-01-01", f"{year}-01-01") == pytest.approx(
        Decimal(30) * 4 / 365, abs=Decimal("0.00001")
    )
    _registered(database_url, tmp_path, device=f"\n    commissioned: {year + 1}-12-28")
    assert _expected(database_url, f"{year - 1}-01-01", f"{year}-01-01") == 0
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        ahead = conn.execute(
            "SELECT tonne_expected_ahead_t('pv', now(),"
            " %s::timestamp AT TIME ZONE 'Europe/Berlin')",
            [f"{year + 2}-01-01"],
        ).fetchone()[0]
    assert ahead == pytest.approx(Decimal(30) * 4 / 365, abs=Decimal("0.00001"))


def test_near_the_equator_the_months_are_alike():
    """A roof in Nairobi would be given Germany's winter."""
    nairobi = typical_months([(Roof(-1.29, 36.82, 10, 0), 100)])
    assert max(nairobi) / min(nairobi) < 1.35
    # the wet season of India has the higher sun; Freiburg's clouds would give it the most energy
    nagpur = typical_months([(Roof(21.14, 79.15, 20, 180), 100)])
    assert nagpur[6] / sum(nagpur) < 0.085 < nagpur[2] / sum(nagpur)
    south = typical_months([(Roof(-33.9, 18.4, 30, 0), 100)])
    assert south[11] > 1.3 * south[5]
