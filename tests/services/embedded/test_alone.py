"""One pipeline writes to a database."""

import threading

import pytest

from ingest.errors import ServerError
from services.intake import writer_lock as writers
from services.intake.database import Database
from services.logs import get_logger


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
    second.connection()
    second.connection()
    assert opened == ["first", "second"]
    second.close()
