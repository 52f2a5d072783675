"""The assumed quantity of a register's step: an example of each line of the table."""

from pathlib import Path
from typing import NamedTuple

import pytest

from ingest.model import Replacement
from ingest.registers import UNKNOWN, Meter, Reader

from .metering import MINUTE_US, T0_US, fleet, frame, whole

# a 100 kW inverter that counts watt-hours: 27,500 in a quarter hour, room included
RATED = Meter(110_000 / 3.6e9, 100)
HIGH = [10_000_000, 10_001_000]
FROM_ZERO = [1_000, 2_000, 3_000, 4_000]
SWAP = Replacement("energy_export_wh", T0_US + 20 * MINUTE_US, 10_001_400, 40)
NEIGHBOUR = [9_851_000 + 500 * min(k, 193) + 20_000 * max(k - 193, 0) for k in range(199)]
WEEKS = [10_080.0 * k for k in range(5)]
GAP = [*(15.0 * k for k in range(201)), 3_120, 3_135, 3_150]


class Example(NamedTuple):
    """Readings each 15-minute interval, or at given minutes; counted energy; unknown steps."""

    values: list[int]
    counted: int
    unknown: int
    meter: Meter = RATED
    minutes: list[float] | None = None


EXAMPLES = {
    "rise within what": [
        Example([1_000, 2_000, 3_000], 2_000, 0),
        # 20,000 is believed until the next reading contradicts it
        Example([1_000, 1_000, 20_000, 2_000], 1_000, 1),
    ],
    "fall within": [
        Example([1_000, 900, 1_200], 200, 0),
        # a second file of whole kilowatt-hours, cut off or rounded
        Example([10_000_786, 10_000_000, 10_012_300, 10_012_000, 10_012_400], 11_614, 0),
        Example([10_000_786, 10_001_000, 10_000_800, 10_012_300], 11_514, 0),
    ],
    "larger rise": [
        Example([0] * 8 + [150_000], 0, 1),
        Example([0] * 8 + [150_000, 150_000], 150_000, 0),
        # of a meter that is read weekly, only the last step waits for its next reading
        Example([3_000_000 * k for k in range(5)], 9_000_000, 1, minutes=WEEKS),
    ],
    "readings within moments": [
        Example(
            [0, 20_000, 40_000, 60_000, 80_000, 95_000, 100_000],
            100_000,
            0,
            minutes=[0, 300, 300.03, 300.07, 300.1, 300.13, 315],
        ),
        # a live reading came among those that were kept
        Example(
            [0, 20_000, 95_000, 40_000, 60_000, 100_000],
            100_000,
            0,
            minutes=[0, 300, 300.02, 300.03, 300.07, 315],
        ),
        # more than the meter can have made without readings
        Example([0, 20_000, 900_000, 920_000], 20_000, 2, minutes=[0, 300, 300.03, 315]),
        # a single false reading, which the next one contradicts
        Example([0, 20_000, 400_000, 25_000], 25_000, 1, minutes=[0, 300, 300.03, 315]),
    ],
    "fall to the register's value": [
        Example([10_000_000, 10_020_000, 10_001_000, 10_002_000], 2_000, 1),
        Example([10_000_000, 10_010_000, 10_020_000, 10_001_000, 10_002_000], 2_000, 1),
        # a scale that nothing bounds: what was weighed twice is taken off
        Example(
            [10**7 + 100_000 * k + 999_000 * (10 <= k < 30) for k in range(36)],
            3_500_000,
            1,
            Meter(),
        ),
    ],
    "fall to the start": [Example([20_000 * k for k in range(10)] + [0] + FROM_ZERO, 184_000, 1)],
    "rollover at the model's": [
        Example(
            [99_990_000, 99_999_000, 500, 1_500],
            11_500,
            0,
            Meter(RATED.rate, RATED.tolerance, (100_000_000,), exact=True),
        )
    ],
    "rollover at a modulus": [
        Example(
            [99_990_000, 99_999_000, 500, 1_500],
            9_000,
            2,
            Meter(RATED.rate, RATED.tolerance, (100_000_000,), exact=False),
        )
    ],
    "fall to about zero": [
        Example([*HIGH, 0, 1_000, 2_000], 1_000, 3),
        Example([*HIGH, 0, 1_000, 2_000, 3_000], 4_000, 1),
        Example([*HIGH, 0, 0, 0, 0, 0, 0], 1_000, 6),
    ],
    "fall to any other": [
        Example([*HIGH, *(5_000_000 + 1_000 * k for k in range(6))], 1_000, 6),
        Example([*HIGH, *(5_000_000 + 1_000 * k for k in range(97))], 97_000, 1),
        Example([*HIGH, 5_000_000, 5_001_000, 10_002_000], 2_000, 1),
    ],
    "rise beyond": [
        Example([1_000, *(999_000_000 + 1_000 * k for k in range(6))], 5_000, 1),
        Example(
            [*(1_000 * k for k in range(9)), *(208_000 + 1_000 * k for k in range(6))], 13_000, 9
        ),
    ],
    "return within": [Example([*HIGH, 0, 1_000, 2_000, 3_000, 10_005_000], 5_000, 1)],
    "return to an": [
        Example(
            [(10**7 + 20_000 * k) // (1000 if 2 <= k < 12 else 1) for k in range(16)], 280_000, 1
        )
    ],
    "rise above": [Example([20_000, 25_000, 0, *(250 * k for k in range(1, 121))], 35_000, 1)],
    "rise that needs": [
        # two days of a neighbour's readings, whose register is 150 kWh lower; a gap of two hours
        Example([*HIGH, *NEIGHBOUR, 10_210_000, 10_210_001, 10_210_002], 210_002, 2, minutes=GAP)
    ],
    "meter swap": [
        Example(
            [*HIGH, 140, 240],
            1_000 + 400 + 100 + 100,
            0,
            Meter(RATED.rate, RATED.tolerance, replacements=(SWAP,)),
        )
    ],
}


def lines(case: str) -> list[str]:
    """Return the cases of the table in ingest/README.md that begin with a text."""
    page = (Path(__file__).parents[2] / "ingest" / "README.md").read_text("utf-8")
    table = page.partition("| what happens | what is counted | why |\n|---|---|---|\n")[2]
    happens = [row.split(" | ")[0] for row in table.partition("\n\n")[0].splitlines()]
    return [event for event in happens if event.startswith(f"| {case}")]


@pytest.mark.parametrize("case", EXAMPLES)
def test_an_example_of_each_case_counts_what_the_table_says(case):
    """No test would compare the published table of register steps with the rules."""
    assert len(lines(case)) == 1
    for example in EXAMPLES[case]:
        reader = Reader(example.meter)
        minutes = example.minutes or [15 * k for k in range(len(example.values))]
        for minute, value in zip(minutes, example.values, strict=True):
            reader.read(T0_US + round(minute * MINUTE_US), value)
        counted = sum(step.value for step in reader.steps)
        unknown = sum(step.kind == UNKNOWN for step in reader.steps)
        assert (counted, unknown) == (example.counted, example.unknown), example.values


def test_a_rise_after_silence_belongs_to_the_silence():
    """A plant of which nothing came for a day would generate by night, against its power."""
    reader = Reader(RATED)
    for minute in [*range(0, 120, 15), 480, 495, 510]:
        reader.read(T0_US + minute * MINUTE_US, 150_000 if minute >= 480 else 0)
    (made,) = [step for step in reader.steps if step.value]
    assert made.from_us == T0_US + 105 * MINUTE_US


def test_a_device_without_its_rating_counts_nothing():
    """The last line of the table applies to a device, not to a register."""
    (line,) = lines("any step of a device")
    assert len(lines("")) == len(EXAMPLES) + 1, line
    readings = frame([0] * 3, [T0_US + 15 * k * MINUTE_US for k in range(3)], [0, 1_000, 2_000])
    rows = whole(fleet(1, None), readings)
    assert int(rows.value.sum()) == 0
    assert rows.unknown_us.all()
