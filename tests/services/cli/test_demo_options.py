"""What `tonne demo` says before it starts anything."""

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
