"""
Small packs, or packs with small stated sizes, that use all memory of a machine when unpacked.

None of them needs a trusted key: the forger lists the files in the manifest.
"""

import json
import zipfile

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ingest.codecs import sparkplug_b  # noqa: F401 - loaded with the classes, before memory is counted
from mrv.packs.pack import manifest_of
from mrv.packs.tables import letter_schema
from mrv.signatures import canonical
from mrv.signatures.keys import SigningKey
from tests.mrv import packs
from tests.soak import SOAK

READINGS, INTERVALS = "readings/pv_inverter.parquet", "intervals.parquet"
LETTERS = "dead_letters.parquet"


def listed(folder):
    """List the files of a folder in its manifest, as they are."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    hashes = {f.relative_to(folder).as_posix(): canonical.sha256_hex(f.read_bytes()) for f in files}
    (folder / "manifest.json").write_bytes(manifest_of(hashes))


def _value(text):
    def write(folder):
        records = json.loads((folder / "factors.json").read_bytes())
        records[0]["value"] = text
        (folder / "factors.json").write_text(json.dumps(records))

    return write


def _document(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def _column(kind, rows, value=None):
    if pa.types.is_string(kind):
        words = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([value]))
        return words.cast(pa.string())
    numbers = np.arange(rows, dtype=np.int64) if value is None else np.full(rows, value)
    return pa.array(numbers).cast(kind)


def _table(name, rows, per_group, values, **more):
    """Write a table of constants with increasing times, in row groups."""

    def write(folder):
        path = folder / name
        schema, first = parquet.read_schema(path), parquet.read_table(path).slice(0, 1).to_pylist()
        with parquet.ParquetWriter(path, schema, compression="zstd", **more) as out:
            for begin in range(0, rows, per_group):
                columns = []
                for field in schema:
                    if pa.types.is_timestamp(field.type):
                        start = int(first[0][field.name].timestamp() * 1e6) + values * begin
                        times = start + values * np.arange(per_group, dtype=np.int64)
                        columns.append(pa.array(times).cast(field.type))
                    else:
                        word = first[0][field.name] if pa.types.is_string(field.type) else 1
                        columns.append(_column(field.type, per_group, word))
                out.write_table(pa.Table.from_arrays(columns, schema=schema), per_group)

    return write


def _letters(rows, detail, *, schema=None, lie=False, **more):
    """Write refused messages, each with the same text."""

    def write(folder):
        own = letter_schema()
        columns = [
            detail(rows) if f.name == "detail" else _column(f.type, rows, "x" if pa.types.is_string(
                f.type) else None)
            for f in own
        ]  # fmt: skip
        table = pa.Table.from_arrays(columns, schema=schema or own)
        parquet.write_table(table, folder / LETTERS, compression="zstd", **more)
        if lie:
            _understate(folder / LETTERS)

    return write


def _understate(path):
    """
    Let the footer state that the largest column is small; its page
    headers state the true size.
    """
    data = path.read_bytes()
    group = parquet.ParquetFile(path).metadata.row_group(0)
    size = max(group.column(i).total_uncompressed_size for i in range(group.num_columns))
    true = _zigzag(size)
    small = bytes([*(0x80 for _ in true[:-1]), 0x01])
    at = data.rindex(true)
    path.write_bytes(data[:at] + small + data[at + len(true) :])
    again = parquet.ParquetFile(path).metadata.row_group(0)
    assert max(again.column(i).total_uncompressed_size for i in range(again.num_columns)) < size


def _zigzag(number):
    """Return a whole number in the compact protocol of Thrift."""
    left, out = number << 1, []
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def _text(characters):
    return lambda rows: pa.array(["x" * characters] * rows)


def _one_word(characters):
    def words(rows):
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ["x" * characters])

    return words


def _coded():
    """Return columns of a file that does not declare the dictionary encoding of its texts."""
    return pa.schema([
        pa.field(f.name, pa.dictionary(pa.int32(), pa.string()) if f.name == "detail" else f.type)
        for f in letter_schema()
    ])  # fmt: skip


def _period(folder):
    said = json.loads((folder / "statement.json").read_bytes())
    period = said["credentialSubject"]["monitoringPeriod"]
    period["from"], period["to"] = "0002-01-01T00:00:00Z", "9998-01-01T00:00:00Z"
    (folder / "statement.json").write_text(json.dumps(said))


def _keys(folder):
    public = [SigningKey(n.to_bytes(32, "big")).public_multikey for n in range(1, 502)]
    ring = [{"name": f"k{n}", "role": "log", "publicKeyMultibase": k} for n, k in enumerate(public)]
    (folder / "keys.json").write_text(json.dumps({"keys": ring}))


def _archived(folder):
    """Add a file in the form of the archive, whose only row group is large."""
    table = parquet.read_table(folder / READINGS)
    flags = table.schema.append(pa.field("flags", pa.string()))
    rows = 300_000
    columns = [
        _column(f.type, rows, "inv-1" if f.name == "device" else "" if f.name == "flags" else None)
        for f in flags
    ]
    (folder / "readings" / "pv_inverter").mkdir()
    parquet.write_table(
        pa.Table.from_arrays(columns, schema=flags),
        folder / "readings" / "pv_inverter" / "day.parquet",
        row_group_size=rows,
    )


_OVER_A_PAGE = 20_000_000
_TWICE = "[{" + ",".join(f'"a{n}":1' for n in range(300_000)) + ',"a299999":1}]'
# what is made of a pack, how the check of it ends, and what it says
_ALL = {
    "a value of two million digits": (_value("1" * 2_000_000), 1, "a number of 2000000 digits"),
    "digits of another script": (_value("\uff11" * 2_000_000), 1, "is not a decimal number"),
    "1e99999999": (_value("1e99999999"), 1, "'1e99999999' is not a decimal number"),
    "nothing but brackets": (_document("seals.json", b"[" * 5_000_000), 1, "nested too deeply"),
    "a key that appears twice": (_document("factors.json", _TWICE.encode()), 1, "appears twice"),
    "many keys": (_keys, 2, "501 keys of keys.json are more"),
    "a period of ten thousand years": (_period, 1, "is longer than 20 years"),
    "strings of twenty megabytes": (_letters(1, _text(_OVER_A_PAGE)), 1, "a page of 20000004"),
    "a footer that lies": (
        _letters(1, _text(_OVER_A_PAGE), lie=True, use_dictionary=False, write_statistics=False),
        1, "a page of 20000010 bytes",
    ),
    "one text for many rows": (
        _letters(131_072, _one_word(900_000), schema=_coded(), store_schema=False), 1, "manifest",
    ),
    "each text is the one before": (
        _letters(2_000, _text(50_000), use_dictionary=False,
                 column_encoding={"detail": "DELTA_BYTE_ARRAY"}),
        1, "in encoding 7",
    ),
    "readings of ten thousand years": (
        _table(READINGS, 4_000, 4_000, 50_000_000_000_000), 1, "more than 20 years from the period",
    ),
    "a large group in the archive": (_archived, 1, "a row group has 300000 rows"),
}  # fmt: skip
# millions of rows or objects, whose limits tests/mrv/test_budget.py also sets low
_LONG = {
    "sixty megabytes of {}": (
        lambda folder: (folder / "factors.json").write_bytes(b"[" + b"{}," * 20_000_000 + b"{}]"),
        2, "memory for documents",
    ),
    "a device with many readings": (
        _table(READINGS, 3_200_000, 800_000, 1_000), 2, "readings of inv-1 are more",
    ),
    "many intervals": (
        _table(INTERVALS, 8_000_000, 800_000, 900_000_000), 2, "8,000,000 intervals are more",
    ),
}  # fmt: skip
CASES = _ALL | _LONG if SOAK else _ALL


def forge(folder, write):
    """Write a complete pack into a folder, and forge it."""
    packs.folder(folder)
    write(folder)
    listed(folder)
    return folder


def bomb(path):
    """Write a zip file that contains a pack and is large when unpacked."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("statement.json", b"{}")
        out.writestr("readings/pv_inverter.parquet", bytes(200_000_000))
    return path
