"""Documents as earlier versions stored them are read as they were meant, and written in the same form."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.stores import codec
from tests.factories import NOW, alert

STORED = {
    "key": "3518c69b3ca23c9bcc46",
    "source": "github",
    "fingerprint": "8zc63m64hy36",
    "kind": "outage",
    "episode": 1,
    "internal_id": "GITHUB-3PF7Y",
    "status": "firing",
    "severity": "error",
    "title": 'Pages "heard":{},"mirrored":{}',
    "started_at": "2026-11-20T03:00:00Z",
    "opened_at": "2026-11-20T03:00:00Z",
    "updated_at": "2026-11-20T03:00:00Z",
    "description": "",
    "url": "",
    "labels": {"team": "web"},
    "annotations": {},
    "starts_at": None,
    "ends_at": None,
    "seen_at": None,
    "ended_at": None,
    "resolved_by": None,
    "source_ended": False,
    "previous_ended_at": None,
    "owner": "",
    "note": "",
    "note_ids": [],
    "links": {},
    "intakes": ["poll"],
    "receivers": ["pager", "jira"],
    "withheld": {},
    "origin": "",
    "heard": {"pager": "2026-11-20T03:01:00Z", "pager|acknowledged": "2026-11-20T03:00:00Z"},
    "mirrored": {"jira|pager": ["2026-11-20T03:00:00Z", "2026-11-20T03:00:00.000001Z"]},
    "affects_us": "yes",
    "missing_polls": 0,
    "missing_since": None,
    "repeats": 0,
    "repeated_at": None,
    "test": False,
    "revision": 3,
}
RECENT = {"fired_at": [], "changed_at": [], "flapping_since": None, "held": [], "carried": []}


def stored(**changes: Any) -> str:
    return json.dumps(STORED | changes, separators=(",", ":"))


def test_an_alert_of_an_earlier_version_is_read_with_typed_keys() -> None:
    read = codec.load_alert(stored())

    minute_later = NOW + timedelta(minutes=1)
    assert read.status_seen_at == {("pager", None): minute_later, ("pager", EventStatus.ACKNOWLEDGED): NOW}
    assert read.mirrored_at == {("jira", "pager"): (NOW, NOW + timedelta(microseconds=1))}
    assert (read.title, read.revision) == (STORED["title"], 3)


@pytest.mark.parametrize("changes", [{}, {"heard": {}}, {"mirrored": {}}, {"heard": {}, "mirrored": {}}])
def test_an_alert_is_written_in_the_form_in_which_it_was_read(changes: dict[str, Any]) -> None:
    document = stored(**changes)

    written = json.loads(codec.dump_alert(codec.load_alert(document)))

    added_since = {"closed_at": None, "relisted_at": None, "groups": {}, "muted": "", "expires_at": None}
    added_since |= {"escalations": {}, "recent": RECENT}
    added_since |= {"posted_at": None, "posts": [], "states": {}}
    added_since |= {"verdict": None, "explanations": [], "votes": {}}
    assert written == json.loads(document) | added_since


def test_a_document_from_before_the_two_maps_is_read_without_them() -> None:
    document = {name: value for name, value in STORED.items() if name not in ("heard", "mirrored")}

    read = codec.load_alert(json.dumps(document))

    assert (read.status_seen_at, read.mirrored_at) == ({}, {})


def test_a_word_that_is_no_status_belongs_to_the_name_of_the_receiver() -> None:
    read = codec.load_alert(stored(heard={"pager|night": "2026-11-20T03:00:00Z"}))

    assert read.status_seen_at == {("pager|night", None): NOW}


def test_an_alert_of_which_nobody_has_told_comes_back() -> None:
    quiet = alert()

    assert codec.load_alert(codec.dump_alert(quiet)) == quiet
