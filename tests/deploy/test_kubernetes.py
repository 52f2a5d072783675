"""The manifests, compared with Kubernetes' own schemas, the command line, and each other."""

import json
import re
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from jsonschema_rs import Draft202012, Registry, validator_for

from services.vault import Place
from tests.deploy.files import DEPLOY, PINNED, ROOT, VERSION, accept, read, unknown_settings
from tests.every import every

# its schemas alone: the checker beside them reads all of a release again for each object
SCHEMAS = Path(find_spec("kubernetes_validate").origin).with_name("kubernetes-json-schema")
FOLDER = DEPLOY / "kubernetes"
FOLDERS = sorted(path.parent for path in FOLDER.glob("*/kustomization.yaml"))
OBJECTS = [
    pytest.param(document, id=f"{path.parent.name}/{path.stem}/{document['kind']}")
    for path in sorted(FOLDER.glob("*/*.yaml"))
    if path.name != "kustomization.yaml"
    for document in read(path)
]
PODS = [
    p
    for p in OBJECTS
    if {"template", "jobTemplate"} & p.values[0].get("spec", {}).keys()
    and p.values[0]["metadata"]["name"] not in {"mosquitto", "tonne-backup"}
]
LASTING = [p for p in PODS if p.values[0]["kind"] not in {"Job", "CronJob"}]
MOVING = [p for p in LASTING if p.values[0]["metadata"]["name"] != "tonne-api"]
SECRETS = {
    "tonne-owner": {"database_url"}, "tonne-pipeline": {"database_url"},
    "tonne-service": {"database_url"}, "tonne-signer": {"database_url"},
    "tonne-watch": {"database_url"}, "tonne-archivist": {"database_url"},
    "tonne-bucket": {"credentials"},
    **{f"tonne-kafka-{user}": {"kafka_url", "ca.crt"} for user in ("bridge", "worker", "admin")},
}  # fmt: skip
CLAIMS = {
    p.values[0]["metadata"]["name"]
    for p in OBJECTS
    if p.values[0]["kind"] == "PersistentVolumeClaim"
}
MQTT = "/run/secrets/mqtt"


def pod(manifest):
    spec = manifest["spec"]
    return spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]


def container(manifest):
    (found,) = pod(manifest)["containers"]
    return found


@cache
def _release(version):
    """Return the folder of a release's schemas, and its definitions."""
    folder = SCHEMAS / f"v{version}.0-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text("utf-8"))
    return folder, Registry([(definitions["$id"], definitions)], draft=Draft202012)


def _wrong(manifest, version):
    """Return the parts that a release of Kubernetes would reject, or ignore silently."""
    folder, definitions = _release(version)
    group, _, number = manifest["apiVersion"].rpartition("/")
    of = "-".join([manifest["kind"].lower(), *filter(None, [group.split(".")[0], number])])
    schema = json.loads((folder / f"{of}.json").read_text("utf-8"))
    found = validator_for(schema, registry=definitions).iter_errors(manifest)
    return [one.message for one in found]


@pytest.mark.parametrize("version", ["1.31", "1.34", "1.37"])
def test_kubernetes_knows_every_field(version):
    """A misspelt field is dropped without a message: a limit or probe that is not there."""

    @every(OBJECTS)
    def _(manifest):
        assert _wrong(manifest, version) == []


def test_every_file_is_applied():
    """A file that no kustomization names would never reach the cluster."""

    @every(FOLDERS)
    def _(folder):
        (document,) = read(folder / "kustomization.yaml")
        named = {name for name in document["resources"] if name.endswith(".yaml")}
        assert named == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        others = [name for name in document["resources"] if not name.endswith(".yaml")]
        assert all((folder / name / "kustomization.yaml").is_file() for name in others)
        assert all(image["newTag"] == VERSION for image in document.get("images", []))


def test_all_is_in_one_namespace():
    """An object in another namespace would have no secrets, and no network rules."""

    @every(OBJECTS)
    def _(manifest):
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == "tonne"


def test_commands_and_settings_are_real():
    """A pod that ends with a usage error would be restarted again and again."""

    @every(PODS)
    def _(manifest):
        found = container(manifest)
        assert PINNED.match(found["image"])
        assert found["image"] == f"tonne:{VERSION}"
        accept([word.replace("$(POD_NAME)", "pod-0") for word in found["args"]])
        environment = {entry["name"]: entry.get("value") for entry in found.get("env", [])}
        assert unknown_settings(environment) == set()
        if any("$(POD_NAME)" in word for word in found["args"]):
            assert "POD_NAME" in environment
        assert found["envFrom"] == [{"configMapRef": {"name": "tonne-settings"}}]


