"""
Values signed by their meter: their file formats, keys of meters, and verification.

The check of a value:

1.  The text is read as OCMF, or as a batch of readings (COSE_Sign1).
2.  The signer is a meter or a gateway; its key is from the registry or the verifier, never from the
   message alone.  A key that has ended verifies no later value.
3.  The signature is over the payload's bytes by that key.
4.  A signer can sign for itself, and for the devices connected to it in the registry.
5.  The page number of a meter, or the batch number of a signer, identifies one payload: another
   payload with the same number is refused.  Missing numbers are reported.

The result is `verified`, `refused` or `not checked`; the last means unknown, and never verified.

File formats, unpacked to the text of each value:

    XML    files of the S.A.F.E. transparency software: values/value, each with
           signedData or encodedData and often a publicKey
    OCPP   signedMeterData in base64 (2.0.1, 2.1), or the same object as JSON in a
           sample's value (1.6), as in "Signed Meter Values in OCPP" of the OCA
    text   the value itself, one after another
    CBOR   signed batches (COSE_Sign1), one after another; or each as hex or base64 in a line

A key sent with a value does not prove its owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from mrv.errors import SignedValueError
from mrv.signed_values import ocmf
from mrv.signed_values.meter_keys import (
    MeterKey,
    NotCheckedError,
    decode_key,
    verifies,
    verifies_cose,
)
from mrv.signed_values.ocmf import Reading, Record

if TYPE_CHECKING:
    from ingest.codecs.cose_sign1 import Batch

    _Place = tuple[str, str | None, str | None, str]


import binascii
import json
import re
from base64 import b64decode, b64encode
from dataclasses import field
from typing import Any
from xml.parsers import expat

Outcome = Literal["verified", "refused", "not checked"]
VERIFIED: Final = "verified"
REFUSED: Final = "refused"
NOT_CHECKED: Final = "not checked"


class DatedKey(NamedTuple):
    """
    A key of a meter or gateway, and its validity.

    `key`: None: no key from this time until the next one begins.
    `begins`: start of its validity.
    `holder`: meter or gateway that owns it.
    `speaks`: ids of the devices for which a gateway may sign, by their names (id, serial number);
    None if the registry states none.
    """

    key: MeterKey | None
    begins: datetime | None
    holder: str
    speaks: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """
    Result of the check of one value.

    `outcome`: `verified`, `refused` or `not checked`.
    `detail`: why, in a sentence.
    `record`: OCMF; None if it is not OCMF or unreadable.
    `holder`: owner of the key that verified it.
    `batch`: COSE_Sign1; None if the value is not a batch, or could not be read.
    `device`: device of the value in the registry.
    `notes`: further notes for the reader: clocks, states, repetitions.
    """

    outcome: Outcome
    detail: str
    record: Record | None = None
    holder: str | None = None
    batch: Batch | None = None
    device: str | None = None
    notes: tuple[str, ...] = ()


def check_items(items: Iterable[Item], keys: Mapping[str, Sequence[DatedKey]]) -> list[Checked]:
    """
    Return the result of the check of each value against the keys of its meter.

    `items`: values in order of receipt.
    `keys`: serial number to the keys of that meter or gateway.
    """
    pages: dict[_Place, bytes] = {}
    last: dict[tuple[str | None, str], int] = {}
    return [_counted(_once(check_item(item, keys), pages), last) for item in items]


def check_item(item: Item, keys: Mapping[str, Sequence[DatedKey]]) -> Checked:
    """Return the result of the check of a single value, without the check for repeated pages."""
    if item.text[:2] == "0o":
        return _check_batch(item, keys)
    if not ocmf.is_ocmf(item.text):
        return Checked(
            NOT_CHECKED, "it is neither OCMF nor COSE_Sign1; only these are checked here"
        )
    try:
        record = ocmf.read(item.text)
    except SignedValueError as error:
        return Checked(REFUSED, str(error))
    notes = tuple(dict.fromkeys(note for reading in record.readings for note in _notes(reading)))
    last = record.readings[-1]
    at = (
        None if last.clock == "U" else last.time
    )  # a time of an unsynchronised clock does not select the key
    stored = next((keys[n] for n in (record.meter, record.gateway) if n and keys.get(n)), ())
    known, ended = _known(stored, at, item.received)
    if known:
        checked = _by_keys(record, known)
    else:
        checked = Checked(REFUSED, ended) if ended else _by_sent_key(record, item)
    return replace(checked, record=record, notes=notes, device=checked.holder)


def _check_batch(item: Item, keys: Mapping[str, Sequence[DatedKey]]) -> Checked:
    # this module needs cbor2, which is not required for other values
    from mrv.signed_values import cose  # noqa: PLC0415

    try:
        batch = cose.read(item.text)
    except SignedValueError as error:
        return Checked(REFUSED, str(error))
    at = datetime.fromtimestamp(batch.at_ms / 1_000, UTC)
    known, ended = _known(keys.get(batch.signer, ()), at, item.received)
    if not known:
        unknown = f"no key of {batch.signer} is known for that time; register or pass the key"
        checked = Checked(REFUSED, ended) if ended else Checked(NOT_CHECKED, unknown)
        return replace(checked, batch=batch)
    return replace(_batch_by_keys(batch, known), batch=batch)


def _batch_by_keys(batch: Batch, known: Sequence[DatedKey]) -> Checked:
    for key in known:
        try:
            fits = key.key is not None and verifies_cose(
                key.key, batch.algorithm, batch.signature, batch.signed
            )
        except SignedValueError as error:
            return Checked(NOT_CHECKED, str(error))
        if not fits:
            continue
        device = batch.device if key.speaks is None else key.speaks.get(batch.device)
        if device is None:
            return Checked(
                REFUSED, f"signed by the key of {key.holder}, which may not sign for {batch.device}"
            )
        text = f"signed by the key of {key.holder} for {device}"
        return Checked(VERIFIED, text, holder=key.holder, device=device)
    return Checked(
        REFUSED,
        f"not signed by the key of {' or '.join(key.holder for key in known)}: "
        "the value was changed, or signed by another key",
    )


def of_device(checked: Checked, device: str | None) -> Checked:
    """
    Return the result; it is refused if another device than the owner of the key sent
    the value.
    """
    if checked.outcome != VERIFIED or checked.device == device:
        return checked
    sent = device or "no known device"
    whose = f"the meter of {checked.holder}" if checked.batch is None else checked.holder
    text = f"sent by {sent}, but signed by {whose}"
    if checked.batch is not None:
        text = f"sent for {sent}, but signed for {checked.device}"
    return replace(checked, outcome=REFUSED, detail=text, holder=None, device=None)


def _known(
    keys: Sequence[DatedKey], at: datetime | None, received: datetime | None
) -> tuple[list[DatedKey], str]:
    """
    Return the keys valid at a time, and the reason if there is none.

    A value must also have been received before its key ended, as a stolen key can sign any time.
    """
    known, ended = [], ""
    for rows in _by_holder(keys):
        if at is None:
            known += [row for row in rows if row.key is not None and rows[-1].key is not None]
            continue
        begun = [row for row in rows if row.begins is None or row.begins <= at]
        if not begun:
            continue
        end = next((row.begins for row in rows[len(begun) :] if row.key is None), None)
        if begun[-1].key is None:
            ended = f"the key of {begun[-1].holder} ended on {_day(begun[-1].begins)}"
        elif end is not None and received is not None and received >= end:
            ended = (
                f"the key of {begun[-1].holder} ended on {_day(end)}, but this was received "
                f"on {_day(received)}: no evidence that it was signed earlier"
            )
        else:
            known.append(begun[-1])
    return known, ended


def _by_holder(keys: Sequence[DatedKey]) -> Iterable[list[DatedKey]]:
    result: dict[str, list[DatedKey]] = {}
    for key in keys:
        result.setdefault(key.holder, []).append(key)
    return result.values()


def _day(at: datetime | None) -> str:
    return "an unknown day" if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _by_keys(record: Record, known: Sequence[DatedKey]) -> Checked:
    for key in known:
        try:
            if key.key is not None and verifies(
                key.key, record.algorithm, record.signature, record.signed
            ):
                return Checked(VERIFIED, f"signed by the key of {key.holder}", holder=key.holder)
        except SignedValueError as error:
            return Checked(NOT_CHECKED, str(error))
    return Checked(
        REFUSED,
        f"not signed by the key of {' or '.join(key.holder for key in known)}: "
        "the batch was changed, or signed by another meter",
    )


def _by_sent_key(record: Record, item: Item) -> Checked:
    """Return the result of a check with the key sent with a value: refused, or not checked."""
    unknown = f"no key of {record.name} is known for that time; register or pass the key"
    if item.key is None:
        return Checked(NOT_CHECKED, unknown)
    try:
        fits = verifies(decode_key(item.key), record.algorithm, record.signature, record.signed)
    except NotCheckedError as error:
        return Checked(NOT_CHECKED, str(error))
    except SignedValueError as error:
        return Checked(NOT_CHECKED, f"{unknown}; the key sent with it cannot be read: {error}")
    if not fits:
        return Checked(REFUSED, "not signed by the key sent with it")
    return Checked(
        NOT_CHECKED, f"the key sent with it matches, but anyone can make such a pair: {unknown}"
    )


def _once(checked: Checked, pages: dict[_Place, bytes]) -> Checked:
    """Return the result: refused if another payload has the same page; a repeated page is noted."""
    item = checked.record or checked.batch
    if item is None or checked.outcome == REFUSED:
        return checked
    # separate for each outcome, as a value that was not checked must not affect a verified one
    if checked.record is not None:
        record = checked.record
        place: _Place = checked.outcome, record.gateway, record.meter, record.page
        page, whose = f"page {record.page}", record.name
    else:
        batch = cast("Batch", checked.batch)
        place = checked.outcome, batch.signer, batch.device, f"number {batch.sequence}"
        page, whose = place[-1], f"{batch.signer} for {batch.device}"
    before = pages.setdefault(place, item.signed)
    if before == item.signed:
        fresh = before is item.signed
        return (
            checked
            if fresh
            else replace(
                checked, notes=(*checked.notes, f"{page} again with the same value: count it once")
            )
        )
    text = f"{page} of {whose} already has another value"
    if checked.outcome == VERIFIED:
        return replace(checked, outcome=REFUSED, detail=text, holder=None, device=None)
    return replace(checked, notes=(*checked.notes, text))


def _counted(checked: Checked, last: dict[tuple[str | None, str], int]) -> Checked:
    """Return the result with a note on missing batches, or batches out of order."""
    batch = checked.batch
    if batch is None or checked.outcome != VERIFIED:
        return checked
    place = checked.holder, batch.device
    before = last.get(place, batch.sequence - 1)
    last[place] = max(before, batch.sequence)
    text = ""
    if batch.sequence > before + 1:
        lacks = batch.sequence - before - 1
        message = "1 batch is" if lacks == 1 else f"{lacks} batches are"
        text = f"{message} missing after number {before}"
    elif batch.sequence < before:
        text = f"number {batch.sequence} follows number {before}"
    return replace(checked, notes=(*checked.notes, text)) if text else checked


def _notes(reading: Reading) -> Iterable[str]:
    if reading.clock != "S":
        yield f"time {reading.clock}: {ocmf.TIMES[reading.clock]}"
    if reading.status != ocmf.GOOD:
        yield f"state {reading.status}: {ocmf.STATES[reading.status]}"
    if reading.errors:
        parts = [text for flag, text in (("E", "energy"), ("t", "time")) if flag in reading.errors]
        yield f"not to be used, as the meter reports: {' and '.join(parts) or reading.errors}"


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
    """Return the values of a file, XML or text. Raises SignedValueError if it contains none."""
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
