"""POST /alert and /webhook: durable when answered, the good not lost with the bad, nothing repeated for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from service_event_checker.core.ids import alert_key
from service_event_checker.core.model import Alert
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Severity, Status
from service_event_checker.engine.quarantine import held
from service_event_checker.engine.services import Services
from service_event_checker.sources.alertmanager.intake import INGESTED_AT_ONCE, LINES_MAX
from service_event_checker.web.webhooks.alertmanager import BODY_MAX
from tests.sources.alertmanager.test_webhook import ANY_JSON, NEARLY, alert, message
from tests.strategies import REPEATABLE
from tests.web.conftest import MakeApp
from tests.web.test_errors import MALFORMED
from tests.web.webhooks.test_status_pages import AWAY

DLQ = {
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "address": "DLQ",
                "alertname": "alert-name-test",
                "container": "alert-container-test",
                "namespace": "test-namespace",
                "pod": "test-pod",
                "severity": "warning",
            },
            "annotations": {"description": "describe this pod", "summary": "summary of this pod"},
            "startsAt": "2024-12-11T23:29:33.936Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://nohello.net",
            "fingerprint": "33f2ec9bd4827a1v",
        }
    ]
}
BY_HAND = {"alertname": "Qiita_Manual_Alert", "instance": "testhost"}


def tracked(services: Services, fingerprint: str) -> Alert:
    key = alert_key("alertmanager", fingerprint)
    return services.store.get([key])[key]


def post(client: FlaskClient, body: object, path: str = "/alert", **more: Any) -> TestResponse:
    return client.post(path, json=body, **more)


def test_the_alert_of_the_dead_letter_queue_is_taken_as_it_stands(client: FlaskClient, services: Services) -> None:
    answer = post(client, DLQ)

    assert (answer.status_code, answer.json) == (200, {"accepted": 1, "rejected": []})
    found = tracked(services, "33f2ec9bd4827a1v")
    assert (found.title, found.intakes, found.status) == (
        "alert-name-test: summary of this pod",
        ("/alert",),
        Status.FIRING,
    )
    assert found.labels["pod"] == "test-pod"
    assert "chat" in found.receivers


def test_an_alert_sent_by_hand_ends_with_another_summary(client: FlaskClient, services: Services) -> None:
    first = {"status": "firing", "labels": BY_HAND, "annotations": {"summary": "Webhookテスト"}}
    second = {"status": "resolved", "labels": BY_HAND, "annotations": {"summary": "Webhookテスト（Resolved）"}}

    answers = [post(client, {"alerts": [each]}, "/webhook").status_code for each in (first, second)]

    assert answers == [200, 200]
    (found,) = services.store.page(Query()).alerts
    assert (found.status, found.intakes) == (Status.RESOLVED, ("/webhook",))


def test_what_was_answered_is_there_for_every_process(client: FlaskClient, make_app: MakeApp) -> None:
    assert post(client, message()).status_code == 200

    another = make_app().test_client()

    assert [one["title"] for one in another.get("/api/v1/alerts").json["alerts"]] == [
        "HighErrorRate: Error rate above 5%"
    ]


def test_good_alerts_are_not_lost_with_the_bad_ones(client: FlaskClient, services: Services) -> None:
    poison = alert(fingerprint="x" * 300)
    late = alert(fingerprint="c", startsAt="yesterday")

    answer = post(client, message(alert(fingerprint="a"), poison, late, alert(fingerprint="b")))

    assert (answer.status_code, answer.json["accepted"]) == (200, 2)
    assert [(one["index"], one["error"].partition(":")[0]) for one in answer.json["rejected"]] == [
        (1, "alerts[1].fingerprint"),
        (2, "alerts[2].startsAt"),
    ]
    assert {one.fingerprint for one in services.store.open_alerts()} == {"a", "b"}
    aside = {one.id: json.loads(one.refusal.body) for one in held(services.store.holding)}
    assert [aside[one["quarantined"]]["alerts"] for one in answer.json["rejected"]] == [[poison], [late]]


def test_a_message_without_a_usable_alert_is_refused_alert_by_alert(client: FlaskClient, services: Services) -> None:
    answer = post(client, {"alerts": [{}, alert(status="x")]})

    assert answer.status_code == 422
    details = answer.json["error"]["details"]
    assert [one["index"] for one in details["rejected"]] == [0, 1]
    assert [one.id for one in held(services.store.holding)] == [details["quarantined"]]


def test_an_empty_list_of_alerts_is_nothing_wrong(client: FlaskClient) -> None:
    assert post(client, message(alerts=[])).json == {"accepted": 0, "rejected": []}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("path", ["/alert", "/webhook"])
def test_what_is_no_json_is_refused_and_kept(path: str, case: str, client: FlaskClient, services: Services) -> None:
    answer = client.post(path, data=MALFORMED[case], content_type="application/json")

    assert answer.status_code == 400
    (kept,) = held(services.store.holding)
    assert answer.json["error"]["details"] == {"quarantined": kept.id}
    assert kept.refusal.route == path


def test_only_json_is_read(client: FlaskClient) -> None:
    assert client.post("/alert", data=json.dumps(message())).status_code == 415
    packed = client.post("/alert", data=b"x", content_type="application/json", headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 415
    assert client.get("/alert").status_code == 405


def test_the_body_of_a_template_is_told_what_to_leave_out(client: FlaskClient) -> None:
    answer = post(client, {"text": "DiskFull on db1"})

    assert answer.status_code == 400
    assert "payload" in answer.json["error"]["message"]


def test_the_same_alert_twice_in_a_message_is_taken_in_its_order(client: FlaskClient, services: Services) -> None:
    over = alert(status="resolved", endsAt="2026-11-20T10:05:00Z")
    again = alert(startsAt="2026-11-20T10:10:00Z")

    assert post(client, message(alert(), over, again)).json["accepted"] == 3

    found = tracked(services, alert()["fingerprint"])
    assert (found.status, found.episode) == (Status.FIRING, 2)


def test_ten_thousand_times_the_same_asks_the_store_as_little_as_twice(client: FlaskClient, services: Services) -> None:
    asked: list[str] = []
    services.pipeline.store = Asked(services.store, asked)  # type: ignore[assignment]
    assert post(client, message(*[alert(fingerprint="another")] * 2)).json["accepted"] == 2
    twice = len(asked)

    assert post(client, message(*[alert()] * 10_000)).json["accepted"] == 10_000

    assert 0 < len(asked) <= 2 * twice
    assert tracked(services, alert()["fingerprint"]).revision == 1


class Asked:
    """A store that notes what it is asked for."""

    def __init__(self, store: Store, asked: list[str]) -> None:
        self._store, self._asked = store, asked

    def __getattr__(self, name: str) -> Any:
        self._asked.append(name)
        return getattr(self._store, name)


def test_a_repetition_changes_nothing_and_is_logged(client: FlaskClient, services: Services) -> None:
    post(client, message())
    before = tracked(services, alert()["fingerprint"])

    with capture_logs() as lines:
        assert post(client, message()).status_code == 200

    assert tracked(services, alert()["fingerprint"]) == before
    assert [line["event"] for line in lines] == ["alert_repeated", "alerts_received"]
    assert lines[0]["id"] == before.internal_id


def test_each_alert_has_a_line_in_the_log_that_says_what_became_of_it(client: FlaskClient) -> None:
    gone = alert(fingerprint="never-seen", status="resolved")

    with capture_logs() as lines:
        post(client, message(alert(fingerprint="new"), gone, {"status": "firing"}))

    said = [line["event"] for line in lines]
    assert said == ["alert_opened", "alert_unknown", "alert_rejected", "alerts_received", "quarantined"]


def test_the_log_is_not_flooded_by_repeats(client: FlaskClient) -> None:
    many = message(*[alert(fingerprint=str(number)) for number in range(300)])
    post(client, many)

    with capture_logs() as lines:
        post(client, many)

    assert len(lines) == 101
    assert lines[-1]["unchanged"] == 300


def test_the_sender_shows_its_token_where_one_is_set(make_app: MakeApp) -> None:
    client = make_app(
        WEBHOOK_TOKEN="token-for-all-senders", WEBHOOK_TOKEN_ALERTMANAGER="token-for-alertmanager"
    ).test_client()

    def status(**headers: str) -> int:
        return post(client, message(), headers=headers, environ_overrides=AWAY).status_code

    assert status(Authorization="Bearer token-for-alertmanager") == 200
    assert [status(), status(Authorization="Bearer token-for-all-senders"), status(Authorization="Bearer é")] == [
        401
    ] * 3


def test_without_a_token_only_this_machine_is_heard(client: FlaskClient, services: Services) -> None:
    answer = post(client, message(), environ_overrides=AWAY)

    assert (answer.status_code, answer.json["error"]["details"]) == (403, {"set": "WEBHOOK_TOKEN"})
    assert held(services.store.holding) == []
    assert services.store.open_alerts() == []


def test_a_store_that_is_away_is_503_so_that_it_comes_again(make_app: MakeApp, tmp_path: Path) -> None:
    client = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/never-made.db").test_client()

    answer = post(client, message())

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert post(client, {"alerts": 5}).status_code == 400  # what can never succeed is told so, kept or not


def test_alerts_that_were_left_out_are_remembered_and_looked_for(client: FlaskClient, services: Services) -> None:
    post(client, message(truncatedAlerts=5, receiver="pager"))
    post(client, message(truncatedAlerts=5, receiver="mail"), "/webhook")
    post(client, message(truncatedAlerts=5, receiver="pager"))
    post(client, message(truncatedAlerts=0, receiver="complete"))

    kept = json.loads(services.store.setting("alertmanager:truncated") or "")
    assert kept == {"/alert": ["pager"], "/webhook": ["mail"]}
    assert "reconcile" in services.store.slots()


def test_an_unknown_severity_is_a_warning_for_all_to_see(client: FlaskClient, services: Services) -> None:
    body = message(alert(labels={"alertname": "x", "severity": "<apocalyptic>"}))

    answer = post(client, body)

    assert answer.json["warnings"] == ['the severity "<apocalyptic>" is in no table and counts as warning']
    assert tracked(services, alert()["fingerprint"]).severity is Severity.WARNING
    assert "&lt;apocalyptic&gt;" in client.get("/").text
    assert "apocalyptic" not in client.get("/metrics").text
    assert 'poc_unknown_values_total{checker="alertmanager"}' in client.get("/metrics").text


def test_a_flood_of_unknown_severities_fills_neither_answer_nor_page(client: FlaskClient, services: Services) -> None:
    labels = [{"alertname": "x", "severity": f"{number:04}" + "x" * 1000} for number in range(200)]

    answer = post(client, {"alerts": [{"status": "firing", "labels": each} for each in labels]})

    assert (answer.json["accepted"], len(answer.json["warnings"])) == (200, 20)
    assert len(services.store.setting("alertmanager:unknown_severities") or "") < 2000


def test_the_page_and_the_metrics_count_what_was_refused(client: FlaskClient) -> None:
    assert "Rejected webhooks" not in client.get("/").text

    post(client, {"alerts": 5})
    post(client, {"alerts": "<b>"})

    page = client.get("/").text
    assert "Rejected webhooks" in page
    assert "alerts: is not a list" in page
    assert 'poc_quarantined{source="alertmanager"} 2.0' in client.get("/metrics").text


def test_a_body_of_eight_mebibytes_is_taken_and_one_byte_more_is_not(client: FlaskClient, services: Services) -> None:
    head, tail = json.dumps(message()).encode()[:-1] + b', "padding": "', b'"}'
    fits = head + b"x" * (BODY_MAX - len(head) - len(tail)) + tail

    def status(body: bytes) -> int:
        return client.post("/alert", data=body, content_type="application/json").status_code

    assert status(fits) == 200
    assert status(fits + b" ") == 413
    (kept,) = held(services.store.holding)
    assert kept.refusal.cut
    assert fits.decode().startswith(kept.refusal.body)


def test_secrets_in_a_refused_body_are_not_kept(make_app: MakeApp) -> None:
    app: Flask = make_app(API_TOKENS="ops:admin:canary-of-the-api", WEBHOOK_TOKEN="canary-of-the-hook")
    client, services = app.test_client(), app.extensions["services"]
    broken = {"labels": {"note": "canary-of-the-api"}, "password": "canary-of-a-person"}
    bearer = {"Authorization": "Bearer canary-of-the-hook"}

    post(client, {"alerts": [broken]}, headers=bearer)
    client.post("/alert", data=b"\xff canary-of-the-api", content_type="application/json", headers=bearer)
    client.post("/alert", data=b"canary-of-the-hook {", content_type="application/json", headers=bearer)

    docs = [kept.doc for kept in services.store.holding.list("quarantine")]
    assert len(docs) == 3
    assert not any("canary" in doc or "Y2FuYXJ5" in doc for doc in docs)


@REPEATABLE
@given(
    path=st.sampled_from(["/alert", "/webhook"]),
    body=ANY_JSON | st.fixed_dictionaries({"alerts": st.lists(NEARLY | ANY_JSON, max_size=5)}),
)
def test_any_json_is_answered_with_200_400_or_422(client: FlaskClient, path: str, body: Any) -> None:
    answer = client.post(path, data=json.dumps(body), content_type="application/json")

    assert answer.status_code in {200, 400, 422}


@REPEATABLE
@given(path=st.sampled_from(["/alert", "/webhook"]), body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_answered_with_200_400_or_422(client: FlaskClient, path: str, body: bytes) -> None:
    assert client.post(path, data=body, content_type="application/json").status_code in {200, 400, 422}


def test_a_message_of_more_alerts_than_are_taken_at_once_is_taken_and_counted_whole(
    client: FlaskClient, services: Services
) -> None:
    many = message(*(alert(fingerprint=f"f{number}") for number in range(INGESTED_AT_ONCE + 1)))

    first = post(client, many)
    with capture_logs() as logged:
        second = post(client, many)

    total = [line for line in logged if line["event"] == "alerts_received"]
    assert first.json == second.json == {"accepted": INGESTED_AT_ONCE + 1, "rejected": []}
    assert len(services.store.open_alerts()) == INGESTED_AT_ONCE + 1
    assert [(line["accepted"], line["unchanged"]) for line in total] == [(INGESTED_AT_ONCE + 1, INGESTED_AT_ONCE + 1)]
    assert len([line for line in logged if line["event"] == "alert_repeated"]) == LINES_MAX
