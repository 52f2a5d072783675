"""
Principals of a request: anonymous, holder of an API key, or of an OIDC token.

A principal has one role and access to some projects or all.  Other projects are answered as not
found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from services.api.problems import ProblemError

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tonne"'}


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Caller of a request.

    Attributes
    ----------
    id : str
        `key:<id>`, `oidc:<subject>`, or `public`.
    name : str
        Display name.
    role : str
        operator, verifier, auditor, admin; public without a token.
    projects : tuple of str, optional
        Visible projects; None is all.
    """

    id: str
    name: str
    role: str
    projects: tuple[str, ...] | None

    def sees(self, project: str) -> bool:
        """Return whether a project is within the scope."""
        return self.role != "public" and (self.projects is None or project in self.projects)

    @property
    def sees_all(self) -> bool:
        """Return whether every project, including future ones, is within the scope."""
        return self.role != "public" and self.projects is None


PUBLIC = Principal("public", "public", "public", ())


def refuse(principal: Principal, roles: tuple[str, ...]) -> NoReturn:
    """
    Refuse a principal of another role.

    Raises
    ------
    ProblemError
        401 without a token, 403 with another role.
    """
    if principal.role == "public":
        raise ProblemError(
            401, "a token is required; send `Authorization: Bearer TOKEN`", CHALLENGE
        )
    raise ProblemError(
        403,
        f"the role {principal.role} is not allowed to do this; allowed roles: {', '.join(roles)}",
    )


def refuse_part(principal: Principal) -> None:
    """
    Refuse a caller limited to some projects, for data of all projects.

    Raises
    ------
    ProblemError
        403.
    """
    if not principal.sees_all:
        raise ProblemError(
            403,
            "access to all projects is required, but your key is limited to some; "
            "ask for a key without `--project`",
        )
