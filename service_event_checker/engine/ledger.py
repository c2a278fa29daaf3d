"""Reads from the store who was told of an alert, and who was not; what it means is decided by `core.ledger`."""

from __future__ import annotations

from collections.abc import Iterable

from service_event_checker.core import storms
from service_event_checker.core.ledger import Entry, State, entries, with_groups
from service_event_checker.core.model import Alert, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.roles import Store


def ledger(store: Store, alert: Alert, receivers: Iterable[str], timeline: Iterable[Transition]) -> list[Entry]:
    """Return what became of each receiver of the alert's episode, or what its group was told. Raises StoreError.

    `receivers`: those that are configured. `timeline`: the alert's, as it was read.
    """
    own = _entries(store, alert, receivers, timeline)
    groups = store.get(filter(None, alert.groups.values())).values() if alert.groups else ()
    return with_groups(own, [(group, _entries(store, group, (), store.timeline(group.key))) for group in groups])


def _entries(store: Store, alert: Alert, receivers: Iterable[str], timeline: Iterable[Transition]) -> list[Entry]:
    found = entries(
        alert,
        steps=[*timeline, *store.outcomes(alert.key, alert.episode)],
        waiting=store.waiting_deliveries(key=alert.key),
        failed=store.failed_deliveries(key=alert.key),
        links=store.links([alert.key]).get(alert.key, []),
        receivers=receivers,
    )
    return _with_summaries(store, found)


def _with_summaries(store: Store, found: list[Entry]) -> list[Entry]:
    """Return the entries with the addresses of the summaries that cover them."""
    covered = {storms.key_of(one.receiver) for one in found if one.state is State.SUMMARISED}
    links = [link for each in store.links(covered).values() for link in each] if covered else []
    return [
        replace(one, url=storms.link_of(one.why, one.receiver, links)) if one.state is State.SUMMARISED else one
        for one in found
    ]
