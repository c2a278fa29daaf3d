"""Alertmanager's webhook: every alert by itself, each version's body, and what is written by hand in its shape.

The payloads are ours, in the shape of webhook_config's version 4:
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.clean import clean
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.sources.alertmanager.webhook import fingerprint, parse
from tests.strategies import REPEATABLE

SAMPLES = Path(os.environ.get("SAMPLES_DIR", "/nonexistent")) / "alertmanager"
LABELS = {"alertname": "HighErrorRate", "instance": "api-1:9100", "severity": "critical"}


def alert(**changes: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": LABELS,
        "annotations": {"summary": "Error rate above 5%", "description": "job api"},
        "startsAt": "2026-11-20T10:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=rate",
        "fingerprint": "2ad7114ea705adbc",
    } | changes


def message(*alerts: Any, **changes: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="HighErrorRate"}',
        "receiver": "outage-checker",
        "status": "firing",
        "externalURL": "http://alertmanager:9093",
        "truncatedAlerts": 0,
        "alerts": list(alerts) or [alert()],
    } | changes


def only(*alerts: Any, **changes: Any) -> Event:
    (found,) = parse(message(*alerts, **changes), "/alert").events
    return found


def error(broken: Any) -> str:
    (refused,) = parse(message(broken), "/alert").rejected
    return refused.error


def test_an_alert_is_an_event_with_all_that_it_says() -> None:
    found = only()

    assert found == Event(
        source="alertmanager",
        fingerprint="2ad7114ea705adbc",
        kind=Kind.ALERT,
        status=EventStatus.FIRING,
        title="HighErrorRate: Error rate above 5%",
        severity=Severity.CRITICAL,
        description="job api",
        at=None,
        starts_at=datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC),
        url="http://prometheus:9090/graph?g0.expr=rate",
        labels=LABELS,
        annotations={"summary": "Error rate above 5%", "description": "job api"},
        intake="/alert",
        origin="http://alertmanager:9093",
    )


def test_each_alert_has_a_status_of_its_own_whatever_the_message_says() -> None:
    over = alert(status="resolved", fingerprint="b", endsAt="2026-11-20T10:12:00.5Z")

    first, second = parse(message(alert(), over, status="firing"), "/alert").events

    assert (first.status, second.status) == (EventStatus.FIRING, EventStatus.RESOLVED)
    assert second.at == datetime(2026, 11, 20, 10, 12, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "ends_at", [None, "", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]
)
def test_an_end_without_its_time_is_an_end(ends_at: str | None) -> None:
    found = only(alert(status="resolved", endsAt=ends_at))

    assert (found.status, found.at) == (EventStatus.RESOLVED, None)


def test_what_fires_has_not_ended_though_a_time_for_that_is_given() -> None:
    """Alertmanager's API lists when an alert will end unless it is repeated."""
    assert only(alert(endsAt="2026-11-20T10:20:00.000Z")).at is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20t10:00:00z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T12:30:00.5+02:30", datetime(2026, 11, 20, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-19T22:00:00.000000001-12:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("", None),
        (None, None),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_times_are_utc_to_the_microsecond(text: str | None, at: datetime | None) -> None:
    assert only(alert(startsAt=text)).starts_at == at


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-11-20", "2026-11-20T10:00:00", "2026-02-30T10:00:00Z", "2026-11-20T25:00:00Z", 1732096800],
)
@pytest.mark.parametrize("name", ["startsAt", "endsAt"])
def test_a_wrong_time_names_its_field_and_shows_a_right_one(name: str, text: Any) -> None:
    said = error(alert(**{name: text}))

    assert said.startswith(f"alerts[0].{name}: ")
    assert "2026-11-20T17:54:22.037Z" in said


def test_a_fingerprint_is_opaque_and_taken_as_it_is() -> None:
    assert only(alert(fingerprint="33f2ec9bd4827a1v")).fingerprint == "33f2ec9bd4827a1v"


def test_the_computed_fingerprint_is_alertmanagers_own() -> None:
    """The value stands in Alertmanager's template/template_test.go."""
    assert fingerprint({"severity": "warning", "job": "foo"}) == "9266ef3da838ad95"


@pytest.mark.parametrize("missing", [{}, {"fingerprint": ""}, {"fingerprint": None}])
def test_an_alert_without_fingerprint_is_the_one_that_alertmanager_names(missing: dict[str, Any]) -> None:
    bare = {name: value for name, value in alert().items() if name != "fingerprint"} | missing

    assert only(bare).fingerprint == fingerprint(LABELS)
    assert only(bare | {"annotations": {"summary": "another"}}).fingerprint == fingerprint(LABELS)


def test_an_empty_label_is_as_good_as_none() -> None:
    bare = {"status": "firing", "labels": LABELS | {"team": "", "": "x"}}

    assert only(bare).fingerprint == fingerprint(LABELS)
    assert only(bare).labels == LABELS


