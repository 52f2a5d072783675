"""The words of the pages."""

import re
from pathlib import Path

import jinja2
import pytest

from services.api.console import assets, page
from services.api.console.words import LANGUAGES, Words, preferred, texts

TEMPLATES = Path(page.__file__).parent / "templates"
_USED = re.compile(r"""\bt\("([a-z_. ']+?)"[),]""")


def test_every_language_says_everything():
    """A page would fail for readers of one language only."""
    said = {language: texts(language) for language in LANGUAGES}
    for language in LANGUAGES:
        assert said[language].keys() == said["en"].keys()
        assert all(text.strip() for text in said[language].values())
        places = {k: set(re.findall(r"\{(\w+)\}", v)) for k, v in said[language].items()}
        assert places == {k: set(re.findall(r"\{(\w+)\}", v)) for k, v in said["en"].items()}


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("*.html")), ids=lambda one: one.name)
def test_every_word_of_a_template_is_there(file):
    """A page would fail once somebody opens it."""
    used = set(_USED.findall(file.read_text("utf-8")))
    assert used <= texts("en").keys()
    jinja2.Environment(autoescape=True).parse(file.read_text("utf-8"))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"), ("vi-VN,vi;q=0.9,en;q=0.8", "vi"), ("ja", "ja"), ("fr,de;q=0.5", "en"),
        ("fr, ja;q=0.3, vi;q=0.7", "vi"), ("en;q=0, vi;q=0.1", "vi"), ("x;q=y,;;", "en"),
    ],
)  # fmt: skip
def test_the_browser_chooses_the_language(header, language):
    """A reader in Hai Phong would be met in English."""
    assert preferred(header) == language


def test_numbers_keep_their_digits():
    """A tonne would read as a thousand."""
    assert Words("vi")
    assert [Words(one).number("-1234567.890100") for one in LANGUAGES] == [
        "\N{MINUS SIGN}1,234,567.890100",
        "\N{MINUS SIGN}1.234.567,890100",
        "\N{MINUS SIGN}1,234,567.890100",
    ]


def test_names_are_shown_legibly():
    """A name could turn the direction of the figures beside it."""
    assert page.legible("a\u202eb\x00c\nd") == "a[U+202E]b[U+0000]c d"
    assert len(page.legible("x" * 5_000, 80)) == 80


def test_nothing_is_fetched_from_elsewhere():
    """A page would tell another server who reads it, or fail without a network."""
    for name, one in assets.load().items():
        if not name.endswith(".txt"):
            outside = re.findall(rb"https?://[\w./-]+", one.plain)
            said = {b"http://www.w3.org/2000/svg", b"https://github.com/leeoniya/uPlot"}
            assert set(outside) <= said or name.startswith("check/"), (name, outside)
    for file in TEMPLATES.glob("*.html"):
        assert "http" not in file.read_text("utf-8")
