"""GET /api/v1/vendors: the record of a vendor, as JSON and as CSV; and `outage vendor`, which shows the same."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.engine.services import Services
from tests.cli.runner import Terminal
from tests.factories import event
from tests.web.conftest import CONFIG

PATH = "/api/v1/vendors"


def history(services: Services) -> None:
    """An outage that lasted an hour, a day ago, and was posted ten minutes late; and one that is open."""
    now = datetime.now(UTC).replace(microsecond=0)
    start = now - timedelta(days=1)
    late = event(title='=HYPERLINK("x")', at=start, starts_at=start, posted_at=start + timedelta(minutes=10))
    services.pipeline.ingest([late], start)
    end = start + timedelta(hours=1)
    services.pipeline.ingest([replace(late, status=EventStatus.RESOLVED, at=end)], end)
    begun = now - timedelta(minutes=5)
    services.pipeline.ingest([event(fingerprint="2", at=begun, starts_at=begun, posted_at=begun)], begun)


def test_a_vendors_record_is_worked_out_from_what_is_stored(services: Services, client: FlaskClient) -> None:
    history(services)

    found = client.get(f"{PATH}/github?days=7").json

    assert (found["outages"], found["without_impact"], found["retracted"], found["complete"]) == (2, 2, 0, True)
    assert found["minutes_lost"] == pytest.approx(65, abs=0.5)
    assert (found["median_lag_seconds"], found["max_lag_seconds"]) == (300, 600)
    assert (found["median_symptom_lag_seconds"], [each["explained"] for each in found["posted"]]) == (None, [0, 0])
    first = client.get(PATH).json["vendors"][0]
    assert (first["name"], first["outages"], "posted" in first) == ("github", 2, False)


@pytest.mark.parametrize("way", ["accept", "format"])
def test_the_outages_come_as_csv_that_no_table_program_runs(services: Services, client: FlaskClient, way: str) -> None:
    history(services)

    asked = {"headers": {"Accept": "text/csv"}} if way == "accept" else {"query_string": {"format": "csv"}}
    answer = client.get(f"{PATH}/github", **asked)

    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["title"] for row in rows][0] == '\'=HYPERLINK("x")'
    assert [row["lag_seconds"] for row in rows] == ["600.0", "0.0"]
    assert client.get(f"{PATH}/github").is_json


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("github?days=0", 422),
        ("github?days=x", 422),
        ("github?day=1", 422),
        ("github?format=xml", 422),
        ("nobody", 404),
    ],
)
def test_what_cannot_be_answered_is_named(client: FlaskClient, address: str, status: int) -> None:
    answer = client.get(f"{PATH}/{address}")

    assert (answer.status_code in (400, 422), answer.status_code == 404) == (status == 422, status == 404)


def test_the_command_line_shows_the_same(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, CONFIG)
    history(terminal.services)

    lines = terminal.run("vendor", "github", "--days", "7").output.splitlines()
    table = terminal.run("vendor", "github", "--csv").output

    assert lines[0].startswith("github, last 7 days: 2 outages on ")
    assert lines[1] == "Posted after its own start: median 5 min, at most 10 min"
    assert lines[2] == "Posted after our first alert: not known"
    assert len(list(csv.reader(io.StringIO(table)))) == 3
    assert terminal.run("vendor", "nobody").exit_code == 2
