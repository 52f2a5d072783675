"""Derived rows are the same for any order of commits, derivation rounds and kills."""

from itertools import count

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import IsolationLevel

from services.processing import reprocess
from services.processing.commit import Store
from services.store.dead_letter_write import Letters
from tests.fix_timescale import _fresh
from tests.ingest.metering import MINUTE_US, T0_US

from . import stored
from .deliveries import FEW, Reading, frame
from .test_spans_any_order import deliveries, plan

_examples = count()


@pytest.fixture(scope="module")
def connections(timescale, migrated_template):
    """Yield a database with one connection that stores and one that derives."""
    for url in _fresh(timescale, migrated_template):
        with (
            psycopg.connect(url, autocommit=True) as storing,
            psycopg.connect(url, autocommit=True) as deriving,
        ):
            deriving.isolation_level = IsolationLevel.REPEATABLE_READ
            yield storing, deriving


def _store(plan_, deriving) -> Store:
    """Start a process."""
    store = Store(plan_)
    store.behind_commits = True
    store.look_for_requests(deriving)
    return store


def _commit(connection, store, some):
    n = len(some)
    letters = Letters(["t"] * n, [b"x"] * n, [None] * n, [False] * n, T0_US)
    return store.commit(connection, [frame(some)], [], letters)


def _to_the_end(connection, store):
    """Derive until nothing is pending."""
    for _ in range(1_000):
        if not (store.deriver.notes or store.behind):
            return
        store.deriver.step(connection, spans=True)
    raise AssertionError("it never ends")


def _waiting(connection, plan_) -> list:
    ids = [device.id for device in plan_.fleet.devices]
    return connection.execute(
        "SELECT device_id FROM v_underived WHERE device_id = ANY(%s)", [ids]
    ).fetchall()


@FEW
@given(deliveries(), st.randoms(use_true_random=False))
def test_any_order_of_commits_rounds_and_kills_gives_the_same_rows(
    connections, monkeypatch, delivery, fate
):
    """A tonne must not depend on how far behind the rows were when the process was killed."""
    arriving, most = delivery
    plan_ = plan(next(_examples) + 10_000)
    monkeypatch.setattr(reprocess, "MAX_ROWS", most)
    storing, deriving = connections
    store = _store(plan_, deriving)
    for some in arriving:
        _commit(storing, store, some)
        kind = fate.randrange(8)
        if kind < 3:
            store.deriver.step(deriving, spans=kind == 0)
        elif kind == 3:  # killed
            store = _store(plan_, deriving)
        elif kind == 4:  # the answer to a commit was lost
            store.forget()
    _to_the_end(deriving, store)
    assert _waiting(storing, plan_) == []
    stored.check(storing, plan_)


def test_what_is_stored_between_a_snapshot_and_its_rows_is_not_passed_over(connections):
    """A reading that arrives while the previous one is metered would never count."""
    plan_ = plan(next(_examples) + 10_000)
    storing, deriving = connections
    store = _store(plan_, deriving)
    _commit(storing, store, [Reading(0, T0_US, 1_000)])
    make = store.deriver.make

    def while_it_makes(cursor, arrived):
        _commit(storing, store, [Reading(0, T0_US + 30 * MINUTE_US, 3_000)])
        store.deriver.make = make
        return make(cursor, arrived)

    store.deriver.make = while_it_makes
    store.deriver.notes.lost = False
    store.deriver.step(deriving, spans=False)
    assert _waiting(storing, plan_) != []
    _to_the_end(deriving, store)
    stored.check(storing, plan_)


def test_who_derives_as_it_stores_takes_up_what_was_left(connections):
    """Readings stored by a killed `tonne run` would never be metered by the workers that follow."""
    plan_ = plan(next(_examples) + 10_000)
    storing, deriving = connections
    first = _store(plan_, deriving)
    for hour in range(8):
        _commit(storing, first, [Reading(0, T0_US + hour * 60 * MINUTE_US, hour * 900)])
    assert _waiting(storing, plan_) != []
    worker = Store(plan_)
    worker.remake_requested(storing)
    _commit(storing, worker, [Reading(0, T0_US + 8 * 60 * MINUTE_US, 7_200)])
    assert _waiting(storing, plan_) == []
    stored.check(storing, plan_)


