"""Recorded payloads of Azure and Microsoft 365, where there are any: each is read as it should be, or refused.

Set SAMPLES_DIR to a folder whose `status/` holds the files named below; they are not part of the repository.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from service_checkers.azure import checker as azure
from service_checkers.office365 import checker as office365
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind

SAMPLES = Path(os.environ.get("SAMPLES_DIR", "/nonexistent")) / "status"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")

Read = Callable[[bytes], Snapshot]
READERS: dict[str, Read] = {
    "azure": lambda body: azure.read_file(azure.Config(kind="azure"), "azure", body),
    "office365": lambda body: office365.read_file(office365.Config(kind="office365"), "office365", body),
}

#: file -> (open outages, resolved outages, open maintenances, resolved maintenances); what is not listed is refused
AZURE = {
    "azure/events_empty.json": (0, 0, 0, 0),
    "azure/events_real_health_advisories_retirement.json": (0, 0, 0, 0),
    "azure/events_real_planned_maintenance.json": (0, 0, 1, 3),
    "azure/events_real_reopened_service_issue.json": (1, 0, 0, 0),
    "azure/events_real_resolved_service_issues_PIR.json": (0, 3, 0, 0),
    "azure/events_rest_active_two_services_sentinel_time.json": (1, 0, 0, 0),
    "azure/events_subscription_2024-02-01_page1_with_nextLink.json": (1, 0, 0, 0),
    "o365/issues_empty.json": (0, 0, 0, 0),
}
OFFICE365 = {
    "azure/events_empty.json": (0, 0, 0, 0),
    "o365/issues_2021_real_resolved_advisory_and_PIR.json": (0, 2, 0, 0),
    "o365/issues_active_real_shaped_2026.json": (1, 0, 0, 0),
    "o365/issues_docs_page1_nextLink.json": (0, 1, 0, 0),
    "o365/issues_empty.json": (0, 0, 0, 0),
}
LISTED = [*(("azure", name) for name in AZURE), *(("office365", name) for name in OFFICE365)]
FILES = sorted(str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*")) if SAMPLES.is_dir() else []


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("kind", "expected"), [("azure", AZURE), ("office365", OFFICE365)])
def test_each_recorded_payload_is_read_right_or_refused(
    kind: str, expected: dict[str, tuple[int, int, int, int]], file: str
) -> None:
    body = (SAMPLES / file).read_bytes()

    if file not in expected:
        with pytest.raises(SourceError):
            READERS[kind](body)
        return
    assert counts(READERS[kind](body)) == expected[file]


def test_no_expected_file_has_gone_missing() -> None:
    assert {*AZURE, *OFFICE365} <= set(FILES)


@pytest.mark.parametrize(("kind", "file"), LISTED)
def test_every_recorded_event_has_what_people_need(kind: str, file: str) -> None:
    for event in READERS[kind]((SAMPLES / file).read_bytes()).events:
        assert event.at is not None
        assert event.starts_at is not None
        assert event.at >= event.starts_at
        assert event.url.startswith("https://")
        assert event.description
        assert event.labels["service"]
        assert "<" not in event.title + event.description


@pytest.mark.parametrize(("kind", "file"), LISTED)
def test_half_of_a_payload_is_refused(kind: str, file: str) -> None:
    body = (SAMPLES / file).read_bytes()

    with pytest.raises(SourceError):
        READERS[kind](body[: len(body) // 2])


def test_a_mitigation_time_does_not_end_an_event_that_was_opened_again() -> None:
    (event,) = READERS["azure"]((SAMPLES / "azure/events_real_reopened_service_issue.json").read_bytes()).events

    assert event.status is EventStatus.FIRING


def counts(snapshot: Snapshot) -> tuple[int, int, int, int]:
    """Return how many outages are open and resolved, and how many maintenances."""
    found = Counter((event.kind, event.status) for event in snapshot.events)
    kinds, states = (Kind.OUTAGE, Kind.MAINTENANCE), (EventStatus.FIRING, EventStatus.RESOLVED)
    outages, works = ([found[kind, status] for status in states] for kind in kinds)
    return outages[0], outages[1], works[0], works[1]
