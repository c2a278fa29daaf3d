"""Turns transitions into deliveries, by the rules. Pure.

Rules add and never remove: a receiver matched for the first time in an episode gets `open`, one that was
opened gets the transition's verbs. A silence, a receiver that is off, or a rule that waits withholds only first
openings. Ends are held back while an alert flaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from service_event_checker.core import conditions, escalation, flapping, groups, mirrors
from service_event_checker.core.escalation import Due
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Link, Receiver, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.rules import Choice, Rulebook, choose
from service_event_checker.core.silences import SILENCED, Holding, silence_of
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import Family, Severity, Verb, Why

OPEN_AGAIN = "It fires again, as critical."
STILL_FIRING = "The alert still fires at its source; it ends here when it ends there, or is resolved by a person."
_LOUD = frozenset({Why.ESCALATED, Why.FLAPPING, Why.CALM})
_CHAT_LIKE = frozenset({None, Family.CHAT})  # people read there, nothing echoes


def route(alert: Alert, transitions: Iterable[Transition], book: Rulebook, now: datetime) -> Write:
    """Return the commit that the transitions ask for. `alert.revision` is the one that was read."""
    transitions = tuple(transitions)
    before, flapped = alert.withheld, alert.flapping
    alert, links = _born_at_destination(alert, transitions, book)
    alert = flapping.carried_over(flapping.counted(alert, transitions, book.flapping, now), transitions)
    begins = _begins_flapping(alert, transitions, book, now) if alert.flapping and not flapped else ()
    owed: dict[tuple[str, Verb], Delivery] = {}
    for transition in transitions:
        for verb in transition.verbs:
            for name in alert.receivers:
                alert = _add_or_hold(alert, name, verb, transition, book, now, owed)
    _tell_held(alert, (*transitions, *begins), book, now, owed)
    escalated: tuple[Transition, ...] = ()
    silence: Holding | None = None
    if alert.open and (transitions or alert.waits):
        silence = silence_of(alert, book.silences, now)
        alert, escalated = _choose(alert, (*transitions, *begins), book, now, owed, silence)
    elif not alert.open and (alert.withheld or alert.escalations):
        alert = replace(alert, withheld={}, escalations={})
    deliveries = (replace(delivery, seq=seq) for seq, delivery in enumerate(owed.values()))
    rows = (*transitions, *begins, *escalated, *_held_back(alert, before, now))
    return Write(
        alert=alert,
        transitions=rows,
        deliveries=tuple(deliveries),
        links=links,
        silenced_by=_silenced_by(silence, before, alert.withheld),
    )


def release(alert: Alert, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit that tells those who have waited long enough, and those whom a rule names anew; or None.

    They waited for a silence, a destination that was off, the conditions of a rule, more alerts of a group, the next
    step of an escalation, or for the alert to be calm.
    """
    if not alert.waits:
        return None
    calm = flapping.calm(alert, book.flapping, now)
    write = _calmed(alert, calm, book, now) if calm else route(alert, (), book, now)
    if write.alert == alert:
        return None
    told = [one.receiver for one in write.deliveries if one.receiver not in alert.receivers and one.verb is Verb.OPEN]
    named = {name for row in write.transitions if row.why is Why.ESCALATED for name in row.receiver.split(", ")}
    released = ", ".join(name for name in told if name not in named)
    why = (make_transition(alert, Why.RELEASED, now, receiver=released),) if released else ()
    return replace(write, transitions=(*why, *write.transitions))


def link_for(delivery: Delivery, alert: Alert, links: Iterable[Link], receiver: Receiver) -> Link | None:
    """Return the link that a delivery works on: its own episode's, or what an earlier one hands over.

    Within `reopen_within` the earlier object itself (its `open` means reopen); later a link without an
    external id that names it. None where there is nothing earlier.
    """
    earlier: Link | None = None
    for link in links:
        if link.episode == delivery.episode:
            return link
        if link.episode < delivery.episode and link.external_id:
            earlier = link
    if earlier is None:
        return None
    if delivery.carried:
        return replace(earlier, episode=delivery.episode)
    ended_at = alert.previous_ended_at if alert.episode == delivery.episode else None
    if ended_at is not None and alert.opened_at - ended_at <= receiver.reopen_within:
        return replace(earlier, episode=delivery.episode, closed=False)
    return Link(
        key=delivery.key,
        episode=delivery.episode,
        receiver=delivery.receiver,
        remote_key=remote_key(delivery.key, delivery.episode),
        previous=earlier.url or earlier.external_id,
    )


