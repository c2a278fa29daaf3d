"""Alertmanager's event recorder. The payloads are ours, as protojson writes the messages of

https://github.com/prometheus/alertmanager/blob/main/eventrecorder/eventrecorderpb/eventrecorder.proto (0.33) and, with
labels as an object, of eventrecorder/events/v2 after it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.ids import alert_key
from service_event_checker.core.muted import Mute
from service_event_checker.sources.alertmanager.events import parse
from service_event_checker.sources.alertmanager.webhook import fingerprint
from tests.strategies import REPEATABLE, json_values

LABELS = {"alertname": "HighErrorRate", "instance": "api-1:9100"}
KEY = alert_key("alertmanager", fingerprint(LABELS))
NUMBER = str(int(fingerprint(LABELS), 16))
AT = "2026-11-20T10:00:00.123456789Z"
SILENCE = {
    "id": "7f9d3c1e-0b1a-4a5e-9d0e-0f6e0a1b2c3d",
    "matchers": [{"type": "TYPE_EQUAL", "name": "instance", "pattern": "api-1:9100", "rendered": 'instance="api-1"'}],
    "startsAt": "2026-11-20T09:00:00Z",
    "endsAt": "2026-11-20T12:00:00Z",
    "createdBy": "ada",
    "comment": "deploy of the shop",
}


def event(**data: Any) -> dict[str, Any]:
    return {"@timestamp": AT, "instance": "alertmanager-0", "data": data, "clusterPosition": 1}


def muted_alert(**changes: Any) -> dict[str, Any]:
    return {"labels": LABELS, "fingerprint": NUMBER} | changes


SILENCED = event(silenceMutedAlert={"silence": SILENCE, "mutedAlert": muted_alert()})
INHIBITED = event(
    inhibitionMutedAlert={
        "inhibitRules": [{"name": "cluster down", "equalLabels": ["cluster"]}, {}],
        "mutedAlert": muted_alert(),
        "inhibitingFingerprints": ["10548549471155366293"],
    }
)
AT_TIME = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)


def test_a_silence_mutes_an_alert_until_it_ends() -> None:
    (found,) = parse(SILENCED).mutes

    until = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert found == Mute(
        KEY, by="silence of ada: deploy of the shop", at=AT_TIME, until=until, silence=str(SILENCE["id"])
    )


def test_an_inhibition_names_its_rules_and_what_inhibits() -> None:
    (found,) = parse(INHIBITED).mutes

    assert found == Mute(KEY, by="inhibition: cluster down, 9263f9dafbd9a995", at=AT_TIME)


@pytest.mark.parametrize(
    "labels",
    [LABELS, {"labels": [{"key": name, "value": value} for name, value in LABELS.items()]}],
    ids=["an object", "pairs"],
)
@pytest.mark.parametrize("number", [None, "", "0", "-1", "x", True, str(2**64)])
def test_without_its_number_an_alert_is_known_by_its_labels(labels: Any, number: Any) -> None:
    told = event(silenceMutedAlert={"silence": SILENCE, "mutedAlert": {"labels": labels, "fingerprint": number}})

    assert [mute.key for mute in parse(told).mutes] == [KEY]


def test_a_changed_silence_tells_its_new_end() -> None:
    told = event(silenceUpdated={"silence": SILENCE | {"endsAt": AT}})

    assert parse(told).ends == ((SILENCE["id"], AT_TIME, AT_TIME),)


def test_a_batch_holds_several_and_what_is_of_no_use_is_counted() -> None:
    others = [event(alertmanagerShutdownEvent={}), event(notification={"alerts": []}), event()]

    found = parse([SILENCED, *others, INHIBITED])

    assert (len(found.mutes), found.ignored) == (2, 3)


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        (3, "body"),
        ([SILENCED, None], "[1]"),
        ({"@timestamp": AT}, "body.data"),
        ({"data": {}}, "body.@timestamp"),
        (SILENCED | {"@timestamp": "now"}, "body.@timestamp"),
        (event(silenceMutedAlert={"silence": SILENCE}), "body.data.silenceMutedAlert.mutedAlert"),
        (event(inhibitionMutedAlert={"mutedAlert": {}}), "body.data.inhibitionMutedAlert.mutedAlert.labels"),
    ],
)
def test_what_is_no_event_is_refused_with_its_place(broken: Any, where: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(broken)

    assert error.value.where == where


@given(json_values, st.sampled_from(["silenceMutedAlert", "inhibitionMutedAlert", "silenceUpdated"]))
@REPEATABLE
def test_any_json_is_read_or_refused(part: Any, name: str) -> None:
    silenced = {"silence": part, "mutedAlert": muted_alert()}
    inhibited = {"inhibitRules": part, "inhibitingFingerprints": part, "mutedAlert": {"labels": part}}
    for body in (part, event(**{name: part}), event(silenceMutedAlert=silenced), event(inhibitionMutedAlert=inhibited)):
        try:
            parse(body)
        except InvalidInput:
            continue
