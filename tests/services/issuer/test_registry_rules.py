"""Rules of the stage "registry" without a database, and their effect on a period's meters."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from click.testing import CliRunner

from mrv.documents import UNSET, text_in
from mrv.factors import load
from mrv.method_lives import find_life
from mrv.registry import Calibration, Design, Sample
from mrv.registry.project import Certified, Invoice, Project, ProjectDevice
from mrv.signatures.key_bounds import KeyBounds
from mrv.signatures.keys import EnrolledKey
from mrv.texts import joined, render
from services.cli.__main__ import main
from services.issuer import registry_rules as judges
from services.issuer.close import supersede
from services.issuer.doubted_invoices import Cited, Invoices
from services.issuer.left_out_meters import Unserved
from services.issuer.left_out_use import LeftOut, Refused
from services.issuer.registry_facts import RegistryFacts
from services.issuer.registry_rules import judged
from services.issuer.same_series import Agreeing, Copy
from services.registry.entries import Device, Outside, Rating, Registry, Replacement
from services.registry.entries import Project as Entry
from services.registry.ratings import rated_powers
from services.store.postgres.pool import connect
from services.store.statements import statements
from services.store.statements.statements import IssuedDesign
from services.store.timeseries.measured_energy import Beyond
from tests import registering
from tests.mrv.packs import SIGNERS
from tests.services.issuer import logged, plant
from tests.services.issuer.logged import unmet

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
ONE = "    rated_power_w: 1000000\n    installed: 2026-01-01T00:00:00+07:00\n    serial: A1\n"
DATED = ONE.replace("1000000", "2000000") + (
    "    ratings:\n"
    "      - {from: 2026-01-01T00:00:00+07:00, rated_power_w: 1000000}\n"
    "      - {from: 2026-02-01T00:00:00+07:00, rated_power_w: 2000000}\n"
)


def _close(url, span=SPAN):
    return logged.subject(url, *span)


def test_rating_that_is_raised_counts_from_its_import_on(url, tmp_path):
    """A raised rating applies from its import on."""
    before = _close(url)
    refused, _ = registering.said(url, tmp_path, plant.REGISTRY.replace("1000000", "1000000000", 1))
    assert not refused
    after = _close(url)
    meter = after["monitoredParameters"][0]["meter"]
    assert [r["ratedPowerW"] for r in meter["ratings"]] == ["1000000", "1000000000"]
    assert after["emissions"] == before["emissions"]


def test_rating_with_an_earlier_time_is_a_condition(url, tmp_path):
    """An owner would date a rating back without anyone seeing it."""
    refused, said = registering.said(url, tmp_path, plant.REGISTRY.replace(ONE, DATED))
    assert not refused, said
    told = unmet(_close(url), "REG-04")
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
    """Return rated powers by the month of 2026 from which each applies."""
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
    """A later change of the registry would change the inputs of a statement."""
    who = logged.signers(url, tmp_path)
    logged.issue(url, who)
    refused, said = registering.said(url, tmp_path, plant.REGISTRY.replace(ONE, DATED))
    assert refused
    assert "is in a closed period" in said
    refused, said = registering.said(
        url, tmp_path, plant.REGISTRY.replace("timezone: Asia/Ho_Chi_Minh", "timezone: Asia/Tokyo")
    )
    assert refused
    assert "closed periods up to" in said


def test_correction_names_every_input_that_changed(url, tmp_path):
    """A correction lists each changed input."""
    who = logged.signers(url, tmp_path)
    name = logged.issue(url, who)
    other = plant.REGISTRY.replace("generation, case: 1", "generation, case: 3")
    late = "rated_power_w: 1000000\n    installed: 2026-01-0{}T00:00:00+07:00\n    calibrations"
    other = other.replace(late.format(1), late.format(2))
    refused, said = registering.said(url, tmp_path, other)
    assert not refused, said
    with logged.issuer(url) as conn:
        issued = statements.find(conn, name).claims
        claims = supersede(conn, name, "test", "inv-1 is of another case").document[
            "credentialSubject"
        ]
    assert float(claims["emissions"]["reduction"]["t"]) <= float(issued.emissions.reduction.t)
    assert "case of inv-1 is 3, but 1 in issued statement" in unmet(claims, "PAR-01")
    changes = claims["supersedes"]["difference"]["inputs"]
    # what counted is the case of before; what the registry says stands beside it
    case = next(c for c in changes if c["name"].startswith("registry: inv-1 as generation"))
    assert ('"case": 1' in case["before"], '"case": 3' in case["now"]) == (True, True)
    installed = next(c for c in changes if c["name"] == "registry: inv-2 installed")
    assert (installed["before"], installed["now"]) == (
        "2025-12-31T17:00:00Z",
        "2026-01-01T17:00:00Z",
    )
    assert "case of inv-1 is 3, but 1" in unmet(claims, "PAR-01")


def test_meter_of_the_site_in_no_project_needs_a_reason(url, tmp_path):
    """An excluded meter of the site requires a justification."""
    plant.fill_buses(url)
    second = plant.REGISTRY.replace(
        "  - {id: bus-1,",
        "  - {id: ch-2, site: hp, class: ev_charger, profile: generic, rated_power_w: 60000,\n"
        "     installed: 2026-01-01T00:00:00+07:00}\n  - {id: bus-1,",
    )
    assert not registering.said(url, tmp_path, second)[0]
    claims = logged.subject(url, *SPAN, project="bus")
    clause = "BND-01"
    assert "ch-2 (ev_charger) at site hp is in no project" in unmet(claims, clause)
    reason = "    boundary: [{device: ch-2, reason: for visitors' cars}]\n"
    assert not registering.said(url, tmp_path, second + reason)[0]
    claims = logged.subject(url, *SPAN, project="bus")
    assert not unmet(claims, clause)
    assert "for visitors' cars" in str(claims["applicability"])


def test_second_id_of_a_meter_is_refused_and_one_that_is_stored_earns_nothing(url, tmp_path):
    """One meter with two ids would be credited twice."""
    first, second = plant.REGISTRY.split("  - id: inv-2\n")
    twice = f"{first}  - id: inv-2\n    serial: A1\n{second}"
    refused, said = registering.said(url, tmp_path, twice)
    assert refused
    assert "inv-2 has the serial number A1 of inv-1" in said
    with connect(url) as conn:  # as 0.1.0 let it in
        conn.execute("UPDATE device SET serial = 'A1' WHERE id = 'inv-2'")
        conn.commit()
    claims = _close(url)
    assert [float(p["counted"]) > 0 for p in claims["monitoredParameters"]] == [True, False]
    assert "inv-2" in unmet(claims, "REG-01")
    told = CliRunner(env={"TONNE_DATABASE_URL": url}).invoke(main, ["registry", "check"])
    assert "inv-2 is not counted" in told.output
    # what is stored stands in nobody's way
    assert not registering.said(
        url, tmp_path, "sites:\n" + plant.REGISTRY.splitlines()[2].replace("Hai", "H")
    )[0]


HOUR_US = 3_600_000_000
PERIOD = 1_772_323_200_000_000, 1_772_323_200_000_000 + 48 * HOUR_US
INSTALLED = datetime(2025, 1, 1, tzinfo=UTC)
METHOD = "ams-iii-c", "16.0"


def _device(name, class_id="ev_charger", **other):
    base = Device(name, "hp", class_id, "generic", None, 1000, INSTALLED, None, f"N-{name}", {},
                  (), (), maker="M")  # fmt: skip
    return replace(base, **other)


CHARGER, BUS = _device("c"), _device("b", "vehicle")
PROJECT = Project(
    "p", "P", *METHOD, "Asia/Ho_Chi_Minh", *PERIOD,
    parameters={"sfc_l_per_100km": 34, "baseline_year": 2025, "tdl": Decimal("0.0615")},
    devices=(ProjectDevice("b", "vehicle"), ProjectDevice("c", "charging")),
)  # fmt: skip
ENTRY = Entry(
    "p", "P", *METHOD, INSTALLED.date(), INSTALLED.date(), (), {}, {}, None, None,
    documents={"sfc_l_per_100km": "PDD", "baseline_year": "PDD"},
)  # fmt: skip
INVOICES = Invoices(PROJECT, PERIOD, (), (), (), {}, ())


def _facts(*devices, entry=ENTRY, more=(), **other):
    """Return facts of a project without faults, or with some."""
    mine = tuple({one.id: one for one in (BUS, CHARGER, *devices)}.values())
    usual = {
        "project": PROJECT, "period_us": PERIOD, "registry": Registry.of([*mine, entry, *more]),
        "devices": mine, "ratings": {}, "same": (), "alike": (), "beyond": (), "copies": (),
        "invoices": INVOICES, "operators": frozenset(), "accepted": {}, "owed": (), "lives": (),
        "certified": {}, "certified_elsewhere": (), "left_out": (), "unbound": (),
        "factors": load().within("VN"),
    }  # fmt: skip
    return RegistryFacts(**{**usual, **other})


def _invoice(name, **other):
    one = Invoice(name, "EVN", name, date(2026, 4, 1), ("c",), "energy_import", *PERIOD, 1000, 1)
    return replace(one, **other)


def _rating(watt, **other):
    later = datetime.fromtimestamp(PERIOD[0] / 1e6, UTC) - timedelta(days=9)
    return Rating(later, watt, "sheet", **other), later + timedelta(days=20)


IN_FORCE = Calibration(date(2025, 1, 1), date(2027, 1, 1), "K-1", None, Decimal("0.5"), "N-c")
BY_OPERATOR = replace(IN_FORCE, laboratory="EVN Hai Phong Branch")
BY_MAKER = replace(IN_FORCE, laboratory="SMA")
CERTIFICATE = Calibration(date(2025, 1, 1), date(2027, 1, 1), "K-1", None, Decimal("0.5"), None)
SWAP = Replacement(INSTALLED, "energy_import_wh", 5, 0, "broken")
LEFT = Unserved("d", "ev_charger", (PERIOD,), "cars of the office")
LIFE = find_life("ams-i-d", "18.0", ["Verra"])
FILE = "ab" * 32
SHARED = tuple(
    Cited("document", "p", name, "A", date(2025, 1, day), "", FILE)
    for day, name in ((1, "x"), (2, "y"))
)
OPERATOR = EnrolledKey(
    "o", "operator", SIGNERS["operator"].public_multikey, bounds=KeyBounds(organisation="EVN")
)
WRONG = {
    # what is wrong: the rule that reports it, and a word of what it reports
    "maker": ({"devices": _device("c", maker=None)}, "REG-01", "c has no manufacturer"),
    "alike": ({"alike": ((CHARGER, BUS),)}, "REG-01", "N-c of c"),
    "certificate": ({"devices": _device("c", calibrations=(CERTIFICATE,))}, "REG-02", "K-1"),
    "replacement": ({"devices": _device("c", replacements=(SWAP,))}, "REG-03", "c: the"),
    "late rating": (
        {"ratings": {"c": [(Rating(INSTALLED, 1, None), INSTALLED), _rating(9)]}}, "REG-04", "9 W"
    ),
    "design": (
        {"entry": replace(ENTRY, design=Design("PDD", "1.1", date(2025, 1, 1), "c" * 64)),
         "designs": (IssuedDesign("1.1", "2025-01-01", "a" * 64, "TN-1"),)},
        "PLN-01", "is the file aaaaaaaaaaaa... in statement TN-1, and now cccccccccccc...",
    ),
    "own calibration": (
        {"devices": _device("c", calibrations=(BY_OPERATOR,)),
         "invoices": replace(INVOICES, operators=(OPERATOR,))},
        "REG-02", "by EVN Hai Phong Branch, which operates the plant",
    ),
    "maker's calibration": (
        {"devices": _device("c", maker="SMA", calibrations=(BY_MAKER,))},
        "REG-02", "by the manufacturer",
    ),
    "unit": ({"beyond": (Beyond("c", 60, 60_000.0),)}, "MTR-01", "1,000 times"),
    # of what has to be dated the close says what it lacks
    "document": (
        {"entry": replace(ENTRY, documents={}),
         "project": replace(PROJECT, parameters={**PROJECT.parameters, "service_km_per_year": 1})},
        "PAR-07", "service_km_per_year has no",
    ),
    "own laboratory": (
        {"entry": replace(ENTRY, laboratory=(Sample(
            "biofuel_share", "S-7", date(2026, 3, 1), 0, "EN 14214", "EVN Hai Phong Branch",
        ),)), "invoices": replace(INVOICES, operators=(OPERATOR,))},
        "PAR-06", "sample S-7 was analysed by",
    ),
    "affiliated document": (
        {"entry": replace(ENTRY, documents={
            **ENTRY.documents, "sfc_l_per_100km": {"document": "d", "by": "EVN Hai Phong JSC"},
        }), "invoices": replace(INVOICES, operators=(OPERATOR,))},
        "PAR-07", "its document is by",
    ),
    "one file": ({"invoices": replace(INVOICES, documents=SHARED)}, "EVD-09", "document of x"),
    "own invoice": (
        {"invoices": replace(INVOICES, every=(("p", _invoice("i"), None, None),),
                             operators=(OPERATOR,))},
        "EVD-08", "Invoice i (EVN, i) was issued by an operator",
    ),
    "other issuer": (
        {"invoices": replace(INVOICES, every=(("p", _invoice("i"), None, None),
                                              ("p", _invoice("j", issuer="X"), "i", "typo")))},
        "EVD-09", "j (X, j) corrects i (EVN, i)",
    ),
    "life": ({"lives": ((LIFE, date(2027, 3, 1)),)}, "PLN-03", "AMS-I.D takes no new project"),
    "debt": ({"owed": (("TN-1", -5 * 10**12),)}, "CLM-04", "a balance of \N{MINUS SIGN}5"),
    "scaled": (
        {"copies": (Copy("b", "z", "q", equal=False, by_day=Agreeing(9, 10, 1.5)),)},
        "CLM-02", "1.5 times those of z (project q) on 9 of 10",
    ),
    "in another order": (
        {"copies": (Copy("b", "z", "q", equal=False,
                         by_day=Agreeing(27, 28, 0.8, ordered=False)),)},
        "CLM-02", "0.8 times those of z (project q) in another order, on 27 of 28 days",
    ),
    "under noise": (
        {"copies": (Copy("b", "z", None, equal=False,
                         by_day=Agreeing(28, 28, 0.9, noise=0.0402)),)},
        "MTR-03", "b reports 0.9 times the quantity of z, with random differences of 4 %",
    ),
    "inside": ({"copies": (Copy("b", "z", None, equal=False),)}, "MTR-03", "b is proportional"),
    "beside": ({"certified_elsewhere": (("I-REC 7", "z"),)}, "CLM-01", "7 certifies energy of z"),
    "left out": (
        {"left_out": (LeftOut(LEFT, {"energy_import": 144_000}, PERIOD[1], 0, {}, 0,
                              Refused(0, {})),)},
        "BND-01", "measured 144 kWh",
    ),
    "unbound": ({"unbound": (_device("d"),)}, "BND-01", "d (ev_charger) at site hp"),
}  # fmt: skip


def test_every_rule_has_a_case_here():
    """A rule of the registry could report nothing, and no test would notice."""
    assert {rule for _, rule, _ in WRONG.values()} == {rule for rule, _ in judges.JUDGES}


def _words(condition):
    return joined([text_in(one) for one in condition.texts])


@pytest.mark.parametrize("what", WRONG)
def test_each_rule_reports_its_own_cause_once(what):
    """Two designs of one version, an own laboratory and other faults are each reported once."""
    given, rule, word = WRONG[what]
    given = {**given}
    some = [given.pop("devices")] if "devices" in given else []
    assert judged(_facts()).conditions == ()
    found = judged(_facts(*some, **given)).conditions
    assert [(c.rule, c.holds) for c in found] == [(rule, False)]
    assert word in _words(found[0])


@pytest.mark.parametrize("what", ["scaled", "in another order", "under noise", "inside"])
def test_a_copy_that_may_be_two_meters_is_a_clarification_request(what):
    """Two honest plants under one sky would be suspected of a copy, as if it were shown."""
    given, rule, _ = WRONG[what]
    (one,) = judged(_facts(**given)).conditions
    assert (one.rule, one.severity) == (rule, "CL")
    equal = (Copy("b", "z", "q", equal=True),)
    (one,) = judged(_facts(copies=equal)).conditions
    assert (one.rule, one.severity) == ("CLM-02", UNSET)


def test_a_copy_is_excluded_by_the_rule_that_it_breaks():
    """A copy of another project's meter would be reported as a meter that is not registered."""
    by_day = Agreeing(10, 10, 1.0)
    copies = (
        Copy("b", "z", "q", equal=True, excluded=True),
        # the same cause by sums of days: no second finding
        Copy("b", "z", "q", equal=False, by_day=Agreeing(9, 10, 1.01)),
        Copy("c", "c", None, equal=True, excluded=True, days_before=365, by_day=by_day),
    )
    found = judged(_facts(copies=copies, same=((CHARGER, BUS),)))
    assert [(one.device, one.rule) for one in found.excluded] == [
        ("b", "REG-01"),
        ("b", "CLM-02"),
        ("c", "CLM-02"),
    ]
    assert found.conditions == ()
    inside = judged(_facts(copies=(Copy("b", "z", None, equal=True, excluded=True),)))
    assert [(one.device, one.rule) for one in inside.excluded] == [("b", "MTR-03")]
    some = (
        Copy("b", "z", None, equal=True, excluded=True, by_day=by_day._replace(ordered=False)),
        Copy("c", "x", None, equal=True, excluded=True, parts=("x", "y")),
    )
    why = [render(one.reason, "en") for one in judged(_facts(copies=some)).excluded]
    assert why == [
        "b has the daily sums of z in another order",
        "c has the daily sums of x, y together",
    ]
    # of the project's side nothing is excluded, and the second id is reported
    of_use = judged(_facts(same=((BUS, CHARGER),)))
    assert of_use.excluded == ()
    assert [_words(c)[:5] for c in of_use.conditions if c.rule == "REG-01"] == ["c has"]


