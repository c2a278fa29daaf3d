"""Every line of the log about an alert, or a delivery of it, names the alert; each fact has one line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from structlog.testing import capture_logs

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.vocabulary import EventStatus, Family, Verb
from service_event_checker.engine.services import Services
from tests.factories import event

NAMES = {"title", "id", "fingerprint", "source"}


class Tickets:
    """A destination that fails as often as it is told to, then takes everything."""

    family = Family.CHAT
    verbs = frozenset({Verb.OPEN, Verb.CLOSE})

    def __init__(self, *failures: DeliveryError) -> None:
        self.failures = list(failures)

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        if self.failures:
            raise self.failures.pop(0)
        return link or Link(
            key=alert.key,
            episode=delivery.episode,
            receiver=delivery.receiver,
            remote_key="x",
            external_id="7",
            url="https://t.example/7",
        )


def told(services: Services, *steps: EventStatus) -> list[dict[str, Any]]:
    """Let an outage take these steps, delivering after each; return the lines about it."""
    with capture_logs() as lines:
        for status in steps:
            services.pipeline.ingest([event(status=status)], datetime.now(UTC))
            while services.outbox.drain("chat"):
                continue
    return [line for line in lines if line["event"].startswith(("alert_", "deliver"))]


def test_an_outage_is_told_from_its_opening_to_its_end_by_name(services: Services) -> None:
    services.outbox.destinations = {"chat": Tickets()}

    lines = told(services, EventStatus.FIRING, EventStatus.FIRING, EventStatus.RESOLVED)

    assert all(line.keys() >= NAMES and all(line[name] for name in NAMES) for line in lines)
    assert len({(line["title"], line["id"], line["fingerprint"], line["source"]) for line in lines}) == 1
    loud = [(line["event"], line.get("receiver")) for line in lines if line["log_level"] != "debug"]
    assert loud == [
        ("alert_opened", None),
        ("delivered", "chat"),
        ("alert_resolved_by_source", None),
        ("delivered", "chat"),
    ]
    assert next(line for line in lines if line["event"] == "delivered")["url"] == "https://t.example/7"


def test_a_delivery_that_fails_for_good_is_an_error_that_names_the_alert(services: Services) -> None:
    refusal = DeliveryError(Reason.REFUSED, "the project is closed", permanent=True)
    services.outbox.destinations = {"chat": Tickets(refusal)}

    failed = [line for line in told(services, EventStatus.FIRING) if line["event"] == "delivery_failed"]

    assert [(line["log_level"], line["reason"], line["tries"]) for line in failed] == [
        ("error", "refused (the project is closed)", 1)
    ]
    assert failed[0].keys() >= NAMES


def test_a_delivery_that_is_tried_again_says_when(services: Services) -> None:
    services.outbox.destinations = {"chat": Tickets(DeliveryError(Reason.RATE_LIMITED, retry_after=30))}

    (again,) = [line for line in told(services, EventStatus.FIRING) if line["event"] == "delivery_retried"]

    assert (again["log_level"], again["reason"], again["tries"]) == ("warning", "rate limited", 1)
    assert datetime.fromisoformat(again["next_at"]) > datetime.now(UTC)
    assert again.keys() >= NAMES
