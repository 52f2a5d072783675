"""The PDF: selectable text in every language, and the same bytes each time."""

import dataclasses
import re
import shutil
import subprocess
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from io import BytesIO
from itertools import pairwise

import pytest
from msgspec.structs import replace
from pypdf import PdfReader

from mrv.documents import write
from mrv.documents.statement import claims_of
from mrv.report.blocks import chapter, part, table
from mrv.report.page import page, typeset
from mrv.report.page.basis import by_month
from mrv.report.words import LANGUAGES, Words
from mrv.rounding import share_text
from mrv.signatures import canonical
from mrv.statement.earlier_statements import difference, figures
from tests.mrv.report import office, sample

MARGIN_PT = 18 / 25.4 * 72


@pytest.fixture(scope="module")
def pages(facts):
    """Return one statement in every language, and each other in one."""
    wanted = [*(("pv", language) for language in LANGUAGES), ("bus", "ja"), ("draft", "en")]
    return {(name, language): page(facts[name], Words(language)) for name, language in wanted}


@cache
def sheets_of(data):
    """Return the selectable text of each page, in the order in which it was written."""
    office.required("pdftotext", "poppler-utils")
    command = [shutil.which("pdftotext"), "-raw", "-enc", "UTF-8", "-", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    return done.stdout.decode().removesuffix("\f").split("\f")


def text_of(data):
    """Return the selectable text, with normalised white space."""
    return " ".join(" ".join(sheets_of(data)).split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_can_be_selected(pages, facts, language):
    """A reader could neither search nor copy, and no machine could read it aloud."""
    words = Words(language)
    said = text_of(pages["pv", language])
    subject = facts["pv"].statement["credentialSubject"]
    for wanted in (
        words["page.title"],
        words["page.account"],
        words["page.calendar"],
        facts["pv"].name,
        words.number(subject["emissions"]["reduction"]["t"]),
        subject["digests"]["readings"],
        "Điện mặt trời 屋根",
        "CAR-1",
        "C-2 (VMI)",
        words["checks"],
        "check-1",
        words["materiality.title"],
        words["sampling"],
        words["drawn.by_risk"],
        facts["pv"].sampling["credentialSubject"]["seed"],
    ):
        assert _close(wanted) in _close(said), wanted
    assert PdfReader(BytesIO(pages["pv", language])).trailer["/Root"]["/Lang"].startswith(language)


def _close(text):
    """Remove white space, since line breaks are not part of a text."""
    return re.sub(r"\s", "", text)


def test_fonts_are_within_and_know_their_letters(pages):
    """The page would look different on every machine, and copied text would be gibberish."""
    for key, data in pages.items():
        for one in PdfReader(BytesIO(data)).pages:
            for font in one["/Resources"]["/Font"].values():
                inner = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"]
                assert {"/FontFile2", "/FontFile3"} & set(inner.get_object()), key
                assert "/ToUnicode" in font.get_object(), key
                assert "Noto" in font.get_object()["/BaseFont"], key


def test_the_file_is_archival(pages):
    """An archive would refuse the report, or not be able to show it in twenty years."""
    for data in pages.values():
        reader = PdfReader(BytesIO(data))
        root = reader.trailer["/Root"]
        about = reader.metadata
        meta = root["/Metadata"].get_object().get_data().decode()
        assert "<pdfaid:part>3<" in meta
        assert "<pdfaid:conformance>A<" in meta
        assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
        assert root["/OutputIntents"][0]["/DestOutputProfile"]
        assert root["/MarkInfo"]["/Marked"]
        assert root["/StructTreeRoot"]
        assert not {"/AcroForm", "/OpenAction", "/AA"} & set(root)
        assert "/JavaScript" not in root.get("/Names", {})
        assert "/Encrypt" not in reader.trailer
        assert len(reader.trailer["/ID"]) == 2
        assert about.title in meta


def test_the_signed_documents_are_attached_as_they_were_signed(pages, facts):
    """Anyone who has only the page could not check what it says."""
    reader = PdfReader(BytesIO(pages["pv", "ja"]))
    found = {name: parts[0] for name, parts in reader.attachments.items()}
    assert found == {
        "statement.json": canonical.encode(facts["pv"].statement),
        "verification.json": canonical.encode(facts["pv"].verification),
    }
    assert list(PdfReader(BytesIO(pages["draft", "en"])).attachments) == ["statement.json"]


def test_the_same_documents_give_the_same_bytes(pages):
    """Two copies of a report could not be compared."""
    again = page(sample.issued(sample.pv_case()), Words("vi"))
    assert again == pages["pv", "vi"]


def test_a_hostile_name_is_text_and_nothing_else(pages):
    """A project's name could change figures on the page, or turn them around."""
    said = _close(text_of(pages["pv", "en"]))
    assert _close('=cmd|"/c calc"!A1 [U+202E]txet[U+202C] <b>[#eval("1")] $x_2$ @ref \\') in said


def test_letters_that_our_fonts_lack_are_written_as_numbers():
    """A name would come out as empty boxes, and two names could look the same."""
    name = "Solar \N{ARABIC LETTER SHEEN}\N{SLICE OF PIZZA}\N{ZERO WIDTH SPACE} 2"
    said = text_of(page(sample.draft(sample.pv_case(name=name)), Words("en")))
    assert "Solar [U+0634][U+1F355][U+200B] 2" in said


def test_a_draft_says_on_every_page_that_it_is_one(pages):
    """Someone would submit an unsigned document."""
    said = sheets_of(pages["draft", "en"])
    assert len(said) == len(PdfReader(BytesIO(pages["draft", "en"])).pages)
    assert all("draft" in one for one in said)
    assert "must not be used as a statement" in said[0]
    assert "none: not verified" in text_of(pages["draft", "en"])


def test_what_is_missing_is_said_to_be_missing(pages, facts):
    """A dead meter would look like a dark day."""
    said = text_of(pages["pv", "en"])
    assert "partly missing" in said
    assert "not stated" in said
    one = sample.pv_case(name="PV")
    only = [i for i, d in enumerate(one.plan.devices) if d.id == "inv-2"][0]  # noqa: RUF015
    rows = one.rows.take((one.rows.device == only).nonzero()[0])
    dark = sample.draft(type(one)(one.plan, one.frames, rows, one.from_us, one.to_us, one.factors))
    assert "2026-12-28: no data" in _alternatives(page(dark, Words("en")))


def _alternatives(data):
    """Return the alternative texts of figures for readers who cannot see them."""
    reader = PdfReader(BytesIO(data))
    numbers = {number for of in reader.xref.values() for number in of} | reader.xref_objStm.keys()
    every = [reader.get_object(number) for number in sorted(numbers) if number]
    return "\n".join(str(one["/Alt"]) for one in every if isinstance(one, dict) and "/Alt" in one)


@pytest.mark.parametrize("key", [("pv", "en"), ("pv", "vi"), ("pv", "ja"), ("bus", "ja")])
def test_no_text_leaves_the_page(pages, tmp_path, key):
    """A column of figures would be cut off at the document's edge."""
    office.required("pdftotext", "poppler-utils")
    file = tmp_path / "page.pdf"
    file.write_bytes(pages[key])
    boxes = subprocess.run(
        [shutil.which("pdftotext"), "-bbox", str(file), "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    edges = re.findall(r'<word xMin="([\d.]+)" yMin="[\d.]+" xMax="([\d.]+)"', boxes)
    assert len(edges) > 500
    assert min(float(left) for left, _ in edges) > MARGIN_PT - 1
    assert max(float(right) for _, right in edges) < 595.28 - MARGIN_PT + 1


def test_no_letter_is_smaller_than_eight_points():
    """A reader of the document would not make out what was deducted, and why."""
    text = resources.files("mrv.report.page").joinpath("page.typ").read_text("utf-8")
    sizes = [float(one) for one in re.findall(r"size: ([0-9.]+)pt", text)]
    assert len(sizes) > 20
    assert min(sizes) >= 8


def test_the_calendar_adds_up_to_the_coverage_that_is_stated(facts):
    """The PDF would print two coverages of one month, and a reader believe the higher one."""
    found = set()
    for one in facts.values():
        spans = by_month(one.days)
        service, lost = (sum(getattr(s, of) for s in spans) for of in ("service_us", "lost_us"))
        found.add(share_text(service - lost, service))
        assert one.subject.coverage in found
    assert min(found) < "0.9"


def test_a_correction_says_what_it_changes(facts):
    """A correction states the changed figures and its reason."""
    before = figures(facts["pv"].subject, by_device=True)
    other = replace(before.devices[0], metered="1")
    before = replace(before, devices=(other, *before.devices[1:]))
    one = sample.draft(sample.pv_case(name="PV"))
    document = one.statement["credentialSubject"]
    said = write(difference(before, figures(claims_of(one.statement), by_device=True)))
    document["supersedes"] = {"statement": "TN-pv-1", "reason": "late", "difference": said}
    other = {
        "statement": "TN-pv-0",
        "what": "energy [kWh]",
        "expected": "10.0",
        "actual": "12.5",
        "difference_percent": "25",
    }
    document["otherPeriods"] = [other]
    text = _close(text_of(page(one, Words("en"))))
    for wanted in ("TN-pv-1: late", "Changes made by this correction", "TN-pv-0", "25 %"):
        assert _close(wanted) in text


def test_labels_of_a_month_do_not_touch(tmp_path):
    """A reader could not tell which bar is which day."""
    office.required("pdftotext", "poppler-utils")
    file = tmp_path / "month.pdf"
    case = sample.pv_case(date(2026, 1, 1), date(2026, 2, 1), name="PV")
    file.write_bytes(page(sample.draft(case), Words("en")))
    words = subprocess.run(
        [shutil.which("pdftotext"), "-bbox", str(file), "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    labels = [" ".join(two) for two in pairwise(re.findall(r">([^<]*)</word>", words))]
    assert {"1 Jan", "5 Jan", "29 Jan"} <= set(labels)
    assert not [one for one in labels if re.search(r"Jan\d|\dJan", one)]


def test_the_figure_says_how_the_designs_year_is_shared_out():
    """A reader would divide the year by 365 and find another line than the one that is drawn."""
    case = sample.pv_case(name="PV")
    months = [5, 5, 8, 9, 11, 12, 12, 11, 9, 8, 5, 5]
    expected = {**case.plan.project.expected, "by_month": months}
    project = dataclasses.replace(case.plan.project, expected=expected)
    plan = dataclasses.replace(case.plan, project=project)
    even, monthly = (
        text_of(page(sample.draft(one), Words("en")))
        for one in (case, dataclasses.replace(case, plan=plan))
    )
    assert _close("pro rata of a year of 365 days") in _close(even)
    assert _close("by the share of each month") in _close(monthly)
    assert _close("pro rata of a year of 365 days") not in _close(monthly)


def test_a_long_period_fits_on_paper():
    """A year of many gaps would run to a thousand pages, or fail."""
    case = sample.pv_case(date(2026, 1, 1), date(2027, 1, 1), name="PV")
    facts = sample.draft(case)
    document = facts.statement["credentialSubject"]
    gap = document["gaps"][0]
    document["gaps"] = [{**gap, "time_s": str(900 * i)} for i in range(1, 1001)]
    data = page(facts, Words("en"))
    said = text_of(data)
    assert "The workbook lists 800 more; these are the longest." in said
    assert "one bar per month" in said
    assert len(PdfReader(BytesIO(data)).pages) < 16


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_page_is_a_certificate(pages, facts, language):
    """A citizen who is handed the file would look for the tonnes in a table of figures."""
    words = Words(language)
    first, second = list(sheets_of(pages["pv", language]))[:2]
    first, second = (" ".join(one.split()) for one in (first, second))
    subject = facts["pv"].statement["credentialSubject"]
    for wanted in (subject["credited"]["t"], words["cert.steps"], words["cert.findings"]):
        assert wanted in first
    assert words["page.summary"] in second
    # the log's time, on the site's day
    assert first.replace(" ", "").count(words.day("2027-02-10").replace(" ", "")) == 2


@pytest.mark.parametrize("language", ["en", "ja"])
def test_figures_are_numbered_from_one_with_the_signs_of_the_language(facts, language):
    """A reader of figure 2 would look for figure 1, which was the code of the first page."""
    words, plan = Words(language), facts["pv"].plan
    public = dataclasses.replace(plan, public_url="https://tonne.example")
    said = text_of(page(dataclasses.replace(facts["pv"], plan=public), words))
    colon = "\N{FULLWIDTH COLON}" if language == "ja" else ":"
    numbers = re.findall(rf"{words['page.figure']}\s*(\d+)\s*{colon}", said)
    assert numbers[:2] == ["1", "2"]


def test_no_heading_stands_alone_and_no_row_is_cut():
    """Headings stay with their content, no page of the report is blank, and no row is cut."""
    words, said = Words("en"), " ".join(["certificate and serial of the meter"] * 8)
    tall = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 400"/>'
    heads = [("Meter", "l", 1.0), ("Source", "l", 1.0), ("Opinion", "l", 1.0)]
    blocks = [
        part("Audit file"), chapter("Diagram"), {"kind": "drawing", "svg": tall, "alt": "meters"},
        chapter("Parameters"), table(words, heads, [[f"m-{i}", said, said] for i in range(12)]),
    ]  # fmt: skip
    head = dict.fromkeys(("title", "description", "id", "project", "state", "made"), "x")
    sheets = sheets_of(typeset(head, blocks, [], datetime(2026, 1, 1, tzinfo=UTC), words))
    # the diagram with both of its headings, then the table with its own
    assert [("Diagram" in one, "Parameters" in one) for one in sheets[:2]] == [
        (True, False), (False, True),
    ]  # fmt: skip
    assert "m-0" in sheets[1]
    assert all(len(one.split()) > 9 for one in sheets[1:])  # none is blank
    rows = [len(re.findall(r"\bm-\d+\b", one)) for one in sheets]
    assert sum(rows) == 12
    assert max(rows) < 10
