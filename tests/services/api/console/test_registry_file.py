"""Registry files in the console: a preview of the import, and the import of exactly that file."""

import base64
import hashlib
import html
import re
from pathlib import Path

import pytest
from psycopg.errors import InsufficientPrivilege

from services.processing.registry_import import import_registry
from services.registry.files import read_bytes, read_files, sections
from services.registry.workbook import write_workbook
from services.store.postgres.pool import connect
from services.store.registry.load import registry_version
from tests.services.api import plain
from tests.services.api.console.languages import SHOWN
from tests.services.api.console.visiting import foreign_parts, get, session

GOOD = """
sites:
  - {id: new-roof, name: New roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh,
     country: VN}
devices:
  - {id: new-inv, site: new-roof, class: pv_inverter, profile: generic, rated_power_w: 1000,
     installed: 2026-01-01T00:00:00Z}
"""
BAD = GOOD.replace("site: new-roof", "site: no-roof")


def _tried(served, text, who="auditor", language="en", **fields):
    return plain.post(
        f"{served.url}/console/{language}/registry",
        data={"text": text, "form": "yaml", **fields},
        cookies=session(served, who),
    )


def _uploaded(served, name, data, who="operator"):
    return plain.post(
        f"{served.url}/console/en/registry",
        files={"file": (name, data, "application/octet-stream")},
        cookies=session(served, who),
    )


def _fields(page):
    """Return the hidden fields of the form for a file."""
    form = page[page.index("/registry/take") :]
    found = re.findall(r'name="(\w+)" value="([^"]*)"', form[: form.index("</form>")])
    return {name: html.unescape(value) for name, value in found}


def _take(served, fields, who="operator", **more):
    return plain.post(
        f"{served.url}/console/en/registry/take", data=fields, cookies=session(served, who), **more
    )


def _version(served):
    with connect(served.database_url) as conn:
        return registry_version(conn)


@pytest.mark.parametrize("language", SHOWN)
def test_a_file_is_shown_with_what_it_would_change(served, language):
    """An officer would learn of a slip once it is in the registry."""
    before = _version(served)
    answer = _tried(served, GOOD, language=language)
    assert answer.status_code == 200, answer.text
    assert "new-inv" in answer.text
    assert foreign_parts(answer.text) == []
    assert 'class="alarm"' not in answer.text
    assert _version(served) == before
    with connect(served.database_url) as conn:
        assert conn.execute("SELECT FROM site WHERE id = 'new-roof'").fetchone() is None


def test_what_is_wrong_is_named_with_its_line(served):
    """A file would be refused on the server, after everyone went home."""
    text = html.unescape(_tried(served, BAD).text)
    assert "would be rejected" in text
    assert "registry.yaml:6" in text
    assert "no-roof" in text
    assert (
        "<b>x</b>" not in _tried(served, GOOD.replace("New roof", "<b>x</b>") + "x: <b>x</b>").text
    )
    assert "would be rejected" not in _tried(served, GOOD).text
    broken = html.unescape(_tried(served, "sites: [").text)
    assert "registry.yaml" in broken
    assert "tmp" not in broken.partition("registry.yaml")[0][-40:]


def test_it_is_for_those_who_see_all(served):
    """The preview of an import could reveal registry entries of other projects."""
    page = "/console/en/registry"
    assert get(served, page).status_code == 401
    assert get(served, page, session(served, "scoped")).status_code == 403
    assert _tried(served, GOOD, "scoped").status_code == 403
    assert plain.post(f"{served.url}{page}", data={"text": GOOD}).status_code == 401
    shown = get(served, page, session(served, "auditor"))
    assert shown.status_code == 200
    foreign = plain.post(
        f"{served.url}{page}",
        data={"text": GOOD},
        cookies=session(served, "auditor"),
        headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"},
    )
    assert foreign.status_code == 403


