"""Rules, routing and scraping as read by Prometheus' tools, and their runbooks."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from services import local
from tests.every import every
from tests.operations.rules import ROOT, RULES, alerts
from tests.operations.rules import every as every_rule

PROMTOOL, AMTOOL = "/usr/bin/promtool", "/usr/bin/amtool"
CONFIGS = sorted((ROOT / "deploy/prometheus").glob("prometheus*.yml"))
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"
CASES = sorted(Path(__file__).parent.glob("rules*_test.yml"))
RUNBOOKS = ROOT / "docs/runbook.md"


@pytest.fixture(scope="module", autouse=True)
def _tools():
    local.require()


def _run(*words):
    # memory is there, and looking for what can be freed takes a third of the time
    done = subprocess.run(
        [str(w) for w in words],
        env=os.environ | {"GOGC": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_and_rules():
    """A typo would leave the city without any alert, and Prometheus without a start."""
    assert len(CONFIGS) == 4
    for config in CONFIGS:
        _run(PROMTOOL, "check", "config", config)
    _run(PROMTOOL, "check", "rules", "--lint-fatal", *RULES)


def _needed(case):
    """Return the rules that a case needs, and those on which they depend, in their groups."""
    groups = [g for path in RULES for g in yaml.safe_load(path.read_text())["groups"]]
    told = {
        rule.get("alert") or rule["record"]: rule["expr"] for g in groups for rule in g["rules"]
    }
    asked = {one["alertname"] for one in case["alert_rule_test"]}
    assert asked <= told.keys()  # of a rule that is not there, promtool says that it does not fire
    for one in case.get("promql_expr_test", []):
        asked |= told.keys() & set(re.findall(r"[\w:]+", one["expr"]))
    kept = set()
    while asked:
        kept.add(name := asked.pop())
        asked |= told.keys() & set(re.findall(r"[\w:]+", told[name])) - kept
    for group in groups:
        group["rules"] = [r for r in group["rules"] if (r.get("alert") or r["record"]) in kept]
    return {"groups": [group for group in groups if group["rules"]]}


def test_rules_do_as_their_cases_say(tmp_path):
    """An alert could come too early, too late, never, or many at once for one cause."""
    files = []
    for path in CASES:
        told = yaml.safe_load(path.read_text())
        for case in told["tests"]:
            # every rule at every minute of every case would be two thirds more work, for nothing
            rules = tmp_path / f"rules-{len(files)}.yml"
            rules.write_text(json.dumps(_needed(case)))
            files.append(tmp_path / f"case-{len(files)}.yml")
            files[-1].write_text(json.dumps({**told, "rule_files": [str(rules)], "tests": [case]}))
    _run(PROMTOOL, "test", "rules", *files)


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
    """Alerts would have no receiver."""
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


def test_an_alert_says_what_how_bad_and_what_to_do():
    """Someone who is woken needs a sentence and a runbook, not a number."""

    @every(alerts())
    def _(rule):
        assert re.fullmatch(r"([A-Z][a-z]+)+", rule["alert"])
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["labels"]["area"]
        assert {"summary", "description", "runbook_url"} <= rule["annotations"].keys()
        page, anchor = rule["annotations"]["runbook_url"].split("#")
        assert ROOT / page == RUNBOOKS
        assert f"\n### {rule['alert']}\n" in RUNBOOKS.read_text()
        assert anchor == rule["alert"].lower()


def test_recording_rules_are_named_by_level_metric_and_operation():
    """Users' own alerts and boards depend on the names of these series."""
    for rule in every_rule():
        if "record" in rule:
            assert re.fullmatch(r"tonne:[a-z_]+:[a-z0-9_]+", rule["record"])
