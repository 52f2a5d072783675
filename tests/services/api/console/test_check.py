"""The browser's verification of a statement agrees with that of `tonne verify`."""

import json
import subprocess
import zipfile
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ingest.errors import InputError
from mrv.signatures import canonical
from mrv.signatures.authorities import StampRule
from mrv.signatures.ed25519 import encode_base58
from mrv.signatures.keys import write_keyring
from mrv.signatures.trust_root import IssueRule, read_trusted
from mrv.statement.states import sign_list
from mrv.verify import verify
from tests.fix_node import _tool
from tests.mrv import forging as forgeries
from tests.mrv import packs
from tests.mrv import test_approvals as approved
from tests.mrv.test_verify_asked import ways_to_hide
from tests.services.api.console.in_browser import (
    AT,
    SHARED,
    TABLES,
    first_failure,
    in_a_browser,
    ring_bytes,
)
from tests.timestamp_authority import StampAuthority

FILES = packs.documents()
WHOLE = packs.pack(FILES)
NAME = canonical.parse_object(FILES["statement.json"])["credentialSubject"]["statement"]


@cache
def status_list(*ended):
    """Sign the project's status list."""
    signer = packs.SIGNERS["operator"], packs.HOLDERS["operator"]
    return canonical.encode(sign_list("pv", [NAME], ended, *signer, packs.NOW))


def test_a_whole_pack_passes_in_the_browser():
    """A citizen would be informed that an honest statement is false."""
    found = in_a_browser(
        [
            (FILES | TABLES, status_list(), None),
            (FILES | TABLES, status_list(), write_keyring(packs.HOLDERS.values())),
        ]
    )
    for one in found:
        names = [*SHARED[:6], "plan and factors", *SHARED[6:]]
        assert [step["name"] for step in one["steps"]] == names
        assert {step["outcome"] for step in one["steps"]} == {"ok"}, one
    assert [one["missing"] for one in found] == [["keys"], []]
    report = verify(WHOLE, packs.HOLDERS.values(), status_list(), at=AT)
    found = [one["steps"] for one in found]
    said = {one.name: one.detail for one in report.steps}
    assert found[1][2]["detail"] == said["operator's proof"]
    assert said["verifier's proof and digest"].startswith(found[1][3]["detail"])
    assert found[1][4]["detail"] == said["log receipt"]
    assert found[1][7]["detail"] == said["claims"]
    assert found[1][8]["detail"] == said["manifest"]


@pytest.mark.parametrize("name", ["plan", "factors", "digests"])
def test_another_plan_factor_or_digest_fails_in_the_browser_too(name):
    """The page would show no failed step for a plan that is not signed."""
    record = canonical.parse(FILES[f"{name}.json"])
    if name == "plan":
        record["project"]["name"] = "Another plant"
    elif name == "factors":
        record[0]["source"] = "another source"
    else:
        record["readings"][0]["sha256"] = "0" * 64
    files = {**FILES, f"{name}.json": canonical.legible(record)}
    files["manifest.json"] = packs.manifest_of(packs.hashes_of(files))
    (found,) = in_a_browser([(files | TABLES, status_list(), None)])
    assert first_failure(found) == "plan and factors"
    failed = next(one for one in found["steps"] if one["outcome"] == "failed")
    assert "the statement names" in failed["detail"]
    report = verify(packs.with_files(WHOLE, files))
    assert report.failure.name in ("plan and factors", "readings")


def test_a_superseded_statement_is_named():
    """A reader would take a statement that was replaced for one that counts."""
    (steps,) = in_a_browser([(FILES | TABLES, status_list(NAME), None)])
    assert first_failure(steps) == "status"


def spoiled():
    """Yield (where, files) for each field of each document, and each file, changed."""
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
    yield (
        "receipts exchanged",
        {**FILES, "receipt.txt": FILES["manifest.txt"], "manifest.txt": FILES["receipt.txt"]},
    )


def ambiguous():
    """Yield documents that two parsers would read differently."""
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
    """Verify all cases at once: starting Node takes longer than a verification."""
    return in_a_browser([(files | TABLES, status_list(), None) for _, files in CASES])


