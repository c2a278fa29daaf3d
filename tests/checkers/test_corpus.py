"""Recorded payloads of many vendors, where there are any: each is read as it should be, or refused, never misread.

Set SAMPLES_DIR to a folder whose `status/` holds the files named below; they are not part of the repository.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from service_checkers import azure_devops, salesforce, slack
from service_checkers.feed import checker as feed
from service_checkers.json_page import checker as json_page
from service_checkers.json_page.mapping import preset_names
from service_checkers.statuspage import checker as statuspage
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind

SAMPLES = Path(os.environ.get("SAMPLES_DIR", "/nonexistent")) / "status"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")

Read = Callable[[bytes], Snapshot]
READERS: dict[str, Read] = {
    "statuspage": lambda body: statuspage.read_file(
        statuspage.Config(kind="statuspage", url="https://status.example.com"), "vendor", body
    ),
    "feed": lambda body: feed.read_file(feed.Config(kind="feed", url="https://status.example.com/rss"), "vendor", body),
    "azure_devops": lambda body: azure_devops.read_file(
        azure_devops.Config(kind="azure_devops", url="https://status.dev.azure.com"), "vendor", body
    ),
    "slack": lambda body: slack.read_file(slack.Config(kind="slack", url="https://slack-status.com"), "vendor", body),
    "salesforce": lambda body: salesforce.read_file(
        salesforce.Config(kind="salesforce", instances=("NA137",)), "vendor", body
    ),
}


def preset(name: str, body: bytes) -> Snapshot:
    config = json_page.Config(kind="json_page", url="https://status.example.com", preset=name)
    return json_page.read_file(config, "vendor", body)


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
AZURE_DEVOPS = {
    "azure_devops/health_all_healthy.json": (0, 0, 0),
    "azure_devops/health_geo_EU_healthy.json": (0, 0, 0),
    "azure_devops/health_geo_US_advisory_only.json": (0, 0, 0),
    "azure_devops/health_geo_US_degraded_pipelines.json": (1, 0, 0),
    "azure_devops/health_geo_US_healthy.json": (0, 0, 0),
    "azure_devops/health_geo_US_overall_unhealthy_but_geo_healthy.json": (0, 0, 0),
    "azure_devops/health_geo_US_unhealthy_plus_advisory.json": (2, 0, 0),
    "azure_devops/health_unknown_empty_geographies.json": (0, 0, 0),
}
SLACK = {
    "slack/current_active_docs.json": (1, 0, 0),
    "slack/current_active_from_history_2026-08-18.json": (1, 0, 0),
    "slack/current_active_two_incidents_2020.json": (2, 0, 0),
    "slack/current_maintenance_scheduled.json": (0, 0, 1),
    "slack/current_ok_docs.json": (0, 0, 0),
    "slack/current_ok_live_2026-09-23.json": (0, 0, 0),
    "slack/current_v1_active.json": (1, 0, 0),
    "slack/history_2026-08-18_one_active.json": (1, 4, 0),
}
SALESFORCE = {
    "salesforce/incident_active_2020.json": (1, 0, 0),
    "salesforce/incidents_2026_resolved_and_active.json": (1, 1, 0),
    "salesforce/incidents_active_empty.json": (0, 0, 0),
    "salesforce/instances_status_2020_one_minor_core.json": (1, 0, 0),
}
PRESETS = {
    "aws/currentevents_empty.json": ("aws", (0, 0, 0)),
    "aws/currentevents_empty.utf16.json": ("aws", (0, 0, 0)),
    "aws/currentevents_ongoing.json": ("aws", (2, 0, 0)),
    "aws/currentevents_ongoing.utf16.json": ("aws", (2, 0, 0)),
    "aws/currentevents_resolved.json": ("aws", (0, 1, 0)),
    "aws/currentevents_resolved.utf16.json": ("aws", (0, 1, 0)),
    "better_stack/index_resolved_report_ends_at_null.json": ("better_stack", (0, 1, 0)),
    "cachet/v2_incidents_memory.json": ("cachet_v2", (0, 1, 0)),
    "cachet/v3_incidents_docs.json": ("cachet_v3", (1, 1, 0)),
    "google_cloud/incidents_2026_two_resolved.json": ("google_cloud", (0, 2, 0)),
    "google_cloud/incidents_active_rewound.json": ("google_cloud", (1, 0, 0)),
    "google_cloud/incidents_empty.json": ("google_cloud", (0, 0, 0)),
    "heroku/current_status_2019_open.json": ("heroku", (1, 0, 0)),
    "heroku/current_status_2020_maintenance.json": ("heroku", (0, 0, 1)),
    "incident_io/proxy_summary_ongoing.json": ("incident_io", (1, 0, 0)),
    "incident_io/widget_summary_empty_neon.json": ("incident_io", (0, 0, 0)),
    "instatus/summary_hasissues.json": ("instatus", (1, 0, 1)),
    "instatus/summary_legacy_js_date.json": ("instatus", (1, 0, 0)),
    "instatus/summary_up_wistia.json": ("instatus", (0, 0, 0)),
    "status_io/docker_2020_open_incident.json": ("status_io", (1, 0, 0)),
    "status_io/gitlab_2020_maintenance_active.json": ("status_io", (1, 0, 1)),
    "status_io/gitlab_2020_security.json": ("status_io", (1, 0, 0)),
}
#: an empty list is an empty list, whoever sends it
EMPTY = dict.fromkeys(
    [*(name for name in PRESETS if name.startswith("aws/currentevents_empty")), "google_cloud/incidents_empty.json"],
    (0, 0, 0),
)
KINDS = [
    ("statuspage", STATUSPAGE),
    ("feed", FEED),
    ("azure_devops", AZURE_DEVOPS),
    ("slack", SLACK | EMPTY | {"salesforce/incidents_active_empty.json": (0, 0, 0)}),
    ("salesforce", SALESFORCE | EMPTY),
]
READ_BY = [(kind, file) for kind, expected in KINDS for file in expected]
FOLDERS_OF_OTHERS = {"azure", "o365"}  # test_corpus_microsoft.py
#: pushed to us, no list; for people; answers that are refused whoever reads them
NO_PAGE = {
    "instatus/webhook_incident.json",
    "salesforce/localizations_excerpt.json",
    "salesforce/error_403_direct_access.json",
    "statuspage/webhook_component_update.json",
    "statuspage/webhook_incident_created.json",
}
FILES = sorted(str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*")) if SAMPLES.is_dir() else []


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("kind", "expected"), KINDS)
def test_each_recorded_payload_is_read_right_or_refused(
    kind: str, expected: dict[str, tuple[int, int, int]], file: str
) -> None:
    body = (SAMPLES / file).read_bytes()

    if file not in expected:
        with pytest.raises(SourceError):
            READERS[kind](body)
        return
    assert counts(READERS[kind](body)) == expected[file]


@pytest.mark.parametrize("file", PRESETS)
def test_each_recorded_payload_is_read_right_by_its_preset(file: str) -> None:
    name, expected = PRESETS[file]

    assert counts(preset(name, (SAMPLES / file).read_bytes())) == expected


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", preset_names())
def test_a_preset_makes_no_event_of_another_familys_payload(name: str, file: str) -> None:
    if PRESETS.get(file, ("",))[0] == name:
        return
    try:
        snapshot = preset(name, (SAMPLES / file).read_bytes())
    except SourceError:
        return
    assert snapshot.events == ()


def test_every_recorded_payload_has_its_reader_or_its_reason() -> None:
    known = {*(file for _, file in READ_BY), *PRESETS, *NO_PAGE}
    others = {file for file in FILES if file.startswith("malformed/") or file.split("/")[0] in FOLDERS_OF_OTHERS}
    notes = {file for file in FILES if file.endswith("README.txt") or "malformed" in file}

    assert set(FILES) - known - others - notes == set()


def test_no_expected_file_has_gone_missing() -> None:
    assert {*(file for _, file in READ_BY), *PRESETS, *NO_PAGE} <= set(FILES)


@pytest.mark.parametrize("file", [*STATUSPAGE, *FEED])
def test_every_recorded_event_has_what_people_need(file: str) -> None:
    snapshot = READERS["statuspage" if file in STATUSPAGE else "feed"]((SAMPLES / file).read_bytes())

    for event in snapshot.events:
        assert event.at is not None
        assert event.starts_at is not None
        assert event.url.startswith(("https://", "http://"))
        assert event.description or not file.startswith("github/history")
        assert "<" not in event.title


@pytest.mark.parametrize(("kind", "file"), READ_BY)
def test_half_of_a_payload_is_refused(kind: str, file: str) -> None:
    body = (SAMPLES / file).read_bytes()

    with pytest.raises(SourceError):
        READERS[kind](body[: len(body) // 2])


@pytest.mark.parametrize("file", PRESETS)
def test_half_of_a_payload_is_refused_by_its_preset(file: str) -> None:
    body = (SAMPLES / file).read_bytes()

    with pytest.raises(SourceError):
        preset(PRESETS[file][0], body[: len(body) // 2])


def counts(snapshot: Snapshot) -> tuple[int, int, int]:
    """Return how many outages are open and resolved, and how many maintenances there are."""
    found = Counter((event.kind, event.status) for event in snapshot.events)
    maintenances = sum(number for (kind, _), number in found.items() if kind is Kind.MAINTENANCE)
    return found[Kind.OUTAGE, EventStatus.FIRING], found[Kind.OUTAGE, EventStatus.RESOLVED], maintenances
