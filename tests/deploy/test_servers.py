"""The brokers' and the database's files of deploy/, with the real servers."""

from __future__ import annotations

import os
import queue
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import paho.mqtt.client as mqtt
import psycopg
import pytest

from services.local.packages import MOSQUITTO, POSTGRES_BIN, require
from services.store.pool import connect
from tests.deploy.files import DEPLOY
from tests.running import free_port

pytestmark = pytest.mark.integration


def make_secrets(folder, *words):
    done = subprocess.run(
        ["sh", str(DEPLOY / "secrets.sh"), *words],
        env=os.environ | {"TONNE_SECRETS": str(folder), "MQTT_HOST": "localhost"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    make_secrets(folder)
    return folder


@pytest.fixture(scope="module")
def passwords(secrets):
    """Passwords by principal."""
    tonne = (secrets / "mqtt_password").read_text()
    devices = {name: make_secrets(secrets, "device", name) for name in ("inv-001", "inv-002")}
    return {"tonne": tonne, **devices}


@pytest.fixture(scope="module")
def broker(secrets, passwords, tmp_path_factory):
    """Ports of a mosquitto with our configuration: the inner one, and the devices'."""
    require()
    folder = tmp_path_factory.mktemp("broker")
    inner, outer = free_port(), free_port()
    config = (DEPLOY / "mosquitto/mosquitto.conf").read_text()
    for there, here in {
        "/run/secrets": str(secrets), "/mosquitto/config": str(DEPLOY / "mosquitto"),
        "/mosquitto/data": str(folder), "listener 1883": f"listener {inner} 127.0.0.1",
        "listener 8883": f"listener {outer} 127.0.0.1",
    }.items():  # fmt: skip
        assert there in config
        config = config.replace(there, here)
    # as root it would change to an account that may not enter a test's folders
    (folder / "test.conf").write_text(config + "user root\n")
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(folder / "test.conf")], stdout=out, stderr=out
        )
    try:
        for port in (inner, outer):
            await_port(port, folder / "out")
        yield inner, outer
    finally:
        process.terminate()
        process.wait(20)


def await_port(port, log):
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        else:
            return


@contextmanager
def client(port, name, password, certificate=None, topics=()):
    """Connect as a principal; yields the client and the messages that it gets."""
    got, ready = queue.Queue(), queue.Queue()
    found = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"any-{name}")
    found.username_pw_set(name, password)
    if certificate:
        found.tls_set(ca_certs=str(certificate))
    found.on_connect = lambda c, u, flags, reason, p: ready.put(reason)
    found.on_subscribe = lambda c, u, mid, reasons, p: ready.put(reasons)
    found.on_message = lambda c, u, message: got.put((message.topic, message.payload))
    found.connect("localhost", port)
    found.loop_start()
    try:
        reason = ready.get(timeout=10)
        if reason.is_failure:
            raise PermissionError(str(reason))
        if topics:
            found.subscribe([(topic, 1) for topic in topics])
            ready.get(timeout=10)
        yield found, got
    finally:
        found.disconnect()
        found.loop_stop()


def test_a_device_speaks_for_itself_alone(broker, passwords, secrets):
    """A meter that could write as another would earn its tonnes."""
    inner, outer = broker
    with (
        client(inner, "tonne", passwords["tonne"], topics=["$share/tonne/tonne/v1/#"]) as (_, got),
        client(outer, "inv-001", passwords["inv-001"], secrets / "mqtt_certificate") as (me, _),
    ):
        for topic in ("inv-002/telemetry", "inv-001/status", "inv-001/m-7/telemetry"):
            me.publish(f"tonne/v1/{topic}", b"1", qos=1).wait_for_publish(10)
        me.publish("tonne/v1/inv-001/telemetry", b"last", qos=1).wait_for_publish(10)
        seen = [got.get(timeout=10)]
        while seen[-1][1] != b"last":
            seen.append(got.get(timeout=10))
    assert [topic for topic, _ in seen] == [
        "tonne/v1/inv-001/status", "tonne/v1/inv-001/m-7/telemetry", "tonne/v1/inv-001/telemetry",
    ]  # fmt: skip


