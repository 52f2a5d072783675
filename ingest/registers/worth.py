"""What a step of a register is worth, and why."""

from __future__ import annotations

# what a step is worth, and why; the tests hold the reader to each line
WORTH = (
    ("rise within an hour's most", "the rise", "later readings that contradict it revoke it"),
    ("fall within the tolerance", "0", "jitter; the highest value stays the mark"),
    (
        "larger rise that the time since the last rise allows",
        "unknown, then the rise",
        "a single high reading looks the same until two more agree",
    ),
    (
        "fall to where it stood within the week before",
        "what it rose by since then",
        "the readings above were too high, and nobody can say by whose fault",
    ),
    ("wrap at the model's own modulus, within the limit", "the step across", "its data sheet"),
    (
        "wrap at a candidate modulus",
        "unknown",
        "a reset near it looks the same; a person enters the replacement",
    ),
    (
        "fall to about zero",
        "unknown; what comes after it once it rose over four readings without a gap",
        "a dead meter shows zeros too, and they do not rise",
    ),
    (
        "fall to any other value",
        "unknown until it is back, or the replacement is entered",
        "no reset ends there, and what was counted once is not counted again",
    ),
    (
        "rise beyond the limit",
        "unknown; what comes after it once it rose over four readings without a gap",
        "another unit or another meter",
    ),
    (
        "return to a line that was left",
        "what it rose by since it was left",
        "it outranks what was settled meanwhile",
    ),
    ("meter swap in the registry", "old one to its last value, new one from its first", "a person"),
    ("any step of a device without its rated power", "unknown", "nothing bounds it"),
)
