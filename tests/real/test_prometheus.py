"""The real Prometheus finds a target down, and tells Alertmanager, which tells us."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from tests.doubles.base import Answer, Double, Request
from tests.real.alertmanager import Alertmanager, telling
from tests.real.prometheus import TARGET_DOWN, Prometheus, watching
from tests.real.server import free_port
from tests.real.webhooks import Webhooks

StartAlertmanager = Callable[[str], Alertmanager]
StartPrometheus = Callable[[str], Prometheus]


class Target(Double):
    """A program with metrics; while it is not started, it is down."""

    def handle(self, request: Request) -> Answer:
        assert request.path == "/metrics"
        return Answer(200, b"jobs_done_total 3\n", {"Content-Type": "text/plain; version=0.0.4"})


def test_a_target_that_is_down_is_told_and_so_is_its_return(
    start_alertmanager: StartAlertmanager, start_prometheus: StartPrometheus
) -> None:
    port = free_port()
    with Webhooks() as webhooks:
        alertmanager = start_alertmanager(telling(webhooks.url))
        prometheus = start_prometheus(watching(f"127.0.0.1:{port}", urlsplit(alertmanager.url).netloc))

        (fired,) = webhooks.next()["alerts"]
        firing = prometheus.alerts()
        with Target(port):
            (resolved,) = webhooks.next()["alerts"]
            value = prometheus.value("jobs_done_total")

    assert (fired["status"], resolved["status"]) == ("firing", "resolved")
    labels = {"alertname": TARGET_DOWN, "instance": f"127.0.0.1:{port}", "job": "target", "severity": "critical"}
    assert fired["labels"] == firing[0]["labels"] == labels
    assert value == 3


def test_killed_and_started_it_tells_an_alertmanager_that_forgot(
    start_alertmanager: StartAlertmanager, start_prometheus: StartPrometheus
) -> None:
    with Webhooks() as webhooks:
        alertmanager = start_alertmanager(telling(webhooks.url))
        prometheus = start_prometheus(watching(f"127.0.0.1:{free_port()}", urlsplit(alertmanager.url).netloc))
        (first,) = webhooks.next()["alerts"]

        prometheus.kill()
        alertmanager.kill()
        alertmanager.start()
        prometheus.start()
        (again,) = webhooks.next()["alerts"]

    assert again["fingerprint"] == first["fingerprint"]
