"""
Quantities and emissions of meters excluded from a project's account (BND-01).

If the energy is unknown, the rise of the registers in the readings is used; if readings were
rejected because of a too low rated power, the values in the rejected messages.  Emissions are those
of the project role with the highest factor.

Readings confirm that a meter is upstream of the project's meters if it measures no less in each
hour than they do together, and its hourly changes contain theirs.  A parallel meter fails this
test, unless it measures several times as much; then the operator's statement is used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from psycopg import Connection

from ingest import classes
from ingest.classes import QUANTITIES
from ingest.model import HOUR_US, INTERVAL_US, NULL, Fleet, Float64, Int64, IntervalRows
from mrv.accounting.coverage import remaining
from mrv.accounting.entered_values import named, parameters_of
from mrv.calendar import local_date, utc_text
from mrv.methodologies import find, unit_reductions
from mrv.model import Factors
from mrv.registry.project import Document, Project
from mrv.rounding import amount_text, decimal_text
from mrv.texts import Text, Value, text
from services.issuer.left_out_meters import (
    Span,
    Unserved,
    counted,
    importing,
    may_lower,
    roles_of,
    unserved,
)
from services.registry.entries import Registry
from services.store.dead_letter_query import Filter, list_letters
from services.store.registry import load as registry_rows
from services.store.timeseries import readings
from services.store.timeseries.interval_rows import intervals_of

# tolerance by which an upstream meter may measure less than those downstream: two meters of class
# 2, and clock differences [1]
_TOLERANCE = 0.05
# minimum share of the downstream meters' hourly changes that the upstream meter shows; other loads
# can change in the opposite direction [1]
_MIN_SHARE = 0.5
# number of standard errors of that share
_STANDARD_ERRORS = 3


class UpstreamComparison(NamedTuple):
    """
    Upstream meter compared with those downstream, in hours with complete data. [base units]

    `quantity`: common quantity of both. `measured`, `took`: quantity of the upstream meter, and of
    the downstream ones together. `below`: shortfall of the upstream meter, summed over the hours in
    which it measured less. `steps`: whether it shows the hourly changes of those downstream.
    """

    quantity: str
    measured: int
    took: int
    below: int
    steps: bool

    @property
    def covers(self) -> bool:
        """
        Return whether the upstream meter measured at least the downstream sum, within the
        tolerance.
        """
        return self.below <= _TOLERANCE * self.took

    @property
    def holds(self) -> bool:
        """Return whether readings confirm that the meter is upstream."""
        return self.took > 0 and self.covers and self.steps


def beneath(
    rows: IntervalRows, upstream: int, others: Sequence[int], quantities: Collection[str]
) -> tuple[UpstreamComparison, ...]:
    """Return the comparison of a meter with those named as downstream, by quantity."""
    known = rows.take(rows.unknown_us == 0)
    comparisons = []
    for number in (i for i, quantity in enumerate(QUANTITIES) if quantity.name in quantities):
        of = known.take(known.quantity == number)
        main, under = (of.take(np.isin(of.device, some)) for some in ([upstream], others))
        if not len(main.value):
            continue
        both = np.isin(under.start_us, main.start_us)
        hours, place = np.unique(main.start_us // HOUR_US, return_inverse=True)
        # an interval without downstream data cannot be compared
        compared = np.isin(main.start_us, under.start_us)
        ours = np.bincount(place[compared], main.value[compared], len(hours))
        at = np.searchsorted(hours, under.start_us[both] // HOUR_US)
        theirs = np.bincount(at, under.value[both], len(hours))
        below = np.maximum(theirs - ours, 0).sum()
        # regression of its hourly changes on those of the downstream meters
        share, error = _share(*(np.diff(sums).astype(np.float64) for sums in (ours, theirs)))
        comparisons.append(
            UpstreamComparison(
                QUANTITIES[number].name,
                round(float(ours.sum())),
                round(float(theirs.sum())),
                round(float(below)),
                share + _STANDARD_ERRORS * error >= _MIN_SHARE,
            )
        )
    return tuple(comparisons)


def _share(mine: Float64, steps: Float64) -> tuple[float, float]:
    """
    Return the share of other meters' hourly changes that a meter shows, and its standard error.
    The share is 1 if the others have no changes.
    """
    squares = float(np.dot(steps, steps))
    if not squares:
        return 1.0, 0.0
    share = float(np.dot(mine, steps)) / squares
    return share, float(np.sqrt(np.mean((mine - share * steps) ** 2) / squares))


def _lowering(
    conn: Connection, fleet: Fleet, registry: Registry, project: Project, period_us: Span
) -> dict[str, str]:
    """
    Return the meters whose quantity lowers the import of the project's meters: quantity by meter.

    Hourly deviations from the mean of each hour of the day are compared: those of such a meter and
    those of the import have opposite signs.
    """
    there = [meter for meter in may_lower(registry, project) if meter[0] in fleet.by_id]
    mine = [name for name in importing(project) if name in fleet.by_id]
    if not there or not mine:
        return {}
    with conn.cursor() as cursor:
        names = [*mine, *(name for name, *_ in there)]
        rows = intervals_of(cursor, fleet, *period_us, names, marks=False)
    imports = [
        _deviation_changes(rows, fleet.by_id[name], "energy_import", period_us) for name in mine
    ]
    result = dict[str, str]()
    for name, quantity, sign in there:
        steps = sign * _deviation_changes(rows, fleet.by_id[name], quantity, period_us)
        shares = [_share(own, steps) for own in imports] if steps.any() else []
        if any(share >= _MIN_SHARE and share > _STANDARD_ERRORS * error for share, error in shares):
            result[name] = quantity
    return result


def _deviation_changes(rows: IntervalRows, device: int, quantity: str, period_us: Span) -> Float64:
    """Return a meter's hourly changes minus the mean change of the same hour of the day."""
    number = next(i for i, known in enumerate(QUANTITIES) if known.name == quantity)
    own = rows.take((rows.device == device) & (rows.quantity == number))
    first, days = period_us[0] // HOUR_US, (period_us[1] - period_us[0]) // _DAY_US
    hour = own.start_us // HOUR_US - first
    inside = (hour >= 0) & (hour < 24 * days)
    hourly = np.bincount(hour[inside], own.value[inside], 24 * days).reshape(days, 24)
    steps = np.diff((hourly - hourly.mean(axis=0)).ravel()) if days else np.zeros(0)
    return steps.astype(np.float64)


