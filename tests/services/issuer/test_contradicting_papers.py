"""Documents that contradict each other are not evidence; honest ones still are. By commands."""

import hashlib
import json

import pytest

from mrv.signatures.key_bounds import KeyBounds
from mrv.statement.plan_reader import read_plan
from mrv.texts import joined
from services.issuer import keys
from services.issuer.close import preview_period
from services.issuer.collect_evidence import plan_of
from services.issuer.registry_facts import registry_facts
from services.issuer.registry_rules import contradicting_documents
from services.store.registry import signing_keys
from services.store.registry.load import load_project
from services.store.statements import statements
from tests import registering
from tests.findings import worded
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period
from tests.services.issuer.test_building_invoices import NAMES, RANGE, REGISTRY, VALUES
from tests.services.issuer.test_building_invoices import _building as three_days

CORRECTED = "EVD-06"
BILLED = "EVD-03"

DAYS = plant.us("2026-03-01"), plant.us("2026-03-04")
SUPPLIER, SERVICE = "EVN Hai Phong", "Hydrometeorological service"
SECOND = """
  - id: mill
    name: Another building
    methodology: ams-ii-e
    version: "11.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices: [{device: mill-station, role: weather}, {device: mill-power, role: power}]
    parameters: {ef_grid_t_per_mwh: 0.6592, intercept_mwh: 1450, slope_mwh_per_cdd: 0.62}
"""
METERS = """
  - {id: mill-station, site: hp, class: weather_station, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: mill-power, site: hp, class: energy_meter, profile: generic, rated_power_w: 2000000,
     installed: 2026-01-01T00:00:00+07:00}
projects:"""


def digest(name):
    """Return the SHA-256 of a file with some name."""
    return hashlib.sha256(name.encode()).hexdigest()


def registry(**papers_of):
    """Return the registry with a document for each value, some of them replaced."""
    whole = {
        name: {"document": "regression of 2025", "by": "An auditor", "issued": "2025-12-01",
               "sha256": digest("regression"), "value": value, **papers_of.get(name, {})}
        for name, value in VALUES.items()
    }  # fmt: skip
    return REGISTRY % RANGE + f"    documents: {json.dumps(whole)}\n"


def _documented(url, folder):
    three_days(url, folder)
    plant.register(url, folder, registry())


@pytest.fixture
def url(database_url, tmp_path):
    planted(_documented, database_url, tmp_path)
    return database_url


def row(name, device, first, end, share=1, **other):
    """Return an invoice of the true amount for some days of March, with a separate file."""
    days = end - first
    amount = 6720 * days if device.endswith("power") else round(8.3556 * days, 2)
    kind = {} if device.endswith("power") else {"quantity": "degree_time", "unit": "K d"}
    return {
        "id": name, "project": "house", "number": name, "devices": [device], **kind,
        "issuer": SUPPLIER if device.endswith("power") else SERVICE, "issued": "2026-03-05",
        "from": f"2026-03-{first:02}", "to": f"2026-03-{end:02}", "amount": amount * share,
        "sha256": digest(name), **other,
    }  # fmt: skip


def billed(url, folder, *rows):
    """Import invoices as a person would."""
    registering.billed(url, folder, rows)


def shown(url, begin_us=DAYS[0]):
    """Preview the days; return tonnes, and the texts of the conditions not met, by clause."""
    with logged.issuer(url) as conn:
        found = preview_period(conn, "house", begin_us, DAYS[1])
    said = found.document["credentialSubject"]["applicability"]
    unmet = {a["rule"]: worded(a) for a in said if not a["holds"]}
    return float(found.result.net.reduction.t), unmet


def operates(url, folder, organisation, *projects):
    """Enrol an operator's key of an organisation."""
    key = keys.create(folder, f"key-{len(organisation)}", "operator",
                      KeyBounds(organisation=organisation, projects=projects or None))  # fmt: skip
    with logged.issuer(url) as conn:
        signing_keys.enroll(conn, key)


WEATHER = row("w", "station", 1, 4)
HALVES = row("a", "power", 1, 2), row("b", "power", 2, 4)