def _add_deliveries(
    alert: Alert,
    name: str,
    verb: Verb,
    transition: Transition,
    book: Rulebook,
    now: datetime,
    owed: dict[tuple[str, Verb], Delivery],
) -> Alert:
    """Owe one receiver what a transition's verb means for it; return the alert, which remembers what was mirrored."""
    if name == transition.via:
        if transition.why is Why.COPY_RESOLVED and book.family(name) is Family.TICKET:
            answer = replace(transition, note=STILL_FIRING, actor="", note_id="")
            _owe(owed, make_delivery(alert, name, Verb.NOTE, answer, book, now))
        return alert
    for each in book.mirrors.verbs(transition, name, verb):
        if each is Verb.UNACK and each not in book.verbs(name):
            each = Verb.NOTE  # PagerDuty, for one, can only be told of it
        if each not in book.verbs(name):
            continue
        cause = transition if each is verb else replace(transition, note=mirrors.describe(transition, verb), actor="")
        delivery = make_delivery(alert, name, each, cause, book, now)
        if each is not Verb.NOTE and not {book.family(transition.via), book.family(name)} & _CHAT_LIKE:
            alert, allowed = mirrors.count_mirrored(alert, transition.via, name, now)
            delivery = delivery if allowed else replace(delivery, reason=mirrors.PING_PONG)
        _owe(owed, delivery)
    return alert


def _born_at_destination(
    alert: Alert, transitions: Iterable[Transition], book: Rulebook
) -> tuple[Alert, tuple[Link, ...]]:
    """Return an alert that one of our destinations sent as if it had been opened there, with its source's id."""
    for transition in transitions:
        home = transition.via
        if transition.why.opens and book.family(home) not in (None, Family.CHAT):
            link = Link(
                key=alert.key,
                episode=alert.episode,
                receiver=home,
                remote_key=remote_key(alert.key, alert.episode),
                external_id=alert.fingerprint,
                url=alert.url,
            )
            return replace(alert, receivers=(home,)), (link,)
    return alert, ()


def _choose(
    alert: Alert,
    transitions: tuple[Transition, ...],
    book: Rulebook,
    now: datetime,
    owed: dict[tuple[str, Verb], Delivery],
    silence: Holding | None,
) -> tuple[Alert, tuple[Transition, ...]]:
    """Have told whom the rules choose now, and who is told as nobody takes the alert; return the rows of the steps."""
    choice = choose(alert, book, now)
    group_wait = groups.wait(alert, book.rules, now)
    rules = [] if group_wait else [(rule.name, rule.escalate) for rule in choice.rules]
    steps = [] if silence else list(escalation.due(alert, rules, now))
    if not silence:
        alert = escalation.followed(alert, rules, now)
    held_by = f"{SILENCED}{silence.text}" if silence else group_wait
    alert = _open_new(alert, choice, transitions, book, now, owed, held_by)
    if book.groups:
        alert = groups.join(alert, book, silence, now)
    alert = _with_later_escalation(alert, choice, held_by)
    rows = []
    for step in steps if alert.escalations else ():
        alert, row = _escalated(alert, step, book, now, owed)
        rows.append(row)
    return alert, tuple(rows)


def _with_later_escalation(alert: Alert, choice: Choice, held_by: str) -> Alert:
    """Note an escalation that begins later although no receiver waits: without it, time would not look again."""
    if alert.withheld or not escalation.is_wanted(alert):
        return alert
    rules = [*choice.later, *(((rule, held_by) for rule in choice.rules) if held_by else ())]
    waiting = [(rule.name, why) for rule, why in rules if rule.escalate and rule.name not in alert.escalations]
    return replace(alert, withheld={f"escalation of {name}": why for name, why in waiting}) if waiting else alert


