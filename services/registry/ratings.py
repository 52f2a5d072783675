"""
Rated powers and electricity prices, each from a time on.

A rating limits a meter's plausible values, so it never changes for times in closed periods.  A
`rated_power_w` in a file without `ratings` applies from the import on.  An error is corrected by a
row of the same time with the hash of the data sheet.

Prices do not affect emissions. Consumption costs `import_per_kwh`; generation earns
`feed_in_per_kwh` if all of it is sold, else it saves consumption; a grid meter's export earns
`export_per_kwh`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from babel.numbers import list_currencies

from ingest import classes
from services.registry.entries import Device, Rating, Registry, Tariff
from services.registry.fields import Row

PRICES = ("import_per_kwh", "export_per_kwh", "feed_in_per_kwh")


def tariff(row: Row, item: Tariff) -> None:
    """Record errors of a row of `tariffs`."""
    if item.currency and item.currency not in list_currencies():
        text = f"{item.currency!r} is not a currency of ISO 4217, such as EUR or KES"
        row.problem("currency", text)
    if not row.problems and all(getattr(item, name) is None for name in PRICES):
        row.problem("import_per_kwh", f"is missing; enter at least one of {', '.join(PRICES)}")


_KILO = 1000
# modules and their inverter are not ten times apart
_FAR = 10


def rating(row: Row, item: Rating) -> None:
    """Record a hash without the name of its document."""
    if item.sha256 is not None and item.document is None:
        row.problem("document", "is missing; enter the title of the file with that `sha256`")


def rated_powers(stored: Sequence[tuple[Rating, datetime]]) -> tuple[tuple[int, int], ...]:
    """
    Return the applicable rated powers, each with its start. [us UTC, W]

    A rating recorded after the meter does not raise the limit for earlier times, unless it has the
    hash of its data sheet; nor does one recorded with the meter without a document.
    """
    began = min(recorded for _, recorded in stored)
    # the last row of a time corrects those before it
    stored = [*{rating.begins: (rating, recorded) for rating, recorded in stored}.values()]
    documented = {
        rating for rating, at in stored if rating.sha256 or (at == began and rating.document)
    }
    documented.add(stored[0][0])
    result: list[tuple[int, int]] = []
    for moment in sorted(
        {rating.begins for rating, _ in stored} | {recorded for _, recorded in stored}
    ):
        begun = [(rating, recorded) for rating, recorded in stored if rating.begins <= moment]
        known = [i for i, (rating, at) in enumerate(begun) if at <= moment or rating in documented]
        if known:
            watt = min(rating.rated_power_w for rating, _ in begun[known[-1] :])
            if not result or result[-1][1] != watt:
                result.append((round(moment.timestamp()) * 1_000_000, watt))
    return tuple(result)


def dated(stored: Registry, merged: Registry, now: datetime) -> Registry:
    """Return ratings changed by a file without a time, dated at the import."""
    entries = dict(merged.entries)
    for key, entry in merged.entries.items():
        if isinstance(entry, Device):
            before = stored.entries.get(key)
            entries[key] = _dated(before if isinstance(before, Device) else None, entry, now)
    return Registry(entries)


def _dated(before: Device | None, device: Device, now: datetime) -> Device:
    known = (before.ratings if before else None) or ()
    ratings = _with_corrected(known, device.ratings or ())
    if (
        known
        and ratings
        and ratings[-1] not in known
        and device.rated_power_w == known[-1].rated_power_w
    ):
        device = replace(
            device, rated_power_w=ratings[-1].rated_power_w
        )  # the one that was corrected
    device = replace(device, ratings=ratings) if ratings != (device.ratings or ()) else device
    watt = device.rated_power_w
    if watt is None or (ratings and ratings[-1].rated_power_w == watt):
        return device
    begins = now if ratings or known else device.installed
    return replace(device, ratings=(*ratings, Rating(begins, watt, None)))


def _with_corrected(known: tuple[Rating, ...], ratings: tuple[Rating, ...]) -> tuple[Rating, ...]:
    """Return all registered ratings if a file has only a correction of one of them."""
    times = {rating.begins for rating in ratings if rating.sha256 is not None}
    corrects = any(rating.begins in times for rating in known)
    kept = [rating for rating in known if corrects or rating in ratings]
    return tuple(sorted([*kept, *(r for r in ratings if r not in known)], key=lambda r: r.begins))


def problems(
    stored: Registry, merged: Registry, closed: Mapping[str, datetime]
) -> Iterator[tuple[Device, str]]:
    """
    Yield ratings changed for times in closed periods.

    Parameters
    ----------
    closed : mapping of device id to datetime
        End of the closed periods.
    """
    earlier = stored.devices
    for device in merged.devices.values():
        before = earlier.get(device.id)
        known = (before.ratings if before else None) or ()
        ratings = device.ratings or ()
        left_out = [rating for rating in known if rating not in ratings]
        if left_out:
            yield (
                device,
                (
                    f"ratings: {left_out[0].rated_power_w:,} W from {left_out[0].begins} is"
                    " registered, and cannot be changed or omitted; add a row with the time from"
                    " which the new rating applies, or correct it by a row with the same `from`,"
                    " and with `document` and `sha256` of the data sheet"
                ),
            )
            continue
        for item, other in pairwise(ratings):
            if other.begins < item.begins or (other.begins == item.begins and other.sha256 is None):
                yield device, f"ratings: from {other.begins} is not after {item.begins}; order them"
        end = closed.get(device.id)
        for item in ratings if known else ():
            if item not in known and end is not None and item.begins < end:
                yield (
                    device,
                    (
                        f"ratings: from {item.begins} lies in a period that is closed, up to"
                        f" {end}, and is not changed for it: let the rating begin at {end} or later"
                    ),
                )


def unlikely(class_id: str, watt: int | None) -> str | None:
    """
    Return why a rated power is implausible for a device class, with the likely value; None
    if plausible.
    """
    kind = classes.load().get(class_id)
    span = None if kind is None else kind.rated_power
    if kind is None or span is None or watt is None or span.least_w <= watt <= span.most_w:
        return None
    low = watt < span.least_w
    meant, ask = watt * _KILO if low else watt // _KILO, "; check it"
    if span.least_w <= meant <= span.most_w:
        ask = f"; is that {'kW' if low else 'a thousand times too much'}? write {meant}"
    return (
        f"rated_power_w: {watt:,} W; class {class_id} has {span.least_w:,} W to {span.most_w:,} W"
        f" ({span.source}){ask}"
    )


def odd(device: Device) -> Iterator[str]:
    """Yield implausible rated powers of a device, and the remedy."""
    message, ratings = unlikely(device.class_id, device.rated_power_w), device.ratings or ()
    if message is not None and ratings:
        message += (
            f"; to correct the rating for the past, add a row of `ratings` from"
            f" {ratings[-1].begins.isoformat()} on with `document` and `sha256` of the data sheet"
        )
    if message is not None:
        yield message
    dc, watt = device.dc_power_w, device.rated_power_w
    if message is None and dc and watt and not watt <= _FAR * dc <= _FAR**2 * watt:
        yield (
            f"dc_power_w: {dc:,} W of modules on an inverter of rated_power_w: {watt:,} W; is one"
            " of them kW?"
        )
