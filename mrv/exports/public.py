"""
Public version of a statement: confidential texts are hidden, the rest can be verified.

The operator's proof covers the whole statement, so no part can be removed without invalidating it.
Each hidden text is therefore replaced by a mark, and its salted digest is listed as in RFC 9901
(SD-JWT): base64url of SHA-256 over the base64url of `[salt, path, text]`.  The public version names
the digest of the original.  With the disclosures, the original is restored byte for byte and
compared with that digest.  The value of the operator's proof is hidden as well: with it, short
hidden texts could be guessed.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from mrv.errors import ExportError, SignatureError
from mrv.signatures import canonical

TYPE = "PublicStatement"
# fields whose texts are hidden, by category
CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "meter": ("device", "devices", "gateway", "main", "meter", "of", "users"),
    "serial": ("serial",),
    "maker": ("maker", "model"),
    "certificate": ("certificate",),
    "person": ("responsible", "team", "reviewer", "signatory"),
    "place": ("site", "place"),
    "document": (
        "laboratory",
        "laboratory_accreditation",
        "sample",
        "invoice",
        "number",
        "issuer_of_invoice",
        "document",
    ),
}
_FIELDS = {name for names in CATEGORIES.values() for name in names}
# lists of items whose ids are hidden, by category; elsewhere the same name is a number of items
_LISTED = {"devices": "meter", "invoices": "document"}
_SIGNATURE = re.compile(r"/proof(/[0-9]+)?/proofValue$")
_FIGURE = re.compile(r"^[-+0-9.,:TZ/ ]+$")
_SHORT = 4


class Hidden(NamedTuple):
    """A hidden text: document, position, and replacement."""

    document: str
    path: str
    text: str
    salt: str

    @property
    def digest(self) -> str:
        """Return the salted digest in the public version."""
        return digest_of(self.salt, f"{self.document}{self.path}", self.text)


class Twin(NamedTuple):
    """Documents with marks in place of hidden texts, and a list of these texts."""

    documents: dict[str, Any]
    hidden: list[Hidden]


def secrets_of(
    documents: Iterable[Any], categories: Collection[str], more: Iterable[str] = ()
) -> dict[str, str]:
    """
    Return the texts to hide, each with its mark; equal texts have equal marks.

    `documents`: JSON values.
    `categories`: members of `CATEGORIES`.
    `more`: names of further fields to hide.
    """
    fields = {name: of for of in categories for name in CATEGORIES[of]}
    fields |= dict.fromkeys(more, "text")
    result: dict[str, set[str]] = {}
    for document in documents:
        for category, text in _identifying(document, fields):
            result.setdefault(category, set()).add(text)
    marks: dict[str, str] = {}
    for category, texts in result.items():
        width = len(str(len(texts)))
        for number, text in enumerate(sorted(texts), 1):
            marks.setdefault(text, f"[{category} {number:0{width}}]")
    return marks


def _identifying(value: Any, fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _identifying(item, fields)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in fields and not _counts(name, item):
                yield from ((fields[name], text) for text in _texts(item))
            if name in _LISTED and isinstance(item, list) and _LISTED[name] in fields.values():
                yield from (
                    (_LISTED[name], row["id"])
                    for row in item
                    if isinstance(row, dict) and "id" in row
                )
            yield from _identifying(item, fields)


def _counts(name: str, value: Any) -> bool:
    """Return whether a field is a number of items, although its name elsewhere denotes a list."""
    return name in _LISTED and isinstance(value, str)


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts of a confidential field, except those of named nested fields."""
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str):
                yield item
            elif isinstance(item, dict) and set(item) <= {"name", "function"}:
                yield from (text for text in item.values() if isinstance(text, str))
    elif isinstance(value, dict) and set(value) <= {"name", "function"}:
        yield from (text for text in value.values() if isinstance(text, str))


def check_hideable(marks: Mapping[str, str], values: Mapping[str, str]) -> None:
    """
    Check that no identifier of the statement itself would be hidden.

    Raises ExportError that names the text and its kind.
    """
    for text, what in values.items():
        if text in marks:
            raise ExportError(
                f"{text!r} is hidden as {marks[text]} but is also the {what}, which "
                "a public statement shows; do not hide the category (--show)"
            )


def hide(documents: Mapping[str, Any], marks: Mapping[str, str], salt: Callable[[], str]) -> Twin:
    """
    Return documents with marks in place of secrets, wherever they occur.

    `documents`: mapping of name to JSON value.
    `marks`: mapping of text to mark.
    `salt`: a fresh salt of 128 random bits, for each text.
    """
    pattern = _pattern(marks)
    hidden: list[Hidden] = []
    made = {}
    for name, document in documents.items():
        changed = deepcopy(document)
        for path, text, put in _places(changed):
            if _SIGNATURE.search(path) and name == "statement":
                label = "[signature]"
            else:
                label = covered(text, marks, pattern, own=_own(path))
            if label != text:
                hidden.append(Hidden(name, path, text, salt()))
                put(label)
        # the proof of a changed document would not verify
        made[name] = changed
    return Twin(made, hidden)


