"""Energy signed by a gateway, and rows signed by a supplier, from the sender to the pack."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import yaml

from ingest.errors import InputError
from ingest.mqtt import Router
from ingest.pipeline.admit import admit
from mrv.documents.statement import claims_of
from mrv.packs.reader import read_pack
from mrv.signatures.trust_root import Trust
from mrv.verify import verify
from mrv.verify.__main__ import main as alone
from mrv.verify.subject import own_meter_keys
from services.issuer.close import preview_period
from services.issuer.pack import export
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry import signing_keys
from tests.invoked import tonne
from tests.mrv import test_trust_root as roots
from tests.mrv.signed_values.signing import GATEWAY, METER, STRANGER, batch, public
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period
from tests.services.issuer.test_billed_across import BILLS, MONTHS, _sunny_spring, invoices_of

EVN, ZONE = "EVN Hai Phong", ("--timezone", "Asia/Ho_Chi_Minh")


@pytest.fixture
def given(database_url, tmp_path, monkeypatch):
    """Return four invoices of a plant as its supplier's file, and keys of supplier and owner."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    planted(_sunny_spring, database_url, tmp_path)
    who = logged.signers(database_url, tmp_path)
    for role, name, whose in (
        ("third-party", "evn", EVN), ("third-party", "own", "The Operator"),
        ("operator", "op", "The Operator"),
    ):  # fmt: skip
        words = ("--role", role, "--name", name, "--organisation", whose)
        tonne("keys", "create", "--no-enroll", *words, code=0)
    file = tmp_path / "bills.yaml"
    file.write_text(json.dumps({"invoices": invoices_of(*pairwise(BILLS))}), "utf-8")
    return database_url, who, file


def signed(file, *, key="evn", code=0, **more):
    """Sign a file; return its signed copy."""
    out = file.parent / f"signed-{file.name}"
    words = [w for name, value in more.items() for w in (f"--{name}", value) if w is not True]
    tonne("signed", "row", file, "--key", key, "--out", out, *ZONE, *words, code=code)
    return out


def pin(url, folder, monkeypatch):
    """Pin a trust root that contains all enrolled keys."""
    with logged.issuer(url) as conn:
        ring = tuple(one.key for one in signing_keys.load(conn))
    file = folder / "root.json"
    file.write_bytes(
        roots.signed(roots.root(expires="2100-01-01T00:00:00Z", ring=ring), *roots.OLD)
    )
    monkeypatch.setenv("TONNE_TRUST_ROOT", str(file))


def grades(url):
    """Return the grades of the meter in April."""
    with logged.issuer(url) as conn:
        result = preview_period(conn, "pv", *map(plant.us, MONTHS[1:3])).result
    return {one.grade for one in result.evidence if one.kind == "meter"}


@pytest.mark.parametrize("cose", [False, True])
def test_signed_invoices_give_a_meter_grade_a(given, cose, monkeypatch):
    """A supplier's signature would count no more than a scan that anyone can draw."""
    url, _, file = given
    out = signed(file, **({"cose": True} if cose else {}))
    said = tonne("invoice", "import", out, code=2).output
    assert "is not enrolled as third-party" in said
    tonne("keys", "enroll", "evn", code=0)
    forged = file.parent / "forged.yaml"
    rows = yaml.safe_load(out.read_text("utf-8"))["invoices"]
    rows[0]["amount"] = round(rows[0]["amount"] * 1.2, 3)
    forged.write_text(yaml.safe_dump({"invoices": rows}), "utf-8")
    said = tonne("invoice", "import", forged, code=2).output
    assert f"invoice {rows[0]['id']} differs from the row that 'evn' signed" in said
    assert f"ask {EVN} to sign the row as it is" in said
    tonne("invoice", "import", out, code=0)
    # the owner may have enrolled a key of its own: the programme has to name the supplier
    # what bills of half months beside the period leave to the meter alone has its grade
    assert grades(url) == {"B", "C"}
    pin(url, file.parent, monkeypatch)
    assert grades(url) == {"A", "C"}


def test_an_owner_cannot_sign_for_the_supplier(given):
    """Grade A would be the owner's own word, signed."""
    _, _, file = given
    assert (
        "a key of role operator"
        in tonne("signed", "row", file, "--key", "op", "--out", file, *ZONE, code=2).output
    )
    assert (
        "no row is by The Operator; it has invoice"
        in tonne("signed", "row", file, "--key", "own", "--out", file, *ZONE, code=2).output
    )
    tonne("keys", "enroll", "own", code=0)
    own = file.parent / "own.yaml"
    own.write_text(file.read_text("utf-8").replace(EVN, "The Operator"), "utf-8")
    said = tonne("invoice", "import", signed(own, key="own"), code=2).output
    assert "it is the operator's own statement" in said


