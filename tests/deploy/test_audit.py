"""The audit of dependencies finds affected versions, and no others."""

import json

import pytest

from deploy.audit import LOCKS, ROOT, affects, findings, main, pinned


@pytest.mark.parametrize(
    ("events", "version", "hit"),
    [
        ([{"introduced": "0"}], "1.0", True),
        ([{"introduced": "0"}, {"fixed": "2.0"}], "1.9", True),
        ([{"introduced": "0"}, {"fixed": "2.0"}], "2.0", False),
        ([{"fixed": "2.0"}, {"introduced": "1.5"}], "1.4", False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}], "1.5", False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}], "2.1", True),
        ([{"introduced": "1.0"}, {"last_affected": "1.5"}], "1.5", True),
        ([{"introduced": "1.0"}, {"last_affected": "1.5"}], "1.5.1", False),
        ([{"introduced": "0"}, {"fixed": "2.0"}], "2.0rc1", True),
    ],
)
def test_a_range_is_read_by_versions(events, version, hit):
    """A library with a published vulnerability would be accepted, or a sound one refused."""
    assert affects({"ranges": [{"type": "ECOSYSTEM", "events": events}]}, version) == hit


def test_what_the_locks_pin_is_held_against_advisories(tmp_path, capsys):
    """Pinned library versions are compared with published security advisories."""
    lock = ROOT / "requirements.lock"
    version = pinned(lock)["psycopg"]
    package = {"ecosystem": "PyPI", "name": "Psycopg"}
    told = {"id": "X-1", "summary": "a hole", "affected": [{"package": package}]}
    told["affected"][0]["versions"] = [version]
    assert findings(lock, [told]) == [f"requirements.lock: psycopg {version}: X-1: a hole"]
    assert findings(lock, [{**told, "withdrawn": "2026-01-01T00:00:00Z"}]) == []
    other = {**told, "affected": [{"package": {**package, "ecosystem": "npm"}}]}
    assert findings(lock, [other]) == []
    (tmp_path / "x.json").write_text(json.dumps(told))
    assert main([str(tmp_path)]) == 1
    assert "X-1" in capsys.readouterr().out


def test_no_advisories_are_no_clean_bill(tmp_path):
    """An empty folder would be taken for an audit that found nothing."""
    assert main([str(tmp_path)]) == 2


@pytest.mark.parametrize("lock", LOCKS)
def test_each_lock_is_read(lock):
    """A lock file in another format would be skipped without a message."""
    assert len(pinned(ROOT / lock)) >= 1