def test_a_register_begun_again_on_the_same_meter_is_listed():
    """A verifier would not know that a certificate counts on by an entry of the operator."""
    at = datetime.fromtimestamp(PERIOD[0] / 1e6, UTC)
    swap = replace(SWAP, at=at, document="protocol", same_meter=True)
    outcome = judged(_facts(_device("c", replacements=(swap,))))
    (found,) = [one for one in outcome.conditions if one.rule == "REG-03"]
    assert found.holds
    assert "c: changes of its register entered as of the same meter: 1" in _words(found)


def test_what_is_in_order_raises_nothing():
    """An honest project would have to answer for a late rating, a reason and its certificates."""
    hashed = [(Rating(INSTALLED, 1, None), INSTALLED), _rating(9, sha256=FILE)]
    whole = np.array([1]), np.array([5])
    found = judged(
        _facts(
            entry=replace(ENTRY, boundary=(Outside("d", "for visitors"),)),
            ratings={"c": hashed},
            certified={("c", "energy_export"): (Certified("K", "I-REC", *whole),)},
            left_out=(LeftOut(LEFT, {}, 0, 0, {}, 0, Refused(0, {})),),
        )
    )
    assert [(c.rule, c.holds) for c in found.conditions] == [
        ("REG-04", True),
        ("CLM-01", True),
        ("BND-01", True),
    ]
    assert found.excluded == ()
