"""Pages of the console over a real process and database."""

import html
import re
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from mrv.report.audit_rows import status_url
from mrv.report.blocks import sampled
from mrv.report.dated_values import compared, designed
from mrv.report.words import Words as ReportWords
from mrv.report.words import punctuated
from services.api.console.render import POLICY
from services.api.console.routes import live, overview, programme, projects, sewers, statements
from services.api.console.routes.live import MAX_PER_USER
from services.api.console.translations import Words, texts
from services.issuer.report import facts_of
from services.store import api_keys
from services.store.postgres.pool import connect
from services.store.views import console
from services.store.views.alarms import grouped
from tests.services.api import hostile, plain
from tests.services.api.console.languages import SHOWN
from tests.services.api.console.visiting import DAY, fetched, foreign_parts, get, paths, session


@pytest.mark.parametrize("language", SHOWN)
def test_pages_open_in_every_language(served, language):
    """A reader would meet an error, or another language."""
    for path in paths(served, language)["everybody"]:
        answer = get(served, path)
        assert answer.status_code == 200, (path, answer.text)
        assert f'<html lang="{language}">' in answer.text
        assert answer.headers["content-security-policy"] == POLICY
        assert foreign_parts(answer.text) == []


def test_every_page_is_in_this_test(served):
    """A new page would be open to everyone unnoticed."""
    routers = (live, overview, programme, projects, sewers, statements)
    known = [one.split("?")[0] for group in paths(served).values() for one in group]
    for route in (one for part in routers for one in part.router.routes):
        pattern = re.sub(r"\{\w+\}", "[^/]+", route.path)
        seen = any(re.fullmatch(pattern, path) for path in known)
        other = ("/", "/console", "/console/", "/statements/{statement}",
                 "/console/{language}/live/events")  # fmt: skip
        assert seen or route.path in other or route.methods == {"POST"}, route.path


@pytest.mark.parametrize("language", SHOWN)
def test_a_refusal_is_in_the_readers_language(served, language):
    """Anyone who follows a link to what needs a key would read English words of the protocol."""
    words = texts(language)
    for path, status in (("programme", 401), ("statements/TN-none", 404), ("nothing", 404)):
        answer = get(served, f"/console/{language}/{path}")
        assert answer.status_code == status
        assert f"<h1>{words[f'error.{status}']}</h1>" in html.unescape(answer.text)
        back = f"/console/{language}/sign-in?next=/console/{language}/{path}"
        assert f'href="{back}"' in answer.text
        again = plain.post(served.url + back, data={"key": "tonne_x_y"})
        assert again.status_code == 401
        found = plain.post(served.url + back, data={"key": served.tokens["auditor"]})
        assert found.headers["location"] == f"/console/{language}/{path}"
        assert 'method="post" class="check"' in again.text  # to the same address


def test_who_sees_what(served):
    """Readings of a project would show to strangers, or not to its auditor."""
    of = paths(served)
    strangers, own = session(served, "stranger"), session(served, "scoped")
    for path in [*of["somebody"], *of["scope"]]:
        assert get(served, path).status_code in {401, 403}, path
    for path in of["scope"]:
        assert get(served, path, strangers).status_code == 403, path
        answer = fetched(served, path, own)
        assert answer.status_code == 200, (path, answer.text)
    assert served.draft not in get(served, "/console/en/statements").text
    assert served.draft not in get(served, "/console/en/statements", strangers).text
    assert served.draft in get(served, "/console/en/statements", own).text
    draft = f"/console/en/statements/{served.draft}"
    assert get(served, draft).status_code == get(served, draft, strangers).status_code == 404
    assert get(served, draft, own).status_code == 200
    shown = get(served, "/console/en/live", strangers).text
    assert "bus-1" in shown
    assert "inv-1" not in shown


def test_figures_are_those_of_the_statement(served):
    """The page would show other tonnes than the signed document."""
    said = served.ask(f"/v1/statements/{served.issued}.json").json()["credentialSubject"]
    text = html.unescape(get(served, f"/console/en/statements/{served.issued}").text)
    reduction = said["emissions"]["reduction"]["t"]
    assert f"<b>{reduction.rstrip('0').rstrip('.')}\N{NO-BREAK SPACE}t</b> CO" in text
    assert f'<td class="number">{reduction}</td>' in text
    assert f"<b>{said['credited']['t']}</b> t CO" in text
    for one in said["factors"]:
        assert one["id"] in text
        assert one["source"] in text
        accepted = "accepted" if one["acceptedByProject"] else one["certainty"]
        assert ReportWords("en")[f"certainty.{accepted}"] in text
    shown = get(served, "/console/vi/statements").text
    assert said["emissions"]["reduction"]["t"][:5].replace(".", ",") in shown


