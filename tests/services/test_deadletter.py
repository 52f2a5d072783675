"""Refused messages: listed, shown, and sent again unchanged."""

import json
import threading

import cbor2
import psycopg
import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.subscribeoptions import SubscribeOptions
from prometheus_client import CollectorRegistry

from ingest.addresses import close_sockets
from ingest.decode import Rejected
from ingest.model import Fleet
from services.cli.local.doctor_checks import quota
from services.cli.payload_text import dump, legible, partial
from services.issuer.watcher import Keep, Watcher
from services.logs import get_logger
from services.metrics import Metrics
from services.store import dead_letter_write
from services.store.dead_letter_write import Letters, record
from tests.invoked import tonne as invoke

PAYLOAD = b'{"ts": \xff\x00 broken'


@pytest.fixture
def tonne(database_url, mqtt_url, monkeypatch):
    """Run a command on a fresh database with two dead letters, and a broker."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_MQTT_URL", mqtt_url)
    with psycopg.connect(database_url) as conn:
        conn.cursor().executemany(
            "INSERT INTO dead_letter (received, topic, principal, device_id, reason, detail, "
            "payload, content_type, sha256) VALUES (now(), 'tonne/v1/a/telemetry', 'a', %s, %s, "
            "'why', %s, %s, sha256(%s))",
            [
                ("a", "bad_json", PAYLOAD, "application/json", PAYLOAD),
                (None, "unknown_device", b"{}", None, b"{}"),
            ],
        )
    return lambda *words: invoke("deadletter", *words)


@pytest.fixture
def heard(mqtt_broker):
    """Return the messages that a listener at the broker receives, and an event for each."""
    messages, arrived, ready = [], threading.Semaphore(0), threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.on_message = lambda _c, _u, m: (messages.append(m), arrived.release())
    client.on_subscribe = lambda *_: ready.set()
    client.on_connect = lambda c, *_: c.subscribe("tonne/#", options=SubscribeOptions(qos=1))
    client.connect("127.0.0.1", mqtt_broker.port)
    client.loop_start()
    assert ready.wait(60)
    yield messages, arrived
    client.disconnect()
    client.loop_stop()
    close_sockets(client)


def test_a_letter_is_found_by_its_reason(tonne):
    """An operator would look through a million rows for the one kind that matters."""
    rows = json.loads(tonne("list", "--reason", "bad_json", "--json").stdout)
    assert [(r["id"], r["device"], r["size"]) for r in rows] == [(1, "a", len(PAYLOAD))]
    assert json.loads(tonne("list", "--from", "2100-01-01T00:00:00Z", "--json").stdout) == []
    assert tonne("list", "--from", "2100-01-01").exit_code == 2
    assert "why" in tonne("list").stdout


def test_its_bytes_come_out_as_they_came_in(tonne, tmp_path):
    """The evidence of what a device really sent would be altered."""
    out = tmp_path / "refused.bin"
    shown = tonne("show", 1, "--out", out, "--json")
    assert out.read_bytes() == PAYLOAD
    assert bytes.fromhex(json.loads(shown.stdout)["payload_hex"]) == PAYLOAD
    assert "broken" in tonne("show", 1).stdout
    assert tonne("show", 99).exit_code == 2


def test_a_replay_sends_the_same_bytes_once(tonne, heard):
    """Messages refused for a missing registry row would be lost for good, or sent twice."""
    messages, arrived = heard
    assert json.loads(tonne("replay", 1, "--json").stdout) == [1]
    assert arrived.acquire(timeout=60)
    (message,) = messages
    assert (message.topic, message.payload) == ("tonne/v1/a/telemetry", PAYLOAD)
    assert message.properties.UserProperty == [("replay", "1")]
    assert message.properties.ContentType == "application/json"
    assert json.loads(tonne("replay", "--reason", "bad_json", "--json").stdout) == []
    assert tonne("replay", 1).exit_code == 2
    assert tonne("replay", 1, "--again").exit_code == 0
    assert json.loads(tonne("show", 1, "--json").stdout)["replayed"]


def test_a_replay_wants_to_know_which(tonne):
    """A slip of the return key would send everything again."""
    assert tonne("replay").exit_code == 2


def test_a_broker_that_is_down_is_not_a_replay(tonne, mqtt_broker):
    """Letters would count as sent again although no one got them."""
    mqtt_broker.stop()
    assert tonne("replay", 1).exit_code == 3
    assert json.loads(tonne("show", 1, "--json").stdout)["replayed"] is None


def test_letters_are_counted_by_reason_and_device(tonne, heard):
    """Rejected messages are reported by reason and device."""
    _, arrived = heard
    tonne("replay", 1)
    assert arrived.acquire(timeout=60)
    rows = json.loads(tonne("count", "--json").stdout)
    assert [(r["reason"], r["device"], r["refused"], r["waiting"]) for r in rows] == [
        ("bad_json", "a", 1, 0),
        ("unknown_device", None, 1, 1),
    ]
    assert rows[0]["last"].endswith("Z")
    head, row = tonne("count", "--reason", "unknown_device").stdout.splitlines()
    assert head.split()[:4] == ["REJECTED", "NOT", "SENT", "AGAIN"]
    assert row.split()[:3] == ["1", "1", "unknown_device"]


@pytest.mark.parametrize(
    ("payload", "content_type", "said"),
    [
        (b'{"ts": 1767225600000, "values": {"a": 1.5}}', None, "json: ts=1767225600000 a=1.5"),
        (b'[{"n":"a","t":1767225600,"u":"V","v":230}]', None, "ts=1767225600000 a=230.0 V"),
        (b'[{"n":"a","t":1767225600,"vs":"x"}]', None, "not_a_number: record 0: 'a' is text"),
        (b'{"ts": 1, "blocks": [{"address": 7, "hex": "00ff"}]}', None, "holding 7=00ff"),
        (b"\x81", "application/senml+cbor", "senml_cbor: malformed_cbor"),
        (b"x", "text/plain", "unread: content_type_unknown"),
        (
            b"[" + b'{"ts": 1, "values": {}},' * 29 + b'{"ts": 1, "values": {}}]',
            None,
            "and 10 more readings",
        ),
    ],
)
def test_bytes_are_decoded_as_far_as_they_can_be(payload, content_type, said):
    """A technician would have to read hexadecimal to see what a device sent."""
    assert said in "\n".join(legible(payload, content_type, 1_767_225_600_000_000))


def test_a_letter_shows_what_its_codec_made_of_it(tonne):
    """The reason alone does not say where in the payload it went wrong."""
    assert "read          json: invalid_utf8: byte 7" in tonne("show", 1).stdout
    assert json.loads(tonne("show", 1, "--json").stdout)["read"] == [
        "json: invalid_utf8: byte 7: invalid start byte; send UTF-8"
    ]


def test_letters_stand_in_groups(tonne):
    """A thousand refusals of one gateway would have to be read one by one."""
    rows = json.loads(
        tonne("list", "--group-by", "reason", "--group-by", "device", "--json").stdout
    )
    assert [(r["reason"], r["device"], r["refused"], r["example"]) for r in rows] == [
        ("bad_json", "a", 1, 1),
        ("unknown_device", None, 1, 2),
    ]
    (row,) = json.loads(tonne("list", "--group-by", "topic", "--json").stdout)
    assert (row["topic"], row["refused"]) == ("tonne/v1/a/telemetry", 2)
    head, row = tonne("list", "--group-by", "reason", "--reason", "bad_json").stdout.splitlines()
    assert head.endswith("SUCH AS")
    assert row.split()[-1] == "1"


@pytest.mark.parametrize(
    ("payload", "position", "values"),
    [
        (b'{"ts": 1, "values": {"a": 12.5,}}', 30, ["ts=1", "a=12.5"]),
        (b'{"ts": 1, "x": "\xff"}', 16, ["ts=1"]),
        (b'{"ts": 1, "x": 2}', None, ["ts=1", "x=2"]),
        (cbor2.dumps([{0: "a", 2: 1.5}, {0: "b", 2: 2.5}])[:-3], 15, ["{0: 'a', 2: 1.5}"]),
        (b"\x9f\xa1\x00\x61a\xff", None, ["{0: 'a'}"]),
        (b"\x99\x00\x02\x01", None, ["1"]),
        (b"", 0, []),
    ],
)
def test_the_place_where_bytes_break_off_is_named(payload, position, values):
    """A technician would look for a stray comma in a page of numbers."""
    found = partial(payload)
    assert (found.position, found.values) == (position, values)
    lines = dump(payload, found.position)
    assert sum(line.startswith(">") for line in lines) == (position is not None and bool(payload))


def test_show_marks_the_broken_place(tonne):
    """The bytes alone do not say where in them it went wrong."""
    shown = tonne("show", 1).stdout
    assert "broken        at byte 7: invalid start byte" in shown
    assert "> 000000  7b 22 74 73 22 3a 20 ff" in shown
    assert json.loads(tonne("show", 1, "--json").stdout)["position"] == 7


def test_a_lot_of_some_time_is_sent_again(tonne, heard):
    """After a profile was mended, a day's refusals would have to be named one by one."""
    _, arrived = heard
    assert json.loads(tonne("replay", "--to", "2020-01-01T00:00:00Z", "--json").stdout) == []
    sent = json.loads(tonne("replay", "--from", "2020-01-01T00:00:00Z", "--json").stdout)
    assert sent == [1, 2]
    assert arrived.acquire(timeout=60)
    assert arrived.acquire(timeout=60)


