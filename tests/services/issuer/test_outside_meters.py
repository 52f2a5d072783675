"""A meter of project consumption is named, however it is kept out of the account."""

import numpy as np
import pytest

from ingest.decode import Rejected
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from tests import registering
from tests.findings import worded
from tests.planted import planted
from tests.services.issuer import logged, plant

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
NOON = "2026-03-01T12:00:00+07:00"
TEN_MINUTES_US = 600_000_000
OFFICE = (
    "  - {id: office, name: Office, latitude: 20.92, longitude: 106.6, timezone: Asia/Bangkok}\n"
    "  - {id: gate, name: Gate 2, latitude: 20.9004, longitude: 106.6004, timezone: Asia/Bangkok}\n"
)
THIRD = (
    "  - {{id: ch-2, site: {site}, class: {kind}, profile: generic, rated_power_w: {watts},\n"
    "     installed: {installed}{more}}}\n"
)
REASON = "    boundary: [{device: ch-2, reason: cars of the office}]\n"
# emissions of the plant without a third charger
_HONEST = {}
BOUND = "devices: [{device: ch-1, role: charging}, "


def _registry(
    *, reason=False, bound=False, site="hp", kind="ev_charger", watts=60000,
    installed="2026-01-01T00:00:00+07:00", more="",
):  # fmt: skip
    """Return the plant with a third charger."""
    third = THIRD.format(site=site, kind=kind, watts=watts, installed=installed, more=more)
    text = plant.REGISTRY.replace("devices:\n", f"{OFFICE}devices:\n", 1)
    text = text.replace("  - {id: bus-1,", f"{third}  - {{id: bus-1,")
    if bound:
        text = text.replace(BOUND, f"{BOUND}{{device: ch-2, role: charging}}, ")
    return text + (REASON if reason else "")


@pytest.fixture
def buses(database_url, tmp_path):
    """Import a plant of buses and store its readings; import further registries."""
    planted(plant.quarter_hours, database_url, tmp_path)
    plant.fill_buses(database_url)

    def imported(*texts):
        for text in texts:
            planned = registering.told(database_url, tmp_path, text, "owner")
            assert not planned.refused, [r.messages for r in planned.results]
        return database_url

    return imported


def _tell(url, watt_hours=1_000, since=0, until="2026-03-04"):
    """Store readings of the third charger for three days, or up to a time."""
    times = np.arange(plant.us("2026-03-01"), plant.us(until), TEN_MINUTES_US)
    plant.send(url, "ch-2", times, energy_import_wh=since + np.arange(len(times)) * watt_hours)


def _close(url):
    return logged.subject(url, *SPAN, project="bus")


@pytest.fixture
def honest(buses):
    """Return the emissions of the plant before a third charger is entered."""
    if not _HONEST:
        _HONEST.update(_close(buses())["emissions"])
    return _HONEST


def _told(claims):
    return logged.unmet(claims, "BND-01")


def _behind(text):
    """Return a registry whose bus sends through the third charger."""
    end = text.index("}", text.index("  - {id: bus-1,"))
    return f"{text[:end]}, gateway: ch-2{text[end:]}"


def test_a_gateway_that_measures_nothing_is_no_meter(buses):
    """A gateway would have to be excused in the boundary of each project at its site."""
    url = buses(_behind(_registry()))
    assert _told(_close(url)) == ""


def test_a_gateway_that_measures_is_a_meter(buses):
    """A charger would be hidden by naming it as the gateway of another device."""
    url = buses(_behind(_registry()))
    _tell(url)
    assert "it measured 144 kWh" in _told(_close(url))


KEPT_OUT = {
    "removed": (
        [{"reason": True, "more": ", removed: 2026-02-20T00:00:00+07:00"}],
        ("removed on 2026-02-19T17:00:00Z): it measured 144 kWh, which as charging of the project"),
    ),
    "removed, and no reason": (
        [{"more": ", removed: 2026-02-20T00:00:00+07:00"}],
        "its last reading is of 2026-03-02T17:00:00Z. Assign it",
    ),
    "installed later": (
        [{"reason": True, "installed": "2026-05-01T00:00:00+07:00"}],
        "installed on 2026-04-30T17:00:00Z): it measured 144 kWh",
    ),
    "removed late, and bound": (
        [{"bound": True}, {"bound": True, "more": ", removed: 2026-03-02T12:00:00+07:00"}],
        (
            "removed on 2026-03-02T05:00:00Z, in the account only from 2025-12-31T17:00:00Z to"
            " 2026-03-02T05:00:00Z): it measured 72 kWh"
        ),
    ),
    "moved to another site": (
        [{"bound": True}, {"site": "office"}],
        "now at site office, previously at the project or its site): it measured 144 kWh",
    ),
    "moved from the site, and never bound": (
        [{"reason": True}, {"site": "office"}],
        "measured 144 kWh",
    ),
    "entered as a pump": ([{"reason": True, "kind": "pump"}], "measured 144 kWh"),
    "entered as a pump, and no reason": (
        [{"kind": "pump"}],
        "(in no project): it measured 144 kWh",
    ),
    "at the same place under another name": ([{"site": "gate"}], "in no project): it measured 144"),
    "a check meter that does not agree": (
        [{"more": ", check_of: ch-1"}],
        "as check meter of ch-1, but does not agree with it): it measured 144 kWh",
    ),
}


