"""
Verification of signed values at arrival, with the keys of the registry.

Readings are stored in any case, as a key may be registered later.  Invalid signatures are counted
and logged; they do not support a statement, which verifies every signature again.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from psycopg import Cursor

from ingest.decode import Rejected
from ingest.model import Fleet
from ingest.mqtt.topics import device_of
from ingest.reading import SIGNED_VALUE
from mrv.errors import SignedValueError
from mrv.signed_values.meter_keys import parse_key
from mrv.signed_values.packaging import Item, plain
from mrv.signed_values.verification import DatedKey, check_item, of_device
from services.logs import get_logger
from services.store.messages.dead_letter_write import Letters
from services.store.registry.entries_from_rows import load_meter_keys

_ENDED = "ended"
_TOLD = 100


class _Note(msgspec.Struct):
    data: str


class Signatures:
    """
    Verifies the signed values of batches by one registry version.

    Keys are loaded with the first signed value.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._keys: Mapping[str, Sequence[DatedKey]] | None = None
        self._told: set[str] = set()

    def judge(self, cursor: Cursor, noted: Sequence[Rejected], messages: Letters) -> Counter[str]:
        """Return the numbers of values by result: verified, refused, not checked."""
        result: Counter[str] = Counter()
        for rejected in noted:
            if rejected.reason != SIGNED_VALUE:
                continue
            if self._keys is None:
                self._keys = self._load(cursor)
            data = msgspec.json.decode(rejected.detail, type=_Note).data
            text = plain(data) if data else b64encode(messages.payloads[rejected.message]).decode()
            device = device_of(messages.topics[rejected.message], self._fleet)
            outcome = of_device(check_item(Item(text), self._keys), device)
            result[outcome.outcome] += 1
            if outcome.outcome == "refused":
                self._tell(device, outcome.detail)
        return result

    def _tell(self, device: str | None, why: str) -> None:
        """Log an invalid signature once per device."""
        name = device or "?"
        if name not in self._told and len(self._told) < _TOLD:
            self._told.add(name)
            get_logger("signatures").warning("signature rejected", device=name, why=why[:300])

    def _load(self, cursor: Cursor) -> dict[str, list[DatedKey]]:
        every = load_meter_keys(cursor.connection)
        rows = cursor.execute("SELECT id, serial FROM device WHERE serial IS NOT NULL").fetchall()
        serials: dict[str, str] = {str(name): str(serial) for name, serial in rows}
        behind: dict[str, dict[str, str]] = {}
        for device in self._fleet.devices:
            own = dict.fromkeys(filter(None, (device.id, serials.get(device.id))), device.id)
            for speaker in {device.id, device.gateway or device.id}:
                behind.setdefault(speaker, {}).update(own)
        result: dict[str, list[DatedKey]] = {}
        for holder, keys in every.items():
            for meter_key in keys:
                try:
                    key = None if meter_key.key == _ENDED else parse_key(meter_key.key)
                except SignedValueError:
                    continue  # of a kind that this machine's library lacks
                dated = DatedKey(key, meter_key.begins, holder, behind.get(holder, {}))
                for name in dict.fromkeys(filter(None, (holder, serials.get(holder)))):
                    result.setdefault(name, []).append(dated)
        return result
