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
from service_event_checker.core.model import Alert, Delivery, Event, ObjectRef, Remote
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.destinations.redmine import keys, markup, preflight
from service_event_checker.destinations.redmine.changes import Watch, is_told
from service_event_checker.destinations.redmine.client import Issues
from service_event_checker.destinations.redmine.config import Config
from service_event_checker.destinations.redmine.keys import Keyed
from service_event_checker.destinations.redmine.payload import Issue, IssueStatus, hook
from service_event_checker.remote.marks import signature, tag
from service_event_checker.remote.signature import header, proof
from service_event_checker.remote.ticket import comment_of, duplicate_note, unless_gone
from service_event_checker.render.notice import notice_of
from service_event_checker.render.own import TITLE, Form
from service_event_checker.render.text import cut

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
        self.homes = (config.url,)
        self._issues = Issues(config.url, secret(config.token), config.timeout.total_seconds())
        self._keyed = Keyed(self._issues, name, config)
        self._watch = Watch(self._issues, config)
        self.raise_if_paused = self._issues.pauses.raise_if_paused

    def create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> ObjectRef:
        """Create the issue: rather without its priority, or its key in the subject, than not at all."""
        self._keyed.look_for_field()
        refusal = DeliveryError(Reason.REFUSED, permanent=True)
        for attributes in self._attempts(delivery, alert, key, previous):
            try:
                issue = self._issues.create(attributes)
            except DeliveryError as error:
                if error.reason is not Reason.REFUSED:  # a refusal has no effect: HTTP 422
                    raise
                log.warning("redmine_refused", receiver=self.name, why=error.detail)
                refusal = error
            else:
                self._log_replaced(issue)
                self._make_findable(issue, attributes["subject"], key, alert)
                return self._ref(issue)
        raise refusal

    def reopen(self, delivery: Delivery, alert: Alert, external_id: str) -> bool:
        """Bring the issue into an open status; refused where the workflow allows none."""
        issue = self._issues.get(external_id)
        if not issue.status.closed:
            return False
        allowed = self._allowed(issue, self.config.open_status_id, closed=False)
        if not allowed or not self._moved(issue, allowed[0], *self._note(delivery, alert)):
            raise DeliveryError(Reason.REFUSED, "Redmine allows our user no open status there", permanent=True)
        return True

    def comment(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Write a note, unless it is there already."""
        note, mark = self._note(delivery, alert)
        issue = self._issues.get(external_id)
        if not is_told(issue, mark):
            self._issues.change(issue.id, {"notes": note})

    def close(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Bring the issue into `close_status_id`, or another closing status that our user may set."""
        self._end(external_id, *self._note(delivery, alert))

    def find(self, remote_key: str) -> ObjectRef | None:
        """Return the oldest issue with the key, open or closed."""
        found = self._keyed.find(remote_key)
        return self._ref(found) if found else None

    def find_open_for(self, alert_key: str) -> ObjectRef | None:
        """Return the oldest open issue that an episode of this alert made."""
        found = self._keyed.find_open_for(alert_key)
        return self._ref(found) if found else None

    def open_objects(self) -> list[Remote]:
        """Return our open issues, with what people wrote there."""
        return self._watch.remotes(self._keyed.all_open())

    def get_remote(self, external_id: str) -> Remote | None:
        """Return one issue as it is now, None when it was deleted."""
        return unless_gone(lambda: self._watch.remote(self._issues.get(external_id)))

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Close an issue that was made twice, with a note naming the other; Redmine makes a link of `#<id>`."""
        text, mark = duplicate_note(duplicate, replace(original, url=f"#{original.external_id}"))
        mark = signature(mark)
        unless_gone(lambda: self._end(duplicate.external_id, f"{text}\n\n{mark}", mark))

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return subject and description of a new issue, or the note on it."""
        if delivery.verb is not Verb.OPEN:
            return {markup.BODY: self._note(delivery, alert)[0]}
        made = self._document(delivery, alert, remote_key(alert.key, delivery.episode), "")
        return {TITLE: made["subject"], markup.BODY: made["description"]}

    @staticmethod
    def forms(config: Config) -> Mapping[str, Form]:
        return markup.forms(config.text_formatting)

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the issue that `create` would make."""
        document = self._document(delivery, alert, remote_key(alert.key, delivery.episode), "")
        return f"Redmine issue in {self.config.project}: {document['subject']}"

    def preflight(self) -> list[str]:
        """Say what Redmine would silently do otherwise."""
        return preflight.advice(self._issues, self._keyed, self.config)

    def probe(self) -> ProbeResult:
        """Read our user, the project, its trackers and the statuses; creates nothing."""
        wrong = tuple(self.preflight())
        found = () if wrong else (f"project {self.config.project}, its tracker and the statuses exist",)
        unproven = ("whether the key's user may add issues",)
        return ProbeResult(proven=("the API key is valid", *found), wrong=wrong, unproven=unproven)

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Compare Redmine 7's signature: HMAC-SHA256 of the raw body, in hex, as `X-Redmine-Signature-256`."""
        return proof(self.config.webhook_secret, [header(headers, "X-Redmine-Signature-256")], body)

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a webhook of Redmine 7, or of the plugin redmine_webhook, tells of our issues."""
        found = hook(payload)
        change = self._watch.change(*found) if found and keys.keys(found[0]) else None
        return change.events(self.name, HOOK) if change else []

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

    def _log_replaced(self, issue: Issue) -> None:
        for what, wanted, got in (
            ("tracker", self.config.tracker_id, issue.tracker_id),
            ("status", self.config.open_status_id, issue.status.id),
        ):
            if wanted != got:
                log.warning("redmine_replaced", receiver=self.name, issue=issue.id, what=what, wanted=wanted, got=got)

    def _make_findable(self, issue: Issue, subject: str, key: str, alert: Alert) -> None:
        """See that an issue that was just made carries its key. Where that fails it is logged: the issue is made."""
        known = self._keyed.field
        self._keyed.learn(issue)
        if key not in keys.keys(issue, described=False):  # the field is not there any more, or we may not fill it
            self._keyed.proven = False
            log.warning("redmine_field_dropped", receiver=self.name, issue=issue.id, field=self.config.custom_field)
            changes: dict[str, Any] = {"subject": _marked(subject, key)}
        elif self._keyed.field and not known:  # the first issue that we saw, and it has the field
            changes = {"custom_fields": self._keyed.value(key, alert.key)}
        else:
            return
        try:
            self._issues.change(issue.id, changes)
        except DeliveryError as error:
            log.warning("redmine_key_missing", receiver=self.name, issue=issue.id, why=str(error))

    def _document(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> dict[str, Any]:
        told = notice_of(delivery, alert)
        mark = tag(alert.key)
        priority = self.config.priorities.get(alert.severity)
        return {
            "project_id": self.config.project,
            "tracker_id": self.config.tracker_id,
            "status_id": self.config.open_status_id,
            **({"priority_id": priority} if priority else {}),
            **self.config.fields,
            "subject": cut(told.own.get(TITLE) or told.subject, markup.SUBJECT_MAX),
            "description": markup.description(told, self.config.text_formatting, previous=previous, mark=mark),
            "custom_fields": [*self._own_fields(), *self._keyed.value(key, alert.key)],
        }

    def _own_fields(self) -> list[dict[str, Any]]:
        return [{"id": id, "value": value} for id, value in self.config.custom_fields.items()]

    def _note(self, delivery: Delivery, alert: Alert) -> tuple[str, str]:
        """Return a note with the mark by which it is known again, and that mark."""
        said = comment_of(delivery, alert)
        return markup.comment(said, self.config.text_formatting), signature(said.mark)

    def _end(self, id: str, note: str, mark: str) -> None:
        """Tell the end and close the issue, unless it is closed; say so in the issue where that cannot be."""
        issue = self._issues.get(id)
        if issue.status.closed:
            return
        for status in self._allowed(issue, self.config.close_status_id, closed=True):
            self._log_other(issue, status)
            if self._moved(issue, status, note, mark):
                return
            issue = self._issues.get(id)
        if not is_told(issue, mark):
            self._issues.change(issue.id, {"notes": note.replace(mark, f"{UNCLOSED}\n\n{mark}")})
        raise DeliveryError(
            Reason.REFUSED,
            f"issue {id} stays {issue.status.name}: Redmine allows our user no closing status there. Close it by hand:"
            " it is blocked, has open subtasks, or the workflow of our user's role lacks the step",
            permanent=True,
        )

    def _log_other(self, issue: Issue, status: IssueStatus) -> None:
        wanted = self.config.close_status_id
        if status.id != wanted:
            taken, named = f"{status.id} {status.name}", preflight.named(self._issues, wanted)
            log.warning("redmine_other_status", receiver=self.name, issue=issue.id, wanted=named, taken=taken)

    def _allowed(self, issue: Issue, wanted: int, *, closed: bool) -> list[IssueStatus]:
        """Return the closing, or else the open, statuses that our user may set, the wanted one first."""
        known = self._issues.statuses().values() if issue.allowed is None else issue.allowed
        return sorted((status for status in known if status.closed is closed), key=lambda status: status.id != wanted)

    def _moved(self, issue: Issue, status: IssueStatus, note: str, mark: str) -> bool:
        """Set the status, with the note if it was not told yet, and return whether Redmine did it."""
        notes = {} if is_told(issue, mark) else {"notes": note}
        self._issues.change(issue.id, {"status_id": status.id, **notes})
        return self._issues.get(str(issue.id)).status.closed is status.closed

    def _ref(self, issue: Issue) -> ObjectRef:
        return ObjectRef(str(issue.id), self._issues.address(issue.id))


def _marked(subject: str, key: str) -> str:
    """Return the subject with its key at the end."""
    mark = f" [{tag(key)}]"
    return cut(subject, markup.SUBJECT_MAX - len(mark)) + mark
