"""
Samples, corrections of a plan, and documents of expired values, as findings of a statement.

| /IRCheck/poaiss_forms/EAB283WD6PI7OUQ/viewPublic | participant |
| /IRCheck/iss_forms/UZOIE1YM42XAVBR/viewPublic | repeated |
| https://cdm.unfccc.int/IRCheck/iss_forms/TQZX03SK5I2WV9L/viewPublic | replaced |
| /IRCheck/iss_forms/W2KV50OFDGQHBN3/viewPublic | correction |
| /IRCheck/poaiss_forms/CGHO04ABXDQ6L8M/viewPublic | ended |
"""

from datetime import date

import pytest

from mrv.accounting.entered_values import undocumented
from mrv.registry.monitoring_plan import Line, Version
from mrv.registry.project import Document
from mrv.statement.conformity import uncorrected
from services.issuer.close import preview_period
from tests import registering
from tests.findings import worded
from tests.planted import planted
from tests.services.issuer import logged, plant

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
SURVEY = (
    "{{parameter: sfc_l_per_100km, population: 90, n: 80, mean: {mean}, sd: 2, drawn: by lot,"
    " taken: {taken}{more}}}"
)
PLANNED = """\
    monitoring:
      - version: "1"
        from: 2026-01-01
        responsible: Energy manager
        reason: first plan
        procedures: {organisation: a, data flow: b, emergency: c, missing data: d, retention: e, sampling: by visit}
        lines:
          - {parameter: charging, channel: energy_import_kwh, option: C, frequency: continuous, qa_qc: x, responsible: y}
          - {parameter: vehicle, channel: odometer_km, option: C, frequency: daily, qa_qc: x, responsible: y}
"""  # noqa: E501
DESIGN = f"""\
    design: {{document: PDD, version: "1", date: 2025-10-01, sha256: {"ab" * 32}, populations: [{{parameter: sfc_l_per_100km, number: 90, participants: 45}}]}}
"""  # noqa: E501


def buses(url, folder):
    """Store three days of a bus and its charger."""
    plant.quarter_hours(url, folder)
    plant.fill_buses(url)


def said(url, folder, *surveys):
    """Return the findings of a day with these surveys."""
    given = f"    surveys: [{', '.join(surveys)}]\n{PLANNED}{DESIGN}"
    text = plant.documented()
    at = text.index("    documents:\n", text.index("  - id: bus\n"))
    done = registering.told(url, folder, f"{text[:at]}{given}{text[at:]}", "owner")
    assert not done.refused, [r.messages for r in done.results if r.messages]
    with logged.issuer(url) as conn:
        closed = preview_period(conn, "bus", *SPAN)
    every = closed.document["credentialSubject"]["applicability"]
    return {worded(one): one.get("severity") for one in every if not one["holds"]}


def survey(mean=34, taken="2026-01-02", more=""):
    """Return a survey as a registry file writes it."""
    return SURVEY.format(mean=mean, taken=taken, more=more)


@pytest.mark.parametrize(("participants", "named"), [(45, False), (44, True), (90, False)])
def test_more_units_of_a_participant_than_designed_are_named(
    database_url, tmp_path, participants, named
):
    """More units per participant than designed are reported."""
    planted(buses, database_url, tmp_path)
    found = said(database_url, tmp_path, survey(more=f", participants: {participants}"))
    assert any("units for each participant" in one for one in found) is named


def test_a_repeated_survey_and_replaced_units_are_observations(database_url, tmp_path):
    """Repeated surveys and replaced units are reported."""
    planted(buses, database_url, tmp_path)
    first, second = survey(30), survey(38, "2026-02-02", ", replaced: 9, method: telephone")
    found = said(database_url, tmp_path, first, second)
    of = {
        word: level
        for word, level in found.items()
        if "and again on" in word or "sampled units" in word
    }
    assert sorted(of.values()) == ["observation", "observation"]
    again = said(database_url, tmp_path, first, survey(30, "2026-02-02"))
    assert not any("and again on" in one for one in again)


def version(name, begins, kind="registered", **changed):
    """Return a version of a plan with one line."""
    line = {"channel": "energy_export_kwh", "option": "C", "frequency": "continuous",
            "accuracy_class": "0.5S", "qa_qc": "x", "responsible": "y", **changed}  # fmt: skip
    lines = (Line("generation", None, **line),)
    return Version(name, date.fromisoformat(begins), "manager", "reason", {}, lines, kind=kind)


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"accuracy_class": "2"}, True), ({"frequency": "daily"}, True), ({"channel": "other"}, True),
     ({"qa_qc": "clearer words"}, False), ({"responsible": "Operator"}, False)],
)  # fmt: skip
def test_a_correction_changes_no_measurement(changed, named):
    """A plan correction that changes a measurement is reported."""
    first = version("1", "2026-01-01")
    corrected = version("2", "2026-02-01", "correction", **changed)
    assert bool([*uncorrected((corrected,), (first,))]) is named
    permanent = version("2", "2026-02-01", "permanent_change", **changed)
    assert [*uncorrected((first, permanent), ())] == []


@pytest.mark.parametrize(
    ("day", "holds"), [("2026-02-28", True), ("2026-03-01", False), ("2026-04-01", False)]
)
def test_a_document_supports_a_value_until_it_ended(day, holds):
    """A national default that expired a year ago would go on for new stoves."""
    document = Document(
        "x", "note", "agency", date(2020, 1, 1), "a" * 64, valid_until=date(2026, 3, 1)
    )
    lacks = undocumented("x", {"x": 1}, (document,), date.fromisoformat(day))
    assert (lacks is None) is holds
    assert undocumented("x", {"x": 1}, (document,), date.max) is None
