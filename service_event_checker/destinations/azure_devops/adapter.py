"""One Azure DevOps work item per episode: created, commented on while it lasts, closed when it is over.

A work item is found again by two tags, made of our remote key and of the alert's own. Comments are written as
System.History in a change that holds for the revision we saw only, so that a repeated delivery cannot say a thing
twice. What people do there comes back by a service hook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, ObjectRef, Remote
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import EventStatus, Family, Status, Verb
from service_event_checker.destinations.azure_devops import document
from service_event_checker.destinations.azure_devops.client import (
    BATCH,
    QUERY_MAX,
    Operation,
    WorkItem,
    WorkItems,
    is_gone,
)
from service_event_checker.destinations.azure_devops.config import Config
from service_event_checker.destinations.azure_devops.credentials import Chosen
from service_event_checker.destinations.azure_devops.states import COMPLETED, ENDED, IN_PROGRESS, PROPOSED
from service_event_checker.destinations.azure_devops.webhook import read
from service_event_checker.http import budget
from service_event_checker.remote.marks import TAG
from service_event_checker.remote.ticket import comment_of, duplicate_note, moved, unless_gone, without_copies
from service_event_checker.remote.values import moment, text
from service_event_checker.render import sample
from service_event_checker.render.notice import Notice, notice_of
from service_event_checker.render.own import TITLE, Form

INTAKE = "/hooks/azure-devops"
_CHANGED_AT = "Microsoft.VSTS.Common.StateChangeDate"
_WHO = {
    Status.ACKNOWLEDGED: ("Microsoft.VSTS.Common.ActivatedBy",),
    Status.RESOLVED: ("Microsoft.VSTS.Common.ClosedBy", "Microsoft.VSTS.Common.ResolvedBy"),
}
_NO_TAGS = "TF401289"  # the user may not create tags; a key's tag is always a new one
_IDENTITY = ["System.Tags", "System.State", "System.WorkItemType", "System.CreatedBy"]

log = structlog.get_logger()


class Adapter:
    """Safe for several threads: what they share is one HTTP session and a cache of the process's states."""

    family = Family.TICKET
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self._credentials = Chosen(name, config)
        self._items = WorkItems(config.url, config.project, self._credentials, config.timeout.total_seconds())
        self._states = self._items.states
        self._type = config.work_item_type
        self._we: frozenset[str] = frozenset()  # who we are over there, as what we made tells
        self.homes = self._items.homes
        self.raise_if_paused = self._items.pauses.raise_if_paused

    @property
    def auth(self) -> str:
        """How it signs in, in words; "" until it has."""
        return self._credentials.auth

    def create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> ObjectRef:
        """Create the work item; without its tags, and saying so in it, where our user may not create tags."""
        told = notice_of(delivery, alert)
        fields = self._fields(alert, told, key, previous)
        links = {previous: "The time before", told.link: "What the source says"}
        try:
            made = self._made(fields, links)
        except DeliveryError as refusal:
            if _NO_TAGS not in refusal.detail:
                raise
            log.warning("azure_devops_without_tags", receiver=self.name, why=refusal.detail)
            made = self._made(document.without_tags(fields), links)
        self._we = made.creator
        return self._ref(made.id)

    def reopen(self, delivery: Delivery, alert: Alert, external_id: str) -> bool:
        """Bring the work item back into `reopen_state`, or into the first state of its type that is not over."""
        is_there = frozenset({PROPOSED, IN_PROGRESS, ""})
        said = document.comment(comment_of(delivery, alert))

        def steps(item: WorkItem) -> list[Operation]:
            move = self._way(item, is_there, (PROPOSED, IN_PROGRESS), self.config.reopen_state)
            return [*move, said] if move else []

        return self._items.change(external_id, steps)

    def comment(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Comment on the work item, unless one of its newest comments is this one already."""
        said = comment_of(delivery, alert)
        steps = [document.comment(said)]
        self._items.change(external_id, lambda item: [] if self._items.told(item, said.mark) else steps)

    def close(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Bring the work item into `close_state`, or into the first Completed state of its type."""
        said = comment_of(delivery, alert)
        self._end(external_id, document.comment(said), said.mark)

    def find(self, remote_key: str) -> ObjectRef | None:
        """Return the oldest work item with the key's tag."""
        ids = self._items.query([document.tagged(remote_key)], 1)
        return self._ref(str(ids[0])) if ids else None

    def find_open_for(self, alert_key: str) -> ObjectRef | None:
        """Return the oldest work item of the alert that is in no Completed or Removed state."""
        with budget.limit(self.config.timeout.total_seconds() * 2):  # the outbox bounds deliveries, not searches
            ids = self._items.query([document.tagged(alert_key), *self._not_ended()], BATCH)
            items = self._originals(self._items.batch(ids, _IDENTITY))
            is_open = (item for item in items if self._states.category(item.type, item.state) not in ENDED)
            found = next(is_open, None)
        return self._ref(found.id) if found else None

    def open_objects(self) -> list[Remote]:
        """Return our work items that are in no Resolved, Completed or Removed state."""
        ids = self._items.query([f"[System.Tags] CONTAINS '{TAG}'", *self._not_ended()], QUERY_MAX)
        names = [*_IDENTITY, "System.CreatedDate", _CHANGED_AT, *_WHO[Status.ACKNOWLEDGED]]
        remotes = map(self._remote, self._originals(self._items.batch(ids, names)))
        return [remote for remote in remotes if remote.remote_key and remote.status is not Status.RESOLVED]

    def get_remote(self, external_id: str) -> Remote | None:
        """Return the work item as it is now; None when it was deleted."""
        return unless_gone(lambda: self._remote(self._items.get(external_id)), is_gone)

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Close a work item that was made twice, with a comment naming the other."""
        address = original.url or self._items.address(original.external_id)
        text, mark = duplicate_note(duplicate, original, address)
        said = document.duplicate(text, mark, address)
        unless_gone(lambda: self._end(duplicate.external_id, said, mark), is_gone)

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return title and description of a new work item, or the comment on it."""
        if delivery.verb is not Verb.OPEN:
            return {document.BODY: str(document.comment(comment_of(delivery, alert))["value"])}
        fields = self._fields(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return {TITLE: fields["System.Title"], document.BODY: fields["System.Description"]}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return document.FORMS

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the work item that `create` would make."""
        fields = self._fields(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return f"{self.config.work_item_type} in {self.config.project}: {fields['System.Title']}"

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Azure DevOps cannot sign; the route's token decides."""
        return None

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a person did to one of our work items: a comment, a change of its state's category."""
        change = read(payload)
        if change is None:
            return []
        before, after = (self._states.status(change.kind, state) for state in (change.before, change.after))
        status = EventStatus.RESOLVED if change.deleted else moved(before, after)
        left = "deleted in Azure DevOps" if change.deleted else ""
        if status is EventStatus.RESOLVED and not left:
            left = self._not_fixed(change.kind, change.after, change.reason)
        return replace(change.remote, status=status, reason=left, not_fixed=bool(left)).events(self.name, INTAKE)

    def preflight(self) -> list[str]:
        """Ask for the states of what we make, which `parse` then knows; return which of the configured do not exist."""
        states = self._states.of_any(self._type)
        if not states and self._type == "Bug":
            states = self._states.of("Issue")
        if not states:
            return [f"{self.config.project} has no work item type {self._type}: name one of its own in work_item_type"]
        known = [name for name, _ in states]
        wanted = [state for state in (self.config.close_state, self.config.reopen_state) if state]
        return [
            f"no state {state!r} in {self.config.project}: name one of {', '.join(known)}"
            for state in wanted
            if state not in known
        ]

    def probe(self) -> ProbeResult:
        """Have the creation of a sample work item validated, which creates nothing."""
        wrong = self.preflight()
        alert = sample.alert(datetime.now(UTC))
        told = notice_of(sample.delivery(alert, self.name), alert)
        fields = self._fields(alert, told, remote_key(alert.key, 1), "")
        has_type = bool(self._states.of_any(self._type))
        kind = self._type if has_type or self._type != "Bug" else "Issue"
        self._items.validate(kind, document.patch(kind, document.without_tags(fields), {}))
        return ProbeResult(
            proven=("the token is valid", f"a {kind} can be created in project {self.config.project}"),
            wrong=tuple(wrong),
            unproven=("whether our user may create tags",),
        )

    def _made(self, fields: Mapping[str, Any], links: Mapping[str, str]) -> WorkItem:
        """Create a work item; an Issue where the process (Basic) has no Bug."""
        try:
            return self._items.create(self._type, document.patch(self._type, fields, links))
        except DeliveryError as error:
            if error.reason is not Reason.NOT_FOUND or self._type != "Bug":
                raise
        made = self._items.create("Issue", document.patch("Issue", fields, links))
        self._type = "Issue"
        return made

    def _fields(self, alert: Alert, told: Notice, key: str, previous: str) -> dict[str, Any]:
        area = {"System.AreaPath": self.config.area_path} if self.config.area_path else {}
        priority = {"Microsoft.VSTS.Common.Priority": self.config.priorities.get(alert.severity, 2)}
        fields = document.fields(alert, told, key, previous)
        tags = "; ".join([fields["System.Tags"], *filter(None, [str(self.config.fields.get("System.Tags", ""))])])
        return {**fields, **priority, **area, **self.config.fields, "System.Tags": tags}

    def _end(self, id: str, said: Operation, mark: str) -> None:
        """Close a work item; what an earlier try that was refused has told of it is not told again."""
        values = document.values(self.config.close_fields)

        def steps(item: WorkItem) -> list[Operation]:
            move = self._way(item, ENDED, (COMPLETED,), self.config.close_state)
            return [*move, *values, *([] if self._items.told(item, mark) else [said])] if move else []

        self._items.change(id, steps)

    def _way(self, item: WorkItem, there: frozenset[str], categories: tuple[str, ...], state: str) -> list[Operation]:
        """Return the step into `state`, or a state of one of `categories`; none if the work item is `there` already."""
        if self._states.category(item.type, item.state) in there or item.state == state:
            return []
        return [document.move(state or self._states.first(item.type, categories))]

    def _not_fixed(self, kind: str, state: str, reason: str) -> str:
        """Say that a work item is over without being fixed, "" where its state and its reason do not tell so."""
        if self._states.removed(kind, state) or "duplicate" in reason.casefold():
            return f"{state} in Azure DevOps" + (f": {reason}" if reason else "")
        return ""

    def _not_ended(self) -> list[str]:
        """Return the condition that spares a query what is over; empty where the type's states are not known."""
        ended = [name for name, category in self._states.of_any(self._type) if category in ENDED]
        return [document.in_none_of(ended)] if ended else []

    def _originals(self, items: Iterable[WorkItem]) -> list[WorkItem]:
        """Return work items, the oldest first, without those that people copied: "Copy work item" copies the tags."""
        oldest_first = sorted(items, key=lambda item: item.number)
        return without_copies(oldest_first, _key_of, lambda item: item.creator, self._we)

    def _ref(self, id: str) -> ObjectRef:
        return ObjectRef(id, self._items.address(id))

    def _remote(self, item: WorkItem) -> Remote:
        self._states.of(item.type)
        status = self._states.status(item.type, item.state) or Status.FIRING
        who = [text(as_mapping(item.fields.get(field)).get("displayName")) for field in _WHO.get(status, ())]
        return Remote(
            external_id=item.id,
            remote_key=_key_of(item),
            status=status,
            created_at=moment(item.fields.get("System.CreatedDate")),
            url=self._items.address(item.id),
            actor=next(filter(None, who), ""),
            at=moment(item.fields.get(_CHANGED_AT)),
            not_fixed=self._not_fixed(item.type, item.state, text(item.fields.get("System.Reason")))
            if status is Status.RESOLVED
            else "",
        )


def _key_of(item: WorkItem) -> str:
    return document.key_of(text(item.fields.get("System.Tags")))
