"""
The step about signed values and rows, verified again.

Meters and gateways sign values of the energy; suppliers, laboratories and makers sign rows.
"""

from __future__ import annotations

from msgspec.structs import replace

from mrv.documents.form import UNSET
from mrv.errors import CanonicalError
from mrv.signed_values.meter_keys import parse_key, same_key
from mrv.signed_values.own_keys import OwnKeys
from mrv.statement import signed_proof
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.signed_energy import COSE_GATEWAY, COSE_METER, NONE, OCMF
from mrv.statement.signed_proof import ENDED
from mrv.statement.signed_rows import ROLE, AnyRow, check_kept, check_named
from mrv.verify.subject import NotApplicableError, NotCheckedError, Subject

_NAMES = {
    OCMF: "by its meter or station (OCMF)",
    COSE_METER: "by its meter (COSE_Sign1)",
    COSE_GATEWAY: "by its gateway (COSE_Sign1)",
    NONE: "not signed",
}


def signed_values(subject: Subject) -> str:
    """Signed rows and values hold by the keys of plan.json, and back what is stated of them."""
    subject.needs_evidence()
    rows = _rows(subject)
    plan, stated = subject.plan, subject.claims.signed_energy
    if plan.signed is None or stated is UNSET:
        if rows:
            return rows
        raise NotApplicableError("the statement does not tell how much of its energy is signed")
    try:
        signed_proof.check_kept(plan.signed, plan.devices, plan.serials)
        if subject.meter_keys is not None:
            _hold_against(subject, plan, subject.meter_keys)
    except ImportError as error:
        raise NotCheckedError(
            f"its batches need a library that is not here ({error.name}); pip install cbor2"
        ) from error
    if {value.signer for value in plan.signed.values} != set(stated.signers):
        raise CanonicalError("plan.json names other signers than the statement")
    told = ", ".join(
        f"{share.share_percent} % {_NAMES[share.kind]}"
        for share in stated.shares
        if share.energy_wh != "0" or share.kind == NONE
    )
    values = f"{len(plan.signed.values)} hold; of {stated.energy_wh} Wh {told}"
    return f"{rows}; values: {values}" if rows else values


def _rows(subject: Subject) -> str:
    """
    Rows that third parties signed: they hold, by keys of others than who signed the statement.

    Whose a key is, the reader's own keys say; a signer that they do not name is noted.
    """
    plan, project = subject.plan, subject.plan.project.id
    rows: tuple[AnyRow, ...] = (*plan.invoices, *plan.samples, *plan.documents)
    if not plan.row_signers and not any(one.signed for one in rows):
        return ""
    ring = subject.trusted or subject.ring
    issuer = subject.statement.get("issuer")
    operators = [
        key
        for key in ring
        if key.role == "operator" and isinstance(issuer, dict) and issuer.get("id") == key.did
    ]
    held = check_kept(project, rows, plan.row_signers, operators)
    for one in plan.row_signers:
        named = [key for key in subject.trusted or () if key.multikey == one.key]
        if not any(key.role == ROLE for key in named) and subject.trusted is not None:
            subject.lack(
                "row-key",
                "draft",
                f"the key {one.key} of {one.organisation} as {ROLE} among the keys that you trust:"
                f" it signed {held[one.key]} rows of grade A",
                f"compare it with {one.organisation} itself, and have the programme name it in its"
                " trust root, or add it to your keys",
            )
    check_named(project, rows, subject.trusted)
    told = ", ".join(f"{held[one.key]} by {one.organisation}" for one in plan.row_signers)
    return f"signed rows hold: {told}"


def _hold_against(subject: Subject, plan: MonitoringPlan, own: OwnKeys) -> None:
    """Verify the values once more by the keys that the reader has too; note signers without one."""
    said = plan.signed
    if said is None:
        return
    for signer in sorted({value.signer for value in said.values}):
        serial = next((one.serial for one in said.keys if one.device == signer), None)
        named = f"{signer} (serial {serial})" if serial else signer
        # a serial number stands on the label; an id is the operator's choice, and may be another's
        mine = own.get(serial or "") or own.get(signer, ())
        if not mine:
            subject.lack(
                "meter-key",
                "draft",
                f"a key of {named} among your --meter-keys: it signed values of this period",
                "add its line, off the label or the maker's list, or leave --meter-keys out",
            )
            continue
        theirs = [one for one in said.keys if one.device == signer and one.key != ENDED]
        strange = [x for x in theirs if not any(same_key(parse_key(x.key), key) for key in mine)]
        if len(strange) == len(theirs):
            ends = ", ".join(f"..{one.key[-16:]} from {one.from_}" for one in strange)
            raise CanonicalError(
                f"plan.json has the key {ends} of {named}; your --meter-keys has another one of it"
            )
        said = replace(said, keys=tuple(one for one in said.keys if one not in strange))
    try:
        signed_proof.check_kept(said, plan.devices, plan.serials)
    except CanonicalError as error:
        raise CanonicalError(f"by your --meter-keys alone: {error}") from error
