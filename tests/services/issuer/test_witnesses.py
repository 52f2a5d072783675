"""Check meters, invoices and other periods, from import to pack."""

import json
from datetime import date
from decimal import Decimal

import pytest

from mrv.documents.statement import claims_of
from mrv.packs.reader import read_pack
from mrv.registry.project import Invoice
from mrv.signatures import canonical
from mrv.statement.conditions import unmet
from mrv.verify import verify
from services.issuer.close import CHANGED_EVIDENCE
from services.issuer.pack import export
from services.store.postgres.pool import connect
from services.store.registry.invoices import insert
from services.store.statements import statements
from tests import registering
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

CHECK = """
devices:
  - {id: check-1, site: hp, class: energy_meter, profile: generic, check_of: inv-1,
     rated_power_w: 1000000, installed: 2026-01-01T00:00:00+07:00}
"""
ROW = "id,project,issuer,number,issued,devices,from,to,amount,corrects,reason\n"


def _checked(url, home):
    plant.register(url, home)
    plant.register(url, home, CHECK)
    plant.fill_pv(url, minutes=15)
    times, energy, _ = plant.sunny("2026-03-01", "2026-03-04", 15)
    plant.send(url, "check-1", times, energy_export_wh=energy // 10 * 9)


@pytest.fixture
def url(database_url, tmp_path):
    """Store two days, the first inverter with a check meter that reports a tenth less."""
    planted(_checked, database_url, tmp_path)
    return database_url


def _close(url, begin="2026-03-02", end="2026-03-03", **more):
    with logged.issuer(url) as conn:
        return close_period(conn, "pv", plant.us(begin), plant.us(end), "test", **more)


def _file(folder, text):
    file = folder / "invoices.csv"
    file.write_text(ROW + text, "utf-8")
    return str(file)


def test_statement_and_pack_hold_both_witnesses(url, tonne, tmp_path):
    """An auditor would have to ask for meters and bills that the operator would rather not show."""
    text = "E-1,pv,EVN,HD-7,2026-03-05,inv-1 inv-2,2026-03-02,2026-03-03,9000,,\n"
    done = tonne("invoice", "import", _file(tmp_path, text))
    assert done.exit_code == 0, done.output
    closed = _close(url)
    subject = closed.document["credentialSubject"]
    meter, invoice = subject["crossChecks"]
    assert (meter["against"], meter["holds"]) == ("check-1", False)
    assert meter["readings"]["count"] > 90
    assert (invoice["kind"], invoice["witnessed"]) == ("invoice", "9000000")
    assert subject["materiality"]["material"] is True
    assert _close(url).statement == closed.statement
    with logged.issuer(url) as conn:
        folder = export(conn, closed.statement, tmp_path / "pack")
    plan = json.loads((folder / "plan.json").read_text("utf-8"))
    assert [i["number"] for i in plan["invoices"]] == ["HD-7"]
    assert plan["checkMeters"] == [{"meter": "check-1", "of": "inv-1", "tolerance_percent": "2"}]
    assert verify(read_pack(folder)).consistent


def test_invoices_are_corrected_by_others_and_never_changed(url, tonne, tmp_path):
    """A bill could be rewritten once it does not fit, and no one would see the first."""
    first = "E-1,pv,EVN,HD-7,2026-03-05,inv-1 inv-2,2026-03-02,2026-03-03,9000,,\n"
    assert tonne("invoice", "import", _file(tmp_path, first)).exit_code == 0
    assert "unchanged E-1" in tonne("invoice", "import", _file(tmp_path, first)).output
    other = tonne("invoice", "import", _file(tmp_path, first.replace("9000", "9001")))
    assert other.exit_code == 2
    assert "corrects: E-1" in other.output
    corrected = "E-2,pv,EVN,HD-8,2026-03-06,inv-1 inv-2,2026-03-02,2026-03-03,8000,E-1,typing\n"
    assert tonne("invoice", "import", _file(tmp_path, corrected)).exit_code == 0
    listed = json.loads(tonne("invoice", "list", "--json").output)
    assert [one["id"] for one in listed] == ["E-2"]
    with connect(url) as conn, pytest.raises(Exception, match="append-only"):
        conn.execute("UPDATE invoice SET document = '{}'")


def test_a_stored_invoice_of_nothing_is_told_as_that(url):
    """A difference from zero has no percentage."""
    begin, end = plant.us("2026-03-02"), plant.us("2026-03-03")
    one = Invoice("E-0", "EVN", "HD-0", date(2026, 3, 5), ("inv-1", "inv-2"), "energy_export",
                  begin, end, 0, Decimal(2))  # fmt: skip
    with connect(url, autocommit=True) as conn:
        insert(conn, [("pv", one, None, None)], "before")
    found = {u.rule: u for u in unmet(claims_of(_close(url).document)) if "E-0" in u.words()}
    assert found.keys() == {"EVD-01", "EVD-03"}
    said = found["EVD-03"]
    assert said.words().startswith(
        "invoice E-0: EVN, HD-0 reads 0, but inv-1, inv-2 does not (tolerance 2 %); effect"
    )


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("E-1,pv,EVN,7,2026-03-05,inv-9,2026-03-02,2026-03-03,9,,", "does not serve"),
        ("E-1,px,EVN,7,2026-03-05,inv-1,2026-03-02,2026-03-03,9,,", "not registered"),
        ("E-1,pv,EVN,7,2026-03-05,inv-1,2026-03-03,2026-03-02,9,,", "is not after"),
        ("E-1,pv,EVN,7,2026-03-05,inv-1,2026-03-02,2026-03-03,0.0001,,", "finer"),
        ("E-1,pv,EVN,7,2026-03-05,inv-1,2026-03-02,2026-03-03,-1,,", "below 0"),
        ("E-1,pv,EVN,7,2025-01-05,inv-1,2025-01-02,2025-01-03,9,,", "crediting period"),
        ("E-1,pv,EVN,7,2026-03-05,inv-1,2026-03-02,2026-03-03,9,E-0,why", "not an invoice of"),
        ("E-1,pv,EVN,7,2026-03-05,inv-1,2026-03-02,2026-03-03,9,E-0,", "both"),
        ("E-1,pv,EVN,7,2199-03-05,inv-1,2026-03-02,2026-03-03,9,,", "2199-03-05 is in the future"),
    ],
)
def test_an_invoice_that_cannot_be_is_refused(url, tonne, tmp_path, row, word):
    """A mistyped invoice would be compared with meters that it does not concern."""
    done = tonne("invoice", "import", _file(tmp_path, row + "\n"))
    assert done.exit_code == 2
    assert word in done.output
    assert json.loads(tonne("invoice", "list", "--json").output) == []


