"""Signed values with keys made here: curves, pages, times, and the transport of values."""

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mrv.errors import SignedValueError
from mrv.signed_values import DatedKey, Item, check_items, ocmf, plain, read_items
from mrv.signed_values.meter_keys import decode_key, parse_key, read_own_keys, same_key
from tests.mrv.signed_values.signing import GATEWAY, METER, OTHER, public

CURVES = {
    "secp256r1": ec.SECP256R1(),
    "secp256k1": ec.SECP256K1(),
    "secp384r1": ec.SECP384R1(),
    "brainpool256r1": ec.BrainpoolP256R1(),
    "brainpool384r1": ec.BrainpoolP384R1(),
}
READING = {
    "TM": "2026-01-01T10:00:00,000+0700 S",
    "TX": "B",
    "RV": "1.0",
    "RI": "1-0:1.8.0",
    "RU": "kWh",
    "ST": "G",
}
SECRETS = {name: ec.derive_private_key(7, curve) for name, curve in CURVES.items()}
SECRET = SECRETS["secp256r1"]


def made(secret=SECRET, algorithm="ECDSA-secp256r1-SHA256", **changed):
    """Return a value signed as by a meter."""
    payload = {"FV": "1.0", "GS": "g", "MS": "m", "PG": "T1", "RD": [READING]} | changed
    text = json.dumps(payload)
    signature = secret.sign(text.encode(), ec.ECDSA(SHA256())).hex()
    return f"OCMF|{text}|{json.dumps({'SA': algorithm, 'SD': signature})}"


def key_of(secret=SECRET, form="der"):
    if form == "der":
        raw = secret.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        raw = secret.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return raw


def keys(secret=SECRET, form="der", begins=None):
    return {"m": [DatedKey(parse_key(key_of(secret, form).hex()), begins, "charger-1")]}


def outcomes(texts, held=None):
    return [one.outcome for one in check_items([Item(t) for t in texts], held or keys())]


@pytest.mark.parametrize("form", ["der", "point"])
@pytest.mark.parametrize("name", CURVES)
def test_each_curve_verifies_its_own_and_no_other(name, form):
    """A fleet of one maker would be unverifiable, or verify by any key."""
    value = made(SECRETS[name], f"ECDSA-{name}-SHA256")
    for other, secret in SECRETS.items():
        wanted = "verified" if other == name else "refused"
        assert outcomes([value], keys(secret, form)) == [wanted]


def test_brainpool_goes_by_both_of_its_names():
    """The full name of a curve with its P, as some manufacturers write it, is accepted."""
    value = made(SECRETS["brainpool256r1"], "ECDSA-brainpoolP256r1-SHA256")
    assert outcomes([value], keys(SECRETS["brainpool256r1"])) == ["verified"]


@pytest.mark.parametrize(
    "algorithm", ["ECDSA-secp192k1-SHA256", "ECDSA-secp192r1-SHA256", "RSA", "ECDSA-secp256r1-SHA1"]
)
def test_what_is_not_known_is_not_checked(algorithm):
    """A signature that no one looked at would count as a good one."""
    assert outcomes([made(algorithm=algorithm)]) == ["not checked"]


def test_a_page_stands_for_one_value():
    """One charging session could be sent twice, with two amounts."""
    first, again = made(), made(RD=[READING | {"RV": "2.0"}])
    assert outcomes([first, again]) == ["verified", "refused"]
    twice = check_items([Item(first), Item(first)], keys())
    assert [one.outcome for one in twice] == ["verified", "verified"]
    assert twice[0].notes == ()
    assert "count it once" in twice[1].notes[-1]
    # another counter, another page
    assert outcomes([first, made(PG="F1"), made(PG="T2")]) == ["verified"] * 3


def test_a_forged_page_takes_no_honest_one_down():
    """Any sender could invalidate a meter's values."""
    forged = made(SECRETS["secp256k1"], RD=[READING | {"RV": "9.0"}])
    assert outcomes([forged, made()]) == ["refused", "verified"]
    unread = made(algorithm="RSA", RD=[READING | {"RV": "9.0"}])
    assert outcomes([unread, made()]) == ["not checked", "verified"]


def test_a_key_counts_from_its_time_on():
    """The key of a meter that came later would verify what was before it."""
    begins = datetime(2026, 1, 1, 3, tzinfo=UTC)  # the moment of the reading
    assert outcomes([made()], keys(begins=begins)) == ["verified"]
    assert outcomes([made()], keys(begins=begins.replace(minute=1))) == ["not checked"]
    old = keys(SECRETS["secp256k1"])["m"]
    assert outcomes([made()], {"m": [*old, *keys(begins=begins)["m"]]}) == ["verified"]
    late = keys(SECRETS["secp256k1"], begins=begins)["m"]
    assert outcomes([made()], {"m": [*keys()["m"], *late]}) == ["refused"]


