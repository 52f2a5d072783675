"""
The signed documents and the plan extract as types, with required and optional fields.

This file has reading, writing and the parts common to all signed documents: issuer, proof,
reference to another document, and texts (a code and its values, rendered in the reader's language).
`statement`, `verification`, `monitoring`, `period_account` and `plan` have the types.  Digests and
proofs are calculated from the JSON as read, never from a type written again.

The types are msgspec structs: reading rejects missing, unknown or wrongly typed fields with their
path, and the JSON Schema follows from the same definition.

A field that statements of an earlier version do not have is `UNSET` there and is not written; its
comment states the version.  An optional value is None, written as null.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, dataclass_transform

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.texts import RELEASE_0_1_0, Text, Value, render

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

# units that follow an underscore at the end of a JSON name, as in `forgoneAtMost_t`
_UNITS = {"t", "ug", "s", "percent"}


def _wire_name(name: str) -> str:
    """Return the JSON name of a field: camel case, with the unit after an underscore."""
    first, *rest = name.rstrip("_").split("_")
    unit = f"_{rest.pop()}" if rest and rest[-1] in _UNITS else ""
    return first + "".join(word.capitalize() for word in rest) + unit


class _FormType(msgspec.StructMeta):
    """Metaclass of documents: all fields are keyword-only; msgspec does not inherit that option."""

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **settings: Any
    ) -> Any:
        return super().__new__(cls, name, bases, namespace, kw_only=True, **settings)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class Form(Struct, metaclass=_FormType, frozen=True, forbid_unknown_fields=True, rename=_wire_name):
    """Base of all document types: immutable, keyword-only; unknown fields are rejected."""


T = TypeVar("T", bound=Form)


def copied(kind: type[T], source: object, /, **others: Any) -> T:
    """Return a document type from the fields of a source with equal names, and from `others`."""
    same = (name for name in kind.__struct_fields__ if name not in others)
    return kind(**{n: getattr(source, n) for n in same if hasattr(source, n)}, **others)


def read(kind: type[T], record: object, name: str) -> T:
    """
    Return the type of a document from its JSON value.

    `kind`: type, such as `mrv.documents.statement.Statement`.
    `record`: JSON value from `canonical.parse`.
    `name`: name of the file or document, for errors.
    Raises CanonicalError, naming the path of the first field that is missing, unknown or of another
    type.
    """
    try:
        return msgspec.convert(record, kind)
    except msgspec.ValidationError as error:
        raise CanonicalError(
            f"{name} does not match its schema: {error}; download it again"
        ) from error


def read_bytes(kind: type[T], data: bytes, name: str) -> T:
    """Return the type of a document from bytes; CanonicalError as `canonical.parse` and `read`."""
    return read(kind, canonical.parse(data), name)


def write(document: Form) -> dict[str, Any]:
    """Return the JSON value of a type for `canonical.encode`; `UNSET` fields are omitted."""
    # through JSON text, so that tuples become lists, as in a document that was read
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return result


Context = tuple[str, ...] | str


class Issuer(Form):
    """The issuer: did:key of an enrolled key, and its holder's name."""

    id: str
    name: str


class Proof(Form):
    """A Data Integrity proof (W3C, eddsa-jcs-2022); its signature is not verified here."""

    type: str
    cryptosuite: str
    created: LocalTime
    verification_method: str
    proof_purpose: str
    proof_value: str
    context: Context | UnsetType = field(default=UNSET, name="@context")
    id: str | UnsetType = UNSET


class RelatedResource(Form):
    """Another document, by its id and the digests of its canonical bytes."""

    id: str
    digest_sri: str = field(name="digestSRI")
    digest_multibase: str
    media_type: str


class Credential(Form):
    """
    A W3C Verifiable Credential (VC data model 2.0).

    `proof` is one proof, or a set of proofs; a proof is valid only once `mrv.signatures` has
    verified it.
    """

    context: tuple[str, ...] = field(name="@context")
    id: str
    type: tuple[str, ...]
    valid_from: Time


class SignedCredential(Credential):
    """A credential with its issuer and proof."""

    issuer: Issuer
    proof: Proof | tuple[Proof, ...]


class Coded(Form):
    """
    A text as a code of the word files, with its values by name.

    Values are names and identifiers, numbers as decimal text or whole numbers, texts of their
    own, or lists of these.
    """

    code: str
    values: dict[str, str | int | Coded | tuple[str | int | Coded, ...]]


def coded(text: Text) -> Coded:
    """Return a text as `Coded`, its form in a document."""
    return Coded(code=text.code, values={name: _out(value) for name, value in text.values})


def text_in(coded: Coded) -> Text:
    """Return the text of its form in a document."""
    return Text(coded.code, tuple(sorted((n, _in(v)) for n, v in coded.values.items())))


def words_of(words: str | Coded, language: str = "en") -> str:
    """
    Return a text of a document in a language; a text signed by tonne 0.1.0 is returned
    unchanged.
    """
    return words if isinstance(words, str) else render(text_in(words), language)


def coded_or_words(words: str | Text) -> str | Coded:
    """Return a text in the form of a document; a text without a code is unchanged."""
    return words if isinstance(words, str) else coded(words)


def words_of_0_1_0(words: str | Text) -> str:
    """Return a text in the wording that tonne 0.1.0 signed."""
    return words if isinstance(words, str) else render(words, RELEASE_0_1_0)


def _out(value: Value) -> str | int | Coded | tuple[str | int | Coded, ...]:
    if isinstance(value, Text):
        return coded(value)
    if isinstance(value, tuple):
        return tuple(coded(item) if isinstance(item, Text) else _single(item) for item in value)
    return value


def _single(value: Value) -> str | int:
    if isinstance(value, Text | tuple):
        raise TypeError(f"the value {value} is in a list of a text; pass names, numbers or texts")
    return value


def _in(value: str | int | Coded | tuple[str | int | Coded, ...]) -> Value:
    if isinstance(value, Coded):
        return text_in(value)
    if isinstance(value, tuple):
        return tuple(text_in(item) if isinstance(item, Coded) else item for item in value)
    return value
