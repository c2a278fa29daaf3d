"""One Redmine issue per episode: created, commented on while it lasts, closed when it is over. What people do there
comes back, by asking and by webhook.

Redmine answers 204 to a status that the workflow forbids, and quietly takes another for what it does not know. So what
was written is read back, and an issue that stays open is never said to be closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import structlog

from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, Link, Remote
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.destinations.redmine import keys, markup, preflight
from service_event_checker.destinations.redmine import payload as shapes
from service_event_checker.destinations.redmine.changes import Watch, is_told
from service_event_checker.destinations.redmine.client import Issues
from service_event_checker.destinations.redmine.config import Config
from service_event_checker.destinations.redmine.keys import Keyed
from service_event_checker.destinations.redmine.payload import Issue, IssueStatus
from service_event_checker.remote import links
from service_event_checker.remote.marks import marker, signature
from service_event_checker.remote.signature import header, is_proof
from service_event_checker.render.notice import Notice, notice_of
from service_event_checker.render.text import cut

SUBJECT_MAX = 255
HOOK = "/hooks/redmine"
UNCLOSED = "This issue could not be closed: Redmine allows our user no closing status here. Please close it."

log = structlog.get_logger()


class Adapter:
    """Safe for several threads: what they share is one HTTP session and what Redmine said of itself."""

    family = Family.TICKET
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self._issues = Issues(config.url, secret(config.token), config.timeout.total_seconds())
        self._keyed = Keyed(self._issues, name, config.project, config.tracker_id, config.custom_field)
        self._watch = Watch(self._issues, config.tracker_id, config.open_status_id, config.close_status_id)

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Create, reopen, comment on or close the episode's issue; see `core.ports.Destination`."""
        if delivery.verb is Verb.OPEN:
            return self._open(delivery, alert, link)
        link = links.known(link, "issue", [self.config.url])
        told = notice_of(delivery, alert)
        if delivery.verb is not Verb.CLOSE or self.config.on_resolve == "comment":
            self._comment(delivery, told, link)
        elif self.config.on_resolve == "close":
            mark = _signature(delivery.id)
            self._end(self._issues.get(link.external_id), markup.comment(told, self.config.text_formatting, mark), mark)
            return replace(link, closed=True)
        return link

    def find(self, remote_key: str) -> Link | None:
        """Return the oldest issue with the key, open or closed."""
        return self._as_link(self._keyed.find(remote_key))

    def find_open_for(self, alert_key: str) -> Link | None:
        """Return the oldest open issue that an episode of this alert made."""
        return self._as_link(self._keyed.find_open_for(alert_key))

    def open_objects(self) -> list[Remote]:
        """Return our open issues, with what people wrote there."""
        return self._watch.remotes(self._keyed.all_open())

    def get_remote(self, external_id: str) -> Remote | None:
        """Return one issue as it is now, None when it was deleted."""
        try:
            return self._watch.remote(self._issues.get(external_id))
        except DeliveryError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Close an issue that was made twice."""
        mark = _signature(f"retire:{duplicate.external_id}:{original.external_id}")
        note = f"This was made twice by mistake: #{original.external_id} goes on.\n\n{mark}"
        self._end(self._issues.get(duplicate.external_id), note, mark)

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the issue that `deliver` would make."""
        document = self._document(delivery, alert, remote_key(alert.key, delivery.episode), "")
        return f"Redmine issue in {self.config.project}: {document['subject']}"

    def preflight(self) -> list[str]:
        """Say what Redmine would silently do otherwise."""
        wanted = preflight.Wanted(
            project=self.config.project,
            tracker_id=self.config.tracker_id,
            open_status_id=self.config.open_status_id,
            close_status_id=self.config.close_status_id,
            custom_field=self.config.custom_field,
            priorities={severity.value: id for severity, id in self.config.priorities.items()},
        )
        return preflight.advice(self._issues, self._keyed, wanted)

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Compare Redmine 7's signature: HMAC-SHA256 of the raw body, in hex, as `X-Redmine-Signature-256`."""
        key = secret(self.config.webhook_secret)
        if not key:
            return None
        return is_proof([header(headers, "X-Redmine-Signature-256")], body, key)

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a webhook of Redmine 7, or of the plugin redmine_webhook, tells of our issues."""
        change = shapes.hook(payload)
        if change is None or not keys.keys(change.issue):
            return []
        return self._watch.events(change, self.name, HOOK)

    def _open(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
        if link and link.external_id:
            return self._reopen(delivery, alert, link)
        return self._create(delivery, alert, links.key_of(delivery, link), link.previous if link else "")

    def _reopen(self, delivery: Delivery, alert: Alert, link: Link) -> Link:
        """Open it again; where the workflow forbids that, or it was deleted, make a new one that names the old."""
        try:
            links.must_be_at(link, [self.config.url])
            if self._opened(delivery, alert, link):
                return replace(link, closed=False)
        except DeliveryError as refusal:
            if not refusal.permanent:
                raise
        key, previous = remote_key(alert.key, delivery.episode), link.url or link.external_id
        found = self._keyed.find_open_for(alert.key)  # the outbox did not search: it took the old one for good
        if found:
            return self._link(delivery, key, found, previous)
        return self._create(delivery, alert, key, previous)

    def _opened(self, delivery: Delivery, alert: Alert, link: Link) -> bool:
        """Bring a closed issue into an open status; False where the workflow allows none.

        Where it was never closed, as by `on_resolve`, it is only said.
        """
        issue = self._issues.get(link.external_id)
        told = notice_of(delivery, alert)
        told = told if told.change else replace(told, change="Opened again")
        mark = _signature(delivery.id)
        note = markup.comment(told, self.config.text_formatting, mark, full=True)
        if not issue.status.closed:
            if links.is_earlier(link, delivery) and not is_told(issue, mark):
                self._issues.change(issue.id, {"notes": note})
            return True
        allowed = self._allowed(issue, self.config.open_status_id, closed=False)
        return bool(allowed) and self._moved(issue, allowed[0], note, mark)

    def _create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> Link:
        """Create the issue: rather without its priority, or its key in the subject, than not at all."""
        self._keyed.look_for_field()
        refusal = DeliveryError(Reason.REFUSED, permanent=True)
        for attempt in self._attempts(delivery, alert, key, previous):
            try:
                issue = self._issues.create(attempt)
            except DeliveryError as error:
                if error.reason is not Reason.REFUSED:  # a refusal has no effect: HTTP 422
                    raise
                log.warning("redmine_refused", receiver=self.name, why=error.detail)
                refusal = error
            else:
                self._make_sure(issue, attempt, key, alert)
                return self._link(delivery, key, issue, previous)
        raise refusal

    def _attempts(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> Iterator[dict[str, Any]]:
        document = self._document(delivery, alert, key, previous)
        marked = {**document, "subject": _marked(document["subject"], key)}
        first = document if self._keyed.proven else marked
        yield first
        if "priority_id" in document:
            yield {name: value for name, value in first.items() if name != "priority_id"}
        if self._keyed.field:
            marked.pop("priority_id", None)
            yield {**marked, "custom_fields": self._own_fields()}

    def _make_sure(self, issue: Issue, asked: Mapping[str, Any], key: str, alert: Alert) -> None:
        """See that what was just made carries its key, and is what was asked for."""
        for what, wanted, got in (
            ("tracker", self.config.tracker_id, issue.tracker_id),
            ("status", self.config.open_status_id, issue.status.id),
        ):
            if wanted != got:
                log.warning("redmine_replaced", receiver=self.name, issue=issue.id, what=what, wanted=wanted, got=got)
        known = self._keyed.field
        self._keyed.learn(issue)
        if key not in keys.keys(issue, described=False):  # the field is not there any more, or not ours to fill
            self._keyed.proven = False
            log.warning("redmine_field_dropped", receiver=self.name, issue=issue.id, field=self.config.custom_field)
            self._mend(issue, {"subject": _marked(asked["subject"], key)})
        elif self._keyed.field and not known:  # the first issue that we saw, and it has the field
            self._mend(issue, {"custom_fields": self._keyed.value(key, alert.key)})

    def _mend(self, issue: Issue, attributes: Mapping[str, Any]) -> None:
        """Write to an issue that was just made; whatever becomes of that, it is made."""
        try:
            self._issues.change(issue.id, attributes)
        except DeliveryError as error:
            log.warning("redmine_key_missing", receiver=self.name, issue=issue.id, why=str(error))

    def _document(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> dict[str, Any]:
        told = notice_of(delivery, alert)
        mark = keys.in_description(alert.key)
        priority = self.config.priorities.get(alert.severity)
        return {
            "project_id": self.config.project,
            "tracker_id": self.config.tracker_id,
            "status_id": self.config.open_status_id,
            **({"priority_id": priority} if priority else {}),
            **self.config.fields,
            "subject": cut(told.subject, SUBJECT_MAX),
            "description": markup.description(told, self.config.text_formatting, previous=previous, mark=mark),
            "custom_fields": [*self._own_fields(), *self._keyed.value(key, alert.key)],
        }

    def _own_fields(self) -> list[dict[str, Any]]:
        return [{"id": id, "value": value} for id, value in self.config.custom_fields.items()]

    def _comment(self, delivery: Delivery, told: Notice, link: Link) -> None:
        mark = _signature(delivery.id)
        issue = self._issues.get(link.external_id)
        if not is_told(issue, mark):
            note = markup.comment(told, self.config.text_formatting, mark, full=delivery.verb is Verb.UPDATE)
            self._issues.change(issue.id, {"notes": note})

    def _end(self, issue: Issue, note: str, mark: str) -> None:
        """Tell the end and close the issue, unless it is closed; say so in the issue where that cannot be."""
        if issue.status.closed:
            return
        wanted = self.config.close_status_id
        for status in self._allowed(issue, wanted, closed=True):
            if status.id != wanted:
                taken, named = f"{status.id} {status.name}", preflight.named(self._issues, wanted)
                log.warning("redmine_other_status", receiver=self.name, issue=issue.id, wanted=named, taken=taken)
            if self._moved(issue, status, note, mark):
                return
            issue = self._issues.get(str(issue.id))
        if not is_told(issue, mark):
            self._issues.change(issue.id, {"notes": note.replace(mark, f"{UNCLOSED}\n\n{mark}")})
        raise DeliveryError(
            Reason.REFUSED,
            f"issue {issue.id} stays {issue.status.name}: Redmine allows our user no closing status there. Close it by"
            " hand: it is blocked, has open subtasks, or the workflow of our user's role lacks the step",
            permanent=True,
        )

    def _allowed(self, issue: Issue, wanted: int, *, closed: bool) -> list[IssueStatus]:
        """Return the closing, or else the open, statuses that our user may set, the wanted one first."""
        known = self._issues.statuses().values() if issue.allowed is None else issue.allowed
        return sorted((status for status in known if status.closed is closed), key=lambda status: status.id != wanted)

    def _moved(self, issue: Issue, status: IssueStatus, note: str, mark: str) -> bool:
        """Set the status, with the note if it was not told yet, and return whether Redmine did it."""
        notes = {} if is_told(issue, mark) else {"notes": note}
        self._issues.change(issue.id, {"status_id": status.id, **notes})
        return self._issues.get(str(issue.id)).status.closed is status.closed

    def _as_link(self, issue: Issue | None) -> Link | None:
        if issue is None:
            return None
        return links.found(self.name, keys.remote_key(issue), str(issue.id), self._issues.address(issue.id))

    def _link(self, delivery: Delivery, key: str, issue: Issue, previous: str) -> Link:
        return links.made(delivery, key, str(issue.id), self._issues.address(issue.id), previous)


def _signature(what: str) -> str:
    """Return the signature of the note of one delivery, or of another cause."""
    return signature(marker(what))


def _marked(subject: str, key: str) -> str:
    """Return the subject with its key at the end."""
    mark = keys.in_subject(key)
    return cut(subject, SUBJECT_MAX - len(mark)) + mark
