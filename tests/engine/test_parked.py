"""What is told of objects that nobody knows yet: it waits, but a flood of it is no burden."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from service_event_checker.core.clean import TEXT_MAX
from service_event_checker.core.model import Event
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family
from service_event_checker.engine import pending_events
from service_event_checker.engine.pending_events import AREA, park, waiting
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NOW, event, receiver

BOOK = Rulebook(receivers={"pager": receiver("pager", Family.PAGER)})


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    made = SqlStore(f"sqlite:///{tmp_path}/store.db")
    made.prepare()
    return made


def noted(number: int = 1, note: str = "on it") -> Event:
    told = event(status=EventStatus.NOTED, ref=("pager", f"P{number}"), via="pager", note=note)
    return replace(told, source="", fingerprint="")


def test_an_endless_note_waits_with_its_beginning_only(store: SqlStore) -> None:
    park(store.holding, [noted(note="x" * 1_000_000)], NOW)

    ((kept, told),) = waiting(store.holding, store, BOOK, NOW)
    assert len(kept.doc) < 2 * TEXT_MAX
    assert told.note == "x" * (TEXT_MAX - 1) + "…"
    assert (told.source, told.fingerprint, told.ref) == ("", "", ("pager", "P1"))


def test_a_flood_leaves_the_newest_only(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_events, "ASKED_AT_ONCE", 5)
    for number in range(12):
        park(store.holding, [noted(number)], NOW + timedelta(seconds=number))

    waiting(store.holding, store, BOOK, NOW + timedelta(seconds=12))

    assert len(store.holding.list(AREA)) == 5
