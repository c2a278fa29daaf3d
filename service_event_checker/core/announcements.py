"""Commits that answer no event: what a reconciliation, a person or the outbox itself adds to an alert. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from service_event_checker.core.mirrors import PING_PONG
from service_event_checker.core.model import Alert, Delivery, Transition
from service_event_checker.core.routing import make_delivery, make_transition
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import DRY_RUN, Family, Verb, Why


def owed_again(alert: Alert, receiver: str, verb: Verb, note: str, book: Rulebook, now: datetime) -> Write:
    """Return the commit by which a reconciliation has a receiver told once more of what it missed."""
    transition = replace(make_transition(alert, Why.RECONCILED, now, receiver=receiver), note=note)
    owed = make_delivery(alert, receiver, verb, replace(transition, note=""), book, now)
    return Write(alert=replace(alert, updated_at=now), transitions=(transition,), deliveries=(owed,))


def linked(alert: Alert, receiver: str, url: str, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit that shows a new object's address in the alert's chat messages; None if it is known."""
    if not url or alert.links.get(receiver) == url or book.receivers[receiver].family is Family.CHAT:
        return None
    seen = replace(alert, links={**alert.links, receiver: url}, updated_at=now)
    return _shown_in_chats(seen, make_transition(seen, Why.LINKED, now, receiver=receiver), book, now)


def dry_run(alert: Alert, receiver: str, text: str, book: Rulebook, now: datetime) -> Write:
    """Return the commit that keeps, and shows in chat, what a test alert would have made elsewhere."""
    seen = replace(alert, annotations={**alert.annotations, f"{DRY_RUN}{receiver}": text}, updated_at=now)
    transition = replace(make_transition(seen, Why.DRY_RUN, now, receiver=receiver), note=text)
    return replace(_shown_in_chats(seen, transition, book, now), transitions=())


def requested(alert: Alert, receiver: str, actor: str, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit by which a person adds a receiver to an open alert; None when it was opened already."""
    if receiver in alert.receivers:
        return None
    left = {name: why for name, why in alert.withheld.items() if name != receiver}
    wanted = replace(alert, receivers=(*alert.receivers, receiver), withheld=left, updated_at=now)
    transition = replace(make_transition(wanted, Why.RECEIVER_ADDED, now, receiver=receiver), actor=actor)
    opening = make_delivery(wanted, receiver, Verb.OPEN, transition, book, now)
    return Write(alert=wanted, transitions=(transition,), deliveries=(opening,))


def moved(alert: Alert, old: str, new: str, now: datetime) -> Write:
    """Return the commit that names a destination by its new name wherever the alert names it by the old one."""
    receivers = dict.fromkeys(new if name == old else name for name in alert.receivers)
    withheld = {new if name == old else name: why for name, why in alert.withheld.items()}
    recent = replace(
        alert.recent,
        held=tuple(new if name == old else name for name in alert.recent.held),
        carried=tuple(new if name == old else name for name in alert.recent.carried),
    )
    renamed = replace(
        alert,
        recent=recent,
        receivers=tuple(receivers),
        withheld={name: why for name, why in withheld.items() if name not in receivers},
        links={new if name == old else name: url for name, url in alert.links.items()},
        status_seen_at={
            (new if name == old else name, status): at for (name, status), at in alert.status_seen_at.items()
        },
        updated_at=now,
    )
    transition = replace(make_transition(renamed, Why.MOVED, now, receiver=new), note=f"{old} is {new} now")
    return Write(alert=renamed, transitions=(transition,))


def gave_up(
    delivery: Delivery,
    alert: Alert,
    reason: str,
    book: Rulebook,
    now: datetime,
    *,
    unreached: Collection[str] = (),
) -> Write | None:
    """Return the commit that tells of a failed delivery through another channel: chat, else mail; None where it is not.

    Where neither is left, the page and the metrics show it. The failure of such a notice is told nowhere. `unreached`:
    receivers whose own opening of this episode failed.
    """
    name = delivery.receiver
    note = f"{name}: {delivery.verb} failed, {reason}"
    transition = replace(make_transition(alert, Why.GAVE_UP, now, receiver=name), note=note)
    if delivery.notice:
        return None
    if reason == PING_PONG:  # it was not sent on purpose
        shown = replace(_shown_in_chats(alert, transition, book, now), transitions=())
        return shown if shown.deliveries and book.family(name) is not Family.CHAT else None
    for family in (Family.CHAT,) if alert.test else (Family.CHAT, Family.MAIL):
        channels = _channels(alert, family, {name, *unreached}, book)
        if channels:
            notices = (make_delivery(alert, each, _verb(alert, each, book), transition, book, now) for each in channels)
            receivers = tuple(dict.fromkeys((*alert.receivers, *channels)))
            return Write(
                alert=replace(alert, receivers=receivers),
                deliveries=tuple(replace(each, notice=True) for each in notices),
            )
    return None


def _channels(alert: Alert, family: Family, failed: Collection[str], book: Rulebook) -> tuple[str, ...]:
    """Return who of a family is to be told of a failure: all that know the alert, else the first that is configured."""
    usable = [
        name
        for name, each in book.receivers.items()
        if each.family is family and name not in failed and not each.why_off and not each.shadow
        if Verb.OPEN in each.verbs and name not in alert.withheld
    ]
    told = tuple(name for name in usable if name in alert.receivers)
    return told or tuple(usable[:1])


def _verb(alert: Alert, name: str, book: Rulebook) -> Verb:
    """Return the least that tells a receiver something: what cannot edit or comment gets one more message."""
    if name not in alert.receivers:
        return Verb.OPEN
    return next((verb for verb in (Verb.UPDATE, Verb.NOTE) if verb in book.verbs(name)), Verb.OPEN)


def _shown_in_chats(alert: Alert, transition: Transition, book: Rulebook, now: datetime) -> Write:
    """Owe an update to the alert's chats that can edit, and to nobody else."""
    chats = (name for name in alert.receivers if book.family(name) is Family.CHAT)
    told = (name for name in chats if Verb.UPDATE in book.verbs(name) and book.receivers[name].edits)
    deliveries = (make_delivery(alert, name, Verb.UPDATE, transition, book, now) for name in told)
    return Write(alert=alert, transitions=(transition,), deliveries=tuple(deliveries))
