"""A press is seen in its own message at once, whatever waits, hangs or happens meanwhile; and never an older state."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import EventStatus, Severity, Status
from service_event_checker.engine import acts
from service_event_checker.engine.services import Services
from service_event_checker.engine.throttle import Throttle
from tests.destinations.slack.double import Message, Slack
from tests.doubles.base import Fault
from tests.doubles.statuspages import StatusPages
from tests.factories import event
from tests.web.conftest import MakeApp
from tests.web.slack import conftest
from tests.web.slack.caller import SlackCaller, answered, on, press_form, signed

Ingest = Callable[[Event], Alert]
SOON = 2.0  # seconds from a press to what people see
WAITING = 50


@pytest.fixture
def app(make_app: MakeApp, pages: StatusPages, environ: dict[str, str]) -> Flask:
    """The app, with a Slack that may take its time and is asked as fast as a test wants."""
    config = conftest.config(pages)
    config["destinations"]["slack"] |= {"timeout": "8s", "storm": None}
    made = make_app(config, **environ)
    made.extensions["services"].outbox.throttles["slack"] = Throttle(1000, 1000)
    return made


@pytest.fixture
def alert(ingest: Ingest, services: Services) -> Alert:
    """An outage that Slack has been told of."""
    found = ingest(event())
    drain(services)
    return found


def drain(services: Services) -> None:
    while services.outbox.drain("slack"):
        pass


@contextmanager
def worker(services: Services) -> Iterator[None]:
    """Deliver to Slack beside the test, as the engine does."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            if not services.outbox.drain("slack"):
                over.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def button(message: Message, action: str) -> str:
    rows = [block["elements"] for block in message.blocks if block["type"] == "actions"]
    return next(str(one["value"]) for one in rows[0] if one["action_id"] == action)


def press(people: SlackCaller, slack: Slack, action: str, user: str = "alice", **more: Any) -> str:
    """Press a button of the oldest message; return the response_url that came with it."""
    message = slack.roots()[0]
    url = slack.response_url(message)
    fields = {"response_url": url, "container": on(message)} | more
    people.press(action, button(message, action), user, **fields)
    return url


def until(seen: Callable[[], bool], seconds: float = SOON) -> float:
    """Return after how many seconds something is seen; longer than `seconds` is a failure."""
    began = time.monotonic()
    while not seen():
        assert time.monotonic() - began < seconds
        time.sleep(0.005)
    return time.monotonic() - began


def revisions(message: Message) -> list[int]:
    """The alert's revisions that the message has shown, one after the other."""
    return [int(blocks[0]["block_id"].rpartition(":")[2]) for blocks in message.versions]


def storm(ingest: Ingest, services: Services) -> None:
    """Let updates of many other alerts wait, more severe than ours, at a receiver that takes one a second."""
    for word in ("slow", "gone"):
        for number in range(WAITING):
            ingest(event(fingerprint=f"storm-{number}", title=f"Storm {number} is {word}", severity=Severity.CRITICAL))
        if word == "slow":
            drain(services)
    services.outbox.throttles["slack"] = Throttle(1.0, 1)  # type: ignore[index]


def test_a_press_is_seen_at_once_though_fifty_updates_wait(
    people: SlackCaller, slack: Slack, services: Services, ingest: Ingest, alert: Alert
) -> None:
    storm(ingest, services)

    with worker(services):
        began = time.monotonic()
        press(people, slack, "acknowledge")
        until(lambda: "Acknowledged by alice" in slack.roots()[0].shown)
        took = time.monotonic() - began
        assert services.store.waiting("slack") >= WAITING - 5

    assert took < SOON
    answered()
    assert not slack.refused


def test_what_a_person_did_elsewhere_takes_the_next_place_before_the_fifty_that_wait(
    services: Services, slack: Slack, ingest: Ingest, alert: Alert
) -> None:
    storm(ingest, services)
    ingest(event(title="worse"))
    acts.change_status(services, alert, Status.ACKNOWLEDGED, actor="ada", intake="api", now=datetime.now(UTC))

    assert services.outbox.drain("slack") == 1

    assert "Acknowledged by ada" in slack.roots()[0].shown
    assert services.store.waiting("slack") == WAITING + 1


