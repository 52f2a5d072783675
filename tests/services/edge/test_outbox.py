"""Messages in the outbox stay there, whatever happens to the machine."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from ingest.errors import InputError
from services.edge.metrics import outbox_status as held_in
from services.edge.metrics import summary
from services.edge.outbox import Clock, FullError, Moment, Outbox, Record
from tests.soak import often

MB = 1 << 20


def _open_files(folder):
    """
    Return the open files of a folder in this process; other threads
    also open and close files.
    """
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found.append(str(one.readlink()))
    return sorted(one for one in found if one.startswith(str(folder)))


@contextmanager
def _nothing_stays_open(folder):
    """Check that the block leaves no file open, without garbage collection."""
    gc.collect()
    gc.disable()
    before = _open_files(folder)
    try:
        yield
        assert _open_files(folder) == before
    finally:
        gc.enable()


def _record(k, device="d", size=100):
    return Record(device, {"values": {"k": k}, "fill": "x" * size}, None, Moment(k, k, "boot"))


def _held(outbox, device="d"):
    return [json.loads(w.body)["values"]["k"] for w in outbox.after(0, device, 1_000_000)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


def test_a_message_goes_by_its_receipt_alone(path):
    """A reading would vanish between the broker's word and the database."""
    outbox = Outbox(path, 8 * MB, "thin")
    outbox.put([_record(k) for k in range(3)])
    first, *_ = outbox.after(0, "d", 10)
    assert outbox.free("other", [first.id]) == 0
    assert outbox.free("d", ["17", first.id]) == 1
    outbox.close()
    again = Outbox(path, 8 * MB, "thin")
    assert _held(again) == [1, 2]
    again.close()


def test_kill_9_loses_nothing_that_was_recorded(path):
    """A gateway's power is cut where the plant's is."""
    script = (
        "import sys; from pathlib import Path;"
        "from services.edge.outbox import Outbox, Record;"
        "o = Outbox(Path(sys.argv[1]), 64 << 20, 'thin');"
        "k = int(sys.argv[2])\n"
        "while True:\n"
        "  o.put([Record('d', {'values': {'k': k}})]); print(k, flush=True); k += 1"
    )
    told = -1
    for _ in range(often(2, 5)):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(told + 1)], stdout=subprocess.PIPE
        )
        for _ in range(20):
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        with process.stdout:
            rest = process.stdout.read().split()
        told = int(rest[-1]) if rest else told
        process.wait()
    outbox = Outbox(path, 64 * MB, "thin")
    held = _held(outbox)
    outbox.close()
    assert set(held) >= set(range(told + 1))


@pytest.mark.parametrize("policy", ["thin", "newest", "oldest"])
def test_a_full_outbox_follows_its_policy(path, policy):
    """
    In days without a network, only messages chosen by the plant
    may be deleted, and are counted.
    """
    outbox = Outbox(path, 4 * MB, policy)
    dropped = recorded = 0
    for k in range(0, 1_200, 10):
        try:
            dropped += outbox.put([_record(k + i, f"d{i % 2}", 10_000) for i in range(10)])
            recorded += 10
        except FullError:
            break
    held = sorted(_held(outbox, "d0") + _held(outbox, "d1"))
    assert path.stat().st_size <= 5 * MB
    assert recorded - dropped == len(held)
    assert summary(path)["dropped"] == dropped
    if policy == "oldest":
        assert held == list(range(recorded))
        assert recorded < 1_200
    elif policy == "newest":
        assert held == list(range(held[0], 1_200))
    else:
        assert held[-1] == 1_199
        assert held[0] < 700
        assert {k % 2 for k in held} == {0, 1}
    outbox.close()


def test_a_file_that_was_cut_gives_what_can_still_be_read(path):
    """A card that lost its end must not take all that came before with it."""
    outbox = Outbox(path, 64 * MB, "thin")
    outbox.put([_record(k, size=2_000) for k in range(1_000)])
    outbox.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 + 77)
    rescued = Outbox(path, 64 * MB, "thin")
    held = _held(rescued)
    assert rescued.set_aside is not None
    assert rescued.set_aside.exists()
    assert len(held) > 200
    rescued.put([_record(5_000)])
    assert _held(rescued)[-1] == 5_000
    assert "messages from" in summary(path)["rescued"]
    rescued.close()


