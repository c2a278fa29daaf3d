"""What every destination that can be searched promises, by its double's truth. Each brings a `<kind>/case.py`."""

from __future__ import annotations

import base64
import html
import re
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from service_event_checker.core.errors import DeliveryError, InvalidInput, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.vocabulary import Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.engine import objects, plainer
from tests.destinations.cases import Case, all_cases
from tests.destinations.deliver import deliver, link_to
from tests.doubles.base import Answer, Fault
from tests.factories import NOW, alert, delivery
from tests.strategies import REPEATABLE, json_values

HOSTILE = (
    "<!channel> @here <@U123> <https://evil.example|click> <script>alert(1)</script> & \"{{ 7*7 }}\" <b onclick='x'>"
)

SIGNATURES = ("X-Hub-Signature", "X-Redmine-Signature-256", "X-PagerDuty-Signature", "X-Signature")


@pytest.fixture(params=all_cases(), ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


#: what keeps an object for each episode; all of these can be asked what they hold
OBJECTS = pytest.mark.parametrize(
    "case", [case for case in all_cases() if case.objects_kept], ids=lambda case: case.name, indirect=True
)

DISPLACED = pytest.mark.parametrize(
    "case", [case for case in all_cases() if case.displace], ids=lambda case: case.name, indirect=True
)
REFUSERS = [case for case in all_cases() if case.refuse_end]


@pytest.fixture
def double(case: Case, request: pytest.FixtureRequest) -> Iterator[Any]:
    given = [request.getfixturevalue(case.real)] if case.real else []
    with case.double(*given) as running:
        yield running


@pytest.fixture
def destination(case: Case, double: Any) -> Any:
    return case.adapter(double)


@pytest.fixture
def firing() -> Alert:
    return alert()


@pytest.fixture
def over(firing: Alert) -> Alert:
    changes = {"ended_at": NOW + timedelta(minutes=42), "resolved_by": ResolvedBy.SOURCE, "revision": 2}
    return replace(firing, status=Status.RESOLVED, **changes)


def pay(destination: Any, alert: Alert, verb: Verb, link: Link | None, **changes: Any) -> Link:
    """Deliver as the outbox does: a create is preceded by a search."""
    owed = delivery(alert, verb, receiver=destination.name, **changes)
    if verb is Verb.OPEN and link is None:
        found = destination.find(remote_key(alert.key, alert.episode))
        link = found and link_to(found, alert, destination.name)
    paid: Link = deliver(destination, owed, alert, link)
    return paid


def test_before_the_create_nothing_is_found(destination, firing):
    assert destination.find(remote_key(firing.key, firing.episode)) is None


def test_what_was_created_is_found_by_its_key(destination, firing):
    made = pay(destination, firing, Verb.OPEN, None)

    found = destination.find(remote_key(firing.key, firing.episode))

    assert (found.external_id, found.url) == (made.external_id, made.url)
    assert destination.find(remote_key(firing.key, 2)) is None


def test_an_open_that_is_repeated_makes_one_object(case, double, destination, firing):
    first = pay(destination, firing, Verb.OPEN, None)
    second = pay(destination, firing, Verb.OPEN, None, attempts=1)
    third = pay(destination, firing, Verb.OPEN, second, attempts=2)

    assert first.external_id == second.external_id == third.external_id
    assert case.objects(double) == 1
    assert "Opened again" not in case.shown(double)
    assert double.refused == []


def test_a_close_after_the_open_ends_the_object(case, double, destination, firing, over):
    link = pay(destination, firing, Verb.OPEN, None)

    pay(destination, over, Verb.CLOSE, link)

    assert (case.objects(double), case.ended(double), case.end_notes(double)) == (1, 1, 1)
    assert double.refused == []


def test_a_close_that_is_repeated_tells_the_end_once(case, double, destination, firing, over):
    link = pay(destination, firing, Verb.OPEN, None)
    for attempt in range(3):
        pay(destination, over, Verb.CLOSE, link, attempts=attempt)

    assert (case.ended(double), case.end_notes(double)) == (1, 1)


@OBJECTS
@pytest.mark.parametrize(("on_resolve", "notes"), [("comment", 1), ("none", 0)])
def test_the_end_does_what_is_configured(case, double, destination, firing, over, on_resolve, notes):
    link = pay(destination, firing, Verb.OPEN, None)
    closing = delivery(over, Verb.CLOSE, receiver=destination.name)

    links = [objects.deliver(destination, closing, over, link, on_resolve) for _ in range(2)]

    assert links == [link, link]
    assert (case.ended(double), case.end_notes(double)) == (0, notes)


@pytest.mark.parametrize("case", REFUSERS, ids=lambda case: case.name, indirect=True)
def test_where_the_end_is_refused_it_is_told_once_all_the_same_and_the_delivery_fails(
    case, double, destination, firing, over
):
    link = pay(destination, firing, Verb.OPEN, None)
    case.refuse_end(double)

    for attempt in range(2):  # a failed delivery that a person sends again
        with pytest.raises(DeliveryError) as raised:
            pay(destination, over, Verb.CLOSE, link, attempts=attempt)

    assert (raised.value.reason, raised.value.permanent) == (Reason.REFUSED, True)
    assert (case.ended(double), case.end_notes(double)) == (0, 1)
    assert double.refused == []


@OBJECTS
def test_a_close_ends_what_was_told_of_its_end_already_and_does_not_tell_it_again(
    case, double, destination, firing, over
):
    link = pay(destination, firing, Verb.OPEN, None)
    closing = delivery(over, Verb.CLOSE, receiver=destination.name)
    objects.deliver(destination, closing, over, link, "comment")

    objects.deliver(destination, closing, over, link, "close")

    assert (case.ended(double), case.end_notes(double)) == (1, 1)
    assert double.refused == []


@OBJECTS
def test_a_system_that_cannot_store_astral_characters_is_told_all_in_the_first_plainer_form(
    case, double, destination, firing, over
):
    fire = {
        "title": "🔥 Checkout",
        "description": "Customers wait 😢",
        "labels": {"team": "shop 😢"},
        "owner": "Ada 👍",
    }
    double.refuses_astral = True
    with pytest.raises(DeliveryError) as raised:
        pay(destination, replace(firing, **fire), Verb.OPEN, None)
    assert raised.value.reason is Reason.SERVER_ERROR

    owed, shown = plainer.plainer(delivery(firing, receiver=destination.name), replace(firing, **fire), 1)
    link = deliver(destination, owed, shown, None)
    for verb, state in ((Verb.NOTE, firing), (Verb.CLOSE, over)):
        changed = replace(state, **fire)
        noted = delivery(changed, verb, receiver=destination.name, note="on it 👍", actor="Ada 👍")
        deliver(destination, *plainer.plainer(noted, changed, 1), link)

    assert (case.objects(double), case.ended(double), case.end_notes(double)) == (1, 1, 1)
    assert plainer.FORMS[0] in case.shown(double)
    assert "on it" in case.shown(double)


@DISPLACED
def test_what_was_merged_or_marked_as_a_duplicate_there_is_over_and_not_fixed(case, double, destination, firing):
    link = pay(destination, firing, Verb.OPEN, None)
    plain = pay(destination, replace(firing, episode=2), Verb.OPEN, None)
    case.displace(double, link.external_id)
    case.end(double, plain.external_id)

    displaced, ended = (destination.get_remote(each.external_id) for each in (link, plain))

    assert (displaced.status, ended.status) == (Status.RESOLVED, Status.RESOLVED)
    assert displaced.not_fixed
    assert ended.not_fixed == ""


@OBJECTS
def test_two_different_notes_are_both_told_in_their_order_and_each_once(case, double, destination, firing):
    link = pay(destination, firing, Verb.OPEN, None)
    for revision, note in ((2, "first word"), (3, "second word")):
        for attempt in range(2):
            pay(destination, firing, Verb.NOTE, link, revision=revision, attempts=attempt, actor="alice", note=note)

    shown = case.shown(double)
    assert (shown.count("first word"), shown.count("second word")) == (1, 1)
    assert shown.index("first word") < shown.index("second word")


@OBJECTS
def test_an_earlier_episodes_object_that_is_open_is_told_once_that_it_fires_again(case, double, destination, firing):
    link = pay(destination, firing, Verb.OPEN, None)
    case.take(double, link.external_id)
    again = replace(firing, episode=2, revision=3)

    links = [pay(destination, again, Verb.OPEN, link) for _ in range(2)]

    assert [each.external_id for each in links] == [link.external_id] * 2
    assert (case.objects(double), case.ended(double), case.shown(double).count("Opened again")) == (1, 0, 1)
    assert destination.get_remote(link.external_id).status is Status.ACKNOWLEDGED


@OBJECTS
def test_what_a_person_has_ended_is_left_as_it_is(case, double, destination, firing, over):
    link = pay(destination, firing, Verb.OPEN, None)
    case.end(double, link.external_id)

    pay(destination, over, Verb.CLOSE, link)

    assert (case.ended(double), case.end_notes(double)) == (1, int(case.says_end_of_ended))


@OBJECTS
def test_what_a_person_does_there_is_its_status_until_it_is_no_longer_listed(case, double, destination, firing):
    link = pay(destination, firing, Verb.OPEN, None)

    seen = [destination.get_remote(link.external_id)]
    for happens in (case.take, case.end):
        happens(double, link.external_id)
        seen.append(destination.get_remote(link.external_id))

    assert [each.status for each in seen] == [Status.FIRING, Status.ACKNOWLEDGED, Status.RESOLVED]
    assert {each.remote_key for each in seen} == {remote_key(firing.key, firing.episode)}
    assert link.external_id not in [each.external_id for each in destination.open_objects()]


@OBJECTS
def test_the_oldest_open_object_of_any_episode_is_adopted(case, double, destination, firing):
    episodes = [replace(firing, episode=number) for number in (1, 2, 3)]
    first, second, _ = [pay(destination, each, Verb.OPEN, None) for each in episodes]
    pay(destination, alert(fingerprint="another"), Verb.OPEN, None)
    case.end(double, first.external_id)
    case.take(double, second.external_id)

    found = destination.find_open_for(firing.key)

    assert (found.external_id, found.url) == (second.external_id, second.url)
    assert destination.find_open_for(alert(fingerprint="third").key) is None


@OBJECTS
def test_a_dry_run_says_in_one_line_what_would_be_made_and_sends_nothing(double, destination, firing):
    asked = len(double.requests)

    line = destination.dry_run(delivery(firing, receiver=destination.name), firing)

    assert firing.title in line
    assert "\n" not in line
    assert len(double.requests) == asked


@OBJECTS
@pytest.mark.parametrize("key", ["", "ab' OR 1=1", '" OR status: open', "ab^state=6", "AB", "../x", "a" * 65])
def test_a_key_that_is_not_hexadecimal_never_reaches_a_query(double, destination, key):
    asked = len(double.requests)

    for search in (destination.find, destination.find_open_for):
        with pytest.raises(DeliveryError) as raised:
            search(key)
        assert raised.value.permanent

    assert len(double.requests) == asked


@OBJECTS
@REPEATABLE
@given(payload=json_values)
def test_a_webhook_of_any_json_is_refused_or_means_nothing(destination, payload):
    with suppress(InvalidInput):
        assert destination.parse({}, payload) == []


@OBJECTS
def test_without_a_secret_the_token_of_the_route_decides(destination):
    assert destination.verify_signature(dict.fromkeys(SIGNATURES, "sha256=00"), b"{}") is None


@OBJECTS
def test_what_is_gone_is_none_and_what_cannot_be_read_is_an_error(case, double, destination, firing):
    made = pay(destination, firing, Verb.OPEN, None)

    assert destination.get_remote(case.gone) is None
    assert destination.get_remote(made.external_id).external_id == made.external_id
    double.script.append(Fault.ERROR)
    with pytest.raises(DeliveryError):
        destination.get_remote(made.external_id)


@OBJECTS
def test_a_look_with_a_refused_token_is_an_error_and_never_a_nothing(case, double, destination, firing):
    made = pay(destination, firing, Verb.OPEN, None)
    double.token = double.pat = "another one"

    looks = (lambda: destination.get_remote(made.external_id), lambda: destination.get_remote(case.gone))
    for look in (*looks, destination.open_objects, lambda: destination.find_open_for(firing.key)):
        with pytest.raises(DeliveryError) as raised:
            look()
        assert (raised.value.reason, raised.value.permanent) == (Reason.UNAUTHORIZED, False)


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK])
def test_a_change_that_is_repeated_is_told_once(case, double, destination, firing, verb):
    link = pay(destination, firing, Verb.OPEN, None)
    for attempt in range(2):
        pay(destination, firing, verb, link, attempts=attempt, actor="alice", note="looking into it")

    assert case.shown(double).count("looking into it") == 1
    assert case.objects(double) == 1
    assert double.refused == []


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE])
def test_an_object_that_is_gone_is_a_permanent_not_found(case, double, destination, firing, verb):
    double.echo_credentials = True  # where the double can: what it was sent comes back in its error
    link = Link(key=firing.key, episode=1, receiver=destination.name, remote_key="ab12", external_id=case.gone)

    with pytest.raises(DeliveryError) as raised:
        pay(destination, firing, verb, link)

    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)
    _assert_no_secret(case, raised.value)


