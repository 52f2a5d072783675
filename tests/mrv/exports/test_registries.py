"""
CDOP and CAD Trust: the data for a registry, from one statement and its entries.

Codes of countries and Parties, compared with the ISO 3166 data of another project.
"""

import json
from copy import deepcopy
from os import environ
from pathlib import Path

import jsonschema_rs
import pycountry
import pytest

from mrv import exports as lists
from mrv.errors import ExportError
from mrv.exports import check_issued, check_together
from mrv.exports.cad_trust import ORDER, cad_trust
from mrv.exports.cdop import cdop
from mrv.exports.contradictions import check
from mrv.exports.entered import read_authority
from tests.mrv.exports.entries import PROJECT, whole
from tests.mrv.exports.sources import TONNES, source

_VECTORS = Path(environ.get("CDOP_VECTORS", Path(__file__).parents[4] / "shared/vectors/cdop"))
_SCHEMAS = _VECTORS / "json_schema"
with_schemas = pytest.mark.skipif(
    not _SCHEMAS.is_dir(), reason=f"the protocol's schemas are not at {_SCHEMAS}"
)


@pytest.fixture(scope="module")
def one():
    return source()


@pytest.fixture
def entered(one):
    return whole(one.name, 2026, TONNES)


def _registration(record):
    return read_authority(record, "entries").registration(PROJECT)


def _errors(draft):
    """Return the schema errors of each document: their kind and text."""
    for name, document in draft.tables.items():
        schema = json.loads((_SCHEMAS / f"{name.partition('.')[0]}.schema.json").read_text("utf-8"))
        for error in jsonschema_rs.validator_for(schema).iter_errors(document):
            yield name, error


@with_schemas
def test_whole_entries_make_documents_that_the_schemas_take(one, entered):
    """A registry's importer would refuse the file, and the tonne with it."""
    draft = cdop([one], _registration(entered))
    assert draft.missing == []
    assert [f"{name}: {error.message}" for name, error in _errors(draft)] == []


@with_schemas
def test_what_a_schema_misses_is_named(one, entered):
    """A draft that does not name its missing fields is sent, and returned weeks later."""
    keys = [(k,) for k in entered["registrations"][0] if k != "project"]
    for group in ("cdop", "validation", "estimation", "place"):
        keys += [(group, k) for k in entered["registrations"][0][group] if k != "country"]
    for path in keys:
        record = deepcopy(entered)
        holder = record["registrations"][0]
        for key in path[:-1]:
            holder = holder[key]
        del holder[path[-1]]
        draft = cdop([one], _registration(record))
        named = {(gap.table, gap.field) for gap in draft.missing}
        for name, error in _errors(draft):
            required = isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required)
            assert required, (path, name, error.message)
            assert (name.partition(".")[0], error.kind.property) in named, (path, error.message)


@with_schemas
def test_lists_are_those_of_the_schemas():
    """A word copied wrongly here is a file that is refused there."""
    text = "".join(p.read_text("utf-8") for p in sorted(_SCHEMAS.glob("*.json")))
    for name, values in lists.cdop_lists().items():
        words = [values] if isinstance(values, str) else values
        words = words.values() if isinstance(words, dict) else words
        for word in words:
            assert json.dumps(word, ensure_ascii=False) in text or json.dumps(word) in text, name


def test_only_whole_tonnes_of_the_statement_are_written(one, entered):
    """The worst bug: a registry gets more tonnes than were credited."""
    draft = cdop([one], _registration(entered))
    (batch,) = draft.tables["Issuances"]["issuance"]["issuance"]
    assert batch["batch_issued_volume"] == TONNES
    assert batch["verification_period_start"] == "2026-01-02"
    assert batch["verification_period_end"] == "2026-01-02"
    block = draft.tables["Unit_Description.1"]["unit"]["credit_block"]
    assert block == [{"quantity": TONNES, "block_start": 101, "block_end": 100 + TONNES}]
    assert draft.tables["Estimations"]["project"]["estimated_total_years"] == 10
    (amount,) = draft.tables["Estimations"]["project"]["mitigation"]
    assert amount["estimated_annual_emissions_mitigation"] == 39.9
    assert amount["estimated_total_emissions_mitigation"] == 399
    nothing = cdop([source(0)], _registration({}))
    assert not [name for name in nothing.tables if name.startswith("Unit")]


