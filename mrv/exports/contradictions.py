"""What authority data may not say: each rule by itself, and the first broken one refuses."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from mrv.errors import ExportError
from mrv.exports import lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mrv.exports.entered import Authority, Itmos, Registration, Units
    from mrv.exports.source import Source

_APPROACH = re.compile(r"^CA[0-9]{4}$")


def check(authority: Authority, sources: Sequence[Source] = ()) -> None:
    """
    Refuse entries that contradict each other or the statements.

    Parameters
    ----------
    authority : Authority
    sources : sequence of Source
        Statements that ranges of units are held against; of others nothing is known here.

    Raises
    ------
    ExportError
        Naming the rule, the entry and its value.
    """
    _once("registrations", (one.project for one in authority.registrations))
    _once("authorizations", (f"{a.id} version {a.version}" for a in authority.authorizations))
    _once("submissions", (f"{s.party} {s.year} version {s.version}" for s in authority.submissions))
    for one in authority.registrations:
        _registration(one)
        _against_statements(f"registrations[{one.project}].units", one.units, sources)
    for code, where in _parties(authority):
        if not lists.is_party(code):
            raise ExportError(
                f"{where} {code!r} is no Party: a Party is named by its ISO 3166-1 alpha-3 code,"
                " such as VNM"
            )
    _itmos(authority, sources)


def _once(section: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ExportError(f"{section}: {name} is entered {count} times; keep one")


def _parties(authority: Authority) -> Iterable[tuple[str, str]]:
    for one in authority.authorizations:
        where = f"authorizations[{one.id}]"
        named = {"party": one.party, "authorized_party": one.authorized_party,
                 "oimp_party": one.oimp_party}  # fmt: skip
        yield from ((code, f"{where}.{key}") for key, code in named.items() if code is not None)
        for action in one.actions:
            for code in (action.from_party, action.to_party):
                if code is not None:
                    yield code, f"{where}.actions of {action.date}: party"
    yield from ((one.party, f"submissions[{one.year}].party") for one in authority.submissions)


def _registration(one: Registration) -> None:
    where = f"registrations[{one.project}]"
    _once(f"{where}.verifications", (check.statement for check in one.verifications))
    _once(f"{where}.issuances", (issued.statement for issued in one.issuances))
    for key in ("programme", "standard", "registry", "project_status", "project_sector",
                "project_type", "mitigation_type", "unit_type"):  # fmt: skip
        _listed(f"{where}.cdop.{key}", getattr(one.cdop, key), lists.cdop()[key])
    for said in one.disclosures.attestations or ():
        _listed(f"{where}.disclosures.attestations", said, lists.cdop()["attestation"])
    for goal in one.cdop.sdgs:
        _listed(f"{where}.cdop.sdgs", goal, lists.cdop()["sdg"])
    whole = lists.cad_trust()["whole"]
    _listed(f"{where}.cad_trust.project_status", one.cad_trust.project_status,
            whole["project_status"])  # fmt: skip
    _listed(f"{where}.cad_trust.unit_type", one.cad_trust.unit_type, whole["unit_type"])
    _listed(f"{where}.validation.type", one.validation.type, whole["validation_type"])
    _listed(f"{where}.estimation.status", one.estimation.status, lists.cdop()["estimation_status"])
    for units in one.units:
        _listed(f"{where}.units.status", units.status, whole["unit_status"])
        _listed(f"{where}.units.cdop_status", units.cdop_status, lists.cdop()["unit_status"])
    if one.place is not None:
        _listed(f"{where}.place.region", one.place.region, lists.cdop()["region"])
        if lists.country(one.place.country) is None:
            raise ExportError(
                f"{where}.place.country {one.place.country!r} is no ISO 3166-1 alpha-3 code;"
                " give one such as VNM"
            )
    _apart(f"{where}.units", one.units)


def _listed(where: str, value: str | None, known: Iterable[str]) -> None:
    if value is not None and value not in known:
        raise ExportError(f"{where} {value!r} is not in the format's list: {'; '.join(known)}")


def _apart(where: str, ranges: Sequence[Units | Itmos]) -> None:
    """Refuse ranges that run backwards, or that share a number."""
    for one in ranges:
        if not 0 < one.first <= one.last:
            raise ExportError(f"{where}: {one.first} to {one.last} is no range; first <= last")
    ordered = sorted(ranges, key=lambda one: one.first)
    for one, other in itertools.pairwise(ordered):
        if other.first <= one.last:
            raise ExportError(
                f"{where}: ranges {one.first}-{one.last} and {other.first}-{other.last} overlap;"
                " a unit has one number"
            )


def _against_statements(
    where: str, ranges: Sequence[Units | Itmos], sources: Sequence[Source]
) -> None:
    """Refuse more units than a statement credited of a vintage."""
    known = {one.name: one for one in sources}
    entered: Counter[tuple[str, int]] = Counter()
    for one in ranges:
        entered[one.statement, one.vintage] += one.quantity
    for (statement, year), quantity in entered.items():
        if statement not in known:
            continue
        credited = known[statement].vintage(year)
        if credited is None or quantity > credited:
            raise ExportError(
                f"{where}: {quantity} t of vintage {year} are entered and {statement} credits"
                f" {credited or 0} t of it; never more units than were issued"
            )


def _itmos(authority: Authority, sources: Sequence[Source]) -> None:
    by_registry: dict[tuple[str, str, str], list[Itmos]] = defaultdict(list)
    every: list[Itmos] = []
    for one in authority.authorizations:
        where = f"authorizations[{one.id}]"
        if not _APPROACH.match(one.approach):
            raise ExportError(f"{where}.approach {one.approach!r}: it is CA and four digits")
        for entity in one.entities:
            if lists.country(entity.country) is None:
                raise ExportError(
                    f"{where}.entities[{entity.id}].country {entity.country!r} is no ISO 3166-1"
                    " alpha-3 code; give one such as VNM"
                )
        total = sum(units.quantity for units in one.units)
        if one.quantity is not None and total > one.quantity:
            raise ExportError(
                f"{where}: units of {total} t are entered and {one.quantity} t are authorized;"
                " correct the one that is wrong"
            )
        for units in one.units:
            by_registry[one.approach, one.party, units.registry].append(units)
        every += one.units
    for (approach, party, registry), ranges in by_registry.items():
        _apart(f"ITMOs of {approach} {party} in registry {registry}", ranges)
    _against_statements("authorizations.units", every, sources)
