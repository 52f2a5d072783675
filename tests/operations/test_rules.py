"""Rules, routing and scraping as Prometheus' own tools read them, and their runbooks."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from services.local import packages
from tests.operations.rules import ROOT, RULES, alerts, every

PROMTOOL, AMTOOL = "/usr/bin/promtool", "/usr/bin/amtool"
CONFIGS = sorted((ROOT / "deploy/prometheus").glob("prometheus*.yml"))
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"
CASES = sorted(Path(__file__).parent.glob("rules*_test.yml"))
RUNBOOKS = ROOT / "docs/operations.md"
names = pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])


@pytest.fixture(scope="module", autouse=True)
def _tools():
    packages.require()


def _run(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_and_rules():
    """A typo would leave the city without any alert, and Prometheus without a start."""
    assert len(CONFIGS) == 4
    for config in CONFIGS:
        _run(PROMTOOL, "check", "config", config)
    _run(PROMTOOL, "check", "rules", "--lint-fatal", *RULES)


@pytest.mark.timeout(900)  # a minute of one processor
def test_rules_do_as_their_cases_say():
    """An alert could come too early, too late, never, or many at once for one cause."""
    _run(PROMTOOL, "test", "rules", *CASES)


def test_every_alert_has_a_case():
    """A rule that no case tries may never fire."""
    tried = {
        one["alertname"]
        for file in CASES
        for case in yaml.safe_load(file.read_text())["tests"]
        for one in case["alert_rule_test"]
        if one.get("exp_alerts")
    }
    assert {rule["alert"] for rule in alerts()} - tried == set()


def test_alertmanager_takes_its_configuration():
    """Alerts that nobody receives."""
    _run(AMTOOL, "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=page area=account alertname=AuditChainBroken", "on-call"),
        ("severity=ticket area=account alertname=CalibrationExpiring project=roof", "tickets"),
    ],
)
def test_pages_wake_somebody_and_tickets_do_not(labels, receiver):
    """A calibration in two months would ring at three in the morning."""
    _run(
        AMTOOL,
        "config",
        "routes",
        "test",
        f"--config.file={ALERTMANAGER}",
        f"--verify.receivers={receiver}",
        *labels.split(),
    )


def test_inhibition_names_alerts_that_exist():
    """A renamed alert would storm again."""
    known = {rule["alert"] for rule in alerts()}
    for rule in yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]:
        for matcher in [*rule["source_matchers"], *rule["target_matchers"]]:
            assert set(re.search(r'"(.*)"', matcher)[1].split("|")) <= known


@names
def test_an_alert_says_what_how_bad_and_what_to_do(rule):
    """Somebody who is woken needs a sentence and a runbook, not a number."""
    assert re.fullmatch(r"([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["labels"]["area"]
    assert {"summary", "description", "runbook_url"} <= rule["annotations"].keys()
    page, anchor = rule["annotations"]["runbook_url"].split("#")
    assert ROOT / page == RUNBOOKS
    assert f"\n### {rule['alert']}\n" in RUNBOOKS.read_text()
    assert anchor == rule["alert"].lower()


def test_recording_rules_are_named_by_level_metric_and_operation():
    """Others build on these names."""
    for rule in every():
        if "record" in rule:
            assert re.fullmatch(r"tonne:[a-z_]+:[a-z0-9_]+", rule["record"])
