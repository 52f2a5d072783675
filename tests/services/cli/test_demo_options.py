"""What `tonne demo` says before it starts anything."""

import shutil

from services.cli.local.demo import what_next
from services.cli.local.demo_stage import Stage
from tests.invoked import tonne


def test_resume_without_an_earlier_demo_says_what_to_run(monkeypatch, tmp_path):
    """Servers without data would start, and an empty console would look like a defect."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    told = tonne("demo", "--resume", code=2)
    assert f"no demo was run in {tmp_path}; run `tonne demo` first" in told.stderr
    assert not (tmp_path / "local.json").exists()


def test_once_and_resume_exclude_each_other():
    """One ends when all is verified, the other verifies nothing."""
    assert tonne("demo", "--once", "--resume").exit_code == 2


def test_what_to_do_next_can_be_typed_as_it_stands(tmp_path, capsys, monkeypatch):
    """After `make demo` no PATH leads to `tonne`: the next command would be "not found"."""
    stage = Stage(tmp_path)
    what_next(stage)
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert len(told) == 4
    assert [word for word in told if shutil.which(word) is None] == []
    (tmp_path / "tonne").write_text("#!/bin/sh\n")
    (tmp_path / "tonne").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    what_next(stage)
    assert capsys.readouterr().out.count("  tonne ") == 4
