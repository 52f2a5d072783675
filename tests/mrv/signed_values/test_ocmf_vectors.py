"""Real signed meter values, from the tests of the S.A.F.E. transparency software."""

from decimal import Decimal
from pathlib import Path

import pytest

from mrv.signed_values import DatedKey, Item, check_items, ocmf, of_device, read_items
from mrv.signed_values.meter_keys import decode_key

OCMF = Path(__file__).parents[2] / "vectors" / "ocmf"
# file, and what its values show where the keys beside them are registered
EXPECTED = {
    "20211007-device-with-evt-ocmf-sss-ses.xml": ["verified", "verified"],
    "Ocmf_Example_OBIS_98.8.0_2.8.0.xml": ["verified"],
    "ocmf_tariff_1.xml": ["verified"],
    "second_key_fail_ocmf.xml": ["verified", "refused"],
    "test_ocmf_ebee_01.xml": ["verified", "verified"],
    "test_ocmf_keba_kcp30.xml": ["verified"],
    "test_ocmf_keba_kcp30_fail.xml": ["refused"],
    "test_ocmf_rsa_01.xml": ["not checked"],
    "test_ocmf_transaction_two_values.xml": ["not checked", "not checked"],
}


def _values(name):
    return read_items((OCMF / name).read_bytes())


def _registered(items):
    """Return keys as a registry has them: each meter's first key in the file."""
    found = {}
    for one in items:
        if ocmf.is_ocmf(one.text):
            record = ocmf.read(one.text)
            serial = record.meter or record.gateway
            found.setdefault(serial, [DatedKey(decode_key(one.key), None, serial)])
    return found


def _without_keys(items):
    return [Item(one.text, None, one.context) for one in items]


def test_every_file_is_expected():
    """A file that no one looks at could be verified wrongly for years."""
    assert sorted(EXPECTED) == sorted(one.name for one in OCMF.glob("*.xml"))


@pytest.mark.parametrize("name", EXPECTED)
def test_each_file_shows_what_it_should(name):
    """An honest meter's value would be refused, or an altered one counted."""
    items = _values(name)
    checked = check_items(_without_keys(items), _registered(items))
    # the second value of that file has another meter's key beside it; its own is registered
    wanted = ["verified", "verified"] if name == "second_key_fail_ocmf.xml" else EXPECTED[name]
    assert [one.outcome for one in checked] == wanted


@pytest.mark.parametrize("name", EXPECTED)
def test_a_key_beside_a_value_never_verifies_it(name):
    """Anyone who forges a value puts a fitting key beside it."""
    checked = check_items(_values(name), {})
    refused = [one == "refused" for one in EXPECTED[name]]
    assert [one.outcome == "refused" for one in checked] == refused
    assert all(one.outcome != "verified" and one.holder is None for one in checked)


def test_another_meters_key_refuses():
    """A value that one meter signed would count for the meter next to it."""
    items, other = _values("test_ocmf_ebee_01.xml"), _values("ocmf_tariff_1.xml")[0]
    keys = {"000033022620": [DatedKey(decode_key(other.key), None, "c2")]}
    assert {one.outcome for one in check_items(items, keys)} == {"refused"}


def test_a_value_sent_by_another_device_is_refused():
    """A charger could pass a neighbour's honest value off as its own."""
    items = _values("test_ocmf_ebee_01.xml")
    first = check_items(items, _registered(items))[0]
    assert of_device(first, "000033022620").outcome == "verified"
    assert of_device(first, "charger-8").outcome == "refused"


def test_every_altered_byte_is_refused():
    """An operator could add a kilowatt-hour to a value that the meter signed."""
    item = _values("test_ocmf_keba_kcp30.xml")[0]
    keys = _registered([item])
    end = item.text.index("|{", 6)
    for place in range(len(ocmf.HEADER), end):
        new = "1" if item.text[place] != "1" else "2"
        text = item.text[:place] + new + item.text[place + 1 :]
        assert check_items([Item(text)], keys)[0].outcome != "verified", place


def test_values_are_read_exactly():
    """A value that went through a binary fraction is another value."""
    record = ocmf.read(_values("second_key_fail_ocmf.xml")[0].text)
    (reading,) = record.readings
    assert (record.meter, record.gateway, record.page) == ("1DZG0033022268", "01337", "T1040")
    assert (reading.value, reading.unit, reading.obis) == (
        Decimal("48.542"),
        "kWh",
        "01-00:01.08.00.FF",
    )
    assert reading.energy_wh == 48_542
    assert reading.usable


def test_what_the_meter_doubts_itself_is_told():
    """A signature over "do not use this" would be taken for one over a value."""
    items = _values("20211007-device-with-evt-ocmf-sss-ses.xml")
    found = check_items(items, _registered(items))[0]
    assert found.outcome == "verified"
    assert not found.record.readings[0].usable
    assert any("energy and time" in note for note in found.notes)


def test_a_time_that_is_not_synchronised_is_told():
    """A signed value with a time in 1970 would be assigned to a period."""
    items = _values("ocmf_tariff_1.xml")
    found = check_items(items, _registered(items))[0]
    assert {one.clock for one in found.record.readings} == {"U"}
    assert "time U: not synchronised" in found.notes