def test_a_change_to_an_object_that_was_never_made_is_a_permanent_not_found(destination, over):
    with pytest.raises(DeliveryError) as raised:
        pay(destination, over, Verb.CLOSE, None)

    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)


@pytest.mark.parametrize(
    ("fault", "ambiguous"),
    [
        (Fault.ERROR, True),
        (Fault.ERROR_AFTER, True),
        (Fault.RESET, True),
        (Fault.RESET_AFTER, True),
        (Fault.HANG, True),
        (Fault.HANG_AFTER, True),
        (Fault.GARBAGE, True),
        (Fault.GARBAGE_AFTER, True),
        (Fault.HTML, True),
        (Fault.TRUNCATED, True),
        (Fault.LATE, True),
        (Fault.RATE_LIMIT, False),
    ],
)
def test_every_fault_of_a_create_says_whether_it_may_have_worked(case, double, destination, firing, fault, ambiguous):
    double.script.append(fault)
    double.late_seconds = case.deadline + 0.5

    with pytest.raises(DeliveryError) as raised:
        deliver(destination, delivery(firing, receiver=destination.name), firing, None)

    assert raised.value.reason.ambiguous is ambiguous
    assert not raised.value.permanent
    _assert_no_secret(case, raised.value)


def test_a_rate_limit_says_how_long_to_wait(double, destination, firing):
    double.retry_after = "7"
    double.script.append(Fault.RATE_LIMIT)

    with pytest.raises(DeliveryError) as raised:
        deliver(destination, delivery(firing, receiver=destination.name), firing, None)

    assert (raised.value.reason, raised.value.retry_after) == (Reason.RATE_LIMITED, 7)


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.RESET_AFTER, Fault.HANG_AFTER, Fault.GARBAGE_AFTER])
def test_what_an_ambiguous_create_left_is_found_afterwards(case, double, destination, firing, fault):
    double.script.append(fault)
    with pytest.raises(DeliveryError):
        deliver(destination, delivery(firing, receiver=destination.name), firing, None)

    pay(destination, firing, Verb.OPEN, None, attempts=1)

    assert case.objects(double) == 1


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.RESET_AFTER, Fault.GARBAGE_AFTER])
@pytest.mark.parametrize("good_calls", [0, 1, 2])
def test_a_close_that_broke_anywhere_tells_the_end_once(case, double, destination, firing, over, fault, good_calls):
    link = pay(destination, firing, Verb.OPEN, None)
    double.script.extend([*[None] * good_calls, fault])
    with pytest.raises(DeliveryError):
        pay(destination, over, Verb.CLOSE, link)

    pay(destination, over, Verb.CLOSE, link, attempts=1)

    assert (case.ended(double), case.end_notes(double)) == (1, 1)


