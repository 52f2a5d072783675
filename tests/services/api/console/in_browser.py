"""What the browser's check says of packs: its modules, run by Node."""

import json
import subprocess
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

from tests.fix_node import _tool
from tests.mrv import packs

RUNNER = Path(__file__).with_name("check.mjs")
TABLES = {name: name.encode() for name in packs.TABLES}
# steps of `tonne verify` that need no readings
SHARED = (
    "form", "keys and roles", "operator's proof", "verifier's proof and digest", "log receipt",
    "status", "claims", "manifest", "times", "approvals",
)  # fmt: skip
AT = datetime(2026, 2, 10, tzinfo=UTC)


def in_a_browser(cases):
    """Steps that the browser's modules find, for each case of (files, status, trusted)."""
    kept: dict[bytes, int] = {}  # most packs share most of their files

    def number(data):
        return None if data is None else kept.setdefault(data, len(kept))

    sent = [
        {
            "files": {name: number(data) for name, data in files.items()},
            "status": number(status),
            "trusted": number(trusted),
        }
        for files, status, trusted in cases
    ]
    told = {
        "at": str(int(AT.timestamp()) * 1_000_000),
        "kept": [b64encode(data).decode() for data in kept],
        "cases": sent,
    }
    done = subprocess.run(
        [*_tool("node"), str(RUNNER)],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def first_failure(found):
    """Return the name of the step that failed."""
    return next((one["name"] for one in found["steps"] if one["outcome"] == "failed"), None)


def ring_bytes(ring):
    """Write a keyring as it is, also one that no one should write."""
    return json.dumps({"keys": [key.to_json() for key in ring]}).encode()
