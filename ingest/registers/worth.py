"""What a step of a register is worth, and why."""

from __future__ import annotations

from typing import NamedTuple


class Worth(NamedTuple):
    """One case: what happens, what it counts, and why."""

    happens: str
    counts: str
    why: str


# tests/ingest/test_worth.py has an example of each line; ingest/README.md shows them
WORTH = (
    Worth(
        "rise within what the device makes in an hour",
        "the rise",
        "a later reading that contradicts it takes it back",
    ),
    Worth(
        "fall within the tolerance of the class",
        "0; the highest value stays the mark",
        "the register jitters; so does a fall below 1,000 base units (1 kWh, 1 kg, 1 L) from or to"
        " a multiple of them: one register in two resolutions",
    ),
    Worth(
        "larger rise that the time since the last rise allows (for the sun: its daylight)",
        "unknown until two more readings agree; then the rise, spread over a day at most",
        "a single high reading looks the same",
    ),
    Worth(
        "fall to where the register stood within the week before",
        "what it rose by since it stood there; as much time is unknown as the climb took at the"
        " rating",
        "the readings above were too high, or the meter was reset after them",
    ),
    Worth(
        "fall to the foot of a climb of eight rises or more",
        "as a fall to about zero",
        "no fault of reading climbs so; a counter of each day does",
    ),
    Worth(
        "wrap at the model's own modulus, within the limit",
        "the step across the wrap",
        "the data sheet of the model names the modulus",
    ),
    Worth(
        "wrap at a modulus that is only a candidate",
        "unknown",
        "a reset near it looks the same; a person enters the replacement",
    ),
    Worth(
        "fall to about zero",
        "unknown until it has risen over four readings without a gap of 26 hours",
        "a dead meter shows zeros too, and they do not rise",
    ),
    Worth(
        "fall to any other value",
        "unknown until it is back, the replacement is entered, or it has risen over nine readings"
        " and a day",
        "no reset ends there; a meter that was used before begins there",
    ),
    Worth(
        "rise beyond the limit",
        "unknown for as long as it took at the rating, up to a week; what comes after it counts"
        " as after a fall to about zero",
        "it is another unit, another meter, or its own that was read late",
    ),
    Worth(
        "return within the month to a line that was left",
        "what it rose by since it was left; as much time is unknown as what was counted meanwhile"
        " took at the rating",
        "the readings meanwhile were false, or those of another meter that stood in",
    ),
    Worth(
        "rise past a line that was left, from one that has stood for a day",
        "the rise",
        "the new line goes on: it is another register",
    ),
    Worth(
        "meter swap in the registry",
        "the old register to its last value, the new one from its first",
        "a person read both",
    ),
    Worth(
        "any step of a device without the rated power that its class asks for",
        "unknown",
        "nothing bounds it",
    ),
)
