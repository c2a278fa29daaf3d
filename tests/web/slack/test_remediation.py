"""Actions from Slack: a run is requested by command, and approved by command or button, in a signed person's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.audit import verify
from service_event_checker.core.model import Alert
from service_event_checker.engine.services import Services
from tests.destinations.slack.double import Slack
from tests.doubles.statuspages import StatusPages
from tests.factories import event
from tests.web.conftest import MakeApp
from tests.web.slack.caller import SlackCaller
from tests.web.slack.conftest import config
from tests.web.slack.test_buttons import Ingest, pay, press

RUN = "restart_service service_name=nginx"


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    script = tmp_path / "restart.sh"
    script.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/ran\n')
    script.chmod(0o755)
    return tmp_path / "ran"


@pytest.fixture
def app(make_app: MakeApp, pages: StatusPages, environ: dict[str, str], ran: Path) -> Any:
    action = {
        "kind": "script",
        "path": str(ran.parent / "restart.sh"),
        "args": ["{service_name}"],
        "parameters": {"service_name": "nginx"},
        "approval": {"by": ["U0ALICE001", "U0ALICE"]},
        "cooldown": 0,
    }
    return make_app({**config(pages), "actions": {"restart_service": action}}, **environ)


@pytest.fixture
def alert(ingest: Ingest, services: Services) -> Alert:
    found = ingest(event())
    pay(services)
    return found


def work(services: Services) -> None:
    for run in services.runs.records.open_ids():
        services.runs.step(run)


def waiting(services: Services) -> str:
    (run,) = services.runs.records.open()
    return run.request.id


def answers(slack: Slack) -> dict[str, str]:
    """Return the buttons of the newest message that answer for a run: action_id -> value."""
    rows = [block["elements"] for block in slack.roots()[-1].blocks if block["type"] == "actions"]
    return {each["action_id"]: each["value"] for row in rows[1:] for each in row}


def test_a_run_is_requested_and_approved_by_commands(
    people: SlackCaller, services: Services, alert: Alert, ran: Path
) -> None:
    asked = people.command("/Act", f"{alert.internal_id} {RUN}", user_id="U0EVE00001", user_name="eve")
    refused = people.command("/Approve", waiting(services), user_id="U0EVE00001", user_name="eve")
    work(services)
    assert "waits for 1 approval" in asked
    assert "names other people" in refused
    assert not ran.exists()

    approved = people.command("/approve", waiting(services).upper())
    work(services)

    assert "You have approved restart_service (service_name=nginx). It starts now." in approved
    assert ran.read_text() == "nginx\n"
    assert verify(services.store.audit.list()).broken == ()


def test_the_message_has_buttons_while_a_run_waits(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert, ran: Path
) -> None:
    people.command("/Act", f"{alert.internal_id} {RUN}")
    pay(services)
    found = answers(slack)

    said = press(people, slack, "approve_run", found["approve_run"])
    work(services)
    pay(services)

    assert "It starts now" in said
    assert ran.read_text() == "nginx\n"
    assert answers(slack) == {}


def test_a_refusal_by_button_ends_it(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert, ran: Path
) -> None:
    people.command("/Act", f"{alert.internal_id} {RUN}")
    pay(services)
    found = answers(slack)

    press(people, slack, "refuse_run", found["refuse_run"])
    late = press(people, slack, "approve_run", found["approve_run"])
    work(services)

    assert "it is refused" in late
    assert not ran.exists()


def test_a_forged_button_and_one_for_another_act_approve_nothing(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert, ran: Path
) -> None:
    people.command("/Act", f"{alert.internal_id} {RUN}")
    pay(services)
    found = answers(slack)
    forged = found["refuse_run"].replace(":no_", ":ok_")

    assert "cannot be verified" in press(people, slack, "approve_run", forged)
    assert "cannot be verified" in press(people, slack, "approve_run", found["refuse_run"])
    work(services)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("GITHUB-0000 restart_service", "Unknown ID"),
        ("{id}", "Configured actions: `restart_service`"),
        ("{id} restart_service nginx", "Write it like"),
        ("{id} rm service_name=nginx", "Configured: restart_service"),
        ("{id} restart_service service_name=;id", "does not match nginx"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(
    people: SlackCaller, services: Services, alert: Alert, text: str, said: str
) -> None:
    assert said in people.command("/Act", text.format(id=alert.internal_id))
    assert services.runs.records.open() == []


def test_an_unknown_run_is_not_answered(people: SlackCaller, alert: Alert) -> None:
    assert "There is no run `xyz`" in people.command("/Approve", "xyz")
    assert "none waits" in people.command("/Approve", "")
