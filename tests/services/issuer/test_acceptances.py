"""
Acceptances of a programme, and meters of other projects: neither raises
the reduction unreported.
"""

import numpy as np
import pytest

from mrv.errors import SignatureError
from mrv.packs.reader import read_pack
from mrv.report.dated_values import dated_rows
from mrv.report.words import LANGUAGES, Words
from mrv.signatures.trust_root import Accepted, Trust, check, sign
from mrv.verify import verify
from services.issuer import keys
from services.issuer.pack import export
from services.store.registry import signing_keys
from services.store.statements import statements
from tests import holders
from tests.findings import worded
from tests.invoked import tonne
from tests.mrv.packs import SIGNERS
from tests.planted import planted
from tests.registering import imported
from tests.services.issuer import logged, plant

DAYS = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"]
FACTOR = """
factors:
  - {id: vn-grid-2026, kind: grid.vn, value: 0.7100, unit: tCO2/MWh, direction: consumed,
     valid_from: 2026-01-01, valid_to: 2027-01-01, source: a letter, certainty: R, verified: true}
"""
ACCEPTED = """
acceptances:
  - {{subject: factor, id: vn-grid-2026, by: {}, date: 2026-11-20, document: letter 17}}
"""


def _import(url, folder, text, name="more"):
    file = folder / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    planned = imported(url, file, author="owner")
    return "\n".join(m for r in planned.results for m in r.messages) if planned.refused else ""


def _close(url, day, project, days=1):
    return logged.subject(url, DAYS[day], DAYS[day + days], project=project)


def _said(claims, clause):
    return [(a["holds"], worded(a)) for a in claims["applicability"] if a["rule"] == clause]


def test_a_factor_of_a_file_waits_for_the_programme(database_url, tmp_path):
    """An owner's factor would appear in a statement as if the programme had looked at it."""
    url = database_url
    who = planted(logged.with_buses, url, tmp_path)
    assert _import(url, tmp_path, FACTOR) == ""
    holds, said = next(
        one for one in _said(_close(url, 1, "bus"), "FAC-01") if "registry file" in one[1]
    )
    assert not holds
    assert "the programme's acceptance is not entered" in said
    # the operator's own word, and one about nothing
    assert _import(url, tmp_path, ACCEPTED.format("The Operator")) == ""
    claims = _close(url, 1, "bus")
    assert "acceptedFactors" not in claims
    assert not _said(claims, "FAC-01")[0][0]
    nothing = ACCEPTED.format("DAE").replace("vn-grid-2026", "vn-grid-2023")
    assert "is not a factor of a registry file" in _import(url, tmp_path, nothing)
    assert "enter the body that accepted it" in _import(url, tmp_path, ACCEPTED.format('" "'))
    # the programme's
    assert _import(url, tmp_path, ACCEPTED.format("DAE")) == ""
    name = logged.issue(url, who, project="bus")
    with logged.issuer(url) as conn:
        claims = statements.find(conn, name).claims
    logged.packed(url, name, tmp_path / "pack")
    # one cause, one finding
    ((holds, said),) = [
        (a.holds, a.words()) for a in claims.applicability if "letter 17" in a.words()
    ]
    assert not holds  # anybody who imports may have typed it
    assert "entered as accepted by DAE on 2026-11-20," in said
    for words in map(Words, LANGUAGES):
        (row,) = [row for row in dated_rows(claims, words) if row[5] == "letter 17"]
        assert ("DAE" in row[1], row[2:5]) == (True, ("2026-11-20", "0.7100", "tCO2/MWh"))


