"""Pages of the methodology library equal those generated from the files."""

from pathlib import Path

from deploy import catalog_docs, reference_docs
from deploy import methodology_docs as pages

ROOT = Path(__file__).parents[2]


def test_pages_have_not_drifted():
    """A person would check a page against the text, and the code would hold another number."""
    written = {p.name: p.read_text("utf-8") for p in (ROOT / "docs/methodologies").glob("*.md")}
    assert written == pages.pages(), "run `make pages`"


def test_symbols_have_not_drifted():
    """An auditor would look a symbol up and not find it."""
    text = (ROOT / "mrv/NOMENCLATURE.md").read_text("utf-8")
    assert pages.symbols(text) == text, "run `make pages`"


def test_the_page_of_the_catalog_has_not_drifted():
    """A reader of the programme would read another methodology or meter than the account has."""
    text = (ROOT / "docs/haiphong.md").read_text("utf-8")
    assert catalog_docs.section(text) == text, "run `make pages`"


def test_reference_pages_have_not_drifted():
    """A reader would set what is not read, or type a key that is refused."""
    for name, text in reference_docs.pages().items():
        assert (ROOT / "docs" / name).read_text("utf-8") == text, "run `make pages`"