def test_a_server_that_hangs_is_cut_at_the_deadline(case, double, destination, firing):
    double.script.append(Fault.HANG)
    asked, started = len(double.requests), time.monotonic()

    with pytest.raises(DeliveryError) as raised:
        deliver(destination, delivery(firing, receiver=destination.name), firing, None)

    assert raised.value.reason is Reason.TIMEOUT
    assert len(double.requests) == asked + 1  # not a second one, with a deadline of its own
    assert time.monotonic() - started < double.hang_seconds / 2


def test_nobody_there_proves_that_nothing_happened(double, destination, firing):
    double.stop()

    with pytest.raises(DeliveryError) as raised:
        deliver(destination, delivery(firing, receiver=destination.name), firing, None)

    assert raised.value.reason is Reason.UNREACHABLE


def test_a_refused_token_waits_for_a_person_and_is_named_nowhere(case, double, destination, firing):
    double.token = double.pat = "another one"
    double.echo_credentials = True

    with pytest.raises(DeliveryError) as raised:
        deliver(destination, delivery(firing, receiver=destination.name), firing, None)

    assert (raised.value.reason, raised.value.permanent) == (Reason.UNAUTHORIZED, False)
    assert case.objects(double) == 0
    _assert_no_secret(case, raised.value)


@OBJECTS
@pytest.mark.parametrize("verb", [Verb.OPEN, Verb.NOTE, Verb.CLOSE])
def test_what_we_may_not_do_waits_for_a_person_and_is_told_in_the_systems_own_words(
    case, double, destination, firing, verb
):
    link = pay(destination, firing, Verb.OPEN, None) if verb is not Verb.OPEN else None
    words = "Example: the role lacks a right here"
    double.forbids = lambda request: Answer.json(case.forbidden(f"{words} {dict(request.headers)}"), 403)

    with pytest.raises(DeliveryError) as raised:
        deliver(destination, delivery(firing, verb, receiver=destination.name), firing, link)

    assert (raised.value.reason, raised.value.permanent) == (Reason.FORBIDDEN, False)
    assert words in str(raised.value)
    _assert_no_secret(case, raised.value)


