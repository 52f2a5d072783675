"""Profile files that contradict themselves: refused, with file and line."""

import re

import pytest

from ingest import profiles
from ingest.errors import ProfileError

WHOLE = """\
id = "m"
class = "energy_meter"
title = "M"
source = "M's manual"
certainty = "document"
checked = "M's manual, page 1"

[channel.energy_import_wh]
path = "import"
unit = "kWh"
moduli = [1_000, 10_000]
register = { address = 10, type = "uint32" }

[channel.active_power_w]
path = "power"
unit = "W"
register = { address = 12, type = "int16" }
"""


def test_a_whole_file_is_read():
    """The cases below would be refused for another reason than theirs."""
    assert profiles.read("m.toml", WHOLE).channels.keys() == {"import", "power"}


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        (
            'path = "power"',
            'path = "import"',
            "m.toml:14: .* another channel also reads path 'import'",
        ),
        ("address = 12", "address = 11", "m.toml:14: .* 11 to 11 is also used by energy_import_wh"),
        (
            "address = 12",
            'address = 10, table = "either"',
            "m.toml:14: .* 10 to 10 is also used by",
        ),
        ("moduli = [1_000, 10_000]", "moduli = [10_000, 1_000]", "m.toml:8: .*ascending"),
        ("moduli = [1_000, 10_000]", "moduli = [1]\nmodulus = 2", "m.toml:8: .*contradict"),
        ('type = "int16"', 'type = "int17"', "m.toml:14: .*type must be one of"),
        ('type = "int16"', 'type = "int16", divide = 0', "m.toml:14: .*divide at least 1"),
        ('unit = "W"', 'unit = "W"\nspan = 1', "m.toml:14: .*span"),
        ('unit = "W"', "", "m.toml:14: .*unit"),
        ('certainty = "document"', 'certainty = "sure"', "m.toml:1: .*certainty 'sure'"),
        ('checked = "M\'s manual, page 1"', "", "m.toml:1: .*'checked' names the document"),
        ('source = "M\'s manual"', "", "m.toml:1: .*'source' is required"),
        ('title = "M"', 'title = "M"\ntitel = "M"', "m.toml:1: .*unknown key 'titel'"),
        ('unit = "W"', "unit = W", "m.toml: Invalid value .at line 16"),
    ],
)
def test_a_contradiction_is_named_with_its_line(was, becomes, said):
    """A technician would look through a file of a hundred registers for a slip."""
    assert was in WHOLE
    with pytest.raises(ProfileError) as caught:
        profiles.read("m.toml", WHOLE.replace(was, becomes))
    assert re.match(said, str(caught.value)), str(caught.value)
