"""The import's message for each wrong row of a registry file: `refused_rows.toml`."""

import tomllib
from pathlib import Path

import pytest

from ingest.errors import RegistryError
from tests.services.issuer import (
    plant,
    test_common_meters,
    test_design_documents,
    test_outside_meters,
    test_programme,
    test_revised,
)
from tests.services.registry.test_factors import GERMAN
from tests.services.registry.texts import BASE, PROJECT, messages
from tests.services.store.test_expected_months import ROOF

DESIGN, OUTSIDE = test_design_documents, test_outside_meters
METER = "class: energy_meter, profile: generic, installed: 2026-01-01T00:00:00Z"
TEXTS = {
    "device": BASE,
    "check meter": f"{BASE}  - {{id: main, site: s, {METER}}}\n"
    f"  - {{id: check, site: s, {METER}, check_of: main, check_percent: 1.5}}\n",
    "project": BASE + PROJECT,
    "plant": plant.REGISTRY,
    "recycling line": f"{DESIGN.REGISTRY % DESIGN.BUILT}"
    "    documents: {design_mass_t_per_d: DOCUMENT}\n",
    "programme": test_programme.TEXT,
    "action": test_programme.PROGRAMME,
    "shared meter": test_common_meters._registry(),
    "main meter": OUTSIDE._registry(kind="energy_meter")
    + OUTSIDE.REASON.replace("reason:", "upstream_of: [ch-1], reason:"),
    "factor": BASE + test_revised.OFFICIAL,
    "german factor": BASE + GERMAN,
    "roof": ROOF.format(more="", latitude=48, tilt=35, device=""),
}
KNOWN = {
    "{sha}": "ab" * 32,
    "{sha of a}": "a" * 64,
    "{11}": "11" * 64,
    "{key}": "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
}
GROUPS = tomllib.loads(Path(__file__).with_name("refused_rows.toml").read_text("utf-8"))["group"]
CASES = [
    pytest.param(one, *case, id=f"{one['text']} {at}: {case[2]}")
    for one in GROUPS
    for at, case in enumerate(one["cases"])
]


@pytest.mark.parametrize(("group", "old", "new", "says"), CASES)
def test_a_wrong_row_is_refused_or_named(load, group, old, new, says):
    """
    An input error would be stored, and found when tonnes are
    missing; `loses` states the loss.
    """
    for name, text in KNOWN.items():
        old, new = old.replace(name, text), new.replace(name, text)
    text = TEXTS[group["text"]]
    assert old in text
    try:
        planned = load(text.replace(old, new, 1))
    except RegistryError as error:
        refused, said = True, str(error)
    else:
        refused, said = planned.refused, messages(planned)
    assert refused is (bool(says) and group.get("refused", True)), said
    assert says in said
    assert group.get("at", "registry.yaml:") in said or not refused
    assert group.get("never", "\0") not in said
