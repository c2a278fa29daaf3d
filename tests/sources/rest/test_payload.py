"""What the body of POST /api/v1/alerts stands for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Severity
from service_event_checker.sources.rest.payload import NewAlert, event_of
from tests.factories import NOW
from tests.strategies import REPEATABLE

#: as the REST API has always been shown
SHOWN = {
    "source": "monitoring-system",
    "severity": "critical",
    "title": "服务器CPU使用率过高",
    "description": "服务器CPU使用率达到95%",
    "tags": ["cpu", "performance"],
    "metadata": {"server": "web-01", "cpu_usage": 95.2},
}


def read(**changes: Any) -> Event:
    return event_of(NewAlert.model_validate({**SHOWN, **changes}), NOW)


def test_tags_and_scalar_metadata_are_labels_that_rules_can_ask_for() -> None:
    found = read(metadata={"server": "web-01", "cpu_usage": 95.2, "cores": 8, "up": True, "gone": None})

    assert (found.source, found.severity, found.title) == ("rest:monitoring-system", Severity.CRITICAL, SHOWN["title"])
    assert found.labels == {
        "tag": "cpu\nperformance",
        "severity": "critical",
        "server": "web-01",
        "cpu_usage": "95.2",
        "cores": "8",
        "up": "true",
    }


def test_nested_metadata_is_kept_as_json() -> None:
    assert read(metadata={"disks": [{"name": "sda", "full": 0.9}]}).annotations == {
        "disks": '[{"name": "sda", "full": 0.9}]'
    }


@pytest.mark.parametrize(
    ("word", "severity"), [("P1", Severity.CRITICAL), ("high", Severity.ERROR), ("odd", Severity.WARNING)]
)
def test_a_word_for_the_severity_is_read_by_the_table_and_kept(word: str, severity: Severity) -> None:
    found = read(severity=word)

    assert (found.severity, found.labels["severity"]) == (severity, word)


def test_what_an_alert_is_known_by_hangs_on_source_title_and_tags_in_any_order() -> None:
    same = read(tags=["performance", "cpu", "cpu"], description="now 99%", severity="low", metadata={})

    assert same.key == read().key
    assert len({read().key, read(source="other").key, read(title="other").key, read(tags=["cpu"]).key}) == 4
    assert read(fingerprint="mine").fingerprint == "mine"


def test_null_counts_as_left_out() -> None:
    nothing = dict.fromkeys(
        ("severity", "description", "tags", "metadata", "fingerprint", "status", "starts_at", "url")
    )

    assert read(**nothing).labels == {}


def test_an_alert_begins_when_it_says_or_was_received_and_an_end_has_its_time() -> None:
    assert read().starts_at == NOW
    assert read(starts_at="2026-11-20T02:00:00Z").starts_at == NOW - timedelta(hours=1)
    over = read(status="resolved")
    assert (over.status, over.at, over.starts_at) == (EventStatus.RESOLVED, NOW, None)


def test_passwords_in_addresses_are_left_out() -> None:
    found = read(
        title="https://me:pw@a.example is down", metadata={"url": "https://me:pw@a.example", "n": ["http://me:pw@b"]}
    )

    assert "pw" not in f"{found.title}{found.labels}{found.annotations}"


@given(st.text(max_size=20), st.text(max_size=20), st.lists(st.text(max_size=5), max_size=4))
@REPEATABLE
def test_the_order_of_tags_never_makes_another_alert(source: str, title: str, tags: list[str]) -> None:
    body = {"source": f"s{source}".strip().encode("ascii", "ignore").decode(), "title": f"t{title}"}
    body["source"] = "".join(char for char in body["source"] if char.isprintable())

    one = event_of(NewAlert.model_validate({**body, "tags": tags}), NOW)
    other = event_of(NewAlert.model_validate({**body, "tags": tags[::-1]}), NOW)

    assert one.key == other.key
