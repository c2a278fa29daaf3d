"""Answers "is it us or is it them?" in a sentence, from what is open and which status pages could be read. Pure."""

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
    UNSURE = "Cannot tell"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`known` are the two halves of the sentence (vendors, internal alerts); `doubts` say what is not known."""

    answer: Answer
    known: tuple[str, str]
    doubts: tuple[str, ...] = ()


def judge(state: State) -> Verdict:
    """Compare what is open with what could be read.

    Tests, maintenance and what is silenced or does not affect us do not count; of a group its members do.
    """
    single = (alert for alert in state.open_alerts if not alert.test and not alert.is_group)
    ours = [alert for alert in single if alert.affects_us is not Affects.NO]
    counted = [alert for alert in ours if alert.key not in state.silenced]
    silenced = sum(alert.key in state.silenced and alert.kind is not Kind.MAINTENANCE for alert in ours)
    vendors = _names(alert for alert in counted if alert.kind is Kind.OUTAGE)
    own = sum(alert.kind is Kind.ALERT for alert in counted)
    known = (_of_vendors(vendors), _of_alerts(own, more=state.more_open))
    asked = [checker for checker in state.checkers if checker.reading is not PollState.OFF]
    unread = [checker for checker in asked if checker.reading is not PollState.OK]
    doubts = (*_doubts(state, unread, asked), *_not_counted(silenced))
    blind = not state.beats or len(unread) == len(asked)
    return Verdict(_answer(bool(vendors), bool(own), blind=blind), known, doubts)


def _answer(them: bool, us: bool, *, blind: bool) -> Answer:
    """Choose the answer. `blind`: no status page could be read, so that "no outage is open" proves nothing."""
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


def _of_alerts(own: int, *, more: bool) -> str:
    if not own:
        return "no internal alert is open" if not more else "more alerts are listed below"
    count = f"{own}+" if more else str(own)
    return f"{count} internal {'alert is' if own == 1 and not more else 'alerts are'} open"


def _doubts(state: State, unread: Sequence[CheckerState], asked: Sequence[CheckerState]) -> Iterable[str]:
    if state.heartbeat_at is None:
        yield "Nothing is checked yet: the scheduler has not started"
    elif not state.beats:
        yield f"Nothing has been checked since {moment(state.heartbeat_at)}; this page shows the state at that time"
    if not asked:
        yield "No status page is checked: no checker is on"
        return
    unknown = [checker.name for checker in unread if checker.reading is PollState.UNKNOWN]
    waiting = [checker.name for checker in unread if checker.reading is PollState.WAITING]
    if unknown:
        pages = "1 status page" if len(unknown) == 1 else f"{len(unknown)} status pages"
        yield f"{pages} cannot be read: {_listed([platform_name(name) for name in unknown])}"
    if waiting and state.beats:
        yield f"Not checked yet: {_listed([platform_name(name) for name in waiting])}"


def _not_counted(silenced: int) -> Iterable[str]:
    if silenced:
        yield f"Not counted: {silenced} silenced {'alert' if silenced == 1 else 'alerts'}"


def _names(alerts: Iterable[Alert]) -> list[str]:
    return sorted({platform_name(alert.source) for alert in alerts}, key=str.lower)


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:NAMED_MAX])
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
