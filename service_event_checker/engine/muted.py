"""Keeps the newest mute of each open alert, beside the alerts: it changes none of them and tells nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter

from service_event_checker.core.model import Alert, HeldItem
from service_event_checker.core.muted import Mute, is_muted, newer
from service_event_checker.core.roles import HoldingArea, Store
from service_event_checker.render.names import platform_name
from service_event_checker.render.text import line, moment

AREA = "muted"
WORDS_MAX = 500  # characters
LOOKED_AT = 1000  # alerts, the latest muted
_MUTE = TypeAdapter(Mute)


def note(store: Store, mutes: Iterable[Mute]) -> int:
    """Keep what is news of alerts that are open here, and return of how many. Repeatable. Raises StoreError."""
    newest: dict[str, Mute] = {}
    for mute in mutes:
        if newer(newest.get(mute.key), mute):
            newest[mute.key] = mute
    alerts = store.get(newest)
    told = [mute for key, mute in newest.items() if (alert := alerts.get(key)) and alert.open]
    return _keep(store.holding, [mute for mute in told if newer(_known(store.holding, mute.key), mute)])


def end(store: Store, silence: str, until: datetime, at: datetime) -> int:
    """Take the new end of a silence, told at `at`, for all alerts that it mutes. Repeatable. Raises StoreError."""
    known = [_loaded(held) for held in store.holding.list(AREA, limit=LOOKED_AT)]
    ended = [replace(mute, until=until, at=at) for mute in known if mute.silence == silence and mute.until != until]
    return _keep(store.holding, [mute for mute in ended if newer(_known(store.holding, mute.key), mute)])


def muted(holding: HoldingArea, key: str, now: datetime) -> Mute | None:
    """Return why an alert is muted now; None if it is not, as far as we know. Raises StoreError."""
    known = _known(holding, key)
    return known if known and is_muted(known, now) else None


def words(alert: Alert, holding: HoldingArea, now: datetime) -> str:
    """Return what is said of an open alert that its own system tells nobody of, "" where it does. Raises StoreError."""
    if not alert.open or alert.muted:
        return alert.muted if alert.open else ""
    mute = muted(holding, alert.key, now)
    if mute is None:
        return ""
    until = f", until {moment(mute.until)}" if mute.until else ""
    return line(f"muted in {platform_name(alert.source)} by {mute.by}{until}", WORDS_MAX)


def _keep(holding: HoldingArea, mutes: list[Mute]) -> int:
    if mutes:
        holding.put(_item(each) for each in mutes)
    return len(mutes)


def _known(holding: HoldingArea, key: str) -> Mute | None:
    return next((_loaded(held) for held in holding.list(AREA, source=key, limit=1)), None)


def _loaded(held: HeldItem) -> Mute:
    return _MUTE.validate_json(held.doc)


def _item(mute: Mute) -> HeldItem:
    return HeldItem(area=AREA, id=mute.key, source=mute.key, at=mute.at, doc=_MUTE.dump_json(mute).decode())
