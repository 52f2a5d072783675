"""
CSV files of programs in a plant: imported whole or not at all, with the
number of a wrong line.
"""

import json
import os
import threading
import time

import msgspec
import pytest

from services.edge.config import CsvFolder
from services.edge.csv_folder import LEASE_WAIT_S, UNENDED_S, Folder
from services.edge.metrics import summary
from services.edge.outbox import Clock, Outbox
from services.edge.uplink import Recorder
from services.logs import get_logger
from tests.waiting import until

GOOD = "Thời gian;Chỉ số;Thiết bị\n2026-01-01 00:00;1234,5;c-1\n2026-01-01 00:15;1235,5;c-2\n"
ROWS = [("c-1", "2026-01-01T00:00:00+07:00", 1234.5), ("c-2", "2026-01-01T00:15:00+07:00", 1235.5)]


@pytest.fixture
def folder(tmp_path, request):
    """Return a watched folder, and its outbox; a test sets their options by parameters."""
    drop, path = tmp_path / "drop", tmp_path / "outbox.db"
    drop.mkdir()
    outbox, stopping = Outbox(path, 64 << 20, "thin"), threading.Event()
    source = CsvFolder(
        folder=str(drop),
        columns={"Chỉ số": "energy_import_kwh"},
        time_column="Thời gian",
        timezone="Asia/Ho_Chi_Minh",
        device_column="Thiết bị",
        every_s=0.05,
        **getattr(request, "param", {}),
    )
    watching = Folder(source, Recorder(outbox, Clock(), get_logger("edge")), stopping)
    watching.start()
    yield drop, outbox
    stopping.set()
    watching.join(60)
    assert not watching.is_alive()
    outbox.close()


def _put(drop, data):
    """Put a file there with an old modification time."""
    path = _rested(drop, "export.csv", data, UNENDED_S + 1)
    until(lambda: not path.exists())


def _rested(drop, name, data, seconds):
    """Create a complete file with a given age; return its path."""
    made = drop.parent / name
    made.write_bytes(data)
    os.utime(made, (time.time() - seconds,) * 2)
    return made.rename(drop / name)


def _held(outbox):
    found = [w for name in outbox.devices() for w in outbox.after(0, name, 100)]
    bodies = [(w.device, msgspec.json.decode(w.body)) for w in found]
    return [(name, body["ts"], body["values"]["energy_import_kwh"]) for name, body in bodies]


@pytest.mark.parametrize(
    "data",
    [
        GOOD.encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace(";", "\t").encode(),
        GOOD.replace(",", ".").replace(";", ",").encode(),
    ],
    ids=["semicolons", "byte order mark", "windows", "tabs", "commas"],
)
def test_a_file_is_read_as_its_program_meant_it(folder, data):
    """A comma that is taken for a thousand would be a thousand times the energy."""
    drop, outbox = folder
    _put(drop, data)
    assert _held(outbox) == ROWS
    assert (drop / "done" / "export.csv").read_bytes() == data


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (GOOD.encode("utf-16"), "line 1 is not UTF-8"),
        (GOOD.encode().replace(b"1235", b"\xd5\xe0"), "line 3 is not UTF-8"),
        (GOOD.replace("1235,5", "1.235,5").encode(), "line 3, Chỉ số: '1.235,5' is not a number"),
        (GOOD.replace("1235,5", "nan").encode(), "line 3, Chỉ số: 'nan' is not a measurement"),
        (GOOD.replace("c-2", "c/2").encode(), "line 3: 'c/2' is not a device id"),
        (GOOD.replace("Chỉ số", "Chi so").encode(), "line 1: no column 'Chỉ số'; the file has "),
        (
            GOOD.replace("2026-01-01 00:15", "01/01/2026").encode(),
            "line 3: '01/01/2026' is not a time; write 2026-01-31T12:00:00+01:00, or set ",
        ),
        (GOOD.replace(";c-2", "").encode(), "line 3 has 2 cells but the header 3"),
        (
            GOOD.replace(";", ",").encode(),
            "line 2 has 4 cells but the header 3; the line is incomplete, or",
        ),
        (
            GOOD.replace("1235,5", "1.235").encode(),
            "'1.235' has a '.', but line 2 has the other decimal mark",
        ),
        (GOOD.replace("Thiết bị", "Chỉ số").encode(), "line 1: no column 'Thiết bị'"),
        (GOOD.replace("Thiết", "Chỉ số;Thiết").encode(), "line 1: two columns 'Chỉ số'"),
        (GOOD.replace("1235,5", "1e999").encode(), "'1e999' is not a measurement"),
        (GOOD.replace("c-1\n", "c-1\r").encode(), "line 2: new-line character"),
        (b"", "line 1: no column 'Th"),
    ],
)
def test_one_bad_row_and_nothing_of_the_file_is_taken(folder, data, told):
    """Half a file would be sent again whole once it is mended, and no one knew what had counted."""
    drop, outbox = folder
    _put(drop, data)
    note = drop / "refused" / "export.csv.txt"
    until(lambda: note.exists() and note.read_text("utf-8"))
    assert told in note.read_text("utf-8")
    assert (drop / "refused" / "export.csv").read_bytes() == data
    assert _held(outbox) == []
    (refused,) = summary(outbox.path)["refused"]
    assert told in json.dumps(refused, ensure_ascii=False)


