"""Pages, PDF and workbooks of a full city contain no text in another language than the reader's."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from io import BytesIO

import pytest
import yaml
from openpyxl import load_workbook
from pypdf import PdfReader

from mrv.report.blocks import legible
from mrv.report.words import LANGUAGES
from mrv.texts import read
from services.api.console.routes.year import short_name
from services.cli.words import FOLDERS, ROOT
from services.registry.files import to_yaml
from services.registry.sewer_files import read as assets_of
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import load_registry
from tests.services.api.console.languages import SHOWN
from tests.services.api.console.test_city import CATALOG, PAGES, city  # noqa: F401 - a fixture
from tests.services.api.console.visiting import fetched, get, paths, session
from tests.services.api.test_alarms import raised  # noqa: F401 - a fixture

# words of English sentences that no other language of ours has, not within an identifier
ENGLISH = re.compile(
    r"(?<![\w.-])(the|and|of|with|from|which|are|not|for|that|this|than|by|its|each|measured"
    r"|missing|values?|energy|power|years?|emissions?|meters?|calculated|charged)(?![\w-])"
)
_SPOKEN = ("title", "aria-label", "alt", "placeholder")
_VOID = {"meta", "link", "br", "input", "img"}
# commands and their options, as they are typed
MEANINGS = "mrv/report/words/meanings"
_TYPED = re.compile(r"`[^`]*`")
_SHORT = 3


class _Said(HTMLParser):
    """Collects a page's texts in its language, without those marked as of another language."""

    def __init__(self) -> None:
        super().__init__()
        self.language, self.open, self.texts = None, [], []

    @property
    def hidden(self):
        return bool(self.open) and self.open[-1]

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "html":
            self.language = given["lang"]
        if tag not in _VOID:
            foreign = given.get("lang", self.language) != self.language
            self.open.append(foreign or tag in {"script", "style", "code"} or self.hidden)
        if not self.hidden:
            self.texts += [given[name] for name in _SPOKEN if given.get(name)]

    def handle_endtag(self, tag):
        if self.open:
            self.open.pop()

    def handle_data(self, data):
        if data.strip() and not self.hidden:
            self.texts.append(data.strip())


def of_page(page):
    """Yield the texts of a page."""
    found = _Said()
    found.feed(page)
    return found.texts


def of_pdf(data):
    """Yield the texts of the pages of a PDF, each on one line."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(data)).pages]


def of_workbook(data):
    """Yield names and texts of a workbook's sheets."""
    for sheet in load_workbook(BytesIO(data)).worksheets:
        yield sheet.title
        yield from (c.value for row in sheet.iter_rows() for c in row if c.data_type == "s")


def leaves(document):
    """Yield every text of a document."""
    if isinstance(document, Mapping):
        yield from (one for each in document.values() for one in leaves(each))
    elif isinstance(document, list):
        yield from (one for each in document for one in leaves(each))
    elif isinstance(document, str):
        yield document


def words_of(language):
    """Return every text of a language that has at least a word."""
    # a board has no page of the console
    folders = [folder for folder in FOLDERS if "grafana" not in folder]
    texts = {one for f in folders for one in leaves(dict(read(ROOT / f, language)))}
    return {one for one in texts if len(re.findall(r"[^\W\d_]", one)) > 1}


def of_methodologies():
    """Yield texts of methodologies without translation: sources of steps, and plausible ranges."""
    for path in (ROOT / "mrv/steps.py", *(ROOT / "mrv/methodologies").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from {node.value} if " " in node.value else ()


@pytest.fixture(scope="module")
def given(city):  # noqa: F811 - the fixture of that name
    """Return registered names and signed texts, in the lengths in which pages contain them."""
    with connect(city.database_url, role="tonne_api", autocommit=True) as conn:
        texts = set(leaves(yaml.safe_load(to_yaml(load_registry(conn)))))
    address = f"/v1/statements/{city.issued}"
    # whose key the pages are opened with, and what was done at a pipe
    network = assets_of(sorted((CATALOG / "sewers").iterdir()))
    texts |= {"the auditor", *(one.note for one in network.events if one.note)}
    for document in (f"{address}.json", f"{address}/verification.json"):
        texts |= set(leaves(city.ask(document, "auditor").json()))
    texts |= set(of_methodologies())
    # what has words is said in the reader's language; a single word may be an id as well
    texts -= {one for one in leaves(dict(read(ROOT / MEANINGS, "en"))) if " " in one}
    texts |= {short_name(one) for one in texts}
    texts |= {legible(one, most) for one in texts for most in (40, 60, 80)}
    plain = {" ".join(one.split()) for one in texts}
    return sorted((one for one in plain if len(one) > _SHORT), key=len, reverse=True)


@pytest.mark.parametrize("language", SHOWN)
def test_nothing_is_said_in_another_language(city, given, raised, language):  # noqa: F811
    """A reader in Hai Phong would meet an English sentence, and trust the rest less."""
    who, of = session(city, "auditor"), f"/console/{language}/statements/{city.issued}"
    files = re.compile(r"\.xlsx|\.pdf|\.zip|/evidence")
    known = [one for group in paths(city, language).values() for one in group]
    pages = [one for one in known if not files.search(one)]
    pages += [one.format(language) for one in PAGES]
    pages += [f"/console/{language}/devices/{one}" for one in ("inv-1", "ch-1", "bus-1")]
    pages += [f"/console/{language}/alarms/{number}" for number in sorted(raised.values())[:40]]
    said = {path: of_page(get(city, path, who).text) for path in pages}
    for path in (f"{of}/report.pdf", f"/console/{language}/programme/report.pdf?year=2026"):
        said[path] = of_pdf(fetched(city, path, who).content)
    for path in (f"{of}/report.xlsx", f"/console/{language}/programme/report.xlsx?year=2026"):
        said[path] = of_workbook(fetched(city, path, who).content)
    own, others = words_of(language), set(LANGUAGES) - {language}
    foreign = {text for one in others for text in words_of(one)} - own - set(given)
    found = [
        (path, text)
        for path, texts in said.items()
        for text in texts
        if text in foreign or (language != "en" and ENGLISH.search(bare(text, given)))
    ]
    assert not found, "\n".join(map(str, found))


def bare(text, given):
    """Return a text without names, signed texts and terminal commands."""
    text = " ".join(_TYPED.sub("", text).split())
    for one in given:
        text = text.replace(one, "")
    return text