# reason for rejecting readings that exceed the rated power
_REFUSED = "implausible_register"
# maximum relative difference between the daily sums of a check meter and its main meter [1]
_CHECK_TOLERANCE = 0.05
_DAY_US = 24 * HOUR_US
# number of consecutive readings that are compared: a reading and one neighbour on each side
_WINDOW = 3


class Refused(NamedTuple):
    """
    Number of rejected messages, and the rise from their lowest to their highest value.
    [base units]
    """

    messages: int
    rise: dict[str, int]


class LeftOut(NamedTuple):
    """
    Quantities of an excluded meter. [base units]

    `last_us`: end of the last interval with a quantity; 0 without one. [us UTC]
    `unknown_us`: time without known energy. [us]
    `rise`: increase of its registers by quantity, where it exceeds the metered quantity.
    `readings`: number of readings of `rise`.
    `beneath`: comparison with the meters that it supplies according to the registry.
    """

    of: Unserved
    measured: dict[str, int]
    last_us: int
    unknown_us: int
    rise: dict[str, int]
    readings: int
    refused: Refused
    beneath: tuple[UpstreamComparison, ...] = ()

    @property
    def is_upstream(self) -> bool:
        """Return whether readings of the whole time confirm that it supplies the project."""
        known = bool(self.measured) and self.unknown_us < HOUR_US
        return known and bool(self.beneath) and all(meter.holds for meter in self.beneath)

    @property
    def is_excluded(self) -> bool:
        """
        Return whether the boundary excludes it with a reason, and it was never included.

        Meters that it supplies by the registry, but that consumed nothing, change nothing in this.
        """
        took = any(meter.took for meter in self.beneath)
        return self.of.is_excluded and (not self.of.upstream_of or not took)


