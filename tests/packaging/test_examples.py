"""The files in examples/ are what their programs take, and do what their comments say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.engine.heartbeat import HEARTBEAT_SETTING
from service_event_checker.sources.azure_monitor import hook as azure_monitor
from service_event_checker.sources.grafana import hook as grafana
from service_event_checker.web import create_app
from tests.conftest import require
from tests.real.alertmanager import Alertmanager
from tests.real.parts import AMTOOL, PROMTOOL, Part
from tests.real.webhooks import Webhooks
from tests.root import ROOT

EXAMPLES = ROOT / "examples"
OURS = 'job="outage-checker"'
WELL = {f"up{{{OURS}}}": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples, with the two secret files that they name."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    (folder / "webhook.token").write_text("canary-4711")
    (folder / "metrics.token").write_text("canary-4712")
    return folder


def run(part: Part, *words: str | Path) -> str:
    """Return all that the program says; fail when it finds fault."""
    require(part)
    answer = subprocess.run([str(part.find()), *words], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_alertmanager_takes_its_example(folder: Path) -> None:
    assert "3 receivers" in run(AMTOOL, "check-config", folder / "alertmanager.yml")


@pytest.mark.parametrize(
    ("label", "receivers"),
    [
        ("severity=critical", "azure-devops"),
        ("ticket=redmine", "redmine"),
        ("ticket=both", "azure-devops,redmine"),
        ("job=outage-checker", "people"),
    ],
)
def test_a_label_chooses_where_an_alert_goes(folder: Path, label: str, receivers: str) -> None:
    said = run(AMTOOL, "config", "routes", "test", f"--config.file={folder / 'alertmanager.yml'}", label)

    assert said.strip() == receivers


def test_its_messages_come_to_both_addresses_with_the_token_and_so_does_the_end(
    folder: Path, start_alertmanager: Callable[[str], Alertmanager]
) -> None:
    config = (folder / "alertmanager.yml").read_text()
    fast = config.replace("group_wait: 10s", "group_wait: 1s").replace("group_interval: 1m", "group_interval: 1s")
    with Webhooks() as webhooks:
        here = fast.replace("https://outages.example.com", webhooks.url)
        alertmanager = start_alertmanager(here.replace("webhook.token", str(folder / "webhook.token")))
        alertmanager.fire(alertname="DiskFull", ticket="both")
        fired = [webhooks.next()["status"], webhooks.next()["status"]]
        alertmanager.resolve(alertname="DiskFull", ticket="both")
        over = [webhooks.next()["status"], webhooks.next()["status"]]

    assert (fired, over) == (["firing", "firing"], ["resolved", "resolved"])
    assert sorted(request.path for request in webhooks.requests) == ["/alert", "/alert", "/webhook", "/webhook"]
    assert {request.headers["Authorization"] for request in webhooks.requests} == {"Bearer canary-4711"}


def test_prometheus_takes_its_example_and_the_rules(folder: Path) -> None:
    said = run(PROMTOOL, "check", "config", folder / "prometheus.yml")

    assert "1 rule files found" in said
    assert "8 rules found" in run(PROMTOOL, "check", "rules", folder / "rules.yml")


@pytest.mark.parametrize(
    ("series", "fires"),
    [
        (WELL, None),
        ({}, "OutageCheckerDown"),
        ({f"up{{{OURS}}}": 0}, "OutageCheckerDown"),
        (WELL | {'up{job="web",instance="web-1:9100"}': 0}, "TargetDown"),
        (
            WELL | {'node_filesystem_avail_bytes{fstype="ext4"}': 4, 'node_filesystem_size_bytes{fstype="ext4"}': 100},
            "DiskAlmostFull",
        ),
        (WELL | {f"poc_store_up{{{OURS}}}": 0}, "OutageCheckerStoreAway"),
        (WELL | {f"poc_heartbeat_age_seconds{{{OURS}}}": 90}, "OutageCheckerStandsStill"),
        (WELL | {f'poc_dead_letters{{{OURS},receiver="slack"}}': 1}, "OutageCheckerGaveUp"),
        (WELL | {f"poc_undelivered_oldest_seconds{{{OURS}}}": 1000}, "OutageCheckerIsBehind"),
        (WELL | {f'poc_checker_unknown{{{OURS},checker="github"}}': 1}, "VendorUnknown"),
    ],
)
def test_a_rule_fires_on_what_it_is_for_and_no_other_does(
    folder: Path, series: dict[str, float], fires: str | None
) -> None:
    # https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/; JSON is YAML
    firing = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": "70m",
        "exp_samples": [{"labels": f'{{alertname="{fires}"}}', "value": 1}] if fires else [],
    }
    case = {
        "interval": "30s",
        "input_series": [{"series": name, "values": f"{value}x140"} for name, value in series.items()],
        "promql_expr_test": [firing],
    }
    file = folder / "rules.test.json"
    file.write_text(json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "30s", "tests": [case]}))

    assert "SUCCESS" in run(PROMTOOL, "test", "rules", file)


def test_each_metric_of_ours_that_a_rule_asks_for_is_one_that_we_serve(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"destinations": {"chat": {"kind": "console"}}}))
    app = create_app({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db"})
    store = app.extensions["services"].store
    store.prepare()
    store.set_setting(HEARTBEAT_SETTING, datetime.now(UTC).isoformat())

    served = set(re.findall(r"^# TYPE (poc_\w+)", app.test_client().get("/metrics").text, re.MULTILINE))

    asked = set(re.findall(r"poc_\w+", (EXAMPLES / "rules.yml").read_text()))
    assert asked
    assert asked <= served


def test_prometheus_takes_the_example_without_an_alertmanager(folder: Path) -> None:
    said = run(PROMTOOL, "check", "config", folder / "prometheus-direct.yml")

    assert "SUCCESS" in said
    (sender,) = yaml.safe_load((folder / "prometheus-direct.yml").read_text())["alerting"]["alertmanagers"]
    assert sender.get("path_prefix") is None  # it adds /api/v2/alerts by itself


def test_the_contact_point_of_grafana_names_our_address(folder: Path) -> None:
    (point,) = yaml.safe_load((folder / "grafana-contact-point.yml").read_text())["contactPoints"]
    (receiver,) = point["receivers"]

    assert (receiver["type"], receiver["settings"]["authorization_scheme"]) == ("webhook", "Bearer")
    assert receiver["settings"]["url"].endswith(grafana.INTAKE)


def test_the_alert_of_azure_monitor_is_one(folder: Path) -> None:
    found = azure_monitor.parse(json.loads((folder / "azure-monitor-fired.json").read_text()))

    assert (found.status, found.title) == (EventStatus.FIRING, "High CPU: web-1")
