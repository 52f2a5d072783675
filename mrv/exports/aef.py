"""
Agreed electronic format of Article 6.2 (Decision 4/CMA.6, Annex II): tables T1 to T5.

A version of a year contains the events reported up to its own day, so that a filed version never
changes; events omitted then are entered with the version that reports them (`reported_in`).  Review
status, consistency results and links to reviews belong to the CARP and are never written.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Mapping
from datetime import date, datetime
from io import BytesIO, StringIO

from mrv.errors import ExportError
from mrv.exports import Draft, Fields
from mrv.exports.contradictions import FORMULA
from mrv.exports.entered import (
    Action,
    Authority,
    Authorization,
    Itmos,
    Submission,
    holdings,
    range_of,
)

Cells = dict[str, "str | int"]
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "T1": ("party", "version", "reportedYear", "submissionDate", "ndcFirstYear", "ndcLastYear"),
    "T2": ("authorizationId", "authorizationDate", "authorizationVersion", "cooperativeApproachId",
           "quantity", "metric", "gwpValues", "sector", "activityType", "purposes",
           "firstTransferDefinition", "authorizedParty", "authorizedEntities", "oimpParty",
           "timeframe", "termsAndConditions", "documentation", "additionalInformation"),
    "T3": ("actionDate", "actionType", "actionSubtype", "cooperativeApproachId", "authorizationId",
           "firstTransferringParty", "itmoRegistryId", "itmoFirstId", "itmoLastId",
           "unitRegistryId", "unitFirstId", "unitLastId", "metric", "gwpValues", "quantity",
           "mitigationType", "vintageYear", "transferringParty", "acquiringParty",
           "purposeOfUse", "usingPartyOrEntity", "yearOfUse"),
    "T4": ("cooperativeApproachId", "authorizationId", "firstTransferringParty", "itmoRegistryId",
           "itmoFirstId", "itmoLastId", "unitRegistryId", "unitFirstId", "unitLastId", "metric",
           "gwpValues", "quantity", "mitigationType", "vintageYear"),
    "T5": ("authorizationDate", "entityName", "countryOfIncorporation", "entityId",
           "cooperativeApproachId", "conditions", "changeOfConditions", "additionalInformation"),
}  # fmt: skip


def aef(
    authority: Authority, statements: Collection[str], party: str, year: int, version: int
) -> Draft:
    """
    Return the tables of one version of a Party's year, each as a list of rows.

    `authority`: the authority's entries, checked by `contradictions.check`.
    `statements`: issued statements; units of others are reported as missing.
    `party`: ISO 3166-1 alpha-3.
    Raises ExportError if there is no such submission, or a filed one would change.
    """
    wanted = None
    for submission in authority.submissions:
        made = tables(authority, submission, statements)
        if (text := otherwise(submission, made)) is not None:
            raise ExportError(text)
        if (submission.party, submission.year, submission.version) == (party, year, version):
            wanted = made
    if wanted is None:
        raise ExportError(
            f"submissions has no version {version} of {party} {year}; enter it with its date"
        )
    return wanted


def otherwise(submission: Submission, made: Draft) -> str | None:
    """
    Return how the tables of a filed submission differ from those that were filed; None
    if equal.
    """
    if submission.filed is None or digest(made) == submission.filed:
        return None
    return (
        f"{submission.party} {submission.year} version {submission.version} "
        f"was filed as {submission.filed[:12]} but would now be {digest(made)[:12]}: "
        "a filed year does not change; enter new data with `reported_in` of "
        "a new version"
    )


def to_csv(draft: Draft, table: str) -> str:
    """
    Return a table as CSV (RFC 4180), with a header of its columns.

    Raises ExportError if a text would be a formula in a spreadsheet.
    """
    for row in draft.tables[table]:
        for name, value in row.items():
            if isinstance(value, str) and value.startswith(FORMULA):
                raise ExportError(
                    f"{table}.{name} {value!r}: a spreadsheet would read this as a formula; begin "
                    "it with a letter"
                )
    out = StringIO()
    writer = csv.DictWriter(out, COLUMNS[table], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(draft.tables[table])
    return out.getvalue()


def digest(draft: Draft) -> str:
    """Return the SHA-256 of the five tables as CSV, in hex: the digest of a filing."""
    whole = "\r\n".join(to_csv(draft, table) for table in COLUMNS)
    return hashlib.sha256(whole.encode()).hexdigest()


def tables(authority: Authority, submission: Submission, statements: Collection[str] = ()) -> Draft:
    """Return the tables of a submission, from data that were entered and reported by its day."""
    draft = Draft()
    draft.tables["T1"] = [{
        "party": submission.party, "version": submission.version, "reportedYear": submission.year,
        "submissionDate": submission.date.isoformat(), "ndcFirstYear": submission.ndc_from,
        "ndcLastYear": submission.ndc_to,
    }]  # fmt: skip
    reported = _Reported(authority, submission, draft)
    granted = [a for a in authority.authorizations if reported(a.date, a.reported_in)]
    actions = [
        (authorization, action)
        for authorization in authority.authorizations
        for action in authorization.actions
        if reported(action.date, action.reported_in)
    ]
    own = [authorization for authorization in granted if authorization.party == submission.party]
    of_year = [a for a in own if a.date.year == submission.year]
    draft.tables["T2"] = [_authorization(draft, authorization) for authorization in of_year]
    draft.tables["T3"] = [
        _action(draft, authorization, action, statements)
        for authorization, action in sorted(actions, key=lambda pair: (pair[1].date, pair[1].first))
        if action.date.year == submission.year and _actor(authorization, action) == submission.party
    ]
    draft.tables["T4"] = [
        _row(
            draft,
            "T4",
            holding.authorization,
            holding.units,
            (holding.first, holding.last),
            statements,
        ).values
        for holding in holdings(granted, actions)
        if holding.holder == submission.party
    ]
    draft.tables["T5"] = [
        _entity(authorization, place)
        for authorization in own
        for place in range(len(authorization.entities))
        if authorization.entities[place].date.year == submission.year
    ]
    return draft


class _Reported:
    """Test whether an event had been reported by the day of a submission."""

    def __init__(self, authority: Authority, submission: Submission, draft: Draft) -> None:
        self._of, self._draft = submission, draft
        self._days = {
            (item.year, item.version): item.date
            for item in authority.submissions
            if item.party == submission.party
        }

    def __call__(self, day: date, version: int) -> bool:
        if day > date(self._of.year, 12, 31):
            return False
        first = self._days.get((day.year, version))
        if first is None:
            self._draft.lacks(
                "T1", "version", f"enter the submission of {day.year}, version {version}"
            )
        return first is not None and first <= self._of.date


def _authorization(draft: Draft, authorization: Authorization) -> Cells:
    ask = f"enter authorizations[{authorization.id}]"
    row = draft.row("T2").put(
        authorizationId=authorization.id,
        authorizationDate=authorization.date.isoformat(),
        authorizationVersion=authorization.version,
        cooperativeApproachId=authorization.approach,
        metric=authorization.metric,
        authorizedEntities="; ".join(entity.id for entity in authorization.entities) or None,
        oimpParty=authorization.oimp_party,
        timeframe=authorization.timeframe,
        termsAndConditions=authorization.terms,
        documentation=authorization.documentation,
        additionalInformation=authorization.additional,
    )
    row.need("quantity", authorization.quantity, f"{ask}.quantity")
    row.need("gwpValues", authorization.gwp, f"{ask}.gwp")
    row.need("sector", authorization.sector, f"{ask}.sector")
    row.need("activityType", authorization.activity_type, f"{ask}.activity_type")
    row.need("purposes", authorization.purposes, f"{ask}.purposes")
    row.need("firstTransferDefinition", authorization.first_transfer, f"{ask}.first_transfer")
    row.need("authorizedParty", authorization.authorized_party, f"{ask}.authorized_party")
    return row.values


def _row(
    draft: Draft,
    table: str,
    authorization: Authorization,
    units: Itmos,
    span: tuple[int, int],
    statements: Collection[str],
) -> Fields:
    if units.statement not in statements:
        draft.lacks(
            table, "quantity", f"also pass the issued statement {units.statement}, or its pack"
        )
    if units.unit_first is not None and span != (units.first, units.last):
        # serial numbers were entered for the whole range only; those of a part are unknown
        draft.lacks(table, "unitFirstId", f"enter {span[0]} to {span[1]} as a separate range")
    row = draft.row(table).put(
        cooperativeApproachId=authorization.approach,
        authorizationId=authorization.id,
        firstTransferringParty=authorization.party,
        itmoRegistryId=units.registry,
        itmoFirstId=span[0],
        itmoLastId=span[1],
        unitRegistryId=units.unit_registry or "NA",
        unitFirstId=_serial(units, units.unit_first, span),
        unitLastId=_serial(units, units.unit_last, span),
        metric=authorization.metric,
        quantity=span[1] - span[0] + 1,
        mitigationType=authorization.mitigation,
        vintageYear=units.vintage,
    )
    return row.need("gwpValues", authorization.gwp, f"enter authorizations[{authorization.id}].gwp")


def _serial(units: Itmos, serial: str | None, span: tuple[int, int]) -> str | None:
    if serial is None:
        return "NA"
    return serial if span == (units.first, units.last) else None


def _action(
    draft: Draft, authorization: Authorization, action: Action, statements: Collection[str]
) -> Cells:
    ask = f"enter authorizations[{authorization.id}], {action.type} of {action.date}"
    units = range_of(authorization, action)
    row = _row(draft, "T3", authorization, units, (action.first, action.last), statements).put(
        actionDate=action.date.isoformat(),
        actionType=action.type,
        transferringParty=action.from_party,
        acquiringParty=action.to_party,
        purposeOfUse=action.purpose,
        usingPartyOrEntity=action.using,
        yearOfUse=action.year_of_use,
    )
    row.need("actionSubtype", action.subtype, f"{ask}, subtype")
    if action.type in ("First Transfer", "Transfer", "Acquisition"):
        row.need("transferringParty", action.from_party, f"{ask}, from_party")
        row.need("acquiringParty", action.to_party, f"{ask}, to_party")
    if action.type == "Use":
        row.need("purposeOfUse", action.purpose, f"{ask}, purpose")
        row.need("usingPartyOrEntity", action.using, f"{ask}, using")
        row.need("yearOfUse", action.year_of_use, f"{ask}, year_of_use")
    return row.values


def _entity(authorization: Authorization, place: int) -> Cells:
    entity = authorization.entities[place]
    return {
        "authorizationDate": entity.date.isoformat(),
        "entityName": entity.name,
        "countryOfIncorporation": entity.country,
        "entityId": entity.id,
        "cooperativeApproachId": authorization.approach,
        "conditions": entity.conditions or "",
        "changeOfConditions": entity.changes or "",
        "additionalInformation": entity.additional or "",
    }


def _actor(authorization: Authorization, action: Action) -> str:
    """Return the Party that reports an action: the acquiring or else the transferring one."""
    if action.type == "Acquisition":
        return action.to_party or authorization.party
    return action.from_party or authorization.party


TITLES = {"T1": "Submission", "T2": "Authorizations", "T3": "Actions", "T4": "Holdings",
          "T5": "Authorized entities"}  # fmt: skip


def workbook(draft: Draft, only: str | None = None) -> bytes:
    """Return the five tables, or one, as XLSX, byte-identical for the same data."""
    from xlsxwriter import Workbook  # noqa: PLC0415 - an extra brings it

    out = BytesIO()
    book = Workbook(out, {"in_memory": True})
    # the day of the submission, equal in every copy
    day = datetime.fromisoformat(draft.tables["T1"][0]["submissionDate"])
    book.set_properties({"title": "Agreed electronic format, Article 6.2", "created": day})
    head = book.add_format({"bold": True, "text_wrap": True})
    for table, columns in COLUMNS.items():
        if only not in (None, table):
            continue
        sheet = book.add_worksheet(f"{table} {TITLES[table]}")
        sheet.set_column(0, len(columns) - 1, 20)
        for column, name in enumerate(columns):
            sheet.write_string(0, column, name, head)
        for number, row in enumerate(draft.tables[table], 1):
            for column, name in enumerate(columns):
                value = row.get(name, "")
                write = sheet.write_number if isinstance(value, int) else sheet.write_string
                write(number, column, value)
    book.close()
    return out.getvalue()
