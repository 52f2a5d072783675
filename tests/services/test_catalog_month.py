"""
The month of `make demo`: every project of the catalog closes it, without an open finding.

The catalog shows a city how to enter a project: plans, documents, laboratory results and invoices,
each with a separate file. Messages of its meters are stored as `tonne run` does.
"""

import csv
import hashlib
from datetime import date
from decimal import Decimal

import pytest
import yaml

from deploy import examples
from mrv.calendar import instant_us, local_date, period_us
from mrv.documents.statement import claims_of
from mrv.rounding import share_text
from mrv.statement.conditions import unmet
from mrv.statement.evidence import monitored_parameters
from services.cli.local.demo import REAL
from services.cli.local.demo_stage import RECORDING, REPLAY_SPAN, REPLAYED
from services.issuer import live_accounts
from services.issuer.close import preview_period
from services.processing.registry_import import deliver
from services.registry.invoices import read
from services.simulator.sender import Replayed, read_recording
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry.load import load_projects
from services.store.timeseries import queries
from services.store.views import console
from services.store.views.coverage import coverage_days
from services.store.views.fleet_metrics import refresh_days
from tests.bench.year import frame_of, frames
from tests.fix_timescale import _fresh
from tests.registering import imported
from tests.services.issuer.plant import store_of

CITY = examples.CITY
SIDES = ("baseline_ug", "project_ug", "leakage_ug", "reduction_ug")
SUMS = ", ".join(f"sum({one})" for one in SIDES)


class Month:
    """Every project's statement of its month, and the live account before."""

    def __init__(self, url):
        planned = imported(url, CITY)
        assert not planned.refused, [r.messages for r in planned.results if r.messages]
        with connect(url, autocommit=True) as conn:
            given = deliver(conn, read(examples.INVOICES), "test", write=True)
            assert not given.refused, [one.messages for one in given.results]
        span = period_us(examples.FIRST, examples.LAST, "Asia/Ho_Chi_Minh")
        with connect(url, role="tonne_ingest", autocommit=True) as conn:
            store = store_of(conn)
            store.remake_requested(conn)  # not again, with their readings
            index = store.plan.fleet.by_id
            begin_ms = instant_us(REPLAY_SPAN[0], "UTC") // 1000
            recorded = Replayed(read_recording(RECORDING), REPLAYED, begin_ms)
            real = [[frame_of(recorded.device, index[REPLAYED], b)] for b in recorded.blocks()]
            for some in (*real, *frames(CITY, index, *span, 1, as_registered=True)):
                store.commit(conn, some, [], Letters([], [], [], [], 0))
            store.remake_requested(conn)  # what was too much for one commit
        with connect(url, role="tonne_watch", autocommit=True) as conn:
            refresh_days(conn)
            live_accounts.refresh(conn)
        with connect(url, role="tonne_mrv", autocommit=True) as conn:
            self.projects = {one.id: one for one in load_projects(conn)}
            days = period_us(*map(date.fromisoformat, REAL[1:]), self.projects[REAL[0]].timezone)
            spans = {name: days if name == REAL[0] else span for name in self.projects}
            self.shown = {
                name: dict(_shown(conn, one, *spans[name])) for name, one in self.projects.items()
            }
            # as a close would make it, but that its days need no seal
            self.closed = {name: preview_period(conn, name, *spans[name]) for name in spans}
            self.coverage = {
                name: _coverage(conn, self.projects[name], claims_of(one.document), *spans[name])
                for name, one in self.closed.items()
            }


def _shown(conn, project, from_us, to_us):
    """Yield the source of each surface's tonnes, and the four sums that it shows. [ug]"""
    zone = project.timezone
    first, end = local_date(from_us, zone), local_date(to_us, zone)
    for view in ("v_account_part", "v_account_day"):  # boards, overview, programme
        query = f"SELECT {SUMS} FROM {view} WHERE project_id = %s AND day >= %s AND day < %s"
        yield view, _whole(conn.execute(query, [project.id, first, end]).fetchone())
    query = (
        f"SELECT {SUMS} FROM v_account_interval WHERE project_id = %s"
        " AND time >= to_timestamp(%s / 1e6) AND time < to_timestamp(%s / 1e6)"
    )
    yield "v_account_interval", _whole(conn.execute(query, [project.id, from_us, to_us]).fetchone())
    quarters = queries.emissions(conn, project.id, from_us, to_us)  # `tonne intervals`, API
    yield "intervals", tuple(sum(row[one] for row in quarters) for one in SIDES)
    days = console.account_days(conn, project.id, first, end)  # pages of a month and a year
    yield "console", tuple(sum(getattr(day, one) for day in days) for one in SIDES)


