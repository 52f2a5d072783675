"""
Equal figures everywhere: panels, every field of the API, every figure
of the console, commands.
"""

import importlib
import json
import secrets
import warnings
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from structlog import get_logger

from services.metrics import Metrics
from services.store import api_keys
from services.store.postgres.pool import connect
from tests.figures import of_console, panel_queries, surfaces
from tests.figures.account import Account, read
from tests.figures.costs import silences
from tests.figures.of_api import fields, number, of_year
from tests.figures.panels import PANELS, TYPED
from tests.figures.surfaces import STATES
from tests.fix_timescale import _fresh
from tests.invoked import tonne
from tests.soak import SOAK, often

SPANS = often(1, 3)  # at any time, beside those as boards open
# what people typed, shown as they typed it
TYPED_API = {
    "/v1/invoices/{invoice}: value", "/v1/invoices: value",
    "/v1/statements/{statement}/findings: effect_t",
    *(f"/v1/{of}: {name}" for of in ("programme", "programme/report")
      for name in ("reported_percent_of_target", "reported_t", "target_t_per_year")),
    # energy that a tariff prices: no site of the city has one; test_money.py computes them
    "/v1/programme/report: energy_kwh", "/v1/projects/{project}/money: energy_kwh",
    # the entry of the registry file: what was expected and what documents state, as entered
    "/v1/projects/{project}/entry: reduction_t_per_year", "/v1/projects/{project}/entry: value",
}  # fmt: skip


class City:
    """An API in this process over a city in one of its states, with a key for everything."""

    def __init__(self, url: str, home: Any) -> None:
        from services.api.app import Choices, make_app  # noqa: PLC0415 - loads the web framework

        self.url = url
        app = make_app(url, Choices(home, 1e6), Metrics(), get_logger("test"))
        with warnings.catch_warnings():  # it would rather have another client than the one we have
            warnings.simplefilter("ignore")
            testclient = importlib.import_module("starlette.testclient")
        self.app, self.client = app, testclient.TestClient(app, base_url="https://testserver")
        with connect(url, role="tonne_api", autocommit=True) as conn:
            self.token = api_keys.create(conn, "everybody", "admin", None, "test")[1]

    def account(self) -> Account:
        """Return the account as it is now."""
        with connect(self.url, role="tonne_grafana", autocommit=True) as conn, conn.transaction():
            return read(conn)

    def get(self, path: str, **params: Any) -> Any:
        """Request from the API; all pages of a list."""
        said = {"Authorization": f"Bearer {self.token}"}
        answer = self.client.get(path, params=params, headers=said)
        assert answer.status_code in {200, 404}, answer.text
        if answer.status_code == 404:
            return None
        body = answer.json()
        if "items" in body and body.get("next"):
            more = self.get(path, **{**params, "cursor": body["next"]})
            return {**body, "items": body["items"] + more["items"], "next": None}
        return body


@pytest.fixture(scope="module", params=STATES)
def city(request, timescale, migrated_template, tmp_path_factory):
    """Return a city in one of its states."""
    home = tmp_path_factory.mktemp("city")
    for url in _fresh(timescale, migrated_template):
        request.param(url, home)
        made = City(url, home)
        with made.client:
            yield made


def test_every_panel_of_tonnes_or_energy_is_walked():
    """A new panel would show tonnes that no test compares with the account."""
    assert sorted({*PANELS, *TYPED}) == surfaces.of_panels()


def test_no_alert_has_tonnes_of_its_own():
    """An alert's figure would differ from the board that it leads to."""
    assert surfaces.of_alerts() == []


