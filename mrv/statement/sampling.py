"""
Sampling of device-days by a verifier: at random, and by risk.

The seed is the SHA-256 of the signed statement's digest and of the verifier's signature over it:
the operator cannot predict it, and the verifier cannot draw again, as an Ed25519 signature (RFC
8032) of one key over one message has one value.  The list depends only on seed and evidence, so the
draw can be repeated from the pack.

A unit is a device on a local day of its service.  Its weight is 1 and, for more likely or larger
errors:

    8 times the share of the day that is unknown or missing, rounded down
    2 if part of the day is estimated
    4 if no certificate was valid
    6 if the meter was replaced on that day
    4 if a check meter or an invoice contradicts it
    8 times the share of its readings that arrived late, rounded up
    2 if the readings of many hours arrived within few
    3 if a quality test flagged readings, from version 2 of the accounting rules on
    10 times the day's share of the largest day's emissions, rounded down

`mrv.statement.device_days` defines late arrival; a statement without arrival data has no such
weight.

The random part is drawn first with equal probability, then the risk part from the rest in
proportion to weight.  By default each part has as many units as the square root of all, rounded up,
and at most 100.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import count, pairwise
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import IntervalRows
from mrv.accounting.device_period import Kind
from mrv.accounting.period_result import DeviceOutcome
from mrv.calendar import midnight_us
from mrv.documents import read, write
from mrv.documents.verification import Drawn, Sample, SampledDay, SamplingList
from mrv.errors import CanonicalError, SignatureError
from mrv.registry.project import FIRST
from mrv.rounding import exact_sum
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof
from mrv.signatures.ed25519 import decode_base58, encode_base58, verifies
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.statement.device_days import Arrivals, local_days
from mrv.statement.evidence_case import Case
from mrv.statement.states import CONTEXT, about, issuer, related, valid_from


@dataclass(frozen=True, slots=True)
class Unit:
    """A device in a role on a local day: metered quantity, weight and reasons."""

    device: str
    role: str
    day: str
    value: int
    unit: str
    weight: int
    reasons: tuple[str, ...]

    def drawn(self, how: Drawn) -> SampledDay:
        """Return the unit in the form of a sampling list; `how` it was drawn."""
        return SampledDay(
            device=self.device,
            role=self.role,
            day=self.day,
            drawn=how,
            weight=str(self.weight),
            reasons=self.reasons,
            metered=str(self.value),
            unit=self.unit,
        )


class _Days(NamedTuple):
    """Sums of a device's quantity by local day, in the order of the days."""

    value: list[int]
    known_us: list[int]
    estimated_us: list[int]


class _Period(NamedTuple):
    """Data used for all devices: days with their edges; doubtful, uncovered and unusual days."""

    dates: list[date]
    edges: list[int]
    doubted: frozenset[str]
    arrivals: Arrivals
    bare: Mapping[str, list[tuple[int, int]]]
    unusual: frozenset[tuple[int, int]]


def units(case: Case) -> list[Unit]:
    """Return all device-days of a case, by device, role and day."""
    period = _period(case)
    sums = _sums(case.rows, period.edges)
    none = [0] * len(period.dates)
    of = [
        (device, sums.get(_key(case, device), _Days(none, none, none)))
        for device in case.result.devices
    ]
    largest = max((rate(outcome) * max(days.value) for outcome, days in of), default=Fraction(0))
    result = [unit for o, days in of for unit in _of_device(case, o, days, period, largest)]
    return sorted(result, key=lambda u: (u.device, u.role, u.day))


def _period(case: Case) -> _Period:
    zone = case.plan.project.timezone
    begins, dates = local_days(case.from_us, case.to_us - 1, zone)
    end = midnight_us(dates[-1] + timedelta(days=1), zone)
    bare: dict[str, list[tuple[int, int]]] = {}
    for charge in case.result.deductions:
        if charge.kind == Kind.CALIBRATION:
            bare.setdefault(charge.device, []).append((charge.start_us, charge.end_us))
    doubted = {d for c in case.result.cross_checks if c.holds is False for d in c.devices}
    edges, arrivals = [*begins.tolist(), end], case.plan.arrivals or {}
    unusual = case.unusual.days(edges) if case.plan.accounting > FIRST else frozenset()
    return _Period(dates, edges, frozenset(doubted), arrivals, bare, unusual)