def test_an_auditor_checks_the_rows_from_the_pack_alone(given, monkeypatch):
    """Anyone who has no database could not tell a signed invoice from a row that says so."""
    url, who, file = given
    tonne("keys", "enroll", "evn", code=0)
    tonne("invoice", "import", signed(file), code=0)
    pin(url, file.parent, monkeypatch)
    name = logged.issue(url, who, "2026-04-01", "2026-05-01", "pv")
    with logged.issuer(url) as conn:
        pack = read_pack(export(conn, name, file.parent / "pack"))
        ring = tuple(one.key for one in signing_keys.load(conn))
    plan = json.loads(pack.files["plan.json"])
    assert [one["organisation"] for one in plan["rowSigners"]] == [EVN]

    def told(keys):
        report = verify(pack, Trust(keys, "the trust root"))
        (step,) = [s for s in report.steps if s.name == "signed values"]
        assert report.failure is None
        return step.detail, {one.code for one in report.missing}

    detail, lacking = told(ring)
    assert f"signed rows are valid: 2 by {EVN}" in detail
    assert "row-key" not in lacking
    # whom the reader's programme does not name may be the owner in disguise
    _, lacking = told(tuple(one for one in ring if one.role != "third-party"))
    assert "row-key" in lacking
    plan["invoices"][0]["value"] = str(int(plan["invoices"][0]["value"]) + 1)
    other = replace(pack, files={**pack.files, "plan.json": json.dumps(plan).encode()})
    assert verify(other, Trust(ring, "the trust root")).failure is not None


BEGIN, END = plant.us("2026-03-02"), plant.us("2026-03-03")
REGISTRY = plant.REGISTRY.replace(
    "devices:\n  - id: inv-1\n",
    f"""devices:
  - {{id: gw-1, site: hp, class: energy_meter, profile: generic, rated_power_w: 1000,
     installed: 2026-01-01T00:00:00+07:00,
     meter_keys: [{{from: 2026-01-01T00:00:00Z, key: {public(GATEWAY)}}}]}}
  - id: inv-1
    gateway: gw-1
    meter_keys: [{{from: 2026-01-01T00:00:00Z, key: {public(METER)}}}]
""",
    1,
)


@pytest.fixture
def url(database_url, tmp_path):
    plant.register(database_url, tmp_path, REGISTRY)
    return database_url


def _send(url, payloads, device="inv-1"):
    """
    Store messages of the gateway, as `tonne run` would; return the
    results of their signatures.
    """
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = plant.store_of(conn)
        topics = [f"tonne/v1/gw-1/{device}/telemetry"] * len(payloads)
        router = Router(store.plan.fleet)
        nothing = [None] * len(payloads)
        now = END + 12 * 3_600_000_000
        admitted = admit(store.plan.fleet, router.route, topics, payloads, nothing, now)
        letters = Letters(topics, payloads, nothing, [False] * len(payloads), now)
        done = store.commit(conn, admitted.frames, admitted.rejected, letters)
        assert done.rejected == []
        return done.signed


