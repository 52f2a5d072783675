"""Alarms in API and console: read within a scope, acknowledged by operators."""

import re

import psycopg
import pytest

from services.store.postgres.pool import connect
from services.store.views import fleet_metrics
from tests.services.api import plain
from tests.services.api.console.languages import SHOWN


@pytest.fixture(scope="module")
def raised(served):
    """Return the API over a plant without data for months; numbers of its alarms by kind."""
    with psycopg.connect(served.database_url, autocommit=True) as conn:
        conn.execute("UPDATE device SET commissioned = '2026-03-01'")  # some were never heard
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        fleet_metrics.raise_alarms(conn)
    found = served.ask("/v1/alarms", "operator").json()["items"]
    return {(one["kind"], one["subject"]): one["id"] for one in found}


def test_a_scope_sees_the_alarms_of_its_projects(served, raised):
    """A third party would read of every fault of a competitor's plant."""
    assert ("project_silent", "pv") in raised
    for who, project in (("scoped", "pv"), ("stranger", "bus")):
        seen = served.ask("/v1/alarms", who).json()["items"]
        assert seen
        assert {name for one in seen for name in one["projects"]} == {project}
    number = raised["project_silent", "pv"]
    assert served.ask(f"/v1/alarms/{number}", "scoped").json()["history"][0]["event"] == "raised"
    assert served.ask(f"/v1/alarms/{number}", "stranger").status_code == 404
    assert served.ask("/v1/alarms").status_code == 401
    page = served.ask("/v1/alarms?limit=1", "operator").json()
    rest = served.ask(f"/v1/alarms?limit=1&cursor={page['next']}", "operator").json()
    assert rest["items"][0]["id"] < page["items"][0]["id"]
    own = served.ask("/v1/alarms?device=inv-2&severity=major", "operator").json()["items"]
    assert [one["kind"] for one in own] == ["certificate_expired"]


def test_operators_acknowledge_once(served, raised):
    """An auditor could acknowledge an operator's alarms, or the person would not be recorded."""
    path = f"/v1/alarms/{raised['certificate_expired', 'inv-2']}/acknowledge"
    assert served.ask(path, "auditor", "POST", json={}).status_code == 403
    assert served.ask(path, "rival", "POST", json={}).status_code == 404
    done = served.ask(path, "operator", "POST", json={"text": "ordered"})
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["acknowledged_by"]) == (
        "acknowledged",
        "the operator",
    )
    assert done.json()["history"][-1]["text"] == "ordered"
    again = served.ask(path, "operator", "POST", json={})
    assert again.status_code == 409
    assert "the operator" in again.json()["detail"]
    device = served.ask("/v1/devices/inv-2", "operator").json()
    assert [one["kind"] for one in device["alarms"]] == ["certificate_expired"]


def test_pages_show_alarms_to_who_may_see_them(served, raised):
    """A control room would look at devices one by one."""
    assert plain.get(f"{served.url}/console/en/alarms").status_code == 401
    key = {"key": served.tokens["scoped"]}
    cookies = dict(plain.post(f"{served.url}/console/en/sign-in", data=key).cookies)
    number = raised["project_silent", "pv"]
    for language in SHOWN:
        for path in ("alarms", "alarms?state=all", f"alarms/{number}", "devices/inv-2"):
            page = plain.get(f"{served.url}/console/{language}/{path}", cookies=cookies)
            assert page.status_code == 200, page.text
            assert f"/console/{language}/" in page.text
            assert "bus" not in page.text.partition("<main")[2]
    other = raised["project_silent", "bus"]
    page = plain.get(f"{served.url}/console/en/alarms/{other}", cookies=cookies)
    assert page.status_code == 404
    led = plain.get(f"{served.url}/alarms/{number}", headers={"Accept-Language": "vi"})
    assert led.headers["location"] == f"/console/vi/alarms/{number}"


def _signed_in(served, who):
    key = {"key": served.tokens[who]}
    return dict(plain.post(f"{served.url}/console/en/sign-in", data=key).cookies)


def test_operators_take_alarms_up_in_the_console(served, raised):
    """An operator must be able to acknowledge an alarm in the browser, and no one else."""
    number = raised["project_silent", "pv"]
    page = f"{served.url}/console/en/alarms/{number}"
    own, auditor = _signed_in(served, "operator"), _signed_in(served, "auditor")
    assert "<textarea" in plain.get(page, cookies=own).text
    assert "<textarea" not in plain.get(page, cookies=auditor).text
    said = {"text": "<b>\u202eon the way</b> \"'"}
    assert plain.post(f"{page}/acknowledge", data=said).status_code == 401
    assert plain.post(f"{page}/acknowledge", data=said, cookies=auditor).status_code == 403
    foreign = {"Origin": "https://elsewhere.example"}
    refused = plain.post(f"{page}/acknowledge", data=said, cookies=own, headers=foreign)
    assert refused.status_code == 403
    rival = _signed_in(served, "rival")
    assert plain.post(f"{page}/acknowledge", data=said, cookies=rival).status_code == 404
    assert plain.post(f"{page}/comment", data={"text": " "}, cookies=own).status_code == 422
    done = plain.post(f"{page}/acknowledge", data=said, cookies=own)
    assert (done.status_code, done.headers["location"]) == (303, f"/console/en/alarms/{number}")
    assert plain.post(f"{page}/acknowledge", data=said, cookies=own).status_code == 409
    assert plain.post(f"{page}/comment", data={"text": "fuse 3"}, cookies=own).status_code == 303
    shown = plain.get(page, cookies=own).text
    assert "fuse 3" in shown
    assert "<b>" + "\u202e" not in shown
    assert ">Acknowledge<" not in shown
    rows = served.ask("/v1/audit?limit=50", "admin").json()["items"]
    seen = {(r["path"], r["status"]) for r in rows if r["path"].endswith(f"/{number}/acknowledge")}
    assert {status for _, status in seen} >= {303, 403, 404, 409}


def test_the_live_page_begins_with_alarms(served, raised):
    """Anyone who comes on shift would look at ten thousand rows for what is wrong."""
    page = plain.get(f"{served.url}/console/en/live", cookies=_signed_in(served, "operator")).text
    main = page.partition("<main")[2]
    assert 0 < main.index('id="alarm-list"') < main.index('id="live"')
    assert f"/alarms/{raised['project_silent', 'pv']}" in main


def test_the_first_screen_and_the_page_of_alarms_are_one_list(served, raised):
    """An officer would read another order of faults where they are mended."""
    cookies = _signed_in(served, "operator")
    pages = [
        plain.get(f"{served.url}/console/en/{page}", cookies=cookies).text
        for page in ("", "alarms")
    ]
    first, whole = (
        [one.rstrip(". ") for one in re.findall(r'class="why">(.*?)(?:<span|</p>)', page)]
        for page in pages
    )
    assert len(first) == len(whole) == 4
    assert [one for one in whole if one in first] == first
    # where it is, and who answers for it, not only what it is called
    places = re.findall(r'<p class="where">(.*?)</p>', pages[1])
    assert len(places) == 4
    assert all("Hai Phong" in place for place in places)
    assert any("responsible:" in place for place in places)
    # a scope reads what holds back its own projects
    assert (
        f"/alarms/{raised['project_silent', 'pv']}"
        not in plain.get(
            f"{served.url}/console/en/alarms", cookies=_signed_in(served, "stranger")
        ).text
    )
