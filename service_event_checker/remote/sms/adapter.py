"""The adapter of all SMS services: one SMS to each number when an alert opens, one when it is over.

A number that the service refuses is logged; the delivery fails if no number is left. After a failure, only the numbers
that have nothing yet are sent to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from service_event_checker.core.errors import DeliveryError
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.remote.marks import tag
from service_event_checker.remote.progress import Progress
from service_event_checker.remote.sms.config import SmsConfig
from service_event_checker.render.own import Form
from service_event_checker.render.sms import FORMS, TEXT, segments, text_of

VERBS = frozenset({Verb.OPEN, Verb.UPDATE, Verb.CLOSE})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One SMS: its text, and what it is about for services that fill a template."""

    text: str
    delivery: Delivery
    alert: Alert


class Sms:
    """Safe for several threads. A subclass gives `send`, which sends one text to one number."""

    family = Family.MAIL
    verbs = VERBS

    def __init__(self, name: str, config: SmsConfig, send: Callable[[str, Outgoing], None]) -> None:
        self.name = name
        self.config = config
        self._send = send
        self._progress = Progress[str]()

    def declines(self, delivery: Delivery, alert: Alert, link: Link | None) -> str:
        """See `core.ports.Selective`. An alert that becomes severe enough later is sent then, as an opening."""
        told = link is not None and bool(link.external_id)
        if delivery.verb is Verb.CLOSE:
            if not told:
                return "no SMS was sent for it"
            return "on_resolve is none" if self.config.on_resolve == "none" else ""
        if alert.severity not in self.config.severities:
            return f"SMS are not sent for {alert.severity}"
        if delivery.verb is Verb.UPDATE and not delivery.notice:
            return "an SMS was sent already" if told else "" if alert.open else "it is over"
        return ""

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Send the text to every number that does not have it. The link names the episode for reports about it."""
        text = text_of(delivery, alert, datetime.now(UTC), self.config.segments)
        sms = Outgoing(text=text, delivery=delivery, alert=alert)
        done = self._progress.of(delivery.id)
        refusals = [refusal for number in self.config.to if number not in done for refusal in self._to(number, sms)]
        waiting = next((refusal for refusal in refusals if not refusal.permanent), None)
        if waiting or (refusals and not done):
            raise waiting or refusals[0]
        self._progress.finish(delivery.id)
        if link and link.external_id:
            return link
        key = remote_key(delivery.key, delivery.episode)
        return Link(
            key=delivery.key,
            episode=delivery.episode,
            receiver=delivery.receiver,
            remote_key=key,
            external_id=tag(key),
        )

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return the text of the SMS."""
        return {TEXT: text_of(delivery, alert, datetime.now(UTC), self.config.segments)}

    @staticmethod
    def forms(_config: SmsConfig) -> Mapping[str, Form]:
        return FORMS

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the SMS that `deliver` would send."""
        text = text_of(delivery, alert, datetime.now(UTC), self.config.segments)
        return f"SMS of {segments(text)} segment(s) to {len(self.config.to)}: {text}"

    def _to(self, number: str, sms: Outgoing) -> list[DeliveryError]:
        try:
            self._send(number, sms)
        except DeliveryError as refusal:
            if refusal.permanent:
                log.warning("sms_recipient_refused", receiver=self.name, number=masked(number), said=refusal.detail)
            return [refusal]
        self._progress.of(sms.delivery.id).add(number)
        return []


def masked(number: str) -> str:
    """Return a telephone number as logs may show it."""
    return f"{number[:3]}…{number[-2:]}"
