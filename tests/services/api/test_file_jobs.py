"""Reports and packs made in the background: the same bytes, for those who requested them only."""

import asyncio
import hashlib
import os
import time
from types import SimpleNamespace
from uuid import uuid4

import httpx
import psycopg
import pytest
from starlette.requests import Request

from services.api.answers import ProblemError, problem
from services.api.file_cache import Room, made, sent
from services.store.postgres.pool import connect
from services.store.statements import queues as jobs
from services.store.statements.queues import Progress, Wanted
from tests.planted import planted
from tests.services.api import plain
from tests.services.api.conftest import _issued

ASYNC = {"Prefer": "respond-async"}
PATIENCE_S = 240


def finished(served, address, who):
    """Wait for the end of a job; return the states seen, and the end."""
    seen, end = [], time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = served.ask(address, who).json()
        seen.append(found)
        if found["state"] not in {"queued", "running"}:
            return seen, found
        time.sleep(0.05)
    raise AssertionError(seen[-1])


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/evidence", "application/zip"),
        (".xlsx?lang=vi", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (".pdf?lang=ja", "application/pdf"),
    ],
)
def test_a_file_is_made_while_nobody_waits(served, path, media_type):
    """Large files are created in the background, and given only to the requester."""
    address = f"/v1/statements/{served.issued}{path}"
    asked = served.ask(address, "auditor", headers=ASYNC)
    assert asked.status_code == 202
    assert asked.headers["preference-applied"] == "respond-async"
    location = asked.headers["location"]
    assert asked.json()["subject"] == served.issued
    seen, found = finished(served, location, "auditor")
    assert (found["state"], found["status"], found["detail"]) == ("done", 200, None)
    last = found["progress"]
    assert last["done"] == last["total"] > 1
    assert all(
        one["progress"] is None
        or one["progress"]["total"] is None
        or one["progress"]["done"] <= one["progress"]["total"]
        for one in seen
    )
    result = found["result"]
    assert result["media_type"] == media_type
    file = served.ask(result["url"], "auditor")
    assert file.headers["content-type"] == media_type
    assert len(file.content) == result["bytes"]
    waited_for = served.ask(address, "auditor")
    assert hashlib.sha256(file.content).digest() == hashlib.sha256(waited_for.content).digest(), (
        "another file than whoever waits is given"
    )
    part = served.ask(result["url"], "auditor", headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, file.content[:10])
    for who, wanted in (("stranger", 404), ("verifier", 404), (None, 401)):
        for where in (location, result["url"]):
            assert served.ask(where, who).status_code == wanted, (who, where)
    # an administrator sees that it is there, and is not given what an auditor asked for
    assert served.ask(location, "admin").status_code == 200
    assert served.ask(result["url"], "admin").status_code == 404


def test_who_may_not_have_a_file_gets_no_job(served):
    """A caller could get evidence of other projects by requesting its file."""
    pack = f"/v1/statements/{served.issued}/evidence"
    assert served.ask(pack, "stranger", headers=ASYNC).status_code == 404
    assert served.ask(pack, headers=ASYNC).status_code == 401
    # anybody may have a public PDF, and waits for it: nobody unknown fills the queue
    pdf = served.ask(f"/v1/statements/{served.issued}.pdf", headers=ASYNC)
    assert pdf.status_code == 200
    assert pdf.content.startswith(b"%PDF")


def test_the_console_shows_how_far_a_file_is(served):
    """A browser would wait on a white page until its proxy gives up."""
    with httpx.Client(base_url=served.url, timeout=plain.PATIENCE_S) as browser:
        browser.post("/console/en/sign-in", data={"key": served.tokens["scoped"]})
        first = browser.get(f"/console/vi/statements/{served.draft}/evidence")
        assert first.status_code == 303
        page = first.headers["location"]
        assert page.startswith("/console/vi/jobs/")
        end = time.monotonic() + PATIENCE_S
        shown = browser.get(page)
        while "/file" not in shown.text:
            assert time.monotonic() < end, shown.text
            assert shown.headers["refresh"] == "2"
            time.sleep(0.1)
            shown = browser.get(page)
        assert "refresh" not in shown.headers
        assert "Bộ bằng chứng" in shown.text
        file = browser.get(f"{page}/file")
        assert file.content.startswith(b"PK")
        # it is there now, and given at once
        assert browser.get(f"/console/vi/statements/{served.draft}/evidence").status_code == 200
    assert plain.get(served.url + page).status_code == 401


@pytest.fixture
def queue(database_url, tmp_path):
    """Return a database with an issued statement, without a process that makes files."""
    issued, _, _ = planted(_issued, database_url, tmp_path)
    with connect(database_url, role="tonne_api", autocommit=True) as conn:
        yield conn, issued


