"""Reports from the database and from a pack are equal; an invalid pack gives none."""

import shutil
from pathlib import Path

import pytest

from ingest.errors import RegistryError
from mrv.errors import CanonicalError, ExportError, PeriodError, VerificationError
from mrv.exports.cad_trust import cad_trust
from mrv.exports.cdop import cdop
from mrv.exports.registration import Registration
from mrv.packs.reader import read_pack
from mrv.report import MEDIA_TYPES, make
from mrv.signatures.keys import read_keyring
from mrv.signatures.trust_root import Trust
from services.issuer.export_files import source_of, source_of_pack
from services.issuer.pack import export
from services.issuer.report import facts_of, facts_of_pack
from tests.fix_timescale import _fresh
from tests.invoked import tonne
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

REPORT = "statement", "report"


@pytest.fixture(scope="module")
def issued(timescale, migrated_template, tmp_path_factory):
    """Return a database, an issued statement in it, and the folder of its pack."""
    folder = tmp_path_factory.mktemp("issued")
    for url in _fresh(timescale, migrated_template):
        plant.register(url, folder)
        plant.fill_pv(url, minutes=15)
        who = logged.signers(url, folder / "home")
        logged.seal_now(url, who)
        name = logged.issue(url, who, sample=True)
        with logged.issuer(url) as conn:
            pack = export(conn, name, folder / "pack")
        yield url, name, pack


@pytest.fixture
def spoilt(issued, tmp_path):
    """Return a copy of the pack with one word changed."""
    copy = Path(shutil.copytree(issued[2], tmp_path / "spoilt"))
    statement = copy / "statement.json"
    statement.write_text(statement.read_text().replace("Rooftop", "Rooftip"))
    return copy


def test_database_and_pack_give_the_same_report(issued):
    """An auditor who holds the pack would get another report than the operator submits."""
    url, name, pack = issued
    with logged.issuer(url) as conn:
        ours = facts_of(conn, name)
    theirs = facts_of_pack(read_pack(pack), read_keyring((pack / "keys.json").read_bytes()))
    assert (ours.state, ours.log_index) == (theirs.state, theirs.log_index) == ("issued", 9)
    assert ours.issued == theirs.issued is not None
    assert ours.sampling == theirs.sampling
    assert ours.sampling is not None
    for wanted in MEDIA_TYPES:
        assert make(ours, wanted, "vi") == make(theirs, wanted, "vi")


def test_a_pack_that_does_not_hold_gets_no_report(spoilt):
    """A forged name or figure would be set in good type and believed."""
    with pytest.raises(VerificationError, match=r"differ from the manifest: statement\.json"):
        facts_of_pack(read_pack(spoilt))


def test_a_statement_alone_has_no_evidence_to_report(issued):
    """A report without its readings would show empty days as if nothing had been measured."""
    pack = issued[2]
    with pytest.raises(CanonicalError, match="pass the pack's folder"):
        facts_of_pack(read_pack(pack / "statement.json"))


def test_a_draft_is_reported_while_its_evidence_stands(database_url, tmp_path):
    """A draft's report would show readings that its figures do not rest on."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, minutes=30)
    with logged.issuer(database_url) as conn:
        span = plant.us("2026-03-02"), plant.us("2026-03-03")
        name = close_period(conn, "pv", *span, "test").statement
        assert facts_of(conn, name).state == "draft"
        plant.send(
            database_url,
            "inv-2",
            [plant.us("2026-03-02T08:40:00+07:00")],
            energy_export_wh=[2_500_100],
        )
        with pytest.raises(PeriodError, match="differs from the closed period"):
            facts_of(conn, name)


def test_the_command_writes_what_is_asked_for(issued, tmp_path):
    """The person who submits the report could not produce it from the command line."""
    url, name, pack = issued
    out = tmp_path / "report.pdf"
    told = tonne(*REPORT, name, "--lang", "ja", "--out", out, env={"TONNE_DATABASE_URL": url})
    assert told.exit_code == 0, told.stderr
    first = out.read_bytes()
    told = tonne(*REPORT, pack, "--lang", "ja", "--out", out)
    assert (told.exit_code, out.read_bytes() == first) == (0, True), told.stderr
    assert told.stdout == f"{out}: {name}, issued\n"
    assert first.startswith(b"%PDF-1.7")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["PACK", "--out", "OUT/report.doc"], 2, "does not end in one of"),
        (["PACK", "--out", "OUT/report.xlsx", "--lang", "fr"], 2, "'fr' is not one of"),
        (["PACK", "--out", "OUT/none/report.xlsx"], 2, "cannot be written"),
        (["SPOILT", "--out", "OUT/report.xlsx"], 1, "statement.json"),
        (["TN-x", "--keys", "PACK/keys.json", "--out", "OUT/report.xlsx"], 2, "omit it"),
    ],
)
def test_what_cannot_be_made_is_explained(issued, spoilt, tmp_path, arguments, code, said):
    """A typing error would leave a half-written report, or none and no reason."""
    out = tmp_path / "out"
    out.mkdir()
    words = {"PACK": str(issued[2]), "OUT": str(out), "SPOILT": str(spoilt)}
    for key, value in words.items():
        arguments = [one.replace(key, value) for one in arguments]
    told = tonne(*REPORT, *arguments)
    assert (told.exit_code, said in told.stderr) == (code, True), told.stderr
    assert not list(out.iterdir())


def test_database_and_pack_give_the_same_export(issued):
    """A registry would be sent other tonnes by the operator than the auditor finds in the pack."""
    url, name, pack = issued
    with logged.issuer(url) as conn:
        stored = source_of(conn, name)
        with pytest.raises(RegistryError, match="TN-none"):
            source_of(conn, "TN-none")
    ring = read_keyring((Path(pack) / "keys.json").read_bytes())
    read = source_of_pack(read_pack(pack), Trust(tuple(ring), "a keyring"), None)
    assert (read.claims, read.opinion, read.plan) == (stored.claims, stored.opinion, stored.plan)
    assert any("--status" in one for one in read.lacking)
    assert stored.lacking == ()
    entered = Registration(project=stored.claims.project.id)
    for make_tables in (cdop, cad_trust):
        assert make_tables([read], entered).tables == make_tables([stored], entered).tables


def test_a_statement_that_is_not_issued_is_not_exported(issued):
    """A draft's tonnes would be in a registry."""
    url, _, _ = issued
    with logged.issuer(url) as conn:
        day = plant.us("2026-03-03"), plant.us("2026-03-04")
        draft = close_period(conn, "pv", *day, "test").statement
        with pytest.raises(ExportError, match=f"{draft} is draft"):
            source_of(conn, draft)