@pytest.mark.parametrize("form", ["yaml", "csv", "xlsx"])
def test_a_file_is_taken_as_it_was_shown(served, form):
    """An officer would see one registry, and the server would hold another."""
    site = GOOD.replace("new-roof", f"roof-{form}").replace("new-inv", f"inv-{form}")
    data = {
        "yaml": site.encode(),
        "csv": (
            b"id,site,class,profile,rated_power_w,installed\n"
            b"inv-csv,hp,pv_inverter,generic,1000,2026-01-01T00:00:00Z\n"
        ),
        "xlsx": write_workbook(sections(read_bytes("a.yaml", site.encode()).registry)),
    }[form]
    before = _version(served)
    shown = _uploaded(served, f"my file.{form}", data).text
    assert _version(served) == before
    taken = _take(served, _fields(shown))
    assert taken.status_code == 200, taken.text
    assert "was imported" in taken.text
    with connect(served.database_url) as conn:
        author, changes = conn.execute(
            "SELECT author, changes FROM registry_version ORDER BY version DESC LIMIT 1"
        ).fetchone()
        assert [one["id"] for one in changes][-1] == f"inv-{form}"
        # as an import by the command is kept: who, what was there before, what is there now
        assert changes[-1]["before"] is None
        assert changes[-1]["after"]["rated_power_w"] == 1000
        asked = conn.execute(
            "SELECT path, status FROM api_audit WHERE path LIKE '%/take' ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert author == "the operator"
    assert asked == ("/console/en/registry/take", 201)
    again = _uploaded(served, f"my file.{form}", data).text
    assert "contains no change" in again
    assert "/registry/take" not in again


def test_who_takes_a_file_may_write_all_that_a_file_can_hold(database_url):
    """A file of sites would be taken, and one of plans or factors refused by the database."""
    incoming = read_files([Path(__file__).parents[4] / "deploy/catalog/haiphong"])
    with connect(database_url, role="tonne_mrv") as conn:
        planned = import_registry(conn, incoming, author="test")
        assert not planned.refused
        again = import_registry(conn, incoming, author="test")
    assert {one.result for one in again.results} == {"unchanged"}
    with connect(database_url, role="tonne_mrv") as conn, pytest.raises(InsufficientPrivilege):
        conn.execute("UPDATE registry_version SET author = 'another'")


def test_differences_are_shown_before_they_are_taken(served):
    """A rated power of ten times as much would be taken unseen."""
    site = GOOD.replace("new-", "diff-")
    _take(served, _fields(_tried(served, site, "operator").text))
    shown = _tried(served, site.replace("New roof", "Old roof"), "operator").text
    assert "<del>New roof</del> → <ins>Old roof</ins>" in shown


def test_nothing_is_taken_but_what_was_shown(served):
    """Only the registry file that was previewed is imported."""
    site = GOOD.replace("new-", "kept-")
    fields = _fields(_tried(served, site, "operator").text)
    before = _version(served)
    other = {**fields, "data": fields["data"][:-8] + "AAAAAAA="}
    assert _take(served, other).status_code == 422
    assert _take(served, {**fields, "shown": "0" * 64}).status_code == 409
    assert _take(served, {**fields, "sha256": "0" * 64}).status_code == 422
    assert _version(served) == before
    # another officer takes a file between
    _take(served, _fields(_tried(served, site.replace("New roof", "Theirs"), "operator").text))
    late = _take(served, fields)
    assert late.status_code == 409
    assert "changed since" in late.text
    with connect(served.database_url) as conn:
        (name,) = conn.execute("SELECT name FROM site WHERE id = 'kept-roof'").fetchone()
    assert name == "Theirs"


def test_what_is_refused_is_not_taken(served):
    """A file that breaks a rule would be taken by anyone who skips the check."""
    before = _version(served)
    shown = _tried(served, BAD, "operator").text
    assert "/registry/take" not in shown
    fields = _fields(_tried(served, GOOD.replace("new-", "fine-"), "operator").text)
    data = BAD.encode()
    bad = {**fields, "data": base64.b64encode(data).decode(),
           "sha256": hashlib.sha256(data).hexdigest()}  # fmt: skip
    assert _take(served, bad).status_code in (409, 422)
    assert _version(served) == before


def test_taking_is_for_operators_of_all_projects(served):
    """Only operators of all projects can import a registry file."""
    fields = _fields(_tried(served, GOOD.replace("new-", "role-"), "operator").text)
    before = _version(served)
    for who in ("auditor", "verifier", "admin"):
        assert _take(served, fields, who).status_code == 403, who
        assert "/registry/take" not in _tried(served, GOOD, who).text
    assert _take(served, fields, "scoped").status_code == 403
    assert plain.post(f"{served.url}/console/en/registry/take", data=fields).status_code == 401
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
    assert _take(served, fields, headers=foreign).status_code == 403
    assert _version(served) == before


def test_a_file_that_is_too_large_is_refused(served):
    """A file of some hundred megabytes would fill the memory of the server."""
    assert _uploaded(served, "a.yaml", b"#" * (5 << 20)).status_code == 413
    assert _uploaded(served, "a.yaml", b"#" * (11 << 20)).status_code == 413
    long = GOOD.replace("new-", "long-") + "#" * 3_000 + "\n"
    assert "#" * 3_000 in _tried(served, long).text


def test_a_form_by_methodology_is_given(served):
    """An officer would have to learn the format from a manual."""
    page = f"{served.url}/console/en/registry/template.xlsx"
    cookies = session(served, "operator")
    given = plain.get(page, params={"methodology": "ams-i-d", "country": "ke"}, cookies=cookies)
    assert given.status_code == 200
    assert given.content[:2] == b"PK"
    assert "capacity_mw" in str(read_bytes("a.xlsx", given.content).problems)
    for wrong in (
        {"methodology": "none", "country": "KE"},
        {"methodology": "ams-i-d", "country": "QQ"},
    ):
        assert plain.get(page, params=wrong, cookies=cookies).status_code == 422
    assert plain.get(page, params={"methodology": "ams-i-d", "country": "KE"}).status_code == 401
