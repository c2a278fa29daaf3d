"""One Redmine issue per episode: created, commented on while it lasts, closed when it is over. What people do there
comes back, by asking and by webhook.

Redmine answers 204 to a status that the workflow forbids, and quietly takes another for what it does not know. So what
was written is read back, and an issue that stays open is never said to be closed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

import structlog
from pydantic import BeforeValidator, Field, SecretStr, field_validator

from service_event_checker.config import DestinationConfig, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Delivery, Event, Family, Link, Remote, Severity, Verb, remote_key
from service_event_checker.redmine_api import advice, keys, markup, shapes
from service_event_checker.redmine_api.issues import Issues
from service_event_checker.redmine_api.keys import Keyed
from service_event_checker.redmine_api.shapes import Issue, IssueStatus
from service_event_checker.redmine_api.watch import Watch, is_told, marker
from service_event_checker.text import Notice, cut, notice, platform_name

SUBJECT_MAX = 255
HOOK = "/hooks/redmine"
UNCLOSED = "This issue could not be closed: Redmine allows our user no closing status here. Please close it."

log = structlog.get_logger()

#: Redmine's id of something, or its name, where a number in the file is as good as a text
Name = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]


class Config(DestinationConfig):
    """`project` is the identifier or the number. `custom_field`: id or name of the text field that holds our keys (41
    characters, used as a filter); "" puts them into the subject. `text_formatting` is Redmine's own setting of that
    name.

    `priorities` are ids by severity; `fields` (the API's names) and `custom_fields` (id -> value) are set on creation.
    `webhook_secret` is that of the webhook in Redmine 7.
    """

    SETTLE: ClassVar[timedelta] = timedelta(seconds=20)
    REOPEN_WITHIN: ClassVar[timedelta] = timedelta(hours=72)
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(minutes=5)
    RATE: ClassVar[tuple[float, int]] = (2.0, 5)  # it has no limit of its own, and few threads
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("REDMINE_URL",),
        "token": ("REDMINE_API_KEY",),
        "project": ("REDMINE_PROJECT_ID",),
        "tracker_id": ("REDMINE_TRACKER_ID",),
        "open_status_id": ("REDMINE_OPEN_STATUS_ID",),
        "close_status_id": ("REDMINE_CLOSE_STATUS_ID",),
        "webhook_secret": ("REDMINE_WEBHOOK_SECRET",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("url", "token", "project")

    kind: Literal["redmine"] = "redmine"
    url: str = ""
    token: SecretStr | None = None
    project: Name = ""
    tracker_id: Annotated[int, Field(ge=1)] = 1
    open_status_id: Annotated[int, Field(ge=1)] = 1
    close_status_id: Annotated[int, Field(ge=1)] = 8
    custom_field: Name = "Alert fingerprint"
    text_formatting: markup.Format = "textile"
    priorities: Mapping[Severity, int] = Field(
        default={Severity.CRITICAL: 5, Severity.ERROR: 4, Severity.WARNING: 2, Severity.INFO: 1}
    )
    fields: Mapping[str, str | int | float | bool] = Field(default={})
    custom_fields: Mapping[int, str] = Field(default={})
    webhook_secret: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        url = url.strip().rstrip("/")
        if url and not url.startswith(("https://", "http://")):
            raise ValueError('write the address of Redmine itself, "https://redmine.example.com"')
        return url

    @field_validator("project")
    @classmethod
    def _identifier(cls, project: str) -> str:
        project = project.strip()
        if project and not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", project):
            raise ValueError("write the project's identifier, as its address shows it: /projects/<identifier>")
        return project


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
        if link is None or not link.external_id:
            raise DeliveryError(Reason.NOT_FOUND, "no issue of this episode is known", permanent=True)
        told = self._notice(delivery, alert)
        if delivery.verb is not Verb.CLOSE or self.config.on_resolve == "comment":
            self._comment(delivery, told, link)
        elif self.config.on_resolve == "close":
            mark = marker(delivery.id)
            self._end(self._issues.get(link.external_id), markup.comment(told, self.config.text_formatting, mark), mark)
            return replace(link, closed=True)
        return link

    def find(self, remote_key: str) -> Link | None:
        """Return the oldest issue with the key, open or closed."""
        return self._as_link(self._keyed.find(remote_key))

    def find_open(self, alert_key: str) -> Link | None:
        """Return the oldest open issue that an episode of this alert made."""
        return self._as_link(self._keyed.find_open(alert_key))

    def open_objects(self) -> list[Remote]:
        """Return our open issues, with what people wrote there."""
        return self._watch.remotes(self._keyed.all_open())

    def look(self, external_id: str) -> Remote | None:
        """Return one issue as it is now, None when it was deleted."""
        try:
            return self._watch.remote(self._issues.get(external_id))
        except DeliveryError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise

    def retire(self, duplicate: Remote, kept: Remote) -> None:
        """Close an issue that was made twice."""
        mark = marker(f"retire:{duplicate.external_id}:{kept.external_id}")
        note = f"This was made twice by mistake: #{kept.external_id} goes on.\n\n{mark}"
        self._end(self._issues.get(duplicate.external_id), note, mark)

    def rehearse(self, delivery: Delivery, alert: Alert) -> str:
        """Render the issue that `deliver` would make."""
        document = self._document(delivery, alert, remote_key(alert.key, delivery.episode), "")
        return f"Redmine issue in {self.config.project}: {document['subject']}"

    def warnings(self) -> list[str]:
        """Say what Redmine would silently do otherwise."""
        wanted = advice.Wanted(
            project=self.config.project,
            tracker_id=self.config.tracker_id,
            open_status_id=self.config.open_status_id,
            close_status_id=self.config.close_status_id,
            custom_field=self.config.custom_field,
            priorities={severity.value: id for severity, id in self.config.priorities.items()},
        )
        return advice.advice(self._issues, self._keyed, wanted)

    def authentic(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Compare Redmine 7's signature: HMAC-SHA256 of the raw body, in hex, as `X-Redmine-Signature-256`."""
        key = secret(self.config.webhook_secret)
        if not key:
            return None
        given = next((value for name, value in headers.items() if name.lower() == "x-redmine-signature-256"), "")
        right = "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(given.strip().encode("utf-8", "replace"), right.encode())

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a webhook of Redmine 7, or of the plugin redmine_webhook, tells of our issues."""
        change = shapes.hook(payload)
        if change is None or not keys.keys(change.issue):
            return []
        return self._watch.events(change, self.name, HOOK)

    def _open(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
        if link and link.external_id:
            return self._reopen(delivery, alert, link)
        key = link.remote_key if link else remote_key(alert.key, delivery.episode)
        return self._create(delivery, alert, key, link.previous if link else "")

    def _reopen(self, delivery: Delivery, alert: Alert, link: Link) -> Link:
        """Open it again; where the workflow forbids that, or it was deleted, make a new one that names the old."""
        try:
            if self._opened(delivery, alert, self._issues.get(link.external_id)):
                return replace(link, closed=False)
        except DeliveryError as refusal:
            if not refusal.permanent:
                raise
        key, previous = remote_key(alert.key, delivery.episode), link.url or link.external_id
        found = self._keyed.find_open(alert.key)  # the outbox did not search: it took the old one for good
        if found:
            return self._link(delivery, key, found, previous)
        return self._create(delivery, alert, key, previous)

    def _opened(self, delivery: Delivery, alert: Alert, issue: Issue) -> bool:
        """Bring a closed issue into an open status; False where the workflow allows none."""
        if not issue.status.closed:
            return True
        told = self._notice(delivery, alert)
        told = told if told.change else replace(told, change="Opened again")
        mark = marker(delivery.id)
        note = markup.comment(told, self.config.text_formatting, mark, full=True)
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
        told = self._notice(delivery, alert)
        mark = keys.in_description(alert.key)
        priority = self.config.priorities.get(alert.severity)
        return {
            "project_id": self.config.project,
            "tracker_id": self.config.tracker_id,
            "status_id": self.config.open_status_id,
            **({"priority_id": priority} if priority else {}),
            **self.config.fields,
            "subject": _subject(alert, told),
            "description": markup.description(told, self.config.text_formatting, previous=previous, mark=mark),
            "custom_fields": [*self._own_fields(), *self._keyed.value(key, alert.key)],
        }

    def _own_fields(self) -> list[dict[str, Any]]:
        return [{"id": id, "value": value} for id, value in self.config.custom_fields.items()]

    def _comment(self, delivery: Delivery, told: Notice, link: Link) -> None:
        mark = marker(delivery.id)
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
                taken, named = f"{status.id} {status.name}", advice.named(self._issues, wanted)
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
        id, url = str(issue.id), self._issues.address(issue.id)
        key = keys.remote_key(issue)
        return Link(key="", episode=0, receiver=self.name, remote_key=key, external_id=id, url=url)

    def _link(self, delivery: Delivery, key: str, issue: Issue, previous: str) -> Link:
        return Link(
            key=delivery.key,
            episode=delivery.episode,
            receiver=delivery.receiver,
            remote_key=key,
            external_id=str(issue.id),
            url=self._issues.address(issue.id),
            previous=previous,
        )

    def _notice(self, delivery: Delivery, alert: Alert) -> Notice:
        return notice(alert, delivery.verb, datetime.now(UTC), actor=delivery.actor, note=delivery.note)


def _subject(alert: Alert, told: Notice) -> str:
    """Return a subject that need not change while the severity and the status do."""
    platform = platform_name(alert.source)
    named = told.title.lower().startswith(platform.lower())
    return cut(told.title if named else f"{platform}: {told.title}", SUBJECT_MAX)


def _marked(subject: str, key: str) -> str:
    """Return the subject with its key at the end."""
    mark = keys.in_subject(key)
    return cut(subject, SUBJECT_MAX - len(mark)) + mark
