"""The real Alertmanager does what our intake and our reconciler rely on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.real.alertmanager import Alertmanager, telling
from tests.real.webhooks import Webhooks
from tests.sources.alertmanager.test_reconcile import Shop

StartAlertmanager = Callable[[str], Alertmanager]
LABELS = {"alertname": "DiskFull", "instance": "web-1"}


@pytest.fixture
def webhooks() -> Iterator[Webhooks]:
    with Webhooks() as double:
        yield double


def test_it_tells_an_alert_when_it_fires_and_when_it_is_over(
    start_alertmanager: StartAlertmanager, webhooks: Webhooks
) -> None:
    alertmanager = start_alertmanager(telling(f"{webhooks.url}/alert", token="canary-4711"))

    alertmanager.fire(**LABELS)
    (fired,) = webhooks.next()["alerts"]
    alertmanager.resolve(**LABELS)
    (resolved,) = webhooks.next()["alerts"]

    assert (fired["status"], resolved["status"]) == ("firing", "resolved")
    assert fired["labels"] == LABELS
    assert fired["fingerprint"] == resolved["fingerprint"]
    assert {request.headers["Authorization"] for request in webhooks.requests} == {"Bearer canary-4711"}


def test_killed_and_started_it_has_forgotten_what_fires(
    start_alertmanager: StartAlertmanager, webhooks: Webhooks
) -> None:
    alertmanager = start_alertmanager(telling(webhooks.url))
    alertmanager.fire(**LABELS)
    (held,) = alertmanager.alerts()
    before = alertmanager.status()["uptime"]

    alertmanager.kill()
    with pytest.raises(requests.ConnectionError):
        alertmanager.alerts()
    alertmanager.start()

    assert held["labels"] == LABELS
    assert alertmanager.alerts() == []
    assert alertmanager.status()["uptime"] > before


def test_a_silenced_alert_is_still_listed(start_alertmanager: StartAlertmanager, webhooks: Webhooks) -> None:
    alertmanager = start_alertmanager(telling(webhooks.url))

    silence = alertmanager.silence(alertname="DiskFull")
    alertmanager.fire(**LABELS)

    (listed,) = alertmanager.alerts(filter='alertname="DiskFull"')
    assert listed["status"]["state"] == "suppressed"
    assert listed["status"]["silencedBy"] == [silence]


def test_we_read_who_silences_an_alert_until_when_and_what_inhibits_it(
    start_alertmanager: StartAlertmanager, webhooks: Webhooks, tmp_path: Path
) -> None:
    inhibits = {"source_matchers": ['alertname="NodeDown"'], "target_matchers": ['alertname="DiskFull"']}
    told = json.loads(telling(webhooks.url)) | {"inhibit_rules": [{**inhibits, "equal": ["instance"]}]}
    alertmanager = start_alertmanager(json.dumps(told))
    shop = Shop(tmp_path, alertmanager)
    alertmanager.fire(**LABELS)
    shop.take(webhooks.next())

    silence = alertmanager.silence(alertname="DiskFull")
    silenced = muted(shop)
    alertmanager.expire(silence)
    alertmanager.fire(alertname="NodeDown", instance="web-1")
    inhibited = muted(shop)
    alertmanager.resolve(alertname="NodeDown", instance="web-1")

    assert re.fullmatch(r"muted in Alertmanager by test until \d{4}-\d\d-\d\d \d\d:\d\d UTC: test", silenced)
    assert inhibited == "muted in Alertmanager as long as NodeDown fires"
    assert muted(shop) == ""


def muted(shop: Shop) -> str:
    """Return what is said of the only open alert after a comparison."""
    shop.passes()
    return {alert.labels["alertname"]: alert.muted for alert in shop.store.open_alerts()}["DiskFull"]


def test_what_is_over_max_alerts_is_counted_and_not_told(
    start_alertmanager: StartAlertmanager, webhooks: Webhooks
) -> None:
    alertmanager = start_alertmanager(telling(webhooks.url, max_alerts=2))

    alertmanager.post_alerts(*({"labels": {**LABELS, "instance": f"web-{number}"}} for number in range(5)))

    told = webhooks.next()
    assert (len(told["alerts"]), told["truncatedAlerts"]) == (2, 3)
    assert len(alertmanager.alerts()) == 5