@pytest.mark.parametrize(("registries", "says"), KEPT_OUT.values(), ids=KEPT_OUT)
def test_charger_that_is_kept_out_of_the_account_is_named(buses, registries, says):
    """
    Each of these meters outside the project gave 2.55 times the
    true reduction, without a finding.
    """
    url = buses(*(_registry(**one) for one in registries))
    _tell(url)
    told = _told(_close(url))
    assert says in told
    assert "which as charging of the project would emit 0." in told
    if "in the account only" in told:
        assert "or show the verifier a third party's document that states its location" in told
    else:
        assert (
            "Assign it to the project, or enter the reason for its exclusion in `boundary`" in told
        )


DIAGRAM = (
    "    documents: {line_diagram: {document: Line diagram 3, by: %s, issued: %s, sha256: %s}}\n"
)
BY, BEFORE = "Institute of Energy", "2025-12-01"
DRAWN = {
    "of a third party": (_registry(reason=True), BY, BEFORE, "observation"),
    "at the same place under another name": (
        _registry(reason=True, site="gate"), BY, BEFORE, "observation",
    ),
    "without a reason": (_registry(), BY, BEFORE, "CL"),
    "of after the period began": (_registry(reason=True), BY, "2026-03-03", "CL"),
}  # fmt: skip


@pytest.mark.parametrize(("registry", "by", "issued", "severity"), DRAWN.values(), ids=DRAWN)
def test_a_third_partys_line_diagram_settles_a_neighbours_charger(
    buses, registry, by, issued, severity
):
    """An honest depot was asked about its neighbour's charger each month; no row met it."""
    url = buses(registry + DIAGRAM % (by, issued, "ab" * 32))
    _tell(url)
    found = [one for one in _close(url)["applicability"] if one["rule"] == "BND-01"]
    asked = [one for one in found if not one["holds"]]
    assert {one.get("severity") or "CL" for one in asked} == {severity}
    shown = "Line diagram 3" in " ".join(map(worded, asked))
    assert shown == (severity == "observation")
    assert "measured 144 kWh" in " ".join(map(worded, asked))


@pytest.mark.parametrize(
    "registries",
    [
        [{"more": ", removed: 2026-03-01T12:00:00+07:00"}],
        [{"bound": True}, {"bound": True, "more": ", removed: 2026-03-01T12:00:00+07:00"}],
        [{"site": "office"}],
    ],
    ids=["removed", "bound and removed", "always at another site"],
)
def test_charger_that_took_nothing_of_the_project_is_not_named(buses, honest, registries):
    """A meter that was removed and is silent since would appear in every statement."""
    url = buses(*(_registry(**one) for one in registries))
    _tell(url, until="2026-03-04" if registries == [{"site": "office"}] else NOON)
    after = _close(url)
    assert not _told(after)
    assert after["emissions"] == honest


def test_rating_of_a_watt_hides_nothing(buses):
    """A meter registered with 1 W has empty intervals, since every step exceeds its rating."""
    url = buses(_registry(reason=True, watts=1))
    _tell(url, 2_000)
    told = _told(_close(url))
    assert "by 144 readings its register rose by 286 kWh" in told
    assert "which as charging of the project would emit 0." in told


def test_readings_that_a_low_rating_refuses_are_told(buses):
    """At a rating of 1 W, a register above ten years of generation is not stored."""
    url = buses(_registry(reason=True, watts=1))
    assert not _told(_close(url))
    details = [
        f"energy_import_wh {value} Wh is more than 1 W could make"
        for value in (2_000_000, 2_144_000)
    ]
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        topics = ["tonne/v1/ch-2/telemetry"] * 2
        letters = Letters(topics, [b"{}", b"[]"], [None] * 2, [False] * 2, SPAN[0] + 1)
        refused = [
            Rejected(i, "implausible_register", detail, SPAN[0]) for i, detail in enumerate(details)
        ]
        plant.store_of(conn).commit(conn, [], refused, letters)
    told = _told(_close(url))
    assert (
        "2 of its messages since 2026-03-01T17:00:00Z were rejected, since they exceed its" in told
    )
    assert "rated_power_w; correct the value and send the messages again" in told
    assert "rises by 144 kWh, which as charging of the project would emit 0." in told