@pytest.mark.parametrize("language", SHOWN)
def test_what_the_figures_were_held_against_is_what_the_report_prints(served, language):
    """A citizen would see tonnes, and nothing of what speaks against them."""
    words = ReportWords(language)
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        facts = facts_of(conn, served.issued)
    text = html.unescape(get(served, f"/console/{language}/statements/{served.issued}").text)
    assert facts.sample is not None
    concluded = facts.opinion.credential_subject
    blocks = [
        *designed(facts.subject, words),
        *compared(facts.subject, concluded, words),
        *sampled(facts.sample, facts.timezone, words),
    ]
    cells = [cell for one in blocks for row in one.get("rows", ()) for cell in row]
    assert facts.sample.credential_subject.seed in cells
    assert words["materiality.findings"] in cells
    for wanted in (*cells, *(one["text"] for one in blocks if "text" in one)):
        assert punctuated(wanted, language) in text, wanted


def test_a_day_leads_to_its_readings(served):
    """An auditor could not follow a tonne to the meter."""
    cookies = session(served, "auditor")
    day = get(served, f"/console/en/statements/{served.issued}/days/{DAY}", cookies).text
    assert f"/days/{DAY}/inv-2" in day
    found = get(served, f"/console/en/statements/{served.issued}/days/{DAY}/inv-2", cookies).text
    assert "Register: energy exported" in found
    assert "energy_export_wh" not in found
    assert found.count("<tr>") > 96
    at = f"/console/en/statements/{served.issued}/days/{DAY}/inv-2?at=2027-03-02T05:00Z"
    assert get(served, at, cookies).status_code == 404
    outside = f"/console/en/statements/{served.issued}/days/2026-03-03"
    assert get(served, outside, cookies).status_code == 404


def test_missing_shows_as_missing(served):
    """A project without data would show a measured reduction of zero."""
    page = get(served, "/console/en/projects/bus").text
    assert "No data for this period." in page or "missing" in page
    month = get(served, "/console/en/projects/pv?month=2026-04").text
    days = re.findall(r'<tr><th scope="row"><a href="\?day=2026-04-.*?</tr>', month)
    assert len(days) == 30
    assert all(one.count('class="missing"') == 3 for one in days)
    assert all(one.endswith('<td class="number">0</td></tr>') for one in days)
    ahead = get(served, "/console/en/projects/pv?month=2035-01").text
    assert "No data for this period." in ahead
    row = re.search(
        r'<tr><th scope="row"><a href="[^"]*projects/bus[?"].*?</tr>',
        get(served, "/console/en/").text,
        re.DOTALL,
    )[0]
    assert row.count('class="missing"') >= 2


def test_a_project_opens_on_its_last_period_with_data(served):
    """A project without recent data would open with a month of 0 %, and not state since when."""
    page = html.unescape(get(served, "/console/en/projects/pv").text)
    assert "avoided, March 2026" in page
    assert "No data since" in page
    assert "This is the last month with data." in page
    assert re.search(r'href="\?month=2026-03" class="now" aria-current="page">Mar<', page)
    for kind in ("bars", "cumulative", "hours"):
        assert f'data-chart="{kind}"' in page, kind
    assert html.unescape(
        re.search(
            r'data-figures="([^"]*day=2026-03-02[^"]*)"',
            get(served, "/console/en/projects/pv").text,
        )[1]
    )  # a bar opens its day
    assert re.search("[0-9]+ of [0-9]+ days reach the expected amount", page)
    assert "Expected [t]" not in get(served, f"/console/en/projects/pv?day={DAY}").text  # by night
    year = html.unescape(html.unescape(get(served, "/console/en/projects/pv?year=2035").text))
    assert '"label":"Jan"' not in year  # nothing is known of it: no chart
    other = html.unescape(get(served, "/console/en/projects/pv?month=2026-04").text)
    assert "This is the last month with data." not in other
    assert '<a href="?month=2026-03">March 2026</a>' in other


