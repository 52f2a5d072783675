"""A verifier installs numpy, pyarrow, cryptography and two small packages, and no server."""

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from mrv.signatures import canonical
from mrv.statement.states import sign_list
from tests.mrv import packs

ROOT = Path(__file__).parents[2]
# as docs/auditors.md says, and what cryptography itself asks for
INSTALLED = ("numpy", "pyarrow", "cryptography", "msgspec", "rfc8785", "tzdata",
             "cffi", "pycparser", "typing_extensions")  # fmt: skip
RUN = """
import runpy, sys
sys.path[:0] = {path!r}
sys.argv = ["verify", *{arguments!r}]
runpy.run_module("mrv.verify", run_name="__main__")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder with only these installed packages."""
    made = tmp_path_factory.mktemp("site")
    for name in INSTALLED:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or () if ".." not in file.parts}:
            target = Path(str(found.locate_file(top)))
            if target.exists() and not (made / top).exists() and top != "__pycache__":
                (made / top).symlink_to(target)
    for room in ("ingest", "mrv"):
        (made / room).symlink_to(ROOT / room)
    return made


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """Return a complete pack in a folder."""
    return packs.folder(tmp_path_factory.mktemp("pack"))


def _verify(site, *arguments):
    code = RUN.format(path=[str(site)], arguments=[str(a) for a in arguments])
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )


def test_a_pack_is_verified_without_any_server(site, pack):
    """A pack is verified without a server, a database driver or a broker's client."""
    name = json.loads((pack / "statement.json").read_bytes())["credentialSubject"]["statement"]
    signer = packs.SIGNERS["operator"], packs.HOLDERS["operator"]
    status = pack.parent / f"{pack.name}-status.json"
    status.write_bytes(canonical.encode(sign_list("pv", [name], [], *signer, packs.NOW)))
    keys = pack.parent / f"{pack.name}-trusted.json"  # the reader's own, got apart from the pack
    keys.write_bytes((pack / "keys.json").read_bytes())
    given = ("--keys", keys, "--status", status, "--at", "2026-02-02T00:00:00Z")
    done = _verify(site, pack, *given, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert report["ok"]
    assert {s["name"] for s in report["steps"] if s["outcome"] == "ok"} >= {"metering", "account"}


def test_the_command_loads_no_server():
    """`tonne verify` would fail where the database's driver cannot be loaded."""
    code = (
        "import sys, json; import services.cli.__main__;"
        "import services.cli.statements.verify;"
        "print(json.dumps(sorted(m for m in sys.modules"
        " if m.split('.')[0] in ('services', 'psycopg', 'pydantic', 'paho'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = json.loads(done.stdout)
    rooms = {name.split(".")[1] for name in loaded if name.startswith("services.")}
    assert rooms <= {"cli", "extras", "nearest"}
    assert not {"psycopg", "pydantic", "paho"} & set(loaded)
