"""
Findings for which requests were returned, each reproduced by a change of a registry file.

`returned.toml` has the finding, the change, the first place where it is visible, and the text
there: `import` of the files, `statement` of a day, a text `asked` of a verifier, or a check of a
submission. docs/conformity.md has the rows with an address.
"""

import re
import tomllib
from datetime import date
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from mrv.documents import read
from mrv.documents.statement import Claims
from mrv.exports.registration import (
    Consulted,
    Contribution,
    Criterion,
    Elsewhere,
    Grievance,
    Inclusion,
    Letter,
    Registration,
    Renewal,
    Rights,
    Validation,
)
from mrv.statement.opinion import requirements
from mrv.texts import render
from services.issuer import report
from services.issuer.close import preview_period
from services.registry.entries import Registry
from services.registry.files import read_files
from services.registry.plan import plan
from tests import registering
from tests.findings import worded
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period, up_to

ROOT = Path(__file__).parents[3]
TABLE = tomllib.loads(Path(__file__).with_name("returned.toml").read_text("utf-8"))
CITY = {
    file.name: file.read_text("utf-8")
    for file in sorted((ROOT / "deploy/catalog/haiphong").glob("*.yaml"))
    if file.name != "replay.yaml"
}
PLANT = {"registry.yaml": plant.documented()}
# where the block of an id ends
_END = re.compile(r"\n(?=  - |  #|[a-z])")
# what is said of a project without a change, by where
_BARE = {}
SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")


def city(url, folder):
    """Register the catalog, without any readings."""
    assert not registering.imported(url, _written(folder, CITY)).refused
    _seal(url)


def with_buses(url, folder):
    """Store and seal three days of two inverters, a bus and its charger."""
    assert not registering.imported(url, _written(folder, _files("pv"))).refused
    plant.fill_pv(url, minutes=15)
    plant.fill_buses(url)
    _seal(url)


def _seal(url):
    with logged.issuer(url) as conn:
        up_to(conn, SPAN[1])


def _written(folder, files):
    (folder / "files").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "files" / name).write_text(text, "utf-8")
    return folder / "files"


def _files(of, *changes):
    """Return the files of a project with changes: in the block of an id, or anywhere."""
    files = dict(PLANT if of in ("pv", "bus") else CITY)
    for block, old, new in (*(TABLE["plant"] if files == PLANT else ()), *changes):
        head = f"  - id: {block}\n" if block else ""
        name = next(name for name, text in files.items() if head in text)
        begin = files[name].index(head)
        end = _END.search(files[name], begin + 1) if block else None
        stop = end.start() + 1 if end else len(files[name])
        text = files[name][begin:stop]
        assert old in text, (block, old)
        text = text.replace(old, new) if old else text + new
        files[name] = f"{files[name][:begin]}{text}{files[name][stop:]}"
    return files


def _imported(folder, files):
    found = plan(Registry(), read_files([_written(folder, files)]))
    return "\n".join(m for r in found.results for m in r.messages)


def _seen(url, folder, row, files):
    """Return the texts of a statement after a change of files, or the faults of its submission."""
    if files:
        done = registering.imported(url, _written(folder, files))
        assert not done.refused, [r.messages for r in done.results if r.messages]
    with logged.issuer(url) as conn:
        if row["at"] in ("statement", "asked"):  # of the same document, without a seal of its days
            document = preview_period(conn, row["project"], *SPAN).document
            said = document["credentialSubject"]
            if row["at"] == "statement":
                return "\n".join(worded(one) for one in said["applicability"] if not one["holds"])
            return "\n".join(requirements(read(Claims, said, "claims")))
        closed = close_period(conn, row["project"], *SPAN, "test")
    return "\n".join(logged.checks(url, closed.statement)[1][row["at"]].lacking)


@pytest.mark.parametrize("row", TABLE["row"], ids=[one["issue"] for one in TABLE["row"]])
def test_it_is_seen_before_it_is_sent(row, request, tmp_path):
    """The same fault in a test project is rejected or reported."""
    of, at = row["project"], row["at"]
    bare, changed = _files(of), _files(of, *row["change"])
    some = {name: text for name, text in changed.items() if text != bare[name]}
    if at == "import":  # files of other systems have no part in it
        kept = {name: bare[name] for name in bare if name == "sites.yaml" or name in some}
        said = partial(_imported, tmp_path)
    else:  # the database has them
        kept, url = {}, request.getfixturevalue("database_url")
        planted(with_buses if of in ("pv", "bus") else city, url, tmp_path)
        said = partial(_seen, url, tmp_path, row)
    if row["change"]:
        before = of, at, *kept
        if before not in _BARE:
            _BARE[before] = said(kept)
        assert row["says"] not in _BARE[before]
    assert row["says"] in said({**kept, **some})


def said_by(asks, language="en"):
    """Return the check that yields texts as one that yields them in a language."""
    return lambda *given: (render(one, language) for one in asks(*given))


claimed, engaged, _begun = map(said_by, (report.claimed, report.engaged, report._begun))
DAY = date(2026, 1, 1)
OWNED = Rights(document="agreement", by="notary", date=DAY)


