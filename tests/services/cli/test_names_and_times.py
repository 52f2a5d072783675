"""Names that are not registered, and days of several time zones, on a database."""

import json
import re
from pathlib import Path

import psycopg
import pytest

from services.store.dead_letter_query import REASONS
from tests.invoked import tonne as invoke

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "rejected.md"


@pytest.fixture
def tonne(database_url, monkeypatch):
    """Return a runner on a database with one site, one device and no project."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    _fill(database_url)
    return invoke


@pytest.fixture(scope="module")
def filled(shared_database_url):
    """Return the URL of a similar database, for commands that change nothing."""
    _fill(shared_database_url)
    return shared_database_url


@pytest.fixture
def asking(filled, monkeypatch):
    """Run a command that is refused, on a database shared with other tests."""
    monkeypatch.setenv("TONNE_DATABASE_URL", filled)
    return invoke


def _fill(url):
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO site (id, name, latitude, longitude, timezone)"
            " VALUES ('roof', 'Roof', 20.9, 106.6, 'Asia/Ho_Chi_Minh')"
        )
        conn.execute(
            "INSERT INTO device (id, site, class, profile, installed)"
            " VALUES ('inv-001', 'roof', 'pv_inverter', 'generic', now())"
        )


SPAN = ("--from", "2026-01-01", "--to", "2026-02-01")


@pytest.mark.parametrize(
    "words",
    [
        ("intervals", "--device", "inv-01", *SPAN),
        ("intervals", "--project", "pv", *SPAN),
        ("indicators", "--site", "rof", *SPAN),
        ("quality", "--device", "inv-01", *SPAN),
        ("quality", "--device", "inv-001", "--against", "inv-02", *SPAN),
        ("rebuild", "--device", "inv-01", *SPAN),
        ("devices", "list", "--site", "rof"),
        ("devices", "list", "--gateway", "inv-01"),
        ("signed", "list", "--device", "inv-01"),
        ("deadletter", "list", "--device", "inv-01"),
        ("deadletter", "count", "--reason", "unkown_device"),
        ("deadletter", "replay", "--reason", "unkown_device"),
        ("archive", "verify", "--device", "inv-01", *SPAN),
        ("registry", "credentials", "inv-01"),
        ("invoice", "list", "--project", "pv"),
        ("statement", "list", "--project", "pv"),
        ("period", "close", "pv", *SPAN),
        ("plan", "show", "pv"),
        ("factors", "list", "--kind", "grd.vn"),
    ],
    ids=lambda words: " ".join(words[:4]),
)
def test_an_unknown_name_is_no_empty_answer(asking, words):
    """An empty list for a mistyped id is taken for a device that made nothing."""
    for more in ((), ("--json",)):
        result = asking(*words, *more)
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        assert re.search(r"not registered|is known|begins with this text", result.stderr)


def test_the_nearest_name_is_asked_about(asking):
    """Two swapped letters cost a call to the office."""
    assert "did you mean 'inv-001'?" in asking("quality", "--device", "inv-01", *SPAN).stderr
    asked = asking("deadletter", "list", "--reason", "unkown_device").stderr
    assert "did you mean 'unknown_device'?" in asked


def test_a_known_reason_without_letters_is_empty(asking):
    """A fleet without refusals is good news, and no error."""
    result = asking("deadletter", "list", "--reason", "unknown_device", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert asking("deadletter", "list").stdout == "no such dead letter\n"


def test_reasons_are_those_of_the_docs():
    """A reason that the docs lack sends a technician to the source."""
    part = DOCS.read_text(encoding="utf-8").split("| reason | meaning")[1].split("\n\n")[0]
    cells = [row.split("|")[1] for row in part.splitlines()[2:]]
    listed = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(listed) == sorted(REASONS)


def test_every_reason_of_the_code_is_known():
    """A refusal that `--reason` does not know can be listed by no one."""
    code = [p.read_text(encoding="utf-8") for p in (ROOT / "ingest").rglob("*.py")]
    raised = {r for text in code for r in re.findall(r'(?:Payload|Wire)Error\(\s*"(\w+)"', text)}
    assert len(raised) > 20
    assert raised - set(REASONS) == set()


def _letter(url, received):
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO dead_letter (received, topic, principal, device_id, reason, detail,"
            " payload, sha256) VALUES (%s, 't', 'inv-001', 'inv-001', 'malformed_json', 'd', 'x',"
            " decode(repeat('00', 32), 'hex'))",
            [received],
        )


def test_a_day_begins_at_the_site_s_midnight(tonne, database_url):
    """A day read as UTC leaves seven hours of Hai Phong's night out, without a message."""
    _letter(database_url, "2026-01-31T16:59:59Z")
    _letter(database_url, "2026-01-31T17:00:00Z")
    rows = json.loads(tonne("deadletter", "list", "--from", "2026-02-01", "--json").stdout)
    assert [row["received"] for row in rows] == ["2026-01-31T17:00:00Z"]
    rows = json.loads(tonne("deadletter", "list", "--to", "2026-02-01", "--json").stdout)
    assert [row["received"] for row in rows] == ["2026-01-31T16:59:59Z"]


def test_the_clock_is_named_where_sites_have_several(tonne, database_url):
    """Anyone who runs plants in two countries must see whose day it was."""
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO site (id, name, latitude, longitude, timezone) VALUES"
            " ('a', 'A', 40, -105, 'America/Denver'), ('b', 'B', 20, 106, 'Asia/Ho_Chi_Minh')"
        )
    result = tonne("deadletter", "count", "--from", "2026-02-01")
    assert "days are in time zone Asia/Ho_Chi_Minh (2 of 3 sites)" in result.stderr
    assert tonne("deadletter", "count", "--from", "2026-02-01T00:00:00+07:00").stderr == ""
    own = tonne("deadletter", "count", "--device", "inv-001", "--from", "2026-02-01")
    assert own.stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ("deadletter", "list", "--from"),
        ("signed", "list", "--from"),
        ("intervals", "--device", "inv-001", "--to", "2026-02-01", "--from"),
        ("rebuild", "--to", "2026-02-01", "--from"),
        ("archive", "list", "--to", "2026-02-01", "--from"),
        ("keys", "revoke", "plant", "--from"),
        ("api", "keys", "create", "--role", "auditor", "--name", "x", "--expires"),
    ],
    ids=" ".join,
)
def test_a_time_without_offset_is_refused(asking, words):
    """Read as UTC it would move a month's edge by seven hours."""
    result = asking(*words, "2026-01-31T08:00:00")
    assert result.exit_code == 2
    assert "'2026-01-31T08:00:00' is not a time" in result.stderr


def test_a_day_without_any_site_is_refused(database_url, monkeypatch):
    """An empty database has no clock to read a day by."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    result = invoke("deadletter", "list", "--from", "2026-01-01", code=2)
    assert "no site is registered" in result.stderr


def test_a_key_of_an_unknown_project_is_not_kept(tonne, monkeypatch, tmp_path):
    """`--project a,b` would make a key that signs for neither, found when a period is signed."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    words = ("keys", "create", "--role", "operator", "--name", "plant", "--organisation", "Plant")
    result = tonne(*words, "--project", "pv,bus", code=2)
    assert "project 'pv,bus' is not registered" in result.output + result.stderr
    assert not (tmp_path / "keys" / "plant.json").exists()
