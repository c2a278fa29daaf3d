"""The business rule that we ship sends what we read: run by Node, with stand-ins for what ServiceNow gives a script."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.destinations.servicenow.adapter import Adapter, Config
from tests.conftest import require
from tests.real.parts import NODE
from tests.root import ROOT

RULE = ROOT / "deploy" / "servicenow" / "business_rule.js"
STAGE = Path(__file__).with_name("business_rule_stage.js")
SYS_ID = "ef43c6d40a0a0b5700c77f9bf387afe3"
PROPERTIES = {"outage_checker.url": "https://outages.example/hooks/servicenow", "outage_checker.token": "t0ken"}


def run(state: str = "1", user: str = "ada", written: dict[str, str] | None = None, **current: Any) -> dict[str, Any]:
    """Return what the rule sends when a person changes an incident that was new; {} when it sends nothing."""
    require(NODE)
    columns = {"sys_id": SYS_ID, "number": "INC0000050", "sys_updated_on": "2026-11-20 03:00:00", "sys_mod_count": "7"}
    keys = {"correlation_id": "ab", "correlation_display": "poc-3518c69b3ca23c9bcc46 0123456789abcdef"}
    told = {
        "current": {**columns, **keys, "state": state, **current},
        "previous": {"state": "1"},
        "written": written or {},
        "properties": PROPERTIES,
        "user": user,
    }
    ran = subprocess.run(
        [str(NODE.find()), str(STAGE), str(RULE), json.dumps(told)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stderr == ""
    sent: dict[str, Any] = json.loads(ran.stdout) if ran.stdout else {}
    return sent


def test_a_change_of_state_with_both_notes_is_sent_and_read():
    sent = run(state="2", written={"work_notes": "line one\nline two", "comments": "hello"})

    assert sent["url"] == "https://outages.example/hooks/servicenow"
    assert sent["headers"] == {"Content-Type": "application/json", "X-Webhook-Token": "t0ken"}
    config = Config(url="https://sn.example", username="outage.checker", password="p")
    events = Adapter("servicenow", config).parse(sent["headers"], json.loads(sent["body"]))
    assert [(event.status, event.note, event.note_id) for event in events] == [
        (EventStatus.ACKNOWLEDGED, "", ""),
        (EventStatus.NOTED, "line one\nline two", "7:2026-11-20 03:00:00:work_notes"),
        (EventStatus.NOTED, "hello", "7:2026-11-20 03:00:00:comments"),
    ]
    assert {event.ref for event in events} == {("servicenow", SYS_ID)}
    assert {event.actor for event in events} == {"Ada L."}
    assert events[0].at
    assert events[0].at.isoformat() == "2026-11-20T03:00:00+00:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "2", "user": "outage.checker"},
        {"state": "2", "correlation_display": "another tool"},
        {"state": "2", "correlation_display": None},
        {"assigned_to": "somebody"},
    ],
)
def test_our_own_changes_other_incidents_and_other_columns_are_not_sent(changes):
    assert run(**changes) == {}
