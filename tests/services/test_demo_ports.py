"""The demo beside other programs that use its ports."""

import urllib.request
from contextlib import ExitStack

import pytest

from ingest.errors import ServerError
from services.cli.local import demo_stage
from services.cli.local.demo_stage import LISTENS, Stage
from services.local import choose
from tests import commands
from tests.ports import taken_outside


@pytest.fixture
def taken(monkeypatch):
    """Keep the usual ports of the demo occupied during a test."""
    with ExitStack() as held:
        for words, one in LISTENS.items():
            port = held.enter_context(taken_outside()).getsockname()[1]
            monkeypatch.setitem(LISTENS, words, one._replace(port=port))
        yield


@pytest.fixture
def stage(pipeline):
    found = Stage(pipeline.home)
    found.packs.mkdir(exist_ok=True)
    return found


@pytest.fixture
def forked(monkeypatch):
    """Use the demo processes of other tests; the last test starts Python itself."""

    def start(argv, environment, log):
        with log.open("wb") as out:
            return commands.start(
                argv[len(commands.TONNE) :], env=environment, stdout=out, stderr=out
            )

    monkeypatch.setattr(demo_stage, "start", start)


@pytest.fixture
def late(monkeypatch):
    """Let another demo take each port between the choice and the start: one choice is outdated."""
    stale = {one.port for one in LISTENS.values()}

    def chosen(port):
        if port in stale:
            stale.remove(port)
            return port
        return choose(port)

    monkeypatch.setattr(demo_stage, "choose", chosen)


def _get(url):
    with urllib.request.urlopen(url, timeout=60) as page:  # noqa: S310 - our own
        return page.read()


@pytest.mark.usefixtures("taken", "forked")
def test_ports_that_are_taken_give_way(stage, capsys):
    """A colleague's demo, or any server on a usual port, would end ours."""
    with stage.running("run") as run, stage.running("api") as api:
        assert b"tonne_ingest_messages" in _get(f"http://{stage.metrics}/metrics")
        assert _get(f"http://{stage.api}/readyz")
        assert run.poll() is None
        assert api.poll() is None
    said = capsys.readouterr().out
    assert f"port {LISTENS['run'].port} is in use: {stage.metrics} instead" in said
    assert f"port {LISTENS['api'].port} is in use: {stage.api} instead" in said


@pytest.mark.usefixtures("taken", "late", "forked")
def test_a_port_that_is_taken_at_the_last_moment_gives_way_too(stage):
    """Of two demos started together the second would end with an error of its pipeline."""
    with stage.running("run"), stage.running("api"):
        assert b"tonne_ingest_messages" in _get(f"http://{stage.metrics}/metrics")
        assert _get(f"http://{stage.api}/readyz")


@pytest.mark.usefixtures("taken", "forked")
def test_no_port_at_all_is_said_once(stage, monkeypatch):
    """Tries without end would look like a demo that hangs."""
    monkeypatch.setattr(demo_stage, "choose", lambda port: port)
    said = f"no port near {LISTENS['run'].port} is free"
    with pytest.raises(ServerError, match=said), stage.running("run"):
        pass


def test_a_process_that_fails_for_another_reason_is_not_started_again(tmp_path, monkeypatch):
    """The error text of a process would be hidden by attempts at other ports."""
    stage = Stage(tmp_path)  # no server is up there
    stage.packs.mkdir(exist_ok=True)
    with stage.running("run") as process:
        assert process.poll() == 2
    assert b"TONNE_DATABASE_URL" in (stage.packs / "run.log").read_bytes()