def test_the_programme_signs_what_it_accepts(database_url, tmp_path, monkeypatch):
    """Anyone who imports a file could write an acceptance in the programme's name."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "home"))
    url, given = database_url, tmp_path / "given.yaml"
    who = planted(logged.with_buses, url, tmp_path)
    for role, one in (("programme", "secretariat"), ("programme", "stranger"), ("operator", "op")):
        said = holders.OPTIONS.get(role, ())
        tonne("keys", "create", "--no-enroll", "--role", role, "--name", one, *said, code=0)
    key, _ = keys.load(tmp_path / "home", "secretariat")
    given.write_text(FACTOR + ACCEPTED.format("DAE"), "utf-8")
    out = tmp_path / "signed.yaml"
    accept = ("trust", "accept", given, "--out", out, "--key")
    assert "a programme's key accepts factors" in tonne(*accept, "op", code=2).output
    tonne(*accept, "secretariat", code=0)
    signed = out.read_text("utf-8")
    assert key.public_multikey in signed
    assert _import(url, tmp_path, FACTOR) == ""
    said = _import(url, tmp_path, signed.replace("2026-11-20", "2026-11-21"))
    assert "differs from the text that" in said
    assert "have the programme sign it again" in said
    assert _import(url, tmp_path, signed) == ""
    name = logged.issue(url, who, project="bus")
    with logged.issuer(url) as conn:
        pack = read_pack(export(conn, name, tmp_path / "pack"))
        ring = tuple(one.key for one in signing_keys.load(conn))

    def told(*roots):
        report = verify(pack, Trust(ring, "the trust root", roots=roots))
        (step,) = [s for s in report.steps if s.name == "plan and factors"]
        return report.consistent, step.detail

    holds, text = told(key.public_multikey)
    assert holds
    assert f"signed by {key.public_multikey}, a root key of the programme" in text
    assert "a key that you do not know" in told()[1]
    other, _ = keys.load(tmp_path / "home", "stranger")
    holds, text = told(other.public_multikey)
    assert not holds
    assert "which is not a root key of the trust root" in text


def test_an_acceptance_is_of_one_value():
    """A factor could get another value under the signature of the first."""
    key = SIGNERS["operator"]
    said = Accepted("own", "a1" * 32, "DAE", "2026-11-20", "letter 17", None)
    multikey, value = sign(said, key)
    check(said, multikey, value)
    for other in (
        said._replace(factor_sha256="b2" * 32),
        said._replace(by="another"),
        said._replace(sha256="c3" * 32),
    ):
        with pytest.raises(SignatureError, match="differs from the text that"):
            check(other, multikey, value)
    for broken in (("z6Mk", value), (multikey, "0"), (multikey, value[:-2])):
        with pytest.raises(SignatureError):
            check(said, *broken)


OTHERS = plant.REGISTRY[plant.REGISTRY.index("  - id: bus\n") :].replace("id: bus", "id: other")
OTHERS = OTHERS.replace("ch-1", "ch-9").replace("bus-1", "bus-9")
# the site itself under another id, and its coordinates written shorter
NEW = plant.REGISTRY.replace(
    "sites:\n",
    "sites:\n  - {id: depot, name: Depot, latitude: 20.9003, longitude: 106.5997,"
    " timezone: Asia/Ho_Chi_Minh}\n",
).replace(
    "projects:\n",
    "  - {id: ch-9, site: depot, class: ev_charger, profile: generic, rated_power_w: 60000,\n"
    "     serial: X9, maker: Other, installed: 2026-01-01T00:00:00+07:00}\n"
    "  - {id: bus-9, site: depot, class: vehicle, profile: generic, serial: Y9, maker: Other,\n"
    "     installed: 2026-01-01T00:00:00+07:00}\nprojects:\n",
)
LEFT = """
acceptances:
  - {{subject: debt, id: {}, project: other, by: DAE, date: 2026-11-20, document: letter 18}}
"""


def test_a_new_project_at_the_site_is_told_what_the_old_one_owes(database_url, tmp_path):
    """Other meters under another name would begin without what the plant owes."""
    url = database_url
    plant.register(url, tmp_path)
    times = np.arange(plant.us(DAYS[0]), plant.us(DAYS[4]) + 1, 10 * plant.MINUTE_US)
    night = (times + 7 * 3_600_000_000) // 3_600_000_000 % 24 < 5
    plant.send(url, "ch-1", times, energy_import_wh=np.cumsum(np.where(night, 4_000, 0)))
    plant.send(url, "bus-1", times, odometer_m=np.zeros(len(times), dtype=np.int64))
    who = logged.signers(url, tmp_path)
    bad = logged.issue(url, who, DAYS[1], DAYS[2], project="bus")
    plant.register(url, tmp_path, NEW + OTHERS)
    plant.send(url, "ch-9", times, energy_import_wh=np.cumsum(np.where(night, 8_000, 0)))
    plant.send(url, "bus-9", times, odometer_m=np.cumsum(np.where(night, 0, 3_000)))
    claims = _close(url, 2, "other")
    ((holds, said),) = _said(claims, "CLM-04")
    assert not holds
    with logged.issuer(url) as conn:
        left = int(statements.find(conn, bad).claims.carried.out_ug)
    assert left < 0
    assert (
        (
            f"{bad} of an earlier project at the site left a balance of "
            f"\N{MINUS SIGN}{abs(left) // 1_000_000 / 1_000_000:.5f}"[:-1]
        )
        in said
    )
    assert claims["carried"]["in_ug"] == "0"
    # a project of the time before is a neighbour
    assert _said(_close(url, 0, "other"), "CLM-04") == []
    assert "project" in _import(url, tmp_path, LEFT.format(bad).replace(" project: other,", ""))
    assert _import(url, tmp_path, LEFT.format(bad)) == ""
    ((holds, said),) = _said(_close(url, 2, "other"), "CLM-04")
    assert not holds
    assert said.endswith("entered as accepted by DAE on 2026-11-20, document letter 18")
