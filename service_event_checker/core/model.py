"""The terms of the product as values: events of sources, tracked alerts, deliveries and receivers.

Standard library only, no I/O. Everything is frozen; a change is a new value. All datetimes are aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from service_event_checker.core.ids import alert_key
from service_event_checker.core.verdict import Verdict
from service_event_checker.core.vocabulary import (
    Affects,
    EventStatus,
    Family,
    Kind,
    ResolvedBy,
    Severity,
    Status,
    Verb,
    Why,
)

PEOPLE_RANK = -1  # before every severity
RANKS = range(PEOPLE_RANK, len(Severity))  # the order in which deliveries are claimed
STORMS = "storm"  # the source of the summaries of storms (`core.storms`)
GROUPS = "alerts:group"  # the source of the alerts that stand for a group of others (`core.groups`)
PLACE = "place:"  # before the id: the fingerprint of a component's own state, and "place:*" of the page's
POSTS_MAX = 20  # of an alert
NOTICE = "notice"  # the intake of what we tell ourselves; it is over from the start
FINGERPRINT_MAX = 255  # characters; the narrowest remote key we copy it to (PagerDuty dedup_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a source wrote of an outage at one time, in its own words. `state`: its word, like "identified"."""

    at: datetime
    state: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One observation. `fingerprint` is opaque, as its source gave it, and unique within the source.

    `ref` = (receiver, external id) stands in for source and fingerprint where a hook knows only that.
    `at` is the source's own time of this change; None where it tells none. `intake` names the way in
    ("poll", "/alert", "api"); `via` the receiver it came back from, which is not told of it again.
    A label with several values holds one per line. `person`: one of us did this, not the source.
    `origin`: the address of the system that vouches for it and can be asked whether it still is, "" if none.
    `listed`: we asked its source, whose list shows it as open. `ends_at`: the planned end of planned work.
    `expires_at`: when it is over unless its source repeats it by then, None where the source will tell its end.
    `not_fixed`: what is RESOLVED was merged, moved, marked as a duplicate or deleted there; `note` says which.
    `content_only`: it changes what an open alert says, and opens nothing. `severity_told`: whether its source told it.
    `posted_at`: when its source first told of it, where that is known; the start may be dated back. `posts`: what it
    wrote of it, the oldest first. `states`: by component, the source's word for its state.
    """

    source: str
    fingerprint: str
    kind: Kind
    status: EventStatus
    title: str = ""
    severity: Severity = Severity.WARNING
    description: str = ""
    at: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    expires_at: datetime | None = None
    url: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    intake: str = "poll"
    via: str = ""
    actor: str = ""
    note: str = ""
    note_id: str = ""
    person: bool = False
    affects_us: Affects = Affects.YES
    test: bool = False
    ref: tuple[str, str] | None = None
    origin: str = ""
    listed: bool = False
    not_fixed: bool = False
    content_only: bool = False
    severity_told: bool = True
    posted_at: datetime | None = None
    posts: tuple[Post, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return alert_key(self.source, self.fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one check of a source returned.

    `complete`: the list holds all that is open, so absence means something. `unknown`: fingerprints that
    were asked for by id and could not be read; they are neither open nor over. `warnings` are for people.
    `own`: fingerprints of events that no incident of the source's explains: its own word on one of its places.
    `explains`: by event, the fingerprints of the places that it is about; it takes over the outage that is open there.
    `max_age`: what has had no news for so long, and is not shown, is no longer believed; None: it is, for ever.
    `listed`: by label, like "component", the names of all places that the source has, where it lists them.
    `components`: by fingerprint, the names of all components, as `core.page_changes.place_name` writes them; None where
    it does not list them.
    `retracted`: fingerprints of what was asked for by its own address and is not there any more.
    `host`: where the answer came from in the end, "" where that says nothing.
    """

    source: str
    events: tuple[Event, ...] = ()
    complete: bool = False
    unknown: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()
    explains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_age: timedelta | None = None
    listed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    components: Mapping[str, str] | None = None
    retracted: frozenset[str] = frozenset()
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What an alert did lately. It goes over to the alert's next episode.

    `fired_at`: when it opened or was reported as firing anew, `changed_at`: when it opened or ended; the newest times
    only. `flapping_since`: None while it is calm. `held`: receivers whose object stays open although the alert ended.
    `carried`: receivers for whom the object of an earlier episode is that of this one as well.
    """

    fired_at: tuple[datetime, ...] = ()
    changed_at: tuple[datetime, ...] = ()
    flapping_since: datetime | None = None
    held: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Escalation:
    """How far a rule has escalated an episode: `due_at` of the next step, None after the last; `steps` were made."""

    due_at: datetime | None
    steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The one tracked thing: a vendor's outage or an internal alert. Its source owns its content and end.

    `episode` counts openings and never restarts. `receivers` got or will get an `open` in this episode; none is
    removed from it. `withheld` maps a matched receiver to why it has not been told. `links` maps a receiver
    to the address of its object. `started_at` is when it began at the source, `opened_at` when we opened the
    episode, `starts_at` the latest start the source named in it (of planned
    work the planned one, as `ends_at` is its planned end), `seen_at` the source's time of the newest
    change that we took, `expires_at` when it is over unless its source repeats it by then (None: its end is told).
    `ended_at` is the source's time of the end, `closed_at` when we took it (None: still open, or
    stored by an older version); `relisted_at`: when the source's list first showed it as open after that end.
    `note_ids` are those of the latest notes. `origin` is its newest event's. `muted`: by whom its source
    tells nobody of it, until when and why, "" while it does.
    `status_seen_at` maps a receiver and a status to the receiver's own time of the newest such status that it told
    us; with None as the status, of its newest status at all. `mirrored_at` maps two receivers (sorted) to when a
    status was last carried between them. `escalations`: by rule, while nobody has taken the alert. `groups` maps a
    rule to the key of the alert of the group that this alert has joined by it ("": it has left). `posted_at`, `posts`,
    `states`: as its source told them (`Event`), the newest `POSTS_MAX` of the posts. `revision` is raised by every
    commit and never restarts.
    `verdict`: whether a vendor explains it, None where none was judged. `explanations`: the outages of which its
    receivers were told that they explain it, and with a "-" before, that they do not. `votes` maps the key of an outage
    to what a person said: "confirm:name" or "reject:name".
    """

    key: str
    source: str
    fingerprint: str
    kind: Kind
    episode: int
    internal_id: str
    status: Status
    severity: Severity
    title: str
    started_at: datetime
    opened_at: datetime
    updated_at: datetime
    description: str = ""
    url: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    expires_at: datetime | None = None
    seen_at: datetime | None = None
    ended_at: datetime | None = None
    closed_at: datetime | None = None
    relisted_at: datetime | None = None
    resolved_by: ResolvedBy | None = None
    source_ended: bool = False
    previous_ended_at: datetime | None = None
    owner: str = ""
    note: str = ""
    note_ids: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    intakes: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    withheld: Mapping[str, str] = field(default_factory=dict)
    muted: str = ""
    verdict: Verdict | None = None
    explanations: tuple[str, ...] = ()
    votes: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    status_seen_at: Mapping[tuple[str, EventStatus | None], datetime] = field(default_factory=dict)
    mirrored_at: Mapping[tuple[str, str], tuple[datetime, ...]] = field(default_factory=dict)
    affects_us: Affects = Affects.YES
    missing_polls: int = 0
    missing_since: datetime | None = None
    repeats: int = 0
    repeated_at: datetime | None = None
    test: bool = False
    groups: Mapping[str, str] = field(default_factory=dict)
    recent: Recent = Recent()
    escalations: Mapping[str, Escalation] = field(default_factory=dict)
    posted_at: datetime | None = None
    posts: tuple[Post, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0

    @property
    def explained_by(self) -> str:
        """Return the internal ids of the outages that explain it, "" for none."""
        return ", ".join(self.verdict.explained_by) if self.verdict else ""

    @property
    def open(self) -> bool:
        return self.status is not Status.RESOLVED

    @property
    def is_notice(self) -> bool:
        return self.intakes == (NOTICE,)

    @property
    def since(self) -> datetime:
        """Return when it began, as people are told: the latest start that its source named; of a group the first."""
        return self.started_at if self.is_group else self.starts_at or self.started_at

    @property
    def is_group(self) -> bool:
        return self.source == GROUPS

    @property
    def memberships(self) -> tuple[str, ...]:
        """Return the keys of the groups that it is an open member of."""
        return tuple(dict.fromkeys(filter(None, self.groups.values()))) if self.groups and self.open else ()

    @property
    def flapping(self) -> bool:
        return self.recent.flapping_since is not None

    @property
    def waits(self) -> bool:
        """Whether time alone may change what receivers are told: it is looked at again and again."""
        escalates = any(each.due_at for each in self.escalations.values())
        return self.flapping or (self.open and (bool(self.withheld) or escalates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of an alert's timeline: the change, its cause, and the verbs for its receivers.

    `left_out`: how many content changes this row stands for, where there were very many.
    `severity`: of an alert that opens, or whose severity changes, from then on; None if an older version wrote it.
    The outcome of a delivery is a row also: `receiver`, `verb` (what was to be done there), `tries`, `url` (the object
    that it was done to, "" where none has an address), `note` (why it failed or was not sent). It is written with the
    delivery, does not raise the alert's revision, and no receiver is owed anything for it.
    """

    key: str
    episode: int
    at: datetime
    why: Why
    before: Status | None
    after: Status
    verbs: tuple[Verb, ...] = ()
    actor: str = ""
    note: str = ""
    note_id: str = ""
    via: str = ""
    receiver: str = ""
    left_out: int = 0
    verb: Verb | None = None
    tries: int = 0
    url: str = ""
    severity: Severity | None = None


OnResolve = Literal["close", "comment", "none"]


@dataclass(frozen=True, slots=True)
class Budget:
    """How many alerts a receiver is told of one by one within a time; what comes beyond is summarised."""

    messages: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """What the deciders need to know of a configured destination; the adapter itself stays at the edge.

    `why_off` is empty when the receiver is on. `settle`: how long after an ambiguous create its search can
    be trusted. `deadline`: the longest that one call may take. `repeat_ambiguous`: send again where nobody
    can tell whether the first one arrived (severities listed). `update_every`: the shortest time between two
    updates of one object. `shadow`: render and record what would be sent, and send nothing. `on_resolve`: what the
    end of an alert does to its object here. `edits`: whether a message can be changed, so that an update is no news.
    `fallback`: who is told instead while this receiver is down, "" for nobody. `storm`: None: it is told all.
    """

    name: str
    family: Family
    verbs: frozenset[Verb]
    findable: bool = False
    why_off: str = ""
    settle: timedelta = timedelta(seconds=30)
    deadline: timedelta = timedelta(seconds=15)
    reopen_within: timedelta = timedelta(0)
    repeat_ambiguous: frozenset[Severity] = frozenset({Severity.CRITICAL, Severity.ERROR})
    update_every: timedelta = timedelta(0)
    shadow: bool = False
    on_resolve: OnResolve = "close"
    edits: bool = True
    fallback: str = ""
    storm: Budget | None = None

    @property
    def cancels(self) -> bool:
        """Whether a close may remove an open that was not begun. Tickets and chat always get both."""
        return self.family not in (Family.TICKET, Family.CHAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The remote object of one episode at one receiver: work item, issue, incident, message.

    `remote_key` is that of the episode which made the object. An empty `external_id` means that it is not
    made yet and only `previous` (url or id of an earlier episode's object) is known. `sent` maps a status that
    we wrote there and have not seen come back to when we did. `closed`: it was ended there, by us or a person.
    `updated_at`: when it last got an update.
    """

    key: str
    episode: int
    receiver: str
    remote_key: str
    external_id: str = ""
    url: str = ""
    previous: str = ""
    sent: Mapping[Status, datetime] = field(default_factory=dict)
    closed: bool = False
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Where an object is in its system: its id there, and the address at which a person opens it, or ""."""

    external_id: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row of the outbox. Its id is made of what it is, so that writing it twice is writing it once.

    Only the head of a lane (key, receiver) has `due_at`. `intent_at` is when a create may first have left
    us. `actor`, `note`: of the transition that caused it; everything else is read from the alert when it is sent.
    `cancels`: a close may remove an open that was not begun (the receiver's own rule, kept with the row).
    `notice`: it tells of another delivery's failure; its own failure is told nowhere. `carried`: it works on the object
    of an earlier episode, which stayed open while the alert was flapping. `loud`: people are to notice this note, also
    where notes only change a message.
    """

    key: str
    episode: int
    revision: int
    receiver: str
    verb: Verb
    severity: Severity = Severity.WARNING
    seq: int = 0
    due_at: datetime | None = None
    attempts: int = 0
    lease_until: datetime | None = None
    owner: str = ""
    intent_at: datetime | None = None
    actor: str = ""
    note: str = ""
    note_id: str = ""
    cancels: bool = False
    notice: bool = False
    carried: bool = False
    loud: bool = False
    reason: str = ""
    created_at: datetime | None = None

    @property
    def id(self) -> str:
        return f"{self.key}:{self.episode}:{self.revision}:{self.receiver}:{self.verb.value}"

    @property
    def by_person(self) -> bool:
        """Whether it shows what a person did: that is not kept waiting behind routine updates."""
        return self.verb in (Verb.ACK, Verb.UNACK) or (self.verb in (Verb.NOTE, Verb.CLOSE) and bool(self.actor))

    @property
    def rank(self) -> int:
        """The place in the order of claims, one of RANKS: what a person did, then the most severe."""
        return PEOPLE_RANK if self.by_person else self.severity.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteNote:
    """A person's comment on a remote object. Our own are never listed."""

    id: str
    text: str
    actor: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A destination's object as it shows it, for reconciliation.

    `actor`, `at`: who brought it into its status, and when, where the system tells. `notes`: where it lists them.
    `event`: what the system would have told us of it by webhook, for objects that were born there.
    `not_fixed`: that a resolved one was merged, moved or marked as a duplicate, in words; "" where it is over.
    """

    external_id: str
    remote_key: str
    status: Status
    created_at: datetime | None = None
    url: str = ""
    actor: str = ""
    at: datetime | None = None
    notes: tuple[RemoteNote, ...] = ()
    event: Event | None = None
    not_fixed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldItem:
    """Something put aside durably: a body that was refused ("quarantine"), an event that waits ("parked").

    `source`: who sent it, for the caps. `doc` is text (JSON) of the area's own shape.
    """

    area: str
    id: str
    source: str
    at: datetime
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWork:
    """A vendor's planned work as its page lists it, whether a rule has it tracked or not."""

    fingerprint: str
    title: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What a source's page was like at its last good poll, to notice that it is another one.

    `entry`: digests of the configuration that it was read by. `ids`, `names`: digests of its components' ids and
    names. `selected`: by id, the names of the components that a filter names. `void`: the filters that matched nothing.
    """

    entry: str = ""
    host: str = ""
    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    selected: Mapping[str, str] = field(default_factory=dict)
    void: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageChange:
    """Signs that a source's page is another one: `polls` in which there were some, `what` the last one was.

    `told_at`: when people were told. `looked_at`: when the new page was looked for. `patch`: the keys of the checker's
    entry that read it, as JSON, "" where none is known. `renamed`: selected components, the old name and the new one.
    `readable`: the last sign was of a page that could be read.
    """

    since: datetime
    what: str = ""
    polls: int = 0
    told_at: datetime | None = None
    looked_at: datetime | None = None
    patch: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    readable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One checker's row: when it is due, who runs it (`owner`, "" when nobody does), and what came of the last run.

    `first_good_at`: the first poll that could be read; what was over before it is history, not missed.
    `dismissed`: fingerprints that a person resolved while the source still lists them, with the good polls in a
    row that no longer did. `merged`: by incident, the fingerprint of the alert that it goes on as.
    `planned`: the planned work that the last good poll listed, the earliest first.
    `page`: what the page was like then; `change`: signs since then that it is another one. `aliases`: by the new
    fingerprint of what has one, that of its alert. `lost`: fingerprints of alerts that a changed page does not have.
    """

    name: str
    due_at: datetime
    revision: int = 0
    owner: str = ""
    lease_until: datetime | None = None
    last_run_at: datetime | None = None
    last_success_at: datetime | None = None
    first_good_at: datetime | None = None
    unknown_since: datetime | None = None
    unknown_reason: str = ""
    failures: int = 0
    warnings: tuple[str, ...] = ()
    dismissed: Mapping[str, int] = field(default_factory=dict)
    merged: Mapping[str, str] = field(default_factory=dict)
    planned: tuple[PlannedWork, ...] = ()
    page: PageFacts | None = None
    change: PageChange | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
