"""Messages through `decode`, as a device of a class and profile sends them."""

from ingest.decode import Decoded, decode
from ingest.model import NULL, Device, Fleet

RECEIVED_US = 1_767_225_600_000_000


def read(payload, *, device_class, profile="generic", content_type=None) -> Decoded:
    """Decode one payload of one device."""
    fleet = Fleet([Device("d", "s", device_class, profile=profile)])
    data = payload.encode() if isinstance(payload, str) else payload
    return decode(fleet, lambda _: 0, ["d"], [data], [content_type], RECEIVED_US)


def rows(decoded: Decoded) -> list[dict]:
    """Readings as plain dictionaries of what is present, `time_us` among it."""
    found = []
    for frame in decoded.frames:
        for i in range(len(frame)):
            row = {name: values[i].item() for name, values in frame.columns.items()}
            row = {k: v for k, v in row.items() if v == v and v != NULL}  # noqa: PLR0124 (NaN)
            found.append({"time_us": int(frame.time_us[i]), **row})
    return found


def reasons(decoded: Decoded) -> list[str]:
    """Reasons of refusal, in order."""
    return [r.reason for r in decoded.rejected]
