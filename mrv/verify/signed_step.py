"""The step about signed values: what meters and gateways signed of the energy, verified again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrv.documents.form import UNSET
from mrv.errors import CanonicalError
from mrv.statement.signed_energy import COSE_GATEWAY, COSE_METER, NONE, OCMF
from mrv.statement.signed_proof import check_kept
from mrv.verify.subject import NotApplicableError, NotCheckedError

if TYPE_CHECKING:
    from mrv.verify.subject import Subject

_NAMES = {
    OCMF: "by its meter or station (OCMF)",
    COSE_METER: "by its meter (COSE_Sign1)",
    COSE_GATEWAY: "by its gateway (COSE_Sign1)",
    NONE: "not signed",
}


def signed_values(subject: Subject) -> str:
    """Signed values hold by the keys of plan.json, and back as much energy as is stated."""
    subject.needs_evidence()
    plan, stated = subject.plan, subject.claims.signed_energy
    if plan.signed is None or stated is UNSET:
        raise NotApplicableError("the statement does not tell how much of its energy is signed")
    try:
        check_kept(plan.signed, plan.devices, plan.serials)
    except ImportError as error:
        raise NotCheckedError(
            f"its batches need a library that is not here ({error.name}); pip install cbor2"
        ) from error
    if {one.signer for one in plan.signed.values} != set(stated.signers):
        raise CanonicalError("plan.json names other signers than the statement")
    told = ", ".join(
        f"{one.share_percent} % {_NAMES[one.kind]}"
        for one in stated.shares
        if one.energy_wh != "0" or one.kind == NONE
    )
    return f"{len(plan.signed.values)} hold; of {stated.energy_wh} Wh {told}"
