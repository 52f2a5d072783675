"""One meter under two ids, whose serial number is written in two ways, would be credited twice."""

import pytest

from tests.services.registry.texts import messages

SITE = """
sites:
  - {id: s, name: S, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh, country: VN}
devices:
"""


def _device(name, serial, maker, installed="2026-01-01", removed=""):
    end = f", removed: {removed}T00:00:00Z" if removed else ""
    return (
        f"  - {{id: {name}, site: s, class: pv_inverter, profile: generic, rated_power_w: 100000,"
        f' serial: "{serial}", maker: "{maker}", installed: {installed}T00:00:00Z{end}}}\n'
    )


@pytest.mark.parametrize(
    ("serial", "maker", "refused", "says"),
    [
        ("OB0012-34", "Acme", True, "b has the serial number OB0012-34 of a"),
        (" ob 0012-34 ", "ACME Ltd", True, "; one meter has one id"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER O}B0012-34", "Acme", True, "; one meter has one id"),
        ("0B0012-34", "Acme", False, "The serial number 0B0012-34 of b resembles OB0012-34 of a"),
        ("OBOO12-34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("OB-0012/34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("OB12-34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("000OB0012-34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("OB0012-0O34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("OB0012-34", "Other", False, "of b resembles OB0012-34 of a"),
        ("OB0012-35", "Acme", False, ""),
        ("OB0012-340", "Acme", False, ""),
    ],
)
def test_a_serial_that_is_written_otherwise_is_seen(load, serial, maker, refused, says):
    """A blank, a dash or O for 0 would make a second meter of one."""
    planned = load(SITE + _device("a", "OB0012-34", "Acme") + _device("b", serial, maker))
    assert planned.refused is refused
    said = "\n".join(line for line in messages(planned).splitlines() if "serial" in line)
    assert says in said if says else not said


def test_meters_of_other_times_and_short_numbers_of_other_makers_are_others(load):
    """A meter that moved, or a small number that two makers gave, would be taken for one."""
    planned = load(
        SITE
        + _device("a", "17", "Acme", removed="2026-02-01")
        + _device("b", "017", "Acme", installed="2026-02-01")
        + _device("c", "17", "Other")
        + _device("d", "0", "Third")
    )
    assert not planned.refused
    assert "resembles" not in messages(planned)
