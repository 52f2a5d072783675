"""Concurrent issues: a period is claimed once, the log has no missing entries."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import psycopg
import pytest
from psycopg import errors

from ingest.model import INTERVAL_US
from mrv.errors import StatementStateError
from services.issuer import close, keys
from services.issuer import transitions as life
from services.store.registry import signing_keys as enrolled
from services.store.statements import statements
from services.store.statements import transparency_log as log
from tests import holders
from tests.opinions import concluded
from tests.planted import planted
from tests.services.issuer import plant, sealed
from tests.services.issuer.logged import issuer
from tests.services.issuer.sealed import close_period
from tests.soak import SOAK


@pytest.fixture
def signers(database_url, tmp_path):
    """Return enrolled keys of operator, verifier and log over a plant with readings."""
    return planted(_signers, database_url, tmp_path)


def _signers(url, home):
    plant.register(url, home)
    plant.fill_pv(url, end="2026-03-06", minutes=15)
    with issuer(url) as conn:
        for role in ("operator", "verifier"):
            enrolled.enroll(conn, holders.create(home, f"the-{role}", role))
        log = sealed.log_of(conn, home)
    pairs = [life.Signer(*keys.load(home, f"the-{role}")) for role in ("operator", "verifier")]
    return [*pairs, log]


def _verified(url, signers, begin, end):
    operator, verifier, _ = signers
    with issuer(url) as conn:
        span = (at if isinstance(at, int) else plant.us(at) for at in (begin, end))
        name = close_period(conn, "pv", *span, "test").statement
        life.submit(conn, name, operator)
        life.verify(conn, name, verifier, concluded("unmodified", "limited", of=(conn, name)))
    return name


def _issue(url, signer, name):
    with issuer(url) as conn:
        try:
            return life.issue(conn, name, signer, "test")
        except StatementStateError as error:
            return str(error)


CLOSERS = 16 if SOAK else 6


@pytest.fixture
def overlapping(database_url, tmp_path):
    """Return signers, and one verified statement for each process, of which each two overlap."""
    return planted(_overlapping, database_url, tmp_path)


def _overlapping(url, home):
    signers = _signers(url, home)
    hour = 4 * INTERVAL_US
    begin = plant.us("2026-03-02T06:00:00+07:00")
    spans = [(begin + k * INTERVAL_US, begin + k * INTERVAL_US + 6 * hour) for k in range(CLOSERS)]
    return signers, [_verified(url, signers, *span) for span in spans]


def test_overlapping_periods_have_one_winner(database_url, overlapping):
    """Of two overlapping periods only one is issued."""
    signers, names = overlapping
    with ThreadPoolExecutor(CLOSERS) as pool:
        found = list(pool.map(lambda name: _issue(database_url, signers[2], name), names))
    assert len([r for r in found if isinstance(r, int)]) == 1
    refused = [r for r in found if isinstance(r, str)]
    assert len(refused) == CLOSERS - 1
    assert all("overlaps" in r for r in refused)
    with issuer(database_url) as conn:
        states = sorted(one.state for one in statements.all_of(conn))
    assert states == ["issued"] + ["verified"] * (CLOSERS - 1)


def test_the_database_itself_lets_one_claim_through(database_url, overlapping):
    """The database accepts only one claim of a period."""
    _, names = overlapping

    def claim(name):
        for _ in range(20):
            try:
                with issuer(database_url) as conn, conn.transaction():
                    statements.claim(conn, statements.find(conn, name))
            except errors.ExclusionViolation:
                return False
            except errors.DeadlockDetected:
                continue
            return True
        raise AssertionError("deadlocked again and again")

    with ThreadPoolExecutor(CLOSERS) as pool:
        for _ in range(CLOSERS // 2):
            assert sum(pool.map(claim, names)) == 1
            with issuer(database_url) as conn:
                assert conn.execute("DELETE FROM claim").rowcount == 1


def test_who_is_chosen_to_end_a_deadlock_tries_again(database_url, signers):
    """A statement would stay verified because someone else's transaction was in its way."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        # who waits looks once whether it is a deadlock: by then it has to be one
        conn.execute(f"ALTER DATABASE \"{conn.info.dbname}\" SET deadlock_timeout = '5s'")
    name = _verified(database_url, signers, "2026-03-01", "2026-03-02")
    other = _verified(database_url, signers, "2026-03-01", "2026-03-03")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url) as conn:
        # so that it is the other one that is chosen, and nobody waits for ever if it is not
        conn.execute("SET deadlock_timeout = '200s'; SET lock_timeout = '100s'")
        statements.claim(conn, statements.find(conn, other))
        issuing = pool.submit(_issue, database_url, signers[2], name)
        _until_waiting(database_url)
        log.lock(conn)  # which whoever issues has, and waits for this claim
        conn.rollback()
        assert isinstance(issuing.result(timeout=120), int)


def _until_waiting(url):
    with psycopg.connect(url, autocommit=True) as conn:
        for _ in range(3_000):
            if conn.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock'"
            ).fetchone() == (1,):
                return
            time.sleep(0.02)
    raise TimeoutError("nobody waits for a lock")


def test_neighbouring_periods_are_all_issued_and_the_log_is_dense(database_url, signers):
    """Adjacent periods would count as overlapping, or two log entries would share an index."""
    days = [f"2026-03-0{day}" for day in range(1, 6)]
    names = [_verified(database_url, signers, *s) for s in pairwise(days)]
    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(lambda name: _issue(database_url, signers[2], name), names))
    # each with the manifest of its pack, behind the days' seals
    assert sorted(found) == list(range(min(found), min(found) + 8, 2))
    with issuer(database_url) as conn:
        sizes = conn.execute("SELECT size FROM log_checkpoint ORDER BY size").fetchall()
    assert [size for (size,) in sizes[-4:]] == [index + 2 for index in sorted(found)]


def test_one_statement_is_issued_once(database_url, signers):
    """A double click would enter a statement twice."""
    name = _verified(database_url, signers, "2026-03-01", "2026-03-02")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: _issue(database_url, signers[2], name), range(4)))
    assert len([r for r in found if isinstance(r, int)]) == 1
    assert all("is issued" in r for r in found if isinstance(r, str))


def test_closing_at_once_gives_one_draft(database_url, signers):
    """Two people who close together would make two drafts of one period."""
    with issuer(database_url) as conn:
        sealed.up_to(conn, plant.us("2026-03-02"))

    def closed(_):
        with issuer(database_url) as conn:
            span = plant.us("2026-03-01"), plant.us("2026-03-02")
            return close.close_period(conn, "pv", *span, "test").statement

    with ThreadPoolExecutor(CLOSERS) as pool:
        assert len(set(pool.map(closed, range(CLOSERS)))) == 1
