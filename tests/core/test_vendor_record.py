"""A vendor's record of a known history, against the numbers that were worked out by hand."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.model import Alert
from service_event_checker.core.vendor_record import record
from service_event_checker.core.verdict import Answer, Verdict
from service_event_checker.core.vocabulary import Affects, Kind, ResolvedBy, Status
from tests.factories import NOW, alert

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SINCE = NOW - 30 * DAY  # NOW is 03:00 UTC


def outage(name: str, began: timedelta, lasted: timedelta | None, posted: timedelta | None, **changes: object) -> Alert:
    """An outage that began so long before NOW; `posted` so long after that."""
    start = NOW - began
    ended = {} if lasted is None else {"status": Status.RESOLVED, "ended_at": start + lasted}
    post = start + posted if posted is not None else None
    return alert(
        fingerprint=name, internal_id=name, title=name, started_at=start, posted_at=post, **{**ended, **changes}
    )


def symptom(name: str, began: timedelta, *explained_by: str) -> Alert:
    verdict = Verdict(answer=Answer.VENDOR, score=0.9, at=NOW, explained_by=explained_by)
    return alert(source="alertmanager", fingerprint=name, kind=Kind.ALERT, started_at=NOW - began, verdict=verdict)


HISTORY = (
    # 10 d ago 03:00 to 05:00, posted after 20 min; our first alert 15 min before the post, a second one later
    outage("G-1", 10 * DAY, 2 * HOUR, 20 * MINUTE),
    symptom("a", 10 * DAY - 5 * MINUTE, "G-1"),
    symptom("b", 10 * DAY - 30 * MINUTE, "G-1"),
    # the same day 04:00 to 06:00, which overlaps by an hour; posted at once, nobody here noticed
    outage("G-2", 10 * DAY - HOUR, 2 * HOUR, timedelta(0)),
    # 5 d ago 23:00 to 01:00 of the next day, posted 40 min late, 10 min before our alert
    outage("G-3", 5 * DAY + 4 * HOUR, 2 * HOUR, 40 * MINUTE),
    symptom("c", 5 * DAY + 4 * HOUR - 50 * MINUTE, "G-3"),
    # began 31 d ago, over an hour after the window began; nothing is known of its post
    outage("G-4", 31 * DAY, DAY + HOUR, None),
    # open for 30 minutes
    outage("G-5", 30 * MINUTE, None, 10 * MINUTE),
)
NOT_COUNTED = (
    outage("G-6", 40 * DAY, HOUR, HOUR),  # before the window
    outage("G-7", 8 * DAY, HOUR, HOUR, kind=Kind.MAINTENANCE),
    outage("G-8", 8 * DAY, HOUR, HOUR, test=True),
    outage("G-9", 8 * DAY, HOUR, HOUR, affects_us=Affects.NO),
    outage("G-10", 8 * DAY, HOUR, HOUR, resolved_by=ResolvedBy.RETRACTED),
    outage("S-1", 8 * DAY, HOUR, HOUR, source="slack"),
    alert(source="alertmanager", fingerprint="none", kind=Kind.ALERT),
)


def test_the_record_of_a_known_history_is_what_was_worked_out_by_hand() -> None:
    found = record("github", (*HISTORY, *NOT_COUNTED), SINCE, NOW)

    assert [each.id for each in found.outages] == ["G-4", "G-1", "G-2", "G-3", "G-5"]
    assert found.lost == 3 * HOUR + 2 * HOUR + HOUR + 30 * MINUTE  # 03-06, 23-01, the end of G-4, G-5
    assert found.days == 5  # 10 d ago; 6 d and 5 d ago; 30 d ago; today
    assert found.lags == (15 * MINUTE, 40 * MINUTE)  # 20, 0, 40, 10
    assert found.symptom_lags == (timedelta(minutes=2.5), 15 * MINUTE)  # 15 late, 10 before
    assert (found.explained, found.without_impact, found.retracted) == (3, 3, 1)


def test_a_vendor_without_outages_has_lost_nothing() -> None:
    found = record("zoom", HISTORY, SINCE, NOW, complete=False)

    assert (found.outages, found.lost, found.days, found.lags, found.complete) == (
        (),
        timedelta(0),
        0,
        (None, None),
        False,
    )


def test_a_post_before_its_own_start_is_not_early_and_an_end_before_it_costs_nothing() -> None:
    odd = outage("G-1", HOUR, -HOUR, -HOUR)

    found = record("github", [odd], SINCE, NOW)

    assert (found.lags, found.lost) == ((timedelta(0), timedelta(0)), timedelta(0))


SPANS = st.lists(st.tuples(st.integers(0, 60 * 24 * 40), st.integers(0, 600)), max_size=8)


@given(SPANS)
def test_the_time_lost_is_that_of_each_minute_once(spans: list[tuple[int, int]]) -> None:
    outages = [outage(f"G-{n}", begun * MINUTE, lasted * MINUTE, None) for n, (begun, lasted) in enumerate(spans)]

    found = record("github", outages, SINCE, NOW)

    minutes = {minute for begun, lasted in spans for minute in range(-begun, -begun + lasted)}
    assert found.lost == MINUTE * len([minute for minute in minutes if -60 * 24 * 30 <= minute < 0])