@pytest.mark.parametrize("content", [b"", b"no database", os.urandom(9_000)])
def test_what_is_no_outbox_is_set_aside(path, content):
    """A gateway that does not start records nothing."""
    path.write_bytes(content)
    outbox = Outbox(path, 8 * MB, "thin")
    outbox.put([_record(1)])
    assert _held(outbox) == [1]
    outbox.close()


def test_an_outbox_of_another_machine_is_refused_until_it_is_adopted(path, monkeypatch):
    """Two gateways on copies of one outbox would each report the other's readings as theirs."""
    outbox = Outbox(path, 8 * MB, "thin")
    outbox.put([_record(1)])
    outbox.close()
    monkeypatch.setattr("services.edge.outbox.machine", lambda: "elsewhere")
    with pytest.raises(InputError, match="another machine"):
        Outbox(path, 8 * MB, "thin")
    adopted = Outbox(path, 8 * MB, "thin", adopt=True)
    assert _held(adopted) == [1]
    adopted.close()


def test_a_copy_frees_nothing_of_its_original(path, tmp_path):
    """A receipt for one machine would delete messages that only the other one has."""
    Outbox(path, 8 * MB, "thin").close()
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    one, other = Outbox(path, 8 * MB, "thin"), Outbox(copy, 8 * MB, "thin")
    one.put([_record(1)])
    other.put([_record(2)])
    assert one.free("d", [w.id for w in other.after(0, "d", 10)]) == 0
    one.close()
    other.close()


def test_who_looks_lets_go_of_the_outbox(path):
    """A gateway that is watched for years would run out of files."""
    with closing(Outbox(path, 8 * MB, "thin")) as outbox:
        outbox.put([_record(1)])
    # by itself: where another connection of the process has locks, SQLite keeps files for it
    with _nothing_stays_open(path.parent):
        assert summary(path)["waiting"][0]["messages"] == 1
        assert held_in(path, Clock().now()).messages == 1


def test_an_outbox_that_does_not_open_lets_go_of_its_file(path, monkeypatch):
    """A service that is started again and again would hold the lock that it waits for."""
    Outbox(path, 8 * MB, "thin").close()
    with monkeypatch.context() as elsewhere, _nothing_stays_open(path.parent):
        elsewhere.setattr("services.edge.outbox.machine", lambda: "elsewhere")
        with pytest.raises(InputError, match="another machine"):
            Outbox(path, 8 * MB, "thin")
    with _nothing_stays_open(path.parent):
        path.write_bytes(path.read_bytes()[: 3 * 16_384] + b"x" * 16_384)
        Outbox(path, 8 * MB, "thin").close()


def test_two_processes_cannot_share_an_outbox(path):
    """Two copies of an outbox would both send their messages."""
    outbox = Outbox(path, 8 * MB, "thin")
    with pytest.raises(InputError, match="in use"):
        Outbox(path, 8 * MB, "thin")
    outbox.close()


def test_devices_are_found_without_reading_the_backlog(path):
    """A week's backlog would be read ten times a second."""
    outbox = Outbox(path, 64 * MB, "thin")
    outbox.put([_record(k, f"d{k % 7}") for k in range(20_000)])
    steps = []
    outbox._db.set_progress_handler(lambda: steps.append(1) and None, 100)
    assert outbox.devices() == [f"d{k}" for k in range(7)]
    assert len(steps) < 20  # of a hundred instructions; a walk through all would take thousands
    outbox.close()


def test_a_clock_off_by_a_day_is_seen_through():
    """A day's energy would stand on the wrong day, or be refused as coming from the future."""
    clock = Clock()
    day = 86_400_000
    wrong = clock.now()._replace(wall_ms=clock.now().wall_ms + day)
    assert clock.true_ms(wrong) == wrong.wall_ms
    true_now = clock.now().wall_ms - day
    assert clock.correct(true_now) == pytest.approx(day, abs=30_000)
    assert clock.true_ms(wrong) == pytest.approx(true_now, abs=30_000)
    earlier_boot = wrong._replace(boot="another")
    assert clock.true_ms(earlier_boot) == wrong.wall_ms
    assert abs(clock.correct(clock.now().wall_ms + 60_000)) < 90_000
    assert clock.true_ms(wrong) == wrong.wall_ms
