"""
`make bench`: drain, raw COPY, latency, memory, verification; one line of JSON at the end.

What each figure means and how it is taken is in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from tests.bench import (
    accounting,
    api,
    archiving,
    closing,
    codecs,
    console,
    drain,
    drain_kafka,
    identities,
    latency,
    latency_kafka,
    memory,
    sewers,
    stages,
    steady,
    verification,
    year,
)
from tests.running import Pipeline

PARTS = {
    "drain": drain.measure,
    "drain_kafka": drain_kafka.measure,
    "latency": latency.measure,
    "latency_kafka": latency_kafka.measure,
    "memory": memory.measure,
    "steady": steady.measure,
    "identities": identities.measure,
    "verification": verification.measure,
    "accounting": accounting.measure,
    "codecs": codecs.measure,
    "api": api.measure,
    "console": console.measure,
    "archiving": archiving.measure,
    "closing": closing.measure,
    "stages": stages.measure,
    "sewers": sewers.measure,
    "year": year.measure,
}


def main() -> None:
    """Measure the parts asked for."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--home", type=Path, default=Path(".tonne/bench"))
    options = parser.parse_args()
    figures: dict[str, float] = {}
    for name in options.parts or PARTS:
        home = (options.home / name).resolve()
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        pipeline = Pipeline(home)
        try:
            figures |= PARTS[name](pipeline)
        finally:
            pipeline.close()
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps({k: round(v, 3) for k, v in figures.items()}))


if __name__ == "__main__":
    main()
