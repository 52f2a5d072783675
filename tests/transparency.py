"""Where programs of others that judge the log are: `TRANSPARENCY_HOME`, or beside the checkout."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.waiting import until

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
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def judged(policy, note, folder):
    """What the judge says of a checkpoint by a policy: its exit code and its words."""
    (folder / "judged.policy").write_bytes(policy)
    (folder / "judged.note").write_text(note, encoding="utf-8")
    done = subprocess.run(
        [HOME / "tlogcheck", "checkpoint", folder / "judged.policy", folder / "judged.note"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


class OthersWitness:
    """`litewitness` of C2SP, that knows one log; its key is in an agent of its own."""

    def __init__(self, folder, port, log):
        run = partial(subprocess.run, check=True, capture_output=True, text=True, timeout=120)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"])
        # the path of a socket is 100 bytes at most
        self._place = tempfile.TemporaryDirectory(prefix="agent-")
        agent = Path(self._place.name) / "s"
        self._agent = subprocess.Popen(
            ["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(agent.exists)
        run(["ssh-add", "-q", folder / "key"], env={**os.environ, "SSH_AUTH_SOCK": str(agent)})
        print_of = run(["ssh-keygen", "-lf", folder / "key.pub"]).stdout.split()[1]
        with closing(sqlite3.connect(folder / "w.db")) as state:
            state.executescript(_LITEWITNESS)
            state.execute("INSERT INTO log VALUES (?, 0, ?)", (log.name, _EMPTY))
            state.execute("INSERT INTO key VALUES (?, ?)", (log.name, log.vkey))
            state.commit()
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "witness.log"
        with self._log.open("wb") as out:
            self._server = subprocess.Popen(
                [HOME / "litewitness", "-name", "witness.example/other", "-key", print_of,
                 "-ssh-agent", agent, "-db", folder / "w.db", "-listen", f"127.0.0.1:{port}"],
                stdout=out, stderr=out,
            )  # fmt: skip
        until(lambda: self.vkey and answers("127.0.0.1", port))

    @property
    def vkey(self):
        """Its key, once it has said it."""
        found = re.search(r"witness\.example/other\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", self._said())
        return found and found[0]

    def _said(self):
        return self._log.read_text(encoding="utf-8")

    def close(self):
        """End it and its agent."""
        for one in (self._server, self._agent):
            one.terminate()
            one.wait(60)
        self._place.cleanup()


_EMPTY = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
_LITEWITNESS = """
CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);
CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL,
                  FOREIGN KEY(origin) REFERENCES log(origin));
CREATE TABLE bastion (origin TEXT NOT NULL, bastion TEXT NOT NULL,
                      FOREIGN KEY(origin) REFERENCES log(origin));
"""
_LACKS = [
    name
    for name, there in (
        ("litewitness", (HOME / "litewitness").is_file()),
        *((name, shutil.which(name)) for name in ("ssh-agent", "ssh-add", "ssh-keygen")),
    )
    if not there
]
needs_witness = pytest.mark.skipif(
    bool(_LACKS), reason=f"no {', '.join(_LACKS)} (C2SP's witness is looked for in {HOME})"
)


def answers(host, port):
    """Whether someone listens."""
    with suppress(OSError), socket.create_connection((host, port), 10):
        return True
    return False
