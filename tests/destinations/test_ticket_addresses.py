"""Where people open a ticket: told in chats, mails and other tickets, so without what we sign in with."""

from __future__ import annotations

import pytest

from service_event_checker.destinations.azure_devops.client import WorkItems
from service_event_checker.destinations.azure_devops.credentials import PersonalToken
from service_event_checker.destinations.jira.client import Jira
from service_event_checker.destinations.redmine.client import Issues
from service_event_checker.destinations.servicenow.client import Incidents

BASE = "https://proxy:canary-password@tickets.example:8443/base"


@pytest.mark.parametrize(
    "address",
    [
        WorkItems(BASE, "shop", PersonalToken("canary-pat"), 5).address("1"),
        Issues(BASE, "canary-key", 5).address(1),
        Incidents(BASE, "jane", "canary-key", 5).address("a" * 32),
        Jira(BASE, "server", "", "canary-token", 5).address("OPS-1"),
    ],
)
def test_the_address_of_a_ticket_holds_no_password(address: str) -> None:
    assert address.startswith("https://tickets.example:8443/base/")
    assert "canary" not in address
