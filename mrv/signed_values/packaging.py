"""
File formats of signed values, unpacked to the text of each value.

    XML    files of the S.A.F.E. transparency software: values/value, each with
           signedData or encodedData and often a publicKey
    OCPP   signedMeterData in base64 (2.0.1, 2.1), or the same object as JSON in a
           sample's value (1.6), as "Signed Meter Values in OCPP" of the OCA has it
    text   the value itself, one after another
    CBOR   signed batches (COSE_Sign1), one after another; or each as hex or base64 in a line

A key sent with a value does not prove its owner.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.parsers import expat

from mrv.errors import SignedValueError
from mrv.signed_values import ocmf

_COSE = b"\xd2\x84"  # tag 18 over an array of four
_BEGIN = re.compile(r"^[ \t]*(?=OCMF\|)", re.MULTILINE)


@dataclass(slots=True)
class Item:
    """
    A signed value as received.

    `text`: the value, without transport encoding.
    `key`: text of the key sent with it.
    `context`: its position in the transaction, as stated by the sender.
    `received`: time of receipt by tonne; None if tonne did not receive it.
    """

    text: str = ""
    key: str | None = None
    context: str | None = None
    received: datetime | None = None


def read_items(content: bytes) -> list[Item]:
    """
    Return the values of a file, XML or text.

    Raises SignedValueError if it contains none.
    """
    if content.startswith(_COSE):
        from mrv.signed_values import cose  # noqa: PLC0415 - its library, where it is needed alone

        items = [Item(batch) for batch in cose.texts(content)]
    elif content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        items = _xml(content)
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SignedValueError(
                f"the file is neither XML nor text: {error}; name the file of the signed values"
            ) from error
        items = [Item(part.strip()) for part in _BEGIN.split(text) if part.strip()]
        if items and not ocmf.is_ocmf(items[0].text):
            items = _lines(text) or [Item(plain(text))]
    if not items:
        raise SignedValueError(
            "the file contains no signed value; pass OCMF, XML of S.A.F.E., or COSE_Sign1"
        )
    return items


def _lines(text: str) -> list[Item]:
    """Return batches in hex or base64, one per line; empty if a line is anything else."""
    items = [Item(plain(line)) for line in text.splitlines() if line.strip()]
    return items if all(item.text.startswith("0o") for item in items) else []


def plain(text: str) -> str:
    """
    Return the text of an encoded value.

    OCMF as signed, a batch (COSE_Sign1) as base64; other text is unchanged.
    """
    text = text.strip()
    if ocmf.is_ocmf(text):
        return text
    if text.startswith("{"):
        try:
            content: Any = json.loads(text)
        except (ValueError, RecursionError):
            return text
        inner = content.get("signedMeterData") if isinstance(content, dict) else None
        return plain(inner) if isinstance(inner, str) and not inner.startswith("{") else text
    for decode in (bytes.fromhex, _base64):
        try:
            raw = decode(text)
            if raw.startswith(_COSE):
                return b64encode(raw).decode()
            result = raw.decode()
        except ValueError:
            continue
        if ocmf.is_ocmf(result):
            return result.strip()
    return text


def _base64(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


@dataclass(slots=True)
class _Walk:
    """XML parser target that collects signed values."""

    items: list[Item] = field(default_factory=list)
    encoding: str = "plain"
    where: str | None = None
    parts: list[str] = field(default_factory=list)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "value":
            self.items.append(Item(context=attributes.get("context")))
        elif name in ("signedData", "encodedData", "publicKey") and self.items:
            self.where, self.parts = name, []
            self.encoding = attributes.get("encoding", "plain")

    def data(self, text: str) -> None:
        if self.where is not None:
            self.parts.append(text)

    def end(self, name: str) -> None:
        if name != self.where:
            return
        self.where, text = None, "".join(self.parts).strip()
        if name == "publicKey":
            self.items[-1].key = text
        else:
            self.items[-1].text = plain(text) if self.encoding != "plain" else text


def _xml(content: bytes) -> list[Item]:
    walk, parser = _Walk(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = walk.start, walk.end
    parser.CharacterDataHandler = walk.data
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise SignedValueError(
            f"the XML cannot be read: {error}; download the file again"
        ) from error
    return walk.items


def _no_doctype(*_: object) -> None:
    """Raise an error for a DOCTYPE, since custom entities can expand a small file enormously."""
    raise SignedValueError(
        "the XML declares a document type, which is not allowed in a file of signed values; "
        "remove the declaration"
    )
