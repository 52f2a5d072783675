"""`tonne api` beside `tonne signer`: signatures are requested, and done once."""

import os
import re
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import psycopg
import pytest
from structlog import get_logger

from mrv.signatures import canonical
from mrv.statement.credentials import sign_statement, sign_verification
from mrv.statement.sampling import Size, sign_sampling
from services.api.answers import Preferences, outcome
from services.issuer import external_signatures as accept
from services.issuer import keys
from services.issuer import transitions as life
from services.issuer.requests import Desk, Runner
from services.local import POSTGRES_BIN
from services.metrics import Metrics
from services.store.postgres.pool import connect
from services.store.statements import queues as queue
from tests import commands
from tests.deploy.files import DEPLOY
from tests.fix_timescale import _fresh
from tests.invoked import tonne
from tests.opinions import concluded
from tests.planted import planted
from tests.ports import free_port
from tests.services.api import hostile, plain
from tests.services.api.conftest import Served, _issued, start
from tests.services.issuer import logged
from tests.waiting import until

ASYNC = {"Prefer": "respond-async"}
DAY = {"from": "2026-03-01", "to": "2026-03-02"}
LONG_AGO = {"from": "2020-03-01", "to": "2020-03-02"}


@pytest.fixture(scope="module")
def logins(tmp_path_factory):
    """Return the folder of secrets that `deploy/secrets.sh` makes."""
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run(
        ["sh", str(DEPLOY / "secrets.sh")],
        env=os.environ | {"TONNE_SECRETS": str(folder)},
        check=True,
        capture_output=True,
    )
    return folder


def login(url, folder, name):
    """Return a database's URL with the login that `deploy` gives to a process."""
    of = urlsplit((folder / f"{name}_url").read_text())
    parts = urlsplit(url)
    return urlunsplit(
        parts._replace(netloc=f"{of.netloc.split('@')[0]}@{parts.netloc.split('@')[1]}")
    )


@pytest.fixture(scope="module")
def apart(timescale, migrated_template, tmp_path_factory, logins):
    """Return an API whose login is `tonne_service`, with an empty home, and the signer's home."""
    home, web = tmp_path_factory.mktemp("keys"), tmp_path_factory.mktemp("web")
    for database_url in _fresh(timescale, migrated_template):
        issued, draft, tokens = planted(_issued, database_url, home)
        script = (DEPLOY / "timescaledb/logins.sql").read_text()
        subprocess.run(
            [shutil.which("psql", path=POSTGRES_BIN), "-q", database_url],
            check=True,
            text=True,
            input=script.replace("/run/secrets", str(logins)),
            stdout=subprocess.DEVNULL,
        )
        url = f"127.0.0.1:{free_port()}"
        with (web / "api.log").open("wb") as log:
            process = start(login(database_url, logins, "api"), web, url, log)
            yield Served(f"http://{url}", database_url, home, dict(tokens), issued, draft, process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0


@contextmanager
def signing(apart, logins):
    """Run `tonne signer` with its own login and home, until no request is pending."""
    with (apart.home / "signer.log").open("wb") as log:
        process = commands.start(
            ["signer", "--no-seal"],
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("TONNE_")},
                "TONNE_DATABASE_URL": login(apart.database_url, logins, "signer"),
                "TONNE_HOME": str(apart.home),
                "TONNE_METRICS_BIND": f"127.0.0.1:{free_port()}",
            },
            stderr=log,
        )
        try:
            yield process
            _nothing_waits(apart)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(120)
        assert code == 0, (apart.home / "signer.log").read_text()


def _nothing_waits(apart):
    """Let the signer answer one request, so that it is up, then wait until all are answered."""
    asked = apart.ask("/v1/projects/pv/periods", "operator", "POST", json=LONG_AGO, headers=ASYNC)
    assert asked.status_code == 202, asked.text
    with connect(apart.database_url, role="tonne_mrv", autocommit=True) as conn:
        log = apart.home / "signer.log"
        until(lambda: not queue.waiting(conn).requests, plain.PATIENCE_S, log.read_text)