def test_a_number_that_was_cut_short_is_not_taken(folder):
    """A truncated 1235,5 is read as 12: a fallen register, and then the energy of a reset."""
    drop, outbox = folder
    cut = GOOD.encode()[: GOOD.encode().rindex(b"35,5")]
    _put(drop, cut)
    aside = drop / "refused" / "export.last-line.csv"
    assert _held(outbox) == ROWS[:1]
    assert (drop / "done" / "export.csv").read_bytes() == cut
    assert "no newline ends this line" in aside.with_suffix(".csv.txt").read_text("utf-8")
    assert summary(outbox.path)["refused"][0]["reason"].endswith("'2026-01-01 00:15;12'")
    # its technician looks, mends the line and puts it back
    _put(drop, aside.read_bytes() + b"35,5;c-2\n")
    assert _held(outbox) == ROWS


@pytest.mark.parametrize("folder", [{"last_newline": False}], indirect=True)
def test_a_program_that_ends_no_line_loses_none(folder):
    """The last reading of each file of such a program would not be read."""
    drop, outbox = folder
    _put(drop, GOOD.rstrip().encode())
    assert _held(outbox) == ROWS
    assert not (drop / "refused").exists()


def test_a_file_is_left_to_whoever_still_writes_it(folder):
    """What a program writes after the move would be in `done`, and no one would read it."""
    drop, outbox = folder
    path = drop / "export.csv"
    with path.open("wb") as writing:
        writing.write(GOOD.encode()[:-5] + b"\n")
        writing.flush()
        os.utime(path, (time.time() - UNENDED_S - 1,) * 2)
        # which comes after it in the folder
        other = _rested(drop, "other.csv", GOOD.encode(), UNENDED_S + 1)
        until(lambda: not other.exists())
        assert path.exists()
        assert _held(outbox) == ROWS
        # where every file looks open none would ever be taken
        os.utime(path, (time.time() - LEASE_WAIT_S - 1,) * 2)
        until(lambda: not path.exists())


def test_a_line_without_its_end_waits(folder):
    """A line that a program is still writing would be read with a truncated number."""
    drop, outbox = folder
    path = _rested(drop, "export.csv", GOOD.encode()[:-6], UNENDED_S / 10)
    other = _rested(drop, "other.csv", GOOD.encode(), UNENDED_S / 10)
    until(lambda: not other.exists())
    assert path.exists()
    with path.open("ab") as writing:
        writing.write(GOOD.encode()[-6:])
    os.utime(path, (time.time() - UNENDED_S / 10,) * 2)
    until(lambda: not path.exists())
    assert _held(outbox) == sorted(2 * ROWS)