def test_the_settings_are_real():
    """A name that tonne does not know stops every pod at its start."""
    (settings,) = read(FOLDER / "base/settings.yaml")
    assert settings["metadata"]["name"] == "tonne-settings"
    assert unknown_settings(settings["data"]) == set()


def test_secrets_are_files_that_are_told_of():
    """A pod whose secret has another name or key waits permanently."""

    @every(PODS)
    def _(manifest):
        spec = pod(manifest)
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        mounts = {m["name"]: m["mountPath"] for m in container(manifest)["volumeMounts"]}
        assert mounts.keys() == volumes.keys()
        files = set()
        for volume in volumes.values():
            # what is neither made by hand nor gone with its pod is asked for here
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in CLAIMS
        made = [n for n, volume in volumes.items() if "secret" in volume and mounts[n] != MQTT]
        for name in made:
            secret = volumes[name]["secret"]
            files |= {f"{mounts[name]}/{item['path']}" for item in secret["items"]}
            assert {item["key"] for item in secret["items"]} <= SECRETS[secret["secretName"]]
        told = {
            e["value"] for e in container(manifest).get("env", []) if e["name"].endswith("_FILE")
        }
        assert {name for name in told if not name.startswith(MQTT)} == files


def test_each_process_shows_an_identity_of_its_own():
    """
    The client id is the name of the identity: two clients of one name would disconnect each other
    again and again.
    """

    @every(
        [("kafka/bridge", "$(POD_NAME)"), ("site/run", "tonne"), ("account/watch", "tonne-watch")]
    )
    def _(file, name):
        manifest = next(d for d in read(FOLDER / f"{file}.yaml") if "template" in d.get("spec", {}))
        environment = [(e["name"], e.get("value")) for e in container(manifest)["env"]]
        names = [key for key, _ in environment]
        told = dict(environment)
        assert told["TONNE_MQTT_CA_FILE"] == f"{MQTT}/ca.crt"
        assert told["TONNE_MQTT_CERT_FILE"] == f"{MQTT}/{name}.crt"
        assert told["TONNE_MQTT_KEY_FILE"] == f"{MQTT}/{name}.key"
        if "$" in name:  # Kubernetes puts in only what stands before
            assert names.index("POD_NAME") < names.index("TONNE_MQTT_CERT_FILE")
            assert (
                manifest["metadata"]["name"] == "tonne-bridge"
            )  # tonne-bridge-0 is a service's name
        volumes = {v["name"]: v for v in manifest["spec"]["template"]["spec"]["volumes"]}
        secret = {"tonne-watch": "tonne-watch-mqtt"}.get(name, "tonne-mqtt")
        assert volumes["mqtt"]["secret"]["secretName"] == secret


def test_the_broker_has_what_tonne_wrote_for_it_and_nothing_else():
    """Access rules edited by hand would lag behind the registry, or not check subscriptions."""
    by_kind = {document["kind"]: document for document in read(FOLDER / "broker/mosquitto.yaml")}
    spec = by_kind["StatefulSet"]["spec"]["template"]["spec"]
    (broker,), (first,) = spec["containers"], spec["initContainers"]
    (place,) = [mount["mountPath"] for mount in broker["volumeMounts"]]
    assert broker["workingDir"] == place
    assert broker["command"][-2:] == ["-c", "mosquitto.conf"]
    assert {m["name"] for m in first["volumeMounts"]} == {"made", "data"}
    assert [v["secret"]["secretName"] for v in spec["volumes"]] == ["tonne-broker"]
    page = (ROOT / "docs/kafka.md").read_text()
    (made,) = [line for line in page.splitlines() if line.startswith("tonne broker config")]
    assert f"--for {place} " in made
    assert all(PINNED.match(one["image"]) for one in (broker, first))
    assert spec["securityContext"]["runAsNonRoot"] is True
    for one in (broker, first):
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
    ports = [p["containerPort"] for p in broker["ports"]]
    ports += [p["port"] for p in by_kind["Service"]["spec"]["ports"]]
    ports += [
        p["port"] for rule in by_kind["NetworkPolicy"]["spec"]["ingress"] for p in rule["ports"]
    ]
    assert set(ports) == {8883}
    out = [p for document in read(FOLDER / "base/network.yaml") for p in _ports_out(document)]
    assert 8883 in out
    assert 1883 not in out


def _ports_out(policy):
    """Return the ports that a policy lets its pods reach."""
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}


