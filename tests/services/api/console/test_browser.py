"""The console in a real browser: the actions of a citizen, an auditor and an operator."""

import json
import re
import shutil
import zipfile
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from mrv import factors
from mrv.methodologies import diesel_litres
from mrv.signatures import canonical
from services.api.console.translations import texts
from services.issuer.pack import export
from services.store.postgres.pool import connect
from tests.fix_node import installed
from tests.services.api.console.visiting import let_in, shut_out, sign_in
from tests.services.issuer import plant
from tests.soak import SOAK

pytestmark = pytest.mark.usefixtures("served")
PAGES = (
    "/console/{}/",
    "/console/{}/projects/pv?month=2026-03",
    "/console/{}/statements",
    "/console/{}/statements/{issued}",
    "/console/{}/statements/{issued}/check",
    "/console/{}/check",
    "/console/{}/sign-in",
)
# what each step of the check says of a whole pack, without a status list
WHOLE = ["ok"] * 5 + ["not-applicable"] + ["ok"] * 5
OWN = (
    "/console/{}/live",
    "/console/{}/statements/{issued}/days/2026-03-02",
    "/console/{}/statements/{issued}/days/2026-03-02/inv-1?at=2026-03-02T05:00Z",
)


def fetch_pack(tab):
    """Download the evidence: immediately if it exists already, otherwise from its own page."""
    begun = []
    tab.once("download", lambda one: begun.append(one))  # noqa: PLW0108 - no built-in is taken
    with tab.expect_download(timeout=240_000) as download:
        tab.get_by_role("link", name="Evidence pack").click()
        while not begun and "/jobs/" not in tab.url:
            tab.wait_for_timeout(50)
        if not begun:
            tab.get_by_role("link", name="Download (ZIP").click(timeout=240_000)
    return download.value


def verdict(tab):
    """Wait for the end of the verification; return its result, and the class of each step."""
    found = tab.locator("#verdict.partial, #verdict.failed")
    found.wait_for()
    steps = tab.locator("#results li")
    return found.get_attribute("class"), [one.get_attribute("class") for one in steps.all()]


def test_a_citizen_follows_a_tonne_to_its_proof(tab, served):
    """The public would have to believe the figures."""
    tab.goto(f"{served.url}/")
    tab.get_by_role("table").get_by_role("link", name="Rooftop PV").click()
    tab.goto(f"{tab.url.split('?')[0]}?month=2026-03")
    assert tab.locator("[data-chart=bars] svg").bounding_box()["width"] > 600
    tab.get_by_role("link", name=served.issued).click()
    tab.get_by_role("link", name="Check this statement").click()
    said, steps = verdict(tab)
    assert said == "partial"  # the figures are not computed in a browser
    assert steps == [
        *["ok"] * 5, "not-applicable", "not-applicable", "ok", "not-applicable", "ok", "ok"
    ]  # fmt: skip
    told = tab.locator("#verdict").inner_text()
    assert "verified here, all valid" in told
    assert "the evidence pack" in told
    assert "are not recalculated here; use tonne verify" in told


def in_sight(tab, found):
    """Return whether all of an element is on the first screen."""
    box = found.bounding_box()
    high = tab.viewport_size["height"]
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= high


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_the_first_screen_says_what_was_saved_and_whether_it_is_enough(opened, served, size):
    """
    A citizen or an officer would have to scroll through tables for
    the figures of the first screen.
    """
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        conn.execute("SELECT tonne_refresh_days()")  # as the watcher does, which does not run here
    tab = opened(viewport=dict(zip(("width", "height"), size, strict=True)))
    tab.goto(f"{served.url}/console/en/?year=2026")
    finding = tab.locator("h1.finding")
    assert in_sight(tab, finding)
    shown = tab.locator(".progress .avoided b").inner_text()
    assert finding.inner_text().startswith(f"{shown} of CO2e avoided in 2026, ")
    assert "% of the expected amount" in finding.inner_text()
    tonnes = Fraction(shown.removesuffix("\N{NO-BREAK SPACE}t"))
    litres = re.search("([0-9,]+) litres of diesel", tab.locator("main").inner_text())
    least, most = (diesel_litres(t, factors.load()) for t in (tonnes, tonnes + 1))
    assert least <= int(litres[1].replace(",", "")) <= most
    for seen in (
        ".progress svg",
        ".progress .key",
        "#broken",
        ".faults",
        ".h-months svg",
        ".h-map svg",
    ):
        assert in_sight(tab, tab.locator(seen)), seen