def test_the_short_form_is_enough_and_both_its_halves_are_one_alert() -> None:
    labels = {"alertname": "Qiita_Manual_Alert", "instance": "testhost"}
    begins = {"alerts": [{"status": "firing", "labels": labels, "annotations": {"summary": "Webhookテスト"}}]}
    ends = {
        "alerts": [{"status": "resolved", "labels": labels, "annotations": {"summary": "Webhookテスト（Resolved）"}}]
    }

    (first,), (second,) = parse(begins, "/webhook").events, parse(ends, "/webhook").events

    assert first.key == second.key
    assert first.title == "Qiita_Manual_Alert: Webhookテスト"
    assert (first.origin, first.starts_at, first.intake) == ("", None, "/webhook")


@pytest.mark.parametrize(
    ("summary", "title"),
    [
        ("HighErrorRate on api-1", "HighErrorRate on api-1"),
        ("higherrorrate on api-1", "higherrorrate on api-1"),
        ("api-1 fails", "HighErrorRate: api-1 fails"),
        ("  ", "HighErrorRate"),
        (None, "HighErrorRate"),
    ],
)
def test_the_title_names_the_alert_once(summary: str | None, title: str) -> None:
    assert only(alert(annotations={"summary": summary})).title == title


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", Severity.CRITICAL),
        ("page", Severity.CRITICAL),
        ("P1", Severity.CRITICAL),
        ("High", Severity.ERROR),
        ("warning", Severity.WARNING),
        ("P4", Severity.INFO),
        ("none", Severity.INFO),
        ("", Severity.WARNING),
    ],
)
def test_the_severity_is_that_of_the_label_by_one_table(word: str, severity: Severity) -> None:
    found = parse(message(alert(labels=LABELS | {"severity": word})), "/alert")

    assert [event.severity for event in found.events] == [severity]
    assert found.unknown == frozenset()


def test_an_unknown_severity_counts_as_warning_and_is_told() -> None:
    found = parse(message(alert(labels=LABELS | {"severity": "apocalyptic"})), "/alert")

    assert found.events[0].severity is Severity.WARNING
    assert found.unknown == {"apocalyptic"}


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ("an alert", "alerts[0]"),
        (None, "alerts[0]"),
        (alert(labels=None), "alerts[0].labels"),
        (alert(labels=["alertname"]), "alerts[0].labels"),
        (alert(labels={}), "alerts[0].labels"),
        (alert(labels={"alertname": ""}), "alerts[0].labels"),
        (alert(labels={"alertname": " \0"}), "alerts[0].labels"),
        (alert(labels={"alertname": "x", "port": 80}), "alerts[0].labels.port"),
        (alert(labels={"alertname": None}), "alerts[0].labels.alertname"),
        (alert(annotations="none"), "alerts[0].annotations"),
        (alert(status=None), "alerts[0].status"),
        (alert(status="suppressed"), "alerts[0].status"),
        (alert(status=["firing"]), "alerts[0].status"),
        (alert(fingerprint=5), "alerts[0].fingerprint"),
        (alert(fingerprint="x" * 256), "alerts[0].fingerprint"),
    ],
)
def test_a_broken_alert_is_named_and_its_neighbours_are_taken(broken: Any, where: str) -> None:
    found = parse(message(alert(fingerprint="a"), broken, alert(fingerprint="b")), "/alert")

    assert [event.fingerprint for event in found.events] == ["a", "b"]
    assert [refused.index for refused in found.rejected] == [1]
    assert found.rejected[0].error.startswith(where.replace("[0]", "[1]") + ": ")


@pytest.mark.parametrize(
    "body", [None, 5, "x", [], [alert()], {}, {"alerts": None}, {"alerts": {}}, {"text": "DiskFull"}]
)
def test_what_is_no_message_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(InvalidInput):
        parse(body, "/alert")


def test_a_message_of_a_template_says_what_to_leave_out() -> None:
    with pytest.raises(InvalidInput, match="payload"):
        parse({"text": "DiskFull on db1"}, "/alert")


def test_the_same_alert_may_come_twice_and_stays_in_order() -> None:
    found = parse(message(alert(), alert(status="resolved"), alert()), "/alert").events

    assert [event.status.value for event in found] == ["firing", "resolved", "firing"]
    assert len({event.key for event in found}) == 1


def test_annotations_that_are_no_text_are_taken_as_their_text() -> None:
    assert only(alert(annotations={"value": 0.95, "none": None})).annotations == {"value": "0.95"}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "", None, 5, "file:///etc/passwd"])
def test_only_a_web_address_is_a_link(url: Any) -> None:
    assert only(alert(generatorURL=url)).url == ""


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({}, "http://alertmanager:9093"),
        ({"groupKey": None}, ""),
        ({"version": "1"}, ""),  # Grafana, which has another API
        ({"externalURL": 5}, ""),
    ],
)
def test_only_an_alertmanager_can_be_asked_again(changes: dict[str, Any], origin: str) -> None:
    assert only(**changes).origin == origin


@pytest.mark.parametrize(("given", "truncated"), [(5, 5), (0, 0), (-1, 0), ("5", 0), (None, 0), (1.5, 0)])
def test_what_alertmanager_left_out_is_told(given: Any, truncated: int) -> None:
    found = parse(message(truncatedAlerts=given), "/alert")

    assert (found.truncated, found.receiver) == (truncated, "outage-checker")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
