"""The values that go in and out of a store, whose port is `core.roles`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service_event_checker.core.model import Alert, Delivery, Link, Transition
from service_event_checker.core.timeline import Row
from service_event_checker.core.vocabulary import Kind, Severity, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One alert's atomic share of a commit. `alert.revision` is the one it was read with (0: new).

    `silenced_by`: the id of the silence that withholds the alert from now on; its hits are counted.
    """

    alert: Alert
    transitions: tuple[Transition, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    links: tuple[Link, ...] = ()
    silenced_by: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    alert: Alert


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody else changed the alert or one of its lanes first: read it again and decide anew."""

    key: str


@dataclass(frozen=True, slots=True)
class IdTaken:
    """The internal id belongs to another episode: ask for a longer one."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The open members of a group: how many of each severity, how many that nobody has acknowledged (`firing`), and
    when the newest of them opened.
    """

    severities: Mapping[Severity, int]
    firing: int
    newest_at: datetime

    @property
    def total(self) -> int:
        return sum(self.severities.values())

    @property
    def worst(self) -> Severity:
        return min(self.severities, key=lambda severity: severity.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """The groups that an alert has joined; of a group, some of its open members, and how many there are."""

    groups: tuple[Alert, ...] = ()
    members: tuple[Alert, ...] = ()
    member_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A leased delivery with the alert as it is now and the receiver's links of it, oldest episode first."""

    delivery: Delivery
    alert: Alert
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many deliveries to one receiver are not settled, and when the oldest of them was made."""

    number: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The delivery is done with: the row goes, the lane's next becomes due. `link` is stored if given.

    `remark`: what was done in another way than people would expect, for the timeline.
    """

    link: Link | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Try again at `due_at`. `intent_at` replaces the row's (None: the create certainly did not happen).

    `yields`: it fails for its own sake, so the end of its episode need not wait behind it. `tried`: False where it was
    only put back.
    """

    due_at: datetime
    reason: str
    intent_at: datetime | None = None
    yields: bool = False
    tried: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Failed for good and kept. A failed open also removes its episode's other deliveries of the lane."""

    reason: str


Outcome = Settled | Again | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the API and the page ask for. `cursor` is what the last page gave; `limit` at most 500."""

    open: bool | None = None
    statuses: frozenset[Status] = frozenset()
    severities: frozenset[Severity] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    source: str = ""
    limit: int = 50
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Alerts, the most recently updated first.

    `cursor` is "<microseconds>-<key>" of the last one, empty on the last page.
    """

    alerts: tuple[Alert, ...]
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """All that is kept of one episode: the alert as it is, or as it was when it ended, and its timeline, oldest first.

    `commits`: what each commit brought, by its revision. `outcomes`: what became of deliveries, by the revision of the
    commit that owed them; 0 for updates, of which only the last of each outcome is kept.
    """

    alert: Alert
    commits: tuple[Row, ...] = ()
    outcomes: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPage:
    """Episodes by key and number. `cursor`: the last key, "" on the last page."""

    episodes: tuple[Recorded, ...]
    cursor: str = ""