def _open_new(
    alert: Alert,
    choice: Choice,
    transitions: tuple[Transition, ...],
    book: Rulebook,
    now: datetime,
    owed: dict[tuple[str, Verb], Delivery],
    held_by: str,
) -> Alert:
    """Owe an `open` to the receivers that nobody has told yet, or note why they have to wait.

    `held_by`: why none of them is told now, whatever the rules say; "" if they are.
    """
    chosen = (*choice.send, *choice.waits)
    earlier = [name for name, why in alert.withheld.items() if name in chosen or not conditions.is_waiting(why)]
    withheld: dict[str, str] = {}
    receivers = list(alert.receivers)
    told = {*alert.receivers, *(book.moved.get(name, name) for name in alert.receivers)}
    for name in dict.fromkeys((*earlier, *chosen)):
        if name in told or name not in book.receivers:
            continue
        cause = _cause(alert, transitions, book.family(name))
        why = choice.waits.get(name) or _off(name, book) or held_by
        if why:
            withheld[name] = why
        elif (verb := _first_verb(book.receivers[name])) and not (cause and cause.via == name):
            receivers.append(name)
            _owe(owed, make_delivery(alert, name, verb, cause, book, now))
    return replace(alert, receivers=tuple(receivers), withheld=withheld)


def _cause(alert: Alert, transitions: Iterable[Transition], family: Family | None) -> Transition | None:
    """Return the change that an open tells of: that the alert flaps only to those who then hear no more of it."""
    told = [each for each in transitions if each.why is not Why.FLAPPING or flapping.is_quiet(alert, family)]
    return told[-1] if told else None


def _off(name: str, book: Rulebook) -> str:
    """Return why a receiver cannot be told; "" if it can."""
    off = book.receivers[name].why_off
    return f"off: {off}" if off else ""


def _first_verb(receiver: Receiver) -> Verb | None:
    """Return what a receiver is asked first in an episode; None for one that cannot open anything."""
    first = Verb.RUN if receiver.family is Family.ACTION else Verb.OPEN
    return first if first in receiver.verbs else None


def _silenced_by(silence: Holding | None, before: Mapping[str, str], withheld: Mapping[str, str]) -> str:
    """Return the id of the silence that withholds the alert from now on; "" for none, or one that did already."""
    if silence is None or not any(why.startswith(SILENCED) for why in withheld.values()):
        return ""
    known = any(why.startswith(SILENCED) and why.endswith(silence.mark) for why in before.values())
    return "" if known else silence.silence.id


def _escalated(
    alert: Alert, step: Due, book: Rulebook, now: datetime, owed: dict[tuple[str, Verb], Delivery]
) -> tuple[Alert, Transition]:
    """Have told those to whom a rule escalates. Who has an object gets a note on it."""
    names = [name for name in step.escalate.send if name in book.receivers]
    row = replace(
        make_transition(alert, Why.ESCALATED, now, receiver=", ".join(names)), note=step.escalate.note(step.step)
    )
    receivers, withheld = list(alert.receivers), dict(alert.withheld)
    for name in names:
        off = _off(name, book)
        known = name in receivers
        verb = _telling(name, book) if known else Verb.OPEN
        if off and not known:
            withheld[name] = off
        elif verb and (known or Verb.OPEN in book.verbs(name)):
            withheld.pop(name, None)
            receivers += [] if known else [name]
            _owe(owed, make_delivery(alert, name, verb, row, book, now))
    alert = replace(alert, receivers=tuple(receivers), withheld=withheld)
    return escalation.made(alert, step, now), row


def _telling(name: str, book: Rulebook) -> Verb | None:
    """Return the verb that tells a receiver once more, of what it knows: a note, or a message where there are none.

    None where nobody would see it: a pager without notes takes a repeated open for the same.
    """
    if Verb.NOTE in book.verbs(name) or book.family(name) is Family.MAIL:  # a mail can be written at any time
        return Verb.NOTE
    return Verb.OPEN if book.family(name) is Family.CHAT else None


def _add_or_hold(
    alert: Alert,
    name: str,
    verb: Verb,
    transition: Transition,
    book: Rulebook,
    now: datetime,
    owed: dict[tuple[str, Verb], Delivery],
) -> Alert:
    if verb is Verb.CLOSE and name != transition.via and flapping.holds(alert, transition, book.family(name)):
        return flapping.held(alert, name)
    return _add_deliveries(alert, name, verb, transition, book, now, owed)


def _begins_flapping(
    alert: Alert, transitions: tuple[Transition, ...], book: Rulebook, now: datetime
) -> tuple[Transition, ...]:
    last = transitions[-1]
    text = book.flapping.begins_text(alert) if book.flapping else ""
    row = make_transition(alert, Why.FLAPPING, now, receiver="")
    return (replace(row, note=text, via=last.via),)