def test_what_a_vendor_wrote_cannot_do_anything(case, double, destination, firing, over):
    changes = {"title": HOSTILE, "description": HOSTILE, "labels": {"component": HOSTILE}, "owner": HOSTILE}
    link = pay(destination, replace(firing, **changes), Verb.OPEN, None)
    pay(destination, replace(firing, **changes), Verb.NOTE, link, actor=HOSTILE, note=HOSTILE)
    pay(destination, replace(over, **changes), Verb.CLOSE, link, actor=HOSTILE, note=HOSTILE)

    shown = case.shown(double)
    assert not re.search(r"<!channel|<@U|<https://evil|<script|<b on", shown)
    assert "{{ 7*7 }}" in shown
    assert double.refused == []


def test_similar_alerts_are_told_apart_and_the_runbook_is_a_click_away(case, double, destination, firing):
    labels = {"alertname": "KubePodNotReady", "namespace": "prod", "pod": "api-1"}
    written = {"runbook_url": "https://runbooks.example/pod", "dashboard_url": "javascript:alert(1)"}
    known = replace(firing, kind=Kind.ALERT, title="KubePodNotReady", labels=labels, annotations=written)
    pay(destination, known, Verb.OPEN, None)

    shown = html.unescape(case.shown(double)).replace("\\/", "/")
    assert re.search(r"KubePodNotReady · prod\\*/api", shown)
    assert known.internal_id in shown
    assert "Runbook" in shown
    assert "runbooks.example/pod" in shown
    assert "Dashboard" not in shown
    assert not case.objects_kept or known.fingerprint in shown


