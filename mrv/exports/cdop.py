"""
Carbon Data Open Protocol export, by its JSON Schemas (2020-12) of 31 July 2026.

One JSON document per schema.  Obvious errors of a schema are followed literally; docs/exports.md
lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from msgspec import structs

from mrv import exports as lists
from mrv.exports import Draft, Source, days, number_of
from mrv.exports.registration import Registration, Units


def cdop(sources: Sequence[Source], entered: Registration) -> Draft:
    """
    Return the documents of a project by schema name.

    `sources`: its issued statements, in order of time.
    `entered`: registration of the project.

    Unit descriptions are one document per range of units.
    """
    draft = Draft()
    newest = sources[-1]
    draft.tables["Project_Approach_Details"] = _approach(draft, newest, entered)
    draft.tables["Location_Details"] = _location(draft, entered)
    draft.tables["Crediting_Period"] = _crediting(draft, newest, entered)
    draft.tables["Estimations"] = _estimations(draft, newest, entered)
    draft.tables["Issuances"] = _issuances(draft, sources, entered)
    for number, units in enumerate(_of(sources, entered), 1):
        draft.tables[f"Unit_Description.{number}"] = _unit(draft, units, entered)
    if any(source.credited for source in sources) and not _of(sources, entered):
        draft.lacks("Unit_Description", "credit_block", _ask(entered, "units"))
    draft.tables["Disclosures"] = _disclosures(draft, entered)
    draft.tables["Co_Benefits"] = _cobenefits(draft, entered)
    return draft


def _ask(entered: Registration, key: str) -> str:
    return f"enter registrations[{entered.project}].{key}"


def _of(sources: Sequence[Source], entered: Registration) -> list[Units]:
    names = {source.name for source in sources}
    return [units for units in entered.units if units.statement in names]


def _approach(draft: Draft, source: Source, entered: Registration) -> dict[str, Any]:
    table, words = "Project_Approach_Details", entered.cdop
    method = source.claims.methodology
    project = draft.row(table)
    project.need("project_name", source.claims.project.name, "")
    registered = entered.project_id is not None
    project.put(
        project_id_type="current registry project id" if registered else "internal project id",
        project_id=entered.project_id or source.claims.project.id,
        current_registry_project_link=entered.link,
        project_registration_date=_day(entered.registered),
    )
    project.need("project_description", entered.description, _ask(entered, "description"))
    mitigation = draft.row(table)
    mitigation.need(
        "mitigation_type", words.mitigation_type, _ask(entered, "cdop.mitigation_type")
    ).put(project_sector=words.project_sector, project_type=words.project_type)
    status = draft.row(table)
    status.need("project_status", words.project_status, _ask(entered, "cdop.project_status"))
    status.put(is_current=True)
    project.put(mitigation=[mitigation.values], status=[status.values])
    version = draft.row(table).need(
        "methodology",
        lists.cdop_lists()["methodology"].get(method.id),
        f"{method.id} is in no list of the protocol; ask the protocol's owner for a term",
    )
    version.put(version=method.version, is_current=True, document=entered.methodology_link)
    developer = draft.row(table)
    developer.need("project_developer_name", entered.developer, _ask(entered, "developer"))
    return {
        "crediting_program": {
            "crediting_program": _current("crediting_program_name", words.programme),
            "standard": _current("standard_name", words.standard),
        },
        "methodology": {"versions": [version.values]},
        "project": project.values,
        "project_stakeholder": developer.values,
        "registry": draft.row(table).put(current_registry=words.registry).values,
        "validation": draft.row(table)
        .put(
            validation_body_name=entered.validation.body,
            validation_date=_day(entered.validation.date),
            validation_report=entered.validation.report,
        )
        .values,
    }


def _current(name: str, value: str | None) -> list[dict[str, Any]]:
    return [] if value is None else [{name: value, "is_current": True}]


def _location(draft: Draft, entered: Registration) -> dict[str, Any]:
    table, place = "Location_Details", entered.place
    empty: dict[str, Any] = {"project_stakeholder": {}, "geolocation_file": {}}
    if place is None:
        draft.lacks(table, "location", _ask(entered, "place"))
        return {"project": {}, **empty}
    row = draft.row(table)
    row.put(country_code=place.country, country_name=lists.country(place.country))
    row.need("geographical_region_code", place.region, _ask(entered, "place.region"))
    region = lists.cdop_lists()["region"].get(place.region)
    row.need("geographical_region_name", region, _ask(entered, "place.region"))
    row.put(
        # the schema accepts only the text of its own instruction here
        country_subdivision_code=lists.cdop_lists()["subdivision_code"],
        country_subdivision_name=lists.cdop_lists()["subdivision_name"],
        alternative_address=place.subdivision,
        address_line_1=place.address,
        city=place.city,
    )
    return {"project": {"location": [row.values]}, **empty}


def _crediting(draft: Draft, source: Source, entered: Registration) -> dict[str, Any]:
    first, last = days(source.claims.project.crediting_period)
    row = draft.row("Crediting_Period")
    row.need("validation_id", entered.validation.id, _ask(entered, "validation.id"))
    row.put(
        current_crediting_period_start_date=_day(first),
        current_crediting_period_end_date=_day(last),
    )
    row.need(
        "current_crediting_period_number",
        entered.validation.period_number,
        _ask(entered, "validation.period_number"),
    )
    return {"validation": {"validation": [row.values]}}


def _estimations(draft: Draft, source: Source, entered: Registration) -> dict[str, Any]:
    table, known = "Estimations", entered.estimation
    years = _whole_years(source)
    yearly = source.plan.project.expected.get("reduction_t_per_year")
    event = draft.row(table)
    event.need("estimation_id", known.id, _ask(entered, "estimation.id"))
    event.need("estimation_event_date", _day(known.date), _ask(entered, "estimation.date"))
    status = draft.row(table)
    status.need("estimation_status", known.status, _ask(entered, "estimation.status"))
    status.put(is_current=True, estimated_status_reason=known.reason)
    amount = draft.row(table)
    remedy = "the project's `expected.reduction_t_per_year` is not set in the registry"
    estimate = None if yearly is None else number_of(yearly)
    amount.need("estimated_annual_emissions_mitigation", _plain(estimate), remedy)
    total = None if estimate is None or years is None else estimate * years
    amount.need(
        "estimated_total_emissions_mitigation",
        _plain(total),
        remedy if estimate is None else "the crediting period is not a number of whole years",
    )
    project = draft.row(table).put(mitigation=[amount.values])
    project.need(
        "estimated_total_years", years, "the crediting period is not a number of whole years"
    )
    check = draft.row(table)
    check.need("validation_id", entered.validation.id, _ask(entered, "validation.id"))
    check.need("validation_type", entered.validation.type, _ask(entered, "validation.type"))
    return {
        "estimations": {"estimation_event": [event.values], "status": [status.values]},
        "project": project.values,
        "validation": {"event": [check.values]},
    }


def _whole_years(source: Source) -> int | None:
    period = source.claims.project.crediting_period
    begin, end = period.local_from[:19], period.local_to[:19]
    return int(end[:4]) - int(begin[:4]) if begin[4:] == end[4:] else None


def _plain(value: Decimal | None) -> int | float | None:
    """Return a number as a JSON number; a float is exact enough for estimates."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _issuances(draft: Draft, sources: Sequence[Source], entered: Registration) -> dict[str, Any]:
    table = "Issuances"
    batches, audits = [], []
    for source in sources:
        first, last = days(source.claims.monitoring_period)
        issued = next(
            (issuance for issuance in entered.issuances if issuance.statement == source.name), None
        )
        batches.append(
            draft.row(table)
            .put(
                batch_identifier=source.name,
                date_of_issuance=_day(issued.date) if issued else None,
                issuance_url=issued.url if issued else None,
                date_of_verification=source.opinion.valid_from[:10],
                verification_period_start=_day(first),
                verification_period_end=_day(last),
                batch_issued_volume=source.credited,
                issuance_status="Verified",
            )
            .values
        )
        audits.append(_audit(draft, source, entered))
    project = draft.row(table).put(project_identifier=entered.project_id, audits=audits)
    return {"project": project.values, "issuance": {"issuance": batches}}