def left_out(
    conn: Connection, registry: Registry, project: Project, period_us: Span
) -> Iterator[LeftOut]:
    """
    Yield the quantities of excluded meters that would count as project emissions.

    A check meter that agrees with its main meter is omitted.

    `project`: project with the devices of the period.  `period_us`: end excluded. [us UTC]
    """
    fleet = registry_rows.load_fleet(conn)
    lowering = _lowering(conn, fleet, registry, project, period_us)
    meters = unserved(conn, registry, project, period_us, lowering)
    known = [meter for meter in meters if meter.device in fleet.by_id]
    if not known:
        return
    others = chain.from_iterable((*meter.upstream_of, meter.checks) for meter in known)
    names = sorted({meter.device for meter in known} | {name for name in others if name})
    with conn.cursor() as cursor:
        rows = intervals_of(cursor, fleet, *period_us, names, marks=False)
    for item in known:
        index = fleet.by_id[item.device]
        wanted = counted(project, item.class_id, left_out=True, lowers=item.lowers)
        if item.checks and _agrees(rows, index, fleet.by_id[item.checks], wanted):
            continue
        measured, last_us, unknown_us = _measured(rows, index, item.spans, wanted)
        near = [(begin - INTERVAL_US, end + INTERVAL_US) for begin, end in item.served]
        apart = [span for begin, end in item.spans for span in remaining(near, begin, end)]
        at_edges = measured and not _measured(rows, index, apart, wanted)[0]
        if at_edges and unknown_us < HOUR_US:
            continue  # the only unknown intervals are those at the edges of an assignment
        rise, number, refused = dict[str, int](), 0, Refused(0, {})
        if unknown_us >= HOUR_US or not measured:
            rise, number = _rise(conn, fleet, index, item.spans, wanted)
            refused = _refused(conn, item.device, item.class_id, period_us[0], wanted)
        more = {q: value for q, value in rise.items() if value > measured.get(q, 0)}
        under = [fleet.by_id[name] for name in item.upstream_of if name in fleet.by_id]
        within = rows.take(_within(rows.start_us, item.spans))
        compared = beneath(within, index, under, measured) if item.upstream_of else ()
        yield LeftOut(item, measured, last_us, unknown_us, more, number, refused, compared)


def _within(start_us: Int64, spans: Sequence[Span]) -> NDArray[np.bool_]:
    result = np.zeros(len(start_us), dtype=np.bool_)
    for begin, end in spans:
        result |= (start_us >= begin) & (start_us < end)
    return result


def _measured(
    rows: IntervalRows, index: int, spans: Sequence[Span], wanted: frozenset[str]
) -> tuple[dict[str, int], int, int]:
    """Return a meter's quantities in given times, the end of the last, and the unknown time."""
    own = rows.take((rows.device == index) & _within(rows.start_us, spans))
    measured: dict[str, int] = {}
    unknown_us, last_us = 0, 0
    for number in np.unique(own.quantity).tolist():
        name, of = QUANTITIES[number].name, own.quantity == number
        if name not in wanted:
            continue
        rose = of & (own.value > 0)
        if rose.any():
            measured[name] = int(own.value[of].sum())
            last_us = max(last_us, int(own.start_us[rose].max()) + INTERVAL_US)
        unknown_us = max(unknown_us, int(own.unknown_us[of].sum()))
    return measured, last_us, unknown_us


