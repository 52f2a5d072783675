"""The account that is shown while time is open, and the statement of the same days: one figure."""

from __future__ import annotations

import pytest

from mrv.methodologies import find
from services.issuer import live_accounts
from services.issuer import transitions as life
from services.store.postgres.pool import connect
from services.store.views.fleet_metrics import refresh_days
from services.store.views.programme_report import report_document
from tests.figures import methodologies as weeks
from tests.fix_timescale import _fresh
from tests.opinions import concluded
from tests.services.issuer import logged
from tests.services.issuer.sealed import close_period

SIDES = "sum(baseline_ug), sum(project_ug), sum(leakage_ug), sum(reduction_ug)"


def _net(result):
    net = result.net
    return tuple(one.ug for one in (net.baseline, net.project, net.leakage, net.reduction))


def _shown(conn, project, source=None):
    row = conn.execute(
        f"SELECT {SIDES} FROM v_account_part WHERE project_id = %s AND day < %s"
        " AND (%s::text IS NULL OR source = %s)",
        [project, weeks.LAST, source, source],
    ).fetchone()
    return None if row[0] is None else tuple(int(value) for value in row)


class Weeks:
    """Every project's figures: shown while it is open, and of its statement."""

    def __init__(self, url, home):
        self.methods = weeks.fill(url, home)
        self.url, self.who = url, logged.signers(url, home)
        self.open, self.closed, self.shown, self.before = {}, {}, {}, {}
        with connect(url, role="tonne_mrv", autocommit=True) as conn:
            refresh_days(conn)
            assert live_accounts.refresh(conn) >= len(self.methods) - 4
            assert live_accounts.refresh(conn) == 0  # nothing changed
            for name in self.methods:
                self.open[name] = _shown(conn, name)
            for name in self.methods:
                weeks.invoice(conn, name)
                one = close_period(conn, name, weeks.BEGIN_US, weeks.END_US, "test")
                self.closed[name] = one
                self.shown[name] = _shown(conn, name)


@pytest.fixture(scope="module")
def city(timescale, migrated_template, tmp_path_factory):
    """Return a project of each methodology, its weeks closed."""
    for url in _fresh(timescale, migrated_template):
        yield Weeks(url, tmp_path_factory.mktemp("weeks"))


def test_open_time_shows_what_its_statement_will_say(city):
    """A wastewater plant would show a loss, and its statement ninety tonnes of the same days."""
    wrong = {}
    for name, method in city.methods.items():
        net, shown = _net(city.closed[name].result), city.open[name]
        # rows of quarter hours are rounded each, against the claimant
        most = 96 * 14 * 10 if find(method).by_quarter_hours else 0
        if any(abs(a - b) > most for a, b in zip(net, shown, strict=True)):
            wrong[method, name] = net, shown
    assert wrong == {}


def test_a_closed_period_shows_its_statement_to_the_microgram(city):
    """The city's page, its boards and its statement would be three figures of the same days."""
    for name in city.methods:
        assert city.shown[name] == _net(city.closed[name].result), name
    with connect(city.url, role="tonne_mrv", autocommit=True) as conn:
        report = report_document(conn, weeks.FIRST.year)
        found = [p for s in report["systems"] for p in s["projects"]] + report["without_system"]
        monitored = {one["project"]: one["monitored_t"] for one in found}
        by_source = dict(
            conn.execute(
                "SELECT project_id, sum(reduction_t) FROM v_account_source GROUP BY 1"
            ).fetchall()
        )
    for name in city.methods:
        assert float(monitored[name]) == pytest.approx(float(by_source[name]), abs=1e-9)


def test_a_statement_that_waits_for_invoices_says_what_it_would_be_with_them(
    database_url, tmp_path
):
    """A closed zero beside a month of pumping would look like a fault of the meters."""
    name = "an-duong-pumps"
    weeks.fill(database_url, tmp_path)
    who = logged.signers(database_url, tmp_path)
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        refresh_days(conn)
        live_accounts.refresh(conn)
        shown = _shown(conn, name)
        assert shown[3] > 0
        close_period(conn, name, weeks.BEGIN_US, weeks.END_US, "test")
        assert _shown(conn, name)[3] == 0
        row = conn.execute(
            "SELECT source, reduction_t, before_t FROM v_account_source WHERE project_id = %s"
            " AND statement_id IS NOT NULL",
            [name],
        ).fetchone()
        assert (row[0], row[1]) == ("closed", 0)
        assert row[2] * 10**12 == shown[3]
        # with the invoices it is closed again, and issued: the statement that counts
        weeks.invoice(conn, name)
        again = close_period(conn, name, weeks.BEGIN_US, weeks.END_US, "test")
        assert _shown(conn, name) == _net(again.result)
        life.submit(conn, again.statement, who["operator"])
        life.verify(conn, again.statement, who["verifier"], concluded("qualified"))
        life.issue(conn, again.statement, who["log"], "test")
        assert _shown(conn, name, "issued") == _shown(conn, name) == _net(again.result)
