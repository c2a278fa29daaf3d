"""Where runs are kept: requests and facts as items of the store's holding area, the starts of an action in a slot.

An item is added once, and whoever comes second is told so: that decides between a start and a refusal, and between two
workers. A slot is changed by compare-and-set: that keeps the budget. docs/adr/0017 says why there is no table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from service_event_checker.core.actions import (
    Exceeded,
    Fact,
    Mark,
    Policy,
    Request,
    Run,
    Started,
    State,
    reserve,
    trimmed,
)
from service_event_checker.core.errors import StoreConflict
from service_event_checker.core.model import HeldItem, Slot
from service_event_checker.core.replacing import replace
from service_event_checker.core.roles import Store

RUNS, FACTS, OPEN = "action-runs", "action-facts", "action-open"
AREAS = (RUNS, FACTS, OPEN)
LISTED_MAX = 200
CONFLICTS_MAX = 50
_ORDER = {mark: place for place, mark in enumerate(Mark)}


class Records:
    """The runs of a store. Each method raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, request: Request) -> None:
        """Keep a request; a repetition changes nothing. It is open from now on."""
        doc = _dump(asdict(request))
        self._store.holding.add(HeldItem(area=RUNS, id=request.id, source=request.key, at=request.at, doc=doc))
        self._store.holding.put([HeldItem(area=OPEN, id=request.id, source=request.id, at=request.at, doc=doc)])

    def open(self) -> list[Run]:
        """Return the runs that something is still to be done for, the oldest first."""
        items = self._store.holding.list(OPEN, limit=LISTED_MAX)
        return [self._with_facts(_request(item)) for item in reversed(items)]

    def open_ids(self) -> list[str]:
        return [item.id for item in reversed(self._store.holding.list(OPEN, limit=LISTED_MAX))]

    def close(self, run: str) -> None:
        """Say that nothing is to be done for a run any more; what is known of it stays."""
        self._store.holding.remove(OPEN, run)

    def find(self, id: str) -> Run | None:
        """Return a run; None for one that is not known."""
        for area in (OPEN, RUNS):
            for item in self._store.holding.list(area, source=id if area == OPEN else "", limit=LISTED_MAX):
                if item.id == id:
                    return self._with_facts(_request(item))
        return None

    def of_alert(self, key: str, limit: int = 20) -> list[Run]:
        """Return the latest runs of an alert, the newest first."""
        return [self._with_facts(_request(item)) for item in self._store.holding.list(RUNS, source=key, limit=limit)]

    def record(self, run: str, fact: Fact) -> bool:
        """Record a fact; False where another one is in its place: there is one of each mark, or of each approver."""
        place = f"{fact.mark}:{_short(fact.who)}" if fact.mark is Mark.APPROVED else fact.mark.value
        item = HeldItem(area=FACTS, id=f"{run}:{place}", source=run, at=fact.at, doc=_dump(asdict(fact)))
        return self._store.holding.add(item)

    def reserve(self, policy: Policy, request: Request, now: datetime) -> Exceeded | None:
        """Take a place in the action's budget and its subject, or say why there is none; repeatable."""
        for _ in range(CONFLICTS_MAX):
            slot = self._slot(policy.name, now)
            ledger = reserve(_ledger(slot), policy, request, now)
            if isinstance(ledger, Exceeded):
                return ledger
            if self._store.put_slot(_with(slot, ledger)):
                return None
        raise StoreConflict(f"the ledger of {policy.name} was changed by others {CONFLICTS_MAX} times in a row")

    def exceeded(self, policy: Policy, request: Request, now: datetime) -> Exceeded | None:
        """Return why a run could not start now; changes nothing."""
        found = reserve(_ledger(self._slot(policy.name, now)), policy, request, now)
        return found if isinstance(found, Exceeded) else None

    def free(self, policy: Policy, run: str, now: datetime) -> None:
        """Say that a start is over, so that its subject is free; its place in the budget stays taken."""
        for _ in range(CONFLICTS_MAX):
            slot = self._slot(policy.name, now)
            kept = trimmed(_ledger(slot), policy, now)
            ledger = tuple(replace(each, over=True) if each.run == run else each for each in kept)
            if self._store.put_slot(_with(slot, ledger)):
                return

    def prune(self, now: datetime, kept_for: timedelta) -> None:
        """Delete what is older than this."""
        for area in AREAS:
            self._store.holding.prune(area, before=now - kept_for, per_source=1000)

    def _with_facts(self, request: Request) -> Run:
        items = self._store.holding.list(FACTS, source=request.id, limit=LISTED_MAX)
        facts = sorted((_fact(item) for item in items), key=lambda fact: (fact.at, _ORDER[fact.mark]))
        return Run(request=request, facts=tuple(facts))

    def _slot(self, action: str, now: datetime) -> Slot:
        name = f"action:{action}"  # no checker's name has a colon
        return self._store.slots().get(name) or Slot(name=name, due_at=now)


def _ledger(slot: Slot) -> tuple[Started, ...]:
    """Read the starts of an action, which its slot holds as texts by run."""
    return tuple(Started(run=run, **_times(json.loads(text))) for run, text in slot.merged.items())


def _with(slot: Slot, ledger: tuple[Started, ...]) -> Slot:
    texts = {}
    for each in ledger:
        doc = asdict(each)
        del doc["run"]
        texts[each.run] = _dump(doc)
    return replace(slot, merged=texts)


def _request(item: HeldItem) -> Request:
    return Request(**_times(json.loads(item.doc)))


def _fact(item: HeldItem) -> Fact:
    doc = _times(json.loads(item.doc))
    return Fact(**doc | {"mark": Mark(doc["mark"]), "state": State(doc["state"])})


def _times(doc: Mapping[str, Any]) -> dict[str, Any]:
    names = {name for name in ("at", "until", "expires_at") if doc.get(name)}
    return {name: datetime.fromisoformat(value) if name in names else value for name, value in doc.items()}


def _dump(doc: Mapping[str, Any]) -> str:
    return json.dumps(doc, default=datetime.isoformat, ensure_ascii=False)


def _short(text: str) -> str:
    return hashlib.sha256(text.casefold().encode()).hexdigest()[:20]
