"""Tables show local times of the site or project with their offset; JSON has UTC."""

import json
import re

import psycopg
import pytest

from tests.fix_timescale import _fresh
from tests.invoked import tonne
from tests.services.issuer import plant

SPAN = ("--from", "2026-03-02", "--to", "2026-03-03")
# a time of 2 March by the clock of Hai Phong, and the same in UTC
LOCAL = re.compile(r"\b2026-03-02T\d\d:\d\d:\d\d\+07:00")
UTC = re.compile(r"\b2026-03-0[12]T\d\d:\d\d:\d\d(?:Z|\+00:00)")
# a meter that counts otherwise, so that `rebuild` finds other rows, and a row for each listing
ROWS = """
UPDATE interval_quantity SET value = value * 3 WHERE device_id = 'inv-2';
INSERT INTO quality_flag SELECT device_id, time, 'active_power_w', 'spike'
    FROM reading_pv_inverter WHERE device_id = 'inv-1';
INSERT INTO indicator_value (device_id, indicator, start, value, period, covered)
    VALUES ('inv-1', 'vn-aqi-hourly', '2026-03-02T04:00Z', 50, 'hour', 1);
INSERT INTO energy_certificate (id, scheme, device_id, period, wh, issuing_body, document)
    VALUES ('C', 'I-REC', 'inv-1', '[2026-03-02T03:00Z, 2026-03-02T04:00Z)', 1, 'b', 'd');
INSERT INTO dead_letter
    (received, topic, principal, device_id, reason, detail, payload, sha256)
    VALUES ('2026-03-02T04:00Z', 't', 'inv-1', 'inv-1', 'malformed_json', 'd', 'x',
            decode(repeat('00', 32), 'hex'))
"""
LISTINGS = (
    ("intervals", "--device", "inv-1", *SPAN),
    ("intervals", "--project", "pv", *SPAN),
    ("indicators", "--device", "inv-1", *SPAN),
    ("indicators", "--site", "hp", *SPAN),
    ("quality", "--device", "inv-1", *SPAN),
    ("quality", "--device", "inv-1", "--against", "inv-2", *SPAN),
    ("rebuild", "--check", *SPAN),
    ("certificates", "list"),
    ("deadletter", "list", *SPAN),
    ("deadletter", "count", *SPAN),
)


@pytest.fixture(scope="module")
def filled(timescale, migrated_template, tmp_path_factory):
    """Return the URL of a database with a row for each listing."""
    for url in _fresh(timescale, migrated_template):
        plant.quarter_hours(url, tmp_path_factory.mktemp("registry"))
        with psycopg.connect(url) as conn:
            conn.execute(ROWS)
        yield url


@pytest.mark.parametrize("words", LISTINGS, ids=lambda words: " ".join(words[:3]))
def test_a_table_s_times_are_local_and_those_of_json_in_utc(filled, monkeypatch, words):
    """A day that was asked for by the plant's clock would be answered with the evening before."""
    monkeypatch.setenv("TONNE_DATABASE_URL", filled)
    table, document = tonne(*words), tonne(*words, "--json")
    assert {table.exit_code, document.exit_code} <= {0, 1}, table.output
    assert LOCAL.search(table.stdout), table.stdout
    assert not UTC.search(table.stdout), table.stdout
    text = json.dumps(json.loads(document.stdout))
    assert UTC.search(text), text[:500]
    assert "+07:00" not in text