def test_the_queue_is_bounded_and_its_jobs_are_done_once(queue, database_url):
    """The file queue is limited; each job runs once."""
    conn, issued = queue
    pack = Wanted("pack", issued, "zip", None)
    first = jobs.ask(conn, uuid4(), pack, "k1")
    assert jobs.ask(conn, uuid4(), pack, "k1") == first, "asked for twice, made twice"
    others = [Wanted("report", issued, kind, lang) for kind in ("pdf", "xlsx")
              for lang in ("en", "vi", "ja")]  # fmt: skip
    assert all(jobs.ask(conn, uuid4(), one, "k1") for one in others)
    for _ in range(jobs.MAX_JOBS_PER_PRINCIPAL - 7):
        conn.execute(
            "INSERT INTO file_job (id, kind, statement, format, principal)"
            " VALUES (%s, 'pack', %s, 'zip', 'k1')",
            (uuid4(), issued),
        )
    assert jobs.ask(conn, uuid4(), Wanted("report", issued, "pdf", "en"), "k1") is not None
    conn.execute("DELETE FROM file_job WHERE kind = 'report' AND language = 'ja'")
    conn.execute(
        "INSERT INTO file_job (id, kind, statement, format, principal) SELECT gen_random_uuid(),"
        " 'pack', %s, 'zip', 'k1' FROM generate_series(1, 2)",
        [issued],
    )
    assert jobs.ask(conn, uuid4(), Wanted("report", issued, "pdf", "ja"), "k1") is None
    assert jobs.ask(conn, uuid4(), pack, "k2") is not None, "another pays for it"
    with connect(database_url, role="tonne_api", autocommit=True) as other:
        taken = {jobs.take(c).id for c in (conn, other, conn)}
    assert len(taken) == 3
    assert first in taken


def test_a_job_whose_process_ended_is_taken_up_and_not_for_ever(queue):
    """A pack that ends every process that makes it would be tried until the disk is full."""
    conn, issued = queue
    id_ = jobs.ask(conn, uuid4(), Wanted("pack", issued, "zip", None), "k1")
    for _ in range(jobs.MAX_ATTEMPTS):
        assert jobs.take(conn).id == id_
        assert jobs.take(conn) is None, "it is being made"
        jobs.store_progress(conn, id_, Progress(1, 3, "files"))
        conn.execute("UPDATE file_job SET began = began - interval '1 hour'")
        assert jobs.take(conn) is None, "it was told of a moment ago"
        conn.execute("UPDATE job_progress SET at = at - interval '1 hour'")
    assert jobs.take(conn) is None
    found = jobs.find(conn, id_)
    assert (found.status, found.wanted.statement) == (500, issued)
    assert "started 3 times" in found.detail
    conn.execute("UPDATE file_job SET asked = asked - interval '25 hours'")
    assert jobs.forget_old(conn) == 1
    assert jobs.find(conn, id_) is None


def test_who_only_reads_asks_for_nothing(database_url):
    """The dashboards' login, which many know, must not read or request files."""
    with (
        connect(database_url, role="tonne_grafana", autocommit=True) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute("SELECT * FROM file_job")


def test_what_is_kept_is_bounded_by_bytes(tmp_path):
    """Stored files are limited in size."""

    def file(size):
        def make(work):
            (work / "x").write_bytes(b"x" * size)
            return work / "x"

        return make

    for name, hours in ((".making-killed", 7), (".making-now", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_bytes(b"x" * 10_000)
        os.utime(tmp_path / name, (time.time() - hours * 3_600,) * 2)
    room = Room(10, 1_000)
    for name, size in (("a", 400), ("b", 400), ("c", 400)):
        made(tmp_path, name, room, file(size)).close()
        time.sleep(0.01)
    (tmp_path / ".making-now" / "half").unlink()  # its process goes on
    (tmp_path / ".making-now").rmdir()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b", "c"]
    made(tmp_path, "large", room, file(5_000)).close()
    assert [one.name for one in tmp_path.iterdir()] == ["large"], "the newest is what was asked for"


@pytest.mark.parametrize(
    ("method", "headers", "status", "length"),
    [
        ("GET", {}, 200, 200_000),
        ("HEAD", {}, 200, 0),
        ("GET", {"Range": "bytes=199990-"}, 206, 10),
        ("GET", {"If-None-Match": '"t"'}, 304, 0),
        ("GET", {"Range": "bytes=200000-"}, 416, None),
    ],
)
def test_a_file_that_is_removed_meanwhile_is_sent(tmp_path, method, headers, status, length):
    """A download of a pack that was deleted meanwhile ended with an internal error."""

    def make(work):
        (work / "x").write_bytes(b"x" * 200_000)
        return work / "x"

    handles = []

    async def app(scope, receive, send):
        for _ in range(2):  # made, then found
            file = made(tmp_path, "pack", Room(1, 1), make)
            handles.append(file)
        (tmp_path / "pack").unlink()
        ask = SimpleNamespace(request=Request(scope))
        try:
            answer = sent(ask, file, "t", "application/zip", {})
        except ProblemError as error:
            answer = problem(error.status, error.detail)
        handles.pop(0).close()
        await answer(scope, receive, send)

    async def asked():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, "/", headers=headers)

    found = asyncio.run(asked())
    assert found.status_code == status
    if length is not None:
        assert len(found.content) == length
    assert handles[-1].closed, "each download would hold a file open"
