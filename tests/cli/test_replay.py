"""`outage replay` on a stored week: equal to what was worked out by hand, without a single connection."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.model import Event
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Settled
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.engine.outcomes import outcome_step
from service_event_checker.engine.services import Services
from tests.cli.runner import Terminal

WEEK = Path(__file__).parent / "data" / "replay_week"
CREDENTIALS = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "REDMINE_API_KEY": "k",
    "PAGERDUTY_API_KEY": "p",
    "PAGERDUTY_SERVICE_ID": "S1",
    "PAGERDUTY_EMAIL": "ops@example.com",
}


def read(name: str) -> Any:
    return json.loads((WEEK / name).read_text())


def ago(text: str, now: datetime) -> datetime:
    return now - timedelta(hours=int(text.strip("-h")))


def happened(step: dict[str, Any], at: datetime) -> Event:
    """What a line of week.json says. An end leaves out what the alert is."""
    status = EventStatus(step.get("status", "firing"))
    person = step.get("by", "")
    return Event(
        source="alertmanager",
        fingerprint=step["alert"],
        kind=Kind.ALERT,
        status=status,
        title=step.get("title", ""),
        severity=Severity(step.get("severity", "info")),
        severity_told="severity" in step,
        labels={"team": step["team"]} if "team" in step else {},
        at=at,
        starts_at=at if status is EventStatus.FIRING and "title" in step else None,
        intake="/alert",
        actor=person,
        person=bool(person),
        note=step.get("note", ""),
        test=step.get("test", False),
    )


def deliver(store: Store, receivers: tuple[str, ...], at: datetime) -> None:
    """Settle all that is due, with its row of the ledger, as the outbox does."""
    for receiver in receivers:
        while claimed := store.claim(receiver, limit=50, owner="w", now=at, until=at + timedelta(minutes=1)):
            for each in claimed:
                done = Settled()
                store.settle(each.delivery, done, at, None, outcome_step(each, done, at))


def live_through(services: Services, steps: list[dict[str, Any]], now: datetime) -> None:
    """Take in the week as it came, deliver at once, and archive now and then."""
    for step in steps:
        at = ago(step["at"], now)
        services.pipeline.ingest([happened(step, at)], at)
        services.pipeline.release(at)
        deliver(services.store, ("slack", "redmine", "pagerduty"), at + timedelta(seconds=2))
        services.store.archive(at)


def with_times(config: dict[str, Any], now: datetime) -> dict[str, Any]:
    for silence in config.get("silences", ()):
        for name in ("starts_at", "ends_at"):
            silence[name] = ago(silence[name], now).isoformat()
    return config


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def terminal(tmp_path: Path, now: datetime) -> Terminal:
    made = Terminal(tmp_path, read("old.json"), **CREDENTIALS)
    assert [name for name, each in made.services.book.receivers.items() if each.why_off] == []
    live_through(made.services, read("week.json"), now)
    (tmp_path / "new.json").write_text(json.dumps(with_times(read("new.json"), now)))
    return made


@pytest.fixture
def new_file(terminal: Terminal) -> str:
    return str(terminal.file.parent / "new.json")


def changes(answer: Any) -> dict[str, Any]:
    """The answer in the form of expected.json."""
    shown = json.loads(answer.stdout)
    found = {name: shown[name] for name in ("messages", "tickets", "pages", "further")}
    rows = [
        {name: value for name, value in row.items() if name != "alerts"}
        | {"titles": sorted(alert["title"] for alert in row["alerts"])}
        for row in shown["changes"]
    ]
    return found | {"changes": rows}


def test_a_week_is_replayed_to_what_was_worked_out_by_hand(terminal: Terminal, new_file: str) -> None:
    answer = terminal.run("replay", "--days", "7", "--config", new_file, "--json")

    assert changes(answer) == read("expected.json")


def test_the_rules_of_the_week_themselves_change_nothing(terminal: Terminal) -> None:
    answer = terminal.run("replay", "--config", str(terminal.file), "--json")

    shown = json.loads(answer.stdout)
    assert shown["changes"] == []
    assert not any("differ" in each for each in shown["cannot_know"])
    assert terminal.run("replay", "--config", str(terminal.file)).stdout.startswith(
        f"config.json would have told the same: {shown['alerts']} alerts"
    )


def test_no_socket_is_opened(terminal: Terminal, new_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    class Refused(socket.socket):
        def __init__(self, *args: Any, **more: Any) -> None:
            opened.append(args)
            raise OSError("no socket may be opened here")

    monkeypatch.setattr(socket, "socket", Refused)

    answer = terminal.run("replay", "--config", new_file, "--json")

    assert (answer.exit_code, opened) == (0, [])
    assert changes(answer) == read("expected.json")


def test_nothing_is_written(terminal: Terminal, new_file: str) -> None:
    before = terminal.services.store.recorded(datetime.now(UTC) - timedelta(days=30))

    terminal.run("replay", "--config", new_file)

    assert terminal.services.store.recorded(datetime.now(UTC) - timedelta(days=30)) == before
    assert terminal.services.store.waiting() == 0


def test_the_table_names_rule_receiver_and_an_example(
    terminal: Terminal, new_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = terminal.run("replay", "--config", new_file).stdout.splitlines()

    rows = [line.split() for line in lines]
    assert ["pages", "+2", "-0"] in rows
    (ticket,) = [row for row in rows if row[:5] == ["shop", "tickets", "redmine", "ticket", "open"]]
    assert ticket[5] == "1"
    assert ticket[-2:] == ["Disk", "fills"]
    assert "What this cannot know:" in lines
    assert "- Test alerts, which are left out: 1." in lines


def test_a_receiver_that_is_off_is_named(terminal: Terminal, new_file: str) -> None:
    del terminal.environ["REDMINE_API_KEY"]

    answer = terminal.run("replay", "--config", new_file)

    assert "redmine is off here and is told nothing: REDMINE_API_KEY is not set" in answer.stdout


def test_a_wrong_file_is_explained_and_nothing_is_replayed(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text('{"rules": [{"name": "a", "send": ["nobody"]}]}')

    answer = terminal.run("replay", "--config", str(tmp_path / "wrong.json"))

    assert answer.exit_code == 1
    assert "wrong.json cannot be used" in answer.output
    assert terminal.run("replay", "--config", str(tmp_path / "missing.json")).exit_code == 2
    assert terminal.run("replay", "--config", str(tmp_path / "wrong.json"), "--days", "0").exit_code == 2
