"""`tonne signed verify` on files: results, exit codes, and the accepted keys."""

import json
from pathlib import Path

import pytest

from mrv.signed_values import read_items
from tests.invoked import tonne

OCMF = Path(__file__).parents[2] / "vectors/ocmf"


def verify(name, *options):
    return tonne("signed", "verify", OCMF / name, *options)


def key_of(name):
    return "".join(read_items((OCMF / name).read_bytes())[0].key.split())


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [
        ("test_ocmf_keba_kcp30.xml", 0),
        ("test_ocmf_keba_kcp30_fail.xml", 1),
        ("test_ocmf_transaction_two_values.xml", 4),
        ("test_ocmf_rsa_01.xml", 4),
    ],
)
def test_the_exit_code_says_how_it_came_out(name, exit_code):
    """A script would take "no one could check it" for "it is good"."""
    key = key_of("test_ocmf_keba_kcp30.xml")
    assert verify(name, "--key", key, "--json").exit_code == exit_code


def test_a_key_may_name_its_meter_and_be_a_file(tmp_path):
    """With two meters in a file, one key would be tried on the other's values."""
    file = tmp_path / "key"
    file.write_text(key_of("test_ocmf_ebee_01.xml"))
    told = verify("test_ocmf_ebee_01.xml", "--key", f"000033022620={file}", "--json")
    found = json.loads(told.stdout)
    assert (told.exit_code, found["ok"], found["verified"]) == (0, True, 2)
    assert found["values"][0]["readings"][0]["energy_wh"] == "7753"
    assert verify("test_ocmf_ebee_01.xml", "--key", f"1={file}").exit_code == 4
    assert verify("test_ocmf_ebee_01.xml", "--key", "nonsense").exit_code == 2


def test_the_registry_is_asked_by_serial_number(tmp_path):
    """An auditor without our database could check nothing."""
    file = tmp_path / "site.yaml"
    file.write_text(
        "sites: [{id: s, name: S, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}]\n"
        "devices:\n"
        "  - {id: c1, site: s, class: ev_charger, profile: ocpp, rated_power_w: 22000,\n"
        "     installed: 2020-01-01T00:00:00Z, serial: '000033022620',\n"
        "     meter_keys: [{from: 2020-01-01T00:00:00Z,\n"
        f"                   key: '{key_of('test_ocmf_ebee_01.xml')}'}}]}}\n"
    )
    told = verify("test_ocmf_ebee_01.xml", "--registry", str(file))
    assert told.exit_code == 0
    assert "signed by the key of c1" in told.stdout
    assert "time I: informative" in told.stdout
    file.write_text(file.read_text().replace("key: '3059", "key: 'xx"))
    assert verify("test_ocmf_ebee_01.xml", "--registry", str(file)).exit_code == 2
