"""What `tonne doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `ok`, `missing` (optional) or `wrong`, and what to do about it."""

    what: str
    state: str
    found: str
    fix: str = ""
