"""One PagerDuty incident per episode: paged, noted on, acknowledged and resolved as the automation user; and back.

An incident is found again by its incident_key, made of our remote key; PagerDuty itself refuses a second open one.
A note carries a marker of its delivery, so that a repeated delivery does not tell a thing twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, ObjectRef, Remote, RemoteNote
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Status, Verb
from service_event_checker.destinations.pagerduty import document, preflight, webhook
from service_event_checker.destinations.pagerduty.client import AlreadyOpen, Incidents
from service_event_checker.destinations.pagerduty.config import Config, Urgency
from service_event_checker.destinations.pagerduty.own_user import OwnUser
from service_event_checker.destinations.pagerduty.payload import ACKNOWLEDGED, RESOLVED, TRIGGERED, Incident, Note
from service_event_checker.remote.marks import KEY_TAG, checked, ends_signed, signed, tag, tagged_key
from service_event_checker.remote.signature import header, proof
from service_event_checker.remote.ticket import comment_of, duplicate_note, unless_gone
from service_event_checker.remote.values import NEVER
from service_event_checker.render.notice import Notice, notice_of
from service_event_checker.render.own import TITLE, Form

EPISODES = 1_000  # of one alert, whose open incidents are known again after a loss of data
FOUND_RESOLVED = timedelta(hours=1)  # what a person has ended while we wondered whether it was made
INTAKE = "/pd-webhook"
NOTE_MAX = 5_000  # characters; a webhook tells a short note whole, with the marker at its end
_STATUSES = {TRIGGERED: Status.FIRING, ACKNOWLEDGED: Status.ACKNOWLEDGED, RESOLVED: Status.RESOLVED}


def in_a_thread(task: Callable[[], None]) -> None:
    threading.Thread(target=task, name="pagerduty-user", daemon=True).start()


class Adapter:
    """Safe for several threads: what they share is one HTTP session and the automation user's id."""

    family = Family.PAGER
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.CLOSE})  # nothing un-acknowledges there
    homes = ()  # people open incidents at the account's own address, which the configuration does not tell

    def __init__(
        self, name: str, config: Config, *, background: Callable[[Callable[[], None]], None] = in_a_thread
    ) -> None:
        self.name = name
        self.config = config
        timeout = config.timeout.total_seconds()
        self._incidents = Incidents(config.url, secret(config.token), config.service_id, config.sender, timeout)
        self.raise_if_paused = self._incidents.pauses.raise_if_paused
        self._we = OwnUser(config.user or config.sender, self._incidents.users)
        self._background = background

    def create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> ObjectRef:
        """Make the incident, or take the open one that PagerDuty says it has under this key."""
        self._we.learn()  # before the first write, so that its echo is known
        try:
            return _ref(self._incidents.create(self._fields(alert, notice_of(delivery, alert), key, previous)))
        except AlreadyOpen as refusal:
            found = self.find(key)
            if found is None:  # it was resolved in between
                raise DeliveryError(Reason.REFUSED, refusal.detail) from None
            return found

    def reopen(self, delivery: Delivery, alert: Alert, external_id: str) -> bool:
        """Trigger the incident again; refused where it is gone, or another one with its key is open."""
        if not self._is_resolved(external_id):
            return False
        self._comment(delivery, alert, external_id)
        self._incidents.change(external_id, {"status": TRIGGERED})
        return True

    def comment(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Write a note; `update` also corrects the incident, `ack` acknowledges it while it is triggered."""
        self._comment(delivery, alert, external_id)
        if delivery.verb is Verb.UPDATE:
            self._correct(alert, document.title(notice_of(delivery, alert)), external_id)
        if delivery.verb is Verb.ACK and self._incidents.get(external_id).status == TRIGGERED:
            self._set(external_id, ACKNOWLEDGED)  # never what is resolved: it would be open again

    def close(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Tell the end and resolve."""
        if not self._is_resolved(external_id):
            self._comment(delivery, alert, external_id)
            self._set(external_id, RESOLVED)

    def find(self, remote_key: str) -> ObjectRef | None:
        """Return the key's incident: the open one, or one that was made and resolved within the last hour.

        An older one that is resolved does not count: after a loss of data its key comes again, and somebody must be
        paged.
        """
        found = self._incidents.with_key(tag(remote_key))
        since = datetime.now(UTC) - FOUND_RESOLVED
        still = [each for each in found if each.status != RESOLVED]
        lately = [each for each in found if each.created_at and each.created_at > since]
        return next((_ref(each) for each in (*still, *lately)), None)

    def find_open_for(self, alert_key: str) -> ObjectRef | None:
        """Return the oldest open incident that one of the alert's first thousand episodes made."""
        keys = {tag(remote_key(checked(alert_key), episode)) for episode in range(1, EPISODES + 1)}
        listed = (each for each in self._incidents.open_lately() if each.incident_key in keys)
        return next((_ref(each) for each in listed if self._is_open(each.id)), None)

    def open_objects(self) -> list[Remote]:
        """Return the service's open incidents that carry one of our keys, with the notes that people wrote."""
        self._we.learn()
        ours = [each for each in self._incidents.all_open() if tagged_key(each.incident_key)]
        return [self._remote(each) for each in ours]

    def get_remote(self, external_id: str) -> Remote | None:
        """Return one incident, resolved ones as well."""
        self._we.learn()
        return unless_gone(lambda: self._remote(self._incidents.get(external_id)))

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Resolve an incident that was made twice, with a note naming the other."""
        if not self._is_resolved(duplicate.external_id):
            self._write(duplicate.external_id, *duplicate_note(duplicate, original))
            self._set(duplicate.external_id, RESOLVED)

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return title and details of a new incident, or the note on it."""
        if delivery.verb is not Verb.OPEN:
            return {document.BODY: document.note(comment_of(delivery, alert))}
        told = notice_of(delivery, alert)
        return {TITLE: document.title(told), document.BODY: document.details(told, "")}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return document.FORMS

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the incident that `create` would make."""
        made = self._fields(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return f"incident on {self.config.service_id}, urgency {made['urgency']}: {made['title']}"

    def preflight(self) -> list[str]:
        """Ask for the service, the automation user and the webhook, and say what to correct."""
        signed = bool(secret(self.config.webhook_secret))
        return [
            *preflight.at_service(self._incidents, self.config.service_id),
            *preflight.of_user(self._incidents, self._we, self.config.sender),
            *preflight.of_webhook(self._incidents, (INTAKE, f"{INTAKE}/{self.name}"), signed=signed),
        ]

    def probe(self) -> ProbeResult:
        """Read the service, the automation user and the webhook subscriptions; pages nobody."""
        wrong = tuple(self.preflight())
        found = () if wrong else (f"service {self.config.service_id} and the automation user exist",)
        unproven = ("whether the key may create incidents",)
        return ProbeResult(proven=("the key is valid", *found), wrong=wrong, unproven=unproven)

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Verify the signatures `v1=<hex>,v1=<hex>`, of which there are several while the secret is being changed.

        https://developer.pagerduty.com/docs/verifying-signatures
        """
        given = header(headers, "X-PagerDuty-Signature").split(",")
        return proof(self.config.webhook_secret, given, body, scheme="v1=")

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a V3 webhook tells of one of our incidents; nothing of what we did ourselves."""
        change = webhook.read(payload)
        if change is None or not (change.key or KEY_TAG).startswith(KEY_TAG):
            return []
        if change.agent is not None and self._we.worth_asking:
            self._background(self._we.learn)
        if self._we.did(change.agent) or any(ends_signed(text) for _, text in change.remote.notes):
            return []
        return change.remote.events(self.name, INTAKE)

    def _fields(self, alert: Alert, notice: Notice, key: str, previous: str) -> dict[str, Any]:
        """Return the incident. It is assigned to nobody: one that a user makes for himself is acknowledged at once."""
        priority = self.config.priorities.get(alert.severity)
        return {
            "title": document.title(notice),
            "incident_key": tag(key),
            "urgency": self._urgency(alert),
            "body": {"type": "incident_body", "details": document.details(notice, previous)},
            **({"priority": {"id": priority, "type": "priority_reference"}} if priority else {}),
        }

    def _correct(self, alert: Alert, title: str, id: str) -> None:
        """Correct the title, and raise the urgency; it is never lowered, for a person may have raised it."""
        incident = self._incidents.get(id)
        changes = {"title": title} if incident.title != title else {}
        if (incident.urgency, self._urgency(alert)) == ("low", "high"):
            changes["urgency"] = "high"
        if changes and incident.status != RESOLVED:
            self._incidents.change(id, changes)

    def _urgency(self, alert: Alert) -> Urgency:
        return self.config.urgencies.get(alert.severity, "high")

    def _is_resolved(self, id: str) -> bool:
        return self._incidents.get(id).status == RESOLVED

    def _is_open(self, id: str) -> bool:
        return unless_gone(lambda: self._is_resolved(id)) is False

    def _set(self, id: str, status: str) -> None:
        """Set a status; a refusal does not count where somebody else has brought it about, or the end."""
        try:
            self._incidents.change(id, {"status": status})
        except DeliveryError as refusal:
            if not refusal.permanent or self._incidents.get(id).status not in (status, RESOLVED):
                raise

    def _comment(self, delivery: Delivery, alert: Alert, id: str) -> None:
        said = comment_of(delivery, alert)
        self._write(id, document.note(said), said.mark)

    def _write(self, id: str, text: str, mark: str) -> None:
        """Write a note unless it is there."""
        self._we.learn()
        if not any(mark in each.content for each in self._incidents.notes(id)):
            self._incidents.add_note(id, signed(text, mark, NOTE_MAX))

    def _remote(self, incident: Incident) -> Remote:
        key = tagged_key(incident.incident_key)
        notes = self._incidents.notes(incident.id) if key else []
        actor, at = self._last_change(incident)
        return Remote(
            external_id=incident.id,
            remote_key=key,
            status=_STATUSES.get(incident.status, Status.FIRING),
            created_at=incident.created_at,
            url=incident.html_url,
            actor=actor,
            at=at,
            notes=tuple(_remote_note(note) for note in notes if not self._is_ours(note)),
            not_fixed=incident.resolve_reason.merged if incident.resolve_reason else "",
        )

    def _last_change(self, incident: Incident) -> tuple[str, datetime | None]:
        """Return who brought it into its status, and when; of several who took it the last, people before ourselves."""
        acks = [(ack.acknowledger, ack.at) for ack in incident.acknowledgements if ack.acknowledger]
        if incident.status == ACKNOWLEDGED and acks:
            others = [ack for ack in acks if not self._we.did(ack[0])]
            by, at = max(others or acks, key=lambda ack: ack[1] or NEVER)
            return by.summary, at
        changed_by = incident.last_status_change_by
        return changed_by.person if changed_by else "", incident.last_status_change_at

    def _is_ours(self, note: Note) -> bool:
        """Whether it tells nothing that a person wrote."""
        return not note.content.strip() or ends_signed(note.content) or self._we.did(note.user)


def _ref(incident: Incident) -> ObjectRef:
    return ObjectRef(incident.id, incident.html_url)


def _remote_note(note: Note) -> RemoteNote:
    actor = note.user.summary if note.user else ""
    return RemoteNote(id=note.id, text=note.content, actor=actor, at=note.created_at)