@OBJECTS
def test_an_object_links_to_the_others_and_not_to_itself(case, double, destination, firing):
    there = "https://elsewhere.example/itself-77"
    known = replace(firing, links={destination.name: there, "other": "https://tracker.example/OPS-5"})
    pay(destination, known, Verb.OPEN, None)

    assert "tracker.example/OPS-5" in case.shown(double)
    assert "itself-77" not in case.shown(double)


def test_endless_text_is_cut_to_what_the_other_side_takes(case, double, destination, firing, over):
    much = {"title": "&<" * 400, "description": "&<\n" * 20_000, "source": "rest:shop"}
    labels = {f"label-{number}": "&" * 2000 for number in range(100)}
    link = pay(destination, replace(firing, **much, labels=labels, annotations=labels), Verb.OPEN, None)
    pay(destination, replace(over, **much, labels=labels), Verb.CLOSE, link, note="&" * 20_000)

    assert double.refused == []
    assert case.ended(double) == 1


def test_nothing_at_all_is_still_told(case, double, destination, firing):
    bare = replace(firing, title="", description="", url="", labels={}, severity=Severity.INFO)
    pay(destination, bare, Verb.OPEN, None)

    assert case.objects(double) == 1
    assert double.refused == []


def _assert_no_secret(case: Case, error: DeliveryError) -> None:
    told = "".join([str(error), repr(error), *traceback.format_exception(error)])
    decoded = [base64.b64decode(each[: len(each) // 4 * 4]) for each in re.findall(r"[A-Za-z0-9+/]{12,}", told)]
    assert case.secret not in told
    assert not any(case.secret.encode() in each for each in decoded)
