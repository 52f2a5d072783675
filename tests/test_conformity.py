"""The conformity map says what tests show, and nothing else."""

import ast
from pathlib import Path

from services.cli.calculate import catalog_docs as docs
from services.cli.calculate import findings_docs as findings

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / docs.TABLE).read_text("utf-8")
FINDINGS = (ROOT / findings.FINDINGS).read_text("utf-8")


def test_the_page_is_what_the_table_says():
    """An auditor would read a page of last year."""
    page = docs.conformity_page(TABLE) + findings.section(FINDINGS, ROOT / findings.TESTS)
    assert page == (ROOT / docs.CONFORMITY).read_text("utf-8"), "run `make pages`"


def test_every_test_that_is_named_is_there():
    """A line would be shown by a test that was taken out."""
    rows = findings.resolved(FINDINGS, ROOT / findings.TESTS)
    for named in [*docs.tests_of(TABLE), *(test for row in rows for test in row["tests"])]:
        file, _, name = named.partition("::")
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, named


def test_a_line_without_a_test_is_open():
    """What nobody shows would stand as met."""
    text = '[[line]]\nof = "x"\nclause = "c"\nsays = "s"\ncertainty = "M"\nwhere = "here"\n'
    assert "| c | s | here | **open** | M |" in docs.conformity_page(text)
    assert "0 rows are covered by tests, 1 are open" in docs.conformity_page(text)


def test_a_finding_without_a_test_is_neither(tmp_path):
    """A finding would stand as prevented after its test was taken out."""
    text = """
[[finding]]
address = "cdm.unfccc.int/IRCheck/iss_forms/A1/viewPublic"
of = "wind"
issue = "dates"
before = "neither"
now = "prevented"

[[finding]]
address = "cdm.unfccc.int/Projects/DB/X/iProcess/Y/gotoRFR?rfrid=B2"
of = "hydro"
issue = "interval"
before = "neither"
now = "shown"
"""
    (tmp_path / "test_x.py").write_text(
        '"""A file.\n\n| /Projects/DB/X/iProcess/Y/gotoRFR: two intervals | own |\n"""\n'
        'def test_it_is_own():\n    """Lost."""\n\ndef test_other():\n    """Lost."""\n'
    )
    found = findings.resolved(text, tmp_path)
    assert [(one["now"], one["tests"]) for one in found] == [
        ("neither", []),
        ("shown", [f"{tmp_path.name}/test_x.py::test_it_is_own"]),
    ]
