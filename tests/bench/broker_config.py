"""Memory and time of `tonne broker config` for a fleet of which everybody has a certificate."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.bench import load
from tests.running import Pipeline

PRINCIPALS = int(os.environ.get("BENCH_PRINCIPALS", "10000"))


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Most memory [MiB] and seconds of the command, for mosquitto and for RabbitMQ."""
    pipeline.register(load.registry(PRINCIPALS))
    began = time.monotonic()
    pipeline.tonne("registry", "issue-credentials", "--all", "--no-apply")
    print(f"{PRINCIPALS} credentials issued in {time.monotonic() - began:.0f} s")
    figures = {}
    for kind in ("mosquitto", "rabbitmq"):
        began = time.monotonic()
        # a process of its own: a forked one has what its parent loaded
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "broker", "config", kind, "--host", "127.0.0.1"],
            env=pipeline.environment,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, kind
        figures[f"broker_config_{kind}_s"] = time.monotonic() - began
        figures[f"broker_config_{kind}_mib"] = used.ru_maxrss / 1024
    return figures
