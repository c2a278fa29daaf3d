"""What is told of services that end, and from when on."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from service_event_checker.config.load import Config, Entry
from service_event_checker.config.sunset import due
from service_event_checker.destinations.azure_devops.config import GLOBAL_PAT
from service_event_checker.destinations.opsgenie.config import OPSGENIE_ENDS
from service_event_checker.plugins import destination_config
from service_event_checker.web.slack.signature import VERIFICATION_TOKEN, sunsets

TODAY = date(2026, 11, 20)


def configured(kind: str, why_off: str = "", **fields: Any) -> Config:
    model = destination_config(kind)
    assert model
    entry = Entry("one", kind, model.model_validate({"kind": kind, **fields}), why_off)
    return Config(checkers=(), destinations=(entry,), rules=(), silences=(), sources=())


def test_what_ends_soonest_is_told_first_and_once() -> None:
    told = due(TODAY, [OPSGENIE_ENDS, GLOBAL_PAT, VERIFICATION_TOKEN, GLOBAL_PAT])

    assert told == [VERIFICATION_TOKEN, GLOBAL_PAT, OPSGENIE_ENDS]


def test_what_is_not_in_use_is_not_told() -> None:
    assert due(TODAY, []) == []


@pytest.mark.parametrize(("today", "told"), [(date(2026, 4, 4), 0), (date(2026, 4, 5), 1), (date(2028, 1, 1), 1)])
def test_an_end_is_told_a_year_ahead_and_ever_after(today: date, told: int) -> None:
    assert len(due(today, [OPSGENIE_ENDS])) == told


def test_the_text_says_when_and_what_to_do() -> None:
    assert "stops on 2026-12-01. If ADO_PAT" in GLOBAL_PAT.text(TODAY)
    assert "stopped on 2026-12-01" in GLOBAL_PAT.text(date(2026, 12, 1))
    assert "is retired. Set SLACK_SIGNING_SECRET" in VERIFICATION_TOKEN.text(TODAY)


def test_slacks_old_token_counts_only_without_the_signing_secret() -> None:
    old = {"SLACK_VERIFICATION_TOKEN": "t"}

    assert sunsets(old) == (VERIFICATION_TOKEN,)
    assert sunsets({**old, "SLACK_SIGNING_SECRET": "s"}) == ()


@pytest.mark.parametrize(
    ("kind", "fields", "ending"),
    [
        ("azure_devops", {"url": "https://dev.azure.com/acme", "token": "p"}, [GLOBAL_PAT]),
        ("azure_devops", {"url": "acme", "token": "p"}, [GLOBAL_PAT]),
        ("azure_devops", {"url": "https://acme.visualstudio.com", "token": "p"}, [GLOBAL_PAT]),
        ("azure_devops", {"url": "https://dev.azure.com/acme"}, []),
        ("azure_devops", {"url": "https://tfs.acme.example", "token": "p"}, []),
        ("opsgenie", {"url": "https://api.eu.opsgenie.com"}, [OPSGENIE_ENDS]),
        ("opsgenie", {"url": "https://api.atlassian.com/jsm/ops/api/1/v1"}, []),
        ("jira", {"url": "https://acme.atlassian.net"}, []),
    ],
)
def test_what_is_in_use_is_seen_in_the_configuration(kind: str, fields: dict[str, Any], ending: list[Any]) -> None:
    assert list(configured(kind, **fields).sunsets()) == ending


def test_what_is_off_is_not_in_use() -> None:
    off = configured("opsgenie", "OPSGENIE_API_KEY is not set", url="https://api.opsgenie.com")

    assert off.sunsets() == ()
    assert Config((Entry("two", "feed", None, "URL is not set"),), (), (), (), ()).sunsets() == ()