def test_one_file_is_one_paper(url, tmp_path):
    """One real invoice would be the file of any number of invoices that no one wrote."""
    billed(url, tmp_path, WEATHER, HALVES[0], HALVES[1] | {"sha256": digest("a")})
    tonnes, unmet = shown(url)
    assert tonnes == 0
    said = unmet["EVD-09"]
    assert "a (EVN Hai Phong, a), b (EVN Hai Phong, b) name one file" in said
    assert "Enter for each the hash of its own file" in said
    assert "a: EVN Hai Phong, a names the same file as another document" in unmet[BILLED]
    with logged.issuer(url) as conn:
        closed = close_period(conn, "house", *DAYS, "test")
        kept = read_plan(statements.detail(conn, closed.statement)["plan"])
    # whoever verifies finds the papers, and why they show nothing
    assert {one.id for one in kept.invoices if one.doubt} == {"a", "b"}
    assert closed.result.net.reduction.ug == 0
    conditions = closed.document["credentialSubject"]["applicability"]
    assert ("EVD-09", said, "CAR") in {
        (a["rule"], worded(a), a.get("severity")) for a in conditions
    }
    # its remedy
    billed(url, tmp_path, row("c", "power", 2, 4, corrects="b", reason="the file of a was named"))
    tonnes, unmet = shown(url)
    assert tonnes > 3
    assert not {"EVD-09", BILLED} & {*unmet}


@pytest.mark.parametrize(
    "other",
    [{"number": "b"}, {"issuer": "Another supplier"}, {"issued": "2026-03-06"}],
    ids=["number", "issuer", "date"],
)
def test_a_file_has_one_issuer_number_and_date(url, tmp_path, other):
    """The value in a document would be entered differently for each meter."""
    one = {"number": "a", "sha256": digest("one")}
    billed(url, tmp_path, WEATHER, HALVES[0] | one, HALVES[1] | one | other)
    tonnes, unmet = shown(url)
    assert (tonnes, "EVD-09" in unmet) == (0, True)


def test_a_file_of_another_period_is_no_evidence_of_this_one(url, tmp_path):
    """Last month's invoice would be this month's, with a new number."""
    later = row("a", "power", 2, 4), row("w", "station", 2, 4)
    billed(url, tmp_path, *later)
    begin = plant.us("2026-03-02")
    assert shown(url, begin)[0] > 2
    billed(url, tmp_path, row("before", "power", 1, 2, sha256=digest("a")))
    tonnes, unmet = shown(url, begin)
    assert tonnes == 0
    assert "an invoice of 2026-03-01 to 2026-03-02" in unmet["EVD-09"]


def test_a_document_is_one_paper_too(url, tmp_path):
    """One file could serve as licence, regression report and supplier's invoice."""
    billed(url, tmp_path, WEATHER, *HALVES)
    # pages and annexes of one document, as owners name them
    pages = {n: {"document": f"regression of 2025, annex {i}"} for i, n in enumerate(NAMES)}
    # chapters of one study, as others do
    chapters = {n: {"document": f"chapter {i} of a study"} for i, n in enumerate(NAMES)}
    for given in ({}, pages, chapters):
        registering.register(url, tmp_path, registry(**given))
        tonnes, unmet = shown(url)
        assert tonnes > 3
        assert "EVD-09" not in unmet
    for wrong in ({"by": "A design office"}, {"issued": "2025-11-01"}, {"sha256": digest("a")}):
        registering.register(url, tmp_path, registry(slope_mwh_per_cdd=wrong))
        tonnes, unmet = shown(url)
        assert tonnes == 0
        assert "the document of slope_mwh_per_cdd" in unmet["EVD-09"]
        assert "slope_mwh_per_cdd" in unmet[BILLED]


def test_of_two_projects_the_first_keeps_its_file(url, tmp_path):
    """Anyone who knows the hash of an invoice could make its project lose it."""
    both = registry().replace("projects:", METERS.lstrip("\n")) + SECOND
    plant.register(url, tmp_path, both)
    billed(url, tmp_path, WEATHER, *HALVES)
    # one invoice may list the meters of two projects
    same = row("m-1", "mill-power", 1, 2, project="mill", number="a", sha256=digest("a"))
    billed(url, tmp_path, same, row("m-2", "mill-power", 2, 4, project="mill", sha256=digest("b")))
    tonnes, unmet = shown(url)
    assert tonnes > 3
    assert "EVD-09" not in unmet
    with logged.issuer(url) as conn:
        found = registry_facts(conn, load_project(conn, "mill"), DAYS)
    kept = {one.id: one.doubt is None for one in found.invoices.doubted()}
    assert kept == {"m-1": True, "m-2": False}
    (said,) = contradicting_documents(found)
    assert "m-2 (EVN Hai Phong, m-2), an invoice of project house" in joined(said.texts)


OPERATORS = {
    "Green Port Energy JSC": ("Green Port Co., Ltd", False),
    "Hai Phong Power Co.": ("Hai Phong Bus JSC", True),
}


