"""One PagerDuty incident per episode: paged, noted, acknowledged and resolved as the automation user; and back.

An incident is found again by its incident_key, made of our remote key; PagerDuty itself refuses a second open one.
A note carries a marker of its delivery, so that a repeated delivery cannot say a thing twice.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import structlog
from pydantic import Field, SecretStr, field_validator

from service_event_checker.config.fields import Address
from service_event_checker.config.models import DestinationConfig, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, Link, Remote
from service_event_checker.core.vocabulary import Family, Severity, Verb
from service_event_checker.destinations.pagerduty import preflight, webhook
from service_event_checker.destinations.pagerduty.client import AlreadyOpen, Incidents
from service_event_checker.destinations.pagerduty.document import (
    details,
    incident_key,
    marked,
    note,
    remote_key_of,
    title,
)
from service_event_checker.destinations.pagerduty.own_user import OwnUser
from service_event_checker.destinations.pagerduty.payload import ACKNOWLEDGED, RESOLVED, TRIGGERED, Incident
from service_event_checker.destinations.pagerduty.remote import as_remote
from service_event_checker.remote import links
from service_event_checker.remote.marks import KEY_TAG, ends_signed, marker
from service_event_checker.render.notice import Notice, notice_of

EPISODES = 1_000  # of one alert, whose open incidents are known again after a loss of data
FOUND_RESOLVED = timedelta(hours=1)  # what a person has ended while we wondered whether it was made
INTAKE = "/pd-webhook"
Urgency = Literal["high", "low"]

log = structlog.get_logger()


class Config(DestinationConfig):
    """`service_id`: whose escalation policy is paged. `email`: the automation user's, sent as `From` with each change.

    `user`: the automation user by name, e-mail or id, if not by `email`. `urgencies` by severity; `priorities`: ids of
    priorities by severity, none if left out. `webhook_secret` verifies what comes to /pd-webhook. `url`: of the API;
    https://api.eu.pagerduty.com for accounts in the EU.
    """

    DISPLAY_NAME: ClassVar[str] = "PagerDuty"
    SETTLE: ClassVar[timedelta] = timedelta(seconds=30)
    REOPEN_WITHIN: ClassVar[timedelta] = timedelta(0)
    RATE: ClassVar[tuple[float, int]] = (2.0, 5)  # 960 calls a minute, far fewer creations: made for human speed
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("PAGERDUTY_API_URL",),
        "token": ("PAGERDUTY_API_KEY",),
        "service_id": ("PAGERDUTY_SERVICE_ID",),
        "email": ("PAGERDUTY_EMAIL",),
        "user": ("PAGERDUTY_USER",),
        "webhook_secret": ("PAGERDUTY_WEBHOOK_SECRET",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("token", "service_id")

    kind: Literal["pagerduty"] = "pagerduty"
    url: Address = "https://api.pagerduty.com"
    token: SecretStr | None = None
    service_id: str = ""
    email: str = ""
    user: str = ""
    webhook_secret: SecretStr | None = None
    urgencies: Mapping[Severity, Urgency] = Field(
        default={Severity.CRITICAL: "high", Severity.ERROR: "high", Severity.WARNING: "low", Severity.INFO: "low"}
    )
    priorities: Mapping[Severity, str] = Field(default={})

    @field_validator("email")
    @classmethod
    def _an_address(cls, email: str) -> str:
        email = email.strip()
        if email and not re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", email):
            raise ValueError("is no e-mail address. Give that of the automation user")
        return email

    @property
    def sender(self) -> str:
        """The e-mail that writes are made as."""
        return self.email or (self.user.strip() if "@" in self.user else "")

    def lacks(self) -> str:
        return "" if self.sender else "PAGERDUTY_EMAIL is not set"


def in_a_thread(task: Callable[[], None]) -> None:
    threading.Thread(target=task, name="pagerduty-user", daemon=True).start()


class Adapter:
    """Safe for several threads: what they share is one HTTP session and the automation user's id."""

    family = Family.PAGER
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.CLOSE})  # nothing un-acknowledges there

    def __init__(
        self, name: str, config: Config, *, background: Callable[[Callable[[], None]], None] = in_a_thread
    ) -> None:
        self.name = name
        self.config = config
        timeout = config.timeout.total_seconds()
        self._incidents = Incidents(config.url, secret(config.token), config.service_id, config.sender, timeout)
        self._we = OwnUser(config.user or config.sender, self._incidents.users)
        self._background = background

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Page, note, acknowledge or resolve the episode's incident; see `core.ports.Destination`."""
        self._we.learn()  # before the first write, so that its echo is known
        if delivery.verb is Verb.OPEN:
            return self._open(delivery, alert, link)
        link = links.known(link, "incident")
        if delivery.verb is Verb.CLOSE and self.config.on_resolve != "comment":
            return self._close(delivery, alert, link)
        if delivery.verb is Verb.UPDATE:
            self._correct(alert, notice_of(delivery, alert), link.external_id)
        self._tell(delivery, alert, link.external_id)
        if delivery.verb is Verb.ACK and self._incidents.get(link.external_id).status == TRIGGERED:
            self._set(link.external_id, ACKNOWLEDGED)  # never what is resolved: it would be open again
        return link

    def find(self, remote_key: str) -> Link | None:
        """Return the key's incident: the open one, or one that was made and resolved within the last hour.

        An older one that is resolved does not count: after a loss of data its key comes again, and somebody must be
        paged.
        """
        found = self._incidents.with_key(incident_key(remote_key))
        now = datetime.now(UTC)
        still = [each for each in found if each.status != RESOLVED]
        lately = [each for each in found if each.created_at and now - each.created_at < FOUND_RESOLVED]
        return next((self._found(each, remote_key) for each in (*still, *lately)), None)

    def find_open_for(self, alert_key: str) -> Link | None:
        """Return the oldest open incident that one of the alert's first thousand episodes made."""
        keys = {incident_key(remote_key(alert_key, episode)) for episode in range(1, EPISODES + 1)}
        for each in self._incidents.open_lately():
            if each.key in keys and self._is_open(each.id):
                return self._found(each, remote_key_of(each.key))
        return None

    def open_objects(self) -> list[Remote]:
        """Return the service's open incidents that carry one of our keys, with the notes that people wrote."""
        self._we.learn()
        ours = [each for each in self._incidents.all_open() if remote_key_of(each.key)]
        return [self._remote(each) for each in ours]

    def get_remote(self, external_id: str) -> Remote | None:
        """Return one incident, resolved ones too."""
        self._we.learn()
        try:
            return self._remote(self._incidents.get(external_id))
        except DeliveryError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Resolve an incident that was made twice, with a note naming the other."""
        id = duplicate.external_id
        if self._incidents.get(id).status != RESOLVED:
            text = f"Made twice; it goes on at {original.url or original.external_id}"
            self._write(id, text, marker(f"retire:{id}:{original.external_id}"))
            self._set(id, RESOLVED)

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the incident that `deliver` would make."""
        made = self._document(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return f"incident on {self.config.service_id}, urgency {made['urgency']}: {made['title']}"

    def preflight(self) -> list[str]:
        """Ask for the service, the automation user and the webhook, and say what a person should mend."""
        return [
            *preflight.at_service(self._incidents, self.config.service_id),
            *preflight.of_user(self._incidents, self._we, self.config.sender),
            *preflight.of_webhook(
                self._incidents, (INTAKE, f"{INTAKE}/{self.name}"), signed=bool(secret(self.config.webhook_secret))
            ),
        ]

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Whether the body is signed with `webhook_secret`; None where that is not set."""
        own = secret(self.config.webhook_secret)
        return webhook.signed(headers, body, own) if own else None

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a V3 webhook says of one of our incidents; nothing of what we did ourselves."""
        kind, told = webhook.read(payload)
        if told is None:
            log.info("pagerduty_event_ignored", type=kind)
            return []
        if told.key and not told.key.startswith(KEY_TAG):
            return []
        if told.agent is not None and self._we.worth_asking:
            self._background(self._we.learn)
        if self._we.did(told.agent) or ends_signed(told.note):
            return []
        return [self._event(told)]

    def _event(self, told: webhook.Told) -> Event:
        return links.change(
            self.name,
            told.incident,
            told.status,
            intake=INTAKE,
            actor=told.agent.name if told.agent else "",
            at=told.at,
            note=told.note,
            note_id=told.note_id,
        )

    def _open(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
        if link and link.external_id:
            return self._reopen(delivery, alert, link)
        return self._create(delivery, alert, links.key_of(delivery, link), link.previous if link else "")

    def _reopen(self, delivery: Delivery, alert: Alert, link: Link) -> Link:
        """Trigger it again; where PagerDuty refuses, make a new one that names the old."""
        try:
            if self._incidents.get(link.external_id).status == RESOLVED:
                self._tell(delivery, alert, link.external_id)
                self._incidents.change(link.external_id, {"status": TRIGGERED})
        except DeliveryError as refusal:
            if not refusal.permanent and not isinstance(refusal, AlreadyOpen):
                raise
            key = remote_key(alert.key, delivery.episode)
            return self._create(delivery, alert, key, link.url or link.external_id)
        return replace(link, closed=False)

    def _create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> Link:
        """Make the incident, or take the open one that PagerDuty says it has under this key."""
        document = self._document(alert, notice_of(delivery, alert), key, previous)
        try:
            made = self._incidents.create(document)
        except AlreadyOpen as refusal:
            link = self.find(key)
            if link is None:  # it was resolved in between
                raise DeliveryError(Reason.REFUSED, refusal.detail) from None
            return links.made(delivery, key, link.external_id, link.url, previous)
        return links.made(delivery, key, made.id, made.url, previous)

    def _document(self, alert: Alert, told: Notice, key: str, previous: str) -> dict[str, Any]:
        """Return the incident. It names nobody to assign it to: one's own incident is acknowledged when it is made."""
        priority = self.config.priorities.get(alert.severity)
        return {
            "title": title(told),
            "incident_key": incident_key(key),
            "urgency": self._urgency(alert),
            "body": {"type": "incident_body", "details": details(told, previous)},
            **({"priority": {"id": priority, "type": "priority_reference"}} if priority else {}),
        }

    def _correct(self, alert: Alert, told: Notice, id: str) -> None:
        """Correct the title, and raise the urgency; it is never lowered, for a person may have raised it."""
        incident = self._incidents.get(id)
        changes = {"title": title(told)} if incident.title != title(told) else {}
        if (incident.urgency, self._urgency(alert)) == ("low", "high"):
            changes["urgency"] = "high"
        if changes and incident.status != RESOLVED:
            self._incidents.change(id, changes)

    def _close(self, delivery: Delivery, alert: Alert, link: Link) -> Link:
        """Tell the end and resolve, unless a person has resolved it already."""
        if self.config.on_resolve == "none":
            return link
        if self._incidents.get(link.external_id).status != RESOLVED:
            self._tell(delivery, alert, link.external_id)
            self._set(link.external_id, RESOLVED)
        return replace(link, closed=True)

    def _is_open(self, id: str) -> bool:
        try:
            return self._incidents.get(id).status != RESOLVED
        except DeliveryError as error:
            if error.reason is Reason.NOT_FOUND:
                return False
            raise

    def _set(self, id: str, status: str) -> None:
        """Set a status; a refusal does not count where somebody else has brought it about, or the end."""
        try:
            self._incidents.change(id, {"status": status})
        except DeliveryError as refusal:
            if not refusal.permanent or self._incidents.get(id).status not in (status, RESOLVED):
                raise

    def _tell(self, delivery: Delivery, alert: Alert, id: str) -> None:
        told = notice_of(delivery, alert)
        text = note(replace(told, change=told.change or "Opened again"), full=delivery.verb is Verb.UPDATE)
        self._write(id, text, marker(delivery.id))

    def _write(self, id: str, text: str, mark: str) -> None:
        """Write a note unless it is there."""
        if not any(mark in each.text for each in self._incidents.notes(id)):
            self._incidents.add_note(id, marked(text, mark))

    def _remote(self, incident: Incident) -> Remote:
        ours = remote_key_of(incident.key)
        return as_remote(incident, self._incidents.notes(incident.id) if ours else (), self._we)

    def _found(self, incident: Incident, key: str) -> Link:
        return links.found(self.name, key, incident.id, incident.url)

    def _urgency(self, alert: Alert) -> Urgency:
        return self.config.urgencies.get(alert.severity, "high")
