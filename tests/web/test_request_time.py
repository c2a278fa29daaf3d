from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from service_event_checker.metrics import REGISTRY

ALERT = {"alerts": [{"status": "firing", "labels": {"alertname": "DiskFull"}}]}


def counted(endpoint: str, status: int) -> float:
    labels = {"endpoint": endpoint, "status": str(status)}
    return REGISTRY.get_sample_value("poc_request_seconds_count", labels) or 0.0


@pytest.mark.parametrize(("body", "status"), [(ALERT, 200), ({}, 400)])
def test_a_request_with_alerts_is_measured_by_its_endpoint_and_status(
    client: FlaskClient, body: object, status: int
) -> None:
    before = counted("alertmanager.alert", status)

    answer = client.post("/alert", json=body)

    assert answer.status_code == status
    assert counted("alertmanager.alert", status) == before + 1


def test_what_only_reads_and_what_has_no_route_is_not_measured(client: FlaskClient) -> None:
    before = {
        sample.labels["endpoint"]
        for family in REGISTRY.collect()
        for sample in family.samples
        if "endpoint" in sample.labels
    }

    client.get("/api/v1/alerts")
    client.post("/no-such-route/" + "x" * 50)

    after = {
        sample.labels["endpoint"]
        for family in REGISTRY.collect()
        for sample in family.samples
        if "endpoint" in sample.labels
    }
    assert after == before
