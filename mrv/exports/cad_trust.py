"""
CAD Trust's tables, data model v2.0.2 (30 June 2026), in a node's order of import.

Ids that begin with `cadTrust` are assigned by the node and never sent: rows refer to each other by
`ownId`, written with a row's fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from mrv import exports as lists
from mrv.exports import Draft, Fields, Source, days
from mrv.exports.registration import Registration, Units

ORDER = (
    "program", "methodology", "stakeholder", "label", "project", "projectMethodology",
    "validation", "verification", "location", "estimation", "rating", "coBenefit", "issuance",
    "unit", "unitLabel",
)  # fmt: skip


class _Case(NamedTuple):
    draft: Draft
    entered: Registration
    sources: Sequence[Source]

    def ask(self, key: str) -> str:
        return f"enter registrations[{self.entered.project}].{key}"

    def own(self, kind: str) -> str:
        return f"{kind}:{self.entered.project}"


def cad_trust(sources: Sequence[Source], entered: Registration) -> Draft:
    """
    Return the tables of a project, each as a list of rows with `ownId`, `refs` and `fields`.

    `sources`: its issued statements, in order of time.
    """
    draft = Draft({table: [] for table in ORDER})
    case = _Case(draft, entered, sources)
    _programme(case)
    _project(case)
    _validation(case)
    _place(case)
    for goal in entered.cad_trust.cobenefits:
        row = draft.row("coBenefit").known(
            "cobenefit", goal, lists.cad_trust_lists()["part"]["cobenefit"], ""
        )
        _add(case, "coBenefit", row, goal, project=case.own("project"))
    for source in sources:
        _statement(case, source)
    return draft


def _add(case: _Case, table: str, row: Fields, own: str, **refs: str) -> None:
    case.draft.tables[table].append({"ownId": own, "refs": refs, "fields": row.values})


def _programme(case: _Case) -> None:
    entered, method = case.entered, case.sources[-1].claims.methodology
    row = case.draft.row("program")
    row.need("programName", entered.programme, case.ask("programme"))
    row.need("programRegistry", entered.registry, case.ask("registry"))
    row.need("programRegistryId", entered.programme_id, case.ask("programme_id"))
    _add(case, "program", row, case.own("program"))
    row = case.draft.row("methodology").put(
        methodologyCode=method.id,
        methodologyName=method.title,
        methodologyVersion=method.version,
        methodologyLink=entered.methodology_link,
    )
    _add(case, "methodology", row, case.own("methodology"), program=case.own("program"))
    if entered.developer is not None:
        row = case.draft.row("stakeholder").put(
            stakeholderName=entered.developer, stakeholderType="Developer"
        )
        _add(case, "stakeholder", row, case.own("stakeholder"))


def _project(case: _Case) -> None:
    entered, words = case.entered, case.entered.cad_trust
    part = lists.cad_trust_lists()["part"]
    row = case.draft.row("project")
    row.need("projectRegistryName", entered.registry, case.ask("registry"))
    row.need("projectId", entered.project_id, case.ask("project_id"))
    row.put(projectName=case.sources[-1].claims.project.name)
    row.need("projectLink", entered.link, case.ask("link"))
    for name, values, key, picklist in (
        ("projectSector", words.sectors, "sectors", "project_sector"),
        ("projectType", words.types, "types", "project_type"),
    ):
        row.need(name, list(values) or None, case.ask(f"cad_trust.{key}"))
        for value in values:
            case.draft.row("project").known(name, value, part[picklist], "")
    row.need("projectStatus", words.project_status, case.ask("cad_trust.project_status"))
    row.need("projectStatusDate", _day(entered.status_date), case.ask("status_date"))
    row.put(projectUnitMetric="tCO2e")
    _add(case, "project", row, case.own("project"), program=case.own("program"))
    _add(
        case,
        "projectMethodology",
        case.draft.row("projectMethodology"),
        case.own("projectMethodology"),
        project=case.own("project"),
        methodology=case.own("methodology"),
    )


def _validation(case: _Case) -> None:
    known = case.entered.validation
    first, last = days(case.sources[-1].claims.project.crediting_period)
    row = case.draft.row("validation")
    row.need("validationId", None if known.id is None else str(known.id), case.ask("validation.id"))
    row.need("validationType", known.type, case.ask("validation.type"))
    row.known("validationBody", known.body, _bodies(), case.ask("validation.body"))
    row.put(validationCreditPeriodStartDate=_day(first), validationCreditPeriodEndDate=_day(last))
    _add(case, "validation", row, case.own("validation"), project=case.own("project"))


def _place(case: _Case) -> None:
    place = case.entered.place
    name = None if place is None else lists.country(place.country)
    row = case.draft.row("location").known(
        "locationCountry",
        name,
        lists.cad_trust_lists()["part"]["location_country"],
        case.ask("place"),
    )
    row.put(locationRegion=None if place is None else place.subdivision)
    if points := _points(case.sources[-1]):
        row.put(
            locationGis={"type": "MultiPoint", "coordinates": points}, locationMapType="GeoJSON"
        )
    _add(case, "location", row, case.own("location"), project=case.own("project"))


def _points(source: Source) -> list[list[float]]:
    """
    Return [longitude, latitude] of each device of the project, as in GeoJSON (RFC
    7946). [deg]
    """
    bound = {device.device for device in source.plan.project.devices}
    places = [d.place for d in source.plan.devices if d.id in bound]
    result = {(float(p.longitude), float(p.latitude)) for p in places if p}
    return [list(point) for point in sorted(result)]


def _statement(case: _Case, source: Source) -> None:
    entered, own = case.entered, f"verification:{source.name}"
    first, last = days(source.claims.monitoring_period)
    check = next(
        (
            verification
            for verification in entered.verifications
            if verification.statement == source.name
        ),
        None,
    )
    row = case.draft.row("verification")
    row.need(
        "verificationId",
        None if check is None else check.id,
        case.ask(f"verifications of {source.name}, id"),
    )
    row.known("verificationBody", source.opinion.issuer.name, _bodies(), "")
    row.put(verificationStartDate=_day(first), verificationEndDate=_day(last))
    _add(case, "verification", row, own, project=case.own("project"))
    if not source.credited:
        return
    issued = next(
        (issuance for issuance in entered.issuances if issuance.statement == source.name), None
    )
    row = case.draft.row("issuance")
    row.need(
        "issuanceId",
        None if issued is None else issued.id,
        case.ask(f"issuances of {source.name}, id"),
    )
    row.put(issuanceDate=None if issued is None else _day(issued.date))
    _add(
        case,
        "issuance",
        row,
        f"issuance:{source.name}",
        verification=own,
        projectMethodology=case.own("projectMethodology"),
        location=case.own("location"),
    )
    ranges = [unit for unit in entered.units if unit.statement == source.name]
    if not ranges:
        case.draft.lacks("unit", "unitSerialId", case.ask(f"units of {source.name}"))
    for units in ranges:
        _unit(case, source, units)


def _unit(case: _Case, source: Source, units: Units) -> None:
    where = f"units of {units.serial}"
    row = case.draft.row("unit").put(
        unitSerialId=units.serial,
        unitStartBlock=str(units.first),
        unitEndBlock=str(units.last),
        unitVintageYear=units.vintage,
        unitMetric="tCO2e",
    )
    row.need("unitType", case.entered.cad_trust.unit_type, case.ask("cad_trust.unit_type"))
    row.need("unitStatus", units.status, case.ask(f"{where}, status"))
    row.need("unitStatusReason", units.status_reason, case.ask(f"{where}, status_reason"))
    row.need("unitStatusDate", _day(units.status_date), case.ask(f"{where}, status_date"))
    _add(case, "unit", row, f"unit:{units.serial}", issuance=f"issuance:{source.name}")


def _bodies() -> list[str]:
    return lists.cad_trust_lists()["part"]["verification_body"]


def _day(value: date | None) -> Any:
    return None if value is None else value.isoformat()
