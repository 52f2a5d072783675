"""
How long a monitor takes to catch up with a log: `python -m tests.bench.monitoring [ENTRIES]`.

The tiles are written as `tonne log tiles` writes them, and served by Python's own static
server, a process of its own.  `tonne log monitor` starts from nothing, reads every entry over
HTTP, computes the tree and compares it with the signed root; then the log grows by a hundred
entries, and it goes one more round.  Entries are as long as those of issued statements.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mrv.log.note import NoteKey
from mrv.log.receipt import Checkpoint, sign_checkpoint
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import leaf_hash, root_hash
from services.tiles.files import publish
from tests.ports import free_port
from tests.transparency import answers
from tests.waiting import until

MORE = 100


def measure(count: int) -> dict[str, float]:
    """Seconds of publishing, of the first round and of the next, and what was read."""
    key = SigningKey.generate()
    log = NoteKey("bench.example/log", key.public)
    entries = [_entry(number) for number in range(count + MORE)]
    leaves = [leaf_hash(one) for one in entries]

    def head(size: int) -> str:
        return sign_checkpoint(Checkpoint(log.name, size, root_hash(leaves[:size])), key)

    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "tiles"
        began = time.perf_counter()
        done = publish(folder, head(count), entries[:count], leaves[:count])
        published = time.perf_counter() - began
        port = free_port()
        server = subprocess.Popen(
            [sys.executable, "-m", "http.server", str(port), "-b", "127.0.0.1", "-d", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: answers("127.0.0.1", port))
            url = f"http://127.0.0.1:{port}"
            first = _round(url, log, home)
            began = time.perf_counter()
            publish(folder, head(count + MORE), entries, leaves)
            again = time.perf_counter() - began
            second = _round(url, log, home)
        finally:
            server.terminate()
            server.wait(20)
    return {
        "entries": count,
        "entry_bytes": len(entries[0]),
        "files": done.written,
        "publish_s": round(published, 2),
        "publish_100_more_s": round(again, 2),
        "catch_up_s": round(first[0], 2),
        "catch_up_cpu_s": round(first[1], 2),
        "next_round_s": round(second[0], 2),
        "next_round_cpu_s": round(second[1], 2),
    }


def _entry(number: int) -> bytes:
    said = {
        "event": "issued", "statement": f"TN-plant-20260101-20260201-{number}",
        "digest": f"{number:064x}", "verification": f"{number:064x}", "project": "plant",
        "issuer": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    }  # fmt: skip
    return json.dumps(said, separators=(",", ":")).encode()


def _round(url: str, log: NoteKey, home: str) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "services.cli", "log", "monitor", url, "--key", log.vkey],
        env={**os.environ, "TONNE_HOME": home},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, spent


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
