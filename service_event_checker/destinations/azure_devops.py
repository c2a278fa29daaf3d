"""One Azure DevOps work item per episode: created, commented on while it lasts, closed when it is over.

A work item is found again by a tag made of our remote key. Comments are written as System.History in a change that
holds for the revision we saw only, so that a repeated delivery cannot say a thing twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from service_event_checker.azure_devops_api import (
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
)
from service_event_checker.config import DestinationConfig, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Delivery, Family, Link, Remote, Severity, Status, Verb, remote_key
from service_event_checker.text import Notice, cut, notice, platform_name, render

TITLE_MAX = 255
TAG = "platform-outage-checker"  # on all that we make: what `open_objects` lists
KEY_TAG = "poc-"  # + remote key
TRIES = 3  # against people who change the same work item at the same moment
_KEY = re.compile(r"[0-9a-f]{1,64}")
_PAT = re.compile(r":?(?P<pat>[A-Za-z0-9_-]{3,})")
_ENDED = frozenset({COMPLETED, REMOVED})
_NAMED_SEVERITY = {
    Severity.CRITICAL: "1 - Critical",
    Severity.ERROR: "2 - High",
    Severity.WARNING: "3 - Medium",
    Severity.INFO: "4 - Low",
}


class Config(DestinationConfig):
    """`url` is the organization's address or its name; `token` the PAT, base64 of it, or base64 of `:PAT`.

    `close_state` and `reopen_state` stand in for the states that are found by category. `fields` are set on creation,
    by reference name. Where the process has no Bug, an Issue is made.
    """

    SETTLE: ClassVar[timedelta] = timedelta(seconds=30)
    REOPEN_WITHIN: ClassVar[timedelta] = timedelta(hours=72)
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(minutes=5)
    RATE: ClassVar[tuple[float, int]] = (2.0, 5)  # 200 TSTU in 5 minutes are slower still; Retry-After tells
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("ADO_ORG_URL", "AZURE_DEVOPS_ORG"),
        "project": ("ADO_PROJECT",),
        "token": ("ADO_PAT", "AZURE_DEVOPS_PAT", "ADO_PAT_BASE64"),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("url", "project", "token")

    kind: Literal["azure_devops"] = "azure_devops"
    url: str = ""
    project: str = ""
    token: SecretStr | None = None
    work_item_type: str = "Bug"
    area_path: str = ""
    priorities: Mapping[Severity, int] = Field(
        default={Severity.CRITICAL: 1, Severity.ERROR: 2, Severity.WARNING: 3, Severity.INFO: 4}
    )
    fields: Mapping[str, str | int | float | bool] = Field(default={})
    close_state: str = ""
    reopen_state: str = ""

    @field_validator("url")
    @classmethod
    def _whole_address(cls, url: str) -> str:
        url = url.strip().rstrip("/")
        if not url or url.startswith(("https://", "http://")):
            return url
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", url):
            raise ValueError('write "https://dev.azure.com/<organization>", or the organization\'s name')
        return f"https://dev.azure.com/{url}"

    @field_validator("token")
    @classmethod
    def _decoded(cls, token: SecretStr | None) -> SecretStr | None:
        """Return the PAT itself. What decodes to nothing like one is taken as it stands.

        A PAT has 52 or 84 letters and digits; that one of them were base64 of letters and digits only has a chance
        of 1 in 4**39.
        """
        text = "".join(secret(token).split())
        try:
            decoded = base64.b64decode(text, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            return SecretStr(text) if text else None
        found = _PAT.fullmatch(decoded.strip())
        return SecretStr(found["pat"] if found else text) if text else None


class Adapter:
    """Safe for several threads: what they share is one HTTP session and a cache of the process's states."""

    family = Family.TICKET
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        timeout = config.timeout.total_seconds()
        self._items = WorkItems(config.url, config.project, secret(config.token), timeout)
        self._type = config.work_item_type

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Create, reopen, comment on or close the episode's work item; see `core.ports.Destination`."""
        self._items.wait_if_told()
        if delivery.verb is Verb.OPEN:
            return self._open(delivery, alert, link)
        if link is None or not link.external_id:
            raise DeliveryError(Reason.NOT_FOUND, "no work item of this episode is known", permanent=True)
        told = self._notice(delivery, alert)
        if delivery.verb is not Verb.CLOSE or self.config.on_resolve == "comment":
            self._comment(delivery, told, link)
        elif self.config.on_resolve == "close":
            return self._close(delivery, told, link)
        return link

    def find(self, remote_key: str) -> Link | None:
        """Return the oldest work item with the key's tag."""
        self._items.wait_if_told()
        id = self._found(remote_key)
        if not id:
            return None
        address = self._items.address(id)
        return Link(key="", episode=0, receiver=self.name, remote_key=remote_key, external_id=id, url=address)

    def rehearse(self, delivery: Delivery, alert: Alert) -> str:
        """Render the work item that `deliver` would make."""
        told = self._notice(delivery, alert)
        document = self._document(alert, told, remote_key(alert.key, delivery.episode), "")
        return f"{self.config.work_item_type} in {self.config.project}: {document['System.Title']}"

    def open_objects(self) -> list[Remote]:
        """Return our work items that are in no Completed or Removed state."""
        self._items.wait_if_told()
        ended = [name for name, category in self._listable_states() if category in _ENDED]
        listed = ", ".join("'" + name.replace("'", "''") + "'" for name in ended)
        conditions = [f"[System.Tags] CONTAINS '{TAG}'"] + ([f"[System.State] NOT IN ({listed})"] if ended else [])
        ids = self._items.query(conditions, QUERY_MAX)
        names = ["System.Tags", "System.State", "System.CreatedDate", "System.WorkItemType"]
        items = [item for item in self._items.batch(ids, names) if self._items.category(item) not in _ENDED]
        return [remote for remote in map(self._remote, items) if remote.remote_key]

    def _open(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
        if link and link.external_id:
            return self._reopen(delivery, alert, link)
        key = link.remote_key if link else remote_key(alert.key, delivery.episode)
        return self._create(delivery, alert, key, link.previous if link else "")

    def _reopen(self, delivery: Delivery, alert: Alert, link: Link) -> Link:
        """Open it again; where Azure DevOps refuses, make a new one that names the old."""
        try:
            self._move_to_open(delivery, self._notice(delivery, alert), link.external_id)
        except DeliveryError as refusal:
            if not refusal.permanent:
                raise
            key, previous = remote_key(alert.key, delivery.episode), link.url or link.external_id
            found = self._found(key)  # the outbox did not search: it took the old one for good
            if found:
                return self._link(delivery, key, found, previous)
            return self._create(delivery, alert, key, previous)
        return replace(link, closed=False)

    def _create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> Link:
        document = self._document(alert, self._notice(delivery, alert), key, previous)
        return self._link(delivery, key, self._created(document), previous)

    def _created(self, document: Mapping[str, Any]) -> str:
        """Create the work item and return its id; an Issue where the process (Basic) has no Bug."""
        try:
            return self._items.create(self._type, _operations(self._type, document)).id
        except DeliveryError as error:
            if error.reason is not Reason.NOT_FOUND or self._type != "Bug":
                raise
            try:
                made = self._items.create("Issue", _operations("Issue", document)).id
            except DeliveryError as second:
                raise (error if second.reason is Reason.NOT_FOUND else second) from None
        self._type = "Issue"
        return made

    def _link(self, delivery: Delivery, key: str, id: str, previous: str) -> Link:
        return Link(
            key=delivery.key,
            episode=delivery.episode,
            receiver=delivery.receiver,
            remote_key=key,
            external_id=id,
            url=self._items.address(id),
            previous=previous,
        )

    def _document(self, alert: Alert, told: Notice, key: str, previous: str) -> dict[str, Any]:
        html = render("ticket.html.j2", told, previous=previous)
        area = {"System.AreaPath": self.config.area_path} if self.config.area_path else {}
        return {
            "System.Title": _title(alert, told),
            "System.Description": html,
            "Microsoft.VSTS.TCM.ReproSteps": html,  # what the form of a Bug shows in place of the description
            "System.Tags": f"{TAG}; {KEY_TAG}{_checked(key)}",
            "Microsoft.VSTS.Common.Priority": self.config.priorities.get(alert.severity, 2),
            "Microsoft.VSTS.Common.Severity": _NAMED_SEVERITY[alert.severity],
            **area,
            **self.config.fields,
            "hyperlink": told.link,
        }

    def _comment(self, delivery: Delivery, told: Notice, link: Link) -> None:
        marker = _marker(delivery)
        for attempt in range(TRIES):
            item = self._items.get(link.external_id)
            if self._items.told(item, marker):
                return
            try:
                self._items.change(item, [_history(told, marker, full=delivery.verb is Verb.UPDATE)])
            except ChangedMeanwhile:
                if attempt == TRIES - 1:
                    raise
            else:
                return

    def _close(self, delivery: Delivery, told: Notice, link: Link) -> Link:
        self._move(link.external_id, _ENDED, (COMPLETED,), self.config.close_state, _history(told, _marker(delivery)))
        return replace(link, closed=True)

    def _move_to_open(self, delivery: Delivery, told: Notice, id: str) -> None:
        told = told if told.change else replace(told, change="Opened again")
        history = _history(told, _marker(delivery), full=True)
        self._move(
            id, frozenset({PROPOSED, IN_PROGRESS, ""}), (PROPOSED, IN_PROGRESS), self.config.reopen_state, history
        )

    def _move(
        self, id: str, there: frozenset[str], categories: tuple[str, ...], state: str, history: Operation
    ) -> None:
        """Bring the work item into a state of one of `categories`, unless it is `there` already."""
        for attempt in range(TRIES):
            item = self._items.get(id)
            if self._items.category(item) in there:
                return
            target = state or self._state_of(item, categories)
            try:
                self._items.change(item, [{"op": "add", "path": "/fields/System.State", "value": target}, history])
            except ChangedMeanwhile:
                if attempt == TRIES - 1:
                    raise
            else:
                return

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
        ids = self._items.query([f"[System.Tags] CONTAINS '{KEY_TAG}{_checked(key)}'"], 5)
        return ids[0] if ids else ""

    def _remote(self, item: WorkItem) -> Remote:
        tags = [tag.strip() for tag in str(item.fields.get("System.Tags", "")).split(";")]
        keys = [tag.removeprefix(KEY_TAG) for tag in tags if tag.startswith(KEY_TAG)]
        return Remote(
            external_id=item.id,
            remote_key=keys[0] if keys and _KEY.fullmatch(keys[0]) else "",
            status=Status.RESOLVED if self._items.category(item) == RESOLVED else Status.FIRING,
            created_at=_moment(item.fields.get("System.CreatedDate")),
            url=self._items.address(item.id),
        )

    def _notice(self, delivery: Delivery, alert: Alert) -> Notice:
        return notice(alert, delivery.verb, datetime.now(UTC), actor=delivery.actor, note=delivery.note)


def _operations(kind: str, document: Mapping[str, Any]) -> list[Operation]:
    """Turn the document into a JSON patch, without what only a Bug has where it is none."""
    bug_only = ("Microsoft.VSTS.TCM.ReproSteps", "Microsoft.VSTS.Common.Severity")
    operations: list[Operation] = [
        {"op": "add", "path": f"/fields/{name}", "value": value}
        for name, value in document.items()
        if name != "hyperlink" and (kind == "Bug" or name not in bug_only)
    ]
    if document["hyperlink"]:
        place = {"rel": "Hyperlink", "url": document["hyperlink"], "attributes": {"comment": "What the source says"}}
        operations.append({"op": "add", "path": "/relations/-", "value": place})
    return operations


def _title(alert: Alert, told: Notice) -> str:
    """Return a title that need not change while the severity and the status do."""
    platform = platform_name(alert.source)
    named = told.title.lower().startswith(platform.lower())
    return cut(told.title if named else f"{platform}: {told.title}", TITLE_MAX)


def _history(told: Notice, marker: str, *, full: bool = False) -> Operation:
    text = render("comment.html.j2", told, marker=f"Platform Outage Checker {marker}", full=full)
    return {"op": "add", "path": "/fields/System.History", "value": text}


def _marker(delivery: Delivery) -> str:
    """Return what tells this delivery's comment from all others."""
    return hashlib.sha256(delivery.id.encode()).hexdigest()[:16]


def _checked(key: str) -> str:
    """Return a key that may stand in a query: hexadecimal only."""
    if not _KEY.fullmatch(key):
        raise DeliveryError(Reason.REFUSED, "a remote key is hexadecimal", permanent=True)
    return key


def _moment(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
