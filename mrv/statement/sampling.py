"""
Sampling of device-days by a verifier: at random, and by risk.

Neither side chooses.  The seed is the SHA-256 of the signed statement's digest and
of the verifier's signature over it: the operator, who fixes the statement, cannot
know that signature before, and an Ed25519 signature (RFC 8032) of one key over one
message has one value, so that the verifier cannot draw again until it suits.  The
list is a function of seed and evidence; anyone who has the pack draws it again.

A unit is a device on a local day of its service.  Its weight is 1 and a little more
for whatever makes an error likelier there or costlier:

    8 times the share of the day that is unknown or missing, rounded down
    2 where part of the day is estimated
    4 where no certificate was valid
    6 where the meter was replaced on that day
    4 where a check meter or an invoice says otherwise
    8 times the share of its readings that arrived late, rounded up
    2 where the readings of many hours arrived within few
    3 where a quality test found readings unusual, from version 2 of the rules of accounting on
    10 times the day's share of the largest day's emissions, rounded down

What is late and what is few: `mrv.statement.arrival`.  A statement that says nothing of
arrival has no weight for it.

The random part is drawn first, each unit alike, then the risk part among the rest,
each unit in proportion to its weight.  Without other word each part has as many
units as the square root of all of them, rounded up, and at most 100.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from math import isqrt
from typing import Any

from mrv.documents.form import read, write
from mrv.documents.sampling_list import Drawn, Sample, SamplingList
from mrv.errors import CanonicalError, SignatureError
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof
from mrv.signatures.ed25519 import verifies
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.signatures.multibase import decode_base58, encode_base58
from mrv.statement.credential_parts import CONTEXT, about, issuer, related, valid_from
from mrv.statement.evidence_case import Case
from mrv.statement.sampling_units import Unit, units

TYPES = ("VerifiableCredential", "SamplingList")
_DOMAIN = b"tonne sampling v1\n"
_MOST = 100


@dataclass(frozen=True, slots=True)
class Size:
    """Number of units drawn at random, and by risk; None: square root of the population."""

    random: int | None = None
    by_risk: int | None = None

    def of(self, population: int) -> tuple[int, int]:
        """Return the sizes for a population, at most the population."""
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

    Parameters
    ----------
    statement : mapping
        With the operator's proof.
    case : Case
        Its evidence.
    """
    draw = key.sign(_message(statement))
    said = write(_subject(statement, case, size, draw)), holder, valid_from(created)
    document = about(statement, "sampling", TYPES, said)
    return create_proof(document, key, created)


def check_sampling(
    document: Mapping[str, Any], statement: Mapping[str, Any], case: Case, holder: EnrolledKey
) -> tuple[int, int, int]:
    """
    Draw a list again and compare; the caller checks its proof.

    Returns
    -------
    tuple of int
        How many units were drawn at random, by risk, and how many there are.

    Raises
    ------
    CanonicalError, SignatureError
        If it is not in the form that `sign_sampling` writes, of another statement, or
        not what its seed draws from the evidence.
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
            "as signed"
        )
    said = read(SamplingList, document, f"sampling list {document['id']!r}").credential_subject
    draw = decode_base58(said.draw.removeprefix("z"))
    if not verifies(holder.public, draw, _message(statement)):
        raise SignatureError(
            f"the draw of {document['id']} is not signed by {holder.name} over the "
            "statement; its seed is not the one that neither party can choose"
        )
    own = _subject(statement, case, Size(_units(said.random), _units(said.by_risk)), draw)
    if said != own:
        one, other = write(said), write(own)
        wrong = next(key for key in sorted(one) if one[key] != other[key])
        raise CanonicalError(
            f"{document['id']} differs from the sample that its seed draws from "
            f"the evidence: {wrong}"
        )
    return int(own.random), int(own.by_risk), int(own.population)


def _units(text: str) -> int:
    if not text.isdecimal():
        raise CanonicalError(f"{text!r} is not a number of units")
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
        items=tuple(one.drawn(how) for how, one in drawn),
    )


def _draw(
    seed: bytes, population: Sequence[Unit], first: int, second: int
) -> list[tuple[Drawn, Unit]]:
    """Draw without putting back; listed by device and day."""
    numbers = _numbers(seed)
    left = list(population)
    drawn: list[tuple[Drawn, Unit]] = [
        ("at random", left.pop(next(numbers) % len(left))) for _ in range(first)
    ]
    for _ in range(second):
        at = next(numbers) % sum(one.weight for one in left)
        place = 0
        while at >= left[place].weight:
            at -= left[place].weight
            place += 1
        drawn.append(("by risk", left.pop(place)))
    return sorted(drawn, key=lambda one: (one[1].device, one[1].role, one[1].day))


def _numbers(seed: bytes) -> Iterator[int]:
    """Numbers of 256 bits; taken modulo a population they are as good as even."""
    return (
        int.from_bytes(canonical.sha256(seed + number.to_bytes(8, "big")), "big")
        for number in count()
    )
