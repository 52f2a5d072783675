"""`make bench` on a machine that lacks something: the other parts are measured all the same."""

import json
import sys

import pytest

from tests.bench.parts import Part, run


@pytest.fixture
def _a_part_that_fails(tmp_path, monkeypatch):
    text = "def measure(pipeline):\n    raise AssertionError('one reading is lost')\n"
    (tmp_path / "spoilt_part.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    text = "def measure(pipeline):\n    return {'sound_us': 1.5}\n"
    (tmp_path / "sound_part.py").write_text(text, encoding="utf-8")
    yield
    for name in ("spoilt_part", "sound_part"):
        sys.modules.pop(name, None)


def test_a_package_that_is_missing_is_named(tmp_path, capsys):
    """An installation without what the tests need would end with a traceback."""
    assert run(["apart"], tmp_path, {"apart": Part("no_such_package.part")}) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"apart": None}
    assert "apart cannot run here: No module named 'no_such_package'; run `make setup`" in said.err


@pytest.mark.usefixtures("_a_part_that_fails")
def test_a_part_that_fails_is_null_and_no_success(tmp_path, capsys):
    """A figure of a part that lost readings would be believed, or the others be lost with it."""
    parts = {"spoilt": Part("spoilt_part"), "sound": Part("sound_part")}
    assert run(["spoilt", "sound"], tmp_path, parts) == 1
    said = capsys.readouterr()
    figures = json.loads(said.out.splitlines()[-1])
    assert figures["spoilt"] is None
    assert figures["sound_us"] == 1.5
    assert "one reading is lost" in said.err
    assert "spoilt failed" in said.err


def test_without_kafka_its_parts_are_null(tmp_path, monkeypatch, capsys):
    """The broker for one machine is an extra, and not for every processor."""
    monkeypatch.setattr("tests.bench.parts.kafka.binary", lambda: None)
    monkeypatch.setattr("tests.bench.parts.APACHE", None)
    assert run(["drain_kafka", "steady"], tmp_path) == 0
    assert json.loads(capsys.readouterr().out) == {"drain_kafka": None, "steady": None}
