"""The lines at the start: what people look for first, in few of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from service_event_checker.core.model import Slot
from service_event_checker.engine import summary
from service_event_checker.engine.services import Part, Services
from tests.factories import NOW

PARTS = (
    Part(section="checker", name="github", kind="statuspage", on=True, state="on"),
    Part(section="checker", name="azure", kind="azure", on=False, state="AZURE_TENANT_ID is not set"),
    Part(
        section="destination", name="chat", kind="slack", on=True, state="TOKEN is not set; messages go to the console"
    ),
    Part(section="destination", name="tickets", kind="jira", on=False, state="JIRA_URL is not set"),
)


def said(services: Services) -> dict[str, dict[str, Any]]:
    with capture_logs() as lines:
        summary.log_start(services, 8123)
    assert len(lines) <= 7  # an eighth warns of an open port
    return {line["event"]: line for line in lines}


def test_the_start_says_where_what_whom_and_what_is_off(services: Services) -> None:
    lines = said(replace(services, parts=PARTS))

    assert lines["started"]["open"] == "http://127.0.0.1:8123/"
    assert (lines["watching"]["pages"], lines["watching"]["names"]) == (1, "github")
    assert lines["telling"]["receivers"] == "chat: TOKEN is not set; messages go to the console"
    assert lines["checkers_off"]["why"] == "azure: AZURE_TENANT_ID is not set"
    assert lines["destinations_off"]["why"] == "tickets: JIRA_URL is not set"
    assert lines["rules"]["names"] == "all"
    assert "API_TOKENS is not set" in lines["who_may_call"]["page_and_api"]


def test_a_service_that_tells_nobody_says_so(services: Services) -> None:
    lines = said(replace(services, parts=()))

    assert lines["watching"]["names"] == "none: no checker is on"
    assert lines["telling"]["receivers"] == "nobody: no destination is on"


def test_the_address_to_open_is_the_public_one_and_tokens_are_named_not_shown(services: Services) -> None:
    settings = replace(
        services.settings,
        public_url="https://outages.example.com",
        api_tokens="ops:read:canary-of-the-api",
        webhook_tokens={"WEBHOOK_TOKEN": "canary-of-the-hook"},
    )
    lines = said(replace(services, settings=settings))

    assert lines["started"]["open"] == "https://outages.example.com/"
    assert lines["who_may_call"]["page_and_api"] == "callers with a token of API_TOKENS"
    assert lines["who_may_call"]["webhooks"] == "senders with the token of WEBHOOK_TOKEN"
    assert "canary" not in str(lines)


@pytest.mark.parametrize(
    ("slot", "readable", "why"),
    [
        (None, 0, "github: not read yet"),
        (Slot(name="github", due_at=NOW, last_success_at=NOW), 1, "none"),
        (Slot(name="github", due_at=NOW, unknown_since=NOW, unknown_reason="timeout"), 0, "github: timeout"),
        (
            Slot(
                name="github",
                due_at=NOW,
                last_success_at=NOW - timedelta(1),
                unknown_since=NOW,
                unknown_reason="refused",
            ),
            0,
            "github: refused",
        ),
    ],
)
def test_a_minute_later_it_says_how_many_pages_can_be_read(
    services: Services, slot: Slot | None, readable: int, why: str
) -> None:
    if slot:
        services.store.put_slot(slot)

    with capture_logs() as lines:
        summary.log_sources(services)

    (line,) = lines
    assert (line["event"], line["readable"], line["of"], line["unreadable"]) == ("pages_readable", readable, 1, why)
    assert line["log_level"] == ("info" if readable else "warning")