def _audit(draft: Draft, source: Source, entered: Registration) -> dict[str, Any]:
    known = next(
        (
            verification
            for verification in entered.verifications
            if verification.statement == source.name
        ),
        None,
    )
    row = draft.row("Issuances").put(
        auditor_name=source.opinion.issuer.name,
        verification_report_date=source.opinion.valid_from[:10],
    )
    where = f"verifications of {source.name}"
    wanted = {
        "auditor_site_visit_start_date": ("visit_from", _day(known.visit_from) if known else None),
        "auditor_site_visit_end_date": ("visit_to", _day(known.visit_to) if known else None),
        "verification_report_url": ("report", known.report if known else None),
    }
    for name, (key, value) in wanted.items():
        row.need(name, value, f"{_ask(entered, where)}, {key}")
    return row.values


def _unit(draft: Draft, units: Units, entered: Registration) -> dict[str, Any]:
    table = "Unit_Description"
    where = f"units of {units.serial}"
    project = draft.row(table)
    project.need("current_registry_project_id", entered.project_id, _ask(entered, "project_id"))
    kind = draft.row(table).put(metric="tCO2e")
    kind.need("type", entered.cdop.unit_type, _ask(entered, "cdop.unit_type"))
    status = draft.row(table).put(is_current=True, status_reason=units.status_reason)
    status.need("status", units.cdop_status, f"{_ask(entered, where)}, cdop_status")
    unit = draft.row(table)
    unit.need("owner_account_id", units.account, f"{_ask(entered, where)}, account")
    unit.put(
        descriptor=[kind.values],
        reference=[{"serial_number": units.serial}],
        status=[status.values],
        credit_block=[
            {"quantity": units.quantity, "block_start": units.first, "block_end": units.last}
        ],
    )
    return {
        "project": project.values,
        "unit": unit.values,
        "vintage": {"vintage": _day(date(units.vintage, 1, 1))},
    }


_DISCLOSED = (
    "carbon_credit_ownership_attestation",
    "carbon_credit_ownership_documentation",
    "legal_compliance_attestation",
    "legal_compliance_documentation",
    "project_governance_structure",
)


def _disclosures(draft: Draft, entered: Registration) -> dict[str, Any]:
    fields = structs.asdict(entered.disclosures)
    row = draft.row("Disclosures").put(**fields)
    for name in _DISCLOSED:
        row.need(name, fields.get(name), _ask(entered, f"disclosures.{name}"))
    registry = draft.row("Disclosures").put(current_project_issuance_registry=entered.cdop.registry)
    return {"project": row.values, "project_stakeholder": {}, "registry": registry.values}


def _cobenefits(draft: Draft, entered: Registration) -> dict[str, Any]:
    row = draft.row("Co_Benefits")
    row.need(
        "sdgs_the_project_plans_to_contribute_to",
        list(entered.cdop.sdgs) or None,
        _ask(entered, "cdop.sdgs"),
    ).need(
        "methods_used_to_assess_sdgs_and_other_cobenefits",
        list(entered.cdop.methods) or None,
        _ask(entered, "cdop.methods"),
    )
    return {"cobenefits": row.values}


def _day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()
