"""The buttons on our own messages: pressed once, twice, by two at once, too late, or made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from flask import Flask

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import Status
from service_event_checker.engine.acts import ticket_receiver
from service_event_checker.engine.services import Services
from tests.destinations.azure_devops.double import AzureDevOps
from tests.destinations.slack.double import Slack
from tests.doubles.statuspages import StatusPages
from tests.factories import event
from tests.web.conftest import MakeApp
from tests.web.slack.caller import SlackCaller, answered, on, press_form
from tests.web.slack.conftest import config

Ingest = Callable[[Event], Alert]


def pay(services: Services) -> None:
    """Deliver what is owed until nothing is due."""
    while any([services.outbox.drain(name) for name in services.outbox.destinations]):
        pass


def buttons(slack: Slack) -> dict[str, str]:
    """The buttons of the newest message: action_id -> value."""
    rows = [block["elements"] for block in slack.roots()[-1].blocks if block["type"] == "actions"]
    return {button["action_id"]: button["value"] for button in (rows[0] if rows else []) if button["type"] == "button"}


@pytest.fixture
def alert(ingest: Ingest, services: Services) -> Alert:
    """An outage that Slack has been told of."""
    found = ingest(event())
    pay(services)
    return found


def press(people: SlackCaller, slack: Slack, action: str, value: str, user: str = "alice", **more: Any) -> str:
    """Press a button of the newest message and return what only who pressed it is told, once all is answered."""
    message = slack.roots()[-1]
    url = slack.response_url(message)
    people.press(action, value, user, response_url=url, container=on(message), **more)
    answered()
    return slack.followed(url, 0)


def test_create_ticket_makes_one_and_shows_it_in_the_message(
    people: SlackCaller, slack: Slack, services: Services, devops: AzureDevOps, alert: Alert
) -> None:
    told = press(people, slack, "create_ticket", buttons(slack)["create_ticket"])
    pay(services)

    (ticket,) = devops.items.values()
    assert "Creating a ticket for" in told
    assert alert.internal_id in ticket.shown
    assert f"tickets {ticket.id}>" in slack.roots()[0].shown
    assert "create_ticket" not in buttons(slack)
    assert len(slack.roots()) == 1


@pytest.mark.parametrize(
    ("kinds", "chosen"),
    [
        (["redmine", "azure_devops", "azure_devops"], "azure_devops-1"),
        (["redmine", "redmine"], "redmine-0"),
        (["off", "redmine"], "redmine-1"),
    ],
)
def test_of_several_ticket_systems_azure_devops_comes_first_then_the_first_configured(
    kinds: list[str], chosen: str, make_app: MakeApp, pages: StatusPages, environ: dict[str, str]
) -> None:
    systems: dict[str, dict[str, str]] = {
        "azure_devops": {"kind": "azure_devops", "url": "env:ADO_ORG_URL", "project": "env:ADO_PROJECT"},
        "redmine": {"kind": "redmine", "url": "https://redmine.example.com", "token": "env:ADO_PAT", "project": "ops"},
        "off": {"kind": "azure_devops", "url": "env:UNSET", "project": "ops"},
    }
    settings = config(pages)
    del settings["destinations"]["tickets"]
    settings["destinations"] |= {f"{kind}-{number}": systems[kind] for number, kind in enumerate(kinds)}

    services: Services = make_app(settings, **environ).extensions["services"]

    assert ticket_receiver(services) == chosen


def test_a_ticket_button_pressed_again_finds_the_ticket(
    people: SlackCaller, slack: Slack, services: Services, devops: AzureDevOps, alert: Alert
) -> None:
    value = buttons(slack)["create_ticket"]
    press(people, slack, "create_ticket", value)

    assert "was already requested by alice" in press(people, slack, "create_ticket", value, "bob")
    pay(services)
    assert "already has a ticket" in press(people, slack, "create_ticket", value, "bob")
    pay(services)
    assert len(devops.items) == 1


def test_two_at_once_make_one_ticket_and_one_of_them_is_told_so(
    app: Flask, slack: Slack, services: Services, devops: AzureDevOps, alert: Alert
) -> None:
    value = buttons(slack)["create_ticket"]

    def by(user: str) -> str:
        return press(SlackCaller(app.test_client()), slack, "create_ticket", value, user)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(by, [f"person{number}" for number in range(8)]))
    pay(services)

    assert len(devops.items) == 1
    assert sum("Creating a ticket for" in one for one in told) == 1
    assert sum("was already requested by person" in one for one in told) == 7


def test_acknowledge_is_written_into_the_message_with_who_did_it(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    value = buttons(slack)["acknowledge"]

    assert press(people, slack, "acknowledge", value) == ""  # the message says it
    assert "Acknowledged by alice" in slack.roots()[0].shown
    assert "is already acknowledged by alice" in press(people, slack, "acknowledge", value, "bob")
    pay(services)

    assert "Acknowledged by alice" in slack.roots()[0].shown
    assert set(buttons(slack)) == {"create_ticket", "resolve"}


def test_resolve_ends_it_and_the_message_says_who(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    value = buttons(slack)["resolve"]

    assert press(people, slack, "resolve", value) == ""
    assert "Resolved by alice" in slack.roots()[0].shown
    assert "resolved by alice" in press(people, slack, "resolve", value, "bob")
    pay(services)

    assert services.store.get([alert.key])[alert.key].status is Status.RESOLVED
    assert "Resolved by alice" in slack.roots()[0].shown
    assert buttons(slack) == {}
    assert len(slack.replies(slack.roots()[0].ts)) == 1


def choose(people: SlackCaller, slack: Slack, number: int, user: str = "alice") -> str:
    """Choose a silence in the menu of the newest message; return what only who chose is told."""
    (row,) = (block["elements"] for block in slack.roots()[-1].blocks if block["type"] == "actions")
    menu = next(element for element in row if element["type"] == "static_select")
    chosen = {"type": "static_select", "action_id": menu["action_id"], "selected_option": menu["options"][number]}
    return press(people, slack, "silence", "", user, actions=[chosen])


def test_a_silence_from_the_menu_holds_back_the_next_alert_like_this(
    people: SlackCaller, slack: Slack, services: Services, ingest: Ingest, alert: Alert
) -> None:
    told = choose(people, slack, 1)
    pay(services)
    second = ingest(event(fingerprint="another"))

    (silence,) = services.store.silences.list()
    assert (silence.owner, silence.ends_at - silence.starts_at) == ("alice", timedelta(hours=2))
    assert list(map(str, silence.matchers)) == ['source="github"', f'title="{alert.title}"']
    assert f"silenced until {silence.ends_at:%Y-%m-%d %H:%M} UTC" in told
    assert f"silenced until {silence.ends_at:%Y-%m-%d %H:%M} UTC ({silence.id})" in slack.roots()[0].shown
    assert "alice" in slack.roots()[0].shown
    assert second.withheld["slack"].startswith("silenced by alice until ")
    assert len(slack.roots()) == 1


def test_a_choice_that_is_made_again_makes_the_silence_longer_not_another_one(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    choose(people, slack, 0)
    choose(people, slack, 2)

    assert "are already silenced until" in choose(people, slack, 1)
    (silence,) = services.store.silences.list()
    assert silence.ends_at - silence.starts_at > timedelta(hours=23)
    choose(people, slack, 0, "bob")
    assert {each.owner for each in services.store.silences.list()} == {"alice", "bob"}


def test_a_choice_that_was_signed_for_a_button_is_not_believed(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    forged = {"type": "static_select", "action_id": "silence", "selected_option": {"value": buttons(slack)["resolve"]}}

    assert "cannot be verified" in press(people, slack, "silence", "", actions=[forged])
    assert services.store.silences.list() == ()
    assert services.store.get([alert.key])[alert.key].open


@pytest.mark.parametrize("action", ["create_ticket", "acknowledge", "resolve"])
def test_a_button_of_a_past_episode_says_that_it_is_over_and_does_nothing(
    action: str, people: SlackCaller, slack: Slack, services: Services, ingest: Ingest, alert: Alert
) -> None:
    value = buttons(slack)[action]
    people.command("/forceresolve", alert.internal_id)
    later = datetime.now(UTC) + timedelta(minutes=1)
    second = ingest(event(starts_at=later, at=later))

    told = press(people, slack, action, value)

    assert "is over" in told
    assert second.internal_id in told
    after = services.store.get([alert.key])[alert.key]
    assert (after.episode, after.status) == (2, Status.FIRING)
    assert services.store.waiting("tickets") == 0


@pytest.mark.parametrize("action", ["create_ticket", "acknowledge"])
def test_a_button_of_what_is_over_by_now_says_so(
    action: str, people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    value = buttons(slack)[action]
    people.command("/forceresolve", alert.internal_id)

    assert "is over" in press(people, slack, action, value)
    assert services.store.waiting("tickets") == 0


def test_a_value_that_we_have_not_signed_does_nothing(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    value = buttons(slack)["resolve"]
    made_up = [
        value[:-1] + ("0" if value[-1] != "0" else "1"),
        alert.internal_id,
        f"{alert.key}:1:resolve:",
        "x" * 2000,
    ]
    made_up += [value.replace(":1:", ":2:"), value.replace("resolve", "acknowledge"), buttons(slack)["acknowledge"]]

    for wrong in made_up:
        assert "cannot be verified" in press(people, slack, "resolve", wrong)
    assert services.store.get([alert.key])[alert.key].status is Status.FIRING


def test_buttons_outlive_a_restart_without_a_secret_key(
    make_app: MakeApp, pages: StatusPages, environ: dict[str, str], slack: Slack, alert: Alert
) -> None:
    value = buttons(slack)["acknowledge"]
    restarted = SlackCaller(make_app(config(pages), **environ).test_client())

    press(restarted, slack, "acknowledge", value)

    assert "Acknowledged by alice" in slack.roots()[0].shown


def test_another_secret_key_makes_old_buttons_void(
    make_app: MakeApp, pages: StatusPages, environ: dict[str, str], slack: Slack, alert: Alert
) -> None:
    value = buttons(slack)["acknowledge"]
    rekeyed = SlackCaller(make_app(config(pages), **environ, SECRET_KEY="a new one, of some length").test_client())

    assert "signed with another key" in press(rekeyed, slack, "acknowledge", value)


def test_a_press_is_durable_before_it_is_answered_however_long_slack_hangs(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    value, url = buttons(slack)["resolve"], slack.response_url()
    slack.hang(60)

    began = datetime.now(UTC)
    people.press("resolve", value, response_url=url)

    assert datetime.now(UTC) - began < timedelta(seconds=2)
    assert services.store.get([alert.key])[alert.key].status is Status.RESOLVED


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "view_submission", "view": {"id": "V1"}},
        {"type": "block_actions", "actions": []},
        {"type": "block_actions", "actions": [{"action_id": "x"}], "user": None, "team": None},
        {"type": "block_actions", "actions": [{"action_id": "somebody_elses", "value": "x"}]},
        {"type": "block_actions", "actions": [{"action_id": ["resolve"], "value": {}}]},
        {"type": "block_actions", "actions": [{"action_id": "resolve", "value": "x"}], "user": "U1", "channel": []},
        {},
    ],
)
def test_what_is_no_press_of_ours_is_taken_and_left_alone(payload: dict[str, Any], people: SlackCaller) -> None:
    answer = people.send("interactions", urlencode({"payload": json.dumps(payload)}).encode())

    assert answer.status_code == 200


@pytest.mark.parametrize("body", [b"", b"payload=", b"payload=%7B", b"payload=[]", b"payload=" + b"[" * 9000])
def test_what_is_no_interaction_is_malformed(body: bytes, people: SlackCaller) -> None:
    assert people.send("interactions", body).status_code == 400


def test_a_person_with_a_hostile_name_is_named_as_text(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    value = buttons(slack)["acknowledge"]
    press(people, slack, "acknowledge", value, "<!channel>\ud800\u202e")
    pay(services)

    assert "Acknowledged by &lt;!channel&gt;" in slack.roots()[0].shown
    assert not slack.refused


def test_a_test_alerts_ticket_stays_a_dry_run_however_often_it_is_asked_for(
    people: SlackCaller, slack: Slack, services: Services, devops: AzureDevOps, ingest: Ingest
) -> None:
    ingest(event(test=True))
    pay(services)
    value = buttons(slack)["create_ticket"]

    for user in ("alice", "bob"):
        assert "dry run, no real ticket is created" in press(people, slack, "create_ticket", value, user)
        pay(services)

    assert devops.items == {}


def test_a_failed_ticket_is_tried_again_when_a_person_asks_for_it(
    people: SlackCaller, slack: Slack, services: Services, devops: AzureDevOps, alert: Alert
) -> None:
    value = buttons(slack)["create_ticket"]
    devops.types = {}
    press(people, slack, "create_ticket", value)
    pay(services)
    assert [letter.receiver for letter in services.store.failed_deliveries()] == ["tickets"]

    told = press(people, slack, "create_ticket", value, "bob")

    assert "failed: not found" in told
    assert "Trying again" in told
    assert services.store.failed_deliveries() == []
    assert services.store.waiting("tickets") == 1


def test_a_button_in_a_shared_channel_is_not_for_the_other_company(
    make_app: MakeApp, pages: StatusPages, environ: dict[str, str], slack: Slack, services: Services, alert: Alert
) -> None:
    people = SlackCaller(make_app(config(pages), **environ, SLACK_TEAM_IDS="T0EXAMPLE1").test_client())
    url = slack.response_url()
    body = press_form("acknowledge", buttons(slack)["acknowledge"], response_url=url)
    home, foreign = (quote_plus(f'"team_id": "{team}"').encode() for team in ("T0EXAMPLE1", "T0FOREIGN1"))

    people.send("interactions", body.replace(home, foreign))

    assert "This workspace is not allowed to use the commands" in slack.followed(url)
    assert services.store.get([alert.key])[alert.key].status is Status.FIRING
