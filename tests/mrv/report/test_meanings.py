"""
Meanings of parameters and steps of methodologies: in each language for every declaration.

Reports know the unit of every quantity of a meter, in every language.
"""

from collections import defaultdict
from types import SimpleNamespace

import pytest

from ingest.classes import QUANTITIES
from mrv import methodologies
from mrv.registry.plan_departures import FREQUENCIES
from mrv.report.blocks import SCALES
from mrv.report.words import DISPLAY_UNITS, LANGUAGES, Words, meanings, names
from mrv.steps import Step

# what counts in a parameter's place, and what every device has
_OF_ANY = {"measured", "measured_of_all", "rated_power_w"}


def _parameters(method):
    yield from method.parameters.items()
    for needs in method.roles.values():
        yield from needs.params.items()
    for name, (_, meaning, source) in method.implied({}, ()).items():
        yield name, SimpleNamespace(meaning=meaning, source=source)


def _keyed(found):
    """Return meanings by name; by methodology and name where methodologies differ."""
    by_name = defaultdict(dict)
    for method, name, meaning in found:
        by_name[name][method] = meaning
    keyed = {}
    for name, of in by_name.items():
        same = len(set(of.values())) == 1
        keyed |= {name if same else f"{method}.{name}": one for method, one in of.items()}
    return keyed


def test_each_parameter_has_words_of_what_it_is():
    """A reader would get a parameter of the account in English, or that of another methodology."""
    declared = _keyed(
        (method.id, name, spec.meaning)
        for method in methodologies.load().values()
        for name, spec in _parameters(method)
    )
    english = {k: v for k, v in meanings("parameter", "en").items() if k not in _OF_ANY}
    assert english == declared
    _translated("parameter")


def test_each_input_and_step_has_words_of_what_it_is():
    """A verifier would follow the equation in the workbook by symbols alone."""
    known, methods = meanings("parameter", "en"), methodologies.load().values()
    of_inputs = [
        (method.id, name, spec.meaning)
        for method in methods
        for name, spec in method.inputs.items()
        if spec.meaning != (known.get(f"{method.id}.{name}") or known.get(name))
    ]
    of_steps = [
        (method.id, part.name, part.meaning)
        for method in methods
        for part in method.steps.parts
        if isinstance(part, Step) and part.meaning
    ]
    for table, found in (("input", of_inputs), ("step", of_steps)):
        assert meanings(table, "en") == _keyed(found)
        _translated(table)


def test_what_a_source_is_called_is_what_is_declared():
    """A reader would look for a value in another document than the one that states it."""
    methods = methodologies.load().values()
    of_parameters = _keyed((m.id, name, s.source) for m in methods for name, s in _parameters(m))
    of_roles = _keyed((m.id, name, s.source) for m in methods for name, s in m.roles.items())
    for table, declared in (("source", of_parameters), ("role_source", of_roles)):
        english = {k: v for k, v in meanings(table, "en").items() if k not in _OF_ANY}
        assert english.items() <= declared.items()
        # what has no words is the name of a publication
        others = {one for key, one in declared.items() if key not in english}
        assert others <= {"", "AMS-III.U", "CDM TOOL04 v8"}
        _translated(table)


def test_each_frequency_has_words():
    """A reader would get how often a methodology measures in English."""
    specs = [
        spec
        for method in methodologies.load().values()
        for spec in (*method.inputs.values(), *method.roles.values(), *method.parameters.values())
    ]
    fields = [one for spec in specs for one in (spec, *getattr(spec, "fields", {}).values())]
    asked = {*FREQUENCIES, *(getattr(one, "frequency", "") for one in fields)} - {""}
    for language in LANGUAGES:
        assert {f"frequency.{one}" for one in asked} <= names(language).keys()


def _translated(table):
    english = meanings(table, "en")
    for language in LANGUAGES[1:]:
        said = meanings(table, language)
        assert {key for key in english if said[key] == english[key]} == set(), language


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_quantity_and_role_has_a_unit_and_a_word(language):
    """A statement of lamps, rice or passengers could not be printed at all."""
    words = Words(language)
    for one in QUANTITIES:
        assert one.unit in DISPLAY_UNITS
        assert one.unit in SCALES
        assert words.get(f"quantity.{one.name}", "") != ""
    plastics = {"hdpe", "ldpe", "pet", "pp", "abs"}  # named alike everywhere
    for method in methodologies.load().values():
        for role in method.roles.keys() - plastics:
            assert words.get(f"role.{role}", "") != "", role
