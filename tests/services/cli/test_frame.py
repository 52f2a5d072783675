"""General behaviour of the command line: closed pipes, passwords, shell completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from services.cli.__main__ import reader_is_gone
from services.cli.output import masked
from tests import commands
from tests.invoked import tonne


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`tonne ... | head` said that a server cannot be reached; someone looked for it."""
    reads, writes = os.pipe()
    os.close(reads)
    with commands.start(["registry", "schema"], stdout=writes, stderr=subprocess.PIPE) as process:
        os.close(writes)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(timeout=120) == 141
    assert said == b""


def test_a_connection_that_breaks_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that hangs up must not look like a reader who has seen enough."""

    @click.command()
    def needy() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("services.cli.local.doctor.doctor", needy)
    assert not reader_is_gone()
    result = tonne("doctor", code=3)
    assert "a server cannot be reached" in result.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://tonne:s3cret@db:5432/tonne", "postgresql://tonne:***@db:5432/tonne"),
        ("kafkas://u:a:b@h:9093,i:9093", "kafkas://u:***@h:9093,i:9093"),
        ("mqtt://u:p%40ss@h; and mqtt://v:x@i", "mqtt://u:***@h; and mqtt://v:***@i"),
        ("host=db password=s3cret dbname=x", "host=db password=*** dbname=x"),
        ("host=db password='two words' dbname=x", "host=db password=*** dbname=x"),
        ("postgresql://tonne@db/tonne", "postgresql://tonne@db/tonne"),
        ("http://127.0.0.1:8080/a?b=c@d", "http://127.0.0.1:8080/a?b=c@d"),
    ],
)
def test_passwords_are_masked(text: str, shown: str) -> None:
    """A photograph of a screen in the plant's chat gives the database away."""
    assert masked(text) == shown


def test_an_error_does_not_tell_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of a failed deployment are read by many."""
    monkeypatch.setenv("TONNE_DATABASE_URL", "postgresql://tonne:hidden@127.0.0.1:1/x")
    result = tonne("statement", "list", code=3)
    assert "hidden" not in result.output


def test_local_urls_are_masked_and_json_has_them_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Programs need the URL that connects, people a screen that may be shared."""
    url = "postgresql://tonne:hidden@127.0.0.1:5432/tonne"
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.setattr("services.local.stack.Postgres.url", url, raising=False)
    monkeypatch.setattr("services.local.stack.Postgres.pid", 1, raising=False)
    shown = tonne("local", "status")
    assert "hidden" not in shown.output
    assert "postgresql://tonne:***@127.0.0.1:5432/tonne" in shown.stdout
    told = tonne("local", "status", "--show-passwords")
    assert url in told.stdout
    document = json.loads(tonne("local", "status", "--json").stdout)
    assert document["database_url"] == url


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tonne stat", "statement"),
        ("tonne statement su", "submit"),
        ("tonne devices list --state of", "offline"),
        ("tonne intervals --de", "--device"),
    ],
)
def test_a_shell_completes(words: str, expected: str) -> None:
    """The Tab key is how an operator finds a command at night."""
    given = {
        "_TONNE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    told = tonne(prog_name="tonne", env=given, code=0)
    assert f"plain,{expected}" in told.stdout.splitlines()


def test_completion_loads_no_command() -> None:
    """A second of waiting at each Tab is why people switch completion off."""
    code = (
        "import sys; from services.cli.__main__ import main; import click;"
        " main.shell_complete(click.Context(main), 'st');"
        " print([m for m in sys.modules if m.split('.')[0] in ('psycopg', 'numpy', 'pydantic')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
