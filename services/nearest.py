"""Suggestion of the known name nearest to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 3
_ALIKE = 0.7
_ENOUGH = 3  # letters, of a name that was cut short


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """
    Return a question with the names nearest to `name`, or '' if none is near; case is
    ignored.
    """
    folded = {name.casefold(): name for name in known}
    typed = name.casefold()
    near = get_close_matches(typed, folded, n=_SHOWN, cutoff=_ALIKE)
    if not near and len(typed) >= _ENOUGH:
        near = [name for name in folded if name.startswith(typed)][:_SHOWN]
    if not near:
        return ""
    return f"did you mean {' or '.join(repr(folded[name]) for name in near)}?"
