"""The conformity map says what tests show, and nothing else."""

import ast
from pathlib import Path

from services.cli.calculate import catalog_docs as docs

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / docs.TABLE).read_text("utf-8")


def test_the_page_is_what_the_table_says():
    """An auditor would read a page of last year."""
    assert docs.page(TABLE) == (ROOT / docs.PAGE).read_text("utf-8"), "run `make pages`"


def test_every_test_that_is_named_is_there():
    """A line would be shown by a test that was taken out."""
    for named in docs.tests_of(TABLE):
        file, _, name = named.partition("::")
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, named


def test_a_line_without_a_test_is_open():
    """What nobody shows would stand as met."""
    text = '[[line]]\nof = "x"\nclause = "c"\nsays = "s"\ncertainty = "M"\nwhere = "here"\n'
    assert "| c | s | here | **open** | M |" in docs.page(text)
    assert "0 lines are shown by tests, 1 are open" in docs.page(text)
