"""What an import says: of its own rows, and of documents that are of no value."""

from dataclasses import replace

import pytest

from services.registry.entries import Registry
from tests.services.registry.texts import BASE, PROJECT, messages

MORE = BASE.replace("id: inv", "id: inv2")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kase", "documents: 'kase' is not a parameter of jcm-vn-am007; did you mean 'case'?"),
        ("nosuch", "documents: 'nosuch' is not a parameter of jcm-vn-am007; known: "),
    ],
)
def test_a_document_of_no_parameter_is_refused_with_the_nearest_name(load, name, said):
    """A value whose document was typed wrong would earn nothing, and nobody say why."""
    wrong = load(BASE + PROJECT + f"    documents: {{{name}: licence 12}}\n")
    assert wrong.refused
    assert said in messages(wrong)
    right = load(BASE + PROJECT + "    documents: {case: licence 12}\n")
    assert not right.refused
    assert "documents:" not in messages(right)


def test_a_stored_project_with_such_a_document_stops_no_other(load):
    """Whoever imports a new project would have to mend those of others first."""
    stored = load(BASE + PROJECT).merged
    named = replace(stored.projects["pv"], documents={"nosuch": "x"})
    planned = load(MORE, Registry({**stored.entries, (named.kind, named.id): named}))
    assert not planned.refused
    assert "nosuch" not in messages(planned)


def test_warnings_of_stored_rows_are_not_those_of_an_import(load):
    """The hundredth project's import printed the warnings of the others."""

    def of_pv(planned):
        return [m for r in planned.results for m in r.messages if r.id == "pv"]

    first = load(BASE + PROJECT)
    assert any("no maker or serial" in said for said in of_pv(first))
    assert of_pv(load(MORE, first.merged)) == []
    assert of_pv(load(BASE + PROJECT, first.merged)) == of_pv(first)
    # what the import itself changes for another row is told
    worse = of_pv(load(BASE.replace("rated_power_w: 100000,", ""), first.merged))
    assert worse
    assert all("rated_power_w of inv is not given" in said for said in worse)


_WHOLE = f"document: licence 12, by: Department, issued: 2024-12-01, sha256: {'ab' * 32}"


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ("", "parameters: case; until `value` in `documents` says what each states"),
        (", value: 1", ""),
        (", value: 1.0", ""),
        (", value: 2", "inv: case = 1 1, and its document 'licence 12' states 2:"),
        (", value: {inv: 1}", ""),
        (", value: {inv: 2}", "inv: case = 1 1, and its document 'licence 12' states 2:"),
        (", value: {other: 2}", "parameters: case; until `value` in `documents`"),
        (", value: about 1", "case: value = 'about 1' is not a number"),
        (", value: true", "case: value = True is not a number"),
    ],
)
def test_a_document_that_states_another_value_is_named(load, value, warning):
    """A typing error would be found by the verifier, months after the import."""
    planned = load(BASE + PROJECT + f"    documents: {{case: {{{_WHOLE}{value}}}}}\n")
    found = messages(planned)
    assert warning in found
    shown = ("states 2:", "until `value`", "is not a number")
    assert any(one in found for one in shown) == bool(warning)
