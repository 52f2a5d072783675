"""Limits of memory and processors: one table with measured values, for every container."""

import re
import tomllib

from tests.deploy.files import DEPLOY, read
from tests.every import every

TABLE = tomllib.loads((DEPLOY / "limits.toml").read_text(encoding="utf-8"))
# containers that are of a process with another name
SAME = {
    "access": "topics", "logins": "tools", "backup-folder": "tools", "files": "tools",
    "log": "backup", "base": "backup",
}  # fmt: skip
COMPOSE = [
    (path.name, name, service)
    for path in sorted(DEPLOY.glob("compose*.yaml"))
    for name, service in read(path)[0]["services"].items()
    if "image" in service
]


def containers():
    """Yield every container of the manifests, with its file and name."""
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        for document in read(path):
            spec = document.get("spec", {})
            spec = spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec", {})
            for one in (*spec.get("initContainers", ()), *spec.get("containers", ())):
                yield path.name, one["name"], one


def process(name):
    """Return the name of the table's row for a container: `worker-1` is a worker."""
    name = re.sub(r"-\d+$", "", name)
    return SAME.get(name, name)


def test_a_limit_has_room_above_what_was_measured():
    """A process would be killed for using the memory that it was measured to need."""

    @every(TABLE)
    def _(name):
        found = TABLE[name]
        measured = found.get("measured_mib")
        assert ("not measured" in found["source"]) or measured is not None
        if measured is not None:
            assert found["limit_mib"] >= 2 * measured
            assert found.get("request_mib", measured) >= measured
        assert found.get("request_mib", 0) <= found["limit_mib"]
        assert found.get("request_cpu", 0) <= found["limit_cpu"]


def test_compose_has_the_limits_of_the_table():
    """A memory limit changed in one file would remain unchanged in the other."""

    @every(COMPOSE)
    def _(file, name, service):
        limits = service["deploy"]["resources"]["limits"]
        found = TABLE[process(name)]
        expected = {"cpus": str(found["limit_cpu"]), "memory": f"{found['limit_mib']}M"}
        assert limits == expected, file


def test_kubernetes_has_the_limits_of_the_table():
    """A pod that asks for less than it needs is put where there is no room for it."""

    @every(list(containers()))
    def _(file, name, found):
        said = TABLE[process(name)]
        for word, kind in (("requests", "request"), ("limits", "limit")):
            given = found["resources"][word]
            cpu = str(given["cpu"])
            cores = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
            assert (cores, given["memory"]) == (said[f"{kind}_cpu"], f"{said[f'{kind}_mib']}Mi"), (
                file
            )


def test_every_row_is_of_a_process():
    """A row for a process that does not exist would be maintained, and its figure trusted."""
    used = {process(name) for _, name, _ in (*COMPOSE, *containers())}
    assert used == set(TABLE)
