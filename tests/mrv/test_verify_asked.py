"""Options of a reader, and hostile files given to the commands that verify."""

import io
import random
import shutil
import stat
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from ingest.errors import InputError
from mrv.packs.reader import opened_pack
from mrv.signatures import canonical
from mrv.signatures.keys import write_keyring
from mrv.verify import lines, verify
from mrv.verify.__main__ import main
from mrv.verify.subject import own_keys, time_of_check
from tests.invoked import tonne
from tests.mrv import packs
from tests.mrv import test_trust_root as roots
from tests.mrv.forging import ASKED, RING, STATUS, WHOLE
from tests.soak import often

DRAW = "X\n\x1b[2J\u202eTN-1 is issued and may be relied on"


def folder_of(place):
    """Write the documents of a pack, with the keys that came with it."""
    place.mkdir()
    for name, data in WHOLE.files.items():
        (place / name).write_bytes(data)
    return place


def test_keys_that_came_with_the_pack_are_not_trusted(tmp_path, capsys):
    """Anyone who made the pack would choose whom the auditor trusts."""
    pack = folder_of(tmp_path / "pack")
    (tmp_path / "link.json").symlink_to(pack / "keys.json")
    for file in (pack / "keys.json", tmp_path / "link.json"):
        assert main([str(pack), "--keys", str(file)]) == 2
        assert "is part of the pack" in capsys.readouterr().err
    (tmp_path / "mine.json").write_bytes(write_keyring(RING))
    mine = own_keys(str(tmp_path / "mine.json"), str(pack), ASKED)
    assert set(mine.keys) == set(RING)


def test_a_file_that_is_not_there_is_named_with_its_option(tmp_path, capsys):
    """A reader would see an error number instead of what to do."""
    pack = folder_of(tmp_path / "pack")
    for option in ("--keys", "--status"):
        for file in (tmp_path, tmp_path / "none"):
            assert main([str(pack), option, str(file)]) == 2
            assert f"mrv.verify: {option} {file}: " in capsys.readouterr().err


def test_a_file_without_an_end_is_refused(tmp_path, capsys):
    """A name mistyped would fill the memory of the auditor's machine."""
    pack = folder_of(tmp_path / "pack")
    assert main([str(pack), "--keys", "/dev/zero"]) == 2
    assert "bytes" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://[", "http://x:99999/v1/statements/a", "https://x/y"])
def test_what_is_no_url_of_a_statement_is_named(url):
    """A mistyped address would show our source instead of what to give."""
    result = tonne("verify", url, code=2)
    assert "https://HOST/v1/statements/ID" in result.output
    assert url in result.output


def test_a_time_is_read_in_utc():
    """The check would name another time than the one that was asked for."""
    assert f"{time_of_check('2026-02-10T07:00:00+07:00'):%H:%M}" == "00:00"
    for text in ("0001-01-01T00:00:00+14:00", "now", "2026-02-10"):
        with pytest.raises(InputError, match="--at"):
            time_of_check(text)


def test_a_pack_cannot_write_lines_of_its_own():
    """A forger could print a false result of the verification by a name with control characters."""
    body = canonical.parse_object(WHOLE.files["statement.json"])
    body["credentialSubject"]["statement"] = DRAW
    files = {**WHOLE.files, "statement.json": canonical.encode(body)}
    report = verify(packs.with_files(WHOLE, files), RING, at=ASKED)
    assert report.exit_code == 1
    shown = list(lines(report))
    assert shown[0].startswith("X\\n\\x1b[2J\\u202eTN-1")
    assert all(line.isprintable() for line in shown)


