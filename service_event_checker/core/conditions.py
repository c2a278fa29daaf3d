"""When a rule that matches sends: only what lasts, what repeats, and within its weekly windows. Pure.

Everything is derived from the alert's own stored times, so that a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service_event_checker.core import weekly
from service_event_checker.core.model import Alert
from service_event_checker.core.weekly import Weekly

FIRED_MAX = 50  # times that an alert keeps: the most that a rule may ask for
WAITS = "waits: "  # begins the reason of a receiver that waits for its rule


@dataclass(frozen=True, slots=True)
class After:
    """A rule's `after`: the alert has fired `count` times within a time, this one included."""

    count: int
    within: timedelta

    @property
    def text(self) -> str:
        return f"{self.count} times within {short(self.within)}"

    def fired(self, alert: Alert, now: datetime) -> int:
        """Count how often the alert opened, or was reported as firing anew, within the time before now."""
        return sum(now - at < self.within for at in alert.recent.fired_at)


@dataclass(frozen=True, slots=True)
class Conditions:
    """`lasts`: how long an alert has to be open here, the key `for`. No windows: always."""

    lasts: timedelta = timedelta(0)
    after: After | None = None
    windows: tuple[Weekly, ...] = ()

    def outside(self, now: datetime) -> str:
        """Return the windows, if none of them is under way now; else ""."""
        if not self.windows or weekly.current(self.windows, now):
            return ""
        return "; ".join(window.text for window in self.windows)

    def begins_at(self, now: datetime) -> datetime | None:
        """Return when the next window begins; None if none ever does."""
        span = weekly.following(self.windows, now)
        return span.starts_at if span else None

    def waits(self, alert: Alert, now: datetime) -> Wait | None:
        """Return what an alert that matches still has to wait for; None if its receivers are told now."""
        due_at = alert.opened_at + self.lasts
        if self.lasts and due_at > now:
            lasting = short(self.lasts)
            return Wait(f"must fire for {lasting}", f"for: {lasting}", due_at)
        if self.after is None:
            return None
        fired = self.after.fired(alert, now)
        if fired >= self.after.count:
            return None
        return Wait(f"must fire {self.after.text}", f"after: {self.after.text}, {fired} so far")

    @property
    def text(self) -> str:
        """Say what was met, where a rule matches and waits for nothing; "" without conditions."""
        met = [f"for: {short(self.lasts)}"] if self.lasts else []
        met += [f"after: {self.after.text}"] if self.after else []
        met += [f"windows: {'; '.join(window.text for window in self.windows)}"] if self.windows else []
        return ", ".join(met)


@dataclass(frozen=True, slots=True)
class Wait:
    """What a receiver waits for: `what` for people, `key` as the rule has it. `until`: None if no time tells."""

    what: str
    key: str
    until: datetime | None = None

    @property
    def reason(self) -> str:
        """The reason of a withheld receiver. It stays the same while the wait lasts."""
        return f"{WAITS}{self.what}" + (f", until {moment(self.until)}" if self.until else "")

    @property
    def why(self) -> str:
        return f"waits until {moment(self.until) if self.until else 'it fires again'}, because {self.key}"


def over_before_told(alert: Alert, reason: str, now: datetime) -> str:
    """Say of an alert that ended while its rule waited how long it lasted, and what the rule waited for."""
    return f"not told, it lasted {short(now - alert.opened_at)} ({reason.removeprefix(WAITS).partition(', until ')[0]})"


def is_waiting(reason: str) -> bool:
    """Whether a receiver was withheld because its rule waited."""
    return reason.startswith(WAITS)


def moment(at: datetime) -> str:
    return (
        f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at.second == 0 else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    )


def short(span: timedelta) -> str:
    """Write a duration as the configuration does: "5m", "1h30m", "45s"."""
    left, parts = int(span.total_seconds()), []
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, seconds)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts) or "0s"


def fired(times: Iterable[datetime], now: datetime) -> tuple[datetime, ...]:
    """Return when an alert fired, with now; the newest times only."""
    return (*times, now)[-FIRED_MAX:]
