"""Page, API and command line show that an alert flaps and what a receiver waits for, as wired from config.json."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.engine.services import Services
from tests.cli.runner import Terminal
from tests.factories import event
from tests.web.conftest import CONFIG, MakeApp

MINUTE = timedelta(minutes=1)


def flap(services: Services, changes: int) -> str:
    """Let an alert change its state each minute until now; return its internal ID."""
    for number in range(changes):
        at = datetime.now(UTC) - (changes - number) * MINUTE
        status = EventStatus.RESOLVED if number % 2 else EventStatus.FIRING
        (alert,) = services.pipeline.ingest([event(status=status, starts_at=at, at=at)], at).values()
    return alert.internal_id


def test_an_alert_that_flaps_is_shown_with_its_true_status(client: FlaskClient, services: Services) -> None:
    id = flap(services, 7)

    shown = client.get(f"/api/v1/alerts/{id}").json

    assert (shown["flapping"], shown["status"], shown["episode"]) == (True, "firing", 4)
    assert ">flapping<" in client.get("/").text


def test_the_command_line_shows_it_as_well(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, CONFIG)
    id = flap(terminal.services, 6)

    answer = terminal.run("show", id)

    assert answer.output.splitlines()[0].split() == [id, "resolved", "error", "outage", "flapping"]


def test_what_a_receiver_waits_for_is_shown_until_the_tick_tells_it(make_app: MakeApp) -> None:
    config: dict[str, Any] = {**CONFIG, "rules": [{"name": "long", "send": ["chat"], "for": "5m"}]}
    app = make_app(config)
    services: Services = app.extensions["services"]
    began = datetime.now(UTC) - 3 * MINUTE
    (alert,) = services.pipeline.ingest([event()], began).values()
    path = f"/api/v1/alerts/{alert.internal_id}"

    waiting = app.test_client().get(path).json
    services.pipeline.release(began + 5 * MINUTE)
    told = app.test_client().get(path).json

    (entry,) = [each for each in waiting["deliveries"] if each["receiver"] == "chat"]
    assert entry["state"] == "withheld"
    assert entry["why"].startswith("waits: must fire for 5m, until ")
    assert [each["state"] for each in told["deliveries"] if each["receiver"] == "chat"] == ["waiting"]
