"""The manifests against Kubernetes' own schemas, the command line, and each other."""

from __future__ import annotations

import kubernetes_validate
import pytest

from tests.deploy.files import DEPLOY, PINNED, VERSION, accept, read, unknown_settings

FOLDER = DEPLOY / "kubernetes"
FOLDERS = sorted(path.parent for path in FOLDER.glob("*/kustomization.yaml"))
OBJECTS = [
    pytest.param(document, id=f"{path.parent.name}/{path.stem}/{document['kind']}")
    for path in sorted(FOLDER.glob("*/*.yaml"))
    if path.name != "kustomization.yaml"
    for document in read(path)
]
PODS = [p for p in OBJECTS if "template" in p.values[0].get("spec", {})]
PIPELINE = [p for p in PODS if p.values[0]["kind"] != "Job"]
SECRETS = {"tonne-owner": {"database_url"}, "tonne-pipeline": {"database_url", "mqtt_url"}}
objects = pytest.mark.parametrize("manifest", OBJECTS)
pods = pytest.mark.parametrize("manifest", PODS)


def container(manifest):
    (found,) = manifest["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("version", ["1.31", "1.34", "1.37"])
@objects
def test_kubernetes_knows_every_field(manifest, version):
    """A misspelt field is dropped in silence: a limit or probe that is not there."""
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_is_found():
    """A check that takes anything would let every other manifest of ours through as well."""
    wrong = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dta": {"A": "b"},
    }  # fmt: skip
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_every_file_is_applied(folder):
    """A file that no kustomization names would never reach the cluster."""
    (document,) = read(folder / "kustomization.yaml")
    named = {name for name in document["resources"] if name.endswith(".yaml")}
    assert named == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    others = [name for name in document["resources"] if not name.endswith(".yaml")]
    assert all((folder / name / "kustomization.yaml").is_file() for name in others)
    assert all(image["newTag"] == VERSION for image in document.get("images", []))


@objects
def test_all_is_in_one_namespace(manifest):
    """An object elsewhere would not see the secrets, nor be under the network's rules."""
    if manifest["kind"] != "Namespace":
        assert manifest["metadata"]["namespace"] == "tonne"


@pods
def test_commands_and_settings_are_real(manifest):
    """A pod that ends with a usage error would be restarted for ever."""
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


@pods
def test_secrets_are_files_that_are_told_of(manifest):
    """A pod whose secret has another name or key waits for ever."""
    spec = manifest["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {m["name"]: m["mountPath"] for m in container(manifest)["volumeMounts"]}
    assert mounts.keys() == volumes.keys()
    files = set()
    if "secrets" in volumes:
        secret = volumes["secrets"]["secret"]
        files = {f"{mounts['secrets']}/{item['path']}" for item in secret["items"]}
        assert {item["key"] for item in secret["items"]} <= SECRETS[secret["secretName"]]
    told = {e["value"] for e in container(manifest).get("env", []) if e["name"].endswith("_FILE")}
    assert told == files


@pods
def test_tonne_runs_with_nothing_to_spare(manifest):
    """Root or a writable image would let a flaw in a decoder become a foothold."""
    spec, found = manifest["spec"]["template"]["spec"], container(manifest)
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


@pytest.mark.parametrize("manifest", PIPELINE)
def test_probes_ask_for_progress(manifest):
    """A worker that holds its partitions and stores nothing still has an open port."""
    found = container(manifest)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert found[probe]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert [port["containerPort"] for port in found["ports"]] == [9464]
    # what was received is stored before the end
    assert manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 60


@pytest.mark.parametrize("name", ["bridge", "worker"])
def test_a_drain_takes_one_at_a_time(name):
    """Without a budget that matches, a node upgrade stops every worker at once."""
    by_kind = {document["kind"]: document for document in read(FOLDER / f"kafka/{name}.yaml")}
    stateful, budget = by_kind["StatefulSet"]["spec"], by_kind["PodDisruptionBudget"]["spec"]
    labels = stateful["template"]["metadata"]["labels"]
    assert stateful["selector"]["matchLabels"] == labels
    assert budget["selector"]["matchLabels"] == labels
    assert budget["maxUnavailable"] == 1
    assert by_kind["Service"]["spec"]["selector"] == labels
    assert by_kind["Service"]["metadata"]["name"] == stateful["serviceName"]
    policy = read(FOLDER / "base/network.yaml")[0]["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= labels.items()


def test_there_is_a_partition_for_every_worker():
    """A worker without a partition has nothing to do, and costs what one costs that has."""
    (topics,) = read(FOLDER / "setup/topics.yaml")
    words = container(topics)["args"]
    workers = next(d for d in read(FOLDER / "kafka/worker.yaml") if d["kind"] == "StatefulSet")
    assert int(words[words.index("--partitions") + 1]) >= workers["spec"]["replicas"]