@pytest.mark.parametrize("issuer", OPERATORS)
def test_an_operators_own_invoice_shows_nothing(url, tmp_path, issuer):
    """An invoice issued by the operator is not evidence."""
    operator, earns = OPERATORS[issuer]
    operates(url, tmp_path, operator)
    billed(url, tmp_path, WEATHER, *(one | {"issuer": issuer} for one in HALVES))
    tonnes, unmet = shown(url)
    assert (tonnes > 3) is earns
    assert ("EVD-08" not in unmet) is earns
    if not earns:
        assert f"({issuer}, a) was issued by an operator of the plant" in unmet["EVD-08"]
        assert "was issued by an operator of the plant" in unmet[BILLED]


def test_a_supplier_may_operate_another_project(url, tmp_path):
    """Invoices of a power company that operates a plant of its own would not be accepted."""
    plant.register(url, tmp_path, registry().replace("projects:", METERS.lstrip("\n")) + SECOND)
    operates(url, tmp_path, "EVN Hai Phong", "mill")
    billed(url, tmp_path, WEATHER, *HALVES)
    assert shown(url)[0] > 3
    operates(url, tmp_path, "EVN Hai Phong Ltd", "house")
    tonnes, unmet = shown(url)
    assert (tonnes, "EVD-08" in unmet) == (0, True)


def test_only_its_issuer_corrects_an_invoice(url, tmp_path):
    """A supplier's invoice that says more would be corrected by anyone who says less."""
    billed(url, tmp_path, WEATHER, HALVES[0], row("b", "power", 2, 4, 2))
    # what it says counts as used, and more than the building had before is a loss
    first, _ = shown(url)
    assert first < 0
    why = {"reason": "it was too high"}
    billed(url, tmp_path, row("c", "power", 2, 4, issuer="A friend", corrects="b", **why))
    tonnes, unmet = shown(url)
    assert tonnes == first
    assert (
        "c (A friend, c) corrects b (EVN Hai Phong, b), which only EVN Hai Phong" in unmet["EVD-09"]
    )
    assert "b: EVN Hai Phong, b differs by \N{MINUS SIGN}50" in unmet[BILLED]
    assert CORRECTED not in unmet
    # the supplier's own correction mends it, and is told to the verifier
    billed(url, tmp_path, row("d", "power", 2, 4, issuer="EVN Hai Phong Co.", corrects="c", **why))
    tonnes, unmet = shown(url)
    assert tonnes > 3
    assert not {"EVD-09", BILLED} & {*unmet}
    assert "b (EVN Hai Phong, b; energy_import of power, 2026-03-02 to" in unmet[CORRECTED]
    assert "corrected by d (EVN Hai Phong Co., d;" in unmet[CORRECTED]
    assert "(reason given: it was too high)" in unmet[CORRECTED]


def test_a_pack_holds_the_first_invoice(url, tmp_path):
    """A verifier computes the same finding from the pack; another period has none."""
    billed(url, tmp_path, WEATHER, HALVES[0], row("b", "power", 2, 4, 2))
    billed(url, tmp_path, row("c", "power", 2, 4, corrects="b", reason="it was too high"))
    with logged.issuer(url) as conn:
        found = plan_of(conn, "house", *DAYS)
        other = plan_of(conn, "house", DAYS[0], DAYS[0] + (DAYS[1] - DAYS[0]) // 3)
    plan = read_plan(found.to_json())
    ((old, new, reason),) = plan.replaced
    assert (old.id, new.id, reason) == ("b", "c", "it was too high")
    assert old.value == 2 * new.value
    assert plan.supporting().replaced == plan.replaced
    assert plan.by_first_rules().replaced == ()
    assert other.replaced == ()
    who = logged.signers(url, tmp_path)
    name = logged.issue(url, who, "2026-03-01", "2026-03-04", "house")
    pack = logged.packed(url, name, tmp_path / "pack")
    (shown_there,) = json.loads(pack.files["plan.json"])["replacedInvoices"]
    assert [one["id"] for one in shown_there["invoices"]] == ["b", "c"]
    # a number that was mistyped is told to nobody
    assert CORRECTED in shown(url)[1]
    billed(url, tmp_path, row("d", "power", 2, 4, 2, number="7", corrects="c", reason="number"))
    assert CORRECTED not in shown(url)[1]


def test_a_mistyped_issuer_is_corrected(url, tmp_path):
    """An owner who typed a wrong name could never mend it."""
    typed = row("b", "power", 2, 4, 2, issuer="EWN")
    billed(url, tmp_path, WEATHER, HALVES[0], typed)
    same = {"number": "b", "sha256": digest("b")}
    billed(url, tmp_path, row("c", "power", 2, 4, corrects="b", reason="misread", **same))
    tonnes, unmet = shown(url)
    assert tonnes > 3
    assert not {"EVD-09", BILLED} & {*unmet}
