"""
Fixtures of all tests: real servers, one file a server, and a clean environment.

All tests run in several processes, a file in one of them; what is named on the command
line runs in one process, as a debugger wants it.  `-n` says otherwise in both cases.
"""

import fcntl
import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.fix_timescale",
    "tests.fix_mqtt",
    "tests.fix_kafka",
    "tests.fix_pipeline",
    "tests.fix_node",
    "tests.fix_s3",
]
HERE = Path(__file__).parent
# as the command `tonne` has it: the threads of small products wait for each other
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Files that take longest, for the most part waiting, in the order in which they start: the
# last minutes would be one of them alone.
LONGEST = (
    "faults/test_kills_of_the_pipeline.py",
    "faults/test_kills_of_the_broker.py",
    "integration/test_paths_agree.py",
    "faults/test_workers.py",
    "operations/test_alerts.py",
    "services/edge/test_outage.py",
    "services/edge/test_gateway.py",
    "security/test_brokers.py",
    "faults/test_kills_of_the_database.py",
)
_FRESH = not list(HERE.glob("mrv/__pycache__/*-pytest-*.pyc"))
# what runs beside one busy process on each core, while others wait for servers
WAITING = 2

# how long an example takes depends on what else runs, and says nothing of what is tested
settings.register_profile(
    "tests", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return how many processes run all tests, or 0 for none where tests are named."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return 0
    return len(os.sched_getaffinity(0)) + WAITING


def pytest_collection_modifyitems(items):
    """Put the longest files first; the others stay in the order of the run's seed."""
    rank = {HERE / name: k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session):
    """In a fresh checkout, let one process compile the modules of tests, and the others read it."""
    if not _FRESH or "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with Path(__file__).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(lock, fcntl.LOCK_SH)
            fcntl.flock(lock, fcntl.LOCK_UN)
        return (yield)


def pytest_collection_finish():
    """What was loaded stays: no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory, monkeypatch):
    """No test may see a developer's settings, or use the servers of a demo that runs."""
    for name in os.environ:
        if name.upper().startswith("TONNE_") or name == "KAFKA_HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path_factory.getbasetemp() / "no-servers"))