@pytest.mark.parametrize(
    "how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_spoiled_zip_file_is_refused_and_no_traceback(how, tmp_path):
    """A reader of a broken download would see our source instead of what to do."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as made:
        made.writestr("statement.json", WHOLE.files["statement.json"])
    whole, path = out.getvalue(), tmp_path / "pack.zip"
    draw, errors = random.Random(7), []  # noqa: S311 - the same damage on every run
    for _ in range(often(60, 150)):
        data = bytearray(whole)
        data[draw.randrange(4, len(data))] ^= draw.randrange(1, 256)
        path.write_bytes(data)
        try:
            with opened_pack(path):
                pass
        except InputError as error:
            errors.append(str(error))
    assert len(errors) > 20
    assert all(str(path) in said for said in errors)


@pytest.mark.parametrize("name", ["\0x", ".", "/", "a/b/statement.json"])
def test_a_zip_file_without_a_pack_is_named(name, tmp_path):
    """The error would name a folder that no longer exists, or be a traceback."""
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("Q" * len(name), b"{}")
    path.write_bytes(path.read_bytes().replace(b"Q" * len(name), name.encode()))
    with pytest.raises(InputError) as caught, opened_pack(path):
        pass
    assert str(path) in str(caught.value)


def zipped(path, *entries, how=zipfile.ZIP_DEFLATED):
    """Write a zip file of (name, data) entries as given, also duplicates."""
    with zipfile.ZipFile(path, "w", how) as made:
        for name, data in entries:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a name that stands twice
                made.writestr(name, data)
    return path


STATEMENT = WHOLE.files["statement.json"]
OTHER = STATEMENT.replace(b"10.", b"99.")


@pytest.mark.parametrize(
    "entries",
    [
        [("statement.json", STATEMENT), ("statement.json", OTHER)],
        [("statement.json", STATEMENT), ("./statement.json", OTHER)],
        [("p/statement.json", STATEMENT), ("p//statement.json", OTHER)],
        [("p/statement.json", STATEMENT), ("p/./statement.json", OTHER)],
        [("statement.json", STATEMENT), ("../statement.json", OTHER)],
        [("statement.json", STATEMENT), ("/tmp/statement.json", OTHER)],  # noqa: S108 - no file
        [("statement.json", STATEMENT), ("..\\statement.json", OTHER)],
        [("statement.json/x", STATEMENT), ("statement.json", OTHER)],
    ],
)
def test_no_name_of_a_zip_file_stands_for_two_files(entries, tmp_path):
    """One reader would be shown one statement, another one the other."""
    path = zipped(tmp_path / "pack.zip", *entries)
    with pytest.raises(InputError) as caught, opened_pack(path):
        pass
    assert str(path) in str(caught.value)


def ways_to_hide(path):
    """Yield the bytes of a complete zip file, and the same with bytes that no listing shows."""
    data = zipped(path, ("statement.json", STATEMENT), ("x.txt", b"x" * 99)).read_bytes()
    place = data.index(b"PK\x03\x04", 4)
    directory = data.index(b"PK\x01\x02")
    gap = bytearray(data[:place] + b"hidden" + data[place:])
    # as a tool would write it: offsets that leave the bytes out
    second = gap.index(b"PK\x01\x02", gap.index(b"PK\x01\x02") + 4)
    gap[second + 42 : second + 46] = (place + 6).to_bytes(4, "little")
    gap[-6:-2] = (directory + 6).to_bytes(4, "little")
    comment = data[:-2] + (6).to_bytes(2, "little") + b"hidden"
    moved = data[:directory] + b"hidden" + data[directory:]
    yield "whole", data
    yield "before the first", b"hidden" + data
    yield "behind the last", data + b"hidden"
    yield "a comment", comment
    yield "between two", bytes(gap)
    yield "before the directory", moved
    yield (
        "before the directory, counted",
        (moved[:-6] + (directory + 6).to_bytes(4, "little") + moved[-2:]),
    )
    yield "a zip file behind another", zipped(path, ("statement.json", OTHER)).read_bytes() + data


def test_a_zip_file_holds_its_files_and_nothing_else(tmp_path):
    """Other software could read data before or after the zip archive as the pack."""
    path, errors = tmp_path / "pack.zip", {}
    for name, data in ways_to_hide(path):
        path.write_bytes(data)
        try:
            with opened_pack(path) as opened:
                errors[name] = opened.files["statement.json"] == STATEMENT
        except InputError as error:
            errors[name] = str(error)
    assert errors.pop("whole") is True
    assert all("belong to none of its files" in str(said) for said in errors.values()), errors


def test_a_zip_file_of_another_tool_is_read(tmp_path):
    """An auditor who packs a folder again, or gets it as a stream, would be refused."""
    folder = packs.folder(tmp_path / "pack")
    made = [Path(shutil.make_archive(str(tmp_path / "again"), "zip", folder))]
    for force in (False, True):
        path = tmp_path / f"stream-{force}.zip"
        with path.open("wb") as out, zipfile.ZipFile(_Stream(out), "w") as streamed:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    name = file.relative_to(folder).as_posix()
                    with streamed.open(name, "w", force_zip64=force) as entry:
                        entry.write(file.read_bytes())
        made.append(path)
    if info_zip := shutil.which("zip"):
        subprocess.run([info_zip, "-qr", tmp_path / "info.zip", "."], cwd=folder, check=True)
        made.append(tmp_path / "info.zip")
    for path in made:
        with opened_pack(path) as opened:
            assert verify(opened).failure is None, path


class _Stream:
    """A file without seek, so that sizes are written after each entry."""

    def __init__(self, out):
        self.write, self.flush = out.write, out.flush


def test_a_link_in_a_zip_file_or_a_folder_is_refused(tmp_path):
    """A pack would show a file of the auditor's own machine."""
    link = zipfile.ZipInfo("plan.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(tmp_path / "pack.zip", ("statement.json", STATEMENT), (link, b"/etc/hostname"))
    with pytest.raises(InputError, match="not a plain file"), opened_pack(path):
        pass
    pack = folder_of(tmp_path / "pack")
    (pack / "extra").symlink_to("/etc")
    with pytest.raises(InputError, match="link"), opened_pack(pack):
        pass


def test_names_that_look_alike_are_other_files(tmp_path):
    """A file that no one listed would stand where a reader looks for a listed one."""
    pack = folder_of(tmp_path / "pack")
    for name in ("Statement.json", "statement.json ", "stat\u0435ment.json", "\u202ejson.x", "a\n"):
        (pack / name).write_bytes(OTHER)
        with opened_pack(pack) as opened:
            assert verify(opened, RING, STATUS, at=ASKED).failure.name == "form"
        (pack / name).unlink()


@pytest.mark.parametrize(
    "how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA][: often(1, 3)]
)
def test_a_zip_file_that_grows_a_thousand_times_is_refused_before_it_does(how, tmp_path):
    """A small file would fill the auditor's disk."""
    path = zipped(
        tmp_path / "pack.zip",
        ("statement.json", STATEMENT),
        ("plan.json", bytes(80 * 2**20)),
        how=how,
    )
    with pytest.raises(InputError, match="when it is unpacked"), opened_pack(path):
        pass


def test_a_zip_file_that_understates_its_files_is_cut_off(tmp_path):
    """A file that states a small size would unpack without end."""
    path = zipped(tmp_path / "pack.zip", ("statement.json", STATEMENT), ("x", bytes(2**16)))
    data = path.read_bytes()
    size = (2**16).to_bytes(4, "little")
    assert size in data
    path.write_bytes(data.replace(size, (5).to_bytes(4, "little")))
    with pytest.raises(InputError), opened_pack(path):
        pass


def test_a_trust_root_that_was_replaced_is_refused(tmp_path, monkeypatch):
    """A reader with an outdated file would rely on a verifier that the programme has removed."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "home"))
    pack = folder_of(tmp_path / "pack")
    first = roots.signed(roots.root(expires="2100-01-01T00:00:00Z"), *roots.OLD)
    second = roots.signed(roots.root(2, expires="2100-01-01T00:00:00Z", ring=RING[:2]), *roots.OLD)
    third = roots.signed(roots.root(3, expires="2100-01-01T00:00:00Z"), *roots.OLD)
    for data in (first, second):
        (tmp_path / "root.json").write_bytes(data)
        done = tonne("trust", "pin", tmp_path / "root.json", code=0)
    asked = {
        "old": (first, 2, "no longer valid"),
        "old, its field's name written otherwise": (
            first.replace(b'"signed"', b'"\\u0073igned"'), 2, "no longer valid",
        ),
        "another second": (
            roots.signed(roots.root(2, expires="2100-01-01T00:00:00Z"), *roots.OLD), 2, "no longer",
        ),
        "kept": (second, 1, "readings"),
        "the next": (third, 1, "readings"),
        "the next, of other keys": (
            roots.signed(roots.root(3, keys=roots.NEW, expires="2100-01-01T00:00:00Z"), *roots.NEW),
            2, "are required",
        ),
        "the one after the next": (
            roots.signed(roots.root(4, expires="2100-01-01T00:00:00Z"), *roots.OLD), 2, "one after",
        ),
        "another programme's": (
            roots.signed(roots.root(expires="2100-01-01T00:00:00Z", name="land"), *roots.OLD),
            1, "readings",
        ),
        "a keyring": (write_keyring(RING), 1, "readings"),
    }  # fmt: skip
    for where, (data, code, word) in asked.items():
        (tmp_path / "given.json").write_bytes(data)
        done = tonne("verify", pack, "--keys", tmp_path / "given.json")
        assert (done.exit_code, word in done.output) == (code, True), (where, done.output)


def test_nothing_rests_on_keys_that_came_with_the_pack():
    """A reader who gave no keys would be informed that they relied on a log."""
    report = verify(WHOLE, None, STATUS, at=ASKED, accept=("draft",))
    assert report.exit_code == 0
    assert {one.partition(":")[0] for one in report.relied} == {"clock", "rules"}
    assert "log" not in "\n".join(report.relied)


def test_no_more_is_loaded_than_the_check_needs(tmp_path):
    """Each verification would load an installed pandas, a quarter of a second without need."""
    pack = packs.folder(tmp_path)
    program = (
        "import sys; from mrv.verify.__main__ import main;"
        f" code = main([{str(pack)!r}, '--accept', 'draft']);"
        " print('loaded:', code, sorted({'pandas', 'rich'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded: 0 []"
