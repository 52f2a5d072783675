"""Visits to the console, by requests and in a browser: sign-in, and what pages must not have."""

from html.parser import HTMLParser

from tests.fix_node import FOLDER
from tests.services.api import plain
from tests.waiting import until

DAY = "2026-03-02"


class _Parts(HTMLParser):
    """Collects what the page's policy would not let in."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.found += [name for name in named if name.startswith("on") or name == "style"]
        addresses = [named.get("src"), named.get("href") if tag == "link" else None]
        self.found += [one for one in addresses if one and not one.startswith("/console/assets/")]
        if tag == "img" or (tag == "script" and "src" not in named):
            self.found.append(tag)


def foreign_parts(text):
    """Return scripts, styles and pictures of a page that are not of this server's own files."""
    parser = _Parts()
    parser.feed(text)
    return parser.found


def get(served, path, cookies=None):
    """Open a page."""
    return plain.get(served.url + path, cookies=cookies)


def fetched(served, path, cookies):
    """Open a page, or wait for the file that it leads to."""
    answer = get(served, path, cookies)
    if answer.status_code != 303:
        return answer
    job = answer.headers["location"]
    until(lambda: f'href="{job}/file"' in get(served, job, cookies).text, 2 * plain.PATIENCE_S)
    return get(served, f"{job}/file", cookies)


def session(served, who):
    """Sign in; return the cookies."""
    answer = plain.post(f"{served.url}/console/en/sign-in", data={"key": served.tokens[who]})
    assert answer.status_code == 303, answer.text
    return dict(answer.cookies)


def sign_in(tab, served, who="auditor"):
    """Sign in as a person does."""
    tab.goto(f"{served.url}/console/en/sign-in")
    tab.get_by_label("API key").fill(served.tokens[who])
    tab.locator("main button").click()
    tab.get_by_role("button", name="Sign out").wait_for()


def let_in(tab, served, who="auditor"):
    """Give a page the cookie of a signed-in user: signing in has separate tests."""
    cookies = [
        {"name": name, "value": value, "url": served.url}
        for name, value in session(served, who).items()
    ]
    tab.context.add_cookies(cookies)


def serious(tab, *rules):
    """Return the accessibility errors that axe finds in a page, by all rules or by some."""
    if tab.evaluate("typeof axe") == "undefined":
        tab.evaluate((FOLDER / "node_modules/axe-core/axe.min.js").read_text("utf-8"))
    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    found = tab.evaluate("(how) => axe.run(how)", {"resultTypes": ["violations"], **only})
    return [
        (one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"])
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


def shut_out(tab):
    """Return the accessibility errors of a page, in light colours and in dark ones."""
    found = serious(tab)
    tab.emulate_media(color_scheme="dark")  # other colours are all that is other
    assert tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    found += serious(tab, "color-contrast")
    tab.emulate_media(color_scheme="light")
    return found


def paths(served, language="en"):
    """Return the address of every page by what it needs."""
    of = f"/console/{language}/statements/{served.issued}"
    return {
        "everybody": [
            f"/console/{language}/", f"/console/{language}/statements",
            f"/console/{language}/check", f"/console/{language}/tonne",
            f"/console/{language}/projects/pv",
            f"/console/{language}/projects/pv?month=2026-03",
            f"/console/{language}/projects/pv?year=2026",
            f"/console/{language}/projects/pv?day=2026-03-02",
            f"/console/{language}/projects/bus", of, f"{of}/check", f"/console/{language}/sign-in",
        ],
        "somebody": [
            f"/console/{language}/live", f"/console/{language}/programme?year=2026",
            f"/console/{language}/alarms", f"/console/{language}/alarms?state=all",
            f"/console/{language}/programme/report.xlsx",
            f"/console/{language}/programme/report.pdf", f"/console/{language}/sewers",
            f"/console/{language}/parks/estate?year=2026",
        ],
        "scope": [f"/console/{language}/projects/pv/due", f"{of}/days/{DAY}",
                  f"{of}/days/{DAY}/inv-1", f"{of}/evidence",
                  f"{of}/report.xlsx", f"{of}/exports/cdop.zip"],
    }  # fmt: skip
