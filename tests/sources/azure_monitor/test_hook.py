"""Azure Monitor's webhook. The payload is ours, in the shape of its documentation:

https://learn.microsoft.com/en-us/azure/azure-monitor/alerts/alerts-common-schema
https://learn.microsoft.com/en-us/azure/azure-monitor/alerts/alerts-payload-samples
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.sources.azure_monitor.hook import parse
from tests.strategies import REPEATABLE, json_values

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
MACHINE = f"{SUBSCRIPTION}/resourcegroups/shop-prod/providers/microsoft.compute/virtualmachines/web-1"
ESSENTIALS = {
    "alertId": f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/B9569717-bc32-442f-add5-83a997729330",
    "alertRule": "High CPU",
    "severity": "Sev1",
    "signalType": "Metric",
    "monitorCondition": "Fired",
    "monitoringService": "Platform",
    "alertTargetIDs": [MACHINE],
    "configurationItems": ["web-1"],
    "originAlertId": "11111111_shop-prod_microsoft.insights_metricAlerts_High CPU_-117781227",
    "firedDateTime": "2026-11-20T13:58:24.3713213Z",
    "description": "CPU of the shop",
    "essentialsVersion": "1.0",
    "alertContextVersion": "1.0",
}
CONTEXT = {
    "properties": None,
    "conditionType": "SingleResourceMultipleMetricCriteria",
    "condition": {
        "windowSize": "PT5M",
        "allOf": [
            {
                "metricName": "Percentage CPU",
                "metricNamespace": "Microsoft.Compute/virtualMachines",
                "operator": "GreaterThan",
                "threshold": "80",
                "timeAggregation": "Average",
                "dimensions": [{"name": "ResourceId", "value": "3efad9dc"}],
                "metricValue": 91.2,
            }
        ],
    },
}


def payload(**changes: Any) -> dict[str, Any]:
    essentials = {name: value for name, value in (ESSENTIALS | changes).items() if value is not None}
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {"essentials": essentials, "alertContext": CONTEXT, "customProperties": {"team": "shop", "tier": 1}},
    }


def test_an_alert_is_an_event_with_all_that_it_says() -> None:
    found = parse(payload())

    assert (found.source, found.kind, found.status) == ("hook:azure_monitor", Kind.ALERT, EventStatus.FIRING)
    assert found.fingerprint == ESSENTIALS["alertId"].lower()  # type: ignore[attr-defined]
    assert (found.title, found.severity, found.description) == ("High CPU: web-1", Severity.CRITICAL, "CPU of the shop")
    assert found.starts_at == datetime(2026, 11, 20, 13, 58, 24, 371321, tzinfo=UTC)
    assert found.url == f"https://portal.azure.com/#@/resource{MACHINE}"
    assert found.annotations == {"condition": "Percentage CPU GreaterThan 80: 91.2"}
    assert found.labels == {
        "team": "shop",
        "tier": "1",
        "alertname": "High CPU",
        "severity": "Sev1",
        "monitoring_service": "Platform",
        "signal_type": "Metric",
        "resource": "web-1",
        "resource_id": MACHINE,
        "resource_group": "shop-prod",
        "subscription": "11111111-1111-1111-1111-111111111111",
        "origin_alert_id": ESSENTIALS["originAlertId"],
    }


def test_its_end_is_of_the_same_alert_and_has_its_own_time() -> None:
    over = payload(
        monitorCondition="Resolved",
        resolvedDateTime="2026-11-20T14:03:16.2246313Z",
        alertId=ESSENTIALS["alertId"].upper(),  # type: ignore[attr-defined]
    )

    found = parse(over)

    assert (found.status, found.key) == (EventStatus.RESOLVED, parse(payload()).key)
    assert found.at == datetime(2026, 11, 20, 14, 3, 16, 224631, tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("Sev0", Severity.CRITICAL),
        ("Sev1", Severity.CRITICAL),
        ("Sev2", Severity.ERROR),
        ("Sev3", Severity.WARNING),
        ("Sev4", Severity.INFO),
        (None, Severity.WARNING),
    ],
)
def test_severities_are_those_of_the_one_table(word: str | None, severity: Severity) -> None:
    assert parse(payload(severity=word)).severity is severity


def test_azures_own_link_goes_before_ours() -> None:
    assert (
        parse(payload(investigationLink="https://portal.azure.com/#view/x")).url == "https://portal.azure.com/#view/x"
    )


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ([], "schemaId"),
        ({"schemaId": "AzureMonitorMetricAlert", "data": {}}, "schemaId"),
        ({"schemaId": "azureMonitorCommonAlertSchema"}, "data"),
        ({"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": 3}}, "data.essentials"),
        (payload(monitorCondition="Maybe"), "data.essentials.monitorCondition"),
        (payload(alertId=None, originAlertId=None), "data.essentials.alertId"),
        (payload(firedDateTime="yesterday"), "data.essentials.firedDateTime"),
        (payload(firedDateTime="2026-11-20T13:58:24"), "data.essentials.firedDateTime"),
    ],
)
def test_what_is_no_alert_is_refused_with_its_place(broken: Any, where: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(broken)

    assert error.value.where == where


@given(json_values)
@REPEATABLE
def test_any_json_is_read_or_refused(body: Any) -> None:
    try:
        parse(body)
    except InvalidInput:
        return


@given(
    st.dictionaries(st.sampled_from([*ESSENTIALS, "resolvedDateTime", "investigationLink"]), json_values), json_values
)
@REPEATABLE
def test_any_change_of_a_payload_is_read_or_refused(changes: dict[str, Any], context: Any) -> None:
    changed = payload(**changes)
    changed["data"] |= {"alertContext": context, "customProperties": context}
    try:
        found = parse(changed)
    except InvalidInput:
        return
    assert found.title
