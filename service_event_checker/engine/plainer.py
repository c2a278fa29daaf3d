"""Content that a system answers with 5xx: which delivery is in question, and the plainer forms in which it is tried.

State of this process: another one, or a restart, costs some more tries of the full form and nothing else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.vocabulary import Verb
from service_event_checker.render.text import cut

TRIES = 3  # of the full form
ALONE_AFTER = timedelta(minutes=5)  # of 5xx, where no other delivery shows whether the system works
REMEMBERED = 1000  # deliveries
TITLE_MAX, TEXT_MAX = 80, 300  # characters of the shortest form
FORMS = (
    "without characters above U+FFFF",
    "without such characters and markup",
    "shortened, without labels, such characters and markup",
)
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_MARKUP = re.compile(r"[^\w\s.,:;/'()%+=-]")

Change = Callable[[str], str]


@dataclass(slots=True)
class _Suspect:
    receiver: str
    since: datetime
    tries: int = 0
    others_work: bool = False


class Suspects:
    """The deliveries that were answered with 5xx. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, _Suspect] = {}

    def add(self, delivery: Delivery, now: datetime) -> None:
        """Note that the writing call of a delivery was answered with 5xx; a search that failed does not count."""
        with self._lock:
            suspect = self._known.setdefault(_name(delivery), _Suspect(delivery.receiver, now))
            suspect.tries += 1
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]

    def form(self, delivery: Delivery, now: datetime) -> int:
        """Return how plain it is to be sent: 0 is the full form, else the number in FORMS, from 1.

        It is about the content where others are taken since, or where there is no other failure to compare it with.
        """
        with self._lock:
            suspect = self._known.get(_name(delivery))
            if suspect is None or suspect.tries < TRIES:
                return 0
            alone = sum(each.receiver == delivery.receiver for each in self._known.values()) == 1
            if not (suspect.others_work or (alone and now - suspect.since >= ALONE_AFTER)):
                return 0
            return min(suspect.tries - TRIES + 1, len(FORMS))

    def works(self, delivery: Delivery) -> None:
        """Note that a delivery was taken: the others of its receiver that fail do so for their own sake."""
        with self._lock:
            self._known.pop(_name(delivery), None)
            for each in self._known.values():
                each.others_work = each.others_work or each.receiver == delivery.receiver

    def forget(self, delivery: Delivery) -> None:
        """Note that a delivery is not tried any more."""
        with self._lock:
            self._known.pop(_name(delivery), None)


def remark(form: int) -> str:
    """Return the sentence that says so, "" for the full form."""
    return f"Shown {FORMS[form - 1]}: its full text was answered with an error, several times." if form else ""


def plainer(delivery: Delivery, alert: Alert, form: int) -> tuple[Delivery, Alert]:
    """Return what is sent in place of a delivery and its alert; what it leaves out is said in the text."""
    if not form:
        return delivery, alert
    change = (_without_astral, _without_markup, _without_markup)[form - 1]
    short = form == len(FORMS)
    opens = delivery.verb is Verb.OPEN
    description = _limited(change(alert.description), TEXT_MAX if short else None)
    note = _limited(change(delivery.note), TEXT_MAX if short else None)
    shown = replace(
        alert,
        title=_limited(change(alert.title).strip(), TITLE_MAX if short else None),
        description=_joined(description, remark(form)) if opens else description,
        url="" if _ASTRAL.search(alert.url) else alert.url,
        owner=change(alert.owner),
        labels={} if short else _changed(alert.labels, change),
        annotations={} if short else _changed(alert.annotations, change),
    )
    said = note if opens else _joined(note, remark(form))
    return replace(delivery, note=said, actor=change(delivery.actor)), shown


def _without_astral(text: str) -> str:
    return _ASTRAL.sub("", text)


def _without_markup(text: str) -> str:
    return _MARKUP.sub(" ", _without_astral(text))


def _changed(texts: Mapping[str, str], change: Change) -> dict[str, str]:
    return {change(name): change(text) for name, text in texts.items()}


def _limited(text: str, limit: int | None) -> str:
    return text if limit is None else cut(text, limit)


def _joined(*texts: str) -> str:
    return "\n\n".join(filter(None, texts))


def _name(delivery: Delivery) -> str:
    """Return what a delivery is known by: not by any verb, for a chat's note may open a message.

    An end that has overtaken a note has its revision.
    """
    ends = delivery.verb is Verb.CLOSE
    return f"{delivery.key}:{delivery.episode}:{delivery.revision}:{delivery.receiver}:{ends}"
