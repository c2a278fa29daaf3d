"""What became of a delivery, as its row of the alert's timeline. Pure; written with the settle by the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service_event_checker.core.model import Transition
from service_event_checker.core.store import Again, Claimed, Failed, Outcome, Settled
from service_event_checker.core.vocabulary import Verb, Why


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun(Settled):
    """A delivery that was rendered and checked, not sent: of a test alert, or to a receiver in shadow."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped(Settled):
    """A delivery that was not sent as it is no longer needed: `why` says so."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldElsewhere(Settled):
    """A delivery of an alert that is over, and that the receiver's fallback has told: `remark` says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarised(Settled):
    """A delivery that the summary of a storm covers: `note` names it."""

    note: str


def outcome_step(claimed: Claimed, outcome: Outcome, now: datetime) -> Transition | None:
    """Return the timeline's row of an outcome; None where the delivery is to be tried again."""
    match outcome:
        case Again():
            return None
        case DryRun(text=text):
            why, note = Why.DRY_RUN, _once(claimed.delivery.verb, text)
        case Skipped(why=note):
            why = Why.SKIPPED
        case Summarised(note=note):
            why = Why.SUMMARISED
        case Failed(reason=note):
            why = Why.GAVE_UP
        case Settled(remark=note):
            why = Why.DELIVERED_OTHERWISE if note else Why.DELIVERED
    delivery, alert = claimed.delivery, claimed.alert
    return Transition(
        key=delivery.key,
        episode=delivery.episode,
        at=now,
        why=why,
        before=alert.status,
        after=alert.status,
        note=note,
        receiver=delivery.receiver,
        verb=delivery.verb,
        tries=0 if why in (Why.SKIPPED, Why.DRY_RUN, Why.SUMMARISED) else delivery.attempts + 1,
        url=_address(claimed, outcome) if why in (Why.DELIVERED, Why.DELIVERED_OTHERWISE) else "",
    )


def _address(claimed: Claimed, outcome: Outcome) -> str:
    """Return where the object lies that something was done to: the new link's address, else that of the known one."""
    if isinstance(outcome, Settled) and outcome.link:
        return outcome.link.url
    known = (link.url for link in claimed.links if link.episode == claimed.delivery.episode)
    return next(known, "")


def _once(verb: Verb, text: str) -> str:
    return f"{verb}: {text.removeprefix(f'{verb} ')}"
