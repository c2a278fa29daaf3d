"""Which of several words about a mute counts, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.muted import BELIEVED_FOR, Mute, is_muted, newer
from tests.factories import NOW
from tests.strategies import REPEATABLE

MINUTE = timedelta(minutes=1)
SILENCE = Mute("k", by="silence of ada: deploy", at=NOW, until=NOW + 5 * MINUTE, silence="s-1")
INHIBITION = Mute("k", by="inhibition", at=NOW)
minutes = st.integers(0, 9).map(lambda number: NOW + number * MINUTE)
silences = st.sampled_from(("", "s"))
mutes = st.builds(Mute, st.just("k"), st.sampled_from("ab"), minutes, until=st.none() | minutes, silence=silences)


def test_a_silence_is_believed_until_it_ends() -> None:
    assert is_muted(SILENCE, NOW + 5 * MINUTE - timedelta(seconds=1))
    assert not is_muted(SILENCE, NOW + 5 * MINUTE)


def test_an_inhibition_is_believed_for_an_hour_after_it_was_told_last() -> None:
    assert is_muted(INHIBITION, NOW + BELIEVED_FOR - timedelta(seconds=1))
    assert not is_muted(INHIBITION, NOW + BELIEVED_FOR)


def test_what_is_told_of_an_unknown_alert_is_news() -> None:
    assert newer(None, INHIBITION)


def test_a_repetition_is_news_only_where_no_end_is_known() -> None:
    assert not newer(SILENCE, replace(SILENCE, at=NOW + MINUTE))
    assert newer(INHIBITION, replace(INHIBITION, at=NOW + MINUTE))
    assert newer(SILENCE, replace(SILENCE, at=NOW + MINUTE, until=NOW + MINUTE))


@given(mutes)
@REPEATABLE
def test_the_same_again_is_no_news(mute: Mute) -> None:
    assert not newer(mute, mute)


@given(st.lists(mutes, min_size=1, max_size=4, unique_by=lambda mute: mute.at))
@REPEATABLE
def test_in_whatever_order_they_come_the_same_is_believed(told: list[Mute]) -> None:
    assert len({_what(_folded(order)) for order in permutations(told)}) == 1


def _folded(told: tuple[Mute, ...]) -> Mute:
    known: Mute | None = None
    for mute in told:
        known = mute if newer(known, mute) else known
    assert known
    return known


def _what(mute: Mute) -> tuple[object, ...]:
    return (mute.by, mute.until, mute.silence, mute.at if mute.until is None else None)
