"""
The life of a statement: which step may follow which, and who may take it.

    draft -> submitted -> (under_verification) -> verified -> issued -> superseded
                                              `-> rejected          `-> revoked

The first finding puts a statement under verification; one without findings goes
without that step.

The database says the same in a trigger; here it is said first, in words that
tell what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mrv.errors import EnrolmentError, StatementStateError

if TYPE_CHECKING:
    from mrv.signatures.keys import EnrolledKey, Role

State = Literal[
    "draft",
    "submitted",
    "under_verification",
    "verified",
    "rejected",
    "issued",
    "superseded",
    "revoked",
]

_NEXT: dict[str, tuple[State, ...]] = {
    "draft": ("submitted",),
    "submitted": ("under_verification", "verified", "rejected"),
    "under_verification": ("verified", "rejected"),
    "verified": ("issued",),
    "issued": ("superseded", "revoked"),
    "rejected": (),
    "superseded": (),
    "revoked": (),
}
_COMMANDS = {
    "submitted": "tonne statement submit",
    "under_verification": "tonne statement finding add",
    "verified": "tonne statement verify",
    "rejected": "tonne statement verify --opinion adverse",
    "issued": "tonne statement issue",
    "superseded": "tonne statement supersede",
    "revoked": "tonne statement revoke",
}


def check_step(statement: str, state: str, wanted: State) -> None:
    """
    Refuse a step that does not follow the state.

    Raises
    ------
    StatementStateError
        Naming the state and what may follow it.
    """
    allowed = _NEXT[state]
    if wanted in allowed:
        return
    ways = "; ".join(f"`{_COMMANDS[step]} {statement}` makes it {step}" for step in allowed)
    raise StatementStateError(
        f"statement {statement} is {state} and cannot become {wanted}; "
        + (ways or "nothing follows that state: close its period again")
    )


def check_role(key: EnrolledKey, role: Role, statement: str) -> None:
    """Refuse a signer of another role; EnrolmentError names both roles."""
    if key.role != role:
        raise EnrolmentError(
            f"key {key.name!r} is enrolled as {key.role}; statement {statement} needs the"
            f" signature of a key enrolled as {role}; choose one, `tonne keys list` shows them"
        )


def check_other(preparer: EnrolledKey, verifier: EnrolledKey) -> None:
    """Refuse a verifier who is the preparer, by key or by name."""
    if preparer.multikey == verifier.multikey or preparer.name == verifier.name:
        raise EnrolmentError(
            f"{verifier.name!r} prepared this statement and cannot verify it;"
            " have it verified by another enrolled key"
        )
