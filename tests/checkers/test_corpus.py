"""Recorded payloads of many vendors, where there are any: each is read as it should be, or refused, never misread.

Set SAMPLES_DIR to a folder whose `status/` holds the files named below; they are not part of the repository.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from service_checkers import feed, statuspage
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import EventStatus, Kind, Snapshot

SAMPLES = Path(os.environ.get("SAMPLES_DIR", "/nonexistent")) / "status"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")

Read = Callable[[bytes], Snapshot]
READERS: dict[str, Read] = {
    "statuspage": lambda body: statuspage.read_file(
        statuspage.Config(kind="statuspage", url="https://status.example.com"), "vendor", body
    ),
    "feed": lambda body: feed.read_file(feed.Config(kind="feed", url="https://status.example.com/rss"), "vendor", body),
}

#: file -> (open outages, resolved outages, maintenances); what is not listed must be refused
STATUSPAGE = {
    "github/incidents_2026-08-18_five_resolved.json": (0, 5, 0),
    "github/summary_2026-09-23_indicator_none_with_open_minor_incident.json": (1, 0, 0),
    "github/summary_docs_example_critical.json": (1, 0, 2),
    "github/unresolved_active_critical.json": (1, 0, 0),
    "github/unresolved_empty.json": (0, 0, 0),
    "incident_io/compat_summary_nulls.json": (0, 0, 0),
    "incident_io/openai_compat_incidents.json": (0, 4, 0),
    "malformed/bom_utf8.json": (0, 0, 0),
    "snowflake/incidents_active.json": (1, 0, 0),
    "snowflake/incidents_empty.json": (0, 0, 0),
    "snowflake/incidents_postmortem.json": (0, 1, 0),
    "snowflake/incidents_resolved.json": (0, 1, 0),
    "statuspage/anthropic_critical.json": (0, 2, 0),
    "statuspage/atlassian_components_always_empty.json": (0, 4, 0),
    "statuspage/circleci_postmortem.json": (0, 3, 0),
    "statuspage/cloudamqp_summary_2020_maintenance_in_progress.json": (0, 0, 1),
    "statuspage/cloudflare_resolved_mixed_impact.json": (0, 4, 0),
    "statuspage/datadog_offset_times.json": (0, 3, 0),
    "statuspage/digitalocean_regions.json": (0, 2, 0),
    "statuspage/grafana_null_components.json": (0, 2, 0),
    "statuspage/stripe_display_at_after_resolution.json": (0, 1, 0),
    "statuspage/twilio_summary_2020_open_incidents_and_maintenances.json": (2, 0, 9),
}
FEED = {
    "aws/all_2026-08-18.rss": (0, 1, 0),  # two more chains just stop, months before
    "azure/status_feed_empty_2026-09-23.rss": (0, 0, 0),
    "github/history_2022-06-17_open_investigating.atom": (1, 5, 0),
    "github/history_2022-09-30_scheduled_event.atom": (0, 5, 1),
    "github/history_2026-07-09_open_update_label.atom": (1, 5, 0),
    "github/history_2026-08-22_all_resolved.atom": (0, 6, 0),
    "retool/history_empty_channel.rss": (0, 0, 0),
    "retool/history_open_investigating.rss": (1, 1, 0),
    "retool/history_open_update_label_two_open.rss": (2, 1, 0),
    "retool/history_resolved.rss": (0, 2, 0),
    "retool/history_scheduled_first.rss": (0, 2, 1),
}
FILES = sorted(str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*")) if SAMPLES.is_dir() else []


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("kind", "expected"), [("statuspage", STATUSPAGE), ("feed", FEED)])
def test_each_recorded_payload_is_read_right_or_refused(
    kind: str, expected: dict[str, tuple[int, int, int]], file: str
) -> None:
    body = (SAMPLES / file).read_bytes()

    if file not in expected:
        with pytest.raises(SourceError):
            READERS[kind](body)
        return
    assert counts(READERS[kind](body)) == expected[file]


def test_no_expected_file_has_gone_missing() -> None:
    assert {*STATUSPAGE, *FEED} <= set(FILES)


@pytest.mark.parametrize("file", [*STATUSPAGE, *FEED])
def test_every_recorded_event_has_what_people_need(file: str) -> None:
    snapshot = READERS["statuspage" if file in STATUSPAGE else "feed"]((SAMPLES / file).read_bytes())

    for event in snapshot.events:
        assert event.at is not None
        assert event.starts_at is not None
        assert event.url.startswith(("https://", "http://"))
        assert event.description or not file.startswith("github/history")
        assert "<" not in event.title


@pytest.mark.parametrize("file", [*STATUSPAGE, *FEED])
def test_half_of_a_payload_is_refused(file: str) -> None:
    body = (SAMPLES / file).read_bytes()

    with pytest.raises(SourceError):
        READERS["statuspage" if file in STATUSPAGE else "feed"](body[: len(body) // 2])


def counts(snapshot: Snapshot) -> tuple[int, int, int]:
    """Return how many outages are open and resolved, and how many maintenances there are."""
    found = Counter((event.kind, event.status) for event in snapshot.events)
    maintenances = sum(number for (kind, _), number in found.items() if kind is Kind.MAINTENANCE)
    return found[Kind.OUTAGE, EventStatus.FIRING], found[Kind.OUTAGE, EventStatus.RESOLVED], maintenances
