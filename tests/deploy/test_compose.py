"""The compose files, compared with the published schema, the command line, and each other."""

import json
import re
import subprocess
import sys

import jsonschema_rs
from prometheus_client import CollectorRegistry

from services.metrics import Metrics
from tests.deploy.files import DEPLOY, PINNED, ROOT, VERSION, accept, read, unknown_settings
from tests.every import every
from tests.ports import free_port

SCHEMA = json.loads((ROOT / "tests/data/compose-spec/compose-spec.json").read_text())
FILES = {name: read(DEPLOY / name)[0] for name in ("compose.yaml", "compose.kafka.yaml")}
SERVICES = [(f, s) for f, document in FILES.items() for s in document["services"]]
OURS = [(f, s) for f, s in SERVICES if FILES[f]["services"][s]["image"].startswith("tonne:")]
MADE = {  # by deploy/secrets.sh
    "owner_password", "pipeline_password", "api_password", "dashboards_password",
    "signer_password", "watch_password", "signer_url", "watch_url", "est_password", "est_url",
    "archive_password", "grafana_password", "owner_url", "pipeline_url", "api_url", "archive_url",
    "kafka_ca", "kafka_broker_pem",
    *(f"kafka_{user}_{what}" for user in ("broker", "admin", "bridge", "worker")
      for what in ("password", "url")),
}  # fmt: skip


def test_the_specification_knows_every_key():
    """A misspelt key would be refused, or worse ignored, on the operator's machine."""

    @every(FILES)
    def _(file):
        validator = jsonschema_rs.validator_for(SCHEMA)
        assert [f"{e.instance_path}: {e.message}" for e in validator.iter_errors(FILES[file])] == []


def test_images_are_pinned():
    """Each container image is named with its patch version."""

    @every(SERVICES)
    def _(file, name):
        image = FILES[file]["services"][name]["image"]
        assert PINNED.match(image), image


def test_commands_and_settings_are_real():
    """A container that ends with a usage error would be restarted again and again."""

    @every(OURS)
    def _(file, name):
        found = FILES[file]["services"][name]
        assert found["image"] == f"tonne:{VERSION}"
        if "command" in found:
            accept(found["command"])
        assert unknown_settings(found.get("environment", {})) == set()


