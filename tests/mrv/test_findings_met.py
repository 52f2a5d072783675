"""Every finding can be resolved: it names its subject, time and amount, and an entry settles it."""

import re

import pytest

from mrv.methodologies import find
from mrv.rules import rules
from mrv.rules.closing import close
from mrv.texts import joined, languages
from services.cli import COMMANDS
from tests.closes import corpus
from tests.services.registry.test_page import statements
from tests.soak import SOAK

# where a need is written: a key of the registry file, or a command with what is left to people
ROWS = {
    "approval": ("acceptances", "projects.monitoring.approval"),
    "calibration_certificate": ("devices.calibrations",),
    "check_meter": ("devices.check_of",),
    "boundary_entry": ("projects.boundary",),
    "clock_correction": ("devices.profile",),
    "data_sheet": ("devices.ratings",),
    "dated_document": ("projects.documents",),
    "design_document": ("projects.documents",),
    "earlier_statement": ("tonne period",),
    "hash_correction": ("projects.documents",),
    "meter_correction": ("devices.profile",),
    "official_value": ("projects.parameters",),
    "output_meter": ("projects.events",),
    "restored_value": ("projects.parameters",),
    "separate_meter": ("projects.devices",),
    "single_id": ("projects.devices.to",),
    "value_correction": ("projects.parameters",),
    "year_value": ("projects.parameters",),
    "end_of_service": ("projects.devices.to",),
    "invoice": ("tonne invoice",),
    "issuer_confirmation": ("tonne invoice",),
    "laboratory_report": ("projects.laboratory",),
    "licence": ("projects.documents",),
    "line_diagram": ("projects.documents",),
    "logger_files": ("tonne statement",),
    "maintenance_record": ("projects.events",),
    "nameplate": ("devices.serial", "devices.maker"),
    "performance_test": ("projects.documents",),
    "plan_version": ("projects.monitoring",),
    "power_15min": ("devices.profile",),
    "power_measurement": ("projects.documents",),
    "publication": ("projects.documents", "factors"),
    "readings": ("tonne deadletter",),
    "registration": ("registrations",),
    "regression_data": ("projects.documents",),
    "replacement_record": ("devices.replacements",),
    "site_visit": ("tonne statement",),
    "type_approval": ("projects.documents",),
    "weather_data": ("tonne invoice",),
    "withdrawal": ("tonne certificates",),
}
# of a part of the period: the finding names the day or the time that it is of
DATED = {"MTR-01", "MTR-02", "MTR-04", "MTR-05", "MTR-09", "MTR-12", "REG-03", "PAR-02", "EVD-06"}
# what they take is priced by the engine, or stands in their own words
PRICED = {
    name for name, row in rules().items() if {"cap_baseline", "raise_project"} & {*row.effects}
}  # fmt: skip
# findings of such rules that ask for evidence of what counts, and take nothing themselves
TAKES_NOTHING = {
    "MTR-03.proportional", "MTR-06.no_model", "MTR-07.below_fifth", "EVD-03.charging",
    "EVD-03.power_too", "invoice.none", "invoice.not_enough", "text.not_applied", "text.more",
    "deduction.in_time",
}  # fmt: skip
# of the whole plant, whose meters its words name by what they measure
OF_THE_PLANT = {"PAR-08.year"}
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def test_each_need_of_a_rule_is_written_somewhere():
    """A finding would ask for evidence that no row and no command takes."""
    keys = {f"{row.section}.{row.key}" for row in statements()}
    sections = {key.rpartition(".")[0] for key in keys} | {"acceptances", "registrations"}
    for name, row in rules().items():
        assert set(row.needs) <= ROWS.keys(), name
    for need, where in ROWS.items():
        for one in where:
            command = one.startswith("tonne ") and one.removeprefix("tonne ") in COMMANDS
            assert command or one in keys | sections, (need, one)


def _some():
    """
    Return names of golden closes of the present rules (one, two in the
    soak) for each rule not met.
    """
    closes = corpus.expected()
    chosen = {}
    for name in sorted(name for name in closes if corpus.rules_of(name) != "1"):
        for rule in closes[name].get("does not hold", ()):
            if len(chosen.setdefault(rule, [])) < 1 + SOAK:
                chosen[rule].append(name)
    return sorted({name for names in chosen.values() for name in names})


@pytest.fixture(scope="module")
def found():
    """
    Return the findings of the present rules in some golden closes, with
    the names they contain.
    """
    asked, books = corpus.read()
    books = corpus.books_of(books)
    some = []
    for name in _some():
        project, fleet, *_ = given = corpus.asked_of(asked[name], books)
        result = close(*given)
        method = find(project.methodology, project.version)
        names = {*fleet.by_id, *project.parameters, *method.parameters, *method.roles}
        names |= {check.against for check in result.cross_checks}
        names |= {factor.id for factor in result.factors}
        some += [(o, names) for o in result.applicability if not o.holds and o.rule in rules()]
    return some


def test_each_finding_names_what_when_and_how_much(found):
    """An operator would look through a month of readings for a fault that has a day."""
    assert len({one.rule for one, _ in found}) >= 25
    unpriced = set[str]()
    for one, names in found:
        words = joined(one.lines, tonnes=one.tonnes)
        if not {line.code for line in one.lines} <= OF_THE_PLANT:
            assert one.devices or any(name in words for name in names), (one.rule, words)
        if one.rule in DATED:
            assert DAY.search(words), (one.rule, words)
        if one.rule in PRICED and one.severity != "observation" and not one.tonnes:
            unpriced |= {
                line.code
                for line in one.lines
                if not re.search(r"\d t\b|%", joined((line,), tonnes=one.tonnes))
            }
    assert unpriced <= TAKES_NOTHING


def test_each_finding_can_be_read_in_every_language(found):
    """A Vietnamese operator would meet a finding with a gap where the day is."""
    seen = {code.code: one for one, _ in found for code in one.lines}
    for one in seen.values():
        for language in languages():
            words = joined(one.lines, language, tonnes=one.tonnes)
            assert words.strip()
            assert "{" not in words, (one.rule, language)


def test_nothing_is_asked_that_nobody_at_a_plant_can_do(found):
    """An operator would be asked to edit a file of the program."""
    for one, _ in found:
        assert "TOML" not in joined(one.lines, tonnes=one.tonnes), one.rule
