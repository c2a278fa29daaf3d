"""What a store offers, by role; `Store` is their sum. Structural types only; nobody inherits from them.

Any method raises StoreError when the store is away or slow; all times are aware UTC. Safe to call from several
threads and processes at once. The values that go in and out stand in `core.store`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from service_event_checker.core.audit import Anchor, AuditRow
from service_event_checker.core.model import Alert, Delivery, HeldItem, Link, Slot, Transition
from service_event_checker.core.silences import Silence
from service_event_checker.core.store import (
    Claimed,
    Conflict,
    Done,
    IdTaken,
    Members,
    Outcome,
    Page,
    Query,
    RecordedPage,
    Waiting,
    Write,
)
from service_event_checker.core.vocabulary import Severity


class Alerts(Protocol):
    """The newest episode of every alert, with its links; `commit` and `Outbox.settle` change them."""

    def get(self, keys: Iterable[str]) -> dict[str, Alert]:
        """Return the newest episode of each key that was ever seen; one round of reads, however many."""
        ...

    def by_internal_id(self, code: str) -> Alert | None:
        """Return the alert whose episode the internal code (`core.model.internal_code`) names."""
        ...

    def by_fingerprint(self, fingerprint: str) -> list[Alert]:
        """Return the newest episodes of all sources' alerts with this fingerprint, at most 20."""
        ...

    def open_alerts(self, source: str = "") -> list[Alert]:
        """Return all alerts that are not resolved, of one source if named."""
        ...

    def open_counts(self) -> dict[tuple[str, Severity], int]:
        """Return how many alerts are not resolved by source and severity, tests left out."""
        ...

    def withheld_alerts(self) -> list[Alert]:
        """Return the alerts of which time alone may change what somebody is told (`Alert.waits`)."""
        ...

    def page(self, query: Query) -> Page:
        """Return one page; costs the same however many alerts there are."""
        ...

    def links(self, keys: Iterable[str]) -> dict[str, list[Link]]:
        """Return the links of the keys, oldest episode first."""
        ...

    def link_by(self, receiver: str, external_id: str) -> Link | None:
        """Return the link that a remote object's own id belongs to."""
        ...

    def members(self, groups: Iterable[str] | None = None) -> dict[str, Members]:
        """Return the open members of each group by its key, of all groups unless some are named; none has no entry.

        It counts what is committed (`Alert.memberships`), at a cost that does not depend on other alerts.
        """
        ...

    def member_keys(self, group: str, limit: int, *, firing_before: datetime | None = None) -> list[str]:
        """Return the keys of a group's open members, the most severe first, of these the one that opened first.

        `firing_before`: only those that are firing and have not changed since then.
        """
        ...

    def commit(self, writes: Sequence[Write], now: datetime) -> list[Done | Conflict | IdTaken]:
        """Write all, each alert atomically with its rows and independent of the others; results in order.

        What a silence withholds (`Write.silenced_by`) is counted as its hits.
        """
        ...


class History(Protocol):
    """What became of alerts, and how long it is kept."""

    def timeline(self, key: str, limit: int = 400) -> list[Transition]:
        """Return the newest transitions of an alert, oldest first, outcomes of deliveries among them by their time."""
        ...

    def outcomes(self, key: str, episode: int) -> list[Transition]:
        """Return what became of an episode's deliveries, oldest first: the rows that `Outbox.settle` wrote, no limit.

        Of a receiver's updates only the last of each outcome is kept: each says the state of its time.
        """
        ...

    def recorded(self, since: datetime, *, limit: int = 200, cursor: str = "") -> RecordedPage:
        """Return the episodes of the next `limit` alerts that are open or have changed since then; archived ones too.

        Of earlier episodes those that ended since. By key: each alert comes once, whatever changes meanwhile.
        """
        ...

    def archive(self, now: datetime) -> int:
        """Move resolved alerts whose lanes are empty or dead to the resolved table; repeatable."""
        ...

    def trim(self, since: datetime) -> int:
        """Leave out what `core.timeline` says of the alerts that changed since then; return of how many. Repeatable."""
        ...

    def retain(self, before: datetime) -> int:
        """Delete archived episodes that ended before this time, and what is known of a key with its last episode.

        Return how many episodes; what is left, for a next call, when there were very many.
        """
        ...


