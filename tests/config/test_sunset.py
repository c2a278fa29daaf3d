"""What is told of services that end, and from when on."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import SecretStr

from service_event_checker.config.load import Config, Entry
from service_event_checker.config.models import CheckerConfig, DestinationConfig
from service_event_checker.config.sunset import SUNSETS, due, in_use

TODAY = date(2026, 11, 20)


class Anything(DestinationConfig):
    """A destination with the keys that several have."""

    url: str = ""
    api_url: str = ""
    token: SecretStr | None = None
    webhook: SecretStr | None = None


def configured(kind: str, why_off: str = "", **fields: Any) -> Config:
    entry: Entry[DestinationConfig] = Entry("one", kind, Anything(kind=kind, **fields), why_off)
    return Config(checkers=(), destinations=(entry,), rules=(), silences=(), sources=())


EMPTY = Config(checkers=(), destinations=(), rules=(), silences=(), sources=())


def test_what_ends_soonest_is_told_first() -> None:
    told = due(TODAY, ["opsgenie", "azure_devops_global_pat", "slack_verification_token"])

    assert [sunset.name for sunset in told] == ["slack_verification_token", "azure_devops_global_pat", "opsgenie"]


def test_what_is_not_in_use_or_not_known_is_not_told() -> None:
    assert due(TODAY, []) == []
    assert due(TODAY, ["fax"]) == []


@pytest.mark.parametrize(("today", "told"), [(date(2026, 4, 4), 0), (date(2026, 4, 5), 1), (date(2028, 1, 1), 1)])
def test_an_end_is_told_a_year_ahead_and_ever_after(today: date, told: int) -> None:
    assert len(due(today, ["opsgenie"])) == told


def test_the_text_says_when_and_what_to_do() -> None:
    pat = SUNSETS["azure_devops_global_pat"]

    assert "stops on 2026-12-01. If ADO_PAT" in pat.text(TODAY)
    assert "stopped on 2026-12-01" in pat.text(date(2026, 12, 1))
    assert "is retired. Set SLACK_SIGNING_SECRET" in SUNSETS["slack_verification_token"].text(TODAY)


def test_slacks_old_token_counts_only_without_the_signing_secret() -> None:
    old = {"SLACK_VERIFICATION_TOKEN": "t"}

    assert in_use(old, EMPTY) == {"slack_verification_token"}
    assert in_use({**old, "SLACK_SIGNING_SECRET": "s"}, EMPTY) == set()


@pytest.mark.parametrize(
    ("kind", "fields", "names"),
    [
        ("azure_devops", {"url": "https://dev.azure.com/acme", "token": "p"}, {"azure_devops_global_pat"}),
        ("azure_devops", {"url": "acme", "token": "p"}, {"azure_devops_global_pat"}),
        ("azure_devops", {"url": "https://acme.visualstudio.com", "token": "p"}, {"azure_devops_global_pat"}),
        ("azure_devops", {"url": "https://dev.azure.com/acme"}, set()),
        ("azure_devops", {"url": "https://tfs.acme.example", "token": "p"}, set()),
        ("teams", {"webhook": "https://acme.webhook.office.com/webhookb2/x"}, {"teams_connector"}),
        ("teams", {"webhook": "https://prod-1.westeurope.logic.azure.com/workflows/x"}, set()),
        ("opsgenie", {"url": "https://api.eu.opsgenie.com"}, {"opsgenie"}),
        ("opsgenie", {"url": "https://api.atlassian.com/jsm/ops/api/1/v1"}, set()),
        ("jira", {"url": "https://acme.atlassian.net"}, set()),
        ("jira", {"api_url": "https://acme.atlassian.net/rest/api/3/search"}, {"jira_old_search"}),
        ("jira", {"api_url": "https://jira.acme.example/rest/api/2/search"}, set()),
        ("slack", {"api_url": "https://slack.com/api/files.upload"}, {"slack_files_upload"}),
        ("slack", {"api_url": "https://slack.com/api/"}, set()),
        ("odd", {"url": "https://[::1/"}, set()),
    ],
)
def test_what_is_in_use_is_seen_in_the_configuration(kind: str, fields: dict[str, Any], names: set[str]) -> None:
    assert in_use({}, configured(kind, **fields)) == names


def test_what_is_off_is_not_in_use() -> None:
    checker: Entry[CheckerConfig] = Entry("two", "feed", None, "URL is not set")
    off = configured("opsgenie", "OPSGENIE_API_KEY is not set", url="https://api.opsgenie.com")

    assert in_use({}, off) == set()
    assert in_use({}, Config((checker,), (), (), (), ())) == set()
