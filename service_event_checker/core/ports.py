"""The ports: what the deciders' surroundings must offer. Structural types only; nobody inherits from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from service_event_checker.core.actions import Ended
from service_event_checker.core.model import Alert, Delivery, Event, Link, ObjectRef, Remote, Snapshot
from service_event_checker.core.roles import AlertsAndSettings
from service_event_checker.core.vocabulary import Family, Verb


class Checker(Protocol):
    """Reads one vendor's status. Keeps no state of its own and never sees stores or destinations."""

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what the source shows now.

        `tracked` holds the fingerprints of this checker's open alerts: one that a windowed list no longer
        names is asked for by id; one that cannot be read so is put in `Snapshot.unknown`.
        Raises SourceError when the state is unknown.
        """
        ...


class Destination(Protocol):
    """One remote system. May be called from several threads. It is a MessageDestination or an ObjectDestination."""

    family: Family
    verbs: frozenset[Verb]


@runtime_checkable
class MessageDestination(Destination, Protocol):
    """Takes each delivery as a message: chat, mail, events."""

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Do what `delivery.verb` says for `alert`, as it is now, and return the link to store.

        `link` is the object of this episode if there is one: with an external id an `open` means reopen;
        without one, `link.previous` names an earlier object. Each call may be repeated and must then change
        nothing more. Raises DeliveryError.
        """
        ...