def test_panels_show_the_account(city):
    """An operator would read another tonne on each board, and none of them the account's."""
    seed = secrets.randbits(32) if SOAK else 20
    chance = np.random.default_rng(seed)
    wrong = []
    with connect(city.url, role="tonne_grafana", autocommit=True) as reader, reader.transaction():
        account = read(reader)
        ends = [account.now - timedelta(days=chance.random() * 3) for _ in range(SPANS)]
        spans = [(end - timedelta(days=chance.random() * 30), end) for end in ends]
        # as a board opens, and the span of the silent city's data
        spans += [(account.now - timedelta(days=30), account.now)]
        spans += [(account.now - timedelta(days=60), account.now - timedelta(days=40))]
        # a query names whole seconds
        for since, until in ([t.replace(microsecond=0) for t in span] for span in spans):
            for where, shown in panel_queries.shown(reader, since, until):
                column, key, meaning = PANELS[where]
                wanted = meaning(account, since, until)
                found = panel_queries.figures(*shown, column, key)
                if not panel_queries.alike(found, wanted):
                    different = panel_queries.different(found, wanted)
                    wrong.append((where, str(since), str(until), different))
    assert not wrong, f"seed {seed}: {wrong}"


def _wrong(found):
    """Return only the differences, a few of each kind, for the message of a failure."""
    wrong = {
        where: [pair for pair in pairs if pair[0] != pair[1]] for where, pairs in found.items()
    }
    return {where: pairs[:3] for where, pairs in wrong.items() if pairs}


def test_fields_of_the_api_are_the_account(city):
    """A report that is submitted would say other tonnes than the statement that follows."""
    quarter = -1
    while quarter != datetime.now(UTC).minute // 15:  # expectations count to the last quarter
        quarter = datetime.now(UTC).minute // 15
        account = city.account()
        found = defaultdict(list)
        for where, shown, wanted in fields(city, account):
            found[where].append((shown, wanted))
    assert _wrong(found) == {}
    if account.statements:
        wanted = surfaces.of_api(city.app.openapi())
        assert sorted({*found, *TYPED_API}) == wanted


def test_figures_of_the_console_are_the_account(city, monkeypatch):
    """The city's front page would say other tonnes than the board on its wall."""
    quarter = -1
    while quarter != datetime.now(UTC).minute // 15:
        quarter = datetime.now(UTC).minute // 15
        account = city.account()
        found = defaultdict(list)
        for where, shown, subject in of_console.figures(city, account, monkeypatch):
            wanted = of_console.meant(account, where, subject)
            pair = of_console.plain(shown), of_console.plain(wanted)
            # what silence costs grows from one moment to the next
            if where == "device.html: t.tonnes(page.cost_t)" and None not in pair:
                so_far_t, daily_t = silences(account)[subject[1]["id"]]
                pair = of_console.grown(account, shown, so_far_t, daily_t)
            found[where].append(pair)
    assert _wrong(found) == {}
    if account.statements:
        missing = {*surfaces.of_console()} - {*found} - of_console.TYPED
        # no project of the city is silent as a whole there, and none has a class of transfer
        assert missing <= {
            "project.html: t.tonnes(project_row.sums.missed_t)",
            "programme.html: t.number(p.transferable_t)",
            # no statement of it lacks an invoice
            "project.html: t.tonnes(one.before_t)",
        }


def test_commands_print_the_account(city, monkeypatch):
    """A script would hand on other tonnes than the console shows."""
    account = city.account()
    monkeypatch.setenv("TONNE_DATABASE_URL", city.url)
    for project, days in account.accounted.items():
        rows = [row for day in days.values() for row in day]
        zone = account.projects[project]["zone"]
        first = min(days, default=account.today(project) - timedelta(days=3))
        begin = datetime.combine(first, datetime.min.time(), zone)
        end = account.now + timedelta(days=1)
        span = "--from", begin.isoformat(), "--to", end.isoformat()
        result = tonne("intervals", "--project", project, *span, "--json", code=0)
        shown = json.loads(result.stdout)
        assert sum(r["reduction_ug"] for r in shown) == sum(r.reduction for r in rows)
        assert sum(r["project_ug"] for r in shown) == sum(r.emitted for r in rows)
    if account.actions:
        result = tonne("programme", "progress", "--json", code=0)
        for one in json.loads(result.stdout)["actions"]:
            own = of_console.under(account, one)
            wanted = of_year(account, own, of_console.year_shown(account))
            assert number(one["projects"]["monitored_t"]) == wanted
