"""Secrets that are shown once can be read by a shell: `T=$(tonne api keys create ..)`."""

import json

import pytest

from tests.holders import OPTIONS
from tests.invoked import tonne as invoke
from tests.services.test_credentials import tonne  # noqa: F401 - a fixture


@pytest.fixture
def run(tonne, monkeypatch):  # noqa: F811
    """Run a command on a database with two devices; return both output streams."""
    monkeypatch.setenv("TONNE_WEBHOOK_NETWORKS", "127.0.0.1")
    tonne.register("a", "b")
    tonne("registry", "issue-credentials", "--all")

    def done(*words):
        told = invoke(*words, code=0)
        return told.stdout, told.stderr

    return done


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("api", "keys", "create", "--role", "auditor", "--name"), "token"),
        (("webhooks", "add", "--url", "http://127.0.0.1:9/", "--topic", "alarm"), "secret"),
        (
            ("keys", "create", "--no-enroll", *OPTIONS["verifier"], "--role", "verifier", "--name"),
            "publicKeyMultibase",
        ),
        (("registry", "enrol-token"), "token"),
    ],
    ids=lambda one: " ".join(one[:2]) if isinstance(one, tuple) else one,
)
def test_one_line_is_the_secret_and_the_rest_is_said(run, words, key):
    """`T=$(..)` would capture explanations in addition to the token."""
    out, said = run(*words, "a")
    assert len(out.split()) == 1
    assert out.endswith("\n")
    assert said.strip()
    assert out.strip() not in said
    document = json.loads(run(*words, "b", "--json")[0])
    made = document[0] if isinstance(document, list) else document
    assert len(made[key]) == len(out.strip())


def test_a_rotated_secret_is_alone_too(run):
    """The receiver would be given a secret that verifies nothing."""
    first, _ = run("webhooks", "add", "a", "--url", "http://127.0.0.1:9/")
    second, said = run("webhooks", "rotate", "a")
    assert len(second.split()) == 1
    assert second != first
    assert "ends in" in said


def test_tokens_of_several_devices_come_in_their_order(run):
    """A gateway would be handed another one's token."""
    out, said = run("registry", "enrol-token", "b", "a")
    assert len(out.split()) == 2
    assert [line.split(":")[0] for line in said.splitlines()[:2]] == ["b", "a"]
