"""Silences: what is not announced for a while, by whose wish and why. Pure.

A silence withholds the first opening of an alert at a receiver. Updates and the end of what was opened go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from service_event_checker.core.matchers import Matcher, is_name
from service_event_checker.core.model import Alert
from service_event_checker.core.names import LABEL, OWN_NAMES, names_of
from service_event_checker.core.vocabulary import Affects, Kind, Severity
from service_event_checker.core.weekly import Weekly

LIKE_MAX = 12  # matchers of a silence that is made from an alert
VALUE_MAX = 200  # characters of a label that identifies; longer ones are texts
_IDENTITY = "alertname"  # a label set with this one is what its sender identifies the alert by (Prometheus)
_CHANGING = frozenset({"severity"})  # of the same alert
#: what own names can be, of which there are few; of two the value that real alerts have
_SAMPLES: Mapping[str, tuple[str, ...]] = {
    "severity": tuple(Severity),
    "kind": tuple(Kind),
    "test": ("false",),
    "flapping": ("false",),
    "affects_us": (Affects.YES,),
}


class State(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    ENDED = "ended"


CONFIGURED = "config-"  # begins the id of a silence of the configuration
SILENCED = "silenced "  # begins the reason of a receiver that a silence withholds


@dataclass(frozen=True, slots=True)
class Silence:
    """`ends_at` bounds the whole silence, also a recurring one. `id`: "" while it is not stored.

    `ended_by`: who ended it early. `hits`: how many alerts it withheld. `revision` is raised by every change.
    """

    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    owner: str
    reason: str
    id: str = ""
    created_at: datetime | None = None
    repeat: Weekly | None = None
    ended_by: str = ""
    hits: int = 0
    revision: int = 0

    def state(self, now: datetime) -> State:
        if self.ends_at <= now:
            return State.ENDED
        return State.PENDING if now < self.starts_at else State.ACTIVE

    def until(self, now: datetime) -> datetime | None:
        """Return when the silence that holds now stops to do so; None if it does not hold now."""
        if self.state(now) is not State.ACTIVE:
            return None
        if self.repeat is None:
            return self.ends_at
        span = self.repeat.now(now)
        return min(span.ends_at, self.ends_at) if span else None

    def matches(self, names: Mapping[str, str]) -> bool:
        return all(matcher.matches(names) for matcher in self.matchers)


@dataclass(frozen=True, slots=True)
class Holding:
    """A silence that holds an alert back now, and until when."""

    silence: Silence
    until: datetime

    @property
    def text(self) -> str:
        """Say who silences, until when, and why."""
        by, until = self.silence.owner, f"{self.until.astimezone(UTC):%Y-%m-%d %H:%M}"
        return f"by {by} until {until} UTC: {self.silence.reason}{self.mark}"

    @property
    def mark(self) -> str:
        """Return what ends the text, so that it names this silence and no other."""
        return f" ({self.silence.id})" if self.silence.id else ""


def holding(alert: Alert, silences: Iterable[Silence], now: datetime) -> tuple[Holding, ...]:
    """Return the silences that hold the alert back now, the one that ends last first; for live and dry decisions."""
    return tuple(sorted(_holding(alert, silences, now), key=lambda each: each.until, reverse=True))


def silence_of(alert: Alert, silences: Iterable[Silence], now: datetime) -> Holding | None:
    """Return the silence that holds the alert back now and ends last; None for an alert that is not silenced."""
    return next(iter(holding(alert, silences, now)), None)


def like(alert: Alert) -> tuple[Matcher, ...]:
    """Return matchers for this alert and its later episodes: what identifies it, never its severity."""
    chosen = {"source": alert.source}
    if alert.kind is Kind.ALERT and _IDENTITY in alert.labels:
        chosen |= dict(_identifying(alert.labels))
    else:
        chosen["title"] = alert.title
    return tuple(Matcher(name, "=", value) for name, value in chosen.items())


def matches_everything(matchers: Iterable[Matcher]) -> bool:
    """Whether none of the matchers excludes anything: each takes what is empty, or any value that its name can have."""
    return all(matcher.matches({}) or _takes_any(matcher) for matcher in matchers)


def _takes_any(matcher: Matcher) -> bool:
    samples = _SAMPLES.get(matcher.name, ("x", "a text", "0"))
    return matcher.name in OWN_NAMES and all(matcher.matches({matcher.name: sample}) for sample in samples)


def _holding(alert: Alert, silences: Iterable[Silence], now: datetime) -> Iterator[Holding]:
    names: Mapping[str, str] | None = None
    for silence in silences:
        until = silence.until(now)
        if until is None:
            continue
        names = names_of(alert) if names is None else names
        if silence.matches(names):
            yield Holding(silence, until)


def _identifying(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    in_order = sorted(labels, key=lambda name: (name != _IDENTITY, name))
    wanted = [name for name in in_order if name not in _CHANGING and labels[name]]
    short = [name for name in wanted if "\n" not in labels[name] and len(labels[name]) <= VALUE_MAX]
    for name in [name for name in short if is_name(name)][:LIKE_MAX]:
        yield (LABEL + name if name in OWN_NAMES else name), labels[name]
