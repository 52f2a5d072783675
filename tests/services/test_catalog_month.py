"""
The month of `make demo`: every project of the catalog closes it, and nothing stays open.

The catalog is what a city looks up how to enter a project: plans, documents, laboratory results and
invoices, each with a file of its own.  What its meters send is stored as `tonne run` does.
"""

import csv
import hashlib
from datetime import date
from decimal import Decimal

import pytest
import yaml

from deploy import examples
from mrv.calendar import instant_us, period_us
from mrv.documents.statement import claims_of
from mrv.statement.conditions import unmet
from services.cli.local.demo_devices import RECORDING, REPLAY_SPAN, REPLAYED
from services.cli.local.demo_statements import PERIODS
from services.issuer import live_accounts
from services.issuer.close import preview_period
from services.processing.invoice_import import deliver
from services.registry.invoices import read
from services.simulator.recording import Replayed, read_recording
from services.store.messages.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry.load import load_projects
from services.store.views.fleet_metrics import refresh_days
from tests.bench.year import frame_of, frames
from tests.fix_timescale import _fresh
from tests.registering import imported
from tests.services.issuer.plant import store_of

pytestmark = pytest.mark.timeout(900)
CITY = examples.CITY
REAL, *_ = PERIODS
# of the reduction, between the statement and the live account of the same days
ALIKE = Decimal("0.02")


class Month:
    """Every project's statement of its month, and what the live account showed before."""

    def __init__(self, url):
        planned = imported(url, CITY)
        assert not planned.refused, [r.messages for r in planned.results if r.messages]
        with connect(url, autocommit=True) as conn:
            given = deliver(conn, read(examples.INVOICES), "test", write=True)
            assert not given.refused, [one.messages for one in given.results]
        span = period_us(examples.FIRST, examples.LAST, "Asia/Ho_Chi_Minh")
        with connect(url, role="tonne_ingest", autocommit=True) as conn:
            store = store_of(conn)
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
            self.live = {
                name: _live(conn, one, *spans[name]) for name, one in self.projects.items()
            }
            # as a close would make it, but that its days need no seal
            self.closed = {name: preview_period(conn, name, *spans[name]) for name in spans}


def _live(conn, project, from_us, to_us):
    """Return the reduction that boards show of some time. [t]"""
    row = conn.execute(
        "SELECT sum(reduction_ug) FROM v_account_part p WHERE project_id = %s"
        " AND day::timestamp AT TIME ZONE %s >= to_timestamp(%s / 1e6)"
        " AND day::timestamp AT TIME ZONE %s < to_timestamp(%s / 1e6)",
        [project.id, project.timezone, from_us, project.timezone, to_us],
    ).fetchone()
    return Decimal(row[0] or 0) / 10**12


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


def test_every_project_is_credited_as_its_live_account_shows(month):
    """The city's board and its statement would be two figures of the same January."""
    assert len(month.closed) == 23
    apart = {}
    for name, closed in month.closed.items():
        net = Decimal(closed.result.net.reduction.ug) / 10**12
        if net <= 0 or abs(net - month.live[name]) > ALIKE * net:
            apart[name] = net, month.live[name]
    assert apart == {}


def test_little_rests_on_the_owners_word(month):
    """An exemplary statement would rest on values that nobody but its owner knows."""
    weak = {name: claims_of(c.document).evidence.shares["D"] for name, c in month.closed.items()}
    assert {name: share for name, share in weak.items() if Decimal(share) > 0} == {}


def test_inverters_of_one_roof_are_no_copies(month):
    """An example of honest meters would look like one meter that is entered three times."""
    roof = claims_of(month.closed["nck-pv"].document)
    assert "MTR-03" not in {one.name for one in roof.applicability if not one.holds}


def test_the_examples_are_written_from_catalog_and_simulator():
    """An invoice would agree with a meter because somebody typed what makes a finding vanish."""
    assert list(examples.stale()) == []  # `make examples` writes them


def test_each_hash_is_that_of_a_file_that_says_it_is_an_example():
    """A reader would take a made-up survey for a real one, or find no file behind a hash."""
    files = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in examples.FOLDER.iterdir()}
    assert all(p.read_text("utf-8").startswith("EXAMPLE ") for p in files.values())
    with examples.INVOICES.open(newline="") as table:
        named = {row["sha256"] for row in csv.DictReader(table)}
    for file in CITY.glob("*.yaml"):
        for project in yaml.safe_load(file.read_text("utf-8")).get("projects", ()):
            rows = (*project.get("documents", {}).values(), *project.get("laboratory", ()))
            named |= {one["sha256"] for one in rows}
    assert named == files.keys()
