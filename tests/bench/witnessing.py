"""
How long a witness takes to cosign: `python -m tests.bench.witnessing [CHECKPOINTS]`.

`tonne witness serve` is a process of its own on the same machine; a log of a thousand entries
grows by one, and each head is asked for as the log's process asks: a new connection, the
consistency proof, both cosignatures verified.  The head is on the witness's disk before it
answers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles

from mrv.log.note import NoteKey
from mrv.log.policy import Member
from mrv.log.receipt import Checkpoint, sign_checkpoint
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import leaf_hash, root_hash
from services.issuer.witness_client import Question, ask
from services.witness import witness_keys
from services.witness.state import State
from tests.ports import free_port
from tests.transparency import answers
from tests.waiting import until

ENTRIES = 1_000


def measure(checkpoints: int) -> dict[str, float]:
    """Median and 99th percentile of the time from asking to a verified cosignature. [ms]"""
    key = SigningKey.generate()
    log = NoteKey("bench.example/log", key.public)
    leaves = [leaf_hash(number.to_bytes(8, "big")) for number in range(ENTRIES + checkpoints)]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "witness-server"
        witness = witness_keys.create(folder, "witness.example/bench").vkeys[0]
        with State(folder) as state:
            state.add_log(witness_keys.Vkey.parse(log.vkey), 0)
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "witness", "serve"],
            env={**os.environ, "TONNE_HOME": home, "TONNE_WITNESS_BIND": f"127.0.0.1:{port}"},
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: answers("127.0.0.1", port))
            member = Member(witness, f"http://127.0.0.1:{port}")
            took = []
            for size in range(ENTRIES + 1, ENTRIES + checkpoints + 1):
                under = leaves[:size]
                head = sign_checkpoint(Checkpoint(log.name, size, root_hash(under)), key)
                known = size - 1 if size > ENTRIES + 1 else 0
                done = ask(Question(head, under), member, known, 10, time.time())
                if done.state != "cosigned":
                    raise RuntimeError(done.why)
                took.append(done.took_s * 1e3)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    cuts = quantiles(took, n=100)
    return {"witness_p50_ms": round(cuts[49], 1), "witness_p99_ms": round(cuts[98], 1)}


if __name__ == "__main__":
    print(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