def _coverage(conn, project, claims, from_us, to_us):
    """Return the coverage of a period's days that the pages show."""
    zone = project.timezone
    pairs = sorted({(one.device, one.parameter) for one in claims.monitored_parameters})
    edges = local_date(from_us, zone), local_date(to_us, zone)
    assert pairs == sorted(monitored_parameters(project))  # those of the project's page
    found = coverage_days(conn, project.id, zone, pairs, *edges)
    known = sum(one.measured_us + one.estimated_us for one in found)
    return share_text(known, sum(one.serving_us for one in found))


def _whole(row):
    return tuple(int(value or 0) for value in row)


@pytest.fixture(scope="module")
def month(timescale, migrated_template):
    """Return the catalog's month, closed."""
    for url in _fresh(timescale, migrated_template):
        yield Month(url)


def test_every_project_closes_without_an_open_finding(month):
    """A city that enters a project as the catalog does would be asked for what it was not shown."""
    found = {
        (name, one.rule): str(one)
        for name, closed in month.closed.items()
        for one in unmet(claims_of(closed.document))
    }
    assert found == {}


def test_every_surface_shows_what_the_close_of_the_month_says(month):
    """The city's board, a project's page and its statement would be figures of their own."""
    assert len(month.closed) == 23
    apart = {}
    for name, closed in month.closed.items():
        net = closed.result.net
        sides = tuple(one.ug for one in (net.baseline, net.project, net.leakage, net.reduction))
        assert sides[3] > 0, name
        # some days of an open month: what the month loses is spread over all its days
        most = 10**-6 * sides[3] if name == REAL[0] else 0
        for of, sums in month.shown[name].items():
            if any(abs(a - b) > most for a, b in zip(sums, sides, strict=True)):
                apart[name, of] = sums, sides
    assert apart == {}


def test_coverage_is_one_figure(month):
    """
    A month with a coverage of 99.96 % in the statement would
    have 99.7 % on the project's page.
    """
    said = {name: claims_of(one.document).coverage for name, one in month.closed.items()}
    assert month.coverage == said
    assert said[REAL[0]] == "0.981250"  # which lacks a night's readings


def test_little_rests_on_the_owners_word(month):
    """An exemplary statement would rest on values that no one but its owner knows."""
    weak = {name: claims_of(c.document).evidence.shares["D"] for name, c in month.closed.items()}
    assert {name: share for name, share in weak.items() if Decimal(share) > 0} == {}


def test_inverters_of_one_roof_are_no_copies(month):
    """An example of honest meters would look like one meter that is entered three times."""
    roof = claims_of(month.closed["nck-pv"].document)
    assert "MTR-03" not in {one.name for one in roof.applicability if not one.holds}


def test_the_examples_are_written_from_catalog_and_simulator():
    """An invoice would agree with a meter because someone typed what makes a finding vanish."""
    assert list(examples.stale()) == []  # `make examples` writes them


def test_each_hash_is_that_of_a_file_that_says_it_is_an_example():
    """A reader would take a made-up survey for a real one, or find no file behind a hash."""
    files = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in examples.FOLDER.iterdir()}
    assert all(p.read_text("utf-8").startswith("EXAMPLE ") for p in files.values())
    with examples.INVOICES.open(newline="") as table:
        named = {row["sha256"] for row in csv.DictReader(table)}
    for file in CITY.glob("*.yaml"):
        for project in yaml.load(file.read_text("utf-8"), yaml.CSafeLoader).get("projects", ()):
            rows = (*project.get("documents", {}).values(), *project.get("laboratory", ()))
            named |= {one["sha256"] for one in rows}
    assert named == files.keys()
