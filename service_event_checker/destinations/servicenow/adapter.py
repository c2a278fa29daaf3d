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
from service_event_checker.core.model import Alert, Delivery, Event, ObjectRef, Remote
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Status, Verb
from service_event_checker.destinations.servicenow import document
from service_event_checker.destinations.servicenow.client import (
    CANCELED,
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
from service_event_checker.destinations.servicenow.webhook import read
from service_event_checker.remote.marks import KEY_TAG, checked, is_signed, signed
from service_event_checker.remote.ticket import comment_of, duplicate_note, moved, unless_gone
from service_event_checker.remote.values import moment
from service_event_checker.render.notice import Notice, notice_of
from service_event_checker.render.own import TITLE, Form

INTAKE = "/hooks/servicenow"

log = structlog.get_logger()


class Adapter:
    """Safe for several threads: what they share is one HTTP session."""

    family = Family.TICKET
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        timeout = config.timeout.total_seconds()
        self._incidents = Incidents(config.url, config.username, secret(config.password), timeout)
        self.homes = (config.url,)
        self.raise_if_paused = self._incidents.pauses.raise_if_paused

    def create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> ObjectRef:
        """Create the incident; what ServiceNow ignored of it is logged."""
        fields = self._fields(alert, notice_of(delivery, alert), key, previous)
        incident = self._incidents.create(fields)
        ignored = sorted(name for name in fields if name not in incident.fields)
        if ignored or incident.get("correlation_id") != key:
            log.warning("servicenow_fields_ignored", receiver=self.name, fields=ignored or ["correlation_id"])
        return self._ref(incident)

    def reopen(self, delivery: Delivery, alert: Alert, external_id: str) -> bool:
        """Bring the incident back into `reopen_state`; refused for one that is closed or canceled."""
        incident = self._incidents.get(external_id)
        if incident.get("state") not in ENDED:
            return False
        if incident.get("state") not in LOCKED:
            changes = {"state": self.config.reopen_state, **self._comment(delivery, alert)}
            self._incidents.change(external_id, changes)
            incident = self._incidents.get(external_id)
        if incident.get("state") in ENDED:
            raise DeliveryError(Reason.REFUSED, "the incident cannot be opened again", permanent=True)
        return True

    def comment(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Write a work note, unless it is already our newest one."""
        note = self._comment(delivery, alert)
        if self._incidents.get(external_id).get("correlation_display") != note["correlation_display"]:
            self._incidents.change(external_id, note)

    def close(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Resolve the incident."""
        self._end(external_id, notice_of(delivery, alert).change, self._comment(delivery, alert))

    def find(self, remote_key: str) -> ObjectRef | None:
        """Return the oldest incident with the key."""
        return self._oldest(f"correlation_id={checked(remote_key)}", lambda it: it.get("correlation_id") == remote_key)

    def find_open_for(self, alert_key: str) -> ObjectRef | None:
        """Return the oldest incident of the alert that is neither resolved, closed nor canceled."""
        return self._oldest(*_open_with(document.display(alert_key)))

    def open_objects(self) -> list[Remote]:
        """Return our incidents that are neither resolved, closed nor canceled."""
        return [self._remote(incident) for incident in self._incidents.search_all(*_open_with(KEY_TAG))]

    def get_remote(self, external_id: str) -> Remote | None:
        """Return the incident as it is now; None when it is gone."""
        return unless_gone(lambda: self._remote(self._incidents.get(external_id)), is_gone)

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Resolve an incident that was made twice, with a note naming the other."""
        text, mark = duplicate_note(duplicate, original, self._incidents.address(original.external_id))
        notes = {"work_notes": signed(text, mark, document.TEXT_MAX)}
        unless_gone(lambda: self._end(duplicate.external_id, text, notes), is_gone)

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return short description and description of a new incident, or the work note on it."""
        if delivery.verb is not Verb.OPEN:
            return {document.BODY: document.note(comment_of(delivery, alert))}
        told = notice_of(delivery, alert)
        return {TITLE: document.title(told), document.BODY: document.description(told, "")}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return document.FORMS

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the incident that `deliver` would make."""
        fields = self._fields(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return f"incident, impact {fields['impact']}, urgency {fields['urgency']}: {fields['short_description']}"

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """A business rule does not sign; the route's token decides."""
        return None

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a person did to one of our incidents: another state, a work note, a comment."""
        change = read(payload)
        if change is None or not change.ours or change.user.lower() == self.config.username.lower():
            return []
        if any(is_signed(text) for _, text in change.remote.notes):
            return []
        status = moved(_status(change.before), _status(change.after))
        left = _not_fixed(change.after, change.close_code)
        return replace(change.remote, status=status, reason=left, not_fixed=bool(left)).events(self.name, INTAKE)

    def preflight(self) -> list[str]:
        """Ask whether incidents can be searched, and whether the close code is one as far as our user may read that."""
        self.find("0" * 20)
        try:
            codes = self._incidents.choices("close_code")
        except DeliveryError as error:
            if error.reason is not Reason.FORBIDDEN:
                raise
            return []
        if self.config.on_resolve != "close" or not codes or self.config.close_code in codes:
            return []
        return [f"close_code {self.config.close_code!r} is none of this instance's: {', '.join(codes)}"]

    def probe(self) -> ProbeResult:
        """Read the table of incidents; creates nothing."""
        wrong = tuple(self.preflight())
        return ProbeResult(
            proven=("the credentials are valid", "incidents can be read"),
            wrong=wrong,
            unproven=("whether the user may create incidents: give it the role itil",),
        )

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

    def _end(self, sys_id: str, text: str, said: Mapping[str, str]) -> None:
        """Bring an incident into the state Resolved, unless it is over already."""
        incident = self._incidents.get(sys_id)
        if incident.get("state") in ENDED:
            return
        if incident.get("correlation_display") == said.get("correlation_display"):
            said = {}  # told by an earlier try, which was not let through
        notes = document.plain(self.config.close_notes or text)[: document.TEXT_MAX]
        own = {name: _text(value) for name, value in self.config.close_fields.items()}
        ending = {**own, "state": RESOLVED, "close_code": self.config.close_code, "close_notes": notes}
        try:
            self._incidents.change(sys_id, {**ending, **said})
        except DeliveryError as error:
            if error.reason is Reason.REFUSED and error.permanent:
                raise _not_resolved(error.detail) from None
            raise
        state = self._incidents.get(sys_id).get("state")  # a rule of the instance may have put it back
        if state not in ENDED:
            raise _not_resolved(f"it went back to state {state}")

    def _comment(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return a work note with the mark by which it is known again."""
        said = comment_of(delivery, alert)
        return {"work_notes": document.note(said), "correlation_display": document.display(alert.key, said.mark)}

    def _oldest(self, condition: str, meets: Callable[[Incident], bool]) -> ObjectRef | None:
        found = self._incidents.search(condition, meets)
        return self._ref(found[0]) if found else None

    def _ref(self, incident: Incident) -> ObjectRef:
        return ObjectRef(incident.sys_id, self._incidents.address(incident.sys_id))

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
            not_fixed=_not_fixed(incident.get("state"), incident.get("close_code")),
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


def _not_fixed(state: str, close_code: str) -> str:
    """Say that an incident is over without being fixed, "" where its state and its code do not tell so."""
    if state == CANCELED:
        return "canceled in ServiceNow"
    return f"resolved as {close_code} in ServiceNow" if state in ENDED and "duplicate" in close_code.casefold() else ""


def _text(value: str | int | float | bool) -> str:
    """Return a value as ServiceNow writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _not_resolved(why: str) -> DeliveryError:
    hint = "set close_code to one of the instance's choices and close_fields to what else it demands"
    return DeliveryError(Reason.REFUSED, f"ServiceNow does not resolve it: {why}; {hint}", permanent=True)
