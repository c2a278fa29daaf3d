"""What is shipped for Prometheus and Grafana: it is well formed, and asks for metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from flask import Flask

from service_event_checker.metrics import REGISTRY
from service_event_checker.web.status.metrics import StateCollector
from tests.conftest import require
from tests.factories import event
from tests.real.parts import PROMETHEUS
from tests.root import ROOT
from tests.web.conftest import CONFIG, MakeApp

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
METRIC = re.compile(r"\bpoc_\w+")
#: families that appear only after something went wrong, or is configured
ENDS = ("_bucket", "_total")

SCENARIO = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'up{{job="platform-outage-checker", instance="a"}}', values: '1 0x20'}}
      - {{series: 'poc_checker_unknown{{checker="github"}}', values: '1x60'}}
      - {{series: 'poc_undelivered_oldest_seconds', values: '0 1000x30'}}
      - {{series: 'poc_requests_refused_total{{route="alert", reason="wrong_token"}}', values: '0+10x60'}}
    alert_rule_test:
      - {{eval_time: 2m, alertname: OutageCheckerDown}}
      - eval_time: 4m
        alertname: OutageCheckerDown
        exp_alerts: [{{exp_labels: {{severity: critical, job: platform-outage-checker, instance: a}},
          exp_annotations: {{summary: The outage checker does not answer,
          description: a cannot be scraped. Alerts and vendor outages are not told while it is down.}}}}]
      - {{eval_time: 29m, alertname: OutageCheckerPageUnreadable}}
      - eval_time: 31m
        alertname: OutageCheckerPageUnreadable
        exp_alerts: [{{exp_labels: {{severity: warning, checker: github}}, exp_annotations: {{
          summary: The status page of github cannot be read,
          description: Its outages are not seen meanwhile. ./outage check github shows the reason.}}}}]
"""


@pytest.fixture
def families(make_app: MakeApp) -> set[str]:
    """The names of all metrics that an app offers."""
    app: Flask = make_app({**CONFIG, "heartbeats": {"cron": {"every": "1h"}}})
    services = app.extensions["services"]
    services.pipeline.ingest([event()], event().starts_at)
    services.heartbeats.hear("cron", event().starts_at)
    found = {family.name for family in REGISTRY.collect()} | {
        family.name for family in StateCollector(services).collect()
    }
    return found | {"poc_heartbeat_age_seconds"}  # after the first run of a job


@pytest.mark.parametrize("file", [RULES, DASHBOARD], ids=["rules", "dashboard"])
def test_each_metric_that_is_asked_for_is_one_that_we_offer(file: Path, families: set[str]) -> None:
    asked = {re.sub("|".join(f"{end}$" for end in ENDS), "", name) for name in METRIC.findall(file.read_text())}

    assert asked
    assert asked - families == set()


def test_the_rules_fire_when_they_should_and_say_what_to_do(tmp_path: Path) -> None:
    require(PROMETHEUS)
    test = tmp_path / "test.yml"
    test.write_text(SCENARIO.format(rules=RULES))

    for arguments in (["check", "rules", str(RULES)], ["test", "rules", str(test)]):
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True)  # noqa: S607
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_can_be_loaded_and_its_panels_stand_side_by_side() -> None:
    dashboard = json.loads(DASHBOARD.read_text())

    panels = dashboard["panels"]
    assert max(Counter(panel["id"] for panel in panels).values()) == 1
    taken = Counter(
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    )
    assert max(taken.values()) == 1
    assert max(x for x, _ in taken) < 24  # the columns of Grafana
    assert all(target["expr"] for panel in panels for target in panel["targets"])
