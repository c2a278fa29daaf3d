"""The JSON shapes in which API and command line show alerts and deliveries. docs/api.md shows them to people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from operator import attrgetter
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel

from service_event_checker import logs
from service_event_checker.core.knowledge import Change, ChangeKind
from service_event_checker.core.ledger import Entry, State
from service_event_checker.core.model import Alert, Delivery, Link, Transition
from service_event_checker.core.store import Page, Related
from service_event_checker.core.verdict import Answer, Verdict
from service_event_checker.core.vocabulary import Affects, Kind, ResolvedBy, Severity, Status, Verb, Why
from service_event_checker.render.runs import RunShape
from service_event_checker.render.text import web_address

_REASONS = frozenset({Why.GAVE_UP, Why.WITHHELD, Why.SKIPPED, Why.ACTION})  # their notes quote other systems


class Withheld(BaseModel):
    """A receiver that has not been told, and why."""

    receiver: str
    reason: str


class EvidenceShape(BaseModel):
    """One fact in a sentence. `weight`: log-odds, above 0 for the vendor."""

    text: str
    weight: float


class VerdictShape(BaseModel):
    """Is it us or them? `score`: the probability that a vendor explains it; `band` says it in a word.

    `explained_by`: ids of outages. `by`: "engine", or the person who said so.
    """

    answer: Answer
    score: float
    band: str
    sentence: str
    explained_by: list[str]
    evidence: list[EvidenceShape]
    by: str
    at: AwareDatetime

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        return cls(
            answer=verdict.answer,
            score=verdict.score,
            band=verdict.band,
            sentence=verdict.sentence,
            explained_by=list(verdict.explained_by),
            evidence=[EvidenceShape(text=item.text, weight=item.weight) for item in verdict.evidence],
            by=verdict.by,
            at=verdict.at,
        )


class ChangeShape(BaseModel):
    """A change of our own."""

    service: str
    kind: ChangeKind
    at: AwareDatetime
    title: str
    url: str
    who: str

    @classmethod
    def of(cls, change: Change) -> Self:
        return cls.model_validate(asdict(change))


class AlertSummary(BaseModel):
    """One alert in a list. `id` is the internal id, `links` maps a receiver to the address of its object.

    `ends_at`: the planned end of planned work, as `started_at` is its planned start. `muted`: by whom its own system
    mutes it, until when and why, "" if it does not.
    """

    id: str
    key: str
    fingerprint: str
    source: str
    kind: Kind
    status: Status
    severity: Severity
    title: str
    description: str
    url: str
    labels: dict[str, str]
    annotations: dict[str, str]
    started_at: AwareDatetime
    opened_at: AwareDatetime
    updated_at: AwareDatetime
    ends_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    resolved_by: ResolvedBy | None
    owner: str
    episode: int
    affects_us: Affects
    test: bool
    flapping: bool
    receivers: list[str]
    withheld: list[Withheld]
    muted: str
    verdict: VerdictShape | None
    links: dict[str, str]

    @classmethod
    def of(cls, alert: Alert) -> Self:
        return cls.model_validate(_fields(alert))


class AlertPage(BaseModel):
    """One page of a list; `cursor` is that of the next page, None on the last one."""

    alerts: list[AlertSummary]
    cursor: str | None

    @classmethod
    def of(cls, page: Page) -> Self:
        """Return the page; its values come from a store, which has looked at them."""
        alerts = [AlertSummary.model_construct(**_fields(alert)) for alert in page.alerts]
        return cls.model_construct(alerts=alerts, cursor=page.cursor or None)


class Total(BaseModel):
    """How many alerts match; `more`: there are or may be more than were counted."""

    count: int
    more: bool


class CountedAlertPage(AlertPage):
    """A page, and how many alerts there are on all pages."""

    total: Total


class TimelineEntry(BaseModel):
    at: AwareDatetime
    why: Why
    before: Status | None
    after: Status
    owed: list[Verb]
    actor: str
    note: str
    via: str
    receiver: str
    verb: Verb | None
    tries: int
    url: str


class DeliveryEntry(BaseModel):
    """What became of one verb at one receiver; `core.ledger.Entry` says what the fields mean."""

    receiver: str
    verb: Verb | None
    state: State
    at: AwareDatetime | None
    tries: int
    url: str
    why: str
    id: str

    @classmethod
    def of(cls, entry: Entry) -> Self:
        return cls(
            receiver=entry.receiver,
            verb=entry.verb,
            state=entry.state,
            at=entry.at,
            tries=entry.tries,
            url=web_address(entry.url),
            why=logs.masked(entry.why),
            id=entry.delivery_id,
        )


class RemoteObject(BaseModel):
    """A ticket, incident or message of this episode."""

    receiver: str
    external_id: str
    url: str
    closed: bool


class AlertRef(BaseModel):
    """Another alert, in short."""

    id: str
    key: str
    title: str
    status: Status
    severity: Severity

    @classmethod
    def of(cls, alert: Alert) -> Self:
        return cls(id=alert.internal_id, key=alert.key, title=alert.title, status=alert.status, severity=alert.severity)


class PostShape(BaseModel):
    """What the source wrote at one time; `state` is its own word."""

    at: AwareDatetime
    state: str
    text: str


class AlertDetail(AlertSummary):
    """One alert with its timeline, oldest entry first (the latest 400), the objects made for it, and who was told.

    `posted_at`: when the source first told of it, where that is known. `posts`: what it wrote, the oldest first (the
    latest 20). `states`: by component, its word for the state.
    `groups`: those that it has joined. Of a group, `members` are its open alerts, the most severe first (at most 100),
    `member_count` is the number of all. `actions`: its latest runs, the newest first. `changes`: our own of the same
    service, from an hour before it began.
    """

    posted_at: AwareDatetime | None
    posts: list[PostShape]
    states: dict[str, str]
    intakes: list[str]
    repeats: int
    objects: list[RemoteObject]
    deliveries: list[DeliveryEntry]
    timeline: list[TimelineEntry]
    groups: list[AlertRef]
    members: list[AlertRef]
    member_count: int
    actions: list[RunShape]
    changes: list[ChangeShape] = []

    @classmethod
    def with_history(
        cls,
        alert: Alert,
        timeline: Iterable[Transition],
        links: Iterable[Link],
        told: Iterable[Entry],
        related: Related,
        actions: Iterable[RunShape] = (),
        changes: Iterable[Change] = (),
    ) -> Self:
        """Take what belongs to the alert's episode."""
        episode = alert.episode
        entries = [_entry(transition) for transition in timeline if transition.episode == episode]
        objects = [_object(link) for link in links if link.episode == episode and link.external_id]
        more: dict[str, object] = {
            "posted_at": alert.posted_at,
            "posts": [PostShape(at=post.at, state=post.state, text=post.text) for post in alert.posts],
            "states": dict(alert.states),
            "intakes": list(alert.intakes),
            "repeats": alert.repeats,
            "objects": objects,
            "timeline": entries,
        }
        more["groups"] = [AlertRef.of(group) for group in related.groups]
        more["members"] = [AlertRef.of(member) for member in related.members]
        more["changes"] = [ChangeShape.of(change) for change in changes]
        more["member_count"] = related.member_count
        more["actions"] = list(actions)
        more["deliveries"] = [DeliveryEntry.of(entry) for entry in told]
        return cls.model_validate(_fields(alert) | more)


