"""The image: its contents, their sources, and its user."""

import os
import re
import shlex
import signal
import subprocess
import time

import pytest

from services.cli import COMMANDS
from tests import commands
from tests.deploy.files import DEPLOY, PINNED, ROOT, read
from tests.deploy.installed import install, python313
from tests.running import free_port

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
STEPS = re.sub(r"\\\n\s*", " ", DOCKERFILE).splitlines()
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()
EXTRAS = re.search(r'^ARG EXTRAS="([a-z ]+)"$', DOCKERFILE, re.MULTILINE)[1].split()


def containers(found):
    """Yield all container or service definitions, at any depth."""
    if isinstance(found, dict):
        yield found
    for part in found.values() if isinstance(found, dict) else found:
        if isinstance(part, dict | list):
            yield from containers(part)


def deployed():
    """Return each command that compose and Kubernetes run in the image, once for all replicas."""
    files = [*DEPLOY.glob("compose*.yaml"), *DEPLOY.glob("kubernetes/*/*.yaml")]
    words = {
        shlex.join(map(str, one.get("command") or one.get("args") or ()))
        for path in files
        for one in containers(read(path))
        if str(one.get("image", "")).startswith("tonne")
    }
    return sorted({re.sub(r"-\d+\b", "-0", one) for one in words - {""}})


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """Return the `bin` of the image's contents: the locked set on its own Python."""
    return install(tmp_path_factory, "image", EXTRAS, python313())


@pytest.fixture(scope="session")
def installed(image):
    """Return the image's Python, which forks for each process."""
    names = {words.split()[0] for words in deployed()}
    modules = (f"services.cli.{COMMANDS[name].where.partition(':')[0]}" for name in sorted(names))
    return commands.Installed(image / "python", ("services.cli.__main__", *modules))


@pytest.mark.parametrize("words", deployed())
def test_each_deployed_process_starts_and_looks_for_its_server(installed, tmp_path, words):
    """A process whose extra is not in the image dies at the first start of an upgrade."""
    # these go on looking, so that their alerts are raised
    waits = words.startswith(("watch", "archive run --every"))
    filled = (
        words.replace("/var/lib/", f"{tmp_path}/")
        .replace("$(POD_NAME)", "pod-0")
        .replace("${MQTT_HOST:-localhost}", "localhost")
    )
    if words.startswith(("run", "bridge", "worker")):
        filled += " --wait 0"  # a start waits for its servers
    with (tmp_path / "said").open("w+", encoding="utf-8") as said:
        process = commands.start(
            shlex.split(filled),
            installed=installed,
            cwd=tmp_path,
            stdout=said,
            stderr=said,
            env={
                "PATH": os.environ["PATH"],
                "TONNE_HOME": str(tmp_path / "home"),
                "TONNE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
                "TONNE_MQTT_URL": "mqtt://127.0.0.1:9",
                "TONNE_KAFKA_URL": "kafka://127.0.0.1:9",
                "TONNE_ARCHIVE_URL": str(tmp_path / "archive"),
                "TONNE_METRICS_BIND": f"127.0.0.1:{free_port()}",
                "TONNE_API_BIND": f"127.0.0.1:{free_port()}",
            },
        )
        code = ended(process, tmp_path / "said", waits=waits)
    text = (tmp_path / "said").read_text("utf-8")
    assert "cannot be used" in text or "no Kafka broker answers" in text, text
    assert code in ({0, -signal.SIGTERM} if waits else {3}), text


def ended(process, said, *, waits):
    """Return the exit code of a process; one that waits for its server is stopped."""
    for _ in range(1_200):
        if process.poll() is not None:
            return process.returncode
        if waits and "cannot be used" in said.read_text("utf-8"):
            process.send_signal(signal.SIGTERM)
            return process.wait(timeout=60)
        time.sleep(0.1)
    process.kill()
    process.wait()
    return pytest.fail(f"neither ended nor told what it misses: {said.read_text('utf-8')}")


def test_the_image_writes_reports(image, tmp_path):
    """Every PDF and workbook of a deployed server would be refused with 422."""
    modules = "mrv.report.page, mrv.report.sheets, mrv.report.sheets.programme"
    subprocess.run([image / "python", "-c", f"import {modules}"], cwd=tmp_path, check=True)


def test_the_image_holds_no_tool_of_ours(image):
    """A linter or an installer in the image is one more to patch."""
    held = {path.name for path in image.iterdir()}
    assert "tonne" in held
    assert not held & {"pytest", "mypy", "ruff", "pip", "uv", "hatchling"}


def test_the_image_is_pinned_and_not_root():
    """
    An unpinned base image changes every week; a process run as
    root is one flaw from the host.
    """
    bases = [line.split()[1] for line in STEPS if line.startswith("FROM ")]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert all(PINNED.match(base) for base in bases)
    users = [line.split()[1] for line in STEPS if line.startswith("USER ")]
    assert users == ["10001:10001"]
    assert STEPS.index("USER 10001:10001") > max(
        k for k, line in enumerate(STEPS) if line.startswith(("RUN", "COPY"))
    )
    assert 'ENTRYPOINT ["tonne"]' in STEPS


def test_nothing_is_installed_without_its_hash():
    """Images install only packages whose hash is in the lock file."""
    installs = [
        part
        for line in STEPS
        if line.startswith("RUN")
        for part in line.split("&&")
        if "pip install" in part
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in p or "--no-deps --no-index" in p for p in installs)


def test_what_is_copied_is_there_and_not_ignored():
    """The builder sees only what .dockerignore lets through."""
    copied = [
        source
        for line in STEPS
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert IGNORED[1] == "*"
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in IGNORED, source
