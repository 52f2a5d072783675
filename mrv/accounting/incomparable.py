"""
Why an invoice cannot be compared with the meters that it names.

A meter that is replaced by a device with an id of its own serves a part of an invoice's time, and
its successor the rest: together they are what the invoice is about.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.time_in_service import served, successive
from mrv.calendar import utc_text
from mrv.registry.project import Invoice


def incomparable(
    invoice: Invoice,
    of: Sequence[Monitored],
    monitored: Sequence[Monitored],
    period_us: tuple[int, int],
) -> str:
    """
    Say why an invoice is about something else than the period's meters; empty if it is not.

    Parameters
    ----------
    of : sequence of Monitored
        The meters that it names, with its quantity.
    monitored : sequence of Monitored
        All of the period.
    period_us : (int, int)
        Half-open. [us UTC]
    """
    if invoice.from_us < period_us[0] or invoice.to_us > period_us[1]:
        span = f"{utc_text(invoice.from_us)} to {utc_text(invoice.to_us)}"
        return f"reaches beyond the period; it is of {span}: close a period that holds all of it"
    absent = sorted(set(invoice.devices) - {m.device.id for m in of})
    if absent:
        return f"no {invoice.quantity} of {', '.join(absent)} counts in this period"
    first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
    partly = [m for m in of if served([m], first, last) < last - first]
    if not partly or successive(partly, first, last):
        return ""
    names = ", ".join(dict.fromkeys(m.device.id for m in partly))
    told = (f"{m.device.id} {_span(m)} only{_cut_by(m, monitored, first, last)}" for m in partly)
    return (
        f"{names} did not serve the project all that time: {'; '.join(told)};"
        " give one invoice for each meter's own time"
    )


def _cut_by(one: Monitored, monitored: Sequence[Monitored], first: int, last: int) -> str:
    """Name meters of the project's side that cut a baseline's time within [first, last)."""
    if one.needs.side != "baseline":
        return ""
    begin, end = one.service.first, one.service.first + one.service.intervals
    bound, device = one.bound, one.device
    later = begin > first and begin * INTERVAL_US - INTERVAL_US >= max(
        bound.from_us, device.installed_us
    )
    ends = [us for us in (bound.to_us, device.removed_us) if us is not None]
    sooner = end < last and (not ends or end * INTERVAL_US + INTERVAL_US <= min(ends))
    others = [m for m in monitored if m.needs.side == "project"]
    told = dict.fromkeys(
        [
            *(_named(m) for m in others if later and m.service.first == begin),
            *(_named(m) for m in others
              if sooner and m.service.first + m.service.intervals == end),
        ]
    )  # fmt: skip
    return f", since nothing counts without {' and '.join(told)}" if told else ""


def _named(one: Monitored) -> str:
    return f"{one.device.id} ({one.bound.role})"


def _span(one: Monitored) -> str:
    begin, end = one.service.first, one.service.first + one.service.intervals
    return f"from {utc_text(begin * INTERVAL_US)} to {utc_text(end * INTERVAL_US)}"
