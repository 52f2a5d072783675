"""
Reading a document into its type, and writing it.

msgspec's structs rather than dataclasses: they refuse what is missing, unknown or of
another type and name its path, they write the same values back, and their JSON Schema
comes from the same lines, so that nothing is said twice.

A field that statements of an earlier version do not have is `UNSET` there and is not
written; its comment says since when.  A field that may hold nothing is None, written
as null.
"""

from typing import Annotated, Any, TypeVar, dataclass_transform

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from mrv.errors import CanonicalError
from mrv.signatures import canonical

__all__ = [
    "UNSET",
    "Form",
    "Hex",
    "LocalTime",
    "Number",
    "Time",
    "UnsetType",
    "Whole",
    "field",
    "read",
    "read_bytes",
    "write",
]

Number = Annotated[
    str,
    Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$", max_length=128, description="A decimal number as text."),
]
Whole = Annotated[
    str, Meta(pattern=r"^-?[0-9]+$", max_length=128, description="A whole number as text.")
]
Time = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$",
        description="A time in UTC (RFC 3339).",
    ),
]
LocalTime = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}(Z|[+-][0-9]{2}:[0-9]{2}(:[0-9]{2})?)$",
        description="A local time with its offset from UTC (RFC 3339).",
    ),
]
Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="A SHA-256 digest in hex.")]

# what a name may end in stays behind an underscore, as `reduction_t` and `forgoneAtMost_t`
_UNITS = {"t", "ug", "s", "percent"}


def _wire_name(name: str) -> str:
    """Name of a field in JSON: camel case, a unit behind an underscore."""
    first, *rest = name.rstrip("_").split("_")
    unit = f"_{rest.pop()}" if rest and rest[-1] in _UNITS else ""
    return first + "".join(word.capitalize() for word in rest) + unit


class _FormType(msgspec.StructMeta):
    """Struct types by name alone, which msgspec asks each of them to say again."""

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **settings: Any
    ) -> Any:
        return super().__new__(cls, name, bases, namespace, kw_only=True, **settings)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class Form(Struct, metaclass=_FormType, frozen=True, forbid_unknown_fields=True, rename=_wire_name):
    """Base of all document types: immutable, keyword only, without further fields."""


T = TypeVar("T", bound=Form)


def read(kind: type[T], record: object, name: str) -> T:
    """
    Return the type of a document from its JSON value.

    Parameters
    ----------
    kind : type
        Such as `mrv.documents.statement.Statement`.
    record : object
        As `canonical.parse` gave it.
    name : str
        Of the file or document, for errors.

    Raises
    ------
    CanonicalError
        Naming the path of the first field that is missing, unknown or of another type.
    """
    try:
        return msgspec.convert(record, kind)
    except msgspec.ValidationError as error:
        raise CanonicalError(f"{name} does not match its schema: {error}; get it again") from error


def read_bytes(kind: type[T], data: bytes, name: str) -> T:
    """Return the type of a document from bytes; CanonicalError as `canonical.parse` and `read`."""
    return read(kind, canonical.parse(data), name)


def write(document: Form) -> dict[str, Any]:
    """Return the JSON value of a type for `canonical.encode`; `UNSET` fields are omitted."""
    # through JSON text, so that lists are lists, as they are in a document that was read
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return found
