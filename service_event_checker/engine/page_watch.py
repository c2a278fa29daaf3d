"""Watches whether the page of a source is still the same one, at each poll; what follows from it, `core` decides.

A page that changed is unknown: nothing is opened or ended by it. People are told once, with the entry that reads the
new page where it was found (`./outage check NAME --adopt` writes it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from service_event_checker.config.models import CheckerConfig
from service_event_checker.core import page_changes
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.ids import alert_key
from service_event_checker.core.model import Alert, PageChange, PageFacts, Slot, Snapshot
from service_event_checker.core.page_changes import Bound, PageChanged
from service_event_checker.core.page_notice import SOURCE, page_notice
from service_event_checker.core.store import IdTaken
from service_event_checker.core.tracker import longer_id
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.selection import void_filters

ACCEPTED = "accepted"  # in place of a digest: a person says that the page is the right one
LOOK_EVERY = timedelta(days=1)
IDS_MAX = 4  # internal ids that are tried
_PLACE_KEYS = {"kind", "url", "preset", "mapping"}
_FILTER_KEYS = {"only", "except_"}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWatch:
    """What is to be known of a checker's entry. `place`, `filters`: digests of its address and of its filters.

    `wanted`: the component names of its filters, in lower case. `void`: given what a page lists, the filters that match
    nothing there. `find`: looks for the page by its address; returns the keys of an entry that read it, none where
    there is not exactly one answer.
    """

    place: str = ""
    filters: str = ""
    wanted: frozenset[str] = frozenset()
    void: Callable[[Mapping[str, frozenset[str]]], tuple[str, ...]] = lambda _listed: ()
    find: Callable[[], Mapping[str, str]] = dict
    only: Mapping[str, object] | None = None

    @property
    def entry(self) -> str:
        return f"{self.place}:{self.filters}"


def page_watch(config: CheckerConfig, find: Callable[[], Mapping[str, str]]) -> PageWatch:
    """Return what is to be known of an entry."""
    names = (*config.only.components, *config.except_.components)
    return PageWatch(
        place=_digest(config.model_dump_json(include=_PLACE_KEYS)),
        filters=_digest(config.model_dump_json(include=_FILTER_KEYS)),
        wanted=frozenset(name.strip().casefold() for name in names),
        void=lambda listed: void_filters(config.only, listed),
        find=find,
        only=config.only.model_dump(mode="json", exclude_unset=True) or None,
    )


def accept(
    seen: Snapshot, slot: Slot, page: PageWatch, alerts: Collection[Alert], now: datetime
) -> tuple[Snapshot, Slot]:
    """Return what the page shows under the fingerprints of its alerts, and the slot with what is to be remembered.

    `alerts`: the open ones, and those that a person ended while the page lists them. Raises PageChanged.
    """
    void = page.void(seen.listed)
    facts = _as_configured(slot.page, page, void)
    adopted = slot.page is not None and facts is None
    sign = page_changes.sign_of(seen, facts, void) if facts else None
    change = page_changes.changed(slot.change, sign, now) if sign else None
    if sign and not (sign.same_names and page_changes.is_confirmed(change)):
        raise PageChanged(slot.name, sign)
    moved = adopted or sign is not None
    bound = page_changes.bind(seen, alerts, Bound(slot.aliases, slot.lost), moved=moved)
    lost = [alert for alert in alerts if alert.fingerprint in bound.lost]
    shown = page_changes.inward(seen, bound)
    known = {alert.fingerprint for alert in alerts}
    doubtful = page_changes.unsure(shown, lost) - known
    shown = replace(
        shown,
        events=tuple(event for event in shown.events if event.fingerprint not in doubtful),
        warnings=(*shown.warnings, *_warnings(lost)),
    )
    remembered = page_changes.facts_of(seen, facts, entry=page.entry, wanted=page.wanted, void=void)
    first_good_at = now if moved else slot.first_good_at  # what was over before has new ids, and is no news
    return shown, replace(
        slot, page=remembered, change=change, aliases=bound.aliases, lost=bound.lost, first_good_at=first_good_at
    )


def failed(slot: Slot, error: SourceError, *, others_answer: bool, now: datetime) -> Slot:
    """Count a failed poll that shows a sign of a change. What could never be read did not change."""
    sign = page_changes.sign_of_error(error, others_answer=others_answer)
    if sign is None or slot.page is None:
        return slot
    return replace(slot, change=page_changes.changed(slot.change, sign, now))


def told(slot: Slot, page: PageWatch, pipeline: Pipeline, now: datetime, *, readable: bool = False) -> Slot:
    """Look for the new page, once a day, and tell people of a confirmed change, once. Raises StoreError.

    `readable`: the page has new ids, and is known again by its names.
    """
    change = slot.change
    if change is None or not page_changes.is_confirmed(change):
        return slot
    if not readable and not change.patch and _is_to_look(change, now):
        change = replace(change, looked_at=now, patch=_patch(change, page))
    if change.told_at is None:
        log.warning("page_changed", checker=slot.name, reason=change.what, patch=change.patch)
        _commit_notice(slot.name, change, f"{next_step(slot.name, change, readable=readable)}.", pipeline, now)
        change = replace(change, told_at=now)
    return replace(slot, change=change)


def error_of(slot: Slot, error: SourceError) -> SourceError:
    """Return the error as people see it: that the page changed, once that is confirmed."""
    if slot.change is None or not page_changes.is_confirmed(slot.change):
        return error
    detail = f"{slot.change.what}. {next_step(slot.name, slot.change)}"
    return SourceError(slot.name, Reason.PAGE_CHANGED, detail, retry_after=error.retry_after)


def next_step(name: str, change: PageChange, *, readable: bool = False) -> str:
    """Return what a person can do about a changed page."""
    if readable:
        return "They were matched by name, and the checker goes on"
    if change.patch:
        return f"Found: {change.patch}. To use it: ./outage check {name} --adopt"
    if change.readable:
        return f"Nothing is opened or resolved by it. If it is right as it is: ./outage check {name} --adopt"
    return f"Nothing is opened or resolved until it can be read. ./outage check {name} --adopt looks for it again"


def _is_to_look(change: PageChange, now: datetime) -> bool:
    return change.looked_at is None or now - change.looked_at >= LOOK_EVERY


def _as_configured(facts: PageFacts | None, page: PageWatch, void: tuple[str, ...]) -> PageFacts | None:
    """Return what is known of the page; None where the entry leads to another one. New filters begin anew."""
    if facts is None or facts.entry == page.entry:
        return facts
    if facts.entry.partition(":")[0] != page.place:
        return None
    return replace(facts, entry=page.entry, selected={}, void=void)


def _patch(change: PageChange, page: PageWatch) -> str:
    if change.renamed:
        return _renamed(change.renamed, page)
    found = page.find()
    return json.dumps(found) if found else ""


def _renamed(names: Mapping[str, str], page: PageWatch) -> str:
    """Return the filter `only` with the new names; "" where it does not have the old ones."""
    new = {old.casefold(): name for old, name in names.items()}
    components = (page.only or {}).get("components")
    if not isinstance(components, list) or not any(name.strip().casefold() in new for name in components):
        return ""
    after = [new.get(name.strip().casefold(), name) for name in components]
    return json.dumps({"only": {**(page.only or {}), "components": after}}, ensure_ascii=False)


def _commit_notice(name: str, change: PageChange, text: str, pipeline: Pipeline, now: datetime) -> None:
    key = alert_key(SOURCE, name)
    known = pipeline.store.get([key]).get(key)
    write = page_notice(known, name, change, text, pipeline.book, now)
    for _ in range(IDS_MAX):
        if write is None or not isinstance(pipeline.try_commit(write, now), IdTaken):
            return
        write = replace(write, alert=longer_id(write.alert))


def _warnings(lost: Collection[Alert]) -> tuple[str, ...]:
    return tuple(
        f"{alert.internal_id} is not on the page since it changed, and stays open: resolve it by hand when it is over"
        for alert in lost
        if alert.open
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
