"""Tries one destination: does it take what we send? Creates nothing; on request, sends one message marked TEST.

Tickets, pages and actions are never made for a test: `send` is for messages alone.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ports import (
    Destination,
    MessageDestination,
    Preflight,
    Probe,
    ProbeResult,
    RefusesTests,
)
from service_event_checker.core.vocabulary import Family
from service_event_checker.http import budget
from service_event_checker.render import sample, voice

CALLS_MAX = 4  # so many times the longest call may all calls of a probe take
SENDS = frozenset({Family.CHAT, Family.MAIL})
ONLY_BY_SENDING = "cannot be tried without sending; use --send (API: send=true)"
REMEDIES = {
    Reason.UNREACHABLE: "check its address, DNS and the network; behind a proxy set OUTBOUND_PROXY",
    Reason.TIMEOUT: "check the network, or set a longer `timeout` for this destination",
    Reason.RESET: "check the network and the system behind this address",
    Reason.SERVER_ERROR: "the system itself fails: look at its own status, and try again",
    Reason.GARBAGE: "check `url`: what answers there is another system",
    Reason.RATE_LIMITED: "wait, then try again",
    Reason.UNAUTHORIZED: "correct the credentials",
    Reason.FORBIDDEN: "the credentials are valid: give their account the missing permission",
    Reason.NOT_FOUND: "check `url` and the name of the project, service or channel",
    Reason.FORBIDDEN_ADDRESS: "check `url`: it leads to an address that is not allowed",
    Reason.CRASHED: "this is a bug: please report it with the log",
}


class Result(StrEnum):
    WORKS = "works"
    WARNS = "needs attention"
    UNPROVEN = "not tried"
    FAILS = "fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a trial. `why` and `remedy` are set if it fails or was not tried. Lines may quote other systems."""

    result: Result
    proven: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    why: str = ""
    remedy: str = ""

    @property
    def ok(self) -> bool:
        return self.result in (Result.WORKS, Result.UNPROVEN)


def probe(destination: Destination, timeout: timedelta) -> Report:
    """Try a destination without sending; `timeout` is that of one call. Never raises for what is wrong there."""
    try:
        with budget.limit(timeout.total_seconds() * CALLS_MAX):
            return _reported(_probed(destination))
    except DeliveryError as error:
        return _failed(error)


def send(destination: Destination, name: str, timeout: timedelta, now: datetime) -> Report:
    """Send one message that is marked as a TEST and needs no answer; tickets and pagers are refused."""
    if destination.family not in SENDS or not isinstance(destination, MessageDestination):
        why = "a test would create a ticket or page somebody, so nothing was sent"
        return Report(result=Result.UNPROVEN, why=why, remedy=f"./outage test {name} tries it without sending")
    if isinstance(destination, RefusesTests) and (why := destination.test_refusal()):
        return Report(result=Result.UNPROVEN, why=why, remedy=f"./outage preview {name} shows what would be sent")
    try:
        with budget.limit(timeout.total_seconds() * CALLS_MAX), voice.speaking(name):
            firing = sample.alert(now, name=uuid.uuid4().hex)
            alert = sample.over(firing, now)  # over, so that it carries no buttons and nobody hurries
            link = destination.deliver(sample.delivery(alert, name), alert, None)
    except DeliveryError as error:
        return _failed(error)
    at = f": {link.url}" if link and link.url else ""
    return Report(result=Result.WORKS, proven=(f"a message marked TEST was accepted{at}",))


def _probed(destination: Destination) -> ProbeResult:
    if isinstance(destination, Probe):
        return destination.probe()
    wrong = tuple(destination.preflight()) if isinstance(destination, Preflight) else ()
    return ProbeResult(wrong=wrong, unproven=(ONLY_BY_SENDING,))


def _reported(found: ProbeResult) -> Report:
    tried = Result.WORKS if found.proven else Result.UNPROVEN
    result = Result.WARNS if found.wrong else tried
    return Report(result=result, proven=found.proven, wrong=found.wrong, unproven=found.unproven)


def _failed(error: DeliveryError) -> Report:
    return Report(result=Result.FAILS, why=str(error), remedy=REMEDIES.get(error.reason, "correct it and try again"))
