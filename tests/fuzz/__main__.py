"""
`python -m tests.fuzz [CODEC ..]`: modified payloads into every codec, and the results.

Nothing may crash, hang, use excessive memory, or read a number that the payload does not contain. A
payload that breaks one of these rules is written to `tests/fuzz/found/`; after the correction it
moves to `tests/fuzz/corpus/`, which the tests run.  With `--atheris` coverage selects the payloads
of one codec (needs the dependency group `fuzz`).
"""

# ruff: noqa: T201 (figures are its output)
from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.fuzz import properties, seeds
from tests.fuzz.mutate import mutate

FOUND = Path(__file__).parent / "found"
BATCH, HANG_S, MAX_FOUND = 500, 20, 20
GROWTH = 32 * 1024 * 1024


class HangError(AssertionError):
    """A payload did not return in time."""


def main() -> None:
    """Fuzz the requested codecs, one after another."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("codecs", nargs="*", choices=[[], *properties.NAMES], default=[])
    parser.add_argument("--count", type=int, default=1_000_000, help="payloads a codec")
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--atheris", action="store_true", help="let coverage choose the payloads")
    options = parser.parse_args()
    held = seeds.gather()
    if options.atheris:
        codec, runs = (options.codecs or ["json"])[0], str(options.count)
        command = [sys.executable, "-m", "tests.fuzz.by_coverage", codec, runs]
        os.execv(sys.executable, command)  # noqa: S606 (it must import the codecs itself)
    figures = {}
    for codec in options.codecs or held:
        figures[codec] = fuzz(codec, held, options.count, options.seed)
        print(codec, json.dumps(figures[codec]), flush=True)
    sys.exit(1 if any(f["found"] for f in figures.values()) else 0)


def fuzz(codec: str, held: dict[str, list[bytes]], count: int, seed: int) -> dict[str, Any]:
    """Send modified payloads to one codec; return counts of the results."""
    rng = random.Random(f"{codec} {seed}")  # noqa: S311 (to be run again, not to be secret)
    pool = [payload for payloads in held.values() for payload in payloads]
    sent = read = rows = found = 0
    began, resident = time.process_time(), _resident()
    signal.signal(signal.SIGPROF, _hang)  # by processor time: a busy machine hangs nothing
    for start in range(0, count, BATCH):
        batch = []
        for _ in range(min(BATCH, count - start)):
            payload = mutate(rng.choice(held[codec]), pool, rng)
            sent += 1
            try:
                signal.setitimer(signal.ITIMER_PROF, HANG_S)
                read += properties.judge(codec, payload)
                batch.append(payload)
            except Exception as error:  # noqa: BLE001 (whatever it is, it was found)
                found += 1
                _keep(codec, payload, error)
        try:
            rows += properties.judge_together(codec, batch)
        except Exception as error:  # noqa: BLE001 (whatever it is, it was found)
            found += 1
            _keep(codec, b"\n".join(batch), error)
        if found >= MAX_FOUND:
            break
        if start <= count // 2 < start + BATCH:
            resident = _resident()
    signal.setitimer(signal.ITIMER_PROF, 0)
    growth = _resident() - resident
    if growth > GROWTH:
        found += 1
        print(f"{codec}: {growth / 2**20:.1f} MiB more in the second half")
    taken = time.process_time() - began
    return {
        "payloads": sent,
        "read": read,
        "rows": rows,
        "found": found,
        "growth_mib": round(growth / 2**20, 1),
        "us_each": round(taken / sent * 1e6, 1),
    }


def _hang(_signal: int, _frame: object) -> None:
    raise HangError(f"longer than {HANG_S} s")


def _keep(codec: str, payload: bytes, error: Exception) -> None:
    FOUND.mkdir(exist_ok=True)
    name = f"{codec}-{type(error).__name__}-{hashlib.sha256(payload).hexdigest()[:12]}.bin"
    (FOUND / name).write_bytes(payload)
    print(f"{name}: {error!s:.200}", flush=True)


def _resident() -> int:
    """Return the memory in use. [bytes]"""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


if __name__ == "__main__":
    main()
