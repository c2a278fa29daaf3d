"""One Opsgenie alert per episode, kept in step both ways; the same for Jira Service Management (JSM) Operations.

Our alerts are identified by alias and tags, alerts created there by their ID.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from service_event_checker.config.models import as_mapping, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, ObjectRef, Remote
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Status, Verb
from service_event_checker.destinations.opsgenie import document, preflight, webhook
from service_event_checker.destinations.opsgenie.client import DIALECTS, OpsAlerts
from service_event_checker.destinations.opsgenie.config import Config
from service_event_checker.destinations.opsgenie.payload import OpsAlert, Undone
from service_event_checker.destinations.opsgenie.remote import as_remote
from service_event_checker.remote.marks import TAG, checked, tag
from service_event_checker.remote.ticket import comment_of, duplicate_note, unless_gone
from service_event_checker.remote.values import NEVER
from service_event_checker.render.notice import Notice, notice_of
from service_event_checker.render.own import TITLE, Form

FOUND_CLOSED = timedelta(hours=1)  # what a person has ended while we wondered whether it was made
NOTES_OF = 20  # alerts whose notes one reconciliation reads, the latest changed first
_CLOSE = "close"
_ACTIONS = {Verb.ACK: "acknowledge", Verb.UNACK: "unacknowledge"}
_CHANGES: Mapping[str, frozenset[Status]] = {  # the states in which an action changes something
    "acknowledge": frozenset({Status.FIRING}),
    "unacknowledge": frozenset({Status.ACKNOWLEDGED}),
    _CLOSE: frozenset({Status.FIRING, Status.ACKNOWLEDGED}),
}

log = structlog.get_logger()


def make(name: str, config: Config) -> Adapter | WriteOnly:
    """Return what the API of a configuration allows."""
    adapter = Adapter(name, config)
    return adapter if DIALECTS[config.spoken].readable else WriteOnly(adapter)


class Adapter:
    """Opsgenie, and JSM by its REST API. Safe for several threads: what they share is one HTTP session."""

    family = Family.PAGER
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})
    homes = ()  # people open alerts at another address than the API's

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        dialect, timeout = DIALECTS[config.spoken], config.timeout.total_seconds()
        self.alerts = OpsAlerts(
            dialect, config.url, secret(config.token), email=config.email, user=config.user, timeout=timeout
        )
        self.raise_if_paused = self.alerts.pauses.raise_if_paused
        account = config.email.casefold() if config.spoken == "jsm" else ""
        users = frozenset({config.user.casefold(), account}) - {""}
        self._own = webhook.OwnIdentity(name, users, config.address, by_alias=not dialect.readable)

    def create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> ObjectRef:
        """Create the alert. Its alias keeps it from being made twice while it is open."""
        notice = notice_of(delivery, alert)
        fields = self._fields(alert, notice, key, previous)
        return self._ref(self.alerts.create(fields, document.details(alert, notice)))

    def reopen(self, delivery: Delivery, alert: Alert, external_id: str) -> bool:
        """Refused for an alert that is closed or gone."""
        if not self.alerts.get(external_id).is_open:
            raise DeliveryError(Reason.REFUSED, "a closed alert cannot be opened again", permanent=True)
        return False

    def comment(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Acknowledge, take an acknowledgement back, or only write a note; `update` also raises the priority."""
        self._tell(_ACTIONS.get(delivery.verb, ""), external_id, *note(delivery, alert))
        if delivery.verb is Verb.UPDATE:
            self._raise_priority(alert, external_id)

    def close(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Close the alert with a note; one that is closed already gets the note alone."""
        self._tell(_CLOSE, external_id, *note(delivery, alert))

    def find(self, remote_key: str) -> ObjectRef | None:
        """Return the alert of an episode: the open one with its alias, else one with its tag, made in the last hour.

        An older one that is closed does not count: after a loss of data its key comes again, and somebody must be
        paged.
        """
        alias = tag(remote_key)
        found = self.alerts.with_alias(alias) or self._recent(alias)
        return self._ref(found.id) if found else None

    def find_open_for(self, alert_key: str) -> ObjectRef | None:
        """Return the oldest open alert with the tag of `alert_key`."""
        ours = tag(alert_key)
        found = self.alerts.search(f'status: open AND tag: "{ours}"')
        return next((self._ref(each.id) for each in found if ours in each.tags), None)

    def open_objects(self) -> list[Remote]:
        """Return all open alerts that we may see, those born there with the event that their webhook would bring."""
        ours = f'({self.config.query}) OR tag: "{TAG}"'
        query = f"status: open AND ({ours})" if self.config.query else "status: open"
        found = [alert for alert in self.alerts.search(query) if alert.is_open]
        latest = sorted(found, key=lambda alert: alert.updated_at or NEVER, reverse=True)
        notes = {alert.id: self.alerts.notes(alert.id) for alert in latest[:NOTES_OF]}
        return [as_remote(alert, self._own, notes.get(alert.id, ())) for alert in found]

    def get_remote(self, external_id: str) -> Remote | None:
        """Return the alert as it is now; None when it was deleted."""
        found = unless_gone(lambda: self.alerts.get(external_id))
        return as_remote(found, self._own, self.alerts.notes(external_id)) if found else None

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Close an alert that was made twice, with a note naming the other."""
        text, mark = duplicate_note(duplicate, original)
        self._tell(_CLOSE, duplicate.external_id, document.marked(text, mark), mark)

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return message and description of a new alert, or the note on it."""
        if delivery.verb is not Verb.OPEN:
            return {document.BODY: document.note(comment_of(delivery, alert))}
        fields = self._fields(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return {TITLE: fields["message"], document.BODY: fields["description"]}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return document.FORMS

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the alert that `create` would make."""
        made = self._fields(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return f"{made['priority']} alert: {made['message']}"

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Return None: Opsgenie signs nothing, so the route's token decides. See `accepts` too."""
        return None

    def accepts(self, payload: Any) -> bool:
        """Whether a webhook's parsed body names our integration, or none is configured."""
        given = as_mapping(payload).get("integrationId")
        wanted = self.config.integration_id.strip()
        text = given if isinstance(given, str) else ""
        return not wanted or hmac.compare_digest(text.encode("utf-8", "replace"), wanted.encode())

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a webhook's body tells of an alert; see `core.ports.Inbound`."""
        return webhook.events(payload, self._own)

    def preflight(self) -> list[str]:
        """Say what this address and key cannot do; one call, for the start."""
        return [f"{self.name}: {warning}" for warning in preflight.warnings(self.config, self.alerts)]

    def probe(self) -> ProbeResult:
        """Search alerts; where the API cannot read, close an alert that does not exist. Changes nothing."""
        if DIALECTS[self.config.spoken].readable:
            self.alerts.search(f'tag: "{TAG}" AND status: open')
            shown = "alerts can be read"
        else:
            self.alerts.act("close", tag("0" * 20), "")
            shown = "requests with the key are accepted"
        unproven = ("whether the key may create alerts",)
        return ProbeResult(proven=("the key is valid", shown), wrong=tuple(self.preflight()), unproven=unproven)

    def _fields(self, alert: Alert, notice: Notice, key: str, previous: str) -> dict[str, Any]:
        fields = {**document.document(alert, notice, key, previous), "priority": self._priority(alert)}
        if self.config.responders:
            fields["responders"] = [each.model_dump(exclude_defaults=True) for each in self.config.responders]
        return fields

    def _priority(self, alert: Alert) -> str:
        return self.config.priorities.get(alert.severity, "P3")

    def _raise_priority(self, alert: Alert, id: str) -> None:
        """Raise the priority of an alert that we made; it is never lowered, for a person may have raised it."""
        seen, wanted = self.alerts.get(id), self._priority(alert)
        if not seen.is_open or not seen.remote_key or wanted >= seen.priority:  # P1 is the highest
            return
        try:
            self.alerts.prioritize(id, wanted)
        except DeliveryError as refusal:
            if not refusal.permanent:
                raise
            log.warning("opsgenie_priority_refused", receiver=self.name, wanted=wanted, why=str(refusal))

    def _tell(self, action: str, id: str, text: str, mark: str) -> None:
        """Carry out an action with a note, or only note it where the alert is that far already; once per mark."""
        state, changes = self.alerts.get(id).state, _CHANGES.get(action, frozenset())
        told = any(mark in each.note for each in self.alerts.notes(id))
        if told and not (action == _CLOSE and state in changes):  # told, but not let close the last time
            return
        if state in changes:
            try:
                self.alerts.act(action, id, "" if told else text)
            except Undone:
                if self.alerts.get(id).state in changes:
                    raise
            else:
                return
        if not told:
            self.alerts.note(id, text)  # it is that far already, or somebody was faster

    def _recent(self, ours: str) -> OpsAlert | None:
        """Return the oldest alert with a tag that is open, or may come from one of our attempts."""
        since = datetime.now(UTC) - FOUND_CLOSED
        found = [each for each in self.alerts.search(f'tag: "{ours}"') if ours in each.tags]
        recent = (each for each in found if each.is_open or (each.created_at and each.created_at > since))
        return next(recent, None)

    def _ref(self, id: str) -> ObjectRef:
        return ObjectRef(id, self.config.address(id))


class WriteOnly:
    """JSM's integration API: it takes changes to alerts by their alias, and nothing can be read there.

    A change is sent without a look at the alert, so that one that is repeated may be noted twice. All that does not
    need to read is the Adapter's.
    """

    family = Family.PAGER
    verbs = Adapter.verbs - {Verb.UNACK}
    homes = ()

    def __init__(self, adapter: Adapter) -> None:
        self.name, self.config, self._alerts = adapter.name, adapter.config, adapter.alerts
        self.create, self.dry_run = adapter.create, adapter.dry_run
        self.parse, self.accepts, self.verify_signature = adapter.parse, adapter.accepts, adapter.verify_signature
        self.preflight, self.raise_if_paused = adapter.preflight, adapter.raise_if_paused
        self.probe, self.preview = adapter.probe, adapter.preview

    def reopen(self, delivery: Delivery, alert: Alert, external_id: str) -> bool:
        """Refused: whether the alert is open cannot be read, and a closed one cannot be opened again."""
        raise DeliveryError(Reason.REFUSED, "an alert cannot be opened again", permanent=True)

    def comment(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Acknowledge, or write a note."""
        if delivery.verb is Verb.UNACK:
            raise DeliveryError(Reason.REFUSED, f"{self.config.spoken} cannot {delivery.verb}", permanent=True)
        text, _ = note(delivery, alert)
        if delivery.verb is Verb.ACK:
            self._alerts.act(_ACTIONS[delivery.verb], external_id, text)
        else:
            self._alerts.note(external_id, text)

    def close(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Close the alert with a note."""
        self._alerts.act(_CLOSE, external_id, note(delivery, alert)[0])

    def find(self, remote_key: str) -> ObjectRef | None:
        """Return None: a create may be repeated, as its alias makes no second open alert."""
        checked(remote_key)
        return None


def note(delivery: Delivery, alert: Alert) -> tuple[str, str]:
    """Return the note that tells a delivery's change, and the marker in it."""
    said = comment_of(delivery, alert)
    return document.note(said), said.mark
