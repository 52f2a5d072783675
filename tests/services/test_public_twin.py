"""The public version of a statement: hidden values are in none of its bytes, and can be proven."""

import json
import re
import zipfile
import zlib
from datetime import UTC, datetime
from io import BytesIO

import pypdf
import pytest

from mrv.signatures import canonical
from mrv.signatures.keys import write_keyring
from services.cli.output import Exit
from services.issuer import keys
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from tests.invoked import tonne
from tests.planted import planted
from tests.services.issuer import logged, plant

SECRETS = {
    "serial: A1": "serial: SN-9F31X7",
    "certificate: C-1": "certificate: CERT-VMI-771",
    "certificate: C-2": "certificate: CERT-VMI-772",
    'accuracy_class: "0.5S"}': (
        'accuracy_class: "0.5S", laboratory: Lab-Q3X, accreditation: VLS-004}'
    ),
    "max_error_percent: 0.5}": "max_error_percent: 0.5, laboratory: Lab-Q4Y}",
    "Energy manager": "Nguyen Thi Mot",
    "responsible: Operator": "responsible: Tran Van Hai",
    "inv-1": "roof-east-11",
    "inv-2": "roof-west-12",
    "site: hp": "site: quay-nine",
    "{id: hp,": "{id: quay-nine,",
}


