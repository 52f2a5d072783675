"""Boards and alert rules in every language, and their colours."""

import json
import re

import pytest
import yaml

from deploy.grafana.source import (
    ACTIONS,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    english,
    languages,
    marked,
    translated,
    word,
)
from deploy.grafana.source.__main__ import FOLDER, declared
from mrv.texts import read, tags
from services.cli.words import FOLDERS, ROOT, lacking
from tests.grafana.macros import boards, panels
from tests.services.api.console.test_one_language import ENGLISH, leaves, words_of

LANGUAGES = languages()
# what a reader of a board reads; queries, units, ids and links are for machines
_READ = {"title", "description", "label", "displayName", "noValue", "text", "legendFormat", "name"}
_TYPED = re.compile(r"`[^`]*`|\{\{.*?\}\}")
# names of the source: no text, and the same everywhere
_MACHINE = re.compile(r"tonne-.*|[a-z_]+")


def texts_of(node, key=""):
    """Yield the displayed texts of a board, with the literals and columns in queries."""
    if isinstance(node, dict):
        if node.get("id") == "displayName":
            yield node["value"]
        for name, value in node.items():
            yield from texts_of(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from texts_of(value, key)
    elif isinstance(node, str) and key in _READ:
        yield node
    elif isinstance(node, str) and key == "rawSql":
        yield from (a or b for a, b in re.findall(r"'([^']*)'|AS \"([^\"]*)\"", node))


def alert_texts(language):
    """Yield subjects and texts of alert rules."""
    rules = yaml.safe_load((FOLDER / "alerting" / language / "tonne.yaml").read_text("utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield from (rule["annotations"][name] for name in ("summary", "description"))


def test_boards_are_there_in_every_language_of_the_pages():
    """A city would have pages in its language, and boards in another."""
    assert tags(ROOT / FOLDERS[0]) == LANGUAGES
    names = {path.name for path in (FOLDER / "dashboards/en").iterdir()}
    for language in LANGUAGES:
        assert {path.name for path in (FOLDER / "dashboards" / language).iterdir()} == names
        assert [one for one in lacking(language) if "grafana" in one.file] == []


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_boards_and_alerts_say_nothing_in_another_language(language):
    """An operator in Hai Phong would meet an English title at night, and guess."""
    own = words_of(language) | set(leaves(dict(read(FOLDER / "words", language))))
    foreign = set(read(FOLDER / "words", "en")) - own
    read_texts = [
        (board["uid"], text) for board in boards(language) for text in texts_of(board)
    ] + [("alert", text) for text in alert_texts(language)]
    found = [
        (where, text)
        for where, text in read_texts
        if not _MACHINE.fullmatch(text)
        and not _of_database(text)
        and (text in foreign or ENGLISH.search(_TYPED.sub("", text)))
    ]
    assert found == []
    titles = {p["title"] for b in boards(language) for p in panels(b)}
    assert not titles & foreign


def test_every_text_of_a_declaration_is_marked():
    """A text not marked for translation would stay English, and no test would report it."""
    left = []
    for name, text in declared().items():
        if name.startswith("alerting"):
            continue
        board = json.loads(text)
        # ids and names of variables, layers of maps and columns are the declaration's own
        left += [
            (name, one)
            for one in texts_of(board)
            if "«" not in one
            and " " in one.strip()
            and not re.search(r"[$%]|\d|\{\{", one)
            and not _of_database(one)
        ]
    assert left == []


def _of_database(text):
    """Return whether a literal is a code of the database, which is never displayed."""
    return text in {"not commissioned", "never heard"} or re.fullmatch(r"\W*", text) is not None


def test_words_stand_in_queries_and_json_as_they_are():
    """A quote in a translated word would break a query, or the file of the board."""
    for language in LANGUAGES:
        for text in read(FOLDER / "words", language).values():
            assert not re.search(r"[\"'\\]", text) or language == "en", (language, text)
    assert translated(f"x {word('yes')}", "de") == "x ja"
    assert marked("«a» «@class.pump»") == {"a"}
    assert english({"b", "a"}).endswith('"a" = "a"\n"b" = "b"\n')


def test_colours_are_readable_on_both_grounds():
    """Marks of a board would be invisible in the other colour scheme."""
    for color in (GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, *ACTIONS):
        for ground in ("#ffffff", "#181b1f"):
            assert _contrast(color, ground) >= 3.5, (color, ground)


def _contrast(one, other):
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color):
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_tables_over_the_whole_width_fit_1300_pixels():
    """The state of a table's row would be outside the screen of a laptop."""
    usual, page = 150, 1300 - 40
    for board in boards():
        for panel in (p for p in panels(board) if p["type"] == "table" and p["gridPos"]["w"] == 24):
            widths = {
                o["matcher"]["options"]: one["value"]
                for o in panel["fieldConfig"]["overrides"]
                for one in o["properties"]
                if one["id"] == "custom.minWidth"
            }
            columns = _columns(panel["targets"][0]["rawSql"])
            needed = sum(widths.get(name, usual) for name in columns)
            assert needed <= page, (board["uid"], panel["title"], needed, columns)


def _columns(sql):
    """Return the column names of a query: of the last list outside of brackets."""
    depth, level = 0, []
    for part in re.split(r"([()])", sql):
        depth += (part == "(") - (part == ")")
        level.append(part if depth == 0 and part not in "()" else "_" if part in "()" else "")
    listed = "".join(level).rpartition("SELECT")[2].partition("FROM")[0]
    return [re.findall(r"\w+", one)[-1] for one in listed.split(",") if re.search(r"\w", one)]
