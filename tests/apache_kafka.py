"""Where Apache Kafka is: what `KAFKA_HOME` names, else `shared/kafka` beside the checkout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from services.local.apache_kafka import HOME


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
