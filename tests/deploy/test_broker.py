"""The broker of the compose files, started by their commands."""

import os
import shlex
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest
import yaml
from prometheus_client import CollectorRegistry

from ingest.addresses import Tls
from ingest.errors import InputError
from services.identity.mosquitto import PLUGIN
from services.identity.principals import WATCH
from services.intake.broker_queue import BrokerQueue, Room
from services.local import MOSQUITTO, own_folder, require, service_account
from services.logs import get_logger
from services.metrics import Metrics
from tests import commands
from tests.deploy.files import DEPLOY, read
from tests.ports import free_port
from tests.security.brokers import listening_ports, speaks_plain
from tests.security.probe import Probe
from tests.waiting import until

FILES = {
    name: read(DEPLOY / name)[0]["services"] for name in ("compose.yaml", "compose.kafka.yaml")
}
BRIDGES = ["tonne-bridge-0", "tonne-bridge-1"]
SERVICES = {
    "compose.yaml": ["tonne", "tonne-watch"],
    "compose.kafka.yaml": [*BRIDGES, "tonne-watch"],
}
ROW = {
    "site": "s",
    "class": "pv_inverter",
    "profile": "generic",
    "installed": "2025-01-01T00:00:00Z",
}
SITE = {"id": "s", "name": "S", "latitude": 20.9, "longitude": 106.6, "timezone": "UTC"}
file = pytest.mark.parametrize("file", FILES)


def _option(command, name):
    return command[command.index(name) + 1]


def _volumes(service):
    """Return the mounted volumes by path."""
    pairs = (volume.split(":")[:2] for volume in service.get("volumes", []))
    return {place: name for name, place in pairs}


@file
def test_the_broker_has_what_tonne_wrote_for_it_and_nothing_else(file):
    """Access rules edited by hand would lag behind the registry, or not check subscriptions."""
    made, broker = FILES[file]["broker"], FILES[file]["mosquitto"]
    into = _option(made["command"], "--into")
    assert broker["working_dir"] == into
    assert _volumes(broker) == {into: _volumes(made)[into]}
    assert broker["command"][-2:] == ["-c", "mosquitto.conf"]
    assert broker["user"] == made["user"]  # what is secret is its owner's alone
    assert broker["depends_on"] == {"broker": {"condition": "service_completed_successfully"}}
    assert "secrets" not in broker
    assert broker["ulimits"]["nofile"] > 20_000
    for path in DEPLOY.rglob("*"):
        if path.suffix in {".conf", ".yaml"} and path.is_file():
            assert "acl_file" not in path.read_text(), path


@file
def test_each_process_shows_an_identity_of_its_own(file):
    """
    The client id is the name of the identity: two clients of one name would disconnect each other
    again and again.
    """
    made = FILES[file]["broker"]
    handed = _option(made["command"], "--services-into")
    shown = []
    for name, service in FILES[file].items():
        told = service.get("environment", {})
        if "TONNE_MQTT_URL" not in told:
            continue
        assert told["TONNE_MQTT_URL"] == "mqtts://mosquitto:8883"
        assert _option(made["command"], "--host") == "mosquitto"
        if name == "est":  # it keeps the authority, and the administrator's identity with it
            assert "/var/lib/tonne" in "".join(map(str, service["volumes"]))
            continue
        folder = told["TONNE_MQTT_CERT_FILE"].removesuffix("/client.crt")
        assert told["TONNE_MQTT_CA_FILE"] == f"{folder}/ca.crt"
        assert told["TONNE_MQTT_KEY_FILE"] == f"{folder}/client.key"
        if name != "cli":
            place, own = folder.rsplit("/", 1)
            assert place == handed
            # whoever only watches is not handed what the pipeline shows
            mounted = folder if name == "watch" else handed
            assert _volumes(service)[mounted] == _volumes(made)[mounted]
            assert name != "watch" or handed not in _volumes(service)
            shown.append(own)
    assert sorted(shown) == SERVICES[file]


