"""
Apache Kafka if it is available: in `KAFKA_HOME`, else in `shared/kafka` next to the checkout.

A run starts eight brokers.  Loading Java's classes takes half of the processor time of each start,
and formatting the folder another quarter; both are done once per run.
"""

import os
import shutil
from pathlib import Path

from services.local.brokers import HOME, ApacheKafka
from tests.ports import give_ports


def _apache() -> tuple[Path | None, str]:
    """Return Apache Kafka's folder, or why there is none."""
    beside = Path(__file__).parents[2] / "shared" / "kafka"
    folder = Path(os.environ.get(HOME) or beside)
    if not (folder / "bin" / "kafka-server-start.sh").exists():
        return None, f"no Apache Kafka in {HOME} or {beside}"
    if shutil.which("java") is None:
        return None, f"no java to run Apache Kafka in {folder}"
    return folder.resolve(), f"Apache Kafka in {folder}"


APACHE, WHY = _apache()
_CLASSES = "classes.jsa"


class Quick(ApacheKafka):
    """A broker that starts with the prepared empty data folder and class cache in `made`."""

    def __init__(self, home: Path, made: Path) -> None:
        assert APACHE is not None
        super().__init__(give_ports(home, "kafka", "kafka-controller"), APACHE)
        self._made = made

    def _environment(self) -> list[str]:
        return with_options(super()._environment(), options(self._made))

    def _format(self, file: Path) -> None:
        shutil.copytree(self._made / "data", self.folder / "data")


class _First(ApacheKafka):
    """A broker that is formatted but never started, and writes the class cache."""

    def _environment(self) -> list[str]:
        archive = self.folder / _CLASSES
        return with_options(super()._environment(), f"-XX:ArchiveClassesAtExit={archive}")


def make(home: Path) -> Path:
    """Format a data folder; return the folder that contains it and Java's class cache."""
    assert APACHE is not None
    first = _First(give_ports(home, "kafka", "kafka-controller"), APACHE)
    first.folder.mkdir()
    first.command(first.port)
    return first.folder


def options(made: Path) -> str:
    """Return Java's options for a cache of classes that earlier starts have loaded."""
    archive = made / _CLASSES
    return f"-XX:SharedArchiveFile={archive}" if archive.exists() else ""


def with_options(environment: list[str], more: str) -> list[str]:
    """Return an environment of Kafka's scripts with additional Java options."""
    return [f"{one} {more}" if one.startswith("KAFKA_OPTS=") else one for one in environment]
