"""From messages that a gateway signed to the share of a statement's energy, and its pack."""

import pytest

from ingest.errors import InputError
from ingest.mqtt.topics import Router
from ingest.pipeline.admit import admit
from mrv.packs.reader import read_pack
from mrv.verify import verify
from mrv.verify.__main__ import main as alone
from mrv.verify.asked import own_meter_keys
from services.issuer.pack import export
from services.store.messages.dead_letter_write import Letters
from services.store.postgres.pool import connect
from tests.invoked import tonne
from tests.mrv.signed_values.signing import GATEWAY, METER, STRANGER, batch, public
from tests.services.issuer import plant
from tests.services.issuer.sealed import close_period

BEGIN, END = plant.us("2026-03-02"), plant.us("2026-03-03")
REGISTRY = plant.REGISTRY.replace(
    "devices:\n  - id: inv-1\n",
    f"""devices:
  - {{id: gw-1, site: hp, class: energy_meter, profile: generic, rated_power_w: 1000,
     installed: 2026-01-01T00:00:00+07:00,
     meter_keys: [{{from: 2026-01-01T00:00:00Z, key: {public(GATEWAY)}}}]}}
  - id: inv-1
    gateway: gw-1
    meter_keys: [{{from: 2026-01-01T00:00:00Z, key: {public(METER)}}}]
""",
    1,
)


@pytest.fixture
def url(database_url, tmp_path):
    plant.register(database_url, tmp_path, REGISTRY)
    return database_url


def _send(url, payloads, device="inv-1"):
    """Store messages of the gateway, as `tonne run` would; what their signatures showed."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = plant.store_of(conn)
        topics = [f"tonne/v1/gw-1/{device}/telemetry"] * len(payloads)
        router = Router(store.plan.fleet)
        nothing = [None] * len(payloads)
        now = END + 12 * 3_600_000_000
        admitted = admit(store.plan.fleet, router.route, topics, payloads, nothing, now)
        letters = Letters(topics, payloads, nothing, [False] * len(payloads), now)
        done = store.commit(conn, admitted.frames, admitted.rejected, letters)
        assert done.rejected == []
        return done.signed


def _messages():
    """A day and a half of an inverter, a message each five minutes."""
    times, energy, power = plant.sunny("2026-03-01T18:00:00+07:00", "2026-03-03T06:00:00+07:00")
    return [
        {"id": f"m-{n}", "ts": int(at // 1000),
         "values": {"energy_export_kwh": int(wh) / 1000, "active_power_kw": float(watt) / 1000}}
        for n, (at, wh, watt) in enumerate(zip(times, energy, power, strict=True))
    ]  # fmt: skip


def _signed(messages, secret=GATEWAY, signer="gw-1", first=1):
    parts = [messages[at : at + 10] for at in range(0, len(messages), 10)]
    return [
        batch(part, number, part[-1]["ts"], signer, "inv-1", secret)
        for number, part in enumerate(parts, first)
    ]


def _closed(url, tmp_path):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        closed = close_period(conn, "pv", BEGIN, END, "test")
        export(conn, closed.statement, tmp_path / closed.statement)
    pack = read_pack(tmp_path / closed.statement)
    report = verify(pack)
    assert report.consistent, report.failure
    said = closed.document["credentialSubject"]["signedEnergy"]
    return (
        closed,
        said,
        {one["kind"]: float(one["share_percent"]) for one in said["shares"]},
        report,
    )


def test_a_day_that_its_gateway_signed(url, tmp_path, monkeypatch):
    """A buyer could not tell energy that somebody signed from energy that nobody did."""
    plain = plant.sunny("2026-03-01T18:00:00+07:00", "2026-03-03T06:00:00+07:00")
    plant.send(url, "inv-2", plain[0], energy_export_wh=plain[1], active_power_w=plain[2])
    payloads = _signed(_messages())
    assert _send(url, payloads) == {"verified": len(payloads)}
    closed, said, shares, report = _closed(url, tmp_path)
    # inv-2 made as much, and nobody signed it
    assert 49.5 < shares["cose-gateway"] <= 50
    assert shares["none"] == 100 - shares["cose-gateway"]
    assert (said["signers"], said["contradicted"]) == (["gw-1"], "0")
    assert int(said["stored"]) == 29  # batches of ten readings, of 288
    assert int(said["values"]) == 2  # the first and the last of the day
    (step,) = (one for one in report.steps if one.name == "signed values")
    assert (step.outcome, "by its gateway" in step.detail) == ("ok", True)
    _held_against_own_keys(tmp_path / closed.statement)
    monkeypatch.setenv("TONNE_DATABASE_URL", url)
    shown = tonne("statement", "show", closed.statement)
    assert f"{said['shares'][2]['share_percent']} % cose-gateway" in shown.stdout
    # closed again it is the same statement; more values that nobody needs change nothing
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        assert not close_period(conn, "pv", BEGIN, END, "test").new


def _held_against_own_keys(pack):
    """An auditor with the gateway's label in hand had to believe the registry's key."""
    file = pack.parent / "meters.txt"

    def asked(text):
        file.write_text(text)
        report = verify(read_pack(pack), meter_keys=own_meter_keys(str(file), str(pack)))
        (step,) = (one for one in report.steps if one.name == "signed values")
        return report, step

    right, other = public(GATEWAY), public(STRANGER)
    for text in (f"gw-1 {right}  # its label", f"gw-1 {other}\ngw-1 {right}"):
        report, step = asked(text)
        assert (report.consistent, step.outcome) == (True, "ok")
        assert "meters' keys, from your own list: gw-1" in report.relied
    asked_by = [str(pack), "--meter-keys", str(file), "--accept", "draft"]
    assert tonne("verify", *asked_by).exit_code == alone(asked_by) == 0
    report, step = asked(f"gw-1 {other}")
    assert tonne("verify", *asked_by).exit_code == alone(asked_by) == 1
    assert (report.exit_code, step.outcome) == (1, "failed")
    assert "your --meter-keys has another key for it" in step.detail
    report, step = asked(f"inv-1 {public(METER)}")
    assert "meter-key" in {one.code for one in report.missing}
    assert (report.exit_code, "from your own list" in " ".join(report.relied)) == (4, False)
    with pytest.raises(InputError, match="line 1: 'zz' is not a public key"):
        asked("gw-1 zz")
    with pytest.raises(InputError, match="is part of the pack"):
        own_meter_keys(str(pack / "plan.json"), str(pack))


def test_what_does_not_hold_backs_nothing(url, tmp_path):
    """A stranger's signature, and a value changed in the database, would count as signed."""
    messages = _messages()
    assert set(_send(url, _signed(messages, STRANGER))) == {"refused"}
    _, said, shares, _ = _closed(url, tmp_path)
    assert (shares["none"], said["values"]) == (100.0, "0")
    assert int(said["stored"]) > 20
    # the meter's own batches of the same readings, named by its serial number
    assert set(_send(url, _signed(messages, METER, "A1", 100))) == {"verified"}
    _, said, shares, _ = _closed(url, tmp_path)
    assert shares["cose-meter"] > 99
    assert said["signers"] == ["inv-1"]
    # the key ends before that day: whoever had it then signed nothing that counts
    ended = "from: 2026-03-01T00:00:00Z, key: ended"
    plant.register(
        url, tmp_path, REGISTRY.replace(f"{public(METER)}}}]", f"{public(METER)}}}, {{{ended}}}]")
    )
    _, said, shares, _ = _closed(url, tmp_path)
    assert shares["none"] == 100
