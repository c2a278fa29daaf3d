"""One Jira issue per episode, in Jira Cloud or in Jira Server and Data Center.

An issue is found again by labels made of our keys. Jira Cloud's search shows an issue only after a while: what this
process made it knows by id, and after a doubt the outbox waits the settle time. A comment carries a marker that is
looked for before it is written, so that a repeated delivery cannot say a thing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, ObjectRef, Remote
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Status, Verb
from service_event_checker.destinations.jira import document, labels, webhook, workflow
from service_event_checker.destinations.jira.client import Issue, Jira, Refused
from service_event_checker.destinations.jira.config import OWN_FIELDS, Config
from service_event_checker.destinations.jira.recent import Recent
from service_event_checker.destinations.jira.workflow import DONE, Step
from service_event_checker.remote.marks import TAG, marker, tag
from service_event_checker.remote.signature import header, proof
from service_event_checker.remote.ticket import comment_of, not_found, unless_gone, without_copies
from service_event_checker.remote.values import moment
from service_event_checker.render.notice import Notice, notice_of
from service_event_checker.render.own import TITLE, Form

CREATE = "CREATE_ISSUES"
PERMISSIONS = (CREATE, "ADD_COMMENTS", "TRANSITION_ISSUES")
ADAPTATIONS = 3  # creates of one issue: without a priority, or of another type, where Jira does not know ours

log = structlog.get_logger()


class Adapter:
    """Safe for several threads: what they share is one HTTP session, and notes of what this Jira takes."""

    family = Family.TICKET
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        api = config.which_api()
        timeout = config.timeout.total_seconds()
        self._jira = Jira(config.url, api, config.email, secret(config.token), timeout, site=config.site)
        self._write: document.Writer = document.adf if api == "cloud" else document.wiki
        self._type = config.issue_type
        self._unknown_priorities: frozenset[str] = frozenset()
        self._made = Recent()
        self.homes = self._jira.homes
        self.raise_if_paused = self._jira.pauses.raise_if_paused

    def create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> ObjectRef:
        """Create the issue, without a priority or as a Task where this Jira takes nothing else."""
        made = self._created(alert, self._fields(alert, notice_of(delivery, alert), key, previous))
        self._made.put(key, made.id)
        return self._ref(made)

    def reopen(self, delivery: Delivery, alert: Alert, external_id: str) -> bool:
        """Take a transition out of the category Done, then tell so."""
        issue = self._jira.get(external_id)
        if issue.category != DONE:
            return False
        step = workflow.reopening(self._jira.steps(issue.id), _where(issue))
        self._move(issue, step, lambda category: category != DONE, {})
        self.comment(delivery, alert, external_id)
        return True

    def comment(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Write a comment, unless one with its marker is there."""
        said = comment_of(delivery, alert)
        if not self._jira.told(external_id, said.mark):
            self._jira.comment(external_id, document.comment(said, self._write))

    def close(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Tell first, then close: some workflows let nobody comment on what is closed."""
        issue = self._jira.get(external_id)
        if issue.category != DONE:
            self.comment(delivery, alert, issue.id)
            self._finish(issue)

    def find(self, remote_key: str) -> ObjectRef | None:
        """Return the oldest issue with the key's label; one that we made lately by its id, for no search shows it."""
        made = self._made.get(remote_key)
        issue = unless_gone(lambda: self._jira.get(made)) if made else None
        if made and issue is None:
            self._made.forget(remote_key)
        if issue is None:
            label = tag(remote_key)
            found = self._jira.search(labels.query(self.config.project, label))
            issue = next((issue for issue in found if label in issue.labels), None)
        return self._ref(issue) if issue else None

    def find_open_for(self, alert_key: str) -> ObjectRef | None:
        """Return the oldest open issue with the alert's label."""
        label = labels.of_alert(alert_key)
        found = self._originals(self._search_open(label))
        issue = next((each for each in found if label in each.labels and each.category != DONE), None)
        return self._ref(issue) if issue else None

    def open_objects(self) -> list[Remote]:
        """Return our issues that are in no status of the category Done."""
        found = self._search_open(TAG)
        if not found:
            self._jira.sign_in()  # a stranger is shown an empty list
        issues = {issue.id: issue for issue in found if TAG in issue.labels and issue.category != DONE}
        return [remote for remote in map(self._remote, self._originals(issues.values())) if remote.remote_key]

    def get_remote(self, external_id: str) -> Remote | None:
        """Return the issue; None when it was deleted, or moved to where we may not look."""
        return unless_gone(lambda: self._remote(self._jira.get(external_id)), _is_gone)

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Close the duplicate, with a comment that names the other."""
        issue = self._jira.get(duplicate.external_id)
        if issue.category == DONE:
            return
        mark = marker(f"{duplicate.external_id}:{original.external_id}")
        if not self._jira.told(issue.id, mark):
            self._jira.comment(issue.id, document.made_twice(original.url or original.external_id, mark, self._write))
        self._finish(issue)

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Verify `X-Hub-Signature`, which Jira sends where its webhook has a secret; SHA-256 is all that it knows.

        https://developer.atlassian.com/cloud/jira/platform/webhooks/
        """
        return proof(self.config.webhook_secret, [header(headers, "X-Hub-Signature")], body)

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what people did to our issues; see `webhook`."""
        return webhook.read(payload, webhook.OwnIdentity(self.name, TAG, self._jira.me))

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return summary and description of a new issue, or the comment on it, as wiki text."""
        if delivery.verb is not Verb.OPEN:
            return {document.BODY: str(document.comment(comment_of(delivery, alert), document.wiki))}
        told = notice_of(delivery, alert)
        return {TITLE: document.summary(told), document.BODY: str(document.description(told, "", document.wiki))}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return document.FORMS

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the issue that `deliver` would make."""
        fields = self._fields(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return f"{self._type} in {self.config.project}: {fields['summary']}"

    def preflight(self) -> list[str]:
        """Sign in, and compare what the project offers with what we need."""
        self._jira.sign_in()
        types = self._jira.types(self.config.project)
        kind = "Task" if self._type == "Bug" and "Bug" not in types and "Task" in types else self._type
        if kind not in types:
            return [self._no_such_type(kind, types)]
        screen = self._jira.screen(self.config.project, types[kind])
        given = {*OWN_FIELDS, "priority", "reporter", *self.config.fields}
        named = set() if "priority" in self.config.fields else set(filter(None, self.config.priorities.values()))
        place = f"the create screen of {kind} in {self.config.project}"
        return list(workflow.wanting(screen, place, given, named))

    def probe(self) -> ProbeResult:
        """Sign in, and compare rights, issue type and create screen with what we need; creates nothing."""
        wrong = self.preflight()
        lacks = self._jira.lacks(self.config.project, PERMISSIONS)
        if CREATE in lacks:
            detail = f"the account may not create issues in {self.config.project}: give it the permission Create Issues"
            raise DeliveryError(Reason.FORBIDDEN, detail)
        wrong += [f"the account lacks the permission {name} in {self.config.project}: grant it" for name in lacks]
        return ProbeResult(
            proven=("the token is valid", f"issues can be created in project {self.config.project}"), wrong=tuple(wrong)
        )

    def _created(self, alert: Alert, fields: Mapping[str, Any]) -> Issue:
        for _ in range(ADAPTATIONS):
            kind = self._type
            name = self.config.priorities.get(alert.severity, "")
            usable = name and name not in self._unknown_priorities and "priority" not in fields
            priority = {"priority": {"name": name}} if usable else {}
            try:
                return self._jira.create({**fields, **priority, "issuetype": {"name": kind}})
            except Refused as refusal:
                self._adapt(refusal, kind, name if usable else "")
        raise DeliveryError(Reason.REFUSED, "Jira refuses the issue in all its forms", permanent=True)

    def _adapt(self, refusal: Refused, kind: str, priority: str) -> None:
        """Remember what this Jira does not support; raise if that does not help."""
        if priority and "priority" in refusal.fields:
            log.warning("jira_without_priority", receiver=self.name, priority=priority, said=str(refusal))
            self._unknown_priorities |= {priority}
        elif "issuetype" in refusal.fields:
            types = self._jira.types(self.config.project)
            if kind != "Bug" or "Task" not in types:
                raise DeliveryError(Reason.REFUSED, self._no_such_type(kind, types), permanent=True) from None
            self._type = "Task"
        elif "labels" in refusal.fields:
            hint = f"{refusal.detail}. Put the field Labels on the create screen: without it no issue is found again"
            raise DeliveryError(Reason.REFUSED, hint, permanent=True) from None
        else:
            raise refusal

    def _no_such_type(self, kind: str, types: Mapping[str, str]) -> str:
        offered = ", ".join(sorted(types)) or "none that this account may make"
        return f"{self.config.project} has no issue type {kind}. It has: {offered}. Set `issue_type`"

    def _fields(self, alert: Alert, told: Notice, key: str, previous: str) -> dict[str, Any]:
        ours = {TAG, tag(key), labels.of_alert(alert.key)}
        return {
            **self.config.fields,
            "project": {"key": self.config.project},
            "summary": document.summary(told),
            "description": document.description(told, previous, self._write),
            "labels": sorted(ours | set(self.config.labels)),
        }

    def _finish(self, issue: Issue) -> None:
        given = self.config.close_fields
        step = workflow.ending(self._jira.steps(issue.id), self.config.close_transition, _where(issue), given)
        before = {name: value for name, value in given.items() if name not in step.screen}
        if before:  # a validator may demand what no screen asks for
            self._jira.edit(issue.id, before)
        asked = {name: value for name, value in given.items() if name in step.screen}
        answers = {**asked, **workflow.answers(step, self.config.resolution)}
        self._move(issue, step, lambda category: category == DONE, answers)

    def _move(self, issue: Issue, step: Step, there: Callable[[str], bool], fields: Mapping[str, Any]) -> None:
        """Take a transition and look what came of it: a person may be faster, the workflow may do more than it says."""
        refusal = None
        try:
            self._jira.take(issue.id, step, fields)
        except Refused as error:
            refusal = error
        now = self._jira.get(issue.id)
        if there(now.category):
            return
        if refusal:
            detail = f"transition {step.name} of {issue.key}: {refusal.detail}"
            raise DeliveryError(refusal.reason, detail, permanent=True)
        detail = f"{issue.key} is in {now.status} after the transition {step.name}"
        raise DeliveryError(Reason.REFUSED, detail, permanent=True)

    def _search_open(self, label: str) -> list[Issue]:
        return self._jira.search(labels.query(self.config.project, label, still_open=True), self._made.ids())

    def _remote(self, issue: Issue) -> Remote:
        changed = issue.fields.get("statuscategorychangedate") or issue.fields.get("resolutiondate")
        return Remote(
            external_id=issue.id,
            remote_key=labels.remote_key_in(issue.labels),
            status=workflow.STATUSES.get(issue.category, Status.FIRING),
            created_at=moment(issue.fields.get("created")),
            url=self._jira.address(issue.key),
            at=moment(changed),
            not_fixed=workflow.not_fixed(issue.resolution) if issue.category == DONE else "",
        )

    def _originals(self, found: Iterable[Issue]) -> list[Issue]:
        """Return issues, the oldest first, without those that people cloned: a clone has the labels too."""
        return without_copies(
            found, lambda issue: labels.remote_key_in(issue.labels), lambda issue: issue.creator, self._jira.me
        )

    def _ref(self, issue: Issue) -> ObjectRef:
        return ObjectRef(issue.id, self._jira.address(issue.key))


def _where(issue: Issue) -> str:
    return f"for {issue.key} in {issue.status}"


def _is_gone(error: DeliveryError) -> bool:
    return error.permanent and not_found(error)
