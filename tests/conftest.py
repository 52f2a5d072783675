"""
Fixtures of all tests: real servers (one file per server), and a clean environment.

All tests run in several processes, each file in one of them; tests named on the command line run in
one process, for debugging.  `-n` overrides both.
"""

import gc
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import memory, programs, workers
from tests.soak import SOAK, often

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
# Files that take longest, in the order in which they start: the last minutes would be one of
# them alone.  Such as wait stand between such as work, so that neither fill the cores together.
LONGEST = (
    "integration/test_apache_kafka.py",
    "services/issuer/test_returned.py",
    "closes/test_closes.py",
    "docket/test_docket.py",
    "services/issuer/test_tampered_database.py",
    "services/test_catalog_month.py",
    "operations/test_alerts.py",
    "services/api/console/test_browser.py",
    "services/issuer/test_submission.py",
    "services/edge/test_gateway.py",
    "figures/test_live_and_closed.py",
    "services/issuer/test_outside_meters.py",
    "closes/test_rules.py",
    "operations/test_rules.py",
    "faults/test_workers.py",
    "services/issuer/test_carried.py",
    "services/issuer/test_seal_beside_commits.py",
    "samples/test_0_1_0_database.py",
    "integration/test_backup.py",
    "mrv/report/test_calculated.py",
    "services/edge/test_full_disk.py",
    "services/api/test_openapi.py",
    "figures/test_one_number.py",
    "services/edge/test_outage.py",
    "integration/test_pipeline_running.py",
    "integration/test_paths_agree.py",
    "integration/test_haiphong.py",
    "services/test_bridge.py",
    "deploy/test_kafka_access.py",
    "security/test_brokers.py",
    "operations/test_scraping.py",
    "grafana/test_dashboards.py",
    "test_tutorial.py",
    "mrv/test_forgeries.py",
    "faults/test_kills.py",
    "services/api/console/test_check.py",
    "deploy/test_image.py",
    "services/test_catalog_year.py",
    "services/test_demo_ports.py",
    "deploy/test_setup.py",
    "services/store/test_expected_months.py",
    "deploy/test_package.py",
    "integration/test_deriving_any_order.py",
    "services/issuer/test_findings.py",
    "services/store/test_pv.py",
    "mrv/test_budget.py",
    "services/api/console/test_another_country.py",
    "services/api/console/test_one_language.py",
    "mrv/report/test_dated_values.py",
)
# what runs beside one busy process on each core, while others wait for servers
WAITING = 5
# a test that takes one of these, or a fixture that takes it, is marked `integration` by itself
SERVERS = {"cluster", "mqtt_broker", "run_kafka", "own_kafka", "embedded_kafka", "s3_server"}

# How long an example takes depends on what else runs, and says nothing of what is tested.  The
# same examples each time, and a fifth as many: a change of something else must not fail on a
# new one.  `make soak` and `tests.fuzz` look for new ones, and for more.
settings.register_profile(
    "tests",
    settings(),
    deadline=None,
    derandomize=not SOAK,
    max_examples=often(20, 100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return the number of processes for all tests, or 0 if tests are named."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return 0
    return len(os.sched_getaffinity(0)) + WAITING


def pytest_collection_modifyitems(items):
    """Mark tests that use servers; order the longest files first, the others by the seed."""
    for item in items:
        if not SERVERS.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("integration")
    rank = {HERE / name: k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """
    Let tests run only programs that a new installation has, and start the processes of a parallel
    run.

    These have a folder in memory, and are forked from one that has imported everything.  Coverage
    would miss the imports.
    """
    config.add_cleanup(programs.begin())
    option = config.option
    if option.tx and option.basetemp is None:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        usual = Path(tempfile.gettempdir())
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(
            stack.enter_context(memory.folder(usual, gigabytes=5))
        )
    memory.begin(config._tmp_path_factory)
    if option.tx and not SOAK and not getattr(option, "cov_source", None):
        folder = config._tmp_path_factory.mktemp("forks")
        option.tx = workers.forked(option.tx, config.invocation_params.args, folder)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Disable garbage collection: there is almost no garbage, and it takes a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish():
    """
    Freeze permanent objects, so that the garbage collector does not visit
    them hundreds of times, and let it look for cycles a thirtieth as often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory, monkeypatch):
    """Remove a developer's settings, and the servers of a running demo, from the environment."""
    for name in os.environ:
        if name.upper().startswith("TONNE_") or name == "KAFKA_HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path_factory.getbasetemp() / "no-servers"))
