"""The record of reloads, as the store keeps it for all processes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.engine import reloads
from service_event_checker.engine.reloads import Applied, NotApplied, Record
from tests.factories import NOW
from tests.stores.memory import MemoryStore

APPLIED = Applied(revision="r1", checksum="c1", at=NOW)
FAILED = NotApplied(at=NOW, file="config.json", problems=("rules: is not a list",))
TIMES = st.datetimes(timezones=st.just(NOW.tzinfo))


@given(
    st.none() | st.builds(Applied, revision=st.text(), checksum=st.text(), at=TIMES),
    st.none() | st.builds(NotApplied, at=TIMES, file=st.text(), problems=st.lists(st.text()).map(tuple)),
)
def test_a_record_is_read_as_it_was_written(applied: Applied | None, failed: NotApplied | None) -> None:
    record = Record(applied=applied, failed=failed)

    assert reloads.from_text(reloads.to_text(record)) == record


@given(st.text() | st.sampled_from(["[]", "1", '{"applied": 1}', '{"applied": {"at": "x"}}', '{"failed": {}}']))
def test_what_another_version_wrote_is_no_record_and_no_error(text: str) -> None:
    assert isinstance(reloads.from_text(text), Record)


def test_a_failure_leaves_what_was_applied_and_a_success_clears_it() -> None:
    store = MemoryStore()
    reloads.write(store, Record(applied=APPLIED))

    reloads.write(store, Record(failed=FAILED))
    assert reloads.read(store) == Record(applied=APPLIED, failed=FAILED)

    later = replace(APPLIED, revision="r2", at=NOW + timedelta(seconds=1))
    reloads.write(store, Record(applied=later))
    assert reloads.read(store) == Record(applied=later)


def test_late_news_do_not_replace_newer_ones() -> None:
    store = MemoryStore()
    reloads.write(store, Record(applied=APPLIED))

    reloads.write(store, Record(applied=replace(APPLIED, revision="r0", at=NOW - timedelta(1))), only_newer=True)

    assert reloads.read(store).applied == APPLIED


@pytest.mark.parametrize(("seconds", "shown"), [(-1, True), (1, False)])
def test_a_failure_is_shown_until_a_process_has_read_its_configuration_again(seconds: int, shown: bool) -> None:
    found = reloads.failed_since(Record(failed=FAILED), NOW + timedelta(seconds=seconds))

    assert (found is not None) is shown


def test_a_long_list_of_problems_is_cut_to_what_a_row_holds() -> None:
    record = reloads.refused("config.json", ["\U0001f525" * 10_000] * 1000, NOW)

    assert len(reloads.to_text(record)) < 32_000  # a row of Azure Tables
