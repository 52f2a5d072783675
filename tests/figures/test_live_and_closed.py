"""The account displayed for an open time equals the statement of the same days."""

import pytest

from services.issuer import live_accounts
from services.issuer import transitions as life
from services.issuer.close import preview_period
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


WAITING = "an-duong-pumps"
AFTERNOON_US = weeks.END_US - 9 * 3_600_000_000


class Weeks:
    """Every project's figures: as displayed while open, and of its statement."""

    def __init__(self, url, home):
        self.methods = weeks.fill(url, home)
        self.url, self.who = url, logged.signers(url, home)
        with connect(url, role="tonne_watch", autocommit=True) as conn:  # as `tonne watch` does
            refresh_days(conn)
            self.today = self._in_the_afternoon(conn)
            assert live_accounts.refresh(conn) == len(self.methods)
            assert live_accounts.refresh(conn) == 0  # nothing changed
        with connect(url, role="tonne_mrv", autocommit=True) as conn:
            self.without = _shown(conn, WAITING), _source(conn, WAITING, "open")
            close_period(conn, WAITING, weeks.BEGIN_US, weeks.END_US, "test")
            self.waiting = _shown(conn, WAITING), _source(conn, WAITING, "closed")
            for name in self.methods:
                weeks.invoice(conn, name)
        with connect(url, role="tonne_watch", autocommit=True) as conn:
            assert live_accounts.refresh(conn) > 0  # invoices came
        with connect(url, role="tonne_mrv", autocommit=True) as conn:
            self.open = {name: _shown(conn, name) for name in self.methods}
            self.closed = {
                name: close_period(conn, name, weeks.BEGIN_US, weeks.END_US, "test")
                for name in self.methods
            }

    def _in_the_afternoon(self, conn):
        """
        Return the displayed figures on the last day at 15:07, and the
        closed ones until 15:00.
        """
        with pytest.MonkeyPatch.context() as moved:
            moved.setattr(live_accounts, "now_us", lambda: AFTERNOON_US + 7 * 60_000_000)
            assert live_accounts.refresh(conn) == len(self.methods)
            assert live_accounts.refresh(conn) == 0
        shown = {name: _shown(conn, name) for name in self.methods}
        with connect(self.url, role="tonne_mrv", autocommit=True) as mrv:
            span = weeks.BEGIN_US, AFTERNOON_US
            said = {name: _net(preview_period(mrv, name, *span).result) for name in self.methods}
        return shown, said


@pytest.fixture(scope="module")
def city(timescale, migrated_template, tmp_path_factory):
    """Return a project of each methodology, with its weeks closed."""
    for url in _fresh(timescale, migrated_template):
        yield Weeks(url, tmp_path_factory.mktemp("weeks"))


def _source(conn, project, source):
    return conn.execute(
        "SELECT reduction_t, before_t FROM v_account_source WHERE project_id = %s"
        " AND source = %s AND reduction_t IS NOT NULL",
        [project, source],
    ).fetchone()


def test_open_time_shows_what_its_statement_will_say(city):
    """A wastewater plant would show a loss, and its statement ninety tonnes of the same days."""
    wrong = {}
    for name, method in city.methods.items():
        net, shown = _net(city.closed[name].result), city.open[name]
        if name != WAITING and net != shown:
            wrong[method, name] = net, shown
    assert wrong == {}


def test_today_shows_what_a_close_until_now_would_say(city):
    """
    A value that the close does not credit would show tonnes during
    the day, and none the day after.
    """
    shown, said = city.today
    assert {name: (shown[name], said[name]) for name in shown if shown[name] != said[name]} == {}


def test_time_that_waits_for_invoices_shows_what_it_would_be_with_them(city):
    """A deduction by invoices would look like a fault of the pump's meters."""
    assert city.without == city.waiting  # open or closed
    shown, (reduction_t, before_t) = city.waiting
    assert shown[3] == reduction_t * 10**12
    assert before_t * 10**12 >= _net(city.closed[WAITING].result)[3] >= shown[3] > 0


def test_a_closed_period_shows_its_statement_to_the_microgram(city):
    """The city's page, its boards and its statement would be three figures of the same days."""
    with connect(city.url, role="tonne_mrv", autocommit=True) as conn:
        for name in city.methods:
            assert _shown(conn, name) == _net(city.closed[name].result), name
        report = report_document(conn, weeks.FIRST.year)
        found = [p for s in report["systems"] for p in s["projects"]] + report["without_system"]
        monitored = {one["project"]: one["monitored_t"] for one in found}
        sources = conn.execute(
            "SELECT project_id, sum(reduction_t) FROM v_account_source GROUP BY 1"
        )
        for name, tonnes in sources.fetchall():
            assert float(monitored[name]) == pytest.approx(float(tonnes), abs=1e-9)
        # issued, it is the statement that counts
        again = city.closed[WAITING].statement
        life.submit(conn, again, city.who["operator"])
        life.verify(conn, again, city.who["verifier"], concluded("qualified", of=(conn, again)))
        life.issue(conn, again, city.who["log"], "test")
        net = _net(city.closed[WAITING].result)
        assert _shown(conn, WAITING, "issued") == _shown(conn, WAITING) == net
        assert _source(conn, WAITING, "issued") is not None