def facts():
    """Return the input of the checks for a statement of March 2026."""
    period = SimpleNamespace(
        local_from="2026-03-01T00:00:00+07:00", to="2026-03-31T17:00:00Z", timezone=plant.ZONE
    )
    return SimpleNamespace(subject=SimpleNamespace(monitoring_period=period))


def registration(**given):
    """Return a registration with the document of its reductions."""
    return Registration(project="pv", **{"rights": OWNED, "other_programmes": "none", **given})


def test_who_owns_the_reductions_is_shown():
    """A missing document on the ownership of the reductions is reported."""
    assert [*claimed(facts(), registration())] == []
    (one,) = claimed(facts(), registration(rights=None))
    assert "who owns the reductions" in one
    (one,) = claimed(facts(), registration(programme="CDM"))
    assert "letters" in one
    letter = Letter(party="VNM", kind="approval", date=DAY, reference="12")
    assert [*claimed(facts(), registration(programme="CDM", letters=(letter,)))] == []


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ja", "排出削減量の帰属"),
        ("vi", "quyền sở hữu"),
        ("de", "wem die Emissionsminderungen gehören"),
    ],
)
def test_missing_data_are_stated_in_the_readers_language(language, words):
    """A participant in Hai Phong would read in English what its registration lacks."""
    (one,) = said_by(report.claimed, language)(facts(), registration(rights=None))
    assert one.startswith("registrations[pv].rights")
    assert words in one


@pytest.mark.parametrize(
    ("since", "until", "both"),
    [("2025-01-01", None, True), ("2025-01-01", "2026-02-28", False), ("2026-04-01", None, False),
     ("2025-01-01", "2026-03-01", True), ("2026-03-31", None, True)],
)  # fmt: skip
def test_days_claimed_elsewhere_are_named(since, until, both):
    """Days claimed under another programme are named."""
    ends = None if until is None else date.fromisoformat(until)
    other = Elsewhere(programme="GS", project_id="7", since=date.fromisoformat(since), until=ends)
    lacking = [*claimed(facts(), registration(other_programmes=(other,)))]
    assert any("also registered under GS 7, from" in one for one in lacking) is both
    assert any("or `none`" in one for one in claimed(facts(), registration(other_programmes=None)))


def test_a_consultation_comes_first():
    """A stakeholder consultation after registration is reported."""
    asked = Consulted(date=DAY, document="minutes")
    late = registration(consultation=asked, registered=DAY)
    assert any("is not before registered" in one for one in _begun(facts(), late, "r"))
    early = registration(consultation=asked, registered=date(2026, 1, 2))
    assert [*_begun(facts(), early, "r")] == []


def test_a_component_counts_from_its_inclusion_on():
    """A component is credited from its inclusion date."""
    criteria = (Criterion(name="1", document="sheet"),)
    there = Inclusion(programme="PoA", date=date(2026, 3, 1), criteria=criteria)
    assert [*_begun(facts(), registration(inclusion=there), "r")] == []
    late = Inclusion(programme="PoA", date=date(2026, 3, 2))
    after, without = _begun(facts(), registration(inclusion=late), "r")
    assert "2026-03-02 is after 2026-03-01" in after
    assert "criteria" in without


def test_a_renewed_crediting_period_has_its_updated_baseline():
    """The baseline of the first crediting period would go on permanently."""
    second = Validation(period_number=2)
    (one,) = _begun(facts(), registration(validation=second), "r")
    assert "crediting period 2, updated baseline" in one
    done = Renewal(since=DAY, design="2.0")
    assert [*_begun(facts(), registration(validation=second, renewals=(done,)), "r")] == []


@pytest.mark.parametrize(
    ("methodology", "given", "lacking"),
    [
        ("ams-iii-c", {}, "grievances: date, text and answer"),
        ("ams-iii-c", {"grievances": "none"}, None),
        ("jcm-vn-am007", {}, None),
        ("ams-iii-c", {"grievances": (Grievance(date=DAY, text="noise"),)}, "2026-01-01 has no"),
        ("ams-iii-c", {"grievances": (Grievance(date=DAY, text="noise", answer="a wall"),)}, None),
        ("ams-iii-c", {"grievances": "none", "programme": "Gold Standard"}, "contributions"),
    ],
)
def test_stakeholders_are_answered_and_goals_monitored(methodology, given, lacking):
    """Neighbours would write in vain, and a goal be claimed that no one monitored."""
    of = facts()
    of.subject.methodology, of.name = SimpleNamespace(id=methodology), "TN-1"
    found = [*engaged(of, registration(**given))]
    assert found == [] if lacking is None else lacking in found[0]


def test_contributions_are_of_the_statement():
    """The goals of last year would be sent again."""
    of = facts()
    of.subject.methodology, of.name = SimpleNamespace(id="ams-iii-c"), "TN-1"
    gold = {"grievances": "none", "programme": "GS4GG"}
    (one,) = [Contribution(statement="TN-1", goal="7", what="energy")]
    assert [*engaged(of, registration(contributions=(one,), **gold))] == []
    of.name = "TN-2"
    assert len([*engaged(of, registration(contributions=(one,), **gold))]) == 1