def rate(device_outcome: DeviceOutcome) -> Fraction:
    """Return the emissions of a device per metered base unit. [t CO2e]"""
    return (
        Fraction(device_outcome.emissions_t) / device_outcome.metered
        if device_outcome.metered
        else Fraction(0)
    )


def _of_device(
    case: Case, device_outcome: DeviceOutcome, days: _Days, period: _Period, largest: Fraction
) -> Iterator[Unit]:
    index = case.fleet.by_id[device_outcome.device]
    swaps = [r.at_us for r in case.fleet.devices[index].replacements]
    for place, day in enumerate(period.dates):
        begin = max(period.edges[place], device_outcome.from_us)
        end = min(period.edges[place + 1], device_outcome.to_us)
        if begin >= end:
            continue
        value = days.value[place]
        came = period.arrivals.get(device_outcome.device, {}).get(day.isoformat())
        reasons = {
            "unknown or missing": 8 * max(0, end - begin - days.known_us[place]) // (end - begin),
            "estimated": 2 * bool(days.estimated_us[place]),
            "no valid certificate": 4
            * any(a < end and b > begin for a, b in period.bare.get(device_outcome.device, ())),
            "meter replaced": 6 * any(begin <= at < end for at in swaps),
            "another witness differs": 4 * (device_outcome.device in period.doubted),
            "arrived late": -(-8 * came.late // came.readings) if came else 0,
            "arrived at once": 2 * bool(came and came.at_once),
            "unusual readings": 3 * ((index, place) in period.unusual),
            "large": int(10 * value * rate(device_outcome) / largest) if largest else 0,
        }
        why = tuple(name for name, points in reasons.items() if points)
        weight = 1 + sum(reasons.values())
        yield Unit(
            device_outcome.device,
            device_outcome.role,
            day.isoformat(),
            value,
            device_outcome.unit,
            weight,
            why,
        )


def _key(case: Case, device_outcome: DeviceOutcome) -> tuple[int, int]:
    return case.fleet.by_id[device_outcome.device], QUANTITY_INDEX[device_outcome.quantity]


def _sums(rows: IntervalRows, edges: list[int]) -> dict[tuple[int, int], _Days]:
    """Return daily sums of each device and quantity; `rows`: by device, quantity, start."""
    count = len(edges) - 1
    sums = {}
    key = rows.device.astype(np.int64) * len(QUANTITY_INDEX) + rows.quantity
    heads = np.flatnonzero(np.append(True, key[1:] != key[:-1])).tolist() if len(key) else []
    known = rows.measured_us + rows.estimated_us
    for begin, end in pairwise([*heads, len(key)]):
        cuts = begin + np.searchsorted(rows.start_us[begin:end], edges)
        sums[int(rows.device[begin]), int(rows.quantity[begin])] = _Days(
            *(
                [exact_sum(column[cuts[i] : cuts[i + 1]]) for i in range(count)]
                for column in (rows.value, known, rows.estimated_us)
            )
        )
    return sums


TYPES = ("VerifiableCredential", "SamplingList")
_DOMAIN = b"tonne sampling v1\n"
_MOST = 100


@dataclass(frozen=True, slots=True)
class Size:
    """Number of units to draw at random, and by risk; None: the square root of the population."""

    random: int | None = None
    by_risk: int | None = None

    def of(self, population: int) -> tuple[int, int]:
        """Return the sample sizes (at random, by risk), together at most the population."""
        usual = min(_MOST, isqrt(max(0, population - 1)) + 1 if population else 0)
        first = min(population, usual if self.random is None else self.random)
        rest = population - first
        return first, min(rest, usual if self.by_risk is None else self.by_risk)


def sign_sampling(
    statement: Mapping[str, Any],
    case: Case,
    size: Size,
    key: SigningKey,
    holder: EnrolledKey,
    created: datetime,
) -> dict[str, Any]:
    """
    Return the signed list of a statement's sample, drawn by its verifier.

    `statement`: statement with the operator's proof.
    `case`: its evidence.
    """
    draw = key.sign(_message(statement))
    signed = write(_subject(statement, case, size, draw)), holder, valid_from(created)
    document = about(statement, "sampling", TYPES, signed)
    return create_proof(document, key, created)


def check_sampling(
    document: Mapping[str, Any], statement: Mapping[str, Any], case: Case, holder: EnrolledKey
) -> tuple[int, int, int]:
    """
    Check that a signed sampling list equals a new draw of its seed; the caller checks its proof.

    Raises CanonicalError or SignatureError if it does not have the form of `sign_sampling`, is of
    another statement, or differs from the draw of its seed.

    Returns: number of units drawn at random, drawn by risk, and in total.
    """
    named = related(statement["id"], canonical.encode(statement))
    if (
        document.get("@context") != list(CONTEXT)
        or document.get("type") != list(TYPES)
        or document.get("id") != f"{statement['id']}:sampling"
        or document.get("issuer") != issuer(holder)
        or document.get("relatedResource") != [named]
    ):
        raise CanonicalError(
            f"{document.get('id')!r} is not a sampling list of the statement {statement['id']} "
            "as signed; draw it for this statement"
        )
    sample = read(SamplingList, document, f"sampling list {document['id']!r}").credential_subject
    draw = decode_base58(sample.draw.removeprefix("z"))
    if not verifies(holder.public, draw, _message(statement)):
        raise SignatureError(
            f"the draw of {document['id']} is not signed by {holder.name} over the "
            "statement; its seed is not the one that neither party can choose"
        )
    own = _subject(statement, case, Size(_units(sample.random), _units(sample.by_risk)), draw)
    if sample != own:
        item, other = write(sample), write(own)
        wrong = next(key for key in sorted(item) if item[key] != other[key])
        raise CanonicalError(
            f"{document['id']} differs from the sample that its seed draws from the evidence: "
            f"{wrong}; draw it again with `tonne statement sample`"
        )
    return int(own.random), int(own.by_risk), int(own.population)


def _units(text: str) -> int:
    if not text.isdecimal():
        raise CanonicalError(f"{text!r} is not a number of units; enter a whole number")
    return int(text)


def _message(statement: Mapping[str, Any]) -> bytes:
    return _DOMAIN + canonical.sha256(canonical.encode(statement))


def _subject(statement: Mapping[str, Any], case: Case, size: Size, draw: bytes) -> Sample:
    seed = canonical.sha256(_message(statement) + draw)
    population = units(case)
    first, second = size.of(len(population))
    drawn = _draw(seed, population, first, second)
    return Sample(
        id=statement["id"],
        draw=f"z{encode_base58(draw)}",
        seed=seed.hex(),
        population=str(len(population)),
        random=str(first),
        by_risk=str(second),
        items=tuple(unit.drawn(how) for how, unit in drawn),
    )


def _draw(
    seed: bytes, population: Sequence[Unit], first: int, second: int
) -> list[tuple[Drawn, Unit]]:
    numbers = _numbers(seed)
    remaining = list(population)
    drawn: list[tuple[Drawn, Unit]] = [
        ("at random", remaining.pop(next(numbers) % len(remaining))) for _ in range(first)
    ]
    for _ in range(second):
        at = next(numbers) % sum(unit.weight for unit in remaining)
        place = 0
        while at >= remaining[place].weight:
            at -= remaining[place].weight
            place += 1
        drawn.append(("by risk", remaining.pop(place)))
    return sorted(drawn, key=lambda pair: (pair[1].device, pair[1].role, pair[1].day))


def _numbers(seed: bytes) -> Iterator[int]:
    """Yield numbers of 256 bits, so large that their remainders are practically uniform."""
    return (
        int.from_bytes(canonical.sha256(seed + number.to_bytes(8, "big")), "big")
        for number in count()
    )
