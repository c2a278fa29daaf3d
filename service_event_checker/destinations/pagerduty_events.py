"""PagerDuty's Events API v2: triggers, acknowledges and resolves by dedup key, with a routing key alone.

For whoever may not have a key of the REST API. Nothing can be read there, and nothing comes back; PagerDuty itself
takes a repetition for the same, so that what may have arrived is sent again. A 202 says that an event was accepted,
not that anybody was paged. https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

from service_event_checker.config.fields import Address
from service_event_checker.config.models import DestinationConfig, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.api import Api
from service_event_checker.remote.errors import ACCESS, body_of, delivery_error, words
from service_event_checker.remote.marks import tag
from service_event_checker.render.notice import Notice, notice_of
from service_event_checker.render.own import TITLE, Form
from service_event_checker.render.text import cut, line

TITLE_MAX = 255  # characters; PagerDuty takes 1024, a telephone shows fewer
CUSTOM_MAX = 200_000  # bytes; 512 KB are refused
PAUSE = 30.0  # seconds; what PagerDuty asks for after a 429
_ACTIONS = {Verb.OPEN: "trigger", Verb.ACK: "acknowledge", Verb.CLOSE: "resolve"}


class Config(DestinationConfig):
    """`routing_key`: the integration key of a service or of an event orchestration. Nothing is worth a note there, so
    `on_resolve` is `close`, or nothing is sent at the end. `url`: https://events.eu.pagerduty.com in the EU.
    """

    DISPLAY_NAME: ClassVar[str] = "PagerDuty"
    SETTLE: ClassVar[timedelta] = timedelta(0)  # a repetition is taken for the same at once
    RATE: ClassVar[tuple[float, int]] = (1.5, 5)  # about 120 a minute and routing key
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("PAGERDUTY_EVENTS_URL",),
        "routing_key": ("PAGERDUTY_ROUTING_KEY",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("routing_key",)

    kind: Literal["pagerduty_events"] = "pagerduty_events"
    url: Address = "https://events.pagerduty.com"
    """EU: `https://events.eu.pagerduty.com`"""
    routing_key: SecretStr | None = None
    """integration key of the Events API"""
    on_ambiguous: Literal["repeat", "drop"] | None = "repeat"
    """PagerDuty ignores repetitions"""


class Adapter:
    """Keeps no state but one HTTP session; safe for several threads."""

    family = Family.PAGER
    verbs = frozenset(_ACTIONS)

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        timeout = config.timeout.total_seconds()
        self._api = Api("PagerDuty", Http(config.url, timeout=timeout), timeout, self._mapped)
        self.raise_if_paused = self._api.pauses.raise_if_paused

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Send one event; the dedup key is the episode's, whatever `link` says of earlier ones."""
        key = link.remote_key if link else remote_key(delivery.key, delivery.episode)
        if delivery.verb not in _ACTIONS or (delivery.verb is Verb.CLOSE and self.config.on_resolve != "close"):
            return link
        self._send(self._event(delivery, alert, key))
        known = link or Link(key=delivery.key, episode=delivery.episode, receiver=delivery.receiver, remote_key=key)
        return replace(known, external_id=tag(key), closed=delivery.verb is Verb.CLOSE)

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return the summary of the incident."""
        told = notice_of(delivery, alert)
        return {TITLE: told.own.get(TITLE) or cut(told.subject, TITLE_MAX)}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return {TITLE: Form(line=True, limit=TITLE_MAX)}

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the event that `deliver` would send."""
        event = self._event(delivery, alert, remote_key(alert.key, delivery.episode))
        what = event.get("payload", {}).get("summary", event["dedup_key"])
        return f"{event['event_action']} at PagerDuty: {what}"

    def probe(self) -> ProbeResult:
        """Resolve an incident that does not exist: PagerDuty checks the key, and drops the event."""
        key = {"routing_key": secret(self.config.routing_key)}
        self._send({**key, "event_action": "resolve", "dedup_key": tag("0" * 20)})
        return ProbeResult(
            proven=("PagerDuty takes events with the routing key",), unproven=("whether anybody is paged for it",)
        )

    def _event(self, delivery: Delivery, alert: Alert, key: str) -> dict[str, Any]:
        event = {
            "routing_key": secret(self.config.routing_key),
            "event_action": _ACTIONS.get(delivery.verb, "trigger"),
            "dedup_key": tag(key),
        }
        if delivery.verb is not Verb.OPEN:
            return event
        told = notice_of(delivery, alert)
        payload = {
            "summary": told.own.get(TITLE) or cut(told.subject, TITLE_MAX),
            "source": line(alert.source, 255) or "unknown",
            "severity": alert.severity.value,  # their four words are ours
            "timestamp": alert.started_at.isoformat(),
            "class": alert.kind.value,
            "custom_details": _custom(told),
        }
        component = line(alert.labels.get("component", ""), 255)
        return {**event, "payload": payload | ({"component": component} if component else {})}

    def _send(self, event: dict[str, Any]) -> None:
        if self._api.call("POST", "v2/enqueue", json=event).value.get("status") != "success":
            raise DeliveryError(Reason.GARBAGE, "the answer does not say that the event was taken")

    def _mapped(self, error: HttpError) -> DeliveryError:
        said = self._said(error)
        refusal = delivery_error(error, said, pause=PAUSE)
        if "routing" in said.lower() or error.reason in ACCESS:
            reason = Reason.FORBIDDEN if error.reason is Reason.FORBIDDEN else Reason.UNAUTHORIZED
            return DeliveryError(reason, f"{refusal.detail}; check PAGERDUTY_ROUTING_KEY")
        if error.reason is Reason.NOT_FOUND:  # of the address, which a person corrects: deliveries wait
            return DeliveryError(Reason.NOT_FOUND, f"{refusal.detail}; check PAGERDUTY_EVENTS_URL")
        return refusal

    def _said(self, error: HttpError) -> str:
        """Return PagerDuty's own words, `{"status", "message", "errors": []}`."""
        told = body_of(error)
        errors = told.get("errors")
        texts = [told.get("status"), told.get("message"), *(errors if isinstance(errors, list) else [])]
        return words(texts, [secret(self.config.routing_key)])


def _custom(told: Notice) -> dict[str, str]:
    """Return what the incident shows as details: fields, link, text, labels and annotations, as far as they fit."""
    pairs = [*told.fields, ("Link", told.link), *told.links, ("Text", told.body), *told.labels, *told.annotations]
    details: dict[str, str] = {}
    left = CUSTOM_MAX
    for name, value in pairs:
        left -= len(json.dumps({name: value}).encode())
        if left < 0:
            break
        if value:
            details.setdefault(name, value)
    return details