@runtime_checkable
class ObjectDestination(Destination, Protocol):
    """Keeps one object for each episode: ticket systems and pagers. The outbox decides which call comes when.

    Each call may be repeated and must then change nothing more. Each raises DeliveryError.
    """

    @property
    def homes(self) -> Sequence[str]:
        """The addresses below which its objects lie; empty where these cannot be told."""
        ...

    def create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> ObjectRef:
        """Make the object, named by the remote key; `previous` is the address or id of an earlier one, or ""."""
        ...

    def reopen(self, delivery: Delivery, alert: Alert, external_id: str) -> bool:
        """Open a closed object again, and tell so in it; return False where it is open.

        A permanent error says that it cannot be opened again: then another object takes its place.
        """
        ...

    def comment(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """Tell in the object what has changed; a pager also takes over an acknowledgement.

        For `open` it tells that the alert fires again, for `close` that it is over; the object stays as it is.
        """
        ...

    def close(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        """End the object and tell so once; nothing to do where it is over."""
        ...


@runtime_checkable
class Findable(Protocol):
    """A destination whose objects can be searched by our remote key."""

    def find(self, remote_key: str) -> ObjectRef | None:
        """Return the object that carries `remote_key`, or None if there is certainly none to be seen yet.

        Raises DeliveryError when the search failed.
        """
        ...


@runtime_checkable
class FindableByAlert(Protocol):
    """A destination whose objects also carry the alert's own key, so that they are known after a loss of data."""

    def find_open_for(self, alert_key: str) -> ObjectRef | None:
        """Return the oldest open object that any episode of this alert made, or None. Raises DeliveryError."""
        ...


@runtime_checkable
class Reconcilable(Protocol):
    """A destination that can list what it holds open."""

    def open_objects(self) -> list[Remote]:
        """Return all open objects that carry one of our keys; complete, or raises DeliveryError."""
        ...

    def get_remote(self, external_id: str) -> Remote | None:
        """Return one object by its id, open or not, with its status of now; None when it is gone for good.

        Raises DeliveryError if it cannot be checked.
        """
        ...

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Close an object that was made twice, with a comment naming the other. Repeatable. Raises DeliveryError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a source lists against what we hold open: alerts to count as missing, to end, to leave for the next pass.

    `take_in`: what it lists and never told us. `relisted`: what it lists although it told the end; opened again at the
    second look. `settings`: what to store for the next comparison. `why_not`: why
    nothing is ended this time. `resolve_after`: how often an alert is missing before it is over. `muted` maps the key
    of an open alert to `Alert.muted`, where that has changed.
    """

    source: str
    resolve_after: int
    missing: tuple[Alert, ...] = ()
    over: tuple[Alert, ...] = ()
    deferred: tuple[Alert, ...] = ()
    take_in: tuple[Event, ...] = ()
    relisted: tuple[Event, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    muted: Mapping[str, str] = field(default_factory=dict)
    why_not: str = ""


class Action(Protocol):
    """What a declared action does, with parameters that match what it declares."""

    def check(self, parameters: Mapping[str, str]) -> None:
        """Raise InvalidInput where values that match one by one do not fit together, or name what is not listed."""
        ...

    def describe(self, parameters: Mapping[str, str]) -> str:
        """Return in one line what `run` would do; does nothing."""
        ...

    def run(self, parameters: Mapping[str, str]) -> Ended:
        """Do it, once; within the action's time-out, and a few seconds more to stop what it began. Raises nothing."""
        ...


class ReconcilableSource(Protocol):
    """What sends us alerts and can be asked which of them are still active. `names`: of its entries in config.json."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def compare(self, store: AlertsAndSettings, now: datetime) -> Comparison:
        """Ask it, and decide; changes nothing. Raises SourceError and StoreError."""
        ...


@runtime_checkable
class Pausable(Protocol):
    """A destination whose system may ask for a pause."""

    def raise_if_paused(self) -> None:
        """Raise DeliveryError(RATE_LIMITED), with the seconds that are left, while it wants no calls."""
        ...


@runtime_checkable
class Selective(Protocol):
    """A destination that takes some of its deliveries only: SMS are for the severities configured."""

    def declines(self, delivery: Delivery, alert: Alert, link: Link | None) -> str:
        """Return why a delivery is not sent, for the timeline; "" where it is sent."""
        ...


@runtime_checkable
class Reporting(Protocol):
    """A destination whose system tells later what became of a message, at /hooks/reports/<receiver>."""

    def verify_report(self, headers: Mapping[str, str], path: str, form: Mapping[str, str]) -> bool:
        """Whether a report is signed with our secret. `path`: as it was asked for, with its query."""
        ...

    def failed_report(self, form: Mapping[str, str]) -> str:
        """Return why a message did not arrive, the same each time it is told; "" for any other report."""
        ...


@runtime_checkable
class DryRunnable(Protocol):
    """A destination that can render and check what it would send, for test alerts."""

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Return in one line what `deliver` would make; sends nothing. Raises DeliveryError when it could not."""
        ...


@runtime_checkable
class Preflight(Protocol):
    """A destination that can tell beforehand what it will not be able to do."""

    def preflight(self) -> list[str]:
        """Ask the remote system and return what a person should correct. Raises DeliveryError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a probe showed, in lines for people.

    `proven` works. `wrong` should be corrected, although messages may get through. `unproven` shows only when something
    is sent.
    """

    proven: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()


@runtime_checkable
class Probe(Protocol):
    """A destination that can be tried: would it take what we send?"""

    def probe(self) -> ProbeResult:
        """Check credentials, place and permission there; create nothing, notify nobody.

        Raises DeliveryError if nothing could be delivered; its `detail` says what to correct.
        """
        ...


@runtime_checkable
class RefusesTests(Protocol):
    """A destination that sends messages and cannot always take one for a test."""

    def test_refusal(self) -> str:
        """Return why no test message may be sent, "" if it may."""
        ...


@runtime_checkable
class Previewable(Protocol):
    """A destination that can show the texts of a delivery."""

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return what people would read, by part, like "title.txt"; sends nothing."""
        ...


@runtime_checkable
class SignsIn(Protocol):
    """A destination that can sign in to its system in several ways."""

    @property
    def auth(self) -> str:
        """The way that is used, in words; "" until it was used."""
        ...


@runtime_checkable
class Inbound(Protocol):
    """A system that talks back to us by webhook."""

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Whether the raw body is signed with our secret; None where none is set and the route's token decides.

        Header names are compared without regard to case. Compares in constant time.
        """
        ...

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what the parsed JSON body tells of our objects: events with `ref`, or with a source and fingerprint
        of their own where the object was born there; `via` is the destination's name. Raises InvalidInput.

        Empty for what is authentic and of no interest: other objects, other events, echoes of our own writes.
        Unknown keys are ignored. It asks nobody and is quick: the sender waits.
        """
        ...