class Outbox(Protocol):
    """The deliveries: what is due, who sends it, what failed for good."""

    def due(self, receivers: Iterable[str], now: datetime) -> set[str]:
        """Return those of the receivers that something is due for and free to claim; one cheap look for all."""
        ...

    def claim(
        self,
        receiver: str,
        *,
        limit: int,
        owner: str,
        now: datetime,
        until: datetime,
        made_before: datetime | None = None,
    ) -> list[Claimed]:
        """Lease up to `limit` due deliveries of a receiver to `owner`, most severe first; only old ones if asked."""
        ...

    def intend(self, delivery: Delivery, now: datetime) -> Delivery:
        """Record durably that a create may leave from now on. Raises LeaseLost."""
        ...

    def settle(
        self,
        delivery: Delivery,
        outcome: Outcome,
        now: datetime,
        write: Write | None = None,
        step: Transition | None = None,
    ) -> None:
        """Record what became of a claimed delivery and release it; `write` goes with it or not at all.

        `step`: the outcome's row of the timeline, written with it also; the alert's revision stays.

        Raises LeaseLost when the lease is another's, StoreConflict when `write` or the lane was changed by
        somebody else meanwhile: then nothing is recorded and the caller decides anew.
        """
        ...

    def sweep(self, now: datetime, *, latest: datetime | None = None) -> int:
        """Make due the head of each lane that has none (a crash between two rows); return how many.

        `latest`: no delivery waits longer and no lease runs longer; one that does is from before the clock was set
        back, and is due now, its lease ends then.
        """
        ...

    def waiting(self, receiver: str = "") -> int:
        """Return how many deliveries are not settled (failed ones do not count)."""
        ...

    def waiting_by_receiver(self) -> dict[str, Waiting]:
        """Return what is not settled by receiver, of those too that are not configured (failed ones do not count)."""
        ...

    def keys_with_pending(self, receiver: str) -> set[str]:
        """Return the keys of the alerts for which a receiver has unsettled deliveries (failed ones do not count)."""
        ...

    def oldest_waiting(self) -> datetime | None:
        """Return when the oldest unsettled delivery was made; None when none is pending."""
        ...

    def waiting_deliveries(self, limit: int = 200, *, key: str = "") -> list[Delivery]:
        """Return the unsettled deliveries, the oldest first (failed ones do not count); of one alert if named."""
        ...

    def failed_deliveries(self, limit: int = 200, *, receiver: str = "", key: str = "") -> list[Delivery]:
        """Return the failed deliveries, the newest first, with their reason; of one receiver or alert if named."""
        ...

    def failed_counts(self) -> dict[str, int]:
        """Return how many deliveries to each receiver failed for good."""
        ...

    def discard(self, delivery_id: str) -> bool:
        """Delete a failed delivery; False if it does not exist."""
        ...

    def requeue(self, delivery_id: str, now: datetime) -> bool:
        """Send a failed delivery again, with the present state; False if it does not exist or its episode is past."""
        ...


class Slots(Protocol):
    """When each periodic piece of work is due, and who runs it."""

    def slots(self) -> dict[str, Slot]:
        """Return every slot by name."""
        ...

    def put_slot(self, slot: Slot) -> Slot | None:
        """Write if the stored revision equals `slot.revision` (0: new); None when somebody was faster."""
        ...


class Settings(Protocol):
    """Small texts by name, shared by all processes."""

    def setting(self, name: str) -> str | None:
        """Return a stored setting."""
        ...

    def set_setting(self, name: str, value: str, *, only_if_new: bool = False) -> str:
        """Store a setting and return the value that now holds."""
        ...


class HoldingArea(Protocol):
    """Where things are put aside durably: refused bodies, events that wait for their object."""

    def put(self, items: Iterable[HeldItem]) -> None:
        """Put aside durably; a repetition (same area and id) replaces."""
        ...

    def add(self, item: HeldItem) -> bool:
        """Put aside what is not there yet (by area and id); False where another one is, which stays.

        An item with the same `doc` is this one: the answer to an earlier try was lost.
        """
        ...

    def list(self, area: str, *, source: str = "", limit: int = 200) -> Sequence[HeldItem]:
        """Return what is held in an area, the newest first; of one source if named."""
        ...

    def remove(self, area: str, id: str) -> bool:
        """Remove one item; False if it is not there."""
        ...

    def prune(self, area: str, *, before: datetime, per_source: int) -> int:
        """Delete what is older than `before`, and all but the newest `per_source` of each source; return how many."""
        ...


class Audit(Protocol):
    """Who did what: rows that are only appended, in one chain of hashes (`core.audit`)."""

    def append(self, actor: str, what: Mapping[str, Any], now: datetime) -> AuditRow:
        """Append durably the row that follows the last one; `what`: JSON values, at most `core.audit.WHAT_MAX` bytes.

        Raises InvalidInput for what cannot be stored. After a StoreError the row may be there or not.
        """
        ...

    def list(self, *, after: int = 0, limit: int = 200) -> Sequence[AuditRow]:
        """Return rows with a higher number, by their numbers."""
        ...

    def head(self) -> Anchor | None:
        """Return number and hash of the row that was appended last; None when there was none."""
        ...

    def drop(self, through: int) -> None:
        """Delete the rows up to this number, for retention alone: a checkpoint that says so is appended before."""
        ...


class SlotsAndSettings(Slots, Settings, Protocol):
    """What a hint that a page has changed needs."""


class Silences(Protocol):
    """The silences that people make while the app runs; those of config.json are not here."""

    def live(self, now: datetime) -> Sequence[Silence]:
        """Return those that are not ended, from a cache: what another process changes is seen at once or within 2 s.

        It may hold some that have ended since. Cheap enough for each message that comes in.
        """
        ...

    def list(self, limit: int = 1000) -> Sequence[Silence]:
        """Return all, those that end last first."""
        ...

    def get(self, id: str) -> Silence | None:
        """Return one; None if there is none with this id."""
        ...

    def put(self, silence: Silence) -> Silence | None:
        """Write if the stored revision equals `silence.revision` (0: new); None when somebody was faster.

        Its hits stay as they are stored.
        """
        ...

    def prune(self, before: datetime) -> int:
        """Delete those that ended before this time; return how many."""
        ...


class PollingStore(Alerts, SlotsAndSettings, Protocol):
    """What polling needs."""


class AlertsAndSettings(Alerts, Settings, Protocol):
    """What the test mode and the comparison with a source need."""


class Store(Alerts, History, Outbox, Slots, Settings, Protocol):
    """All state of the product: the roles together; `holding`, `silences` and `audit` as parts."""

    @property
    def holding(self) -> HoldingArea: ...

    @property
    def silences(self) -> Silences: ...

    @property
    def audit(self) -> Audit: ...

    def prepare(self) -> None:
        """Bring the schema up to date; repeatable, and safe from several processes at once."""
        ...

    def ping(self) -> None:
        """Return quietly if the store can be read and written now."""
        ...
