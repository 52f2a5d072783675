"""`tonne api` as a process, over a plant with an issued statement, a draft and a sealed log."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.store import api_keys
from services.store.postgres.pool import connect
from tests import commands
from tests.fix_timescale import _fresh
from tests.planted import planted
from tests.ports import free_port
from tests.services.api import plain
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period


@dataclass
class Served:
    """Where the API answers, its database and home, tokens by whose they are, and the process."""

    url: str
    database_url: str
    home: Path
    tokens: dict[str, str]
    issued: str
    draft: str
    process: subprocess.Popen

    def ask(self, path: str, who: str | None = None, method: str = "GET", **more) -> httpx.Response:
        """Ask as someone; with no name, as anyone."""
        headers = dict(more.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        return plain.request(method, self.url + path, headers=headers, **more)

    def hand_in(self, name, what, body, who, **headers):
        """Hand in what someone signed of a statement."""
        told = {"Content-Type": "application/json", **headers}
        return self.ask(f"/v1/statements/{name}/{what}", who, "POST", content=body, headers=told)


def _issued(database_url, home):
    """A sealed log, an issued statement and a draft, and everyone's tokens."""
    plant.register(database_url, home)
    plant.fill_pv(database_url)
    who = logged.signers(database_url, home)
    logged.seal_now(database_url, who)
    issued = logged.issue(database_url, who, sample=True)
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        day = plant.us("2026-03-03"), plant.us("2026-03-04")
        draft = close_period(conn, "pv", *day, "test").statement
    with connect(database_url, role="tonne_api", autocommit=True) as conn:
        return issued, draft, _tokens(conn)


@pytest.fixture(scope="module")
def served(timescale, migrated_template, tmp_path_factory):
    """Return an API that is up."""
    home = tmp_path_factory.mktemp("api")
    for database_url in _fresh(timescale, migrated_template):
        issued, draft, tokens = planted(_issued, database_url, home)
        url = f"127.0.0.1:{free_port()}"
        with (home / "api.log").open("wb") as log:
            process = start(database_url, home, url, log)
            yield Served(f"http://{url}", database_url, home, dict(tokens), issued, draft, process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0


def _tokens(conn):
    made = {
        role: api_keys.create(conn, f"the {role}", role, None, "test")
        for role in ("operator", "verifier", "auditor", "admin")
    }
    for name, projects in (("stranger", ["bus"]), ("scoped", ["pv"])):
        made[name] = api_keys.create(conn, f"the {name}", "auditor", projects, "test")
    made["elsewhere"] = api_keys.create(conn, "verifies buses", "verifier", ["bus"], "test")
    made["rival"] = api_keys.create(conn, "the rival", "operator", ["bus"], "test")
    made["revoked"] = api_keys.create(conn, "gone", "admin", None, "test")
    api_keys.revoke(conn, made["revoked"][0].id)
    later = datetime.now(UTC) + timedelta(days=1)
    made["expired"] = api_keys.create(conn, "old", "admin", None, "test", later)
    with conn.transaction():
        conn.execute("SET LOCAL ROLE NONE")
        conn.execute(
            "UPDATE api_key SET created = now() - interval '2 days',"
            " expires = now() - interval '1 second' WHERE id = %s",
            [made["expired"][0].id],
        )
    return {name: token for name, (_, token) in made.items()}


def start(database_url, home, url, log, *, anew=False, **more):
    """Return `tonne api` at an address, ready to answer; `more` are further settings."""
    process = commands.start(
        ["api"],
        anew=anew,
        stdout=log,
        stderr=log,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("TONNE_")},
            "TONNE_DATABASE_URL": database_url,
            "TONNE_MQTT_URL": "mqtt://127.0.0.1:1",
            "TONNE_API_BIND": url,
            "TONNE_API_RATE_PER_S": "100000",
            "TONNE_HOME": str(home),
            **more,
        },
    )
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        with suppress(httpx.TransportError):
            if plain.get(f"http://{url}/readyz").status_code == 200:
                return process
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise TimeoutError(Path(log.name).read_text())
