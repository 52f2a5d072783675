"""The move from `tonne local` to containers, by the commands of the page, without data loss."""

import json
import re
import shutil
import time

import httpx
import pytest

from ingest.addresses import Tls
from services.local import backup
from services.store import api_keys
from services.store.postgres.pool import connect
from tests.deploy.composed import Composed
from tests.deploy.files import ROOT, read
from tests.fix_timescale import _fresh
from tests.planted import planted
from tests.security.probe import Probe
from tests.services.api import plain
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period
from tests.soak import SOAK
from tests.waiting import until

pytestmark = pytest.mark.integration
PAGE = (ROOT / "docs/backup.md").read_text()
ROAD = re.search(r"installation to the compose files.*?```sh\n(.*?)```", PAGE, re.DOTALL)[1]
CLUSTER = re.search(r"installation to Kubernetes.*?```sh\n(.*?)```", PAGE, re.DOTALL)[1]
DAY = ("2026-03-03", "2026-03-04")


def _city(database_url, home):
    plant.register(database_url, home, plant.documented())
    plant.fill_pv(database_url)
    who = logged.signers(database_url, home)
    logged.seal_now(database_url, who)
    issued = logged.issue(database_url, who)
    with connect(database_url, role="tonne_api", autocommit=True) as conn:
        token = api_keys.create(conn, "the operator", "operator", None, "test")[1]
    return issued, token


def _lines(block):
    """Return the commands of a block; a line that ends in a backslash continues."""
    return [one for one in block.replace("\\\n", " ").splitlines() if one.strip()]


@pytest.fixture
def moved(database_url, timescale, tmp_path):
    """Return a city on one machine, and the same one after the move to the compose files."""
    home = tmp_path / "here"
    home.mkdir()
    issued, token = planted(_city, database_url, home)
    there = tmp_path / "there"
    there.mkdir()
    backup.write(database_url, home, there / "city.zip")
    for other in _fresh(timescale, ""):
        composed = Composed(there, other)
        try:
            yield database_url, other, composed, issued, token
        finally:
            composed.end()


def _account(url):
    """Return every accounted microgram, by project and day."""
    with connect(url) as conn:
        return conn.execute("SELECT * FROM v_account_day ORDER BY 1, 2").fetchall()


def test_the_page_brings_a_city_to_the_compose_files(moved):
    """A city that grows out of one machine would lose readings, keys, or a microgram."""
    here, there, composed, issued, token = moved
    before = _account(here)
    assert before
    said = [composed.line(line) for line in _lines(ROAD)]
    assert re.search(r"^ok +signer", said[-1], re.MULTILINE), said[-1]
    assert _account(there) == before
    url, mine = f"http://{composed.api}", {"Authorization": f"Bearer {token}"}
    _counts_on(here, there, url, mine, issued)
    _taken_by_the_console(url, mine, token, there)
    _sealed_by_the_key_that_came_along(composed, there, here)
    _a_device_is_heard(composed, there)


def test_the_compose_files_of_several_workers_have_the_same_places():
    """A city that moves to workers would restore its keys into a volume that no service reads."""
    one, many = (read(ROOT / f"deploy/compose{kind}.yaml")[0] for kind in ("", ".kafka"))
    for name in ("migrate", "logins", "cli", "signer"):
        for key in ("volumes", "command", "user"):
            mine, other = (f["services"][name].get(key) for f in (one, many))
            assert mine == other, (name, key)
    named = re.findall(r"`tonne-kafka_(\w+)`", PAGE)
    assert named
    assert {*named} == {*re.findall(r"-v tonne_(\w+):/\w+ ", " ".join(_lines(ROAD)))}
    assert {*named} <= {*many["volumes"]}
    assert many["name"] == "tonne-kafka"