def test_hours_of_many_devices_are_read_where_they_are_asked_for(served, monkeypatch):
    """
    A project of thousands of devices would keep each reader waiting for
    all 15-minute intervals.
    """
    monkeypatch.setattr(projects, "_FEW_DEVICES", 0)
    with connect(served.database_url, role="tonne_api", autocommit=True) as conn:
        (sums,) = console.project_sums(conn, "pv")
        usual, asked = (
            projects._of_month(conn, sums, date(2026, 3, 1), by_hour=by_hour)
            for by_hour in (False, True)
        )
    assert usual.rows == asked.rows
    assert (bool(usual.hours), bool(asked.hours)) == (False, True)
    page = get(served, "/console/en/projects/pv?month=2026-03&hours=1").text
    assert 'data-chart="hours"' in page


def test_a_tonne_is_explained_by_a_statement_that_counts(served):
    """A citizen would read of a tonne that is no one's, or of a draft."""
    page = html.unescape(get(served, "/console/en/tonne").text)
    said = served.ask(f"/v1/statements/{served.issued}.json").json()["credentialSubject"]
    assert f"<b>{said['credited']['t']}\N{NO-BREAK SPACE}t</b>" in page
    assert f"/statements/{served.issued}/check" in page
    assert served.draft not in page
    counted = sum(
        Decimal(p["counted"])
        for p in said["monitoredParameters"]
        if p["parameter"] == "energy_export"
    )
    assert f"<b>{Words('en').amount(counted, 'Wh')}</b> energy exported" in page
    text = re.search(
        "Without the project, ([0-9.,]+).t of CO2e would have been emitted; with the"
        " project, ([0-9.,]+).t. The difference is <b>([0-9.,]+).t</b>",
        page,
    )
    without, project, difference = (Decimal(amount.replace(",", "")) for amount in text.groups())
    assert without - project == difference  # a reader who subtracts finds what is printed


def test_alarms_of_one_cause_are_one_fault():
    """An operator would work through twenty alarms of one time server, and miss the dear one."""
    at = datetime(2026, 11, 30, 7, 1, tzinfo=UTC)
    usual = {
        "cause": "ahead", "cause_now": None, "severity": "minor", "devices": 1,
        "cost_t_per_day": None, "kind": "clock_fault", "subject": "x", "since": at,
    }  # fmt: skip
    clocks = [{**usual, "subject": f"d-{i}", "since": at + timedelta(minutes=i)} for i in range(9)]
    silent = [
        {**usual, "kind": "device_silent", "cause_now": "gateway", "subject": name,
         "severity": severity, "cost_t_per_day": cost}
        for name, severity, cost in (("a", "major", 0.1), ("b", "critical", 0.2))
    ]  # fmt: skip
    later = {**usual, "subject": "d-99", "since": at + timedelta(hours=3)}
    found = grouped([*clocks, *silent, later])
    assert [(g.kind, len(g.alarms), g.severity) for g in found] == [
        ("device_silent", 2, "critical"), ("clock_fault", 9, "minor"), ("clock_fault", 1, "minor"),
    ]  # fmt: skip
    assert found[0].cost_t_per_day == Decimal("0.3")
    assert found[1].cost_t_per_day is None


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/fr/", 404),
        ("/console/en/?year=1991", 404),
        ("/console/en/projects/nobody", 404),
        ("/console/en/projects/pv?month=2026-13", 422),
        ("/console/en/projects/pv?month=x", 422),
        ("/console/en/projects/pv?month=0000-01", 422),
        ("/console/en/projects/pv?year=20", 422),
        ("/console/en/projects/pv?day=2026-02-30", 422),
        ("/console/en/statements/TN-none", 404),
        ("/console/en/nothing", 404),
        ("/console/assets/0/console.css", 404),
        ("/console/en/projects/%3Cscript%3E", 422),
    ],
)
def test_wrong_addresses_are_pages_too(served, path, status):
    """A reader would be shown identifiers of the program."""
    answer = get(served, path)
    assert answer.status_code == status
    assert "<script>" not in answer.text
    if "assets" not in path:
        assert answer.headers["content-type"].startswith("text/html")
        assert "tonne" in answer.text


