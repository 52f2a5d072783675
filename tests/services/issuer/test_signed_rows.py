"""A supplier signs its invoices: from its own machine to an auditor who has the pack alone."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import yaml

from mrv.packs.reader import read_pack
from mrv.signatures.trust_root import Trust
from mrv.verify import verify
from services.issuer.pack import export
from services.store.postgres.pool import connect
from services.store.registry import signing_keys
from tests.invoked import tonne
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period
from tests.services.issuer.test_billed_across import BILLS, MONTHS, _sunny_spring, invoices_of

EVN, ZONE = "EVN Hai Phong", ("--timezone", "Asia/Ho_Chi_Minh")


@pytest.fixture
def given(database_url, tmp_path, monkeypatch):
    """Four bills of a plant, as its supplier's file; keys of the supplier and of the owner."""
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


def grades(url):
    """Meter's grades of April."""
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        result = close_period(conn, "pv", *map(plant.us, MONTHS[1:3]), "test").result
    return {one.grade for one in result.evidence if one.kind == "meter"}


@pytest.mark.parametrize("cose", [False, True])
def test_signed_invoices_give_a_meter_grade_a(given, cose):
    """A supplier's signature would count no more than a scan that anybody can draw."""
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
    assert grades(url) == {"A"}


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


def test_an_auditor_checks_the_rows_from_the_pack_alone(given):
    """Who has no database could not tell a signed invoice from a row that says so."""
    url, who, file = given
    tonne("keys", "enroll", "evn", code=0)
    tonne("invoice", "import", signed(file), code=0)
    name = logged.issue(url, who, "2026-04-01", "2026-05-01", "pv")
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
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
