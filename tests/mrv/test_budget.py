"""
Forged packs are refused before they use up the reader's machine.

Empty columns of a pack are not unpacked; every other column is read.
"""

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mrv.errors import PackTooLargeError
from mrv.packs import LARGE, USUAL, Budget, weight
from mrv.packs.columns import reading_schema
from mrv.packs.reader import read_pack
from mrv.packs.tables import ReadingsFile
from mrv.signatures import canonical
from mrv.verify import verify
from tests.mrv import oversize, packs

ROWS = 50_000
WAYS = (
    {},
    {"use_dictionary": False},
    {"use_dictionary": False, "data_page_version": "2.0"},
    {"data_page_version": "2.0"},
    {"write_statistics": False},
    {"dictionary_pagesize_limit": 64},
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", [0, 33_333, ROWS - 1])
def test_one_value_is_found_however_its_column_is_written(tmp_path, way, place):
    """A reading that the file holds would be missing in the check of its digest and its account."""
    schema = reading_schema("pv_inverter")
    alone = [place == row for row in range(ROWS)]
    columns = {
        "device": ["inv-1"] * ROWS,
        "time": pa.array(np.arange(ROWS) * 60_000_000).cast(pa.timestamp("us", "UTC")),
        "energy_export_wh": [7 if at else None for at in alone],
        "active_power_w": [0.0 if at else None for at in alone],
    }
    nothing = pa.nulls(ROWS)
    table = pa.table(
        [columns.get(f.name, nothing.cast(f.type)) for f in schema], schema=schema
    )  # fmt: skip
    path = tmp_path / "readings.parquet"
    parquet.write_table(table, path, row_group_size=20_000, **way)
    found = [one.columns for one in ReadingsFile(path, "pv_inverter")]
    energy, power, voltage = (
        np.concatenate([one[name] for one in found])
        for name in ("energy_export_wh", "active_power_w", "voltage_v")
    )
    assert len(energy) == ROWS
    assert energy[place] == 7
    assert power[place] == 0.0
    assert np.isnan(voltage).all()


# verifies packs one after another under a limit of memory; a limit of time ends what does not end
_RUN = """
import json, resource, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from mrv.verify.__main__ import main

resource.setrlimit(resource.RLIMIT_DATA, (1_000_000_000,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
for path in sys.argv[1:]:
    out = StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = main([path])
    (most,) = [int(x.split()[1]) for x in open("/proc/self/status") if x.startswith("VmHWM")]
    print(json.dumps([code, out.getvalue(), most]), flush=True)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return the verification output of each forged pack, all in one process of a gigabyte."""
    root = tmp_path_factory.mktemp("oversize")
    paths = {
        name: oversize.forge(root / str(n), write)
        for n, (name, (write, *_)) in enumerate(oversize.CASES.items())
    }
    paths["a zip file that grows"] = oversize.bomb(root / "bomb.zip")
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *map(str, paths.values())],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(paths), done.stderr[-2000:]
    return dict(zip(paths, lines, strict=True))


@pytest.mark.parametrize("case", oversize.CASES)
def test_what_would_fill_the_machine_is_named(told, case):
    """A file without a valid key could exhaust an auditor's machine."""
    _, wanted, text = oversize.CASES[case]
    code, said, _ = told[case]
    assert code == wanted, said[-600:]
    assert text in said, said[-600:]


def test_no_forged_pack_takes_a_gigabyte(told):
    """The check of a forged evidence pack has a memory limit."""
    assert max(most for *_, most in told.values()) < 1_000_000  # KB
    code, said, _ = told["a zip file that grows"]
    assert (code, "when it is unpacked" in said) == (2, True), said


def test_the_whole_pack_is_read_and_the_larger_one_on_request(tmp_path):
    """An honest pack would be refused, and no one could say that it is known."""
    folder = packs.folder(tmp_path / "pack")
    assert verify(read_pack(folder)).failure is None
    small = Budget(documents=50_000)
    with pytest.raises(PackTooLargeError, match="tonne verify --large"):
        read_pack(folder, small)
    few = Budget(interval_rows=95)
    with pytest.raises(PackTooLargeError, match="96 intervals are more than the maximum of 95"):
        verify(read_pack(folder, few))
    with pytest.raises(PackTooLargeError, match="readings of inv-1 are more than"):
        verify(read_pack(folder, Budget(device_values=100)))
    assert LARGE.interval_rows > 10 * USUAL.interval_rows


def test_a_month_of_two_thousand_devices_is_within_the_budget():
    """The largest projects could not be verified by anyone."""
    days = 2_000 * 31
    leaf = {"device": "inv-00001", "day": "2026-01-02", "table": "interval_quantity", "rows": 96,
            "sha256": "0" * 64}  # fmt: skip
    came = {"day": "2026-01-02", "hours": "24", "late": "0", "readings": "96", "span": "24"}
    listed = weight(canonical.legible([leaf])) * 2 * days + weight(canonical.legible([came])) * days
    assert listed < USUAL.documents
    assert days * 96 < USUAL.interval_rows
    assert USUAL.device_values > 31 * 86_400 * 14  # an inverter's reading each second


@pytest.mark.parametrize("data", [
    b"[" + b"{}," * 50_000 + b"{}]", b"[" + b"[]," * 50_000 + b"[]]",
    b"[" + b'{"a":[1]},' * 50_000 + b"{}]", b"[" + b'"ab",' * 50_000 + b'"a"]',
    ("[" + '"\U0001f600",' * 50_000 + "1]").encode(),
    ("{" + ",".join(f'"{n}":1' for n in range(50_000)) + "}").encode(),
])  # fmt: skip
def test_a_document_takes_no_more_memory_than_it_weighs(data):
    """An accepted document would take many times the memory estimated for it."""
    tracemalloc.start()
    try:
        canonical.parse(data)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most + len(data) < 1.3 * weight(data)