def test_browser_and_command_agree_on_what_is_spoilt(found):
    """The check in the browser would accept what `tonne verify` refuses, or the reverse."""
    assert len(CASES) > 400
    refused = 0
    for (where, files), steps in zip(CASES, found, strict=True):
        failure = verify(packs.with_files(WHOLE, files), None, status_list(), at=AT).failure
        said = failure and failure.name
        if said in SHARED:
            refused += 1
            # the command reads every field of a document first, the browser those that it needs
            mine = first_failure(steps)
            assert mine == said or (said == "form" and mine), f"{where}: {failure}, {steps}"
        elif said is None:
            assert first_failure(steps) is None, f"{where}: passes, in the browser {steps}"
    assert refused > 350


def trusted_files():
    """Yield files with trusted keys that a reader may give, with a pack and a status list."""
    for where, cast, ring in approved.cases():
        yield where, forgeries.forged(cast, approved.TWO), ring_bytes(ring), forgeries.STATUS
    both = forgeries.forged(replace(approved.RIGHT, approvers=(approved.OWN, approved.OTHER)))
    rules = (
        None,
        IssueRule(2, "2026-01-01T00:00:00Z"),
        IssueRule(3, "2026-01-01T00:00:00Z"),
        IssueRule(2, "2026-06-01T00:00:00Z"),
    )
    for rule in rules:
        root = approved.root_file(rule)
        for name, pack in (("plain", forgeries.WHOLE), ("approved", both)):
            yield f"root with {rule}, {name}", pack, root, forgeries.STATUS
    for where, root in evidence_roots():
        yield where, forgeries.WHOLE, root, forgeries.STATUS
    for where, root in spoiled_roots():
        yield where, forgeries.WHOLE, root, forgeries.STATUS
    yield "root with time-stamp authorities", forgeries.WHOLE, stamped_root(), forgeries.STATUS
    day = timedelta(days=1)
    good, ended = forgeries.STATUS, forgeries.status(forgeries.NAME, made=AT - 3 * day)
    old = forgeries.status(made=AT - 40 * day)
    cut = canonical.encode({**canonical.parse_object(good), "validFrom": "2026-02-08T00:00:00Z"})
    lists = {
        "a good list": (good,), "an ended one": (ended,), "ended, then good": (ended, good),
        "an old one": (old,), "another project's": (forgeries.status(project="other"),),
        "one by the verifier": (forgeries.status(role="verifier"),), "a spoiled one": (cut,),
        "a spoiled one beside a good one": (good, cut),
        "one of later": (forgeries.status(made=AT + 2 * day), good),
    }  # fmt: skip
    for where, kept in lists.items():
        file = write_keyring(forgeries.RING, map(canonical.parse_object, kept))
        yield f"ring with {where}", forgeries.WHOLE, file, None
        yield f"ring with {where}, and one given", forgeries.WHOLE, file, good


def stamped_root():
    """Return a trust root that requires a token of an authority, which the pack does not have."""
    with TemporaryDirectory() as folder:
        rule = StampRule(1, (StampAuthority(Path(folder) / "east", "east").trusted,))
    return approved.root_file(
        None,
        lambda record: {**record, "signed": {**record["signed"], "timestamps": rule.to_json()}},
    )


def evidence_roots():
    """Yield trust roots that require grades of evidence, also invalid ones."""
    for asked in (
        {"quantities": "C", "parameters": "B", "above_percent": "5"},
        {"quantities": "D", "parameters": "C", "above_percent": "20"},
        {"quantities": "B", "parameters": "B", "above_percent": "5"},
        {"quantities": "D", "parameters": "A", "above_percent": "5"},
        {"quantities": "C", "parameters": "B", "above_percent": "4.5"},
        {"quantities": "A", "parameters": "B", "above_percent": "5"},
        {"quantities": "C", "parameters": "B", "above_percent": "101"},
        {"quantities": "C", "parameters": "B", "above_percent": 5},
        {"quantities": "C", "parameters": "B"},
        "C",
    ):
        said = canonical.parse_object(approved.root_file(None))["signed"] | {"evidence": asked}
        value = encode_base58(approved.ROOT.sign(canonical.encode(said)))
        signatures = [{"key": approved.ROOT.public_multikey, "value": value}]
        root = canonical.encode({"signed": said, "signatures": signatures})
        yield f"root that asks for {asked}", root