class DeliveryState(StrEnum):
    WAITING = "waiting"
    FAILED = "failed"
    SETTLED = "settled"


class FailedDelivery(BaseModel):
    """A failed delivery as /api/v1/dead-letters shows it, until 1.0; `alert_id` is "" where the alert is gone."""

    id: str
    alert_id: str
    receiver: str
    verb: Verb
    attempts: int
    reason: str
    created_at: AwareDatetime | None

    @classmethod
    def of(cls, delivery: Delivery, alert: Alert | None) -> Self:
        return cls.model_validate(_delivery(delivery, alert))


class DeliverySummary(FailedDelivery):
    """One delivery in a list; `due_at` is when it is tried next, None where another one goes first or it failed."""

    state: DeliveryState
    alert_title: str
    due_at: AwareDatetime | None

    @classmethod
    def in_state(cls, delivery: Delivery, alert: Alert | None, state: DeliveryState) -> Self:
        due_at = delivery.due_at if state is DeliveryState.WAITING else None
        more = {"state": state, "alert_title": alert.title if alert else "", "due_at": due_at}
        return cls.model_validate(_delivery(delivery, alert) | more)


class SettledDelivery(BaseModel):
    """What became of a delivery that is done with; `outcome`: delivered, skipped, or a dry run. `why`: the details."""

    alert_id: str
    alert_title: str
    receiver: str
    verb: Verb | None
    state: DeliveryState
    outcome: Why
    at: AwareDatetime
    tries: int
    url: str
    why: str

    @classmethod
    def of(cls, step: Transition, alert: Alert) -> Self:
        return cls(
            alert_id=alert.internal_id,
            alert_title=alert.title,
            receiver=step.receiver,
            verb=step.verb,
            state=DeliveryState.SETTLED,
            outcome=step.why,
            at=step.at,
            tries=step.tries,
            url=web_address(step.url),
            why=logs.masked(step.note),
        )


_MADE = ("id", "withheld", "links", "receivers", "verdict")
_COPIED = [name for name in AlertSummary.model_fields if name not in _MADE]
_copied = attrgetter(*_COPIED)


def _fields(alert: Alert) -> dict[str, Any]:
    own: dict[str, Any] = dict(zip(_COPIED, _copied(alert), strict=True))
    withheld = [Withheld(receiver=name, reason=logs.masked(why)) for name, why in alert.withheld.items()]
    links = {name: address for name, url in alert.links.items() if (address := web_address(url))}
    verdict = VerdictShape.of(alert.verdict) if alert.verdict else None
    own |= {"id": alert.internal_id, "withheld": withheld, "links": links, "receivers": list(alert.receivers)}
    return own | {"verdict": verdict}


def _entry(transition: Transition) -> TimelineEntry:
    return TimelineEntry(
        at=transition.at,
        why=transition.why,
        before=transition.before,
        after=transition.after,
        owed=list(transition.verbs),
        actor=transition.actor,
        note=logs.masked(transition.note) if transition.why in _REASONS else transition.note,
        via=transition.via,
        receiver=transition.receiver,
        verb=transition.verb,
        tries=transition.tries,
        url=web_address(transition.url),
    )


def _delivery(delivery: Delivery, alert: Alert | None) -> dict[str, object]:
    return {
        "id": delivery.id,
        "alert_id": alert.internal_id if alert else "",
        "receiver": delivery.receiver,
        "verb": delivery.verb,
        "attempts": delivery.attempts,
        "reason": logs.masked(delivery.reason),
        "created_at": delivery.created_at,
    }


def _object(link: Link) -> RemoteObject:
    return RemoteObject(
        receiver=link.receiver, external_id=link.external_id, url=web_address(link.url), closed=link.closed
    )
