"""
Evidence packs as files: their documents and tables, written and read; their maximum size.

The only package of `mrv` that opens files: `pack` describes the contents, `reader` reads a folder
or a zip file, `tables` reads and writes the Parquet files with the columns of `columns`.

A forged pack can have a valid manifest of another key, so hashes and signatures do not limit its
size.  Bytes, values and digits of documents, and rows and pages of tables, are counted before
reading.  Tables are read in batches; `docs/verify.md` has the same figures.  All commands load this
file, so it does not load numpy.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass

from ingest.errors import InputError
from mrv.errors import PackTooLargeError

MAX_FILES = 20_000  # a year of daily archive files, for several classes and sites
# bytes of memory of a JSON value in addition to its text, by the character before it
_MARKS = {b"{": 160, b"[": 88, b",": 32, b'"': 24, b":": 96}
_MAX_DIGITS = 128
_LONG = re.compile(rb"(?<![0-9])[0-9]{%d,}" % (_MAX_DIGITS + 1))
_AS_ZERO, _ALL_DIGITS = bytes.maketrans(b"123456789", b"0" * 9), b"0" * (_MAX_DIGITS + 1)
_MB = 1_000_000
# maximum length of a monitoring period, and of readings before and after it [years]
MAX_YEARS = 20


@dataclass(frozen=True, slots=True)
class Budget:
    """
    Remaining size that may be read of a pack.

    `documents`: memory of all documents when read. [bytes]
    `devices`: devices of the plan.
    `keys`: number of keys in the pack.
    `device_values`: number of values of one device's readings, in all columns.
    `memory_values`: number of values of several files in memory together.
    `interval_rows`: rows of intervals.
    `letter_rows`: rejected messages.
    `download`: bytes of a zip file that is downloaded.
    `times_packed`: maximum ratio of unpacked to packed size of a zip file.
    """

    documents: int = 512 * _MB
    devices: int = 20_000
    keys: int = 500
    device_values: int = 40_000_000
    memory_values: int = 60_000_000
    interval_rows: int = 7_000_000
    letter_rows: int = 10_000_000
    download: int = 2_000 * _MB
    times_packed: int = 20


USUAL = Budget()
# limits for a pack from a known author, on a machine with sufficient memory
LARGE = Budget(*(20 * maximum for maximum in astuple(USUAL)))
LARGER = (
    "if you know who made the pack, read it with `tonne verify --large` (in other "
    "commands TONNE_LARGE_PACKS=true) on a machine with more memory"
)


def weight(data: bytes) -> int:
    """Return the maximum bytes of memory for reading a JSON document."""
    text = len(data) if data.isascii() else 4 * len(data)
    return len(data) + text + sum(data.count(mark) * size for mark, size in _MARKS.items())


def check_numbers(data: bytes) -> None:
    """
    Check that no number of a document is longer than the maximum.

    Raises InputError that states the length.
    """
    # a fast check first, as a document of digests consists mostly of digits
    if _ALL_DIGITS in data.translate(_AS_ZERO) and (match := _LONG.search(data)):
        raise InputError(
            f"it contains a number of {len(match[0])} digits; {_MAX_DIGITS} is the maximum"
        )


def too_much(what: str, there: int, limit: int) -> PackTooLargeError:
    """
    Return the error for a pack above the maximum size.

    `what`: the counted items.  `there`, `limit`: their number, and the maximum.
    """
    sentence = f"{there:,} {what} are more than the maximum of {limit:,}"
    return PackTooLargeError(f"{sentence}; {LARGER}")
