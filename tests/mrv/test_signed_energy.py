"""The signed share of the energy: what corroborates it, what does not, and the check of a pack."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest.model import INTERVAL_US
from mrv import factors
from mrv.documents.plan import SignedExtract, SignedRegister, SignedValueKept, SigningKeyNamed
from mrv.registry.project import ACCOUNTING
from mrv.statement.compose import compose
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.verify import verify
from tests.mrv.packs import BEGIN, END, LABEL, documents, frame, pack, plan
from tests.mrv.signed_values.signing import GATEWAY, METER, OTHER, batch, ocmf, public

DEVICE = plan().devices[0].id
KEY_FROM = "2020-01-01T00:00:00Z"


def _text(us):
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat()[:19]


def register(us):
    """Return the plant's register at the begin of an interval. [Wh]"""
    return 1_000_000 + 12_345 * ((us - (BEGIN - INTERVAL_US)) // INTERVAL_US)


def kept(us, wh=None, kind="ocmf", page=1, **how):
    """Return a signed value at a time, in the form of a plan."""
    wh = register(us) if wh is None else wh
    if kind == "ocmf":
        data = ocmf(_text(us), wh / 1000, page=page, **how)
    else:
        reading = [{"ts": us // 1000, "values": {"energy_export_kwh": wh / 1000}}]
        signer = "gw-1" if kind == "cose-gateway" else DEVICE
        data = b64encode(batch(reading, page, us // 1000, signer, DEVICE)).decode()
    return SignedValueKept(
        device=DEVICE,
        kind=kind,
        signer="gw-1" if kind == "cose-gateway" else DEVICE,
        received=_text(us) + "Z",
        data=data,
        registers=(
            SignedRegister(channel="energy_export_wh", time=_text(us) + "Z", value=str(wh)),
        ),
    )


def key(device=DEVICE, value=None, begins=KEY_FROM, serial="S-1"):
    return SigningKeyNamed(device=device, serial=serial, from_=begins, key=value or public(METER))


def case(values, keys=None, readings=None):
    """Return a day of the plant, with signed values."""
    frames = [frame()] if readings is None else readings
    one = plan()
    behind = replace(one.devices[0], gateway="gw-1")
    signed = SignedExtract(
        keys=tuple(keys or [key()]), values=tuple(values), stored=str(len(values))
    )
    one = replace(one, accounting=ACCOUNTING, devices=(behind,), signed=signed)
    fleet = one.fleet()
    rows = remeter(fleet, frames, monitored(one.project, fleet), BEGIN, END)
    return Case(one, frames, rows, BEGIN, END, factors.load())


def stated(values, **more):
    return compose(case(values, **more), LABEL)["credentialSubject"]["signedEnergy"]


def shares(values, **more):
    said = stated(values, **more)
    return {one["kind"]: int(one["energy_Wh"]) for one in said["shares"]}


def at(quarters):
    return BEGIN + quarters * INTERVAL_US


WHOLE = 96 * 12_345


def test_two_signed_registers_back_what_is_between_them():
    """Signed register values corroborate the energy between them."""
    none = stated([])
    assert (none["energy_Wh"], none["shares"][-1]["share_percent"]) == (str(WHOLE), "100.00")
    found = shares([kept(at(8), page=1), kept(at(88), page=2)])
    assert found == {"ocmf": 80 * 12_345, "cose-meter": 0, "cose-gateway": 0, "none": 16 * 12_345}
    assert stated([kept(at(8)), kept(at(88), page=2)])["shares"][0]["share_percent"] == "83.33"
    assert shares([kept(at(8))])["ocmf"] == 0  # one alone bounds nothing


def test_what_contradicts_backs_nothing():
    """A reading that was changed beside a signed register would count as signed."""
    ends = [kept(at(8), page=1), kept(at(88), page=3)]
    for wrong in (register(at(48)) + 30_000, register(at(48)) - 30_000):
        said = stated([*ends, kept(at(48), wrong, page=2)])
        assert said["shares"][0]["energy_Wh"] == "0"
        assert said["contradicted"] == "1"
    # one more on the good side of it: what lies between two that fit is backed
    good = [*ends, kept(at(16), page=4), kept(at(48), register(at(48)) + 30_000, page=2)]
    assert shares(good)["ocmf"] == 8 * 12_345
    # readings that rise by more than the meter signed: no more than it signed
    over = frame()
    extra = (over.time_us > at(40)).astype("int64") * 90
    over.columns["energy_export_wh"] = over.columns["energy_export_wh"] + extra
    assert shares([kept(at(8)), kept(at(88), page=2)], readings=[over])["ocmf"] == 80 * 12_345


def test_a_register_that_fell_and_another_signer_end_a_chain():
    """Two meters' registers would back what neither of them counted."""
    fallen = [kept(at(8)), kept(at(40), page=2), kept(at(41), register(at(40)) - 50, page=3)]
    assert shares(fallen)["ocmf"] == 32 * 12_345
    mine = kept(at(88), kind="cose-gateway")
    assert shares([kept(at(8)), mine])["none"] == WHOLE


def test_kinds_are_told_apart_and_counted_once():
    """What a gateway saw would look as good as what a meter signed."""
    meter = [kept(at(8)), kept(at(48), page=2)]
    gateway = [kept(at(0), kind="cose-gateway"), kept(at(96), kind="cose-gateway", page=2)]
    found = shares([*meter, *gateway])
    assert found == {"ocmf": 40 * 12_345, "cose-meter": 0, "cose-gateway": 56 * 12_345, "none": 0}


KEYS = [key(), key("gw-1", public(GATEWAY), serial=None)]


def checked(values, keys=None, change=lambda body: body):
    made = case(values, keys or KEYS)
    report = verify(pack(documents(made, change=change), made))
    step = next(one for one in report.steps if one.name == "signed values")
    return report, step


def test_verify_checks_every_signature_again():
    """An auditor would have the operator's word for it."""
    values = [kept(at(8)), kept(at(88), page=2), kept(at(0), kind="cose-gateway")]
    report, step = checked(values)
    assert (step.outcome, report.failure) == ("ok", None)
    assert "3 are valid" in step.detail
    assert "83.33 % by its meter or station (OCMF), 16.67 % not signed" in step.detail
    assert any("keys of gw-1, inv-1" in one for one in report.not_relied)


def _data(one, data):
    return SignedValueKept(**{n: getattr(one, n) for n in one.__struct_fields__} | {"data": data})


FORGED = {
    "another key": ([kept(at(8), secret=OTHER)], "refused"),
    "another meter": ([kept(at(8), serial="S-2")], "not checked"),
    "changed": ([_data(kept(at(8)), kept(at(8)).data.replace('"RV": 1', '"RV": 2'))], "refused"),
    "a page twice": ([kept(at(8)), kept(at(88), page=1)], "refused"),
    "another register": ([_data(kept(at(8)), kept(at(12)).data)], "does not contain"),
    "a clock that nobody set": ([kept(at(8), clock="I")], "does not contain"),
    "another code": ([kept(at(8), obis="1-0:1.8.0")], "does not contain"),
    "a gateway's for a meter's": (
        [_data(kept(at(8), kind="cose-meter"), kept(at(8), kind="cose-gateway").data)],
        "but of kind",
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_no_meter_signed_fails(what):
    """An operator could write signed values into the plan, and sign over them."""
    values, told = FORGED[what]
    _, step = checked(values)
    assert step.outcome == "failed"
    assert told in step.detail


def test_a_share_that_does_not_follow_fails():
    """A statement could say that all of it is signed."""

    def more(body):
        body["credentialSubject"]["signedEnergy"]["shares"][0]["energy_Wh"] = str(WHOLE)
        return body

    report, _ = checked([kept(at(8)), kept(at(88), page=2)], change=more)
    assert report.failure.name == "account"


def test_a_key_that_ended_fails():
    """Values of a stolen key would go on to back energy."""
    ended = [*KEYS, key(value="ended", begins=_text(at(40)) + "Z")]
    _, step = checked([kept(at(8)), kept(at(48), page=2)], ended)
    assert step.outcome == "failed"
    assert "ended on" in step.detail
