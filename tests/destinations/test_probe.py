"""Every destination can be tried without creating anything there: what works, what is wrong, and within a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker import plugins
from service_event_checker.core.ports import Destination, MessageDestination, Preflight, Probe
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.destinations import console, pagerduty_events
from service_event_checker.destinations.slack import adapter as slack
from service_event_checker.engine import probing
from service_event_checker.engine.probing import ONLY_BY_SENDING, Result
from tests.destinations.cases import all_cases
from tests.destinations.jira.double import Jira
from tests.destinations.pagerduty.double import PagerDuty
from tests.destinations.slack.double import ALL_SCOPES, Slack
from tests.destinations.test_contract_mail import CASES as MAILS
from tests.doubles.base import Fault
from tests.factories import NOW
from tests.real.smtp import Break

DEADLINE = timedelta(seconds=2)


@dataclass(frozen=True)
class Trial:
    """A destination with its double. `made` counts what a reader would see there; `hang` makes the next call hang."""

    destination: Destination
    double: Any
    made: Callable[[], int]
    lock_out: Callable[[], object]
    hang: Callable[[], object]


def _of_case(name: str, request: pytest.FixtureRequest, stack: ExitStack) -> Trial:
    case = next(case for case in all_cases() if case.name == name)
    given = [request.getfixturevalue(case.real)] if case.real else []
    double = stack.enter_context(case.double(*given))

    def lock_out() -> None:
        double.token = double.pat = "another one"

    return Trial(
        case.adapter(double), double, lambda: case.objects(double), lock_out, lambda: double.script.append(Fault.HANG)
    )


def _of_mail(name: str, folder: Path, stack: ExitStack) -> Trial:
    case = next(case for case in MAILS if case.name == name)
    server = stack.enter_context(case.server(folder))

    def lock_out() -> None:
        server.token = server.password = "another one"

    def hang() -> None:
        server.script.append(Fault.HANG) if hasattr(server, "token") else server.script.update(EHLO=Break.HANG)

    return Trial(case.adapter(server), server, lambda: len(case.mails(server)), lock_out, hang)


def _of_events(stack: ExitStack) -> Trial:
    double: Any = stack.enter_context(PagerDuty())
    settings = {"url": double.url, "routing_key": double.routing_key, "timeout": DEADLINE}
    adapter = pagerduty_events.Adapter("pagerduty_events", pagerduty_events.Config(**settings))

    def lock_out() -> None:
        double.routing_key = "f" * 32

    return Trial(adapter, double, lambda: len(double.incidents), lock_out, lambda: double.script.append(Fault.HANG))


NAMES = [*(case.name for case in all_cases()), *(case.name for case in MAILS), "pagerduty_events"]


@pytest.fixture(params=NAMES)
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trial]:
    with ExitStack() as stack:
        if request.param == "pagerduty_events":
            yield _of_events(stack)
        elif request.param in {case.name for case in MAILS}:
            yield _of_mail(request.param, tmp_path, stack)
        else:
            yield _of_case(request.param, request, stack)


def test_a_destination_that_works_says_what_was_proven_and_nothing_is_created(trial: Trial) -> None:
    before = trial.made()

    found = probing.probe(trial.destination, DEADLINE)

    assert found.result in (Result.WORKS, Result.WARNS), found
    assert found.proven
    assert found.why == ""
    assert trial.made() == before
    assert trial.double.refused == []


def test_wrong_credentials_fail_with_the_words_and_a_remedy(trial: Trial) -> None:
    trial.lock_out()

    found = probing.probe(trial.destination, DEADLINE)

    assert (found.result, found.ok) == (Result.FAILS, False)
    assert found.why.startswith("unauthorized")
    assert found.remedy == "correct the credentials"


def test_a_system_that_hangs_is_cut_at_the_deadline(trial: Trial) -> None:
    trial.hang()
    began = time.monotonic()

    found = probing.probe(trial.destination, DEADLINE)

    assert found.result is Result.FAILS
    assert found.remedy
    assert time.monotonic() - began < DEADLINE.total_seconds() * probing.CALLS_MAX + 1


def test_every_kind_of_destination_can_be_tried_or_needs_a_message_to_be_sent() -> None:
    for kind in plugins.kinds(plugins.DESTINATIONS):
        adapter = plugins.adapter_class(kind)
        sends = hasattr(adapter, "deliver") and adapter.family in probing.SENDS
        assert hasattr(adapter, "probe") or sends, kind


class Robot:
    """A chat that only takes messages."""

    family = Family.CHAT
    verbs = frozenset({Verb.OPEN})

    def __init__(self) -> None:
        self.taken: list[str] = []

    def deliver(self, delivery: Any, alert: Any, link: Any) -> Any:
        self.taken.append(f"{alert.test} {alert.status} {alert.title}")
        return link


def test_what_can_only_be_tried_by_sending_says_so_and_sends_one_test_message_on_request() -> None:
    robot = Robot()
    assert isinstance(robot, MessageDestination)
    assert not isinstance(robot, Probe | Preflight)

    tried, sent = probing.probe(robot, DEADLINE), probing.send(robot, "robot", DEADLINE, NOW)

    assert (tried.result, tried.unproven, tried.ok) == (Result.UNPROVEN, (ONLY_BY_SENDING,), True)
    assert sent.result is Result.WORKS
    assert robot.taken == ["True resolved Test message, nothing has happened"]


@pytest.mark.parametrize("name", [case.name for case in all_cases() if case.objects_kept and not case.real])
def test_no_ticket_and_no_page_is_made_for_a_test(name: str, request: pytest.FixtureRequest) -> None:
    with ExitStack() as stack:
        trial = _of_case(name, request, stack)

        sent = probing.send(trial.destination, name, DEADLINE, NOW)

        assert sent.result is Result.UNPROVEN
        assert "nothing was sent" in sent.why
        assert (trial.made(), trial.double.requests) == (0, [])


def test_nobody_is_paged_by_an_event_for_a_test() -> None:
    with ExitStack() as stack:
        trial = _of_events(stack)

        sent = probing.send(trial.destination, "pagerduty_events", DEADLINE, NOW)

        assert (sent.result, trial.double.requests) == (Result.UNPROVEN, [])


@pytest.fixture
def chat() -> Iterator[Slack]:
    with Slack() as running:
        yield running


def of_chat(chat: Slack, **changes: Any) -> slack.Adapter:
    return slack.Adapter("slack", slack.Config(token=chat.token, url=chat.api_url, timeout=DEADLINE, **changes))


def test_a_test_message_in_slack_carries_the_word_and_no_buttons(chat: Slack) -> None:
    adapter = of_chat(chat)
    adapter.button_key = lambda: b"k" * 32

    probing.send(adapter, "slack", DEADLINE, NOW)

    (message,) = chat.roots()
    assert "[TEST]" in message.shown
    assert "Acknowledge" not in message.shown


def _leave(chat: Slack) -> None:
    chat.not_member.add("outages")
    chat.scopes.discard("chat:write.public")


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (_leave, "forbidden (the bot is not in #outages: invite it there with /invite @…)"),
        (lambda chat: chat.archived.add("outages"), "refused (#outages is archived: unarchive it or name another"),
        (lambda chat: chat.channels.pop("outages"), "not found (the bot sees no channel #outages: check the name"),
        (lambda chat: chat.scopes.discard("chat:write"), "forbidden (the token lacks the scope chat:write"),
    ],
    ids=["not a member", "archived", "no such channel", "no right to write"],
)
def test_slack_says_why_the_bot_cannot_post(chat: Slack, break_it: Callable[[Slack], object], words: str) -> None:
    break_it(chat)

    found = probing.probe(of_chat(chat), DEADLINE)

    assert (found.result, found.why[: len(words)]) == (Result.FAILS, words)
    assert chat.messages == []


def test_slack_that_may_not_be_asked_about_its_channel_leaves_that_unproven(chat: Slack) -> None:
    chat.scopes -= {"channels:read", "groups:read"}

    found = probing.probe(of_chat(chat), DEADLINE)

    assert found.proven == ("the token is valid",)
    assert "the token lacks channels:read" in found.unproven[0]


def test_a_public_channel_without_the_bot_takes_messages_where_the_scope_allows_it(chat: Slack) -> None:
    chat.not_member.add("outages")
    assert "chat:write.public" in ALL_SCOPES

    found = probing.probe(of_chat(chat), DEADLINE)

    assert "the bot may post in it" in found.proven[1]


@pytest.mark.parametrize(
    ("denied", "result", "words"),
    [
        ("CREATE_ISSUES", Result.FAILS, "forbidden (the account may not create issues in OPS"),
        ("TRANSITION_ISSUES", Result.WARNS, "the account lacks the permission TRANSITION_ISSUES in OPS: grant it"),
    ],
)
def test_jira_says_which_permission_is_missing(denied: str, result: Result, words: str) -> None:
    case = next(case for case in all_cases() if case.name == "jira-cloud")
    with Jira() as jira:
        jira.denied.add(denied)

        found = probing.probe(case.adapter(jira), DEADLINE)

    assert found.result is result
    assert words in "\n".join([found.why, *found.wrong])


def test_the_console_always_works() -> None:
    found = probing.probe(console.Adapter("console", console.Config()), DEADLINE)

    assert replace(found, proven=()) == probing.Report(result=Result.WORKS)


def test_a_mail_server_that_refuses_one_recipient_names_it_and_gets_no_mail(tmp_path: Path) -> None:
    case = next(case for case in MAILS if case.name == "smtp")
    with case.server(tmp_path) as server:
        server.refuses["boss@example.com"] = "550 5.1.1 no such user"

        found = probing.probe(case.adapter(server), DEADLINE)

        assert found.result is Result.WARNS
        assert found.wrong == ("recipient boss@example.com is refused: 550 5.1.1 no such user",)
        assert found.proven[1] == "it takes mail from Outages <outages@example.com> to 1 of 2 recipients"
        assert (case.mails(server), "DATA" in server.commands) == ([], False)
