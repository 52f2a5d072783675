"""docs/kafka.md and kafka-changes.md: commands and metrics that a reader needs are real."""

import re
import shlex

import pytest
from prometheus_client import CollectorRegistry

from services.metrics import Metrics
from tests.deploy.files import DEPLOY, ROOT, accept, read

PAGE = "".join((ROOT / f"docs/{name}.md").read_text() for name in ("kafka", "kafka-changes"))
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
LINES = [line.split("  #")[0].strip() for line in BLOCKS.splitlines() if line.strip()]
COMMANDS = [line.removeprefix("tonne ") for line in LINES if line.startswith("tonne ")]
COMMANDS += [
    line.split(" cli ", 1)[1]
    for line in LINES
    if line.startswith("docker compose run") and " cli " in line
]
COMPOSE = [part for line in LINES for part in line.split(" && ") if part.startswith("docker ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_taken(command):
    """A command that is refused costs the minutes that there are not."""
    accept(shlex.split(command.replace("/sites.yaml", str(DEPLOY / "catalog/demo.yaml"))))


def test_services_are_there():
    """Compose refuses a service that its file does not name."""
    services = set(read(DEPLOY / "compose.kafka.yaml")[0]["services"])
    assert len(COMPOSE) > 10
    for line in COMPOSE:
        words = shlex.split(line.split(" < ")[0].split(" > ")[0])
        if words[2] in {"stop", "start", "kill", "logs", "exec", "run"} or "--no-deps" in words:
            assert services & set(words), line


def test_metrics_and_targets_are_there():
    """An alert on a series that nobody counts never fires."""
    exported = {
        sample
        for family in Metrics(CollectorRegistry()).registry.collect()
        for sample in (family.name, f"{family.name}_total", f"{family.name}_count")
    }
    named = set(re.findall(r"\b((?:tonne|process)_[a-z_]+)\b", PAGE))
    assert named
    assert named <= exported
    headings = re.findall(r"^## (.+)$", (ROOT / "docs/scaling.md").read_text(), re.MULTILINE)
    headings += re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\((?:scaling\.md|kafka\.md)?#([a-z-]+)\)", PAGE)) <= anchors


def test_files_are_there():
    """A path that is gone sends the reader looking."""
    for path in re.findall(r"`?(deploy/[a-z./-]+[a-z]|tests/[a-z_./]+\.py)", PAGE):
        assert (ROOT / path).exists() or path.startswith("deploy/secrets"), path