def test_a_chart_is_read_by_keyboard_and_taken_as_a_file(tab, served):
    """Anyone who uses no pointer would see bars without figures, and copy them from the screen."""
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        conn.execute("SELECT tonne_refresh_days()")
    tab.goto(f"{served.url}/console/en/?year=2026")
    chart = tab.locator("[data-chart=months]")
    chart.focus()
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    tip = tab.locator("[data-chart=months] .tip")
    assert tip.inner_text().startswith("March 2026")
    assert chart.locator("output").inner_text().startswith("March 2026")
    with tab.expect_download() as taken:
        tab.locator("figure.g-months [data-tool=csv]").click()
    lines = taken.value.path().read_text("utf-8-sig").splitlines()
    assert len(lines) == 13
    assert lines[3].startswith("March 2026,")
    with tab.expect_download() as taken:
        tab.locator("figure.g-months [data-tool=png]").click()
    assert taken.value.path().read_bytes().startswith(b"\x89PNG")


def test_a_period_drawn_over_is_shown_alone_and_taken_as_a_file(tab, served):
    """An operator could not look closer at the days in which something happened."""
    tab.goto(f"{served.url}/console/en/projects/pv?month=2026-03")
    figure = tab.locator("figure:has([data-chart=bars])").first
    area, whole = figure.locator(".canvas").bounding_box(), figure.locator("[data-tool=whole]")
    assert whole.is_hidden()
    assert area["x"] >= 0  # nothing of it is cut off

    def rows():
        with tab.expect_download() as taken:
            figure.locator("[data-tool=csv]").click()
        return len(taken.value.path().read_text("utf-8-sig").splitlines()) - 1

    assert rows() == 31
    y = area["y"] + area["height"] / 2
    tab.mouse.move(area["x"] + area["width"] * 0.4, y)
    tab.mouse.down()
    tab.mouse.move(area["x"] + area["width"] * 0.6, y, steps=4)
    tab.mouse.up()
    assert whole.is_visible()
    assert 4 <= rows() <= 10
    whole.click()
    assert rows() == 31
    assert whole.is_hidden()
    chart = figure.locator("[data-chart]")
    chart.focus()
    for key in (*["ArrowRight"] * 10, "+"):
        tab.keyboard.press(key)
    assert 10 <= rows() <= 16
    chart.focus()
    tab.keyboard.press("Escape")
    assert rows() == 31
    heat = tab.locator("[data-chart=hours]")
    heat.focus()
    said = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        tab.keyboard.press(key)
        said.append(heat.locator("output").inner_text())
    assert len(set(said)) == 3, said
    assert said[0].startswith("1 March 2026, 00:00, Avoided, ")