def _rise(
    conn: Connection, fleet: Fleet, index: int, spans: Sequence[Span], wanted: frozenset[str]
) -> tuple[dict[str, int], int]:
    """Return the rise of registers in given times [base units], and the number of readings."""
    class_id = fleet.devices[index].class_id
    edges = spans[0][0], spans[-1][1]
    with conn.cursor() as cursor:
        frame = readings.months(cursor, fleet, class_id, {index: edges})
    result: dict[str, int] = {}
    number = 0
    for channel in classes.load()[class_id].registers:
        values = frame.columns[channel.name].astype(np.int64, copy=False)
        known = (values != NULL) & _within(frame.time_us, spans)
        if str(channel.quantity) in wanted and known.any():
            number = max(number, int(known.sum()))
            name = str(channel.quantity)
            result[name] = result.get(name, 0) + _risen(values[known])
    return result, number


def _risen(values: Int64) -> int:
    """Return the sum of a register's rises; a single outlier is ignored. [base units]"""
    if len(values) >= _WINDOW:
        beside = np.sort(sliding_window_view(values, _WINDOW), axis=1)
        values = np.concatenate([values[:1], beside[:, _WINDOW // 2], values[-1:]])
    return int(np.maximum(np.diff(values), 0).sum())


def _agrees(rows: IntervalRows, check: int, main: int, wanted: frozenset[str]) -> bool:
    """Return whether a check meter's days agree with its main meter's, where both are known."""
    by_meter = []
    for device in (check, main):
        of = (rows.device == device) & (rows.unknown_us == 0)
        of &= np.isin(rows.quantity, [i for i, q in enumerate(QUANTITIES) if q.name in wanted])
        by_meter.append(rows.take(of))
    ours, theirs = by_meter
    start, here, there = np.intersect1d(ours.start_us, theirs.start_us, return_indices=True)
    if not len(start):
        return False
    _, day = np.unique(start // _DAY_US, return_inverse=True)
    sums = [np.bincount(day, of) for of in (ours.value[here], theirs.value[there])]
    return float(np.abs(sums[0] - sums[1]).sum()) <= _CHECK_TOLERANCE * float(
        np.maximum(*sums).sum()
    )


def _refused(
    conn: Connection, device: str, class_id: str, from_us: int, wanted: frozenset[str]
) -> Refused:
    """Return the readings rejected since a period began as exceeding the rated power."""
    since = datetime.fromisoformat(utc_text(from_us))
    letters = list_letters(conn, Filter(device=device, reason=_REFUSED, received_from=since))
    messages, rise = 0, dict[str, int]()
    for channel in classes.load()[class_id].registers:
        name = str(channel.quantity)
        named = [re.findall(rf"\b{channel.name} (\d+) ", letter.detail) for letter in letters]
        values = [int(value) for result in named for value in result]
        if name in wanted and values:
            messages = max(messages, sum(map(bool, named)))
            rise[name] = rise.get(name, 0) + max(values) - min(values)
    return Refused(messages, rise)


# --- findings on these meters -------------------------------------------------------------


def reported(
    out: LeftOut, project: Project, factors: Factors, period_us: Span, drawn: Document | None = None
) -> Text | None:
    """
    Return the text on an excluded meter's quantity and emissions; None without any.

    A meter that supplies those of the project, confirmed by readings, is not reported.

    `factors`: factors for its emissions.  `drawn`: a third party's line diagram that shows its
    loads.
    """
    if out.is_upstream:
        return None
    of = out.of
    year = local_date(period_us[0], project.timezone).year

    def priced(measured: Mapping[str, int]) -> list[dict[str, Value]]:
        return _priced(project, factors, year, of, measured)

    texts = [text("BND-01.measured", **values) for values in priced(out.measured)]
    if texts and of.ended:
        texts.append(text("BND-01.until", time=utc_text(out.last_us)))
    if out.unknown_us >= HOUR_US:
        texts.append(text("BND-01.unknown", hours=out.unknown_us // HOUR_US))
    risen = priced(out.rise)
    texts += [text("BND-01.risen", readings=out.readings, **values) for values in risen]
    if out.refused.messages:
        since = utc_text(period_us[0])
        texts.append(text("BND-01.refused", messages=out.refused.messages, since=since))
        refused = priced(out.refused.rise)
        texts += [text("BND-01.refused_rise", **values) for values in refused]
    if not texts:
        return None
    why = (*_reasons(of), *_not_upstream(out, project))
    of_all: dict[str, Value] = {"device": of.device, "why": why, "measured": tuple(texts)}
    if drawn is not None:
        return text("BND-01.drawn", document=named(drawn), **of_all)
    # no third party's line diagram issued before the period shows the loads of the meter
    return text("BND-01.left_early" if of.served else "BND-01.left_out", **of_all)


def _compared(
    out: LeftOut, project: Project
) -> Iterator[tuple[UpstreamComparison, dict[str, Value]]]:
    """Yield a meter's comparisons with the meters it supplies, and their amounts for texts."""
    roles = roles_of(project, out.of.class_id, left_out=True, lowers=out.of.lowers)
    units = {needs.quantity: needs.unit for _, needs in roles}
    for result in out.beneath:
        unit = units[result.quantity]
        names = ("measured", "took", "below")
        yield (
            result,
            {
                "devices": out.of.upstream_of,
                **{name: amount_text(getattr(result, name), unit) for name in names},
            },
        )


def _not_upstream(out: LeftOut, project: Project) -> Iterator[Text]:
    """Yield findings if readings do not confirm that a meter supplies those of the project."""
    for result, values in _compared(out, project):
        if not result.took:
            yield text("BND-01.upstream_unknown", devices=out.of.upstream_of)
        elif not result.holds:
            code = "BND-01.upstream_steps" if result.covers else "BND-01.upstream_below"
            yield text(code, **values)


def supplying(out: LeftOut, project: Project) -> Iterator[Text]:
    """Yield findings on a meter that supplies those of the project, confirmed by readings."""
    if out.is_upstream:
        for _, values in _compared(out, project):
            yield text("BND-01.upstream", device=out.of.device, **values)


def _reasons(item: Unserved) -> list[Text]:
    """Return the reasons why a meter is excluded."""
    if item.project is not None:
        return [text("BND-01.unclosed", project=item.project)]
    texts = [text("BND-01.lowers")] if item.lowers else []
    if item.reason is not None:
        texts.append(text("BND-01.reason", reason=item.reason))
    if item.installed_us is not None:
        texts.append(text("BND-01.installed", time=utc_text(item.installed_us)))
    if item.removed_us is not None:
        texts.append(text("BND-01.removed", time=utc_text(item.removed_us)))
    for begin, end in item.served:
        texts.append(text("BND-01.served", begin=utc_text(begin), end=utc_text(end)))
    if item.moved_to is not None:
        texts.append(text("BND-01.moved", site=item.moved_to))
    if item.checks is not None:
        texts.append(text("BND-01.checks", meter=item.checks))
    return texts or [text("BND-01.no_project")]


def _priced(
    project: Project, factors: Factors, year: int, of: Unserved, measured: Mapping[str, int]
) -> list[dict[str, Value]]:
    """Return the emissions by quantity, with the project role of the highest emissions. [tCO2e]"""
    method = find(project.methodology, project.version)
    parameters = parameters_of(method, project.parameters, f"project {project.id}")
    params = {bound.role: bound.params for bound in project.devices}
    maximum: dict[str, tuple[Fraction, str, str]] = {}
    for role, needs in roles_of(project, of.class_id, left_out=True, lowers=of.lowers):
        if measured.get(needs.quantity, 0) <= 0 or (needs.params and role not in params):
            continue
        unit = unit_reductions(
            method, role, params.get(role, {}), parameters, factors, year
        ).project_t
        result = unit, role, needs.unit
        maximum[needs.quantity] = max(maximum.get(needs.quantity, result), result)
    return [
        {
            "amount": amount_text(measured[quantity], unit),
            "role": role,
            "emission": decimal_text(rate * measured[quantity], 3, "up"),
        }
        for quantity, (rate, role, unit) in maximum.items()
    ]