def test_nothing_entered_is_a_draft_and_no_value_is_invented(one):
    """A project without a registry would get a status and a serial number that tonne invented."""
    for draft in (cdop([one], _registration({})), cad_trust([one], _registration({}))):
        assert draft.missing
        text = json.dumps(draft.tables)
        for word in ("Registered", "Issued", "VN021", "Viet Nam", 'Solar"'):
            assert word not in text


def test_tables_stand_in_the_order_of_the_node_and_refer_to_rows_that_are_there(one, entered):
    """A node refuses a row whose parent it does not have yet."""
    draft = cad_trust([one], _registration(entered))
    # who verified is named, not replaced, where the part of the list that is known has no such name
    assert [(gap.table, gap.field) for gap in draft.missing] == [
        ("verification", "verificationBody")
    ]
    assert tuple(draft.tables) == ORDER
    seen = set()
    for table, rows in draft.tables.items():
        for row in rows:
            assert not any(name.startswith("cadTrust") for name in row["fields"])
            assert set(row["refs"].values()) <= seen, (table, row)
            seen.add(row["ownId"])
    (unit,) = draft.tables["unit"]
    blocks = [int(unit["fields"][key]) for key in ("unitStartBlock", "unitEndBlock")]
    assert blocks[1] - blocks[0] + 1 == TONNES


def _set(path, value):
    def change(record):
        holder = record["registrations"][0]
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value

    return change


def _twice(record):
    record["registrations"] *= 2


def _overlap(record):
    units = record["registrations"][0]["units"]
    units.append({**units[0], "first": 100 + TONNES, "last": 100 + TONNES})


CONTRADICTIONS = {
    "ranges that overlap": (_overlap, "overlap"),
    "more units than were issued": (_set(("units", 0, "last"), 101 + TONNES), "are entered, but"),
    "a vintage that the statement has not": (
        _set(("units", 0, "vintage"), 2025),
        "credits only 0 t",
    ),
    "a range that runs backwards": (_set(("units", 0, "last"), 100), "is not a range"),
    "a word that no list has": (_set(("cdop", "unit_type"), "tonne"), "not in the format's list"),
    "a country that is none": (_set(("place", "country"), "VN"), "is not an ISO 3166-1"),
    "a project twice": (_twice, "entered 2 times"),
    "a key that nobody reads": (_set(("statuss",), "x"), "statuss"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_contradiction_is_refused_with_its_rule(one, entered, case):
    """Two registries would hold the same unit, or one more than was ever saved."""
    change, rule = CONTRADICTIONS[case]
    change(entered)
    with pytest.raises(ExportError, match=rule):
        check(read_authority(entered, "entries"), [one])


def test_only_what_counts_is_exported(one):
    """A draft's or a superseded statement's tonnes would be in a registry for good."""
    for state in ("draft", "verified", "superseded", "revoked"):
        with pytest.raises(ExportError, match=state):
            check_issued("TN-1", state)
    with pytest.raises(ExportError, match="superseded by TN-2"):
        check_issued("TN-1", "issued", "TN-2")
    with pytest.raises(ExportError, match="same time"):
        check_together([one, one])


def test_codes_are_those_of_iso_3166():
    """A Party that exists would be refused, or a code that is none written into a submission."""
    found = lists._countries()
    codes = {one.alpha_3 for one in pycountry.countries}
    assert set(found["names"]) == codes
    assert set(found["not_parties"]) <= codes
