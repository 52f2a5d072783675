"""Where programs of others that judge the log are: `TRANSPARENCY_HOME`, or beside the checkout."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOME = Path(os.environ.get("TRANSPARENCY_HOME") or ROOT.parent / "shared" / "transparency")
_WHY = f"no tlogcheck (C2SP, filippo.io/torchwood) in {HOME}; name its folder, TRANSPARENCY_HOME"
needs_judge = pytest.mark.skipif(not (HOME / "tlogcheck").is_file(), reason=_WHY)


def judge(kind, vkey, folder, *more):
    """What the judge says of a log whose key is this: its exit code and its words."""
    policy = folder.with_name(f"{folder.name}.policy")
    policy.write_text(f"log {vkey}\nquorum none\n", encoding="utf-8")
    done = subprocess.run(
        [HOME / "tlogcheck", kind, policy, folder, *more],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout
