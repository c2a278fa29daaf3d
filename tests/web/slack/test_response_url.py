"""The response_url: Slack's own address or none at all, five uses, thirty minutes, in no log."""

from __future__ import annotations

import pytest

from service_event_checker.web.slack.replies import Reply, post
from service_event_checker.web.slack.response_url import LIFETIME, USES, ResponseUrl, is_slacks
from tests.destinations.slack.double import Slack
from tests.sink import Clock

SLACKS_API = "https://slack.com/api/"


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/x", "http://hooks.slack.com/x", "https://hooks.slack.com@evil.example/x", "", "no address"]
    + [
        "https://hooks.slack.com:8443/x",
        "https://hooks.slack.com.evil.example/",
        "http://127.0.0.1:1/x",
        "http://[::1",
    ],
)
def test_an_answer_goes_to_slack_and_nowhere_else(url: str) -> None:
    assert not is_slacks(url, "https://slack.com/api/")
    assert not is_slacks(url, "http://127.0.0.1:9000/api/")
    assert is_slacks("https://hooks.slack.com/commands/T1/2/x", "https://slack.com/api/")
    assert is_slacks("http://127.0.0.1:9000/actions/T1/2/x", "http://127.0.0.1:9000/api/")


def test_no_answer_is_sent_to_an_address_that_is_not_slacks(slack: Slack) -> None:
    url = slack.response_url()

    assert not ResponseUrl(url, SLACKS_API).post({"text": "a secret"})
    assert ResponseUrl(url, slack.api_url).post({"text": "a secret"})
    assert len(slack.requests) == 1


def test_it_is_used_five_times_and_not_asked_a_sixth(slack: Slack) -> None:
    url = ResponseUrl(slack.response_url(), slack.api_url)

    assert [url.post({"text": "again"}) for _ in range(USES + 1)] == [True] * USES + [False]
    assert len(slack.requests) == USES
    assert not slack.refused


def test_it_is_not_used_after_thirty_minutes(slack: Slack) -> None:
    clock = Clock()
    slack.clock = clock.seconds
    url = ResponseUrl(slack.response_url(), slack.api_url, clock.seconds)

    clock.advance(LIFETIME - 1)
    assert url.post({"text": "in time"})
    clock.advance(2)
    assert not url.post({"text": "late"})
    assert not slack.refused


def test_what_slack_calls_used_up_is_not_asked_again(slack: Slack) -> None:
    url = ResponseUrl(f"{slack.url}/actions/T0EXAMPLE1/9/unknown", slack.api_url)

    post(url, Reply("lost"))

    assert (url.usable, len(slack.requests)) == (False, 1)


def test_it_is_in_no_log_and_in_no_text_of_its_own(
    slack: Slack, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for api_url in (slack.api_url, SLACKS_API):
        url = ResponseUrl(f"{slack.url}/actions/T0EXAMPLE1/9/a-secret-of-its-own", api_url)
        url.post({"text": "lost"})
        assert "a-secret-of-its-own" not in repr(url)

    said = capsys.readouterr()
    assert "slack_reply_" in said.out + said.err
    assert "a-secret-of-its-own" not in said.out + said.err + caplog.text