def _issued(url, home):
    text = plant.REGISTRY
    for old, new in SECRETS.items():
        text = text.replace(old, new)
    plant.register(url, home, text)
    times, energy, power = plant.sunny("2026-03-01", "2026-03-04", 15)
    for name, share in (("roof-east-11", 1), ("roof-west-12", 2)):
        plant.send(url, name, times, energy_export_wh=energy // share, active_power_w=power / share)
    who = logged.signers(url, home)
    logged.seal_now(url, who)
    return logged.issue(url, who)


@pytest.fixture
def made(database_url, tmp_path):
    """Return a runner, a statement's name, and a keyring in a file."""
    name = planted(_issued, database_url, tmp_path)
    with connect(database_url) as conn:
        (tmp_path / "ring.json").write_bytes(
            write_keyring([one.key for one in enrolled.load(conn)])
        )
    env = {"TONNE_DATABASE_URL": database_url, "TONNE_HOME": str(tmp_path)}

    def run(*words):
        return tonne("export", *words, env=env)

    run.env = env
    return run, name, tmp_path


def _inflated(data):
    """Return every compressed stream of a PDF, inflated."""
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            yield zlib.decompressobj().decompress(found[1])
        except zlib.error:
            continue


def _parts(name, data):
    """Yield all bytes that someone could read out of a file."""
    yield name, data
    if name.endswith(".xlsx"):
        with zipfile.ZipFile(BytesIO(data)) as held:
            for part in held.namelist():
                yield f"{name}:{part}", held.read(part)
    if name.endswith(".pdf"):
        for number, stream in enumerate(_inflated(data)):
            yield f"{name}:{number}", stream
        reader = pypdf.PdfReader(BytesIO(data))
        for attached, inside in reader.attachments.items():
            yield from ((f"{name}:{attached}", one) for one in inside)
        for number, page in enumerate(reader.pages):
            # lines that were broken, and lines as they are
            text = page.extract_text()
            yield f"{name}:page {number}", text.encode()
            yield f"{name}:page {number} joined", re.sub(r"\s", "", text).encode()
        yield f"{name}:metadata", repr(reader.metadata).encode()


def test_nothing_hidden_is_left_in_any_byte(made):
    """A public version contains no confidential text."""
    run, name, home = made
    opened = home / "opened.json"
    done = run("public", name, "--key", "the-operator", "--out", home / "out", "--disclosures",
               opened, "--json")  # fmt: skip
    assert done.exit_code == Exit.DONE, done.output
    words = {new.rpartition(": ")[2].strip("{,}") for new in SECRETS.values()}
    told = opened.read_text("utf-8")
    words |= {word for one in json.loads(told) for word in [one["text"]] if " " not in word}
    assert len(words) >= len(SECRETS)
    assert opened.stat().st_mode & 0o077 == 0
    files = {file.name: file.read_bytes() for file in (home / "out").iterdir()}
    assert {n.rpartition(".")[2] for n in files} == {"json", "pdf", "xlsx", "txt"}
    read = 0
    for file, data in files.items():
        for part, held in _parts(file, data):
            read += 1
            for word in words:
                for form in (word, re.sub(r"\s", "", word)):
                    for encoding in ("utf-8", "utf-16-be", "utf-16-le"):
                        assert form.encode(encoding) not in held, (part, word)
                    assert form.encode().hex().encode() not in held, (part, word)
    assert read > 100
    # the test sees what it looks for: the same words stand in the confidential report
    tonne("statement", "report", name, "--out", home / "own.pdf", env=run.env, code=Exit.DONE)
    own = b"".join(held for _, held in _parts("own.pdf", (home / "own.pdf").read_bytes()))
    assert b"roof-east-11" in own
    assert b"NguyenThiMot" in own
    # what is redacted is told
    page = pypdf.PdfReader(BytesIO(files["statement-en.pdf"])).pages[0].extract_text()
    assert "Public version" in page
    twin = json.loads(files["public.json"])["credentialSubject"]
    assert len(twin["redactions"]) == len(json.loads(told))


def test_the_public_version_is_of_the_signed_original(made):
    """A public version is provably of the signed original."""
    run, name, home = made
    opened, ring, out = home / "opened.json", home / "ring.json", home / "out"
    run("public", name, "--key", "the-operator", "--out", out, "--disclosures", opened)
    check = ("check-public", out, "--keys", ring)
    assert run(*check).exit_code == Exit.NOT_ENOUGH
    done = run(*check, "--disclosures", opened)
    assert done.exit_code == Exit.DONE, done.output
    assert "originals: restored" in done.output

    def false(change_twin=None, change_opened=None):
        document, told = (
            json.loads((out / "public.json").read_text()),
            json.loads(opened.read_text()),
        )
        for change, one in ((change_twin, document), (change_opened, told)):
            if change is not None:
                change(one)
        folder = home / "spoilt"
        folder.mkdir(exist_ok=True)
        (folder / "public.json").write_bytes(canonical.encode(document))
        (home / "spoilt.json").write_text(json.dumps(told), encoding="utf-8")
        words = ("check-public", folder, "--keys", ring, "--disclosures", home / "spoilt.json")
        found = run(*words)
        assert found.exit_code == Exit.FALSE, found.output

    def resigned(document):
        # an operator who signs a figure that the original does not have
        from mrv.signatures.data_integrity import create_proof  # noqa: PLC0415

        del document["proof"]
        subject = document["credentialSubject"]["documents"]["statement"]["credentialSubject"]
        subject["credited"]["t"] = "1000"
        key, _ = keys.load(home, "the-operator")
        document |= create_proof(document, key, datetime.now(UTC))

    def of_another(document):
        # a statement and the verification of another one
        from mrv.signatures.data_integrity import create_proof  # noqa: PLC0415

        del document["proof"]
        said = document["credentialSubject"]
        original = said["documents"]["verification"]
        original["relatedResource"][0]["id"] = "urn:tonne:another"
        del original["proof"]
        verifier, _ = keys.load(home, "the-verifier")
        signed = create_proof(original, verifier, datetime.now(UTC))
        said["documents"]["verification"] = signed
        said["originals"]["verification"] = canonical.sha256_hex(canonical.encode(signed))
        operator, _ = keys.load(home, "the-operator")
        document |= create_proof(document, operator, datetime.now(UTC))

    false(of_another)
    false(lambda d: d["credentialSubject"]["redactions"].pop())
    false(resigned)
    false(change_opened=lambda told: told.pop())
    false(change_opened=lambda told: told[0].update(text="another"))
    assert (
        run("public", name, "--key", "the-verifier", "--out", home / "no").exit_code == Exit.INPUT
    )
    inside = run("public", name, "--key", "the-operator", "--out", home / "no", "--disclosures",
                 home / "no" / "opened.json")  # fmt: skip
    assert inside.exit_code == Exit.INPUT
    assert not (home / "no").exists()