def job(apart, location, who="operator"):
    """Wait for a job's end, and return it."""

    def ended():
        found = apart.ask(location, who).json()
        return found["state"] not in {"queued", "running"} and found

    return until(ended, plain.PATIENCE_S)


def signed(apart, name, role):
    """Return a document that a person signs on another machine, as the submitted body."""
    signer = life.Signer(*keys.load(apart.home, f"the-{role}"))
    with connect(apart.database_url, role="tonne_mrv", autocommit=True) as conn, conn.transaction():
        have = life.documents(conn, name)
        now = plant_now(conn)
        if role == "operator":
            document = sign_statement(have.statement, *signer, now)
            return canonical.encode({k: document[k] for k in ("issuer", "proof")})
        found = concluded("unmodified", of=have.claims)
        return canonical.encode(sign_verification(have.statement, found, *signer, now, []))


def sampled(apart, name):
    """Return a sampling list that the verifier drew and signed, as it is submitted."""
    signer = life.Signer(*keys.load(apart.home, "the-verifier"))
    with connect(apart.database_url, role="tonne_mrv", autocommit=True) as conn, conn.transaction():
        have = life.documents(conn, name)
        case = accept.recompute(conn, have.stored)
        return canonical.encode(
            sign_sampling(have.statement, case, Size(1, 0), *signer, plant_now(conn))
        )


def plant_now(conn):
    return conn.execute("SELECT date_trunc('second', now())").fetchone()[0]


def entered(conn, name):
    """Return the log entries by which a statement is issued."""
    asked = "SELECT count(*) FROM log_entry WHERE statement_id = %s AND kind = 'issued'"
    return conn.execute(asked, [name]).fetchone()[0]


def test_who_waits_for_the_signer_keeps_nobody_from_writing(apart, logins):
    """With an operator's stolen key, no one could revoke it while the signer is away."""
    headers = {"Prefer": "wait=20", "Authorization": f"Bearer {apart.tokens['operator']}"}
    done = []

    def close():
        with hostile.client() as one:
            path = f"{apart.url}/v1/projects/pv/periods"
            done.append(one.post(path, json=LONG_AGO, headers=headers).status_code)

    threads = [threading.Thread(target=close) for _ in range(12)]
    for one in threads:
        one.start()
    key = apart.ask("/v1/keys", "admin", "POST", json={"name": "new", "role": "auditor"})
    assert key.status_code == 201
    assert apart.ask(f"/v1/keys/{key.json()['id']}", "admin", "DELETE").status_code == 200
    waited = len(done)
    with signing(apart, logins):
        for one in threads:
            one.join()
    assert waited < len(threads), "it was answered behind all of them"
    assert max(done) < 500, done


