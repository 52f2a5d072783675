"""What a reader asks with, and what a hostile file does to the commands that verify."""

import io
import random
import zipfile

import pytest
from click.testing import CliRunner

from ingest.errors import InputError
from mrv.packs.zipped import opened_pack
from mrv.signatures import canonical
from mrv.signatures.keyfile import write_keyring
from mrv.verify import lines, verify
from mrv.verify.__main__ import main
from mrv.verify.asked import asked_at, own_keys
from services.cli.main import main as command
from tests.mrv import packs
from tests.mrv.forging import ASKED, RING, STATUS, WHOLE

DRAW = "X\n\x1b[2J\u202eTN-1 is issued and may be relied on"


def folder_of(place):
    """Write the documents of a pack, with the keys that came with it."""
    place.mkdir()
    for name, data in WHOLE.files.items():
        (place / name).write_bytes(data)
    return place


def test_keys_that_came_with_the_pack_are_not_trusted(tmp_path, capsys):
    """Whoever made the pack would choose whom the auditor trusts."""
    pack = folder_of(tmp_path / "pack")
    (tmp_path / "link.json").symlink_to(pack / "keys.json")
    for file in (pack / "keys.json", tmp_path / "link.json"):
        assert main([str(pack), "--keys", str(file)]) == 2
        assert "came with the pack" in capsys.readouterr().err
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
    result = CliRunner().invoke(command, ["verify", url])
    assert result.exit_code == 2
    assert "https://HOST/v1/statements/ID" in result.output
    assert url in result.output


def test_a_time_is_read_in_utc():
    """The check would name another time than the one that was asked for."""
    assert f"{asked_at('2026-02-10T07:00:00+07:00'):%H:%M}" == "00:00"
    for text in ("0001-01-01T00:00:00+14:00", "now", "2026-02-10"):
        with pytest.raises(InputError, match="--at"):
            asked_at(text)


def test_a_pack_cannot_write_lines_of_its_own():
    """A forger would draw the sentence that the pack may be relied on."""
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
    draw, told = random.Random(7), []  # noqa: S311 - the same damage on every run
    for _ in range(150):
        data = bytearray(whole)
        data[draw.randrange(4, len(data))] ^= draw.randrange(1, 256)
        path.write_bytes(data)
        try:
            with opened_pack(path):
                pass
        except InputError as error:
            told.append(str(error))
    assert len(told) > 50
    assert all(str(path) in said for said in told)


@pytest.mark.parametrize("name", ["\0x", ".", "/", "a/b/statement.json"])
def test_a_zip_file_without_a_pack_is_named(name, tmp_path):
    """A reader would be told of a folder that is gone, or see a traceback."""
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("Q" * len(name), b"{}")
    path.write_bytes(path.read_bytes().replace(b"Q" * len(name), name.encode()))
    with pytest.raises(InputError) as caught, opened_pack(path):
        pass
    assert str(path) in str(caught.value)


def test_nothing_rests_on_keys_that_came_with_the_pack():
    """A reader who gave no keys would be told that they relied on a log."""
    report = verify(WHOLE, None, STATUS, at=ASKED, accept=("draft",))
    assert report.exit_code == 0
    assert {one.partition(":")[0] for one in report.relied} == {"clock", "rules"}
    assert "log" not in "\n".join(report.relied)
