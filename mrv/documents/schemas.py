"""JSON Schema (2020-12) of each document, from its type."""

from typing import Any

import msgspec

from mrv.documents.form import Form
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import Statement
from mrv.documents.verification import (
    FindingEvent,
    IssueApproval,
    SamplingList,
    StatusList,
    Verification,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS: dict[str, type[Form]] = {
    "statement": Statement,
    "verification": Verification,
    "finding": FindingEvent,
    "approval": IssueApproval,
    "sampling-list": SamplingList,
    "status-list": StatusList,
    "plan": PlanExtract,
}


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document; KeyError for a name not in `DOCUMENTS`."""
    # through JSON text: an empty list by default is a tuple otherwise
    encoded = msgspec.json.encode(msgspec.json.schema(DOCUMENTS[name]))
    result: dict[str, Any] = msgspec.json.decode(encoded)
    return {"$schema": DIALECT, "$id": f"urn:tonne:schema:{name}", **result}