def _age(url, days):
    """Write letters of long ago, as if they had arrived then."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO dead_letter (received, topic, principal, reason, detail, payload, sha256)"
            " SELECT now() - %s * interval '1 day', 't', 'a', 'old', 'why', 'x', sha256('x')"
            " FROM generate_series(1, 3)",
            [days],
        )
        conn.execute("INSERT INTO dead_letter_replay (dead_letter_id) VALUES (3)")


def test_what_policy_no_longer_keeps_goes_and_is_recorded(tonne, database_url, monkeypatch):
    """Refused bytes would pile up permanently, or go without anyone knowing what they were."""
    _age(database_url, 100)
    monkeypatch.setenv("TONNE_DEAD_LETTER_DAYS", "0")
    assert tonne("expire").exit_code == 2  # all are kept
    assert tonne("expire", "--days", 29).exit_code == 2
    monkeypatch.setenv("TONNE_DEAD_LETTER_DAYS", "60")
    assert json.loads(tonne("expire", "--dry-run", "--json").stdout)["letters"] == 3
    assert json.loads(tonne("expire", "--json").stdout)["letters"] == 3
    assert "removed: 0" in tonne("expire").stdout
    assert [r["id"] for r in json.loads(tonne("list", "--json").stdout)] == [2, 1]
    (gone,) = json.loads(tonne("expire", "--history", "--json").stdout)
    assert (gone["letters"], gone["reasons"]) == (3, {"old": 3})
    assert "old 3" in tonne("expire", "--history").stdout


@pytest.mark.parametrize("role", ["tonne_owner", "tonne_ingest", "tonne_mrv", "tonne_api", None])
def test_nobody_removes_a_letter_by_hand(database_url, tonne, role):
    """Anyone who sent false readings could take back the trace of the refused ones."""
    _age(database_url, 100)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SELECT tonne_expire_dead_letters(now() - interval '60 days', 'me')")
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            conn.execute("SELECT tonne_expire_dead_letters(now(), 'me')")
        if role:
            conn.execute(f"SET ROLE {role}")
        for table in ("dead_letter", "dead_letter_removal"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(f"DELETE FROM {table}")


def _refused(url, count, size, day_bytes, principal="mad"):
    """Refuse a number of messages of a principal, in one transaction."""
    letters = Letters(
        [f"tonne/v1/{principal}/telemetry"] * count,
        [b"x" * size] * count,
        [None] * count,
        [False] * count,
        1_772_323_200_000_000,
    )
    refusals = [Rejected(k, "not_json", "at byte 0") for k in range(count)]
    with psycopg.connect(url) as conn, conn.cursor() as cursor:
        return record(cursor, Fleet([]), refusals, letters, day_bytes)


def test_one_principal_fills_no_disk(database_url):
    """A gateway that went mad would fill the disk with what no one can use."""
    done = _refused(database_url, 100, 1_000, 20_000)
    assert 0 < done.kept < 20
    assert done.left_out == {"not_json": 100 - done.kept}
    again = _refused(database_url, 50, 1_000, 20_000)
    assert (again.kept, again.left_out) == (0, {"not_json": 50})
    assert _refused(database_url, 3, 1_000, 20_000, "calm").kept == 3
    with psycopg.connect(database_url) as conn:
        kept = conn.execute("SELECT count(*) FROM dead_letter WHERE principal = 'mad'").fetchone()
        (row,) = conn.execute(
            "SELECT principal, reason, letters, bytes, length(beginning) FROM dead_letter_excess"
        ).fetchall()
    assert kept == (done.kept,)
    assert row == ("mad", "not_json", 150 - done.kept, (150 - done.kept) * 1_000, 1_000)


def test_a_fleet_with_a_wrong_firmware_fills_no_disk(database_url, monkeypatch):
    """Ten thousand meters, each within its own quota, would fill the disk in a day."""
    monkeypatch.setattr(dead_letter_write, "PRINCIPALS", 3)
    kept = [_refused(database_url, 20, 1_000, 20_000, f"m{i:02d}").kept for i in range(20)]
    assert kept[0] > 10
    assert sum(kept) <= 3 * 20_000 // 1_000
    assert kept[-10:] == [0] * 10
    with psycopg.connect(database_url) as conn:
        found = dict(conn.execute("SELECT principal, letters FROM dead_letter_excess").fetchall())
        names = conn.execute("SELECT count(*) FROM dead_letter_day").fetchone()
        said = quota(conn)
    assert sum(found.values()) == 400 - sum(kept)
    assert found["*"] >= 10 * 20
    assert len(found) < 6
    assert names[0] < 6
    assert "were counted but not stored" not in said.found  # they are of another day
    assert said.state == "ok"


def test_what_is_noted_beside_letters_goes_with_them(database_url):
    """The beginnings of messages that exceeded a quota would never be deleted."""
    _refused(database_url, 100, 1_000, 20_000)
    log = get_logger("test")
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE dead_letter_excess SET last = now()")
        assert "were counted but not stored, for lack of space: mad" in quota(conn).found
        for days, kept in ((90, True), (0, True), (30, False)):
            keep = Keep(letter_days=days)
            Watcher(database_url, Metrics(CollectorRegistry()), log, keep=keep).expire()
            assert conn.execute("SELECT count(*) FROM dead_letter_day").fetchone() == (0,)
            row = conn.execute(
                "SELECT letters > 0, beginning <> '' FROM dead_letter_excess"
            ).fetchone()
            assert row == (True, kept)
            conn.execute("UPDATE dead_letter_excess SET last = now() - interval '40 days'")


def test_old_letters_go_by_themselves(database_url):
    """Someone would have to remember a cron job, or the table grows permanently."""
    _age(database_url, 100)
    log = get_logger("test")
    keep = Keep(letter_days=90)
    Watcher(database_url, Metrics(CollectorRegistry()), log, keep=Keep()).expire()
    with psycopg.connect(database_url) as conn:
        before = conn.execute("SELECT count(*) FROM dead_letter").fetchone()
    Watcher(database_url, Metrics(CollectorRegistry()), log, keep=keep).expire()
    with psycopg.connect(database_url) as conn:
        after = conn.execute("SELECT count(*) FROM dead_letter").fetchone()
        gone = conn.execute("SELECT author, letters FROM dead_letter_removal").fetchall()
    assert (before, after) == ((3,), (0,))
    assert gone == [("tonne watch", 3)]


def test_a_principal_s_messages_are_found_before_its_device_is_known(tonne):
    """Anyone who installs a meter would be informed that there is no device of that name."""
    found = tonne("list", "--principal", "a", "--json")
    assert found.exit_code == 0, found.output
    assert {one["device"] for one in json.loads(found.stdout)} == {"a", None}
    unknown = tonne("list", "--principal", "b")
    assert unknown.exit_code == 2
    assert "no principal 'b' is known" in unknown.output
