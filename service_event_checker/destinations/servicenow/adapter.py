"""One ServiceNow incident per episode: created, noted on while it lasts, resolved when it is over.

An incident is found again by `correlation_id` (our remote key) and `correlation_display` (the alert's own). ServiceNow
ignores in silence what it does not take, so that what matters is read back. What people do there comes back by a
business rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, Link, Remote
from service_event_checker.core.vocabulary import EventStatus, Family, Status, Verb
from service_event_checker.destinations.servicenow import document
from service_event_checker.destinations.servicenow.client import (
    ENDED,
    LOCKED,
    NEW,
    RESOLVED,
    WORKED_ON,
    Incident,
    Incidents,
    is_gone,
)
from service_event_checker.destinations.servicenow.config import Config
from service_event_checker.destinations.servicenow.webhook import Change, read
from service_event_checker.remote import links
from service_event_checker.remote.marks import KEY_TAG, checked, is_signed, marker
from service_event_checker.remote.values import moment
from service_event_checker.render.notice import Notice, notice_of

INTAKE = "/hooks/servicenow"
CALLS_AT_THEIR_SLOWEST = 3  # of a delivery; with a search and a look for an older one it stays within its lease

log = structlog.get_logger()


class Adapter:
    """Safe for several threads: what they share is one HTTP session."""

    family = Family.TICKET
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self._timeout = config.timeout.total_seconds()
        self._incidents = Incidents(config.url, config.username, secret(config.password), self._timeout)

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Create, reopen, note on or resolve the episode's incident; see `core.ports.Destination`."""
        self._incidents.pace.wait_if_told()
        with self._incidents.pace.within(self._timeout * CALLS_AT_THEIR_SLOWEST):
            if delivery.verb is Verb.OPEN:
                return self._open(delivery, alert, link)
            link = links.known(link, "incident", [self.config.url])
            if delivery.verb is not Verb.CLOSE or self.config.on_resolve == "comment":
                self._note(delivery, alert, link)
            elif self.config.on_resolve == "close":
                return self._resolve(delivery, alert, link)
            return link

    def find(self, remote_key: str) -> Link | None:
        """Return the oldest incident with the key."""
        self._incidents.pace.wait_if_told()
        sys_id = self._found(remote_key)
        return self._seen(sys_id, remote_key) if sys_id else None

    def find_open_for(self, alert_key: str) -> Link | None:
        """Return the oldest incident of the alert that is neither resolved, closed nor canceled."""
        self._incidents.pace.wait_if_told()
        found = self._incidents.search(*_open_with(document.display(alert_key)))
        return self._seen(found[0].sys_id, found[0].get("correlation_id")) if found else None

    def open_objects(self) -> list[Remote]:
        """Return our incidents that are neither resolved, closed nor canceled."""
        self._incidents.pace.wait_if_told()
        return [self._remote(incident) for incident in self._incidents.search_all(*_open_with(KEY_TAG))]

    def get_remote(self, external_id: str) -> Remote | None:
        """Return the incident as it is now; None when it is gone."""
        self._incidents.pace.wait_if_told()
        try:
            return self._remote(self._incidents.get(external_id))
        except DeliveryError as error:
            if not is_gone(error):
                raise
            return None

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Resolve an incident that was made twice, with a note naming the other."""
        self._incidents.pace.wait_if_told()
        address = original.url or self._incidents.address(original.external_id)
        text = f"Made twice: {address} is the one that goes on."
        mark = marker(f"{duplicate.external_id}:{original.external_id}")
        try:
            self._end(duplicate.external_id, text, {"work_notes": document.signed(text, mark)})
        except DeliveryError as error:
            if not is_gone(error):
                raise

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the incident that `deliver` would make."""
        fields = self._fields(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return f"incident, impact {fields['impact']}, urgency {fields['urgency']}: {fields['short_description']}"

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """A business rule does not sign; the route's token decides."""
        return None

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a person did to an incident of ours: another state, a work note, a comment."""
        change = read(payload)
        if change is None or not change.ours or change.user.lower() == self.config.username.lower():
            return []
        if any(is_signed(text) for _, text in change.notes):
            return []
        before, after = _status(change.before), _status(change.after)
        events = [self._event(change, links.EVENTS[after])] if after and after is not before else []
        return events + [self._event(change, EventStatus.NOTED, note, id) for id, note in change.notes]

    def preflight(self) -> list[str]:
        """Ask whether incidents can be searched, and whether the close code is one as far as our user may read that."""
        self._found("0" * 20)
        try:
            codes = self._incidents.choices("close_code")
        except DeliveryError as error:
            if error.reason is not Reason.UNAUTHORIZED:
                raise
            return []
        if self.config.on_resolve != "close" or not codes or self.config.close_code in codes:
            return []
        return [f"close_code {self.config.close_code!r} is none of this instance's: {', '.join(codes)}"]

    def _open(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
        if link and link.external_id:
            return self._reopen(delivery, alert, link)
        return self._create(delivery, alert, links.key_of(delivery, link), link.previous if link else "")

    def _reopen(self, delivery: Delivery, alert: Alert, link: Link) -> Link:
        """Open it again; where ServiceNow refuses, make a new one that names the old."""
        try:
            links.must_be_at(link, [self.config.url])
            self._move_to_open(delivery, alert, link)
        except DeliveryError as refusal:
            if not refusal.permanent:
                raise
            key, previous = remote_key(alert.key, delivery.episode), link.url or link.external_id
            found = self.find_open_for(alert.key)  # the outbox did not search: it took the old one for good
            if found:
                return self._link(delivery, key, found.external_id, previous)
            return self._create(delivery, alert, key, previous)
        return replace(link, closed=False)

    def _move_to_open(self, delivery: Delivery, alert: Alert, link: Link) -> None:
        """Open it again; where it was never resolved, as by `on_resolve`, say so."""
        sys_id = link.external_id
        incident = self._incidents.get(sys_id)
        told = notice_of(delivery, alert)
        told = told if told.change else replace(told, change="Opened again")
        said = self._said(delivery, alert, told, full=True)
        if incident.get("state") not in ENDED:
            if links.is_earlier(link, delivery) and not document.has_mark(incident, marker(delivery.id)):
                self._incidents.change(sys_id, said)
            return
        if incident.get("state") not in LOCKED:
            self._incidents.change(sys_id, {"state": self.config.reopen_state, **said})
            incident = self._incidents.get(sys_id)
        if incident.get("state") in ENDED:
            raise DeliveryError(Reason.REFUSED, "the incident cannot be opened again", permanent=True)

    def _create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> Link:
        fields = self._fields(alert, notice_of(delivery, alert), key, previous)
        incident = self._incidents.create(fields)
        ignored = sorted(name for name in fields if name not in incident.fields)
        if ignored or incident.get("correlation_id") != key:
            log.warning("servicenow_fields_ignored", receiver=self.name, fields=ignored or ["correlation_id"])
        return self._link(delivery, key, incident.sys_id, previous)

    def _fields(self, alert: Alert, told: Notice, key: str, previous: str) -> dict[str, str]:
        group = {"assignment_group": self.config.assignment_group} if self.config.assignment_group else {}
        return {
            "short_description": document.title(told),
            "description": document.description(told, previous),
            "impact": str(self.config.impact.get(alert.severity, 2)),
            "urgency": str(self.config.urgency.get(alert.severity, 2)),
            "correlation_id": checked(key),
            "correlation_display": document.display(alert.key),
            **group,
            **{name: _text(value) for name, value in self.config.fields.items()},
        }

    def _note(self, delivery: Delivery, alert: Alert, link: Link) -> None:
        incident = self._incidents.get(link.external_id)
        if not document.has_mark(incident, marker(delivery.id)):
            told = notice_of(delivery, alert)
            said = self._said(delivery, alert, told, full=delivery.verb is Verb.UPDATE)
            self._incidents.change(link.external_id, said)

    def _resolve(self, delivery: Delivery, alert: Alert, link: Link) -> Link:
        told = notice_of(delivery, alert)
        self._end(link.external_id, told.change, self._said(delivery, alert, told))
        return replace(link, closed=True)

    def _end(self, sys_id: str, text: str, said: Mapping[str, str]) -> None:
        """Bring an incident into the state Resolved, unless it is over already."""
        if self._incidents.get(sys_id).get("state") in ENDED:
            return
        notes = document.plain(self.config.close_notes or text)[: document.TEXT_MAX]
        ending = {"state": RESOLVED, "close_code": self.config.close_code, "close_notes": notes}
        try:
            self._incidents.change(sys_id, {**ending, **said})
        except DeliveryError as error:
            if error.reason is Reason.REFUSED and error.permanent:
                raise _not_resolved(error.detail) from None
            raise
        state = self._incidents.get(sys_id).get("state")  # a rule of the instance may have put it back
        if state not in ENDED:
            raise _not_resolved(f"it went back to state {state}")

    def _said(self, delivery: Delivery, alert: Alert, told: Notice, *, full: bool = False) -> dict[str, str]:
        mark = marker(delivery.id)
        return {
            "work_notes": document.note(told, mark, full=full),
            "correlation_display": document.display(alert.key, mark),
        }

    def _found(self, key: str) -> str:
        """Return the sys_id of the oldest incident with the key, "" if there is none."""
        condition = f"correlation_id={checked(key)}"
        found = self._incidents.search(condition, lambda incident: incident.get("correlation_id") == key)
        return found[0].sys_id if found else ""

    def _seen(self, sys_id: str, key: str) -> Link:
        """Return what a search found; the caller knows whose it is."""
        return links.found(self.name, key, sys_id, self._incidents.address(sys_id))

    def _link(self, delivery: Delivery, key: str, sys_id: str, previous: str) -> Link:
        return links.made(delivery, key, sys_id, self._incidents.address(sys_id), previous)

    def _remote(self, incident: Incident) -> Remote:
        by = incident.get("sys_updated_by")
        theirs = by and by.lower() != self.config.username.lower()
        return Remote(
            external_id=incident.sys_id,
            remote_key=document.key_of(incident),
            status=_status(incident.get("state")) or Status.FIRING,
            created_at=moment(incident.get("sys_created_on")),
            url=self._incidents.address(incident.sys_id),
            actor=by if theirs else "",
            at=moment(
                incident.get("sys_updated_on" if theirs else "sys_created_on")
            ),  # at the earliest, if we wrote last
        )

    def _event(self, change: Change, status: EventStatus, note: str = "", note_id: str = "") -> Event:
        return links.change(
            self.name,
            change.sys_id,
            status,
            intake=INTAKE,
            actor=change.actor,
            at=change.at,
            note=note,
            note_id=note_id,
        )


def _open_with(display: str) -> tuple[str, Callable[[Incident], bool]]:
    """Return the encoded query for what is not over and carries our keys, and the same as a test."""

    def meets(incident: Incident) -> bool:
        return incident.get("correlation_display").startswith(display) and incident.get("state") not in ENDED

    return f"correlation_displaySTARTSWITH{display}^stateNOT IN{','.join(sorted(ENDED))}", meets


def _status(state: str) -> Status | None:
    """Return what a state means for an alert, None for one of the instance's own."""
    if state in ENDED:
        return Status.RESOLVED
    return Status.ACKNOWLEDGED if state in WORKED_ON else {NEW: Status.FIRING}.get(state)


def _text(value: str | int | float | bool) -> str:
    """Return a value as ServiceNow writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _not_resolved(why: str) -> DeliveryError:
    hint = "set close_code to one of the instance's choices, or let the rule allow it for our user"
    return DeliveryError(Reason.REFUSED, f"ServiceNow does not resolve it: {why}; {hint}", permanent=True)
