"""The fixtures of the Slack tests: our app, wired to a Slack, two status pages and an Azure DevOps on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.destinations.azure_devops.double import AzureDevOps
from tests.destinations.slack.double import Slack
from tests.doubles.statuspages import StatusPages
from tests.web.conftest import MakeApp
from tests.web.slack.caller import SECRET, SlackCaller


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack() as running:
        yield running


@pytest.fixture
def pages() -> Iterator[StatusPages]:
    with StatusPages() as running:
        yield running


@pytest.fixture
def devops() -> Iterator[AzureDevOps]:
    with AzureDevOps() as running:
        yield running


def config(pages: StatusPages) -> dict[str, Any]:
    return {
        "checkers": {
            "github": {"kind": "statuspage", "url": pages.page("github").url, "timeout": "1s"},
            "azure_devops": {"kind": "statuspage", "url": pages.page("devops").url, "timeout": "1s"},
            "office365": {"kind": "statuspage", "url": "env:O365_URL"},
        },
        "destinations": {
            "slack": {"kind": "slack", "timeout": "1s"},
            "tickets": {"kind": "azure_devops", "url": "env:ADO_ORG_URL", "project": "env:ADO_PROJECT"},
        },
        "rules": [{"name": "outages", "match": ['kind="outage"'], "send": ["slack"]}],
    }


@pytest.fixture
def environ(slack: Slack, devops: AzureDevOps) -> dict[str, str]:
    return {
        "SLACK_SIGNING_SECRET": SECRET,
        "SLACK_BOT_TOKEN": slack.token,
        "SLACK_API_URL": slack.api_url,
        "ADO_ORG_URL": devops.org_url,
        "ADO_PROJECT": devops.project,
        "ADO_PAT": devops.pat,
        "PUBLIC_URL": "https://outages.example.com",
    }


@pytest.fixture
def app(make_app: MakeApp, pages: StatusPages, environ: dict[str, str]) -> Flask:
    return make_app(config(pages), **environ)


@pytest.fixture
def people(app: Flask) -> SlackCaller:
    return SlackCaller(app.test_client())
