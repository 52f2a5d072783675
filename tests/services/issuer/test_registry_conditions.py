"""What the registry says of a period's meters: dated, bounded, and in the statement."""

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from services.cli.main import main
from services.issuer.close import supersede
from services.issuer.registry_rules import rated_powers
from services.registry.entries import Rating
from services.store.postgres.pool import connect
from services.store.statements import statements
from tests import registering
from tests.findings import worded
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
ONE = "    rated_power_w: 1000000\n    installed: 2026-01-01T00:00:00+07:00\n    serial: A1\n"


@pytest.fixture
def url(database_url, tmp_path):
    planted(plant.quarter_hours, database_url, tmp_path)
    return database_url


def _import(url, folder, text):
    """Import a registry as a person would; what it says of each row, whether it was refused."""
    planned = registering.told(url, folder, text, "owner")
    return planned.refused, "\n".join(m for r in planned.results for m in r.messages)


def _close(url, span=SPAN):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        return close_period(conn, "pv", *span, "test").document["credentialSubject"]


def _issued(url, who):
    return logged.issue(url, who)


def _told(claims, begin):
    return "; ".join(
        worded(a) for a in claims["applicability"] if a["rule"].startswith(begin) and not a["holds"]
    )


def test_rating_that_is_raised_counts_from_its_import_on(url, tmp_path):
    """A rating raised a thousandfold would make a past week earn more."""
    before = _close(url)
    refused, _ = _import(url, tmp_path, plant.REGISTRY.replace("1000000", "1000000000", 1))
    assert not refused
    after = _close(url)
    meter = after["monitoredParameters"][0]["meter"]
    assert [r["ratedPowerW"] for r in meter["ratings"]] == ["1000000", "1000000000"]
    assert after["emissions"] == before["emissions"]


def test_rating_with_an_earlier_time_is_a_condition(url, tmp_path):
    """An owner would date a rating back without anybody seeing it."""
    dated = ONE.replace("1000000", "2000000") + (
        "    ratings:\n"
        "      - {from: 2026-01-01T00:00:00+07:00, rated_power_w: 1000000}\n"
        "      - {from: 2026-02-01T00:00:00+07:00, rated_power_w: 2000000}\n"
    )
    refused, said = _import(url, tmp_path, plant.REGISTRY.replace(ONE, dated))
    assert not refused, said
    told = _told(_close(url), "REG-04")
    assert "inv-1: the rating of 2,000,000 W in place of 1,000,000 W" in told
    assert "until then the lower rating applies" in told
    # both of its channels say twice what the inverter makes
    times, energy, power = plant.sunny("2026-03-05", "2026-03-06", 15, 1_900_000)
    plant.send(url, "inv-1", times, energy_export_wh=energy + 50_000_000, active_power_w=power)
    (one, _) = _close(url, (plant.us("2026-03-05"), plant.us("2026-03-06")))["monitoredParameters"]
    most = sum(min(w / 4, 275_000) for w in power)
    assert float(one["counted"]) <= most < 0.8 * int(one["metered"])


REGISTERED = datetime(2026, 6, 1, tzinfo=UTC)


def _ratings(*held):
    """Rated powers by the month of 2026 from which each counts."""
    found = []
    for month, watt, document, *late in held:
        recorded = datetime(2026, late[0], 1, tzinfo=UTC) if late else REGISTERED
        found.append((Rating(datetime(2026, month, 1, tzinfo=UTC), watt, document), recorded))
    counted = rated_powers(found)
    return [(datetime.fromtimestamp(us / 1e6, UTC).month, watt) for us, watt in counted]


@pytest.mark.parametrize(
    ("held", "counts"),
    [
        # typed with the meter: a rise without a document counts from when it was recorded
        ([(1, 100, None), (3, 400, None)], [(1, 100), (6, 400)]),
        ([(1, 100, None), (3, 400, "report 7")], [(1, 100), (3, 400)]),
        ([(1, 400, None)], [(1, 400)]),
        ([(1, 400, None), (3, 100, None)], [(1, 400), (3, 100)]),
        ([(1, 100, None), (3, 50, None), (4, 80, None)], [(1, 100), (3, 50), (6, 80)]),
        # entered later: nobody saw it before, whatever it names
        ([(1, 100, None), (3, 400, "report 7", 9)], [(1, 100), (9, 400)]),
        # known before it begins
        ([(1, 100, None), (8, 400, None)], [(1, 100), (8, 400)]),
    ],
)
def test_a_rating_that_rises_counts_where_something_shows_it(held, counts):
    """Two ratings typed with the meter would double a past week of readings that say twice."""
    assert _ratings(*held) == counts


