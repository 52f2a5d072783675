"""Languages: word files that are complete, started and checked without code."""

import json
import shutil

import pytest

from mrv.texts import ENGLISH, faults, filled, languages, read
from services.cli import words
from tests.invoked import printed, tonne


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Return a copy of the English word files, in which a language can be started."""
    for folder in words.FOLDERS:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(words.ROOT / folder / "en.toml", tmp_path / folder)
    monkeypatch.setattr(words, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("language", languages())
def test_every_language_has_every_text_with_its_values(language):
    """A reader of one language would meet English, or a sentence without its figure."""
    assert list(words.lacking(language)) == []


def test_a_language_is_begun_without_code(folders):
    """Anyone who translates would have to copy keys by hand and miss some."""
    files = printed("words", "new", "fr").split()
    assert files == [f"{folder}/fr.toml" for folder in words.FOLDERS]
    for folder in words.FOLDERS:
        english, own = (read(folders / folder, name) for name in ("en", "fr"))
        assert list(faults(english, own))
        assert english.keys() == own.keys()
    begun = (folders / "mrv/texts/fr.toml").read_text("utf-8")
    assert 'name = "français"\ndecimal = ","' in begun
    assert 'days_of_month = "d\N{EN DASH}d MMMM y"' in begun
    assert 'plain = ""  # "{words}"' in begun
    lacks = json.loads(tonne("words", "check", "fr", "--json", code=1).output)
    assert len(lacks) > 1_500
    assert lacks[0] == {
        "language": "fr", "file": "mrv/texts/fr.toml", "key": "text.plain", "problem": "missing",
    }  # fmt: skip
    assert "exists; see `tonne words check fr`" in tonne("words", "new", "fr", code=2).output


def test_what_is_wrong_with_a_text_is_named(folders):
    """A translated finding would name no meter, or break the page."""
    file = folders / "mrv/texts/fr.toml"
    printed("words", "new", "fr")
    text = file.read_text("utf-8")
    for key, wrong in (("more", "et {nombre}"), ("plain", "{words"), ("amount", "{value} {unit}")):
        text = text.replace(f'\n{key} = ""', f'\n{key} = "{wrong}"', 1)
    file.write_text(f"{text}\n[odd]\none = 'x'\n", "utf-8")
    found = printed("words", "check", code=1)
    assert "text.more" in found
    assert "its placeholders differ from those of the English text; use {count}" in found
    assert "braces: expected '}' before end of string" in found
    assert "{value:number}, {unit}" in found
    assert "unknown to English" in found


def test_english_fills_what_a_language_lacks():
    """A language that is half done would break every page."""
    english = filled("mrv.rules", "words", ENGLISH)
    assert filled("mrv.rules", "words", "xx") == english
    assert english["MTR-01"]["title"]


@pytest.mark.parametrize("tag", ["../x", "qq", "EN", "release_0_1_0", ""])
def test_what_is_no_language_is_refused(folders, tag):
    """A file would be written outside of the folders, or never be read."""
    assert "is not a language tag of Unicode CLDR" in tonne("words", "new", tag, code=2).output
    assert sorted(one.name for one in folders.rglob("*.toml")) == ["en.toml"] * len(words.FOLDERS)
