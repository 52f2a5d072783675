"""
Exports in API and console: the same files as by command, within a scope.

Readings as files: the same figures as listed by the API, for programs and in the console.
"""

import csv
import io
import json
import zipfile
from io import BytesIO

import httpx
import pyarrow.parquet as pq
import pytest
import yaml

from services.cli.output import Exit
from tests.invoked import tonne
from tests.services.api import plain
from tests.services.api.console.visiting import get, session

SPAN = {"device": "inv-1", "from": "2026-03-02", "to": "2026-03-03"}


def _listed(served):
    found, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = served.ask("/v1/intervals", "auditor", params={**SPAN, "limit": 100, **more}).json()
        found += page["items"]
        cursor = page.get("next")
        if not cursor:
            return found


def test_a_file_has_what_the_api_lists(served):
    """An analyst would calculate with other energies than the statement does."""
    listed = _listed(served)
    assert len(listed) > 50
    answer = served.ask("/v1/intervals/file.csv", "auditor", params=SPAN)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    wanted = [(one["start"], one["quantity"], one["value"]) for one in listed]
    assert [(one["start"], one["quantity"], int(one["value"])) for one in rows] == wanted
    assert {one["unit"] for one in rows} == {"Wh"}
    answer = served.ask("/v1/intervals/file.parquet", "auditor", params=SPAN)
    table = pq.read_table(io.BytesIO(answer.content))
    assert table["value"].to_pylist() == [one["value"] for one in listed]
    assert table["start"].to_pylist()[0].isoformat()[:16] == listed[0]["start"][:16]


def test_files_are_for_those_who_see_the_device(served):
    """Another operator's production would be handed to anyone who asks."""
    assert served.ask("/v1/intervals/file.csv", params=SPAN).status_code == 401
    assert served.ask("/v1/intervals/file.csv", "stranger", params=SPAN).status_code == 404
    assert served.ask("/v1/intervals/file.xml", "auditor", params=SPAN).status_code in (404, 422)
    long = {**SPAN, "from": "2024-01-01"}
    assert served.ask("/v1/intervals/file.csv", "auditor", params=long).status_code == 422
    page = "/console/en/devices/inv-1/readings.csv"
    assert plain.get(served.url + page).status_code == 401
    answer = get(served, page, session(served, "auditor"))
    assert answer.status_code == 200
    assert answer.text.startswith("device,start,quantity,value,unit")
    assert page in get(served, "/console/en/devices/inv-1", session(served, "auditor")).text