def test_nothing_is_dated_into_a_period_that_is_signed(url, tmp_path):
    """What a statement rests on would be another registry the day after."""
    who = logged.signers(url, tmp_path)
    _issued(url, who)
    dated = ONE.replace("1000000", "2000000") + (
        "    ratings:\n"
        "      - {from: 2026-01-01T00:00:00+07:00, rated_power_w: 1000000}\n"
        "      - {from: 2026-02-01T00:00:00+07:00, rated_power_w: 2000000}\n"
    )
    refused, said = _import(url, tmp_path, plant.REGISTRY.replace(ONE, dated))
    assert refused
    assert "lies in a period that is closed" in said
    refused, said = _import(
        url, tmp_path, plant.REGISTRY.replace("timezone: Asia/Ho_Chi_Minh", "timezone: Asia/Tokyo")
    )
    assert refused
    assert "closed periods count by it" in said


def test_correction_names_every_input_that_changed(url, tmp_path):
    """A correction by another case of the methodology would go through as fixed ex ante."""
    who = logged.signers(url, tmp_path)
    name = _issued(url, who)
    other = plant.REGISTRY.replace("generation, case: 1", "generation, case: 3")
    late = "rated_power_w: 1000000\n    installed: 2026-01-0{}T00:00:00+07:00\n    calibrations"
    other = other.replace(late.format(1), late.format(2))
    refused, said = _import(url, tmp_path, other)
    assert not refused, said
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        issued = statements.find(conn, name).claims
        claims = supersede(conn, name, "test", "inv-1 is of another case").document[
            "credentialSubject"
        ]
    assert float(claims["emissions"]["reduction"]["t"]) <= float(issued.emissions.reduction.t)
    assert "case of inv-1 is 3 and was 1 in issued statement" in _told(claims, "PAR-01")
    changes = claims["supersedes"]["difference"]["inputs"]
    # what counted is the case of before; what the registry says stands beside it
    case = next(c for c in changes if c["name"].startswith("registry: inv-1 as generation"))
    assert ('"case": 1' in case["before"], '"case": 3' in case["now"]) == (True, True)
    installed = next(c for c in changes if c["name"] == "registry: inv-2 installed")
    assert (installed["before"], installed["now"]) == (
        "2025-12-31T17:00:00Z",
        "2026-01-01T17:00:00Z",
    )
    assert "case of inv-1 is 3 and was 1" in _told(claims, "PAR-01")


def test_meter_of_the_site_in_no_project_needs_a_reason(url, tmp_path):
    """Chargers that nobody bound would leave a project with less than it used."""
    plant.fill_buses(url)
    second = plant.REGISTRY.replace(
        "  - {id: bus-1,",
        "  - {id: ch-2, site: hp, class: ev_charger, profile: generic, rated_power_w: 60000,\n"
        "     installed: 2026-01-01T00:00:00+07:00}\n  - {id: bus-1,",
    )
    assert not _import(url, tmp_path, second)[0]
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        claims = close_period(conn, "bus", *SPAN, "test").document["credentialSubject"]
    clause = "BND-01"
    assert "ch-2 (ev_charger) at site hp is in no project" in _told(claims, clause)
    reason = "    boundary: [{device: ch-2, reason: for visitors' cars}]\n"
    assert not _import(url, tmp_path, second + reason)[0]
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        claims = close_period(conn, "bus", *SPAN, "test").document["credentialSubject"]
    assert not _told(claims, clause)
    assert "for visitors' cars" in str(claims["applicability"])
    # it was never heard, so that it took nothing
    assert not _told(claims, "BND-01")


def test_second_id_of_a_meter_is_refused_and_one_that_is_stored_earns_nothing(url, tmp_path):
    """One meter with two ids would be credited twice."""
    first, second = plant.REGISTRY.split("  - id: inv-2\n")
    twice = f"{first}  - id: inv-2\n    serial: A1\n{second}"
    refused, said = _import(url, tmp_path, twice)
    assert refused
    assert "inv-2 has the serial number A1 of inv-1" in said
    with connect(url) as conn:  # as 0.1.0 let it in
        conn.execute("UPDATE device SET serial = 'A1' WHERE id = 'inv-2'")
        conn.commit()
    claims = _close(url)
    assert [float(p["counted"]) > 0 for p in claims["monitoredParameters"]] == [True, False]
    assert "inv-2" in _told(claims, "REG-01")
    told = CliRunner(env={"TONNE_DATABASE_URL": url}).invoke(main, ["registry", "check"])
    assert "Nothing of inv-2 counts" in told.output
    # what is stored stands in nobody's way
    assert not _import(
        url, tmp_path, "sites:\n" + plant.REGISTRY.splitlines()[2].replace("Hai", "H")
    )[0]


@pytest.mark.parametrize(
    ("parameter", "value", "says"),
    [("sfc_l_per_100km", "150", "is fixed ex ante"), ("cod", "1", "not a parameter of ams-iii-c")],
)
def test_laboratory_says_nothing_of_what_was_fixed(url, tmp_path, parameter, value, says):
    """A baseline would rise with a report that nobody asked for."""
    found = (
        f"    laboratory:\n      - {{parameter: {parameter}, sample: S-1, taken: 2026-03-02,"
        f" value: {value}, method: count, laboratory: EVN}}\n"
    )
    refused, said = _import(url, tmp_path, plant.REGISTRY + found)
    assert refused
    assert says in said
