"""Robots, SMS, webhooks and Apprise can be tried: what is proven, and what only a message shows."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.vocabulary import Verb
from service_event_checker.destinations import aliyun_sms, apprise
from service_event_checker.engine import probing
from service_event_checker.engine.probing import Result
from tests.destinations.apprise.test_adapter import Receiver
from tests.destinations.robots.cases import RobotCase
from tests.destinations.robots.cases import all_cases as robot_cases
from tests.destinations.telegram import robot_case as telegram_case
from tests.destinations.telegram.double import Telegram
from tests.destinations.test_own_messages import SETTINGS
from tests.destinations.twilio.double import FROM, Twilio
from tests.destinations.twilio.test_adapter import adapter as of_twilio
from tests.destinations.webhook.double import Hook
from tests.destinations.webhook.test_adapter import adapter as of_webhook
from tests.doubles.base import Fault
from tests.factories import NOW

DEADLINE = timedelta(seconds=2)
ROBOTS = [case for case in robot_cases() if case.name != "telegram"]


@pytest.mark.parametrize("case", ROBOTS, ids=lambda case: case.name)
def test_a_robot_is_not_called_by_a_probe_and_takes_a_marked_test_on_request(case: RobotCase) -> None:
    with case.double() as double:
        robot = case.adapter(double)

        tried, before = probing.probe(robot, DEADLINE), list(double.requests)
        sent = probing.send(robot, "robot", DEADLINE, NOW)

        assert (tried.result, before) == (Result.UNPROVEN, [])
        assert "use --send" in tried.unproven[0]
        assert sent.result is Result.WORKS
        assert "TEST" in json.dumps(double.messages)


def test_telegram_proves_the_token_the_chat_and_the_right_to_write_there() -> None:
    with Telegram() as double:
        found = probing.probe(telegram_case.adapter(double), DEADLINE)

        assert found == probing.Report(
            result=Result.WORKS,
            proven=(
                "the token is valid: @outages_bot",
                "the chat is there: Outages (supergroup)",
                "the bot may write there",
            ),
        )
        assert (double.posted, double.refused) == ({}, [])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"member": {"status": "left"}}, "the bot is not in the chat: invite it"),
        ({"member": {"status": "kicked"}}, "the bot is not in the chat"),
        ({"member": {"status": "restricted"}}, "the bot is restricted in the chat"),
        ({"chat": {"type": "channel"}}, "the bot may not post in the channel"),
        ({"chat": {"type": "group", "permissions": {"can_send_messages": False}}}, "only administrators may write"),
        ({"token": "another"}, "check TELEGRAM_BOT_TOKEN"),
        ({"moved_to": -1009}, "check TELEGRAM_CHAT_ID"),
    ],
)
def test_telegram_says_why_the_bot_cannot_write(changes: dict[str, Any], words: str) -> None:
    with Telegram() as double:
        for name, value in changes.items():
            setattr(double, name, value)

        found = probing.probe(telegram_case.adapter(double), DEADLINE)

        assert found.result is Result.FAILS
        assert words in found.why
        assert "canary4711" not in found.why


@pytest.mark.parametrize(
    "changes",
    [
        {"member": {"status": "restricted", "can_send_messages": True}},
        {"chat": {"type": "channel"}, "member": {"status": "administrator", "can_post_messages": True}},
        {"chat": {"type": "group", "permissions": {"can_send_messages": False}}, "member": {"status": "creator"}},
    ],
)
def test_a_bot_that_may_write_by_an_exception_works(changes: dict[str, Any]) -> None:
    with Telegram() as double:
        for name, value in changes.items():
            setattr(double, name, value)

        assert probing.probe(telegram_case.adapter(double), DEADLINE).result is Result.WORKS


def test_a_person_may_have_blocked_the_bot_which_only_a_message_shows() -> None:
    with Telegram() as double:
        double.chat = {"type": "private", "username": "ada"}

        found = probing.probe(telegram_case.adapter(double), DEADLINE)

        assert found.result is Result.WORKS
        assert found.proven[1] == "the chat is there: ada (private)"
        assert "blocked" in found.unproven[0]


def test_twilio_proves_account_and_number_and_sends_nothing() -> None:
    with Twilio() as double:
        found = probing.probe(of_twilio(double), DEADLINE)

        assert found.result is Result.WORKS
        assert found.proven == (
            "the account is active and the token is valid",
            f"{FROM} is a number of the account",
        )
        assert "whether an SMS arrives" in found.unproven[0]
        assert (double.messages, double.refused) == ([], [])


@pytest.mark.parametrize(
    ("changes", "sender", "result", "words"),
    [
        ({"account": {"status": "suspended"}}, FROM, Result.FAILS, "the account is suspended"),
        ({"account": {"status": "active", "type": "Trial"}}, FROM, Result.WARNS, "verified numbers only"),
        ({"numbers": []}, FROM, Result.WARNS, f"the account has no number {FROM}: check TWILIO_FROM"),
        (
            {"numbers": [{"phone_number": FROM, "capabilities": {"sms": False}}]},
            FROM,
            Result.FAILS,
            f"{FROM} cannot send SMS",
        ),
        ({}, "MG" + "0" * 32, Result.WORKS, "whether MG00"),
        ({}, "Outages", Result.WORKS, "whether Outages may send"),
        ({"token": "another"}, FROM, Result.FAILS, "check TWILIO_ACCOUNT_SID"),
    ],
)
def test_twilio_says_what_is_wrong_or_not_shown(
    changes: dict[str, Any], sender: str, result: Result, words: str
) -> None:
    with Twilio() as double:
        for name, value in changes.items():
            setattr(double, name, value)

        found = probing.probe(of_twilio(double, sender=sender), DEADLINE)

        assert found.result is result
        assert words in "\n".join([found.why, *found.wrong, *found.unproven])


@pytest.mark.parametrize("make", [lambda double: telegram_case.adapter(double, timeout=1), of_twilio])
def test_a_system_that_hangs_or_fails_is_told(make: Any) -> None:
    with Telegram() if make is not of_twilio else Twilio() as double:
        double.script.append(Fault.ERROR)

        assert probing.probe(make(double), DEADLINE).result is Result.FAILS


def test_alibaba_cloud_says_that_only_an_sms_shows_it() -> None:
    config = aliyun_sms.Config(**{**SETTINGS["aliyun_sms"], "url": "http://127.0.0.1:1"})

    found = probing.probe(aliyun_sms.Adapter("sms", config), DEADLINE)

    assert (found.result, found.ok) == (Result.UNPROVEN, True)
    assert "use --send" in found.unproven[0]


def test_a_webhook_gets_no_request_by_a_probe_and_a_marked_document_on_request() -> None:
    with Hook() as double:
        webhook = of_webhook(double)

        tried, before = probing.probe(webhook, DEADLINE), len(double.requests)
        sent = probing.send(webhook, "webhook", DEADLINE, NOW)

        assert (tried.result, before, sent.result) == (Result.UNPROVEN, 0, Result.WORKS)
        (request,) = double.requests
        document = request.json()
        assert document["alert"]["test"] is True
        assert "[TEST]" in document["text"]["headline"]
        assert document["delivery"]["verb"] == Verb.OPEN


def of_apprise(urls: str) -> apprise.Adapter:
    pytest.importorskip("apprise")
    return apprise.Adapter("tail", apprise.Config(urls=urls, timeout=5))


@pytest.mark.parametrize(
    "address",
    [
        "opsgenie://00000000-0000-0000-0000-000000000000",
        "pagerduty://key@routing",
        "PagerTree://integration",
        "signl4://secret",
        "victorops://a/b",
        "apprises://host.example/token",
        "pover://user@token?priority=emergency",
    ],
)
def test_no_test_goes_to_an_address_that_may_page_somebody(address: str) -> None:
    sent = probing.send(of_apprise(f"json://127.0.0.1:1/x {address}"), "tail", DEADLINE, NOW)

    assert sent.result is Result.UNPROVEN
    assert sent.why.startswith("address 2 (")
    assert "may page somebody" in sent.why
    assert sent.remedy == "./outage preview tail shows what would be sent"


def test_apprise_reads_its_addresses_and_sends_a_marked_test_on_request() -> None:
    with Receiver() as double:
        tail = of_apprise(f"json://{double.url.removeprefix('http://')}/hook")

        tried, before = probing.probe(tail, DEADLINE), len(double.requests)
        sent = probing.send(tail, "tail", DEADLINE, NOW)

        assert (tried.result, before, sent.result) == (Result.UNPROVEN, 0, Result.WORKS)
        assert "JSON; use --send" in tried.unproven[0]
        (request,) = double.requests
        assert "[TEST]" in request.body.decode()


def test_an_address_that_apprise_does_not_know_fails_the_probe() -> None:
    found = probing.probe(of_apprise("nothing://like-it"), DEADLINE)

    assert found.result is Result.FAILS
    assert "address 1 is not one that Apprise knows" in found.why