def test_a_statement_is_issued_though_the_web_process_has_no_key(apart, logins):
    """Without a signer apart, anyone who takes over the web process signs in the log's name."""
    # nobody answers yet: what is asked for is a job, and kept
    asked = apart.ask("/v1/projects/pv/periods", "operator", "POST", json=DAY, headers=ASYNC)
    assert asked.status_code == 202
    assert asked.headers["preference-applied"] == "respond-async"
    location = asked.headers["location"]
    assert asked.json() == apart.ask(location, "operator").json()
    assert asked.json()["state"] == "queued"
    patient = apart.ask(
        "/v1/projects/pv/periods", "operator", "POST", json=DAY, headers={"Prefer": "wait=0"}
    )
    assert (patient.status_code, "preference-applied" in patient.headers) == (202, False)
    assert apart.ask(location, "verifier").status_code == 404
    assert apart.ask(location, "admin").status_code == 200
    with signing(apart, logins):
        done = job(apart, location)
        assert (done["state"], done["status"], done["detail"]) == ("done", 201, None)
        assert done["progress"] == {"done": 4, "total": 4, "step": "draft"}
        name = done["result"]["statement"]
        assert job(apart, patient.headers["location"])["result"]["statement"] == name
        # and whoever waits is answered as by a process that does it itself
        early = apart.ask(f"/v1/statements/{name}/issue", "operator", "POST")
        assert (early.status_code, "draft" in early.json()["detail"]) == (409, True)
        body = signed(apart, name, "operator")
        assert apart.hand_in(name, "submission", body, "operator").status_code == 201
        again = apart.hand_in(name, "submission", body, "operator", **ASYNC)
        refused = job(apart, again.headers["location"])
        assert (refused["state"], refused["status"]) == ("refused", 409)
        assert "is submitted" in refused["detail"]
        drawn = apart.hand_in(name, "sampling", sampled(apart, name), "verifier", **ASYNC)
        done = job(apart, drawn.headers["location"], "verifier")
        assert (done["status"], done["result"]["random"]) == (201, 1)
        assert done["progress"] == {"done": 4, "total": 4, "step": "list"}
        body = signed(apart, name, "verifier")
        judged = apart.hand_in(name, "verification", body, "verifier", **ASYNC)
        done = job(apart, judged.headers["location"], "verifier")
        assert (done["status"], done["result"]["state"]) == (201, "verified")
        assert done["progress"] == {"done": 4, "total": 4, "step": "evidence"}
    # the signer is away: the request waits; the same request is the same job
    named = {**ASYNC, "Idempotency-Key": f"issue-{name}"}
    one, two = (
        apart.ask(f"/v1/statements/{name}/issue", "operator", "POST", headers=named)
        for _ in range(2)
    )
    assert one.headers["location"] == two.headers["location"]
    with signing(apart, logins):
        assert job(apart, one.headers["location"])["result"]["state"] == "issued"
    with connect(apart.database_url) as conn:
        assert entered(conn, name) == 1
    receipt = apart.ask(f"/v1/statements/{name}/receipt")
    assert receipt.status_code == 200


class Killed(BaseException):
    """The process ends here."""


def test_a_crash_between_loses_nothing_and_signs_nothing_twice(apart, logins, monkeypatch):
    """After a crash each statement is issued exactly once."""
    name = next_verified(apart, "2026-02-01", "2026-02-02")
    wanted = apart.ask(f"/v1/statements/{name}/issue", "operator", "POST", headers=ASYNC)
    runner = Runner(
        apart.database_url, Desk(apart.home, strict=False), Metrics(), get_logger("test")
    )
    url = login(apart.database_url, logins, "signer")
    real = queue.answer
    monkeypatch.setattr(queue, "PAUSE_S", 0.0)

    def dies(*_, **__):
        raise Killed

    for at in ("before", "after"):

        def answer(*args, at=at, **more):
            if at == "after":
                real(*args, **more)
            raise Killed

        monkeypatch.setattr(queue, "answer", answer)
        with pytest.raises(Killed), connect(url, role="tonne_mrv", autocommit=True) as conn:
            runner.once(conn)
        with connect(apart.database_url) as conn:
            assert entered(conn, name) == 0, at
    monkeypatch.setattr(queue, "answer", real)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        assert runner.once(conn)
        assert not runner.once(conn)
        assert entered(conn, name) == 1
    assert apart.ask(wanted.headers["location"], "operator").json()["state"] == "done"
    # `respond-async` is answered with a job also where the signer was quicker than the answer
    with connect(apart.database_url, role="tonne_mrv", autocommit=True) as conn:
        answered = queue.progress(conn, UUID(wanted.json()["job"]))
        status, job = outcome(conn, answered.request, Preferences(True, None))
        assert (status, job["state"], job["status"]) == (202, "done", 200)
    # one that ends the process each time is given up, and the queue goes on
    poison = apart.ask(f"/v1/statements/{name}/issue", "operator", "POST", headers=ASYNC)
    monkeypatch.setattr(Runner, "_done", dies)
    for _ in range(5):
        with pytest.raises(Killed), connect(url, role="tonne_mrv", autocommit=True) as conn:
            runner.once(conn)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        assert runner.once(conn)
        assert queue.waiting(conn).requests == 0
    given_up = apart.ask(poison.headers["location"], "operator").json()
    assert (given_up["state"], given_up["status"]) == ("failed", 503)


def next_verified(apart, begin, end):
    """Return a statement that is verified, and not issued."""
    return logged.verified(apart.database_url, logged.held(apart.home), begin, end)