def spoiled_roots():
    """Yield invalid trust roots."""
    whole = canonical.parse_object(approved.root_file(IssueRule(2, "2026-01-01T00:00:00Z")))
    said = whole["signed"]
    yield "root without signature", json.dumps({**whole, "signatures": []}).encode()
    for name, value in (
        ("version", 0),
        ("version", "1"),
        ("programme", " "),
        ("expires", "2026-02-01T00:00:00Z"),
        ("expires", "x"),
        ("type", "x"),
        ("keys", {}),
        ("root", {"threshold": 2, "keys": []}),
        ("issue", {"threshold": 1, "since": "2026-01-01T00:00:00Z"}),
        ("issue", 2),
        ("x", 1),
        ("issue", None),
        ("keys", [*said["keys"], {**said["keys"][0], "name": "x"}]),
    ):
        data = canonical.encode({**whole, "signed": {**said, name: value}})
        yield f"root with {name} {value!r:.40}", data


def test_browser_and_command_agree_on_whom_a_reader_trusts():
    """Browser and `tonne verify` would judge trust roots, status lists or approvals differently."""
    asked = list(trusted_files())
    found = in_a_browser(
        [(pack.files | TABLES, status, trusted) for _, pack, trusted, status in asked]
    )
    unlike, held = [], 0
    for (where, pack, trusted, status), browser in zip(asked, found, strict=True):
        mine = first_failure(browser)
        try:
            report = verify(pack, read_trusted(trusted, AT), status, at=AT)
        except InputError:  # the command ends with 2, before any step
            if mine != "keys and roles":
                unlike.append((where, "refused", mine, browser["steps"]))
            continue
        said = report.failure.name if report.failure else None
        codes = {m.code for m in report.missing} - {"seals"}
        held += report.exit_code == 0
        if mine != said or (said is None and codes != set(browser["missing"])):
            unlike.append((where, said, sorted(codes), mine, browser["missing"]))
    assert not unlike, unlike
    assert held >= 6, held
    assert len(asked) >= 50, len(asked)


def test_the_zip_is_taken_as_it_was_downloaded(tmp_path):
    """A reader would have to unpack it first, and check something else than they got."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in (FILES | TABLES).items():
            made.writestr(f"{NAME}/{name}", data)
    whole = {name: b64encode(data).decode() for name, data in (FILES | TABLES).items()}
    assert unzipped(out.getvalue(), tmp_path) == whole
    for name, data in ways_to_hide(tmp_path / "pack.zip"):
        found = unzipped(data, tmp_path)
        assert ("statement.json" in found) == (name == "whole"), (name, found)


def unzipped(data, tmp_path):
    """Return the files that the browser's modules find in a zip file, or their error."""
    script = tmp_path / "unzip.mjs"
    module = Path("services/api/console/static/check/zip.mjs").absolute().as_uri()
    script.write_text(
        f"import {{ isZip, unzipped }} from {json.dumps(module)};\n"
        "const parts = []; for await (const one of process.stdin) parts.push(one);\n"
        "const bytes = new Uint8Array(Buffer.concat(parts));\n"
        "let files = new Map();\n"
        "try { if (isZip(bytes)) files = await unzipped(bytes); }"
        " catch (error) { files.set('refused', error.message); }\n"
        "process.stdout.write(JSON.stringify(Object.fromEntries([...files].map(([n, d]) =>"
        " [n, Buffer.from(d).toString('base64')]))));\n"
    )
    done = subprocess.run(
        [*_tool("node"), str(script)], input=data, capture_output=True, check=True, timeout=240
    )
    return json.loads(done.stdout)