def test_the_delivery_that_follows_changes_nothing_more(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    press(people, slack, "acknowledge")
    answered()
    (message,) = slack.roots()
    at_once = (message.text, message.blocks, message.attachments, message.metadata)
    assert services.store.waiting("slack") == 1

    drain(services)

    assert (message.text, message.blocks, message.attachments, message.metadata) == at_once
    assert len(slack.messages) == 1
    assert revisions(message)[-1] == services.store.get([alert.key])[alert.key].revision


def test_the_end_is_seen_at_once_and_announced_once(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    press(people, slack, "resolve")
    answered()
    (message,) = slack.roots()
    assert "Resolved by alice" in message.shown

    drain(services)

    assert len(slack.replies(message.ts)) == 1


def test_an_older_update_that_is_under_way_lands_before_the_press(
    people: SlackCaller, slack: Slack, services: Services, ingest: Ingest, alert: Alert
) -> None:
    ingest(event(title="worse"))
    slack.late_seconds = 0.4
    slack.script.append(Fault.SLOW)

    with worker(services):
        until(lambda: not slack.script)
        press(people, slack, "acknowledge")
        until(lambda: "Acknowledged by alice" in slack.roots()[0].shown)
        answered()

    shown = revisions(slack.roots()[0])
    assert shown == sorted(shown)


def test_an_older_update_that_hangs_is_not_waited_for_and_does_not_stay(
    people: SlackCaller, slack: Slack, services: Services, ingest: Ingest, alert: Alert
) -> None:
    ingest(event(title="worse"))
    slack.late_seconds = 3.0
    slack.script.append(Fault.SLOW)
    hung = threading.Thread(target=services.outbox.drain, args=("slack",))
    hung.start()
    until(lambda: not slack.script)

    url = press(people, slack, "acknowledge")
    until(lambda: "Acknowledged by alice" in slack.roots()[0].shown)
    answered()
    hung.join(30)

    first, older, again = revisions(slack.roots()[0])[-3:]
    assert older < first == again  # and no delivery was needed for it
    assert slack.addresses[url].replaced == 2


def test_a_press_that_comes_through_late_shows_the_state_of_then(
    people: SlackCaller, slack: Slack, services: Services, ingest: Ingest, alert: Alert
) -> None:
    slack.script.append(Fault.ERROR)  # for the first try
    url = press(people, slack, "acknowledge")
    until(lambda: not slack.script)
    ingest(event(status=EventStatus.RESOLVED, at=datetime.now(UTC)))
    drain(services)
    answered()

    (message,) = slack.roots()
    assert "Resolved" in message.shown
    assert revisions(message) == sorted(revisions(message))
    assert slack.addresses[url].replaced == 0  # it was shown already


def test_two_who_press_at_once_end_in_one_state(app: Flask, slack: Slack, services: Services, alert: Alert) -> None:
    def by(name: str) -> None:
        press(SlackCaller(app.test_client()), slack, {"alice": "acknowledge", "bob": "resolve"}[name], name)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(by, ("alice", "bob")))
    answered()

    (message,) = slack.roots()
    assert "Resolved by bob" in message.shown
    assert not any(block["type"] == "actions" for block in message.blocks)
    assert revisions(message) == sorted(revisions(message))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_at_once_the_message_never_goes_back(
    seed: int, app: Flask, slack: Slack, services: Services, ingest: Ingest, alert: Alert
) -> None:
    chance = random.Random(seed)
    value = {action: button(slack.roots()[0], action) for action in ("acknowledge", "create_ticket", "resolve")}
    steps = ["update"] * 6 + ["acknowledge", "create_ticket"] * 3
    chance.shuffle(steps)
    steps += ["resolve"] * chance.randrange(2)
    slack.late_seconds = 0.05
    slack.script.extend(chance.choice((None, Fault.SLOW, Fault.ERROR)) for _ in range(12))

    def step(number: int) -> None:
        what, message = steps[number], slack.roots()[0]
        if what == "update":
            ingest(event(title=f"version {number}"))
            return
        url = slack.response_url(message)
        SlackCaller(app.test_client()).press(what, value[what], f"p{number}", response_url=url, container=on(message))

    with worker(services), ThreadPoolExecutor(4) as pool:
        list(pool.map(step, range(len(steps))))
        answered()
        until(lambda: services.store.waiting("slack") == 0, 30)

    shown = revisions(slack.roots()[0])
    assert shown == sorted(shown)
    assert shown[-1] == services.store.get([alert.key])[alert.key].revision
    assert all(address.uses <= 5 for address in slack.addresses.values())
    assert not slack.refused


def test_a_press_that_is_sent_again_changes_nothing(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    message = slack.roots()[0]
    fields = {"response_url": slack.response_url(message), "container": on(message)}
    body = press_form("acknowledge", button(message, "acknowledge"), **fields)
    headers = signed(body)
    kind = "application/x-www-form-urlencoded"
    codes = [
        people.client.post("/slack/interactions", data=body, content_type=kind, headers=headers).status_code
        for _ in range(2)
    ]
    answered()
    before = (services.store.get([alert.key])[alert.key], len(services.store.timeline(alert.key)), message.edited)

    again = signed(body, stamp=int(time.time()) - 1)  # signed anew, as one of a Slack that repeats itself
    people.client.post("/slack/interactions", data=body, content_type=kind, headers=again)
    answered()

    assert codes == [200, 401]
    assert before == (
        services.store.get([alert.key])[alert.key],
        len(services.store.timeline(alert.key)),
        message.edited,
    )
    assert services.store.waiting("slack") == 1


def test_an_address_elsewhere_gets_nothing_and_the_press_counts(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    with Slack() as elsewhere:
        foreign = elsewhere.response_url()
        press(people, slack, "acknowledge", response_url=foreign)
        answered()
        assert elsewhere.requests == []
    drain(services)

    assert "Acknowledged by alice" in slack.roots()[0].shown


def test_a_message_that_is_not_the_alerts_own_is_left_as_it_is(
    people: SlackCaller, slack: Slack, services: Services, ingest: Ingest, alert: Alert
) -> None:
    ingest(event(fingerprint="other", title="Another"))
    drain(services)
    own, other = slack.roots()
    before, url = other.shown, slack.response_url(other)

    people.press("acknowledge", button(own, "acknowledge"), response_url=url, container=on(other))
    answered()

    assert other.shown == before
    assert "You have acknowledged" in slack.followed(url, 0)


def test_the_address_is_kept_in_no_log_and_no_store(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert, capsys: pytest.CaptureFixture[str]
) -> None:
    slack.script.extend([Fault.ERROR, Fault.GARBAGE_AFTER])
    press(people, slack, "acknowledge")
    answered()
    drain(services)

    stored = json.dumps([repr(services.store.get([alert.key])), repr(services.store.timeline(alert.key))])
    said = capsys.readouterr()
    assert "a-secret-of-its-own" not in stored + said.out + said.err
