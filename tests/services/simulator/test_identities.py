"""Simulated devices and the doctor at a broker that requires identities."""

import dataclasses
import json
import os
import urllib.request

import psycopg
import pytest

from ingest.addresses import Tls
from services.enrolment import Control
from services.identity import Authority, write
from services.identity.principals import ADMIN, PIPELINE, service
from tests import commands
from tests.fix_pipeline import on_servers
from tests.running import Pipeline
from tests.security.probe import Probe

SITE = {"id": "s", "name": "S", "latitude": 20.9, "longitude": 106.6, "timezone": "UTC"}
ROW = {
    "site": "s",
    "class": "pv_inverter",
    "profile": "generic",
    "rated_power_w": 50_000,
    "installed": "2025-01-01T00:00:00Z",
}
FLEET = {
    "sites": [SITE],
    "devices": [
        {"id": "gw", **ROW},
        {"id": "inv-1", **ROW},
        {"id": "inv-2", **ROW, "gateway": "gw"},
    ],
}
SPAN = ("--start", "2026-03-01T02:00:00Z", "--duration", "30m", "--cadence", "60s")


class Secure(Pipeline):
    """Servers with a broker that requires the identity of everyone."""

    secure = True


@pytest.fixture(scope="module")
def secure(tmp_path_factory, migrated_cluster):
    """Return a secured pipeline with an enrolled fleet."""
    home = tmp_path_factory.mktemp("identities")
    with on_servers(migrated_cluster, home, Secure) as found:
        found.register(FLEET)
        found.tonne("registry", "issue-credentials", "--all")
        yield found


def _run(secure, *words, **more):
    return commands.run(
        words, env=secure.environment | more, capture_output=True, text=True, check=False
    )


def _simulate(secure, *words, **more):
    return _run(
        secure,
        "simulate",
        "--fleet",
        str(secure.home / "registry.yaml"),
        *SPAN,
        "--speed",
        "max",
        *(() if "--wait" in words else ("--wait", "180s")),
        *words,
        **more,
    )


def _stored(secure):
    with psycopg.connect(secure.urls.database_url) as conn:
        return dict(
            conn.execute(
                "SELECT device_id, count(*) FROM reading_pv_inverter"
                " WHERE time >= '2026-03-01T02:00:00Z' GROUP BY device_id"
            ).fetchall()
        )


def test_every_principal_shows_its_own_identity(secure, tmp_path):
    """A rehearsal of a secured installation would need a broker that is open to all."""
    log = tmp_path / "run.log"
    with secure.running(log):
        secure.receiving_since(log)
        done = _simulate(secure, "--json")
        told = json.loads(done.stdout)
        assert (done.returncode, told["unreceipted"], told["refused"]) == (0, 0, 0), done.stderr
        assert _stored(secure) == {"gw": 30, "inv-1": 30, "inv-2": 30}
        # by the folder that was carried to another machine, without the settings of this one
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        handed = str(secure.home / "identity" / "devices")
        done = _simulate(
            secure,
            "--json",
            "--mqtt-url",
            secure.urls.mqtt_url,
            "--identities",
            handed,
            TONNE_HOME=str(elsewhere),
        )
        told = json.loads(done.stdout)
        assert (done.returncode, told["unreceipted"], told["refused"]) == (0, 0, 0), done.stderr
        assert _stored(secure) == {"gw": 30, "inv-1": 30, "inv-2": 30}  # the same once more
    with psycopg.connect(secure.urls.database_url) as conn:
        assert conn.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)


def test_who_was_handed_nothing_is_named(secure, tmp_path):
    """A fleet of which half is refused without a message looks like one that is switched off."""
    done = _simulate(secure, "--identities", str(tmp_path))
    assert done.returncode == 2
    assert "'gw' has no credential" in done.stderr
    assert "issue-credentials gw" in done.stderr
    done = _simulate(secure, "--mqtt-url", "mqtt://127.0.0.1:1", "--identities", str(tmp_path))
    assert done.returncode == 2
    assert "--identities is only for mqtts://" in done.stderr


def test_a_stranger_is_turned_away(secure, tmp_path):
    """An identity of another fleet would be taken for ours."""
    authority = Authority.open(tmp_path / "rogue")
    ours = (secure.home / "identity" / "ca.crt").read_bytes()
    for name in ("gw", "inv-1"):
        made = authority.issue(name, 10)
        for file, content in (
            ("client.crt", made.certificate),
            ("client.key", made.key),
            ("ca.crt", ours),
        ):
            write(tmp_path / "handed" / name / file, content)
    done = _simulate(secure, "--identities", str(tmp_path / "handed"), "--wait", "2s")
    assert done.returncode == 3
    assert "check that its authority issued this certificate" in done.stderr