def test_nothing_of_an_image_can_be_written():
    """Containers run with a read-only file system."""

    @every(SERVICES)
    def _(file, name):
        found = FILES[file]["services"][name]
        assert found["read_only"] is True
        assert found["cap_drop"] == ["ALL"]
        assert found["security_opt"] == ["no-new-privileges:true"]
        if name == "backup-folder":  # gives a new volume to the server's user, and ends
            assert found["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
            assert found["network_mode"] == "none"
            assert found["restart"] == "on-failure"
        else:
            assert "cap_add" not in found
            # an image of ours would run as root without it
            user = found["user"] if (file, name) in OURS else found.get("user", "1")
            assert not str(user).startswith(("0", "root"))


def test_the_database_is_backed_up_by_itself():
    """
    A failed disk would destroy ten years of evidence if the
    documented backup were not set up.
    """

    @every(FILES)
    def _(file):
        services = FILES[file]["services"]
        server, backup = services["timescaledb"], services["backup"]
        words = [word.removeprefix("-c").partition("=") for word in server["command"][1:]]
        told = {name: value for name, _, value in words}
        assert told["archive_mode"] == "on"
        assert int(told["archive_timeout"]) <= 60
        script, *names = told["archive_command"].removeprefix("sh ").split()
        assert names == ['"%p"', '"%f"', "/srv/backup/wal"]
        assert (DEPLOY / "backup" / script.rsplit("/", 1)[1]).is_file()
        assert "/srv/backup/wal" in services["backup-folder"]["entrypoint"][-1]
        for one in (server, backup):
            assert "backup:/srv/backup" in one["volumes"]
            assert "socket:/var/run/postgresql" in one["volumes"]
            assert "./backup:/usr/share/tonne/backup:ro" in one["volumes"]
            assert one["user"] == "70:70"
        assert backup["command"][1] == "/srv/backup"
        assert "host=/var/run/postgresql" in backup["command"][0]
        # nobody else may come in by the socket, which asks for no password
        inside = {
            n for n, s in services.items() if any("socket:" in v for v in s.get("volumes", ()))
        }
        assert inside == {"timescaledb", "backup"}


def test_secrets_are_files_that_are_made():
    """A default password is one that everyone knows."""

    @every(SERVICES)
    def _(file, name):
        document = FILES[file]
        found = document["services"][name]
        for secret in found.get("secrets", []):
            assert document["secrets"][secret]["file"] == f"./secrets/{secret}"
            assert secret in MADE
        for key, value in found.get("environment", {}).items():
            if str(value).startswith("/run/secrets/"):
                assert str(value).removeprefix("/run/secrets/") in found["secrets"], key
            else:
                assert not any(word in key for word in ("PASSWORD", "DATABASE_URL")), key
                assert not ("://" in str(value) and "@" in str(value)), key  # a password in a URL


def test_what_is_mounted_and_waited_for_exists():
    """A mount of a missing path becomes an empty folder; a missing dependency stops the start."""

    @every(SERVICES)
    def _(file, name):
        document = FILES[file]
        found = document["services"][name]
        for volume in found.get("volumes", []):
            # what stands there without the setting
            source = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", volume).split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            else:
                assert source in document["volumes"], source
        for other, how in found.get("depends_on", {}).items():
            needed = document["services"][other]
            if how["condition"] == "service_healthy":
                assert "healthcheck" in needed, other
            else:
                assert needed["restart"] == "on-failure", f"{other} never completes"
        assert set(found.get("networks", ())) <= set(document["networks"])
        assert "networks" in found or found["network_mode"] == "none"


def test_only_the_broker_can_be_reached_from_outside():
    """Only the broker's port is published outside the host."""

    @every(SERVICES)
    def _(file, name):
        found = FILES[file]["services"][name]
        if name == "mosquitto":
            assert found["ports"] == ["8883:8883"]
        elif name == "api":  # for a proxy on the same machine
            assert found["ports"] == ["127.0.0.1:8080:8080"]
        elif name == "est":
            assert found["ports"] == ["8444:8444"]
            assert found["profiles"] == ["enrolment"]
        elif name == "grafana":
            assert found["ports"] == ["127.0.0.1:3000:3000"]
        elif name == "alertmanager":  # it has to reach whoever is told, and is reached by nobody
            assert "ports" not in found
        else:
            assert "ports" not in found
            assert set(found.get("networks", ["inside"])) == {"inside"}
        assert FILES[file]["networks"]["inside"] == {"internal": True}


def _targets(file):
    config = "prometheus.kafka.yml" if "kafka" in file else "prometheus.yml"
    (document,) = read(DEPLOY / "prometheus" / config)
    return {
        target: job["job_name"]
        for job in document["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
        if job["job_name"].startswith("tonne-")
    }


def test_prometheus_scrapes_every_process():
    """
    A process that is not scraped fails without an alert; a target
    that does not exist raises one.
    """

    @every(FILES)
    def _(file):
        wanted = {}
        for name, found in FILES[file]["services"].items():
            if not found["image"].startswith("tonne:"):
                continue
            told = found.get("environment", {})
            bind = told.get("TONNE_METRICS_BIND", told.get("TONNE_API_BIND"))
            if bind is not None:
                wanted[f"{name}:{bind.split(':')[1]}"] = f"tonne-{found['command'][0]}"
        assert _targets(file) == wanted
        (config,) = (
            w for w in FILES[file]["services"]["prometheus"]["command"] if "config.file" in w
        )
        mounted = config.removeprefix("--config.file=/etc/prometheus/")
        assert mounted == ("prometheus.kafka.yml" if "kafka" in file else "prometheus.yml")


def test_both_files_say_the_same_of_what_they_share():
    """A correction in one of two files with equal content would leave the other wrong."""

    @every(
        [
            "timescaledb",
            "backup",
            "backup-folder",
            "mosquitto",
            "migrate",
            "logins",
            "archive",
            "watch",
            "signer",
            "est",
            "api",
            "alertmanager",
            "grafana",
        ]
    )
    def _(name):
        one, other = (document["services"][name] for document in FILES.values())
        assert one == other


def test_the_archive_is_written_by_one_and_read_by_all_who_need_it():
    """
    A process without the archive closes no old period; a second
    writer could damage the only copy.
    """

    @every(FILES)
    def _(file):
        services = FILES[file]["services"]
        place = "/srv/tonne-archive"
        archiver = services["archive"]
        assert archiver["secrets"] == ["archive_url"]
        assert archiver["volumes"] == [f"archive:{place}"]
        readers = {n for n, s in services.items() if f"archive:{place}:ro" in s.get("volumes", [])}
        pipeline = {"run"} if file == "compose.yaml" else {"worker-0", "worker-1"}
        assert readers == {"api", "cli", "signer", "watch", *pipeline}
        for name in readers | {"archive"}:
            assert services[name]["environment"]["TONNE_ARCHIVE_URL"] == place, name
        # a volume takes its owner from the image's folder
        assert (
            f"-o 10001 -g 10001 -m 0750 /var/lib/tonne {place}"
            in (DEPLOY / "Dockerfile").read_text()
        )


def test_each_worker_and_bridge_has_a_name_of_its_own():
    """Two clients with one name would disconnect each other again and again."""

    @every([("worker", "--instance"), ("bridge", "--client-id")])
    def _(kind, option):
        services = FILES["compose.kafka.yaml"]["services"]
        names = [
            s["command"][s["command"].index(option) + 1]
            for n, s in services.items()
            if n.startswith(kind)
        ]
        assert len(names) == len(set(names)) == 2


def test_brokers_keep_what_they_acknowledged():
    """With one copy, or an outdated leader, an acknowledged record can be lost."""
    services = FILES["compose.kafka.yaml"]["services"]
    brokers = {n: s for n, s in services.items() if n.startswith("kafka")}
    topics = services["topics"]["command"]
    assert int(topics[topics.index("--replication") + 1]) == len(brokers)
    script = (DEPLOY / "kafka/broker.sh").read_text()
    for number, (name, broker) in enumerate(sorted(brokers.items()), 1):
        told = broker["environment"]
        assert told["NODE"] == number
        assert told["HOSTS"].split()[number - 1] == name
        assert broker["entrypoint"] == ["sh", "/broker.sh"]
        assert "./kafka/broker.sh:/broker.sh:ro" in broker["volumes"]
    assert "copies=${COPIES:-3} in_step=${IN_STEP:-2}" in script
    assert "unclean.leader.election.enable=false" in script
    assert "auto.create.topics.enable=false" in script


def test_kafka_is_spoken_to_by_tls_and_as_the_least_that_is_needed():
    """A worker with the bridge's password could write readings of any device."""
    services = FILES["compose.kafka.yaml"]["services"]
    users = {"bridge-0": "bridge", "worker-0": "worker", "topics": "admin", "access": "broker",
             "cli": "admin"}  # fmt: skip
    for name, user in users.items():
        told = services[name]["environment"]
        assert told["TONNE_KAFKA_URL_FILE"] == f"/run/secrets/kafka_{user}_url"
        assert told["TONNE_KAFKA_CA_FILE"] == "/run/secrets/kafka_ca"
    script = (DEPLOY / "kafka/broker.sh").read_text()
    assert "PLAINTEXT" not in script
    assert "allow.everyone.if.no.acl.found=false" in script


def test_the_health_check_tells_a_process_that_moves_from_one_that_does_not():
    """A health check that always passes would leave a stuck worker with its partitions."""

    @every(["run", "watch", "bridge-0", "worker-0"])
    def _(name):
        file = "compose.yaml" if name in {"run", "watch"} else "compose.kafka.yaml"
        kind, python, *words = FILES[file]["services"][name]["healthcheck"]["test"]
        assert (kind, python) == ("CMD", "python")
        port = free_port()
        check = [sys.executable, *(word.replace("9464", str(port)) for word in words)]
        metrics = Metrics(CollectorRegistry())
        with metrics.serve(f"127.0.0.1:{port}"):
            assert subprocess.run(check, capture_output=True, check=False).returncode != 0
            metrics.pulse.beat("storing")
            assert subprocess.run(check, capture_output=True, check=False).returncode == 0


def test_whoever_answers_http_holds_no_key():
    """Processes that answer HTTP have no signing key."""

    @every(FILES)
    def _(file):
        services = FILES[file]["services"]
        mounts = {
            name: {volume.split(":")[0] for volume in found.get("volumes", [])}
            for name, found in services.items()
        }
        assert {name for name, of in mounts.items() if "signer" in of} == {"signer"}
        # the fleet's authority, the keys of people, the broker's administrator
        assert {name for name, of in mounts.items() if of & {"home", "broker", "services"}} <= {
            "cli", "broker", "est", "mosquitto", "run", "bridge-0", "bridge-1",
        }  # fmt: skip
        assert services["api"]["secrets"] == ["api_url"]
        assert "trust:/var/lib/tonne-trust:ro" in services["api"]["volumes"]
        signer = services["signer"]
        assert signer["secrets"] == ["signer_url"]
        assert signer["user"] != services["api"]["user"]
        assert signer["environment"]["TONNE_HOME"] == signer["volumes"][0].split(":")[1]
        assert "ports" not in signer
        assert signer["networks"] == ["inside"]


def test_nothing_that_is_deployed_is_of_one_city():
    """Another city would alarm under the name of Hai Phong, by its clock and in its currency."""
    files = [
        *DEPLOY.glob("compose*.yaml"), *DEPLOY.glob("grafana/dashboards/*/*.json"),
        *DEPLOY.glob("prometheus/**/*.yml"), *DEPLOY.glob("alertmanager/*"),
        *DEPLOY.glob("kubernetes/**/*.yaml"),
    ]  # fmt: skip
    words = re.compile(r"hai.?phong|ho_chi_minh|viet ?nam|VND|2204", re.IGNORECASE)
    assert len(files) > 40
    assert {str(f): found for f in files if (found := words.findall(f.read_text("utf-8")))} == {}


def test_what_compose_asks_of_the_environment_is_explained():
    """An operator would have to search a YAML file for the broker's name as used by devices."""
    page = (ROOT / "docs/settings.md").read_text("utf-8")
    asked = {
        name
        for file in DEPLOY.glob("compose*.yaml")
        for name in re.findall(r"(?<!:-)\$\{([A-Z_]+)", file.read_text("utf-8"))
    }
    assert asked == {
        "BACKUP_AT",
        "GRAFANA_LANGUAGE",
        "GRAFANA_TIMEZONE",
        "GRAFANA_WEEK_START",
        "MQTT_HOST",
    }
    assert {name for name in asked if f"| `{name}` |" not in page} == set()
