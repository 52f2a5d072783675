"""One pipeline writes to a database."""

import threading

import pytest

from ingest.errors import ServerError
from services.intake import writer_lock as writers
from services.intake.database import Database
from services.logs import get_logger
from services.store.postgres.pool import connect
from services.store.stream import offsets as source
from services.store.stream.offsets import Source
from tests.waiting import until


def test_two_pipelines_do_not_write_beside_each_other(database_url, monkeypatch):
    """Two would each remember marks that the other moved, and store wrong intervals."""
    monkeypatch.setattr(writers, "PREDECESSOR_S", 1)
    opened = []
    first, second = (
        Database(
            database_url,
            name,
            get_logger("test"),
            threading.Event(),
            join=writers.alone,
            opened=lambda n=name: opened.append(n),
        )
        for name in ("first", "second")
    )
    first.connection()
    with pytest.raises(ServerError, match="another `tonne run` writes"):
        second.connection()
    first.close()
    monkeypatch.setattr(writers, "PREDECESSOR_S", 60)
    second.connection()
    second.connection()
    assert opened == ["first", "second"]
    second.close()


def test_workers_that_start_together_on_a_new_database_both_share(database_url):
    """The second waited for the first to end, and ended itself: a deployment began with one."""
    wanted, found = Source("parcels", 4), []
    first, second, looks = (
        connect(database_url, role="tonne_ingest", autocommit=True) for _ in range(3)
    )
    with first, second, looks:
        first.execute("SELECT pg_advisory_lock(%s)", [writers._LOCK])
        late = threading.Thread(target=lambda: found.append(writers.share(second, wanted)))
        late.start()
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        until(lambda: looks.execute(waits).fetchone()[0] > 0, 60, lambda: "second waits")
        with first.transaction():
            source.choose(first, wanted)
        first.execute("SELECT pg_advisory_lock_shared(%s)", [writers._LOCK])
        first.execute("SELECT pg_advisory_unlock(%s)", [writers._LOCK])
        late.join(60)
    assert found == [4]