NEARLY = st.fixed_dictionaries(
    {"status": st.sampled_from(["firing", "resolved"]) | ANY_JSON, "labels": st.just(LABELS) | ANY_JSON},
    optional={
        "annotations": st.dictionaries(st.text(max_size=9), st.text(max_size=20), max_size=3) | ANY_JSON,
        "startsAt": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | ANY_JSON,
        "endsAt": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | ANY_JSON,
        "fingerprint": st.text(max_size=300) | ANY_JSON,
        "generatorURL": ANY_JSON,
    },
)


@REPEATABLE
@given(ANY_JSON | st.fixed_dictionaries({"alerts": st.lists(NEARLY | ANY_JSON, max_size=5) | ANY_JSON}))
def test_any_json_is_taken_or_refused_and_all_of_it_is_accounted_for(body: Any) -> None:
    try:
        found = parse(body, "/alert")
    except InvalidInput:
        return

    assert len(found.events) + len(found.rejected) == len(body["alerts"])
    assert [clean(event) for event in found.events] == list(found.events)
    assert all(event.title for event in found.events)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")
def test_recorded_messages_are_taken_whole_with_the_fingerprints_that_we_would_compute() -> None:
    files = [file for file in sorted(SAMPLES.glob("webhook-*.json")) if not file.name.endswith(".headers.json")]
    assert len(files) >= 10

    for file in files:
        body = json.loads(file.read_text())
        found = parse(body, "/alert")
        assert not found.rejected, file
        assert [event.fingerprint for event in found.events] == [fingerprint(each["labels"]) for each in body["alerts"]]
        assert all(event.starts_at and event.origin for event in found.events), file
        assert all((event.at is None) == (event.status is EventStatus.FIRING) for event in found.events), file


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")
def test_the_fingerprints_that_alertmanagers_api_lists_are_those_that_we_would_compute() -> None:
    listed = [each for file in SAMPLES.glob("api-v2-*alerts-[af]*.json") for each in json.loads(file.read_text())]
    assert listed

    assert [fingerprint(each["labels"]) for each in listed] == [each["fingerprint"] for each in listed]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("http://jane:canary@prometheus:9090/graph?g0.expr=up", "http://prometheus:9090/graph?g0.expr=up"),
        ("https://canary@grafana.example/d/1", "https://grafana.example/d/1"),
        ("http://jane:can@ary@prometheus/", "http://prometheus/"),
        ("http://prometheus/graph?at=a@b", "http://prometheus/graph?at=a@b"),
    ],
)
def test_an_address_is_told_without_user_and_password(told: str, shown: str) -> None:
    found = only(alert(generatorURL=told), externalURL=told)

    assert (found.url, found.origin) == (shown, shown)


def test_a_password_in_an_address_within_a_text_is_not_told() -> None:
    text = "cannot reach postgres://app:canary@db/shop (ask a@example.com) nor http://x:canary@y"
    told = alert(labels=LABELS | {"target": text}, annotations={"summary": text, "description": text})

    found = only(told)

    assert found.labels["target"] == "cannot reach postgres://db/shop (ask a@example.com) nor http://y"
    assert "canary" not in f"{found}"


@pytest.mark.parametrize(
    ("labels", "summary", "title"),
    [
        ({"job": "blackbox", "instance": "shop"}, "The shop does not answer", "The shop does not answer"),
        ({"job": "blackbox", "instance": "shop"}, " ", "blackbox: shop"),
        ({"instance": "http://u:canary@shop", "team": "a"}, "", "http://shop"),
        ({"team": "a", "alertname": ""}, "", "team=a"),
        ({"d": "4", "b": "2", "c": "3", "a": "1"}, "", "a=1, b=2, c=3"),
        ({"alertname": " Shop", "job": "x"}, "is down", "Shop: is down"),
    ],
)
def test_an_alert_without_a_name_is_called_by_its_summary_or_its_labels(
    labels: dict[str, str], summary: str, title: str
) -> None:
    assert only(alert(labels=labels, annotations={"summary": summary})).title == title


def test_an_alert_without_a_name_stands_beside_one_that_has_a_name() -> None:
    found = parse(message(alert(labels={"instance": "db-2"}), alert(labels={"alertname": "NodeDown"})), "/alert")

    assert ([event.title[:8] for event in found.events][1], found.rejected) == ("NodeDown", ())


def test_a_long_address_of_its_rule_is_left_out_not_cut() -> None:
    assert only(alert(generatorURL="http://prom.example/graph?" + "x" * 3000)).url == ""


def test_the_identity_hangs_on_the_labels_as_they_were_sent() -> None:
    labels = LABELS | {"instance": "http://x:canary@y"}

    assert only(alert(labels=labels, fingerprint="")).fingerprint == fingerprint(labels)


def test_a_refusal_names_a_label_without_what_a_terminal_would_obey() -> None:
    assert error(alert(labels=LABELS | {"x\x1b]0;\n\x1b[31m": 5})).startswith("alerts[0].labels.x]0; [31m: is not text")