def _messages():
    """Return a day and a half of an inverter, a message every five minutes."""
    times, energy, power = plant.sunny("2026-03-01T18:00:00+07:00", "2026-03-03T06:00:00+07:00")
    return [
        {"id": f"m-{n}", "ts": int(at // 1000),
         "values": {"energy_export_kwh": int(wh) / 1000, "active_power_kw": float(watt) / 1000}}
        for n, (at, wh, watt) in enumerate(zip(times, energy, power, strict=True))
    ]  # fmt: skip


def _signed(messages, secret=GATEWAY, signer="gw-1", first=1):
    parts = [messages[at : at + 10] for at in range(0, len(messages), 10)]
    return [
        batch(part, number, part[-1]["ts"], signer, "inv-1", secret)
        for number, part in enumerate(parts, first)
    ]


def _closed(url, tmp_path):
    with logged.issuer(url) as conn:
        closed = close_period(conn, "pv", BEGIN, END, "test")
        export(conn, closed.statement, tmp_path / closed.statement)
    pack = read_pack(tmp_path / closed.statement)
    report = verify(pack)
    assert report.consistent, report.failure
    said = closed.document["credentialSubject"]["signedEnergy"]
    return (
        closed,
        said,
        {one["kind"]: float(one["share_percent"]) for one in said["shares"]},
        report,
    )


def test_a_day_that_its_gateway_signed(url, tmp_path, monkeypatch):
    """A buyer could not tell energy that someone signed from energy that no one did."""
    plain = plant.sunny("2026-03-01T18:00:00+07:00", "2026-03-03T06:00:00+07:00")
    plant.send(url, "inv-2", plain[0], energy_export_wh=plain[1], active_power_w=plain[2])
    payloads = _signed(_messages())
    assert _send(url, payloads) == {"verified": len(payloads)}
    closed, said, shares, report = _closed(url, tmp_path)
    # inv-2 made as much, and nobody signed it
    assert 49.5 < shares["cose-gateway"] <= 50
    assert shares["none"] == 100 - shares["cose-gateway"]
    assert (said["signers"], said["contradicted"]) == (["gw-1"], "0")
    assert int(said["stored"]) == 29  # batches of ten readings, of 288
    assert int(said["values"]) == 2  # the first and the last of the day
    (step,) = (one for one in report.steps if one.name == "signed values")
    assert (step.outcome, "by its gateway" in step.detail) == ("ok", True)
    _held_against_own_keys(tmp_path / closed.statement)
    monkeypatch.setenv("TONNE_DATABASE_URL", url)
    shown = tonne("statement", "show", closed.statement)
    assert f"{said['shares'][2]['share_percent']} % cose-gateway" in shown.stdout
    # closed again it is the same statement; more values that nobody needs change nothing
    with logged.issuer(url) as conn:
        assert not close_period(conn, "pv", BEGIN, END, "test").new


def _held_against_own_keys(pack):
    """Return whether an auditor with the gateway's label detects the registry's key."""
    file = pack.parent / "meters.txt"

    def asked(text):
        file.write_text(text)
        report = verify(read_pack(pack), meter_keys=own_meter_keys(str(file), str(pack)))
        (step,) = (one for one in report.steps if one.name == "signed values")
        return report, step

    right, other = public(GATEWAY), public(STRANGER)
    for text in (f"gw-1 {right}  # its label", f"gw-1 {other}\ngw-1 {right}"):
        report, step = asked(text)
        assert (report.consistent, step.outcome) == (True, "ok")
        assert "meters' keys, from your own list: gw-1" in report.relied
    asked_by = [str(pack), "--meter-keys", str(file), "--accept", "draft"]
    assert tonne("verify", *asked_by).exit_code == alone(asked_by) == 0
    report, step = asked(f"gw-1 {other}")
    assert tonne("verify", *asked_by).exit_code == alone(asked_by) == 1
    assert (report.exit_code, step.outcome) == (1, "failed")
    assert "your --meter-keys has another key for it" in step.detail
    report, step = asked(f"inv-1 {public(METER)}")
    assert "meter-key" in {one.code for one in report.missing}
    assert (report.exit_code, "from your own list" in " ".join(report.relied)) == (4, False)
    with pytest.raises(InputError, match="line 1: 'zz' is not a public key"):
        asked("gw-1 zz")
    with pytest.raises(InputError, match="is part of the pack"):
        own_meter_keys(str(pack / "plan.json"), str(pack))


def test_what_does_not_hold_backs_nothing(url, tmp_path):
    """A stranger's signature, and a value changed in the database, would count as signed."""
    messages = _messages()
    assert set(_send(url, _signed(messages, STRANGER))) == {"refused"}
    _, said, shares, _ = _closed(url, tmp_path)
    assert (shares["none"], said["values"]) == (100.0, "0")
    assert int(said["stored"]) > 20
    # the meter's own batches of the same readings, named by its serial number
    assert set(_send(url, _signed(messages, METER, "A1", 100))) == {"verified"}
    closed, said, shares, _ = _closed(url, tmp_path)
    assert shares["cose-meter"] > 99
    assert said["signers"] == ["inv-1"]
    assert "A" not in {one.grade for one in claims_of(closed.document).evidence.items}
    # the owner may hold the key that it entered: a third party has to show it
    papers = "documents: {meter_keys: {document: list, by: Maker, issued: 2026-01-05, sha256: %s}}"
    project = "methodology: jcm-vn-am007\n"
    assert project in REGISTRY
    file = REGISTRY.replace(project, f"{project}    {papers % ('d1' * 32)}\n")
    plant.register(url, tmp_path, file)
    closed, *_ = _closed(url, tmp_path)
    assert {one.grade for one in claims_of(closed.document).evidence.items} == {"A"}
    # the key ends before that day: whoever had it then signed nothing that counts
    ended = "from: 2026-03-01T00:00:00Z, key: ended"
    plant.register(
        url, tmp_path, REGISTRY.replace(f"{public(METER)}}}]", f"{public(METER)}}}, {{{ended}}}]")
    )
    _, said, shares, _ = _closed(url, tmp_path)
    assert shares["none"] == 100