def _doctor(secure, *words, **more):
    done = _run(secure, "doctor", "--json", *words, **more)
    return {one["what"]: one for one in json.loads(done.stdout)}


def test_the_doctor_shows_the_identity_that_is_in_use(secure, tmp_path):
    """A working broker would be reported as faulty, or a faulty identity as valid."""
    log = tmp_path / "run.log"
    with secure.running(log) as running:
        secure.receiving_since(log)
        found = _doctor(secure)
        assert found["MQTT broker"]["state"] == "ok"
        assert found["MQTT broker"]["found"] == "answers by TLS"
        assert found["MQTT identity"]["state"] == "ok"
        assert found["MQTT identity"]["found"].startswith("tonne, until ")
        found = _doctor(secure, "--identity", str(secure.home / "identity" / "devices" / "inv-1"))
        assert (found["MQTT broker"]["state"], found["MQTT identity"]["found"][:6]) == (
            "ok",
            "inv-1,",
        )
        # to look takes nobody over: the pipeline is on the same connection still
        assert running.poll() is None
        assert "lost" not in log.read_text()
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    (nobody / "ca.crt").write_bytes((secure.home / "identity" / "ca.crt").read_bytes())
    found = _doctor(secure, "--identity", str(nobody))["MQTT broker"]
    assert found["state"] == "wrong"
    assert "closes the connection after the client certificate is presented" in found["found"]
    assert "TONNE_MQTT_CERT_FILE" in found["fix"]
    authority = Authority.open(tmp_path / "own")
    made = authority.issue("tonne", 10)
    for file, content in (("client.crt", made.certificate), ("client.key", made.key)):
        write(nobody / file, content)
    found = _doctor(secure, "--identity", str(nobody))
    assert found["MQTT broker"]["state"] == "wrong"  # of a stranger's authority
    assert found["MQTT identity"]["state"] == "wrong"  # and it ends within the month
    assert os.environ.get("TONNE_MQTT_URL") is None


def _tell_broker(secure, topic=None):
    """Let the pipeline receive its topics, except one."""
    whole = service(PIPELINE, sparkplug=True)
    left = dataclasses.replace(whole, subscribe=tuple(t for t in whole.subscribe if t != topic))
    tls = secure.stack.mosquitto.identities.ensure_service(ADMIN)
    with Control(secure.urls.mqtt_url, tls) as control:
        control.admit(left)


def test_a_topic_that_is_refused_is_told_everywhere_and_the_rest_is_stored(secure, tmp_path):
    """All would look well, while one kind of device is acknowledged and never stored."""
    refused, log = "tonne/v1/+/+/telemetry", tmp_path / "run.log"
    _tell_broker(secure, refused)
    try:
        with secure.running(log):
            secure.receiving_since(log)
            secure.wait_for("tonne_broker_topics_refused", 1)
            with urllib.request.urlopen(f"http://{secure.metrics}/healthz", timeout=60) as page:
                told = page.read().decode()
            assert told == f"the broker rejects {refused} (Not authorized)\n"
            # a proxy for the way out has no way to this machine's own processes
            found = _doctor(secure, http_proxy="http://127.0.0.1:9")["MQTT topics"]
            assert (found["state"], refused in found["found"]) == ("wrong", True)
            assert "tonne broker config" in found["fix"]
            before = secure.counted("tonne_ingest_messages_total")
            own = Probe(
                secure.stack.mosquitto.port,
                Tls.of(secure.home / "identity/devices/inv-1").context(),
                "inv-1",
            )
            assert own.open()
            # an hour before all that is simulated here
            said = b'{"ts": 1772326800000, "values": {"active_power_kw": 1}}'
            assert own.publish("tonne/v1/inv-1/telemetry", said)
            own.close()
            secure.wait_for("tonne_ingest_messages_total", before + 1)
        lines = [json.loads(one) for one in log.read_text().splitlines()]
        (error,) = [one for one in lines if one["event"].startswith("topics rejected")]
        assert error["level"] == "error"
        assert (error["topics"], "tonne broker config" in error["remedy"]) == (
            {refused: "Not authorized"},
            True,
        )
    finally:
        _tell_broker(secure)


def test_a_pipeline_that_may_hear_nothing_does_not_start(secure):
    """A pipeline without any permitted topic would report that it receives."""
    own = secure.home / "identity/devices/gw"
    done = _run(
        secure, "run", "--client-id", "gw", "--no-seal", "--no-watch",
        TONNE_MQTT_CERT_FILE=str(own / "client.crt"), TONNE_MQTT_KEY_FILE=str(own / "client.key"),
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "the broker rejects every topic of 'gw': tonne/v1/+/telemetry (Not auth" in done.stderr
    assert "tonne broker config" in done.stderr
    assert '"event": "receiving"' not in done.stderr
    assert "Traceback" not in done.stderr
