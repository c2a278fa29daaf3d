"""One Azure DevOps work item per episode: created, commented on while it lasts, closed when it is over.

A work item is found again by two tags, made of our remote key and of the alert's own. Comments are written as
System.History in a change that holds for the revision we saw only, so that a repeated delivery cannot say a thing
twice. What people do there comes back by a service hook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, Link, Remote
from service_event_checker.core.vocabulary import EventStatus, Family, Status, Verb
from service_event_checker.destinations.azure_devops import document
from service_event_checker.destinations.azure_devops.client import (
    BATCH,
    COMPLETED,
    IN_PROGRESS,
    PROPOSED,
    QUERY_MAX,
    REMOVED,
    RESOLVED,
    ChangedMeanwhile,
    Operation,
    WorkItem,
    WorkItems,
    is_gone,
)
from service_event_checker.destinations.azure_devops.config import Config
from service_event_checker.destinations.azure_devops.kubernetes_secret import SecretFromCluster, cluster_address
from service_event_checker.destinations.azure_devops.token import Given, Pat
from service_event_checker.destinations.azure_devops.webhook import Change, read
from service_event_checker.http import budget
from service_event_checker.remote import links
from service_event_checker.remote.marks import TAG, is_signed, marker
from service_event_checker.remote.values import moment
from service_event_checker.render.notice import Notice, notice_of

INTAKE = "/hooks/azure-devops"
TRIES = 3  # against people who change the same work item at the same moment
CALLS_AT_THEIR_SLOWEST = 3  # of a delivery; with a search and a look for an older one it stays within its lease
_ENDED = frozenset({COMPLETED, REMOVED})
_STATUS = {
    PROPOSED: Status.FIRING,
    IN_PROGRESS: Status.ACKNOWLEDGED,
    **dict.fromkeys((RESOLVED, COMPLETED, REMOVED), Status.RESOLVED),
}
_CHANGED_AT = "Microsoft.VSTS.Common.StateChangeDate"
_WHO = {
    Status.ACKNOWLEDGED: ("Microsoft.VSTS.Common.ActivatedBy",),
    Status.RESOLVED: ("Microsoft.VSTS.Common.ClosedBy", "Microsoft.VSTS.Common.ResolvedBy"),
}


class Adapter:
    """Safe for several threads: what they share is one HTTP session and a cache of the process's states."""

    family = Family.TICKET
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self._timeout = config.timeout.total_seconds()
        self._items = WorkItems(config.url, config.project, _pat(config), self._timeout)
        self._type = config.work_item_type
        self._we: frozenset[str] = frozenset()  # who we are over there, as what we made tells

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Create, reopen, comment on or close the episode's work item; see `core.ports.Destination`."""
        self._items.pauses.raise_if_paused()
        with budget.limit(self._timeout * CALLS_AT_THEIR_SLOWEST):
            return self._deliver(delivery, alert, link)

    def _deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
        if delivery.verb is Verb.OPEN:
            return self._open(delivery, alert, link)
        link = links.known(link, "work item", self._items.homes)
        told = notice_of(delivery, alert)
        if delivery.verb is not Verb.CLOSE or self.config.on_resolve == "comment":
            self._comment(delivery, told, link, full=delivery.verb is Verb.UPDATE)
        elif self.config.on_resolve == "close":
            return self._close(delivery, told, link)
        return link

    def find(self, remote_key: str) -> Link | None:
        """Return the oldest work item with the key's tag."""
        self._items.pauses.raise_if_paused()
        id = self._found(remote_key)
        return self._seen(id, remote_key) if id else None

    def find_open_for(self, alert_key: str) -> Link | None:
        """Return the oldest work item of the alert that is in no Completed or Removed state."""
        self._items.pauses.raise_if_paused()
        with budget.limit(self._timeout * 2):
            ids = self._items.query([document.tagged(alert_key), *self._not_ended()], BATCH)
            names = ["System.State", "System.WorkItemType", "System.Tags", "System.CreatedBy"]
            items = self._originals(self._items.batch(ids, names))
            open_ones = [item.id for item in items if self._items.category(item) not in _ENDED]
        return self._seen(open_ones[0], "") if open_ones else None

    def get_remote(self, external_id: str) -> Remote | None:
        """Return the work item as it is now; None when it was deleted."""
        self._items.pauses.raise_if_paused()
        try:
            return self._remote(self._items.get(external_id))
        except DeliveryError as error:
            if not is_gone(error):
                raise
            return None

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Close a work item that was made twice, with a comment naming the other."""
        self._items.pauses.raise_if_paused()
        address = original.url or self._items.address(original.external_id)
        told = document.retirement(duplicate.external_id, original.external_id, address)
        try:
            self._move(duplicate.external_id, _ENDED, (COMPLETED,), self.config.close_state, told)
        except DeliveryError as error:
            if not is_gone(error):
                raise

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Azure DevOps cannot sign; the route's token decides."""
        return None

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a person did to a work item of ours: a change of its state's category, a comment."""
        change = read(payload)
        if change is None or is_signed(change.comment):
            return []
        if change.tags is not None and TAG not in change.tags:
            return []
        events = []
        before, after = (self._known_status(change.kind, state) for state in (change.before, change.after))
        if after and after is not before:
            events.append(self._event(change, links.EVENTS[after]))
        if change.said:
            note_id = f"{change.id}:{change.rev}"  # the same in both events that one comment causes
            events.append(self._event(change, EventStatus.NOTED, change.said, note_id))
        return events

    def preflight(self) -> list[str]:
        """Ask for the states of what we make, which `parse` then knows; return which of the configuration are none."""
        wanted = [state for state in (self.config.close_state, self.config.reopen_state) if state]
        states = self._listable_states()
        if not states and self._type == "Bug":
            states = self._items.states("Issue")
        if not states:
            return [f"{self.config.project} has no work item type {self._type}: name one of its own in work_item_type"]
        known = [name for name, _ in states]
        return [
            f"no state {state!r} in {self.config.project}: name one of {', '.join(known)}"
            for state in wanted
            if state not in known
        ]

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the work item that `deliver` would make."""
        told = notice_of(delivery, alert)
        fields = self._fields(alert, told, remote_key(alert.key, delivery.episode), "")
        return f"{self.config.work_item_type} in {self.config.project}: {fields['System.Title']}"

    def open_objects(self) -> list[Remote]:
        """Return our work items that are in no Resolved, Completed or Removed state."""
        self._items.pauses.raise_if_paused()
        ids = self._items.query([f"[System.Tags] CONTAINS '{TAG}'", *self._not_ended()], QUERY_MAX)
        names = [
            "System.Tags",
            "System.State",
            "System.CreatedDate",
            "System.CreatedBy",
            "System.WorkItemType",
            _CHANGED_AT,
            *_WHO[Status.ACKNOWLEDGED],
        ]
        remotes = map(self._remote, self._originals(self._items.batch(ids, names)))
        return [links for links in remotes if links.remote_key and links.status is not Status.RESOLVED]

    def _originals(self, items: Iterable[WorkItem]) -> list[WorkItem]:
        """Return work items, the oldest first, without those that people copied: "Copy work item" copies the tags."""
        oldest_first = sorted(items, key=lambda item: int(item.id))
        return links.without_copies(oldest_first, _key_of, lambda item: item.creator, self._we)

    def _seen(self, id: str, key: str) -> Link:
        """Return what a search found; the caller knows whose it is."""
        return links.found(self.name, key, id, self._items.address(id))

    def _event(self, change: Change, status: EventStatus, note: str = "", note_id: str = "") -> Event:
        return links.change(
            self.name,
            change.id,
            status,
            intake=INTAKE,
            actor=change.actor,
            at=change.at,
            note=note,
            note_id=note_id,
        )

    def _open(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
        if link and link.external_id:
            return self._reopen(delivery, alert, link)
        return self._create(delivery, alert, links.key_of(delivery, link), link.previous if link else "")

    def _reopen(self, delivery: Delivery, alert: Alert, link: Link) -> Link:
        """Open it again; where Azure DevOps refuses, make a new one that names the old."""
        try:
            links.must_be_at(link, self._items.homes)
            self._say_again(delivery, notice_of(delivery, alert), link)
        except DeliveryError as refusal:
            if not refusal.permanent:
                raise
            key, previous = remote_key(alert.key, delivery.episode), link.url or link.external_id
            found = self.find_open_for(alert.key)  # the outbox did not search: it took the old one for good
            if found:
                return self._link(delivery, key, found.external_id, previous)
            return self._create(delivery, alert, key, previous)
        return replace(link, closed=False)

    def _create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> Link:
        told = notice_of(delivery, alert)
        addresses = {previous: "The time before", told.link: "What the source says"}
        return self._link(delivery, key, self._created(self._fields(alert, told, key, previous), addresses), previous)

    def _created(self, fields: Mapping[str, Any], addresses: Mapping[str, str]) -> str:
        """Create the work item and return its id; an Issue where the process (Basic) has no Bug."""
        try:
            made = self._items.create(self._type, document.patch(self._type, fields, addresses))
        except DeliveryError as error:
            if error.reason is not Reason.NOT_FOUND or self._type != "Bug":
                raise
            try:
                made = self._items.create("Issue", document.patch("Issue", fields, addresses))
            except DeliveryError as second:
                raise (error if second.reason is Reason.NOT_FOUND else second) from None
            self._type = "Issue"
        self._we = made.creator
        return made.id

    def _link(self, delivery: Delivery, key: str, id: str, previous: str) -> Link:
        return links.made(delivery, key, id, self._items.address(id), previous)

    def _fields(self, alert: Alert, told: Notice, key: str, previous: str) -> dict[str, Any]:
        area = {"System.AreaPath": self.config.area_path} if self.config.area_path else {}
        priority = {"Microsoft.VSTS.Common.Priority": self.config.priorities.get(alert.severity, 2)}
        fields = document.fields(alert, told, key, previous)
        tags = "; ".join([fields["System.Tags"], *filter(None, [str(self.config.fields.get("System.Tags", ""))])])
        return {**fields, **priority, **area, **self.config.fields, "System.Tags": tags}

    def _comment(self, delivery: Delivery, told: Notice, link: Link, *, full: bool = False) -> None:
        mark = marker(delivery.id)
        for attempt in range(TRIES):
            item = self._items.get(link.external_id)
            if self._items.told(item, mark):
                return
            try:
                self._items.change(item, [document.comment(told, mark, full=full)])
            except ChangedMeanwhile:
                if attempt == TRIES - 1:
                    raise
            else:
                return

    def _close(self, delivery: Delivery, told: Notice, link: Link) -> Link:
        self._move(
            link.external_id,
            _ENDED,
            (COMPLETED,),
            self.config.close_state,
            document.comment(told, marker(delivery.id)),
        )
        return replace(link, closed=True)

    def _say_again(self, delivery: Delivery, told: Notice, link: Link) -> None:
        """Open it again; where it was never closed, as by `on_resolve`, say so."""
        told = told if told.change else replace(told, change="Opened again")
        history = document.comment(told, marker(delivery.id), full=True)
        is_there = frozenset({PROPOSED, IN_PROGRESS, ""})
        moved = self._move(link.external_id, is_there, (PROPOSED, IN_PROGRESS), self.config.reopen_state, history)
        if not moved and links.is_earlier(link, delivery):
            self._comment(delivery, told, link, full=True)

    def _move(
        self, id: str, there: frozenset[str], categories: tuple[str, ...], state: str, history: Operation
    ) -> bool:
        """Bring the work item into a state of one of `categories`; False if it is `there` already."""
        for attempt in range(TRIES):
            item = self._items.get(id)
            if self._items.category(item) in there or item.state == state:
                return False
            target = state or self._state_of(item, categories)
            try:
                self._items.change(item, [{"op": "add", "path": "/fields/System.State", "value": target}, history])
            except ChangedMeanwhile:
                if attempt == TRIES - 1:
                    raise
            else:
                return True
        return False

    def _not_ended(self) -> list[str]:
        """Return the condition that spares a query what is over, none where the type's states are not known."""
        ended = [name for name, category in self._listable_states() if category in _ENDED]
        listed = ", ".join("'" + name.replace("'", "''") + "'" for name in ended)
        return [f"[System.State] NOT IN ({listed})"] if ended else []

    def _listable_states(self) -> tuple[tuple[str, str], ...]:
        """Return the states of the type that we make; it narrows a query, so a process without it is no error."""
        try:
            return self._items.states(self._type)
        except DeliveryError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return ()

    def _state_of(self, item: WorkItem, categories: tuple[str, ...]) -> str:
        states = self._items.states(item.type)
        for wanted in categories:
            for name, category in states:
                if category == wanted:
                    return name
        raise DeliveryError(Reason.REFUSED, f"{item.type} has no state of category {categories[0]}", permanent=True)

    def _found(self, key: str) -> str:
        """Return the id of the oldest work item with the key's tag, "" if there is none."""
        ids = self._items.query([document.tagged(key)], 5)
        return ids[0] if ids else ""

    def _remote(self, item: WorkItem) -> Remote:
        self._items.states(item.type)
        status = self._known_status(item.type, item.state) or Status.FIRING
        who = [_name(item.fields.get(field)) for field in _WHO.get(status, ())]
        return Remote(
            external_id=item.id,
            remote_key=_key_of(item),
            status=status,
            created_at=moment(item.fields.get("System.CreatedDate")),
            url=self._items.address(item.id),
            actor=next(filter(None, who), ""),
            at=moment(item.fields.get(_CHANGED_AT)),
        )

    def _known_status(self, kind: str, state: str) -> Status | None:
        """Return what a state means for an alert, None for one that is not known. Asks nobody."""
        if self._items.is_untouched(kind, state):
            return Status.FIRING
        return _STATUS.get(self._items.known_category(kind, state))


def _key_of(item: WorkItem) -> str:
    return document.key_of(str(item.fields.get("System.Tags", "")))


def _name(person: object) -> str:
    """Return how an identity of Azure DevOps is called."""
    return str(person.get("displayName") or "") if isinstance(person, dict) else ""


def _pat(config: Config) -> Pat:
    given = secret(config.token)
    if given or not config.token_from:
        return Given(given)
    return SecretFromCluster(cluster_address(config.kubernetes_host, config.kubernetes_port))
