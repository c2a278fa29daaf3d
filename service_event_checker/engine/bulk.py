"""One act on many alerts: which they are, what it would do to each, and what came of it. `engine.acts` does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.model import Alert
from service_event_checker.core.roles import Alerts
from service_event_checker.core.rules import names_of
from service_event_checker.engine import acts, lookup
from service_event_checker.engine.services import Services

LIMIT_DEFAULT, LIMIT_MAX = 100, 500  # alerts of one act


class Act(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    RESOLVE = "resolve"
    NOTE = "note"
    TICKET = "ticket"


class Result(StrEnum):
    PLANNED = "planned"  # it would be done
    DONE = "done"
    UNCHANGED = "unchanged"  # it is so already
    REFUSED = "refused"
    UNKNOWN = "unknown"  # no alert has this name, or several have


#: the word of `acts.STATUSES` for what an alert is after the act
WORDS: Mapping[Act, str] = {Act.ACKNOWLEDGE: "acknowledged", Act.UNACKNOWLEDGE: "active", Act.RESOLVE: "resolved"}


class OverLimit(OutageCheckerError):
    """The act would change `count` alerts, which is more than `limit`; nothing was done."""

    def __init__(self, count: int, limit: int) -> None:
        more = f", or raise the limit (at most {LIMIT_MAX})" if limit < LIMIT_MAX else ""
        super().__init__(f"It would change {count} alerts, and the limit is {limit}. Name fewer{more}.")
        self.count = count
        self.limit = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`receiver`: the ticket system, "" for the usual one. `note` goes on the timeline."""

    act: Act
    note: str = ""
    receiver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One alert of the act, or a `name` that no single alert has (`alert` is None). `why`: of what was not done."""

    name: str
    alert: Alert | None
    result: Result
    why: str = ""


def named(store: Alerts, names: Iterable[str], act: Act) -> list[Item]:
    """Return what the act would do to the alerts of these names, each alert once. Raises StoreError."""
    found = {name: lookup.candidates(store, name) for name in dict.fromkeys(names)}
    newest = store.get({same[0].key for same in found.values() if len(same) == 1})
    items: dict[tuple[str, int] | str, Item] = {}
    for name, same in found.items():
        if len(same) == 1:
            items.setdefault((same[0].key, same[0].episode), _planned(name, same[0], act, newest))
        else:
            why = f"{len(same)} alerts have this fingerprint. Use the ID of one" if same else "There is no such alert"
            items[name] = Item(name=name, alert=None, result=Result.UNKNOWN, why=why)
    return list(items.values())


def matching(store: Alerts, matchers: Sequence[Matcher], act: Act) -> list[Item]:
    """Return the open alerts that match and that the act would change, the latest change first. Raises StoreError."""
    found = sorted(store.open_alerts(), key=lambda alert: (alert.updated_at, alert.key), reverse=True)
    items = (_planned(alert.internal_id, alert, act, {}) for alert in found if _match(alert, matchers))
    return [item for item in items if item.result is Result.PLANNED]


def count(items: Iterable[Item]) -> int:
    """Return how many alerts the act would change."""
    return sum(item.result is Result.PLANNED for item in items)


def do(
    services: Services,
    wanted: Wanted,
    items: Sequence[Item],
    *,
    limit: int,
    actor: str,
    intake: str,
    now: datetime,
) -> list[Item]:
    """Do what is planned and return what came of each item, in their order.

    Raises OverLimit; NotPossible and InvalidInput where no ticket can be opened at all; and StoreError: repeat it then.
    """
    planned = {item.alert.key: item.alert for item in items if item.alert and item.result is Result.PLANNED}
    if len(planned) > limit:
        raise OverLimit(len(planned), limit)
    if wanted.act is Act.TICKET:
        results = _tickets(services, planned.values(), wanted.receiver, actor, now)
    else:
        results = _changes(services, planned.values(), wanted, actor=actor, intake=intake, now=now)
    return [results[item.alert.key] if item.alert and item.result is Result.PLANNED else item for item in items]


def _planned(name: str, alert: Alert, act: Act, newest: Mapping[str, Alert]) -> Item:
    item = Item(name=name, alert=alert, result=Result.PLANNED)
    current = newest.get(alert.key, alert)
    if current.episode != alert.episode:
        return replace(item, result=Result.REFUSED, why=acts.past_episode(alert, current))
    word = WORDS.get(act)
    if word is None:
        return item
    if alert.status is acts.STATUSES[word]:
        return replace(item, result=Result.UNCHANGED)
    return item if alert.open else replace(item, result=Result.REFUSED, why=acts.cannot_become(alert, word))


def _changes(
    services: Services, alerts: Iterable[Alert], wanted: Wanted, *, actor: str, intake: str, now: datetime
) -> dict[str, Item]:
    word = WORDS.get(wanted.act)
    status = acts.STATUSES[word] if word else None
    after = acts.change_all(services, alerts, status, actor=actor, intake=intake, now=now, note=wanted.note)
    return {key: _changed(alert, word) for key, alert in after.items()}


def _changed(alert: Alert, word: str | None) -> Item:
    item = Item(name=alert.internal_id, alert=alert, result=Result.DONE)
    if word is None or alert.status is acts.STATUSES[word]:
        return item
    return replace(item, result=Result.REFUSED, why=acts.cannot_become(alert, word))


def _tickets(services: Services, alerts: Iterable[Alert], receiver: str, actor: str, now: datetime) -> dict[str, Item]:
    receiver = acts.ticket_receiver(services, receiver)
    found = {}
    for alert in alerts:
        try:
            made = acts.request_ticket(services, alert, actor=actor, now=now, receiver=receiver)
        except acts.NotPossible as error:
            item = Item(name=alert.internal_id, alert=alert, result=Result.REFUSED, why=error.message)
        else:
            result = Result.UNCHANGED if made.asked_before and not made.retried else Result.DONE
            item = Item(name=alert.internal_id, alert=made.alert, result=result, why=made.state)
        found[alert.key] = item
    return found


def _match(alert: Alert, matchers: Sequence[Matcher]) -> bool:
    names = names_of(alert)
    return all(matcher.matches(names) for matcher in matchers)