def test_check_meter_that_agrees_is_none_that_is_left_out(buses, honest):
    """An honest check meter would be reported as a meter hidden by the project."""
    url = buses(_registry(more=", check_of: ch-1"))
    times = np.arange(plant.us("2026-03-01"), plant.us("2026-03-04"), TEN_MINUTES_US)
    hour = (times + 7 * 3_600_000_000) // 3_600_000_000 % 24
    plant.send(url, "ch-2", times, energy_import_wh=np.cumsum(np.where(hour < 5, 8_100, 0)))
    after = _close(url)
    assert not _told(after)
    assert after["emissions"] == honest


# what a meter reads each ten minutes, of what the charger takes beneath it, by the hour [Wh]
UPSTREAM = {
    "supplies the workshop too": (lambda took, hour: took + np.where(hour > 7, 3_000, 500), None),
    "supplies the charger alone": (lambda took, _: took * 99 // 100, None),
    "reads less": (
        lambda took, _: took // 2,
        "as upstream of ch-1, but they consumed 240 kWh in hours in which it measured 121.5",
    ),
    "takes by day": (
        lambda _, hour: np.where(hour > 7, 9_000, 0),
        "in some of these hours their sum exceeds its own reading by 232 kWh",
    ),
    "takes more than the charger at any time": (
        lambda took, hour: 12_000 + 50 * (hour % 3) + 0 * took,
        "but its readings do not follow their hourly changes",
    ),
}


@pytest.mark.parametrize(("reads", "says"), UPSTREAM.values(), ids=UPSTREAM)
def test_main_meter_is_settled_by_what_it_supplies(buses, honest, reads, says):
    """An honest main meter had a finding each month; a hidden meter could be declared as one."""
    outside = REASON.replace("reason:", "upstream_of: [ch-1], reason:")
    url = buses(_registry(kind="energy_meter", watts=200_000) + outside)
    times = np.arange(plant.us("2026-03-01"), plant.us("2026-03-04"), TEN_MINUTES_US)
    hour = (times + 7 * 3_600_000_000) // 3_600_000_000 % 24
    took = np.where(hour < 5, 8_100, 0)
    plant.send(url, "ch-2", times, energy_import_wh=np.cumsum(reads(took, hour)))
    after = _close(url)
    assert after["emissions"] == honest
    if says is None:
        assert not _told(after)
        (met,) = (
            worded(a)
            for a in after["applicability"]
            if a["rule"] == "BND-01" and "confirm" in worded(a)
        )
        assert met.startswith("ch-2 supplies ch-1 of the project, and readings confirm")
        assert "they consumed 240 kWh" in met
    else:
        assert says in _told(after)
        assert "name the meters of the project that it supplies (`upstream_of`" in _told(after)


def test_a_main_meter_of_idle_loads_is_settled_by_the_line_diagram(buses):
    """An operator who entered both ways that the finding names would have it each month."""
    outside = REASON.replace("reason:", "upstream_of: [ch-1], reason:")
    drawn = DIAGRAM % (BY, BEFORE, "ab" * 32)
    url = buses(_registry(kind="energy_meter", watts=200_000) + outside + drawn)
    by_day = plant.us("2026-03-02T08:00:00+07:00"), plant.us("2026-03-02T20:00:00+07:00")
    times = np.arange(*by_day, TEN_MINUTES_US)  # the charger beneath it takes nothing by day
    plant.send(url, "ch-2", times, energy_import_wh=np.arange(len(times)) * 900)
    (found,) = (a for a in _close(url)["applicability"] if a["rule"] == "BND-01" and not a["holds"])
    assert "which consumed nothing in the hours of its readings" in worded(found)
    assert found["severity"] == "observation"


def _split(device):
    """Return the plant with its third charger in another project of buses."""
    other = plant.REGISTRY[plant.REGISTRY.index("  - id: bus\n") :]
    other = other.replace("- id: bus\n", "- id: bus-z\n").replace(
        BOUND + "{device: bus-1, role: vehicle}]",
        f"devices: [{{device: {device}, role: charging}}, {{device: bus-2, role: vehicle}}]",
    )
    second = "  - {id: bus-2, site: hp, class: vehicle, profile: generic,\n"
    second += "     installed: 2026-01-01T00:00:00+07:00}\n"
    return _registry().replace("  - {id: bus-1,", f"{second}  - {{id: bus-1,") + other


def test_charger_of_a_project_that_is_never_closed_is_named(buses, honest):
    """The consumption of a charger in a project that is never closed was counted nowhere."""
    url = buses(_split("ch-2"))
    _tell(url)
    told = _told(_close(url))
    assert (
        "ch-2 is not counted for the project (in project bus-z, which has no statement for that"
        in told
    )
    assert "measured 144 kWh, which as charging of the project would emit 0." in told
    logged.closed(url, *SPAN, project="bus-z")
    after = _close(url)
    assert not _told(after)
    assert after["emissions"] == honest