def test_what_a_reading_leaves_out_is_that_of_the_one_before():
    """The end of a charge would have no unit, and be lost."""
    end = {"TM": "2026-01-01T11:00:00,000+0700 I", "TX": "E", "RV": 2.50}
    event = {"TM": "2026-01-01T12:00:00,000+0700 I", "ST": "T"}
    readings = ocmf.read(made(RD=[READING, end, event])).readings
    assert [(r.reason, r.obis, r.energy_wh, r.usable) for r in readings] == [
        ("B", "1-0:1.8.0", 1_000, True),
        ("E", "1-0:1.8.0", 2_500, True),
        ("E", "1-0:1.8.0", None, False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "OCMF|{}|{}",
        "OCMF|",
        'OCMF|{"FV":"1.0"',
        "OCMF|[1]|{}",
        "OCMF|" + "[" * 50_000,
        made(FV="2.0"),
        made(PG="12"),
        made(GS=None, MS=None),
        made(RD=[]),
        made(RD=[READING | {"TM": "2026-01-01T10:00:00,000+0700"}]),
        made(RD=[READING | {"TM": "2026-13-01T10:00:00,000+0700 S"}]),
        made(RD=[READING | {"RV": float("nan")}]),
        made(RD=[READING | {"RV": "1e999"}]),
        made(RD=[READING | {"RV": "\u0661"}]),
        made(RD=[READING | {"ST": "?"}]),
        made(RD=[READING | {"RU": None}]),
        made().replace('"PG"', '"PG": "T9", "PG"'),
        made() + "x",
    ],
)
def test_what_is_not_whole_is_refused(text):
    """A value could be read in two ways, and counted as the higher one."""
    with pytest.raises(SignedValueError):
        ocmf.read(text)
    assert outcomes([text]) == ["refused"]


def test_values_are_found_as_ocpp_carries_them():
    """What chargers send by OCPP would be kept and never verified."""
    value = made()
    packed = base64.b64encode(value.encode()).decode()
    for text in (value, packed, value.encode().hex(), json.dumps({"signedMeterData": packed})):
        assert plain(text) == value
    for text in ("0A1B", "{", "{}", '{"signedMeterData": 1}', "\u00fc", ""):
        assert plain(text) == text
    both = f"{value}\n{made(PG='T2')}\n".encode()
    assert outcomes(one.text for one in read_items(both)) == ["verified", "verified"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<values/>",
        b"<values>",
        b"\xff\xfe\x00",
        b'<!DOCTYPE v [<!ENTITY a "b">]><values><value/></values>',
        b'<?xml version="1.0" encoding="none-such"?><values/>',
    ],
)
def test_a_file_without_values_is_refused(content):
    """A file that holds nothing would end as one in which all is verified."""
    with pytest.raises(SignedValueError):
        read_items(content)


@pytest.mark.parametrize("text", ["", "zz", "3059", "04" + "11" * 64, "0x", "30" * 5_000])
def test_what_is_no_key_is_not_registered(text):
    """A registry with a wrong key refuses the honest meter a year later."""
    with pytest.raises(SignedValueError):
        parse_key(text)


def test_keys_are_read_in_each_of_their_forms():
    """Makers print keys in hex with blanks, in base64, and as PEM."""
    raw = key_of()
    pem = SECRET.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for text in (raw.hex(), raw.hex(" ", 2), base64.b64encode(raw).decode(), pem.decode()):
        assert parse_key(text).raw == raw
    unsupported = ec.derive_private_key(7, ec.SECP521R1())
    with pytest.raises(SignedValueError, match="cannot be used"):
        parse_key(key_of(unsupported).hex())
    assert decode_key(key_of(unsupported).hex()).raw == key_of(unsupported)


def test_one_key_in_its_forms_is_one_key():
    """An auditor who reads a point off a label would be informed that it is another meter's key."""
    whole = METER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    small = METER.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    forms = [parse_key(text) for text in (public(METER), whole.hex(), small.hex())]
    strangers = [parse_key(public(key)) for key in (OTHER, GATEWAY)]
    assert all(same_key(one, other) for one in forms for other in forms)
    assert not any(same_key(one, other) for one in forms for other in strangers)
    assert same_key(strangers[1], parse_key(public(GATEWAY).upper()))


@pytest.mark.parametrize("text", ["", "# nothing", "m-1", "m-1 zz", "m-1 0400"])
def test_lists_of_keys_that_are_none_are_refused(text):
    """An empty file of keys would leave the registry's keys in use."""
    with pytest.raises(SignedValueError):
        read_own_keys(text)
