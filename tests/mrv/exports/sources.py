"""An issued statement of some whole tonnes, without a database."""

from msgspec import structs

from mrv.documents import read_bytes
from mrv.documents.period_account import Vintage
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import claims_of
from mrv.documents.verification import Verification
from mrv.exports import Source
from mrv.signatures import canonical
from tests.mrv.packs import documents

TONNES = 12


def source(tonnes=TONNES):
    """Return the statement of `tests.mrv.packs`, with a number of credited tonnes."""
    files = documents()
    claims = claims_of(canonical.parse_object(files["statement.json"]))
    vintage = Vintage(year=2026, reduction_t=f"{tonnes}.5", credited_t=str(tonnes))
    credited = structs.replace(claims.credited, t=str(tonnes), vintages=(vintage,))
    return Source(
        structs.replace(claims, credited=credited),
        read_bytes(Verification, files["verification.json"], "the verification"),
        read_bytes(PlanExtract, files["plan.json"], "the plan"),
    )
