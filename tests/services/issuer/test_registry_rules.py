"""Each rule of the registry judges facts, without a database."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from mrv.documents.form import UNSET, text_in
from mrv.factors import load
from mrv.method_lives import find_life
from mrv.registry.project import Calibration, Certified, Invoice, Project, ProjectDevice, Sample
from mrv.signatures.key_bounds import KeyBounds
from mrv.signatures.keys import EnrolledKey
from mrv.texts import joined, render
from services.issuer import registry_rules as judges
from services.issuer.doubted_invoices import Cited, Invoices
from services.issuer.left_out_meters import Unserved
from services.issuer.left_out_use import LeftOut, Refused
from services.issuer.registry_facts import RegistryFacts
from services.issuer.registry_rules import judged
from services.issuer.same_series import Agreeing, Copy
from services.registry.entries import Device, Outside, Rating, Registry, Replacement
from services.registry.entries import Project as Entry
from services.store.timeseries.beyond_rating import Beyond
from tests.mrv.packs import SIGNERS

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
    """Return facts of a project that is all well, or some of it is not."""
    mine = tuple({one.id: one for one in (BUS, CHARGER, *devices)}.values())
    usual = {
        "project": PROJECT, "period_us": PERIOD, "registry": Registry.of([*mine, entry, *more]),
        "devices": mine, "ratings": {}, "same": (), "alike": (), "beyond": (), "copies": (),
        "invoices": INVOICES, "operators": frozenset(), "accepted": {}, "owed": (), "lives": (),
        "certified": {}, "certified_beside": (), "left_out": (), "unbound": (),
        "factors": load().within("VN"),
    }  # fmt: skip
    return RegistryFacts(**{**usual, **other})


def _invoice(name, **other):
    one = Invoice(name, "EVN", name, date(2026, 4, 1), ("c",), "energy_import", *PERIOD, 1000, 1)
    return replace(one, **other)


def _rating(watt, **other):
    later = datetime.fromtimestamp(PERIOD[0] / 1e6, UTC) - timedelta(days=9)
    return Rating(later, watt, "sheet", **other), later + timedelta(days=20)


CERTIFICATE = Calibration(date(2025, 1, 1), date(2027, 1, 1), "K-1", None, Decimal("0.5"), None)
SWAP = Replacement("energy_import_wh", INSTALLED, 5, 0, "broken")
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
    "maker": ({"devices": _device("c", maker=None)}, "REG-01", "c has no maker in"),
    "alike": ({"alike": ((CHARGER, BUS),)}, "REG-01", "N-c of c"),
    "certificate": ({"devices": _device("c", calibrations=(CERTIFICATE,))}, "REG-02", "K-1"),
    "replacement": ({"devices": _device("c", replacements=(SWAP,))}, "REG-03", "c: the"),
    "late rating": (
        {"ratings": {"c": [(Rating(INSTALLED, 1, None), INSTALLED), _rating(9)]}}, "REG-04", "9 W"
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
        "EVD-08", "Invoice i (EVN, i) is by an operator",
    ),
    "other issuer": (
        {"invoices": replace(INVOICES, every=(("p", _invoice("i"), None, None),
                                              ("p", _invoice("j", issuer="X"), "i", "typo")))},
        "EVD-09", "j (X, j) corrects i (EVN, i)",
    ),
    "life": ({"lives": ((LIFE, date(2027, 3, 1)),)}, "PLN-03", "AMS-I.D takes no new project"),
    "debt": ({"owed": (("TN-1", -5 * 10**12),)}, "CLM-04", "TN-1 at the site left \N{MINUS SIGN}5"),
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
    "beside": ({"certified_beside": (("I-REC 7", "z"),)}, "CLM-01", "7 certifies energy of z"),
    "left out": (
        {"left_out": (LeftOut(LEFT, {"energy_import": 144_000}, PERIOD[1], 0, {}, 0,
                              Refused(0, {})),)},
        "BND-01", "measured 144 kWh",
    ),
    "unbound": ({"unbound": (_device("d"),)}, "BND-01", "d (ev_charger) at site hp"),
}  # fmt: skip


def test_every_rule_has_a_case_here():
    """A rule of the registry could report nothing, and no test would tell."""
    assert {rule for _, rule, _ in WRONG.values()} == {rule for rule, _ in judges.JUDGES}


def _words(condition):
    return joined([text_in(one) for one in condition.texts])


@pytest.mark.parametrize("what", WRONG)
def test_each_rule_reports_its_own_cause_once(what):
    """A verifier would get two findings for one cause, one under the wrong rule, or none."""
    given, rule, word = WRONG[what]
    given = {**given}
    some = [given.pop("devices")] if "devices" in given else []
    assert judged(_facts()).conditions == ()
    found = judged(_facts(*some, **given)).conditions
    assert [(c.rule, c.holds) for c in found] == [(rule, False)]
    assert word in _words(found[0])


@pytest.mark.parametrize("what", ["scaled", "in another order", "under noise", "inside"])
def test_a_copy_that_may_be_two_meters_is_a_clarification_request(what):
    """Two honest plants under one sky would be accused of a copy, as if it were shown."""
    given, rule, _ = WRONG[what]
    (one,) = judged(_facts(**given)).conditions
    assert (one.rule, one.severity) == (rule, "CL")
    equal = (Copy("b", "z", "q", equal=True),)
    (one,) = judged(_facts(copies=equal)).conditions
    assert (one.rule, one.severity) == ("CLM-02", UNSET)


def test_a_copy_is_excluded_by_the_rule_that_it_breaks():
    """A copy of another project's meter would be told as a meter that is not registered."""
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
