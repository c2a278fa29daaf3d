"""What is said of planned work: by a clock, in a text that stays, and at its end."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.render.notice import notice
from service_event_checker.render.plan import outlook, span
from tests.factories import NOW, alert

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def work(start: timedelta = 3 * HOUR, end: timedelta | None = 5 * HOUR, **changes: object) -> Alert:
    begins = NOW + start
    plan = {"started_at": begins, "starts_at": begins, "ends_at": NOW + end if end is not None else None}
    return alert(kind=Kind.MAINTENANCE, severity=Severity.INFO, **plan | changes)


def over(ended_at: datetime) -> Alert:
    return work(status=Status.RESOLVED, resolved_by=ResolvedBy.SOURCE, ended_at=ended_at)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (3 * HOUR, 5 * HOUR, "Planned 06:00 to 08:00 UTC, in 3 h"),
        (30 * HOUR, 32 * HOUR, "Planned 2026-11-21 09:00 to 11:00 UTC, in 1 d 6 h"),
        (3 * HOUR, 5 * DAY, "Planned 06:00 to 2026-11-25 03:00 UTC, in 3 h"),
        (3 * HOUR, None, "Planned 06:00 UTC, in 3 h"),
        (-HOUR, 2 * HOUR, "In progress until 05:00 UTC"),
        (-HOUR, None, "In progress since 02:00 UTC"),
        (-2 * HOUR, -HOUR, "In progress, 1 h longer than planned (until 02:00 UTC)"),
    ],
)
def test_the_outlook_says_what_is_next(start: timedelta, end: timedelta | None, said: str) -> None:
    assert outlook(NOW + start, NOW + end if end is not None else None, NOW) == said


def test_work_without_a_start_is_in_progress() -> None:
    assert outlook(None, None, NOW) == "In progress"
    assert outlook(None, NOW + HOUR, NOW) == "In progress until 04:00 UTC"


@given(st.timedeltas(min_value=-40 * DAY, max_value=40 * DAY), st.none() | st.timedeltas(HOUR, 40 * DAY))
def test_planned_work_never_fires_and_nothing_takes_0_s(start: timedelta, length: timedelta | None) -> None:
    told = notice(work(start, start + length if length else None), Verb.OPEN, NOW)

    for text in (told.state, told.headline, *(value for _, value in told.fields)):
        assert "Firing" not in text
        assert not text.endswith(" 0 s")


def test_a_message_of_planned_work_tells_start_and_end_and_stays_true() -> None:
    told = notice(work(), Verb.OPEN, NOW)

    assert told.headline == "Maintenance · GitHub: Disruption with some GitHub services"
    assert told.state == "Planned 2026-11-20 06:00 to 08:00 UTC"
    fields = dict(told.fields)
    assert (fields["Status"], fields["Planned"]) == ("Planned", "2026-11-20 06:00 to 08:00 UTC")
    assert "Since" not in fields
    assert told == notice(work(), Verb.OPEN, NOW + 4 * HOUR)


def test_a_message_of_work_that_has_begun_tells_until_when() -> None:
    told = notice(work(-HOUR, HOUR), Verb.UPDATE, NOW)

    assert (told.state, dict(told.fields)["Status"]) == ("In progress until 2026-11-20 04:00 UTC", "In progress")


def test_acknowledged_work_names_who_took_it() -> None:
    told = notice(work(status=Status.ACKNOWLEDGED, owner="ada"), Verb.ACK, NOW, actor="ada")

    assert told.headline.startswith("Maintenance, acknowledged · ")
    assert told.state == "Planned 2026-11-20 06:00 to 08:00 UTC, acknowledged by ada"


def test_the_end_of_planned_work_tells_how_long_it_took() -> None:
    told = notice(over(NOW + 4 * HOUR), Verb.CLOSE, NOW + 4 * HOUR)

    assert told.headline.startswith("Maintenance over · ")
    assert told.state == "Over after 1 h"
    assert told.change == "Over after 1 h, at 2026-11-20 07:00 UTC: reported by the source"
    assert dict(told.fields)["Ended"] == "2026-11-20 07:00 UTC (after 1 h)"


def test_work_that_was_called_off_did_not_take_0_s() -> None:
    told = notice(over(NOW), Verb.CLOSE, NOW)

    assert told.state == "Over before its planned start"
    assert dict(told.fields)["Ended"] == "2026-11-20 03:00 UTC (before its planned start)"


def test_a_span_names_the_day_of_its_end_where_it_is_not_the_next() -> None:
    assert span(NOW, NOW + 25 * HOUR) == "2026-11-20 03:00 to 2026-11-21 04:00 UTC"
