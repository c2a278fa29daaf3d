"""What every chat robot promises, by what its double took. Each brings a `<kind>/robot_case.py`."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.ports import Findable
from service_event_checker.core.vocabulary import Family, Kind, ResolvedBy, Status, Verb
from tests.destinations.robots.cases import RobotCase, all_cases
from tests.doubles.base import Fault
from tests.factories import NOW, alert, delivery

HOSTILE = (
    "<!channel> @here @all <@U123> <at id=all></at> <https://evil.example|click> [x](https://evil.example) "
    '<a href="https://evil.example">x</a> **b** `c` ~d~ & &amp; \\ | \u202e \x00\n# head\n> quote\n- [y](https://evil.example)'
)
AMBIGUOUS = [Fault.RESET_AFTER, Fault.ERROR_AFTER, Fault.GARBAGE_AFTER, Fault.HANG_AFTER]
ALL = all_cases()


@pytest.fixture(params=ALL, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> RobotCase:
    return request.param


@pytest.fixture
def double(case: RobotCase) -> Iterator[Any]:
    with case.double() as running:
        yield running
        assert running.refused == []


@pytest.fixture
def robot(case: RobotCase, double: Any) -> Any:
    return case.adapter(double)


def tell(robot: Any, alert: Alert, verb: Verb = Verb.OPEN, link: Link | None = None, **changes: Any) -> Link | None:
    told: Link | None = robot.deliver(delivery(alert, verb, "robot", **changes), alert, link)
    return told


def failure(robot: Any, alert: Alert, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        tell(robot, alert, **changes)
    return raised.value


def over(alert: Alert) -> Alert:
    changes = {"ended_at": NOW + timedelta(minutes=42), "resolved_by": ResolvedBy.SOURCE, "revision": 2}
    return replace(alert, status=Status.RESOLVED, **changes)


def test_it_is_a_chat_that_cannot_be_searched(robot):
    assert robot.family is Family.CHAT
    assert not isinstance(robot, Findable)
    assert robot.verbs == set(Verb) - {Verb.RUN}


def test_without_updates_it_is_told_what_people_do_and_the_end(case, double):
    assert case.adapter(double, updates=False).verbs == set(Verb) - {Verb.RUN, Verb.UPDATE}


def test_an_opening_says_what_where_and_the_link(case, double, robot):
    about = alert(kind=Kind.ALERT, title="DiskFull", labels={"instance": "db-1:9100"}, links={"redmine": "https://r/7"})

    tell(robot, about)

    (text,) = case.texts(double)
    for said in ("DiskFull · db-1:9100", about.internal_id, about.description):
        assert said in text
    assert case.links(text) == [about.url, "https://r/7"]


def test_each_change_is_told_and_the_end_once(case, double, robot):
    link = tell(robot, alert())
    tell(robot, alert(revision=2), Verb.NOTE, link, actor="Ada", note="looking into it")
    tell(robot, over(alert()), Verb.CLOSE, link)

    texts = case.texts(double)
    assert len(texts) == (2 if case.edits else 3)
    assert "Resolved after 42 min, at 2026-11-20 03:42 UTC: reported by the source" in texts[-1]
    assert case.edits or "Note from Ada: looking into it" in texts[1]


def test_an_opening_that_comes_when_it_is_over_tells_the_end(case, double, robot):
    tell(robot, over(alert()))

    assert "Resolved after 42 min" in case.texts(double)[0]


def test_a_test_alert_carries_the_word(case, double, robot):
    tell(robot, alert(test=True))

    assert "TEST" in case.texts(double)[0]


def test_what_a_sender_wrote_is_text_and_nothing_else(case, double, robot):
    changes = {"title": HOSTILE, "description": HOSTILE, "owner": HOSTILE, "labels": {"component": HOSTILE}}
    about = alert(**changes)

    link = tell(robot, about)
    tell(robot, about, Verb.NOTE, link, actor=HOSTILE, note=HOSTILE)

    for text in case.texts(double):
        assert case.links(text) == [about.url]
        assert case.mentions(text) == []


def test_a_refusal_with_a_good_status_is_a_failed_delivery(case, double, robot):
    double.answers.append(case.refusal)

    error = failure(robot, alert())

    assert (error.reason, error.permanent) == (Reason.REFUSED, True)


def test_a_robot_that_others_use_up_is_waited_for_as_long_as_its_system_wants(case, double, robot):
    double.others_send(double.per_minute)

    error = failure(robot, alert())

    assert (error.reason, error.permanent, error.retry_after) == (Reason.RATE_LIMITED, False, case.pause)
    assert failure_of_pause(robot).retry_after == pytest.approx(case.pause, abs=5)


def failure_of_pause(robot: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        robot.raise_if_paused()
    return raised.value


def test_it_keeps_within_the_limit_by_itself(case, double, robot):
    sent = 0
    error = None
    while error is None and sent <= double.per_minute:
        try:
            tell(robot, alert(fingerprint=f"number {sent}"))
            sent += 1
        except DeliveryError as raised:
            error = raised

    assert error is not None
    assert (error.reason, double.breaches) == (Reason.RATE_LIMITED, 0)
    assert 50 < (error.retry_after or 0) <= 60


@pytest.mark.parametrize("fault", AMBIGUOUS)
def test_a_doubtful_result_is_told_as_such(case, double, fault):
    double.script.append(fault)

    error = failure(case.adapter(double, timeout=0.5), alert())

    assert error.reason.ambiguous
    assert not error.permanent


def test_a_wrong_address_waits_for_a_person_and_says_what_to_check(case, double, robot):
    case.wrong(double)

    error = failure(robot, alert())

    assert error.reason in (Reason.UNAUTHORIZED, Reason.FORBIDDEN, Reason.NOT_FOUND)
    assert not error.permanent
    assert "check " in str(error)


@pytest.mark.parametrize("fault", [*AMBIGUOUS, Fault.ERROR, Fault.RATE_LIMIT, Fault.HTML, None])
def test_no_error_holds_the_secret_address(case, double, fault):
    case.wrong(double)
    double.script.append(fault)

    error = failure(case.adapter(double, timeout=0.5), alert())

    said = "".join([repr(error), *traceback.format_exception(error)])
    assert case.secret not in said
    assert "4711" not in said


def test_nobody_there_proves_that_nothing_was_sent(double, robot):
    double.stop()

    assert failure(robot, alert()).reason is Reason.UNREACHABLE


def test_endless_text_is_cut_to_what_is_taken(case, double, robot):
    labels = {f"label-{number}": "&" * 2000 for number in range(100)}
    endless = "&<é中🔥*\n word" * 5_000
    tell(robot, alert(title=endless, description=endless, url=f"https://x.example/{'é' * 1900}", labels=labels))

    assert len(case.texts(double)) == case.full_parts


def test_a_message_of_several_parts_goes_on_with_the_one_that_failed(case, double, robot):
    if case.full_parts < 2:
        pytest.skip("it has one part")
    long = alert(description="中文字 " * 4_000)
    double.script += [None, Fault.ERROR]

    error = failure(robot, long)
    link = tell(robot, long, attempts=1)

    assert error.reason is Reason.SERVER_ERROR
    assert link is not None
    assert len(case.texts(double)) == case.full_parts
    assert sum(f"(1/{case.full_parts})" in text for text in case.texts(double)) == 1


def test_nothing_at_all_is_still_told(case, double, robot):
    tell(robot, alert(title="", description="", url="", labels={}))

    assert "(no title)" in case.texts(double)[0]


def test_a_dry_run_says_in_one_line_what_would_be_sent_and_sends_nothing(double, robot):
    said = robot.dry_run(delivery(alert()), alert(test=True))

    assert "[TEST] Error · " in said
    assert "\n" not in said
    assert double.requests == []