def test_the_entrance_speaks_the_readers_language(served):
    """Every reader would get the English page first."""
    answer = plain.get(f"{served.url}/", headers={"Accept-Language": "ja,en;q=0.5"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/ja/")


@pytest.mark.parametrize("path", [
    "/console/sign-in", "/console/en", "/console/en/statements/", "/console/en/check/",
    "/v1/statements/", "/devices/d1/", "/projects/pv", "/", "//evil.example/..", "/statements/x/",
])  # fmt: skip
def test_no_redirect_leads_to_the_host_that_was_named(served, path):
    """A link to the city's server could open a stranger's sign-in, by way of a cache or proxy."""
    answer = plain.get(f"{served.url}{path}", headers={"Host": "evil.example"})
    where = answer.headers.get("location", "/")
    assert where.startswith("/"), where
    assert not where.startswith("//"), where
    assert "evil.example" not in answer.text
    if path in ("/console/sign-in", "/console/en"):
        assert (answer.status_code, where) == (307, f"{path}/")


def test_a_certificates_code_leads_to_a_page_for_people(served):
    """A reader who scans a certificate's code would see a program's answer, in English."""
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        facts = facts_of(conn, served.issued)
    printed = status_url(replace(facts, plan=replace(facts.plan, public_url=served.url)))
    first = plain.get(printed, headers={"Accept-Language": "vi"})
    assert first.status_code == 303
    page = get(served, first.headers["location"])
    assert page.headers["content-type"].startswith("text/html")
    assert '<html lang="vi">' in page.text
    assert served.issued in page.text
    # a draft's certificate leads to a page, too, that shows nothing of it
    draft = plain.get(printed.replace(served.issued, served.draft), follow_redirects=True)
    assert (draft.status_code, draft.headers["content-type"][:9]) == (404, "text/html")
    # the page itself shows the code of the address that the programme names, and no other
    assert '<figure class="code">' not in page.text
    with connect(served.database_url, autocommit=True) as conn:
        conn.execute("INSERT INTO programme (name, public_url) VALUES ('p', 'https://t.example')")
        named = plain.get(
            served.url + first.headers["location"], headers={"Host": "evil.example"}
        ).text
        conn.execute("DELETE FROM programme")
    assert f'href="https://t.example/statements/{served.issued}"' in named
    assert "evil.example" not in named


def test_sessions_hold_only_what_was_given(served):
    """Forged, revoked and cross-site sessions are rejected."""
    for cookie in ("", "x", "a.b.c", "admin.99999999999.00", "a.9.", "é.9.x"):
        try:
            answer = get(served, "/console/en/live", {"tonne_session": cookie})
        except UnicodeEncodeError:
            continue
        assert answer.status_code == 401
    with connect(served.database_url, role="tonne_api", autocommit=True) as conn:
        key, token = api_keys.create(conn, "short", "auditor", None, "test")
    served.tokens["short"] = token
    cookies = session(served, "short")
    assert token not in str(cookies)
    assert get(served, "/console/en/live", cookies).status_code == 200
    with connect(served.database_url, role="tonne_api", autocommit=True) as conn:
        api_keys.revoke(conn, key.id)
    assert get(served, "/console/en/live", cookies).status_code == 401
    for said in (
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        foreign = plain.post(
            f"{served.url}/console/en/sign-in", data={"key": served.tokens["admin"]}, headers=said
        )
        assert foreign.status_code == 403, said
        assert "set-cookie" not in foreign.headers
    wrong = plain.post(f"{served.url}/console/en/sign-in", data={"key": "tonne_x_y"})
    assert wrong.status_code == 401
    assert "not valid" in wrong.text


def test_a_session_opens_no_api(served):
    """A session cookie gives no access to the API."""
    cookies = session(served, "admin")
    assert plain.get(f"{served.url}/v1/projects", cookies=cookies).status_code == 401


def test_signing_out_ends_the_session_of_the_browser(served):
    """Signing out ends the session."""
    with httpx.Client(
        verify=plain.NO_AUTHORITIES, base_url=served.url, timeout=plain.PATIENCE_S
    ) as client:
        client.post("/console/en/sign-in", data={"key": served.tokens["auditor"]})
        assert client.get("/console/en/live").status_code == 200
        copied = dict(client.cookies)
        client.post("/console/en/sign-out")
        assert client.get("/console/en/live").status_code == 401
    assert get(served, "/console/en/live", copied).status_code == 401


def test_a_cookie_goes_over_tls_alone_where_the_proxy_speaks_it(served):
    """Someone on the way to a page by plain HTTP would have the session."""
    key = {"key": served.tokens["auditor"]}
    for said, secure in (({}, False), ({"X-Forwarded-Proto": "https"}, True)):
        answer = plain.post(f"{served.url}/console/en/sign-in", data=key, headers=said)
        assert ("Secure" in answer.headers["set-cookie"]) == secure


@pytest.mark.parametrize("way", ["revoked", "signed out"])
def test_a_live_stream_ends_with_its_session(served, way):
    """Live data stop when the session ends."""
    with connect(served.database_url, role="tonne_api", autocommit=True) as conn:
        key, token = api_keys.create(conn, "watches", "auditor", None, "test")
    served.tokens["watches"] = token
    cookies = session(served, "watches")
    events = f"{served.url}/console/en/live/events"
    with plain.stream("GET", events, cookies=cookies) as answer:
        parts = answer.iter_raw()
        next(parts)
        if way == "revoked":
            assert served.ask(f"/v1/keys/{key.id}", "admin", "DELETE").status_code == 200
        else:
            plain.post(f"{served.url}/console/en/sign-out", cookies=cookies)
        began_s = time.monotonic()
        for _ in parts:  # until the server ends it
            assert time.monotonic() - began_s < plain.PATIENCE_S


def test_one_key_takes_no_more_than_its_share_of_live_streams(served):
    """The number of live streams per key is limited."""
    # with a key that nobody else watches by: of windows that are closed the server hears later
    with connect(served.database_url, role="tonne_api", autocommit=True) as conn:
        _, served.tokens["everywhere"] = api_keys.create(conn, "all", "auditor", None, "test")
    cookie = session(served, "everywhere")["tonne_session"]
    head = f"GET /console/en/live/events HTTP/1.1\r\nHost: x\r\nCookie: tonne_session={cookie}"
    with ExitStack() as held:
        seen = []
        for _ in range(MAX_PER_USER + 3):
            one = held.enter_context(hostile.connection(served.url))
            one.sendall(f"{head}\r\n\r\n".encode())
            seen.append(one.recv(12))
        assert seen == [b"HTTP/1.1 200"] * MAX_PER_USER + [b"HTTP/1.1 429"] * 3
        events = f"{served.url}/console/en/live/events"
        with plain.stream("GET", events, cookies=session(served, "operator")) as answer:
            assert answer.status_code == 200


def test_files_are_packed_and_kept(served):
    """A page on a phone would load everything again each time."""
    page = get(served, "/console/en/projects/pv").text
    files = re.findall(r'(?:src|href)="(/console/assets/[^"]+)"', page)
    assert len(files) >= 3
    for path in files:
        answer = plain.get(served.url + path)
        assert answer.headers["content-encoding"] == "gzip"
        assert "immutable" in answer.headers["cache-control"]


def test_live_events_tell_what_is_new(served):
    """An operator would look at a table that is not updated."""
    cookies = session(served, "auditor")
    events = f"{served.url}/console/en/live/events"
    with plain.stream("GET", events, cookies=cookies) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                assert '"device":"inv-1"' in line
                break


def test_hostile_names_stay_names(served):
    """Anyone who names a site could run a script in the auditor's browser."""
    hostile = "<img src=x onerror=alert(1)>\"'&{{7*7}}\u202e" + "long " * 40
    with connect(served.database_url) as conn:
        conn.execute("UPDATE site SET name = %s", [hostile])
        conn.execute("UPDATE project SET name = %s WHERE id = 'bus'", [hostile])
    cookies = session(served, "auditor")
    for path in (
        "/console/en/projects/bus?month=2025-01",
        "/console/vi/live",
        "/console/ja/statements",
    ):
        text = get(served, path, cookies).text
        assert foreign_parts(text) == []
        assert "<img" not in text
        assert "\u202e" not in text
        assert "{{7*7}}" in text or "statements" in path


def test_reports_are_offered_in_the_language_of_the_page(served):
    """A reader of the Vietnamese page would get an English report, or none."""
    of = f"/console/vi/statements/{served.issued}"
    shown = get(served, of).text
    assert f'href="{of}/report.pdf"' in shown
    assert "report.xlsx" not in shown
    found = get(served, f"{of}/report.pdf")
    assert found.headers["content-language"] == "vi"
    assert found.content.startswith(b"%PDF")
    assert get(served, f"/console/vi/statements/{served.draft}/report.pdf").status_code == 404
    assert f'href="{of}/report.xlsx"' in get(served, of, session(served, "auditor")).text