@pytest.mark.skipif(not SOAK, reason="long: `make soak`; the way is that of the compose files")
def test_the_page_brings_a_city_to_kubernetes(moved):
    """A city that grows out of one machine would lose its log's key, or a microgram."""
    here, there, composed, issued, token = moved
    before = _account(here)
    # the logins that docs/kafka.md has made by hand are those of the compose files
    composed.line("sh deploy/secrets.sh")
    composed.line("docker compose -f deploy/compose.yaml up -d --build migrate logins")
    restore, copy = _lines(CLUSTER)
    *settings, command = restore.split(" tonne ")
    told = dict(one.split("=", 1) for one in settings[0].split())
    assert set(told) == {"TONNE_DATABASE_URL", "TONNE_HOME"}
    composed.tonne(command.split(), TONNE_DATABASE_URL=there, TONNE_HOME=told["TONNE_HOME"])
    source, target = copy.split()[4:6]
    assert target.split(":")[1] == "/var/lib/tonne/keys"
    shutil.copytree(composed.folder / source, composed.volume("tonne-home") / "keys")
    for name in ("signer", "api"):
        composed.pod(name)
    assert _account(there) == before
    url, mine = f"http://{composed.api}", {"Authorization": f"Bearer {token}"}
    _counts_on(here, there, url, mine, issued)
    _taken_by_the_console(url, mine, token, there)


def _counts_on(here, there, url, mine, issued):
    """
    Check that issued statements are unchanged, and that an open day gives the same result after the
    move.
    """
    until(lambda: _ready(url))
    # the key of a person and the statement are those of before, byte for byte
    assert _document(there, issued) == _document(here, issued)
    answer = plain.get(f"{url}/v1/statements/{issued}", headers=mine)
    assert answer.json()["state"] == "issued", answer.text
    # a day that was open is closed there, by the web process through the signer, as it is here
    close = plain.post(
        f"{url}/v1/projects/pv/periods", headers=mine, json={"from": DAY[0], "to": DAY[1]}
    )
    assert close.status_code == 201, close.text
    with logged.issuer(here) as conn:
        expected = close_period(conn, "pv", *map(plant.us, DAY), "test").statement
    assert close.json()["statement"] == expected
    assert _figures(there, expected) == _figures(here, expected)


def _ready(url):
    try:
        return plain.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _document(url, name):
    with connect(url) as conn:
        return bytes(conn.execute("SELECT body FROM statement WHERE id = %s", [name]).fetchone()[0])


def _figures(url, name):
    found = json.loads(_document(url, name))["credentialSubject"]
    return {key: found[key] for key in found if key in {"emissions", "credited", "deductions"}}


def _taken_by_the_console(url, mine, token, there):
    """
    Check that the web's login cannot write the registry, and that the signer's stores the confirmed
    import.
    """
    del mine
    session = plain.post(f"{url}/console/en/sign-in", data={"key": token})
    cookies = dict(session.cookies)
    text = (
        "sites: [{id: new, name: New, latitude: 48, longitude: 7.8, timezone: Europe/Berlin,"
        " country: DE}]"
    )
    page = plain.post(
        f"{url}/console/en/registry", data={"text": text, "form": "yaml"}, cookies=cookies
    ).text
    form = page[page.index("/registry/take") :]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    taken = plain.post(f"{url}/console/en/registry/take", data=fields, cookies=cookies)
    assert "was imported" in taken.text, taken.text
    with connect(there) as conn:
        assert conn.execute("SELECT country FROM site WHERE id = 'new'").fetchone() == ("DE",)


def _sealed_by_the_key_that_came_along(composed, there, here):
    def size(url):
        with connect(url) as conn:
            return conn.execute("SELECT count(*) FROM log_entry").fetchone()[0]

    composed.line(
        "docker compose -f deploy/compose.yaml exec signer tonne log seal --project bus"
        " --until 2026-03-05"
    )
    assert size(there) > size(here)
    composed.line("docker compose -f deploy/compose.yaml exec signer tonne log audit")


def _a_device_is_heard(composed, there):
    composed.line(
        "docker compose -f deploy/compose.yaml run --rm cli registry issue-credentials inv-1"
    )
    tls = Tls.of(composed.volume("home") / "identity/devices/inv-1").context()
    device = Probe(composed._mqtt, tls, "inv-1")
    assert device.open()
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    body = {"ts": at, "values": {"energy_export_kwh": 99_000.0}}
    assert device.publish("tonne/v1/inv-1/telemetry", json.dumps(body).encode())
    device.close()

    def stored():
        with connect(there) as conn:
            return conn.execute(
                "SELECT count(*) FROM reading_pv_inverter WHERE time > now() - interval '1 day'"
            ).fetchone()[0]

    until(lambda: stored() == 1)