def test_a_process_whose_notes_another_took_makes_no_rows(connections):
    """Two processes that continue from different register states would write wrong intervals."""
    plan_ = plan(next(_examples) + 10_000)
    storing, deriving = connections
    first = _store(plan_, deriving)
    first.deriver.step(deriving, spans=False)
    _commit(storing, first, [Reading(0, T0_US, 1_000)])
    second = _store(plan_, deriving)
    _to_the_end(deriving, second)
    assert first.deriver.step(deriving, spans=False).notes == 0
    stored.check(storing, plan_)


class _Workers:
    """
    Two workers of two partitions, and former workers that do not know
    that they were replaced.
    """

    def __init__(self, connections, plan_) -> None:
        self.storing, self.deriving = connections
        self._plan = plan_
        self._homes = np.arange(len(plan_.fleet), dtype=np.int32) % 2
        self._holder = [0, 1]
        self.live = [self._begin(0), self._begin(1)]
        self.fenced: list[Store] = []

    def _begin(self, worker) -> Store:
        """Take over the worker's partitions, as `StreamChain.take_over` does."""
        ours = [home for home in (0, 1) if self._holder[home] == worker]
        store = Store(self._plan)
        store.share(self._homes, lambda: ours)
        store.behind_commits = True
        names = self._plan.fleet.by_id
        store.look_for_requests(
            self.deriving, lambda _, name: name in names and self._homes[names[name]] in ours
        )
        store.deriver.step(self.deriving, spans=False)
        return store

    def store(self, some, *, guest: bool) -> None:
        """Store readings of each partition, by its owner or by the other worker as a guest."""
        for home in (0, 1):
            mine = [one for one in some if self._homes[one.device] == home]
            by = self.live[self._holder[home] ^ guest]
            if guest:
                by.forget(np.flatnonzero(self._homes == home))
            if mine:
                _commit(self.storing, by, mine)
            if guest:
                by.forget(np.flatnonzero(self._homes == home))
                self.live[self._holder[home]].forget()  # it was visited

    def hand_over(self, home: int) -> None:
        """Give a partition to the other worker; the former owner continues for a while."""
        before = self._holder[home]
        self._holder[home] ^= 1
        self.fenced.append(self.live[before])
        self.live = [self._begin(0), self._begin(1)]

    def step(self, store: Store, *, spans: bool) -> None:
        store.deriver.step(self.deriving, spans=spans)

    def finish(self) -> None:
        """Let all workers finish."""
        for store in self.fenced:
            self.step(store, spans=False)
        for _ in range(300):
            for store in self.live:
                self.step(store, spans=True)
            if not _waiting(self.storing, self._plan):
                return
        raise AssertionError("it never ends")


@FEW
@given(deliveries(), st.randoms(use_true_random=False))
def test_whoever_holds_a_partition_the_rows_are_the_same(connections, monkeypatch, delivery, fate):
    """A tonne must not depend on which worker made its rows, nor on one that was thought dead."""
    arriving, most = delivery
    plan_ = plan(next(_examples) + 10_000)
    monkeypatch.setattr(reprocess, "MAX_ROWS", most)
    workers = _Workers(connections, plan_)
    for some in arriving:
        workers.store(some, guest=fate.random() < 0.15)
        kind = fate.randrange(8)
        if kind < 4:
            workers.step(fate.choice(workers.live), spans=kind == 0)
        elif kind == 4 and workers.fenced:
            workers.step(fate.choice(workers.fenced), spans=False)
        elif kind == 5:
            workers.hand_over(fate.randrange(2))
    workers.finish()
    stored.check(workers.storing, plan_)
