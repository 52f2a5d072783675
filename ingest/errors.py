"""Errors of input, registry and servers; positions of JSON errors; suggestions of correct names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches


class TonneError(Exception):
    """Base of all errors that tonne raises deliberately."""


class InputError(TonneError):
    """Invalid input: the message names the object, its value and the remedy."""


class ProfileError(InputError):
    """A device class file or profile file is invalid."""


class RegistryError(InputError):
    """A registry entry is missing or not accepted."""


class PayloadError(InputError):
    """A payload that cannot be used: `reason` names the kind, `detail` the case and the remedy."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ServerError(TonneError):
    """A server cannot be reached, is too old or rejects the request."""


# messages of Python before 3.13 for a closing bracket after a comma
_BEHIND_COMMA = {
    ("Expecting property name enclosed in double quotes", "}"): "object",
    ("Expecting value", "]"): "array",
}
_BLANKS = " \t\n\r"
TOO_DEEP = "nested too deeply to read; flatten it"


def fault(error: json.JSONDecodeError) -> json.JSONDecodeError:
    """
    Return an error of `json.loads` with the text of Python 3.13 and later.

    A comma before a closing bracket is reported at the comma; earlier versions report the bracket.
    """
    text, at = error.doc, error.pos
    before = text[:at].rstrip(_BLANKS)
    kind = _BEHIND_COMMA.get((error.msg, text[at : at + 1]))
    if kind is None or not before.endswith(","):
        return error
    message = f"Illegal trailing comma before end of {kind}"
    return json.JSONDecodeError(message, text, len(before) - 1)


def describe_fault(error: ValueError | RecursionError) -> str:
    """Return a description of the error, with line and column where known."""
    if isinstance(error, json.JSONDecodeError):
        return str(fault(error))
    return TOO_DEEP if isinstance(error, RecursionError) else str(error)


_SHOWN = 3
_ALIKE = 0.7
_ENOUGH = 3  # minimum letters of an abbreviated name


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
