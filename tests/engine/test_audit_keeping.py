"""What is done for the audit by itself: the daily anchor, and the end of what is old."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from service_event_checker.core.audit import Anchor, Flaw
from service_event_checker.engine import audit_keeping
from service_event_checker.engine.audit_keeping import ANCHOR_SETTING, keep, kept_anchor, verified
from tests.factories import NOW
from tests.stores.memory import MemoryStore

DAY = timedelta(days=1)
LONG_AGO = NOW - 400 * DAY


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def append(store: MemoryStore, *ages: int) -> None:
    """Append a row for each age in days."""
    for age in ages:
        store.audit.append("ann", {"age": age}, NOW - age * DAY)


def anchors(store: MemoryStore, before: datetime, now: datetime) -> list[int]:
    """Keep the audit; return the anchors that were logged."""
    with capture_logs() as logged:
        keep(store, before, now)
    return [line["number"] for line in logged if line["event"] == "audit_anchor"]


def numbers(store: MemoryStore) -> list[int]:
    return [row.number for row in audit_keeping.rows(store.audit)]


def test_the_head_is_logged_and_kept_once_a_day(store: MemoryStore) -> None:
    append(store, 3, 2)

    seen = [anchors(store, LONG_AGO, NOW), anchors(store, LONG_AGO, NOW + DAY / 2)]
    append(store, 0)
    seen.append(anchors(store, LONG_AGO, NOW + DAY))

    assert seen == [[2], [], [3]]
    kept = kept_anchor(store)
    assert kept
    assert (kept.anchor, kept.at) == (store.audit.head(), NOW + DAY)


def test_an_audit_without_rows_has_no_anchor(store: MemoryStore) -> None:
    assert anchors(store, LONG_AGO, NOW) == []
    assert kept_anchor(store) is None
    assert verified(store).broken == ()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"number": 1}', '{"number": "x", "hash": "", "at": ""}'])
def test_an_anchor_that_cannot_be_read_is_taken_anew(store: MemoryStore, text: str) -> None:
    append(store, 1)
    store.set_setting(ANCHOR_SETTING, text)

    assert anchors(store, LONG_AGO, NOW) == [1]


def test_what_is_old_is_removed_behind_a_checkpoint(store: MemoryStore) -> None:
    append(store, 500, 450, 399, 410, 1)

    assert anchors(store, LONG_AGO, NOW) == [6]

    assert numbers(store) == [3, 4, 5, 6]  # row 4 is older than row 3, and stays as long
    assert verified(store).broken == ()


def test_rows_within_retention_are_not_removed(store: MemoryStore) -> None:
    append(store, 399, 1)

    anchors(store, LONG_AGO, NOW)

    assert numbers(store) == [1, 2]


def test_an_audit_of_which_all_is_old_keeps_the_checkpoint(store: MemoryStore) -> None:
    append(store, 500, 450)

    anchors(store, LONG_AGO, NOW)
    later = anchors(store, NOW + DAY, NOW + 401 * DAY)

    assert (numbers(store), later) == ([4], [4])
    assert verified(store).broken == ()


def test_a_cut_between_the_checkpoint_and_the_end_verifies_and_is_caught_up(store: MemoryStore) -> None:
    append(store, 500, 450, 1)

    class Cut(Exception):
        pass

    def cut(through: int) -> None:
        raise Cut

    drop = store.audit.drop
    store.audit.drop = cut  # type: ignore[method-assign]
    with pytest.raises(Cut):
        keep(store, LONG_AGO, NOW)
    store.audit.drop = drop  # type: ignore[method-assign]

    assert verified(store).broken == ()
    anchors(store, LONG_AGO, NOW)
    assert numbers(store) == [3, 4, 5]
    assert verified(store).broken == ()


def test_a_broken_audit_keeps_its_anchor_and_all_rows_and_is_logged(store: MemoryStore) -> None:
    append(store, 500, 450, 1)
    kept = {"number": 9, "hash": "f" * 64, "at": (NOW - 2 * DAY).isoformat()}
    store.set_setting(ANCHOR_SETTING, json.dumps(kept))

    with capture_logs() as logged:
        keep(store, LONG_AGO, NOW)

    assert [line["event"] for line in logged] == ["audit_broken"]
    assert numbers(store) == [1, 2, 3]
    assert store.setting(ANCHOR_SETTING) == json.dumps(kept)


def test_an_anchor_of_one_s_own_is_compared_too(store: MemoryStore) -> None:
    append(store, 2, 1)

    assert [each.flaw for each in verified(store, [Anchor(1, "f" * 64)]).broken] == [Flaw.REWRITTEN]