def test_a_place_on_the_map_opens_its_card(tab, served):
    """A reader on a phone, where nothing hovers, could not see what stands at a place."""
    tab.goto(f"{served.url}/console/en/?year=2026")
    chart = tab.locator("[data-chart=map]")
    chart.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    card = chart.locator(".place")
    assert "Devices reporting: " in card.inner_text()
    links = card.locator("a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert links
    assert all(one.startswith("/console/en/projects/") for one in links)
    tab.keyboard.press("Escape")
    assert card.count() == 0
    area = chart.locator(".canvas path, .canvas circle").last.bounding_box()
    tab.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    assert card.is_visible()
    card.get_by_role("button", name="Close").click()
    assert card.count() == 0


def test_without_script_a_chart_is_drawn(opened, served):
    """A reader whose browser runs no script would see an empty chart."""
    tab = opened(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    tab.goto(f"{served.url}/console/en/?year=2026")
    chart = tab.locator("[data-chart=months]")
    assert chart.locator("path[stroke='var(--ink)']").bounding_box()["width"] > 100
    assert chart.get_by_text("Expected").is_visible()
    assert tab.locator("[data-chart=map]").is_hidden()
    table = tab.locator("figure.g-map .sites")
    if not table.is_visible():  # a browser that knows no `::details-content`
        tab.locator("figure.g-map summary").click()
    assert table.is_visible()


def test_an_operator_finds_what_fails_in_two_clicks(tab, served):
    """At night someone would read tables, and not know since when or what to do."""
    sign_in(tab, served, "operator")
    tab.locator("header .pages").get_by_role("link", name="Live").click()
    tab.locator("#live tbody th a").first.click()
    tab.wait_for_url("**/devices/*")
    said = tab.locator("main .alarm").inner_text()
    assert "since" in said
    assert "Check its power supply and its network." in said or "Compare its id" in said


def test_an_auditor_reads_on_to_the_meter(tab, served):
    """An auditor could not see what a day's tonnes were metered from, nor take the evidence."""
    let_in(tab, served)
    tab.goto(f"{served.url}/console/en/statements/{served.issued}")
    tab.get_by_role("link", name="2 March 2026").click()
    tab.get_by_role("link", name="inv-1").click()
    shown = "#main .behind"
    tab.locator(".hours").get_by_role("link", name="12:00").click()
    tab.locator(f"{shown} h2").wait_for()
    tab.wait_for_load_state()
    assert tab.locator(f"{shown} h2").inner_text() == "Source readings 12:00 \N{EN DASH} 12:15"
    rows = tab.locator(f"{shown} tbody tr")
    register = [int(one.locator("td").first.inner_text().replace(",", "")) for one in rows.all()]
    said = re.fullmatch(r"energy exported: ([\d,]+) Wh", tab.locator(f"{shown} p b").inner_text())
    counted = int(said[1].replace(",", ""))
    assert register[-2] - register[1] <= counted <= register[-1] - register[0]
    assert tab.get_by_role("columnheader", name="Register: energy exported").first.is_visible()
    tab.goto(f"{served.url}/console/en/statements/{served.issued}")
    with zipfile.ZipFile(fetch_pack(tab).path()) as pack:
        assert f"{served.issued}/statement.json" in pack.namelist()


@pytest.mark.parametrize(
    ("language", "power_w", "shown"),
    [("en", 12_340.0, "12.34"), ("vi", 12_340.0, "12,34"), ("vi", 1_234_400.0, "1.234")],
)
def test_an_operator_sees_a_reading_come(tab, served, language, power_w, shown):
    """An operator would watch a table that is not updated, or take a thousand for one."""
    let_in(tab, served, "operator")
    tab.goto(f"{served.url}/console/{language}/live")
    tab.get_by_text(texts(language)["live.on"]).wait_for()
    # of this very moment: in the same second another example sent another power
    now_us = int(datetime.now(UTC).timestamp() * 1_000) * 1_000
    plant.send(served.database_url, "ch-1", [now_us], active_power_w=[power_w])
    row = tab.locator("tr[data-device=ch-1]")
    row.get_by_text(shown, exact=True).wait_for()
    row.get_by_text(texts(language)["online"]).wait_for()


@pytest.fixture(scope="module")
def pack(served, tmp_path_factory):
    """Export the issued statement's pack."""
    folder = tmp_path_factory.mktemp("packs") / served.issued
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        export(conn, served.issued, folder)
    return folder


def check_files(tab, served, *, folder=None, archive=None, files=()):
    """Verify a pack, as a folder or as its zip file, or documents from the reader's disk."""
    tab.goto(f"{served.url}/console/en/check")
    if folder is not None:
        tab.get_by_label("Evidence pack (its unpacked folder)").set_input_files(folder)
    if archive is not None:
        tab.get_by_label("Evidence pack (the zip file as downloaded)").set_input_files(archive)
    for one in files:
        assert one.exists()
    if files:
        tab.get_by_label("or single documents").set_input_files(list(files))
    tab.get_by_role("button", name="Check", exact=True).click()
    return verdict(tab)


def test_the_zip_is_checked_as_it_was_downloaded(tab, served, tmp_path):
    """An auditor would have to unpack it first, and could check something else than they got."""
    let_in(tab, served)
    tab.goto(f"{served.url}/console/en/statements/{served.issued}")
    fetch_pack(tab).save_as(tmp_path / "pack.zip")
    said, steps = check_files(tab, served, archive=tmp_path / "pack.zip")
    assert said == "partial"
    assert steps == WHOLE


def test_a_log_that_nobody_knows_is_not_said_to_hold(tab, served, pack, tmp_path):
    """A reader would be informed that a log holds the statement, and no one had its key."""
    shutil.copytree(pack, tmp_path / "pack")
    receipt = tmp_path / "pack/receipt.txt"
    head, _, note = receipt.read_text("utf-8").partition("\n\n")
    _, _, rest = note.partition("\n")
    receipt.write_text(f"{head}\n\nlog.example/unknown\n{rest}", "utf-8")
    said, steps = check_files(tab, served, folder=tmp_path / "pack")
    assert said == "partial"
    assert [steps[1], steps[4], steps[8]] == ["not-checked"] * 3
    told = tab.locator("#verdict").inner_text()
    assert "they hold" not in told
    assert "could not be verified because a key is missing" in told
    assert "the key of the log in your file of trusted keys" in told


def test_a_spoiled_document_is_named_in_the_browser(tab, served, pack, tmp_path):
    """A forged statement would look like an honest one."""
    names = ("statement.json", "verification.json", "receipt.txt", "keys.json")
    for name in names:
        (tmp_path / name).write_bytes((pack / name).read_bytes())
    said = canonical.parse_object((tmp_path / "statement.json").read_bytes())
    said["credentialSubject"]["credited"]["t"] = "999"
    (tmp_path / "statement.json").write_text(json.dumps(said))
    outcome, steps = check_files(tab, served, files=[tmp_path / name for name in names])
    assert outcome == "failed"
    assert steps[2] == "failed"
    assert steps[3:] == ["not-reached"] * 8


BEYOND = """() => [
  ...document.querySelectorAll(".cards td, .tiles dd, .key li, .amt")
].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 1 || one.scrollWidth > box.width + 1);
}).map((one) => one.textContent)"""


def beyond(tab, path):
    """Show a page as on a phone: nothing may extend beyond its edge."""
    tab.set_viewport_size({"width": 320, "height": 700})
    wide = tab.evaluate("document.documentElement.scrollWidth")
    assert wide <= 320, (path, wide)
    assert tab.evaluate(BEYOND) == [], path


def printed(tab, path):
    """Print a page of a user who works in dark colours: dark on white."""
    tab.emulate_media(media="print", color_scheme="dark")
    back, ink = tab.evaluate(
        "['backgroundColor', 'color'].map((of) => getComputedStyle(document.body)[of])"
    )
    assert (back, ink) == ("rgb(255, 255, 255)", "rgb(20, 32, 31)"), path
    assert not tab.locator("header nav").first.is_visible(), path
    tab.emulate_media(media="screen", color_scheme="light")


def test_pages_can_be_used_by_everybody(opened, served):
    """Someone who sees little, or uses the keyboard or a phone or paper, would be shut out."""
    installed()
    # the page's policy lets no other script in: the tool comes in beside it
    tab = opened(bypass_csp=True)
    let_in(tab, served)
    for path in (*PAGES, *OWN):
        tab.set_viewport_size({"width": 1280, "height": 720})
        tab.goto(served.url + path.format("vi", issued=served.issued))
        assert not shut_out(tab), path
        printed(tab, path)
        beyond(tab, path)


@pytest.mark.skipif(not SOAK, reason="long: `make soak` runs it")
@pytest.mark.parametrize("language", ["en", "ja"])
def test_pages_fit_a_phone(tab, served, language):
    """On a phone, figures would lie beyond the edge; Vietnamese is looked at above."""
    tab.set_viewport_size({"width": 320, "height": 700})
    let_in(tab, served)
    for path in (*PAGES, *OWN):
        tab.goto(served.url + path.format(language, issued=served.issued))
        beyond(tab, path)


def test_an_officer_uploads_a_registry_file_a_document_and_an_invoice(tab, served):
    """An officer would find that what the server takes cannot be sent from a page."""

    def send(form, name, data, **said):
        form.locator("input[type=file]").set_input_files(
            {"name": name, "mimeType": "application/octet-stream", "buffer": data.encode()}
        )
        for field, value in said.items():
            form.locator(f"[name={field}]").fill(value)
        form.locator("button").click()

    sign_in(tab, served, "operator")
    tab.goto(f"{served.url}/console/en/registry")
    tab.locator("form[action$='/registry'] button").click()
    assert "No file was chosen" in tab.get_by_role("alert").inner_text()
    device = "id,site,class,profile,rated_power_w,installed\nup-1,{},pv_inverter,generic,9,{}\n"
    for site, said in (("no-roof", "would be rejected"), ("hp", "would be imported")):
        file = device.format(site, "2026-01-01T00:00:00Z")
        send(tab.locator("form[action$='/registry']"), "devices.csv", file)
        assert said in tab.locator("#tried").inner_text()
    tab.locator("form[action$='/take'] button").click()
    assert "was imported" in tab.locator(".done").inner_text()
    tab.goto(f"{served.url}/console/en/documents")
    send(tab.locator("form[action$='/documents']"), "plan.pdf", "%PDF a plan", title="Plan 7")
    assert "sha256: " in tab.locator("main").inner_text()
    fields = {"id": "up-1", "issuer": "Utility", "number": "1", "issued": "2026-04-02",
              "from": "2026-03-01", "to": "2026-04-01", "amount": "100", "unit": "kWh"}  # fmt: skip
    form = tab.locator("form[action$='/invoice']")
    form.locator("[name=project]").select_option("pv")
    send(form, "invoice.pdf", "%PDF an invoice", devices="inv-1", **fields)
    assert "Invoice up-1 and its file are stored" in tab.locator(".done").inner_text()
    with tab.expect_download() as given:
        tab.get_by_role("link", name="invoice.pdf").click()
    assert given.value.path().read_text() == "%PDF an invoice"