def test_a_device_hears_its_own_receipts(broker, passwords, secrets):
    """Another's receipt would let a device forget what is not stored."""
    inner, outer = broker
    certificate = secrets / "mqtt_certificate"
    with (
        client(outer, "inv-002", passwords["inv-002"], certificate, ["tonne/v1/+/receipt"]) as (
            _,
            got,
        ),
        client(inner, "tonne", passwords["tonne"]) as (tonne, _),
    ):
        for name in ("inv-001", "inv-002"):
            tonne.publish(f"tonne/v1/{name}/receipt", name.encode(), qos=1).wait_for_publish(10)
        assert got.get(timeout=10) == ("tonne/v1/inv-002/receipt", b"inv-002")
        assert got.empty()


def test_nobody_comes_in_without_the_password(broker, passwords, secrets):
    """The broker is on a public port."""
    _, outer = broker
    certificate = secrets / "mqtt_certificate"
    for name, password in (("inv-001", passwords["inv-002"]), ("nobody", ""), ("tonne", "tonne")):
        with (
            pytest.raises(PermissionError),
            client(outer, name, password, certificate),
        ):
            pass


def test_secrets_are_made_once(secrets):
    """A second run that made new passwords would lock tonne out of its own database."""
    before = {p.name: p.read_bytes() for p in secrets.iterdir()}
    make_secrets(secrets)
    assert {p.name: p.read_bytes() for p in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o077 == 0
    bad = subprocess.run(
        ["sh", str(DEPLOY / "secrets.sh"), "device", "tonne"],
        env=os.environ | {"TONNE_SECRETS": str(secrets)}, capture_output=True, check=False,
    )  # fmt: skip
    assert bad.returncode == 2


def test_the_pipeline_s_login_may_do_its_work_and_no_more(database_url, secrets):
    """A login that may do all would let a stolen URL rewrite what was measured."""
    psql = shutil.which("psql", path=POSTGRES_BIN)
    script = (DEPLOY / "timescaledb/logins.sql").read_text().replace("/run/secrets", str(secrets))
    for _ in range(2):
        subprocess.run([psql, database_url], input=script, text=True, check=True)
    password = (secrets / "pipeline_password").read_text()
    parts = urlsplit(database_url)
    login = parts._replace(netloc=f"tonne_pipeline:{password}@{parts.hostname}:{parts.port}")
    with connect(urlunsplit(login), role="tonne_ingest") as connection:
        connection.execute("SELECT * FROM device")
        connection.execute(
            "INSERT INTO stream_offset (topic, partition, \"offset\") VALUES ('t', 0, 1)"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM reading_pv_inverter")
    password = (secrets / "archive_password").read_text()
    keeper = parts._replace(netloc=f"tonne_archivist:{password}@{parts.hostname}:{parts.port}")
    with connect(urlunsplit(keeper), role="tonne_archive", autocommit=True) as connection:
        drop = "SELECT tonne_drop_archived('pv_inverter', '2026-02-26Z', '2026-03-05Z')"
        assert connection.execute(drop).fetchone() == ("",)
        for statement in (
            "DELETE FROM reading_pv_inverter",
            "SELECT drop_chunks('reading_pv_inverter', INTERVAL '1 day')",
            "INSERT INTO reading_pv_inverter (device_id, time) VALUES ('a', now())",
            "SELECT * FROM api_key",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    password = (secrets / "api_password").read_text()
    served = parts._replace(netloc=f"tonne_service:{password}@{parts.hostname}:{parts.port}")
    with connect(urlunsplit(served), role="tonne_api") as connection:
        connection.execute("SELECT * FROM statement")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM api_audit")
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(urlunsplit(login)) as c,
    ):
        c.execute("CREATE ROLE another")
