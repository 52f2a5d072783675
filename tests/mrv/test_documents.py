"""Signed documents conform to their types and to the published schemas."""

import gzip
import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from deploy.reference_docs import schema_files
from mrv.documents import UNSET, read, read_bytes, write
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import Statement, claims_of
from mrv.documents.verification import (
    DOCUMENTS,
    FindingEvent,
    SamplingList,
    StatusList,
    Verification,
    schema,
)
from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.statement.findings import sign_event
from mrv.statement.states import sign_approval, sign_list
from tests.mrv import packs
from tests.mrv.report import sample

ROOT = Path(__file__).parents[2]
RELEASES = ROOT / "tests/data/releases"


@pytest.fixture(scope="module")
def signed():
    """Return signed documents of every kind, by kind and subject."""
    found = {}
    cases = {"pv": sample.pv_case(), "bus": sample.bus_case(), "compost": sample.compost_case(),
             "heat": sample.waste_heat_case()}  # fmt: skip
    for name, case in cases.items():
        facts = sample.issued(case, raise_findings=name == "pv")
        found["statement", name] = facts.statement
        found["verification", name] = facts.verification
        found["sampling-list", name] = facts.sampling
        found["plan", name] = case.plan.to_json()
    operator = packs.SIGNERS["operator"], packs.HOLDERS["operator"], packs.NOW
    verifier = packs.SIGNERS["verifier"], packs.HOLDERS["verifier"], packs.NOW
    statement = found["statement", "pv"]
    found["status-list", "pv"] = sign_list("pv", ["TN-1"], ["TN-1"], *operator)
    raised = ("raised", "CAR", "no certificate of the meter", "0.5")
    found["finding", "raised"] = sign_event(statement, (), raised, *verifier)
    found["approval", "pv"] = sign_approval(statement, found["verification", "pv"], *operator)
    files = packs.documents()
    found |= {
        ("statement", "pack"): canonical.parse(files["statement.json"]),
        ("verification", "pack"): canonical.parse(files["verification.json"]),
        ("plan", "pack"): canonical.parse(files["plan.json"]),
    }
    return found


def _released(kind):
    """Return documents of a kind from the databases of released versions."""
    for data in RELEASES.glob("*/data.copy.gz"):
        text = gzip.decompress(data.read_bytes()).decode()
        for found in re.finditer(r"\\\\x(7b[0-9a-f]+)", text):
            document = json.loads(bytes.fromhex(found.group(1)))
            if kind in document.get("type", ()):
                yield document


def test_schemas_have_not_drifted():
    """A program that reads the documents by their schema would find another form."""
    written = {p.name: p.read_bytes() for p in (ROOT / "docs/schemas").glob("*.json")}
    assert written == schema_files(), "run `make schemas`"


def test_every_signed_document_validates(signed):
    """Each signed document is valid by its published schema."""
    assert {kind for kind, _ in signed} == DOCUMENTS.keys()
    for name in DOCUMENTS:
        jsonschema_rs.meta.validate(schema(name))
    for (kind, of), document in signed.items():
        told = list(jsonschema_rs.validator_for(schema(kind)).iter_errors(document))
        assert not told, (kind, of, told[0].instance_path, told[0].message)


def test_types_hold_the_whole_document(signed):
    """A field that a type forgets would be lost on the way into a report."""
    for (kind, of), document in signed.items():
        assert write(read(DOCUMENTS[kind], document, kind)) == document, (kind, of)


@pytest.mark.parametrize(
    ("word", "kind"),
    [("EmissionReductionStatement", Statement), ("VerificationStatement", Verification)],
)
def test_documents_of_released_versions_are_read(word, kind):
    """Statements that were sold could not be shown or verified any more."""
    documents = list(_released(word))
    assert documents
    for document in documents:
        assert canonical.encode(write(read(kind, document, word))) == canonical.encode(document)


def test_what_a_released_statement_does_not_say_is_unset():
    """A field that older documents lack would be read as if it had been stated."""
    said = claims_of(next(_released("EmissionReductionStatement")))
    assert said.cross_checks is UNSET
    assert said.factors[0].accepted is None
    assert (said.fixed_parameters or ()) == ()


@pytest.mark.parametrize(
    ("where", "value", "told"),
    [
        (("credited", "t"), 3, r"Expected `str`, got `int` - at `\$.credentialSubject.credited.t`"),
        (("credited", "more"), "1", r"unknown field `more` - at `\$.credentialSubject.credited`"),
        (("emissions", "reduction", "ug"), "1e3", r"at `\$.*emissions.reduction.ug`"),
        (("monitoredParameters", 0, "side"), "left", r"monitoredParameters\[0\].side"),
        (("coverage",), None, r"at `\$.credentialSubject.coverage`"),
        (("monitoringPeriod", "from"), "yesterday", r"monitoringPeriod.from"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(where, value, told):
    """Anyone who gets a document refused would search it by hand."""
    document = canonical.parse(packs.documents()["statement.json"])
    place = document["credentialSubject"]
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    with pytest.raises(
        CanonicalError, match=r"^statement.json does not match its schema: .*" + told
    ):
        read(Statement, document, "statement.json")


def test_a_key_that_stands_twice_is_refused():
    """Two readers could take two different values from one signed document."""
    data = packs.documents()["statement.json"].replace(b'"t":', b'"t":"0","t":', 1)
    with pytest.raises(CanonicalError, match="appears twice"):
        read_bytes(Statement, data, "statement.json")


def test_a_finding_is_one_or_a_remark(signed):
    """A verification could hold half a finding, which neither counts nor is a remark."""
    document = json.loads(json.dumps(signed["verification", "pv"]))
    del document["credentialSubject"]["findings"][0]["state"]
    with pytest.raises(CanonicalError, match=r"findings\[0\]"):
        read(Verification, document, "verification.json")


def test_kinds_are_told_apart(signed):
    """One document could be taken for another kind, whose fields mean something else."""
    kinds = {"finding": FindingEvent, "plan": PlanExtract, "sampling-list": SamplingList,
             "status-list": StatusList, "statement": Statement}  # fmt: skip
    for name, kind in kinds.items():
        for (other, of), document in signed.items():
            if other != name:
                with pytest.raises(CanonicalError):
                    read(kind, document, of)