def covered(
    text: str, marks: Mapping[str, str], pattern: re.Pattern[str], *, own: bool = False
) -> str:
    """
    Return a text with marks in place of confidential texts.

    Figures and times are replaced only in confidential fields (`own`), as a serial number may have
    the same digits as a number of tonnes.
    """
    if not own and _FIGURE.match(text):
        return text
    if text in marks:
        return marks[text]
    return pattern.sub(lambda match: marks[match[0]], text)


def redacted(value: Any, marks: Mapping[str, str]) -> Any:
    """Return a JSON value with marks in place of secrets, in keys and texts."""
    pattern = _pattern(marks)

    def walk(item: Any, name: str) -> Any:
        if isinstance(item, dict):
            return {
                covered(k, marks, pattern): walk(inner, "" if _counts(k, inner) else k)
                for k, inner in item.items()
            }
        if isinstance(item, list):
            return [walk(inner, name) for inner in item]
        if isinstance(item, str):
            return covered(item, marks, pattern, own=name in _FIELDS)
        return item

    return walk(value, "")


def _own(path: str) -> bool:
    """Return whether a path is a confidential field, or an item of one."""
    parts = path.split("/")
    names = [part for part in parts if part and not part.isdigit()]
    return bool(names) and names[-1] in _FIELDS and not _counts(parts[-1], "")


def _pattern(marks: Mapping[str, str]) -> re.Pattern[str]:
    # a number with few digits is hidden only in its own field
    words = sorted((t for t in marks if not (t.isdigit() and len(t) < _SHORT)), key=len)[::-1]
    any_ = "|".join(re.escape(word) for word in words) or r"(?!)"
    return re.compile(rf"(?<![\w-])(?:{any_})(?![\w-])")


def _places(value: Any, path: str = "") -> Iterator[tuple[str, str, Callable[[str], None]]]:
    """Yield each text with its JSON pointer (RFC 6901) and a function that replaces it."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, item in items:
        here = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if isinstance(item, str):
            yield here, item, _setter(value, key)
        else:
            yield from _places(item, here)


def _setter(container: Any, key: Any) -> Callable[[str], None]:
    def put(text: str) -> None:
        container[key] = text

    return put


def digest_of(salt: str, path: str, text: str) -> str:
    """Return the digest of a disclosure (RFC 9901)."""
    disclosure = _base64url(json.dumps([salt, path, text], ensure_ascii=False).encode())
    return _base64url(hashlib.sha256(disclosure.encode()).digest())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def twin_document(
    twin: Twin, originals: Mapping[str, Any], categories: Collection[str], context: Sequence[str]
) -> dict[str, Any]:
    """Return the public version as one document, unsigned."""
    return {
        "@context": list(context),
        "type": ["VerifiableCredential", TYPE],
        "credentialSubject": {
            "id": originals["statement"]["id"],
            "hidden": sorted(categories),
            "originals": {
                n: canonical.sha256_hex(canonical.encode(d)) for n, d in originals.items()
            },
            "documents": twin.documents,
            "redactions": [
                {"document": item.document, "path": item.path, "digest": item.digest}
                for item in twin.hidden
            ],
        },
    }


def disclosures(twin: Twin) -> list[dict[str, str]]:
    """Return the disclosures of the public version, for readers allowed to see the original."""
    return [
        {"document": item.document, "path": item.path, "salt": item.salt, "text": item.text}
        for item in twin.hidden
    ]


def restored(document: Mapping[str, Any], opened: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """
    Return the signed originals, restored from a public version and its disclosures.

    Raises SignatureError if a disclosure is missing or wrong, or the originals have another digest.
    """
    subject = document["credentialSubject"]
    wanted = {(r["document"], r["path"]): r["digest"] for r in subject["redactions"]}
    made = deepcopy(subject["documents"])
    for item in opened:
        key = item["document"], item["path"]
        digest = digest_of(item["salt"], "".join(key), item["text"])
        if wanted.pop(key, None) != digest:
            raise SignatureError(
                f"the disclosure of {''.join(key)} does not belong to this public version; get "
                "both from the issuer again"
            )
        places = {path: put for path, _, put in _places(made[item["document"]])}
        places[item["path"]](item["text"])
    if wanted:
        name, path = next(iter(wanted))
        raise SignatureError(
            f"{len(wanted)} disclosures are missing, the first is {name}{path}; get the "
            "whole file of disclosures"
        )
    for name, digest in subject["originals"].items():
        value_text = canonical.sha256_hex(canonical.encode(made[name]))
        if value_text != digest:
            raise SignatureError(
                f"the {name} has the digest {value_text}, but the public version was made from "
                f"{digest}; obtain both again from the issuer"
            )
    return dict(made)
