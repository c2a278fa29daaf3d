"""The text of an alert for a chat robot, in parts that are plain: a dialect marks them up and escapes them. Pure.

`compose` is the only place where a robot's message is worded; a template of a channel and verb replaces its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.vocabulary import Severity, Verb
from service_event_checker.render import own
from service_event_checker.render.notice import Notice, field_name, notice
from service_event_checker.render.text import cut
from service_event_checker.render.texts import say

HEADLINE = "headline.txt"  # the part that templates of users may write everywhere; the text is the dialect's
HEADLINE_MAX = 300  # characters
CHANGE_MAX = 1000
LINKS_MAX = 6
_QUIET = frozenset({Verb.OPEN, Verb.UPDATE})
_FULL = frozenset({Verb.OPEN, Verb.UPDATE})  # what tells the whole state; the rest is a short note about a change
_BRIEF = ("Source", "Platform", "Until", "Ended", "Internal ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: plain text, cleaned and cut, not escaped.

    `headline` is one line. `change` tells the latest change, "" for the opening. `facts` are (name, value), `links`
    (text, address). `severity` and `over` choose the colour where a system has one. `own`: what the user's templates
    say in place of all but the headline, by part, escaped already.
    """

    headline: str
    change: str
    facts: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    body: str
    severity: Severity
    over: bool
    own: Mapping[str, str] = field(default_factory=dict)


def compose(delivery: Delivery, alert: Alert, now: datetime, *, full: bool = False) -> Message:
    """Return what a delivery tells: the whole alert for `open` and `update`, else the change with the facts to find it.

    A first or repeated message that comes when the alert is over tells its end. `full`: the whole alert in any case.
    """
    verb = Verb.CLOSE if delivery.verb in _QUIET and not alert.open else delivery.verb
    told = notice(alert, verb, now, actor=delivery.actor, note=delivery.note, receiver=delivery.receiver)
    full = full or delivery.verb in _FULL
    written = own.texts(replace(delivery, verb=verb), alert, told)
    return Message(
        headline=written.get(HEADLINE) or cut(f"{told.mark} {told.headline}", HEADLINE_MAX),
        change=cut(told.change, CHANGE_MAX),
        facts=tuple((name, value) for name, value in told.fields if _is_shown(name, full=full)),
        links=tuple(_links(told))[:LINKS_MAX],
        body=told.body if full else "",
        severity=alert.severity,
        over=not alert.open,
        own=written,
    )


def _is_shown(name: str, *, full: bool) -> bool:
    return name != field_name("Fingerprint") if full else name in map(field_name, _BRIEF)


def _links(told: Notice) -> Iterator[tuple[str, str]]:
    if told.link:
        yield told.link_text, told.link
    yield from told.links
    for what, system, url in told.tickets:
        yield f"{say('fact', name=what)} {system}", url
