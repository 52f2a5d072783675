"""What parameters and steps of methodologies are: words in each language for every declaration."""

from __future__ import annotations

from collections import defaultdict

from mrv import methodologies
from mrv.report.words import LANGUAGES, meanings

# what counts in a parameter's place, and what every device has
_OF_ANY = {"measured", "rated_power_w"}


def _parameters(method):
    yield from method.parameters.items()
    for needs in method.roles.values():
        yield from needs.params.items()


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
    for language in LANGUAGES[1:]:
        said = meanings("parameter", language)
        assert {key for key in english if said[key] == english[key]} == set(), language