def _tell_held(
    alert: Alert,
    transitions: tuple[Transition, ...],
    book: Rulebook,
    now: datetime,
    owed: dict[tuple[str, Verb], Delivery],
) -> None:
    """Tell the receivers whose object is held open that the alert flaps now, or that it opens again as critical."""
    last = transitions[-1] if transitions else None
    if last is not None and last.why is Why.FLAPPING and not alert.open:
        _tell(alert, alert.recent.held, last, book, now, owed)
    opening = next((each for each in transitions if each.why.opens), None)
    if opening is not None and alert.severity is Severity.CRITICAL and alert.recent.carried:
        _tell(alert, alert.recent.carried, replace(opening, note=opening.note or OPEN_AGAIN), book, now, owed)


def _tell(
    alert: Alert,
    names: Iterable[str],
    cause: Transition,
    book: Rulebook,
    now: datetime,
    owed: dict[tuple[str, Verb], Delivery],
) -> None:
    for name in names:
        verb = _telling(name, book)
        if verb and name != cause.via:
            _owe(owed, make_delivery(alert, name, verb, cause, book, now))


def _calmed(alert: Alert, calm: Alert, book: Rulebook, now: datetime) -> Write:
    """Return the commit that tells how an alert is that has become calm: its held ends, or that it still fires."""
    text = book.flapping.calm_text(alert) if book.flapping else ""
    row = replace(make_transition(calm, Why.CALM, now, receiver=""), note=text)
    owed: dict[tuple[str, Verb], Delivery] = {}
    calm = replace(calm, updated_at=now)
    if calm.open:
        quiet = [name for name in calm.receivers if flapping.is_quiet(calm, book.family(name))]
        _tell(calm, quiet, row, book, now, owed)
        write = route(calm, (), book, now)
        deliveries = (*owed.values(), *write.deliveries)
        return replace(
            write,
            transitions=(row, *write.transitions),
            deliveries=tuple(replace(each, seq=seq) for seq, each in enumerate(deliveries)),
        )
    for name in alert.recent.held:
        _owe(owed, make_delivery(calm, name, Verb.CLOSE, row, book, now))
    deliveries = tuple(replace(each, seq=seq) for seq, each in enumerate(owed.values()))
    return Write(alert=calm, transitions=(row,), deliveries=deliveries)


def _held_back(alert: Alert, before: Mapping[str, str], now: datetime) -> Iterator[Transition]:
    """Yield the timeline's rows of who has to wait from now on, or for another reason than before.

    Also of who waited for a rule until the alert was over, and so is never told.
    """
    for name, why in alert.withheld.items():
        if before.get(name) != why:
            yield replace(make_transition(alert, Why.WITHHELD, now, receiver=name), note=why, verb=Verb.OPEN)
    for name, why in before.items():
        if not alert.open and conditions.is_waiting(why):
            text = conditions.over_before_told(alert, why, now)
            yield replace(make_transition(alert, Why.WITHHELD, now, receiver=name), note=text, verb=Verb.OPEN)


def make_delivery(
    alert: Alert, name: str, verb: Verb, cause: Transition | None, book: Rulebook, now: datetime
) -> Delivery:
    receiver = book.receiver(name)
    return Delivery(
        key=alert.key,
        episode=alert.episode,
        revision=alert.revision + 1,
        receiver=name,
        verb=verb,
        severity=alert.severity,
        actor=cause.actor if cause else "",
        note=cause.note if cause else "",
        note_id=cause.note_id if cause else "",
        cancels=receiver is not None and receiver.cancels,
        carried=verb is not Verb.OPEN and name in alert.recent.carried,
        loud=verb is Verb.NOTE and cause is not None and (cause.why.opens or cause.why in _LOUD),
        created_at=now,
    )


def _owe(owed: dict[tuple[str, Verb], Delivery], delivery: Delivery) -> None:
    """Add a delivery; one of the same verb in the same commit takes up the other's note."""
    place = (delivery.receiver, delivery.verb)
    earlier = owed.get(place)
    if earlier is not None and earlier.note and earlier.note != delivery.note:
        delivery = replace(
            delivery,
            note=f"{earlier.note}\n{delivery.note}".strip(),
            note_id=",".join(filter(None, (earlier.note_id, delivery.note_id))),
        )
    owed[place] = delivery


def make_transition(alert: Alert, why: Why, now: datetime, *, receiver: str) -> Transition:
    return Transition(
        key=alert.key,
        episode=alert.episode,
        at=now,
        why=why,
        before=alert.status,
        after=alert.status,
        receiver=receiver,
    )
