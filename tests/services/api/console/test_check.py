"""What a browser says of a statement, and what `tonne verify` says of it."""

import json
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from mrv.signatures import canonical
from mrv.signatures.keyfile import write_keyring
from mrv.statement.status import sign_list
from mrv.verify import verify
from tests.fix_node import _tool
from tests.mrv import packs

RUNNER = Path(__file__).with_name("check.mjs")
FILES = packs.documents()
WHOLE = packs.pack(FILES)
TABLES = {name: name.encode() for name in packs.TABLES}
NAME = canonical.parse_object(FILES["statement.json"])["credentialSubject"]["statement"]
# steps of `tonne verify` that need no readings
SHARED = (
    "form", "keys and roles", "operator's proof", "verifier's proof and digest", "log receipt",
    "status", "claims", "manifest",
)  # fmt: skip


def in_a_browser(cases):
    """Steps that the browser's modules find, for each case of (files, status, trusted)."""
    sent = [
        {
            "files": {name: b64encode(data).decode() for name, data in files.items()},
            **{
                k: b64encode(v).decode() for k, v in (("status", status), ("trusted", trusted)) if v
            },
        }
        for files, status, trusted in cases
    ]
    done = subprocess.run(
        [*_tool("node"), str(RUNNER)], input=json.dumps(sent), capture_output=True, text=True,
        check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def status_list(*ended):
    """Sign the project's status list."""
    signer = packs.SIGNERS["operator"], packs.HOLDERS["operator"]
    return canonical.encode(sign_list("pv", [NAME], ended, *signer, packs.NOW))


def first_failure(steps):
    """Return the name of the step that failed."""
    return next((one["name"] for one in steps if one["outcome"] == "failed"), None)


def test_a_whole_pack_passes_in_the_browser():
    """A citizen would be told that an honest statement is false."""
    found = in_a_browser([
        (FILES | TABLES, status_list(), None),
        (FILES | TABLES, status_list(), write_keyring(packs.HOLDERS.values())),
    ])  # fmt: skip
    for steps in found:
        assert [one["name"] for one in steps] == list(SHARED)
        assert {one["outcome"] for one in steps} == {"ok"}, steps
    report = verify(WHOLE, packs.HOLDERS.values(), status_list())
    said = {one.name: one.detail for one in report.steps}
    assert found[1][2]["detail"] == said["operator's proof"]
    assert found[1][3]["detail"] == said["verifier's proof and digest"]
    assert found[1][4]["detail"] == said["log receipt"]
    assert found[1][6]["detail"] == said["claims"]
    assert found[1][7]["detail"] == said["manifest"]


def test_a_superseded_statement_is_named():
    """A reader would take a statement that was replaced for one that counts."""
    (steps,) = in_a_browser([(FILES | TABLES, status_list(NAME), None)])
    assert first_failure(steps) == "status"


def spoiled():
    """Yield (where, files) for each field of each document, and each file, spoilt."""
    for name in ("statement.json", "verification.json", "keys.json", "manifest.json"):
        for where, data in packs.spoiled(FILES[name]):
            yield f"{name} {where}", {**FILES, name: data}
    for name, data in FILES.items():
        yield f"{name} missing", {k: v for k, v in FILES.items() if k != name}
        yield f"{name} cut", {**FILES, name: data[: len(data) // 2]}
        yield f"{name} empty", {**FILES, name: b""}
        yield f"{name} with one byte more", {**FILES, name: data + b"x"}
        yield f"{name} no text", {**FILES, name: b"\xff\xfe" + data}
    yield "a file more", {**FILES, "extra.json": b"{}"}
    for name in ("receipt.txt", "manifest.txt"):
        lines = FILES[name].decode().split("\n")
        for number, line in enumerate(lines):
            other = [*lines[:number], _other(line), *lines[number + 1 :]]
            yield f"{name} line {number} changed", {**FILES, name: "\n".join(other).encode()}
            less = lines[:number] + lines[number + 1 :]
            yield f"{name} line {number} missing", {**FILES, name: "\n".join(less).encode()}
    yield from twice()
    yield from ambiguous()


def _other(line):
    return line[:-2] + ("B" if line[-2:-1] == "A" else "A") + line[-1:] if len(line) > 1 else "x"


def twice():
    """Yield documents in which two parts were exchanged."""
    yield "documents exchanged", {
        **FILES, "statement.json": FILES["verification.json"],
        "verification.json": FILES["statement.json"],
    }  # fmt: skip
    yield "receipts exchanged", {
        **FILES, "receipt.txt": FILES["manifest.txt"], "manifest.txt": FILES["receipt.txt"],
    }  # fmt: skip


def ambiguous():
    """Yield documents that two readers would read differently."""
    data = FILES["statement.json"]
    name = f'"statement":"{NAME}"'.encode()
    assert data.count(name) == 1
    yield "a key twice", {**FILES, "statement.json": data.replace(name, name + b"," + name)}
    for text in (b"1.0", b"1e2", b"9007199254740993", b"NaN", b'"\\ud800"', b"01", b"'x'"):
        other = data.replace(name, name + b',"x":' + text)
        yield f"x is {text!r}", {**FILES, "statement.json": other}
    weak = "did:key:z6MkeTG3bFFSLYVU7VqhgZxqr6YzpaGrQtFMh1uvqGy1vDnP"  # the point of order one
    key = packs.HOLDERS["operator"].did
    swapped = {
        name: text.replace(key.encode(), weak.encode()).replace(key[8:].encode(), weak[8:].encode())
        for name, text in FILES.items()
    }
    yield "a key of small order", swapped


CASES = list(spoiled())


@pytest.fixture(scope="module")
def found():
    """Ask for all cases at once: a start of Node costs more than a check."""
    return in_a_browser([(files | TABLES, status_list(), None) for _, files in CASES])


def test_browser_and_command_agree_on_what_is_spoilt(found):
    """One of the two would pass what the other refuses."""
    assert len(CASES) > 400
    refused = 0
    for (where, files), steps in zip(CASES, found, strict=True):
        failure = verify(packs.with_files(WHOLE, files), (), status_list()).failure
        said = failure and failure.name
        if said in SHARED:
            refused += 1
            assert first_failure(steps) == said, f"{where}: {failure}, in the browser {steps}"
        elif said is None:
            assert first_failure(steps) is None, f"{where}: passes, in the browser {steps}"
    assert refused > 350
