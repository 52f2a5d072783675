"""docs/kafka.md and kafka-changes.md: the services and metrics that they name exist."""

import re
import shlex

from prometheus_client import CollectorRegistry

from services.metrics import Metrics
from tests.deploy.files import DEPLOY, ROOT, read

PAGE = "".join((ROOT / f"docs/{name}.md").read_text() for name in ("kafka", "kafka-changes"))
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
LINES = [line.split("  #")[0].strip() for line in BLOCKS.splitlines() if line.strip()]
COMPOSE = [part for line in LINES for part in line.split(" && ") if part.startswith("docker ")]


def test_services_are_there():
    """Compose refuses a service that its file does not name."""
    services = set(read(DEPLOY / "compose.kafka.yaml")[0]["services"])
    assert len(COMPOSE) > 10
    for line in COMPOSE:
        words = shlex.split(line.split(" < ")[0].split(" > ")[0])
        if words[2] in {"stop", "start", "kill", "logs", "exec", "run"} or "--no-deps" in words:
            assert services & set(words), line


def test_metrics_are_there():
    """An alert on a series that no one counts never fires."""
    exported = {
        sample
        for family in Metrics(CollectorRegistry()).registry.collect()
        for sample in (family.name, f"{family.name}_total", f"{family.name}_count")
    }
    named = set(re.findall(r"\b((?:tonne|process)_[a-z_]+)\b", PAGE))
    assert named
    assert named <= exported