def test_a_correction_shows_what_it_changes(database_url, tmp_path):
    """Late readings would change an issued figure, and no one could tell by how much."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, end="2026-03-02T12:00:00+07:00", minutes=15)
    who = logged.signers(database_url, tmp_path)
    first = logged.issue(database_url, who, "2026-03-01", "2026-03-02")
    name = logged.issue(database_url, who)
    body = _close(database_url).document["credentialSubject"]
    assert {c["statement"] for c in body["otherPeriods"]} == {first}
    assert [c["what"] for c in body["comparisons"]] == ["energy [kWh]", "reduction [t]"]
    plant.fill_pv(database_url, minutes=15)
    again = _close(database_url)
    replaces = again.document["credentialSubject"]["supersedes"]
    assert (replaces["statement"], replaces["reason"][:8]) == (name, "evidence")
    change = replaces["difference"]
    assert [line["device"] for line in change["devices"]] == ["inv-1", "inv-2"]
    assert all(int(c["meteredNow"]) > int(c["meteredBefore"]) for c in change["devices"])
    was, is_ = (
        Decimal(b["emissions"]["reduction"]["ug"])
        for b in (body, again.document["credentialSubject"])
    )
    assert Decimal(change["reduction_t"]) * 10**12 == is_ - was > 0
    assert canonical.encode(_close(database_url).document) == canonical.encode(again.document)
    with logged.issuer(database_url) as conn:
        folder = export(conn, again.statement, tmp_path / "pack")
    assert verify(read_pack(folder)).consistent


def test_late_readings_open_the_correction_by_themselves(database_url, tmp_path):
    """An operator could leave an overstated tonne standing by not closing the period again."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, end="2026-03-02T12:00:00+07:00", minutes=15)
    who = logged.signers(database_url, tmp_path)
    logged.seal_now(database_url, who)
    name = logged.issue(database_url, who)
    assert logged.seal_now(database_url, who).corrections == []
    plant.fill_pv(database_url, minutes=15)
    report = logged.seal_now(database_url, who)
    assert report.again
    (told,) = report.corrections
    assert told.startswith(f"readings of {name} changed: {name[:-1]}2 is the draft")
    assert logged.seal_now(database_url, who, recheck=True).corrections == []
    with logged.issuer(database_url) as conn:
        states = {one.id: one.state for one in statements.all_of(conn)}
        (drafted,) = statements.events(conn, f"{name[:-1]}2")
        document = canonical.parse_object(statements.find(conn, f"{name[:-1]}2").body)
    assert states == {name: "issued", f"{name[:-1]}2": "draft"}
    assert (drafted.actor, drafted.reason) == ("tonne log seal", CHANGED_EVIDENCE)
    replaces = document["credentialSubject"]["supersedes"]
    assert (replaces["statement"], replaces["reason"]) == (name, CHANGED_EVIDENCE)
    assert [one["device"] for one in replaces["difference"]["devices"]] == ["inv-1", "inv-2"]
    assert not _close(database_url).new


def test_a_correction_keeps_the_reason_of_who_closes(database_url, tmp_path):
    """An operator's own reason for a correction would be replaced by a general one."""
    plant.quarter_hours(database_url, tmp_path)
    who = logged.signers(database_url, tmp_path)
    name = logged.issue(database_url, who)
    registering.billed(
        database_url,
        tmp_path,
        "invoices:\n- {id: E-1, project: pv, issuer: EVN, number: HD-7, issued: 2026-03-05,"
        " devices: [inv-1, inv-2], from: 2026-03-02, to: 2026-03-03, amount: 9000}\n",
    )
    said = _close(database_url, reason="invoice found").document["credentialSubject"]["supersedes"]
    assert (said["statement"], said["reason"]) == (name, "invoice found")