def _opened(found):
    assert found.status_code == 200, found.text
    assert found.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(found.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _by_command(served, tmp_path, *words, out="out"):
    done = tonne(
        "export", *words, "--out", tmp_path / out, env={"TONNE_DATABASE_URL": served.database_url}
    )
    assert done.exit_code in {Exit.DONE, Exit.NOT_ENOUGH}, done.output
    return {one.name: one.read_bytes() for one in (tmp_path / out).iterdir()}


@pytest.mark.parametrize("form", ["cdop", "cad-trust"])
def test_a_project_is_exported_as_by_command(served, tmp_path, form):
    """A registry would be given other figures by the API than by the command."""
    found = served.ask(f"/v1/projects/pv/exports/{form}.zip", "scoped")
    files = _opened(found)
    assert files == _by_command(served, tmp_path, form, served.issued)
    assert found.headers["tonne-export"] == "draft"
    assert json.loads(files["missing.json"])
    again = served.ask(f"/v1/projects/pv/exports/{form}.zip", "scoped")
    assert again.content == found.content


def test_a_statement_is_exported_for_the_jcm(served, tmp_path):
    """Participants would submit a spreadsheet of a statement that is not issued."""
    files = _opened(served.ask(f"/v1/statements/{served.issued}/exports/jcm.zip", "auditor"))
    assert files.keys() == _by_command(served, tmp_path, "jcm", served.issued).keys()
    assert {"monitoring.xlsx", "issuance-request.xlsx"} < files.keys()
    draft = served.ask(f"/v1/statements/{served.draft}/exports/jcm.zip", "auditor")
    assert draft.status_code in {409, 422}
    assert "is draft" in draft.json()["detail"]
    assert served.ask("/v1/projects/bus/exports/cdop.zip", "auditor").status_code == 409


def test_a_partys_year_and_a_facility_are_of_all_projects(served, tmp_path):
    """A key of one project would read all that a Party transfers."""
    year = {"party": "VNM", "year": 2026}
    none = served.ask("/v1/exports/aef.zip", "auditor", params=year)
    assert (none.status_code, "no version 1" in none.text) == (422, True)
    for path in ("/v1/exports/aef.zip", "/v1/sites/hp/exports/facility.zip"):
        assert served.ask(path, "scoped", params=year).status_code in {403, 422}
    facility = {
        "site": "hp", "name": "Depot", "tax_code": "0201234567", "address": "1 Quay, Hai Phong",
        "sector": "transport", "representative": "Nguyen Van A", "qa_qc": "monthly",
        "uncertainty_percent": "2.5",
        "supplies": [{"id": "grid", "line": "electricity", "device": "ch-1",
                      "quantity": "energy_import"}],
    }  # fmt: skip
    submission = {**year, "version": 1, "date": "2027-04-10", "ndc_from": 2021, "ndc_to": 2030}
    file = tmp_path / "said.yaml"
    file.write_text(yaml.safe_dump({"submissions": [submission], "facilities": [facility]}))
    env = {"TONNE_DATABASE_URL": served.database_url}
    tonne("registry", "import", file, env=env, code=Exit.DONE)
    files = _opened(served.ask("/v1/exports/aef.zip", "auditor", params=year))
    assert {"submission.xlsx", "filed.txt", "T1.csv", "T5.xlsx"} < files.keys()
    assert files == _by_command(served, tmp_path, "aef", "--party", "VNM", "--year", "2026")
    found = served.ask("/v1/sites/hp/exports/facility.zip", "auditor", params={"year": 2026})
    words = ("facility", "--site", "hp", "--year", "2026")
    assert _opened(found) == _by_command(served, tmp_path, *words, out="vn")
    for path in ("/v1/exports/aef.zip", "/v1/sites/hp/exports/facility.zip"):
        assert served.ask(path, "scoped", params=year).status_code in {403, 422}


def test_the_console_gives_them_to_who_may_see_the_project(served):
    """A competitor's browser would download what a registry is given."""
    page = f"/console/en/statements/{served.issued}"
    links = [f"{page}/exports/{form}.zip" for form in ("cdop", "cad-trust", "jcm")]
    for who, sees in (("scoped", True), ("stranger", False)):
        with httpx.Client(base_url=served.url, timeout=plain.PATIENCE_S) as browser:
            done = browser.post("/console/en/sign-in", data={"key": served.tokens[who]})
            assert done.status_code == 303
            text = browser.get(page).text
            for link in links:
                assert (link in text) is sees
                assert browser.get(link).status_code == (200 if sees else 403), (who, link)
    for link in links:
        assert link not in plain.get(served.url + page).text
        assert plain.get(served.url + link).status_code in {303, 401, 403}


def test_a_public_version_is_anybodys_once_it_was_published(served, tmp_path):
    """A citizen would ask the operator by letter for what it says is public."""
    path = f"/v1/statements/{served.issued}/exports/public.zip"
    page = f"{served.url}/console/en/statements/{served.issued}"
    none = served.ask(path)
    assert (none.status_code, "--publish" in none.json()["detail"]) == (404, True)
    assert path not in plain.get(page).text
    env = {"TONNE_DATABASE_URL": served.database_url, "TONNE_HOME": str(served.home)}
    words = [
        "export",
        "public",
        served.issued,
        "--key",
        "the-operator",
        "--out",
        str(tmp_path / "twin"),
    ]
    tonne(*words, "--publish", env=env, code=Exit.DONE)
    given = served.ask(path)
    assert _opened(given) == {one.name: one.read_bytes() for one in (tmp_path / "twin").iterdir()}
    assert given.headers["cache-control"].startswith("public")
    assert path in plain.get(page).text
    draft = served.ask(f"/v1/statements/{served.draft}/exports/public.zip")
    assert draft.status_code == 404