FORBIDDEN = {
    "enrol a key": "INSERT INTO enrolled_key (multikey, name, role)"
    " VALUES ('z6Mk', 'me', 'verifier')",
    "end another's key": "UPDATE enrolled_key SET valid_until = now()",
    "loosen a key's bounds": "UPDATE enrolled_key SET bounds = NULL",
    "enter something in the log": "INSERT INTO log_entry (index, kind, body, leaf)"
    " SELECT max(index) + 1, 'issued', 'x', sha256('x') FROM log_entry",
    "sign a head": "INSERT INTO log_checkpoint (size, root, note) VALUES (999, sha256('x'), 'x')",
    "forge a seal": "INSERT INTO data_seal SELECT project_id, day, 99, index, from_time, to_time"
    " FROM data_seal LIMIT 1",
    "put a leaf under an entry": "INSERT INTO log_detail VALUES (0, 'x')",
    "countersign": "INSERT INTO log_cosignature SELECT size, multikey, 'x'"
    " FROM log_checkpoint, enrolled_key",
    "issue": "INSERT INTO statement_event (statement_id, state, actor)"
    " SELECT id, 'issued', 'me' FROM statement",
    "claim a period": "INSERT INTO claim SELECT id, project_id, period FROM statement",
    "end a claim": "DELETE FROM claim",
    "draft a statement": "INSERT INTO statement SELECT * FROM statement",
    "close a period": "INSERT INTO monitoring_period (project_id, period) VALUES ('pv', 'empty')",
    "raise a finding": "INSERT INTO finding_event (statement_id) SELECT id FROM statement",
    "draw a sample": "INSERT INTO statement_sampling (statement_id) SELECT id FROM statement",
    "approve": "INSERT INTO statement_approval (statement_id) SELECT id FROM statement",
    "publish a status list": "INSERT INTO status_list (project_id) VALUES ('pv')",
    "keep evidence": "INSERT INTO statement_evidence SELECT * FROM statement_evidence",
    "retire units": "INSERT INTO unit_event (statement_id) SELECT id FROM statement",
    "write a reading": "INSERT INTO reading_pv_inverter (device_id, time) VALUES ('inv-1', now())",
    "change a reading": "UPDATE reading_pv_inverter SET energy_export_wh = 0",
    "write an interval": "UPDATE interval_quantity SET value = 0",
    "register a device": "INSERT INTO device SELECT * FROM device",
    "raise a rating": "UPDATE device_rating SET rated_power_w = 1",
    "let a credential live": "UPDATE credential SET revoked = NULL",
    "hide an alarm": "INSERT INTO alarm_event (alarm_id, event, actor) VALUES (1, 'cleared', 'me')",
    "answer for the signer": "INSERT INTO signer_answer (request_id, created, result)"
    " SELECT id, true, '{}' FROM signer_request",
    "hide a request": "DELETE FROM signer_request",
    "change a request": "UPDATE signer_request SET subject = 'x'",
    "date a request back": "INSERT INTO signer_request (id, kind, subject, said, actor, asked)"
    " VALUES (gen_random_uuid(), 'issue', 'x', '', 'me', '2020-01-01')",
    "forget what it did": "DELETE FROM api_audit",
    "become who accounts": "SET ROLE tonne_mrv",
    "become the owner": "SET ROLE tonne_owner",
    "become the pipeline": "SET ROLE tonne_ingest",
    "grant itself a role": "GRANT tonne_mrv TO CURRENT_USER",
    "make a role": "CREATE ROLE another SUPERUSER",
    "drop readings": "SELECT tonne_drop_archived('pv_inverter', '2026-02-26Z', '2026-03-05Z')",
    "read a key's file": "SELECT pg_read_file('/var/lib/tonne-signer/keys/tonne-log.json')",
    "import a key's file": "SELECT lo_import('/var/lib/tonne-signer/keys/tonne-log.json')",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "switch triggers off": "SET session_replication_role = replica",
    "make a function": "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
}


