"""Errors of input, registry and servers; position and cause of a JSON syntax error."""

from __future__ import annotations

import json


class TonneError(Exception):
    """Base of all errors that tonne raises deliberately."""


class InputError(TonneError):
    """Bad input: the message names the thing, its value and the remedy."""


class ProfileError(InputError):
    """A device class file or profile file is wrong."""


class RegistryError(InputError):
    """An entry is missing in the registry, or is not accepted."""


class PayloadError(InputError):
    """A payload that cannot be used: `reason` names the kind, `detail` the case and the remedy."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ServerError(TonneError):
    """A server cannot be reached, is too old or rejects the request."""


# what Pythons before 3.13 say at the bracket behind a comma that nothing follows
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
