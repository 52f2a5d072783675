"""What a rule found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that breaks a rule, or looks wrong; `text` names key, value and remedy."""

    kind: str
    id: str
    text: str
    warning: bool = False