def test_the_web_s_login_can_do_nothing_that_stands_under_a_signature(apart, logins):
    """The web login cannot write signed data."""
    allowed = []
    with psycopg.connect(login(apart.database_url, logins, "api"), autocommit=True) as conn:
        for what, statement in FORBIDDEN.items():
            for role in ("NONE", "tonne_api"):
                conn.execute(f"SET ROLE {role}")
                try:
                    conn.execute(statement)
                except psycopg.errors.InsufficientPrivilege:
                    continue
                allowed.append(what)
        assert allowed == []
        # a queue that would take any word would be no narrow one
        for kind in ("enroll", "seal", "sign"):
            with pytest.raises(psycopg.errors.CheckViolation):
                conn.execute(
                    "INSERT INTO signer_request (id, kind, subject, said, actor)"
                    " VALUES (gen_random_uuid(), %s, 'x', '', 'me')",
                    [kind],
                )
        # no key material lies in the database: public keys, and documents under signatures
        tables = conn.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
            " AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT')"
        ).fetchall()
        secret = keys.load(apart.home, "tonne-log")[0].secret_multikey
        for (table,) in tables:
            found = conn.execute(
                f'SELECT count(*) FROM "{table}" t WHERE strpos(t::text, %s) > 0', [secret]
            ).fetchone()
            assert found == (0,), table


def test_a_stolen_web_process_gets_only_what_people_have_signed(apart, logins):
    """The signer executes only requests signed by a person."""
    forged = signed(apart, apart.draft, "operator")
    with psycopg.connect(login(apart.database_url, logins, "api"), autocommit=True) as conn:
        for kind, said in (
            ("issue", b""),
            ("verify", forged),
            ("submit", forged.replace(b"2", b"3")),
            ("approve", forged),
            ("status-list", b"{}"),
            ("finding", b"not JSON"),
            ("revoke", b"[]"),
        ):
            conn.execute(
                "INSERT INTO signer_request (id, kind, subject, said, actor, principal)"
                " VALUES (gen_random_uuid(), %s, %s, %s, 'the operator', NULL)",
                (kind, apart.draft, said),
            )
    log = get_logger("test")
    runner = Runner(apart.database_url, Desk(apart.home, strict=False), Metrics(), log)
    with connect(apart.database_url, role="tonne_mrv", autocommit=True) as conn:
        before = conn.execute("SELECT count(*) FROM log_entry").fetchone()
        while runner.once(conn):
            pass
        errors = conn.execute(
            "SELECT r.kind, a.error FROM signer_request r"
            " JOIN signer_answer a ON a.request_id = r.id"
            " WHERE r.principal IS NULL AND r.actor = 'the operator'"
        ).fetchall()
        assert len(errors) == 7
        known = {"StatementStateError", "InputError", "EnrolmentError", "RegistryError"}
        assert {error for _, error in errors} <= known
        assert conn.execute("SELECT count(*) FROM log_entry").fetchone() == before
    assert apart.ask(f"/v1/statements/{apart.draft}", "operator").json()["state"] == "draft"


def test_a_queue_that_nobody_answers_is_told(apart, monkeypatch):
    """A signing request without an answer is reported."""
    name = next_verified(apart, "2026-02-03", "2026-02-04")
    apart.ask(f"/v1/statements/{name}/issue", "operator", "POST", headers=ASYNC)
    monkeypatch.setenv("TONNE_DATABASE_URL", apart.database_url)
    monkeypatch.setattr("services.cli.local.doctor.SIGNER_PATIENCE_S", 0.0)
    told = tonne("doctor")
    assert re.search(r"wrong +signer +1 request waits", told.output), told.output
    # and an issue on the command line, where the key is not, is done by the signer
    runner = Runner(apart.database_url, Desk(apart.home, strict=False), Metrics(), get_logger("t"))
    with runner, monkeypatch.context() as elsewhere:
        elsewhere.setenv("TONNE_HOME", str(apart.home / "nothing"))
        told = tonne(
            "statement", "revoke", name, "--reason", "revoked in a test of the signer", code=0
        )
        assert "is revoked" in told.output
        told = tonne("doctor")
    assert re.search(r"ok +signer +", told.output), told.output
