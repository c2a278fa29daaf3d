"""Is it us, or is it them? The answer in a sentence, from what is open and what could be read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Affects, Kind
from service_event_checker.render.names import platform_name
from service_event_checker.render.text import moment
from service_event_checker.web.status.overview import CheckerState, PollState, State

NAMED_MAX = 4  # names in a sentence; more are counted


class Answer(StrEnum):
    THEM = "It looks like them"
    US = "It looks like us"
    BOTH = "Them and us"
    QUIET = "All quiet"
    UNSURE = "We cannot tell"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`known` are the two halves of the sentence, vendors and us; `doubts` say what is not known."""

    answer: Answer
    known: tuple[str, str]
    doubts: tuple[str, ...] = ()


def judge(state: State) -> Verdict:
    """Weigh what is open against what could be read. Tests, maintenance and what is not ours do not count."""
    counted = [alert for alert in state.open_alerts if not alert.test and alert.affects_us is not Affects.NO]
    vendors = _names(alert for alert in counted if alert.kind is Kind.OUTAGE)
    own = sum(alert.kind is Kind.ALERT for alert in counted)
    known = (_of_vendors(vendors), _of_ours(own, more=state.more_open))
    asked = [checker for checker in state.checkers if checker.reading is not PollState.OFF]
    unread = [checker for checker in asked if checker.reading is not PollState.OK]
    doubts = tuple(_doubts(state, unread, asked))
    blind = not state.beats or len(unread) == len(asked)
    return Verdict(_answer(bool(vendors), bool(own), blind=blind), known, doubts)


def _answer(them: bool, us: bool, *, blind: bool) -> Answer:
    """Choose the answer; without eyes, what is not seen proves nothing, but what is open stays open."""
    if them:
        return Answer.BOTH if us else Answer.THEM
    if blind:
        return Answer.UNSURE
    return Answer.US if us else Answer.QUIET


def _of_vendors(vendors: Sequence[str]) -> str:
    if not vendors:
        return "No vendor reports an outage"
    if len(vendors) == 1:
        return f"{vendors[0]} reports an outage"
    return f"{len(vendors)} vendors report outages: {_listed(vendors)}"


def _of_ours(own: int, *, more: bool) -> str:
    if not own:
        return "nothing of ours is open" if not more else "there is more below"
    count = f"{own}+" if more else str(own)
    return f"{count} of our own alerts {'is' if own == 1 and not more else 'are'} open"


def _doubts(state: State, unread: Sequence[CheckerState], asked: Sequence[CheckerState]) -> Iterable[str]:
    if state.heartbeat_at is None:
        yield "Nothing is being checked: no process runs the schedule yet"
    elif not state.beats:
        yield f"Nothing has been checked since {moment(state.heartbeat_at)}: this is the state of then"
    if not asked:
        yield "No status page is being read: no checker is on"
        return
    unknown = [checker.name for checker in unread if checker.reading is PollState.UNKNOWN]
    waiting = [checker.name for checker in unread if checker.reading is PollState.WAITING]
    if unknown:
        pages = "1 page" if len(unknown) == 1 else f"{len(unknown)} pages"
        yield f"{pages} cannot be read: {_listed([platform_name(name) for name in unknown])}"
    if waiting and state.beats:
        yield f"Not asked yet: {_listed([platform_name(name) for name in waiting])}"


def _names(alerts: Iterable[Alert]) -> list[str]:
    return sorted({platform_name(alert.source) for alert in alerts}, key=str.lower)


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:NAMED_MAX])
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
