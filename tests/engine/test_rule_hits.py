from __future__ import annotations

from datetime import datetime, timedelta

from service_event_checker.core.rules import Rule
from service_event_checker.engine.rule_hits import NEVER_FOR, RuleHits
from tests.factories import NOW
from tests.stores.memory import MemoryStore

USED, UNUSED = Rule("used", (), ("chat",)), Rule("unused " + "x" * 93, (), ("chat",))
DAY = timedelta(days=1)


def months_of_hits(store: MemoryStore, days: int) -> datetime:
    """Let processes come and go, of which each sees one hit a day; return when the last one wrote."""
    for day in range(days + 1):
        hits = RuleHits(store, [USED, UNUSED])
        hits.note([USED], NOW + day * DAY)
        hits.write(NOW + day * DAY)
    return NOW + days * DAY


def test_a_rule_that_matches_nothing_for_30_days_is_named_and_no_other() -> None:
    store = MemoryStore()

    now = months_of_hits(store, NEVER_FOR.days)

    hits = RuleHits(store, [USED, UNUSED])
    assert hits.unused(now - timedelta(seconds=1)) == []
    assert hits.unused(now) == [UNUSED.name]
    assert hits.last() == {"used": now, UNUSED.name: None}


def test_a_new_rule_has_its_own_30_days() -> None:
    store = MemoryStore()
    now = months_of_hits(store, NEVER_FOR.days)

    hits = RuleHits(store, [USED, Rule("new", (), ())])
    hits.write(now)

    assert hits.unused(now + NEVER_FOR - timedelta(seconds=1)) == []
    assert "new" in hits.unused(now + NEVER_FOR)


def test_many_hits_cost_one_write_an_hour() -> None:
    store = MemoryStore()
    hits = RuleHits(store, [USED])
    for minute in range(60):
        hits.note([USED], NOW + timedelta(minutes=minute))
        hits.write(NOW + timedelta(minutes=minute))
    assert hits.last()["used"] == NOW

    hits.note([USED], NOW + timedelta(minutes=60))
    hits.write(NOW + timedelta(minutes=60))

    assert hits.last()["used"] == NOW + timedelta(minutes=60)