@contextmanager
def _serving(folder, service):
    """Run mosquitto as in a compose file, in its folder."""
    program, *words = service["command"]
    assert program == str(MOSQUITTO)
    account = service_account("mosquitto")
    own_folder(folder, account)
    with (folder.parent / "mosquitto.out").open("wb") as out:
        process = subprocess.Popen(
            [program, *words],
            cwd=folder,
            stdout=out,
            stderr=out,
            user=account and account.uid,
            group=account and account.gid,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _await(port, log):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(log.read_text())


def test_both_files_configure_the_broker_alike():
    """Both files must configure the broker alike, since the tests start only one of them."""
    one, other = (FILES[name]["broker"]["command"] for name in SERVICES)
    more = [word for name in BRIDGES for word in ("--service", name)]
    at = other.index("--service")
    assert other[at : at + len(more)] == more
    assert [*other[:at], *other[at + len(more) :]] == one


def test_it_starts_and_no_device_speaks_or_listens_as_another(database_url, tmp_path):
    """The deployment would be less safe than what was tested."""
    file = "compose.kafka.yaml"
    require()
    port = free_port()
    home, into, handed = (tmp_path / name for name in ("home", "broker", "services"))
    services = FILES[file]
    words = services["broker"]["command"]
    for there, here in {
        "0.0.0.0:8883": f"127.0.0.1:{port}",
        "mosquitto": "localhost",
        "${MQTT_HOST:-localhost}": "127.0.0.1",
        _option(words, "--plugin"): PLUGIN.format(arch=os.uname().machine),
        _option(words, "--into"): str(into),
        _option(words, "--services-into"): str(handed),
    }.items():
        kept = words[:3]  # the word mosquitto is a command there, and a host after it
        words = [*kept, *(here if word == there else word for word in words[3:])]
    environment = os.environ | {"TONNE_HOME": str(home), "TONNE_DATABASE_URL": database_url}

    def tonne(*given):
        done = commands.run(given, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(given)}: {done.stdout}{done.stderr}"

    devices = [{"id": name, **ROW} for name in ("inv-1", "inv-2")]
    (tmp_path / "sites.yaml").write_text(yaml.safe_dump({"sites": [SITE], "devices": devices}))
    tonne("registry", "import", str(tmp_path / "sites.yaml"))
    tonne(*words)  # at the first start nobody is enrolled
    with _serving(into, services["mosquitto"]):
        _await(port, tmp_path / "mosquitto.out")
        # a device that is enrolled later is let in at once, as by the service `cli`
        own = home / "identity/services/tonne"
        environment |= {
            "TONNE_MQTT_URL": f"mqtts://127.0.0.1:{port}",
            "TONNE_MQTT_CA_FILE": str(own / "ca.crt"),
            "TONNE_MQTT_CERT_FILE": str(own / "client.crt"),
            "TONNE_MQTT_KEY_FILE": str(own / "client.key"),
        }
        tonne("registry", "issue-credentials", "inv-1")
        _look(port, home, handed / SERVICES[file][0], ["inv-1"])
    tonne("registry", "issue-credentials", "inv-2", "--no-apply")
    tonne(*words)  # the next start knows them all
    with _serving(into, services["mosquitto"]) as process:
        _await(port, tmp_path / "mosquitto.out")
        assert listening_ports(process.pid) == {port}
        assert not speaks_plain(port)
        _look(port, home, handed / SERVICES[file][0], ["inv-1", "inv-2"])
        _watch(port, handed)


def _watch(port, handed):
    """
    Check that the watcher's identity gets queue statistics and no readings, and that the pipeline's
    is refused.
    """
    url, room = f"mqtts://127.0.0.1:{port}", Room(1_000, 1_000_000)
    metrics = Metrics(CollectorRegistry())
    told = ("tonne_broker_queued_messages", "tonne_broker_queued_bytes")
    with BrokerQueue(url, Tls.of(handed / WATCH), room, metrics, get_logger("test")):
        # mosquitto tells every ten seconds
        until(lambda: None not in map(metrics.registry.get_sample_value, told))
    watcher = Probe(port, Tls.of(handed / WATCH).context(), WATCH)
    assert watcher.open()
    for topic in ("tonne/v1/+/telemetry", "$share/tonne/tonne/v1/+/telemetry", "$SYS/#"):
        assert not watcher.subscribe(topic), topic
    watcher.close()
    with pytest.raises(InputError, match="another process uses"):
        BrokerQueue(url, Tls.of(handed / BRIDGES[0]), room, metrics, get_logger("test"))


def _look(port, home, service, names):
    """Check that each device can publish in its own name only, also with Sparkplug."""
    pipeline = Probe(port, Tls.of(service).context(), service.name)
    assert pipeline.open()
    assert pipeline.subscribe("$share/tonne/tonne/v1/+/telemetry")
    assert pipeline.subscribe("spBv1.0/+/NDATA/+")
    for name in names:
        tls = Tls.of(home / "identity/devices" / name).context()
        other = "inv-2" if name == "inv-1" else "inv-1"
        for topic, allowed in (
            (f"tonne/v1/{name}/telemetry", True),
            (f"tonne/v1/{other}/telemetry", False),
            (f"spBv1.0/g/NDATA/{name}", True),
            (f"spBv1.0/g/NDATA/{other}", False),
        ):
            device = Probe(port, tls, name)
            assert device.open()
            assert device.publish(topic, name.encode()) == allowed, topic
            device.close()
        for topic in (f"tonne/v1/{other}/receipt", "tonne/v1/+/telemetry", "$share/g/#"):
            device = Probe(port, tls, name)
            assert device.open()
            assert not device.subscribe(topic), topic
            device.close()
    true = {
        topic.format(name)
        for name in names
        for topic in ("tonne/v1/{}/telemetry", "spBv1.0/g/NDATA/{}")
    }
    assert {topic for topic, _ in pipeline.wait_for(len(true))} == true
    pipeline.close()