def _reaches(component):
    """Return the ports that the pods of a component may reach, by all policies together."""
    found = set()
    for policy in read(FOLDER / "base/network.yaml"):
        chosen = policy["spec"]["podSelector"].get("matchExpressions", [])
        if all(component in one["values"] for one in chosen if one["key"].endswith("component")):
            found |= _ports_out(policy)
    return found


def test_each_reaches_what_it_needs_and_no_more():
    """A stolen web process would speak to Kafka or the MQTT broker."""
    names, store, mqtt, kafka, https = {53}, {5432}, {8883}, {9093}, {443, 9000}
    assert _reaches("api") == names | store | https
    assert _reaches("signer") == names | store | https
    assert _reaches("watch") == names | store | mqtt | https
    assert _reaches("run") == names | store | mqtt | https
    assert _reaches("bridge") == names | store | mqtt | kafka
    assert _reaches("worker") == names | store | kafka | https
    assert _reaches("topics") == names | store | kafka
    assert _reaches("migrate") == _reaches("backup") == names | store


def test_the_database_can_be_backed_up_here_too():
    """The page would name a schedule that only compose has."""
    (found,) = (d for d in read(FOLDER / "backup/backup.yaml") if d["kind"] == "StatefulSet")
    spec = found["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    for one in spec["containers"]:
        assert PINNED.match(one["image"])
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        words = " ".join([*one["command"], *one.get("args", [])])
        for script in re.findall(r"/scripts/([a-z-]+\.sh)", words):
            assert (DEPLOY / "backup" / script).is_file()


def test_a_restart_keeps_what_the_broker_was_told(tmp_path):
    """A device that was revoked since the first start would be let in again."""
    by_kind = {document["kind"]: document for document in read(FOLDER / "broker/mosquitto.yaml")}
    (first,) = by_kind["StatefulSet"]["spec"]["template"]["spec"]["initContainers"]
    made, data = tmp_path / "made", tmp_path / "data"
    made.mkdir()
    data.mkdir()
    (script,) = first["args"]
    script = script.replace("/made", str(made)).replace("/var/lib/mosquitto", str(data))
    for words in ("old", "new"):
        for name in ("dynamic-security.json", "ca.crl", "mosquitto.conf"):
            (made / name).write_text(words)
        subprocess.run([*first["command"], script], check=True)
        found = {path.name: path.read_text() for path in data.iterdir()}
        assert found == {"dynamic-security.json": "old", "ca.crl": words, "mosquitto.conf": words}
    assert {path.stat().st_mode & 0o077 for path in data.iterdir()} == {0}


def test_tonne_runs_with_nothing_to_spare():
    """Root or a writable image would let a flaw in a decoder become a foothold."""

    @every(PODS)
    def _(manifest):
        spec, found = pod(manifest), container(manifest)
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert found["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(found["resources"]) == {"requests", "limits"}
        assert set(found["resources"]["limits"]) == {"cpu", "memory"}


def test_probes_ask_for_progress():
    """
    A probe of the port alone would pass for a worker that holds
    its partitions and stores nothing.
    """

    @every(MOVING)
    def _(manifest):
        found = container(manifest)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert found[probe]["httpGet"] == {"path": "/healthz", "port": "metrics"}
        assert [port["containerPort"] for port in found["ports"]] == [9464]
        # what was received is stored before the end
        assert manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 60


def test_the_api_is_asked_only_what_a_restart_would_mend():
    """The API's liveness probe does not depend on the database."""
    (manifest,) = [p.values[0] for p in LASTING if p not in MOVING]
    found = container(manifest)
    assert [port["name"] for port in found["ports"]] == ["http"]
    ready = found["readinessProbe"]["httpGet"]
    assert (ready["path"], found["livenessProbe"]["httpGet"]["path"]) == ("/readyz", "/healthz")


def test_each_speaks_to_kafka_as_itself():
    """A worker with the bridge's password could write readings of any device."""

    @every([("kafka/bridge", "bridge"), ("kafka/worker", "worker"), ("setup/topics", "admin")])
    def _(file, user):
        manifest = next(d for d in read(FOLDER / f"{file}.yaml") if "template" in d.get("spec", {}))
        volumes = {v["name"]: v for v in pod(manifest)["volumes"]}
        assert volumes["kafka"]["secret"]["secretName"] == f"tonne-kafka-{user}"
        ports = _reaches(manifest["metadata"]["name"].removeprefix("tonne-"))
        assert 9093 in ports
        assert 9092 not in ports  # plain text


def test_all_that_compose_runs_runs_here():
    """A cluster without `tonne watch` would seal no day, and no one would hear of it."""
    composed = {
        service["command"][0]
        for file in ("compose.yaml", "compose.kafka.yaml")
        for service in read(DEPLOY / file)[0]["services"].values()
        if service["image"].startswith("tonne:")
        and service.get("restart") == "unless-stopped"
        and service["command"][0] != "est"  # where the fleet's authority is, which is not here
    }
    # what goes on here, and what the cluster starts anew each day
    here = {container(p.values[0])["args"][0] for p in PODS if p.values[0]["kind"] != "Job"}
    assert here == composed == {"run", "watch", "signer", "api", "bridge", "worker", "archive"}


def test_either_pipeline_brings_what_stands_beside_it():
    """An installation of one folder would have no process that seals days, or two."""

    @every(["site", "kafka"])
    def _(folder):
        (document,) = read(FOLDER / folder / "kustomization.yaml")
        assert {"../base", "../account"} <= set(document["resources"])
        (account,) = read(FOLDER / "account/kustomization.yaml")
        assert "../base" not in account["resources"]  # kustomize takes no object twice


def test_the_log_s_key_outlives_its_pod():
    """A log whose key was lost with its pod can never be extended again."""

    @every(LASTING)
    def _(manifest):
        spec, found = pod(manifest), container(manifest)
        home = next(v for v in spec["volumes"] if v["name"] == "home")
        signs = found["args"] == ["signer"]
        assert ("persistentVolumeClaim" in home) == signs
        if signs:
            # a group that may read a key's file is one too many: tonne refuses such a key
            assert spec["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
            assert manifest["spec"]["strategy"] == {"type": "Recreate"}
        elif found["args"][0] == "run":
            assert found["args"] == ["run", "--no-watch", "--no-seal"]


def test_a_drain_takes_one_at_a_time():
    """Without a matching pod disruption budget, a node upgrade stops all workers at once."""

    @every(["kafka/bridge", "kafka/worker", "account/watch", "account/signer", "account/api"])
    def _(name):
        by_kind = {document["kind"]: document for document in read(FOLDER / f"{name}.yaml")}
        lasting = by_kind.get("StatefulSet") or by_kind["Deployment"]
        labels = lasting["spec"]["template"]["metadata"]["labels"]
        budget = by_kind["PodDisruptionBudget"]["spec"]
        assert lasting["spec"]["selector"]["matchLabels"] == labels
        assert budget["selector"]["matchLabels"] == labels
        assert budget["maxUnavailable"] == 1
        if "Service" in by_kind:
            assert by_kind["Service"]["spec"]["selector"] == labels
            named = lasting["spec"].get("serviceName", by_kind["Service"]["metadata"]["name"])
            assert by_kind["Service"]["metadata"]["name"] == named
        policy = read(FOLDER / "base/network.yaml")[0]["spec"]["podSelector"]["matchLabels"]
        assert policy.items() <= labels.items()


def test_there_is_a_partition_for_every_worker():
    """A worker without a partition does no work, at the cost of one that does."""
    (topics,) = read(FOLDER / "setup/topics.yaml")
    words = container(topics)["args"]
    workers = next(d for d in read(FOLDER / "kafka/worker.yaml") if d["kind"] == "StatefulSet")
    assert int(words[words.index("--partitions") + 1]) >= workers["spec"]["replicas"]


def test_the_archive_is_one_for_whoever_reads_or_writes_it():
    """Late readings of an archived day would be dead letters, or archived into nothing."""
    (cron,) = read(FOLDER / "archive/archive.yaml")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    keeper = {v["name"]: v for v in pod(cron)["volumes"]}
    assert keeper["secrets"]["secret"]["secretName"] == "tonne-archivist"
    for file in ("site/run", "kafka/worker", "account/watch", "account/api"):
        reader = next(d for d in read(FOLDER / f"{file}.yaml") if "template" in d.get("spec", {}))
        bucket = next(v for v in pod(reader)["volumes"] if v["name"] == "bucket")
        # a site without an archive starts all the same
        assert bucket["secret"].pop("optional") is True
        assert bucket == keeper["bucket"]
    (settings,) = read(FOLDER / "base/settings.yaml")
    place = Place(settings["data"]["TONNE_ARCHIVE_URL"])
    options = dict(parse_qsl(urlsplit(place.url).query))
    port = urlsplit(f"//{options['endpoint_override']}").port
    for component in ("archive", "run", "worker", "watch", "api", "signer"):
        assert port in _reaches(component), component
