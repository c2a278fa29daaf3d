"""The probes and /metrics: what strangers see, what readers see, and when we are ill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from service_event_checker.core.errors import StoreError
from service_event_checker.core.model import Alert, Event, Slot
from service_event_checker.core.vocabulary import Kind, Severity
from service_event_checker.engine.heartbeat import HEARTBEAT_SETTING
from service_event_checker.engine.services import Services
from service_event_checker.web.status.probes import PROBE_MAX_AGE, StoreProbe
from tests.factories import event
from tests.web.conftest import MakeApp, bearer, beat, give_up

Ingest = Callable[[Event], Alert]
FAR = {"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}}


def samples(client: FlaskClient) -> Mapping[str, float]:
    """Scrape and return the values by name and labels, like `poc_store_up{}`."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        f"{sample.name}{{{','.join(map(sample.labels.get, sorted(sample.labels, reverse=True)))}}}": sample.value
        for family in families
        for sample in family.samples
    }


def test_we_are_alive_before_anything_runs_but_not_ready(client: FlaskClient) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").json == {"status": "not ready", "reasons": ["heartbeat"]}
    assert client.get("/health").status_code == 503


@pytest.mark.parametrize(("ago", "status"), [(0, 200), (29, 200), (31, 503)])
def test_a_heartbeat_of_any_process_makes_us_ready_for_half_a_minute(
    ago: int, status: int, services: Services, client: FlaskClient
) -> None:
    beat(services, timedelta(seconds=ago))

    assert client.get("/readyz").status_code == status
    assert client.get("/health").status_code == status


def test_a_database_file_that_is_deleted_refuses_work_and_readiness_at_once(
    services: Services, client: FlaskClient, tmp_path: Path
) -> None:
    services.store.prepare()
    beat(services)
    assert client.get("/readyz").status_code == 200

    (tmp_path / "store.db").unlink()

    assert (
        client.post("/alert", json={"alerts": [{"status": "firing", "labels": {"alertname": "x"}}]}).status_code == 503
    )
    assert client.get("/readyz").status_code == 503


def test_no_age_is_negative_after_the_clock_was_set_back(services: Services, client: FlaskClient) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    services.pipeline.ingest([event()], ahead)
    services.store.set_setting(HEARTBEAT_SETTING, ahead.isoformat())
    services.store.put_slot(Slot(name="github", due_at=ahead, last_run_at=ahead, last_success_at=ahead))

    found = samples(client)

    assert found["poc_undelivered_oldest_seconds{}"] == 0
    assert found["poc_heartbeat_age_seconds{}"] == 0
    assert found["poc_checker_last_success_seconds{github}"] == 0


def test_a_process_that_is_stopping_is_not_ready(app: Flask, services: Services, client: FlaskClient) -> None:
    beat(services)
    app.extensions["engine"].stop()

    assert client.get("/readyz").json["reasons"] == ["draining"]


def test_a_store_that_was_never_made_is_an_illness_and_no_crash(make_app: MakeApp, tmp_path: Path) -> None:
    client = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/new.db").test_client()

    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").json["reasons"] == ["store"]
    assert client.get("/health/db").status_code == 503
    assert client.get("/").status_code == 503
    assert samples(client)["poc_store_up{}"] == 0


def test_strangers_see_a_status_and_readers_all_of_it(make_app: MakeApp, services: Services) -> None:
    beat(services)
    client = make_app(API_TOKENS="ops:read:first-of-two-tokens;bot:write:second-of-two-tokens").test_client()

    for request in ({}, FAR, bearer("second-of-two-tokens"), bearer("wrong")):
        assert client.get("/health", **request).json == {"status": "healthy"}
    assert set(client.get("/health", **bearer("first-of-two-tokens"), **FAR).json) > {"checkers", "receivers"}


def test_the_details_say_of_each_part_how_it_is_and_why(
    services: Services, ingest: Ingest, client: FlaskClient
) -> None:
    now = datetime.now(UTC)
    beat(services)
    ingest(event())
    ingest(event(fingerprint="2nd", test=True))
    since = now - timedelta(minutes=12)
    unread = Slot(name="retool", due_at=now, last_success_at=since, unknown_since=since, unknown_reason="timeout")
    services.store.put_slot(unread)
    give_up(services, "chat", "refused")

    found = client.get("/health").json

    office, github, retool = (found["checkers"][name] for name in ("office365", "github", "retool"))
    assert (office["state"], office["reason"]) == ("off", "O365_URL is not set")
    assert (github["state"], github["tracked"]) == ("not checked yet", 1)
    assert (retool["state"], retool["reason"]) == ("unknown", "timeout")
    assert retool["unknown_seconds"] == pytest.approx(720, abs=5)
    assert found["receivers"]["chat"] == {"on": True, "state": "on", "waiting": 1, "dead_letters": 1}
    assert found["receivers"]["azure_devops"]["state"] == "ADO_ORG_URL, ADO_PROJECT and ADO_PAT are not set"


def test_a_page_that_cannot_be_read_does_not_make_us_ill(services: Services, client: FlaskClient) -> None:
    now = datetime.now(UTC)
    beat(services)
    services.store.put_slot(Slot(name="github", due_at=now, unknown_since=now, unknown_reason="timeout"))

    assert client.get("/health").status_code == 200


def test_a_page_that_nobody_polled_for_long_is_not_called_ok(services: Services, client: FlaskClient) -> None:
    now = datetime.now(UTC)
    beat(services)
    services.store.put_slot(Slot(name="github", due_at=now, last_success_at=now - timedelta(hours=2)))

    assert client.get("/health").json["checkers"]["github"]["state"] == "unknown"


class CountingStore:
    """A store whose ping says what it is told to, and counts."""

    def __init__(self) -> None:
        self.pings = 0
        self.away = False

    def ping(self) -> None:
        self.pings += 1
        if self.away:
            raise StoreError("OperationalError")


def test_the_store_is_asked_once_in_five_seconds_however_many_ask() -> None:
    store, now = CountingStore(), [100.0]
    probe = StoreProbe(store.ping, clock=lambda: now[0])

    assert [probe.trouble() for _ in range(3)] == ["", "", ""]
    store.away = True
    now[0] += PROBE_MAX_AGE - 0.1
    assert probe.trouble() == ""
    now[0] += 0.1
    assert "OperationalError" in probe.trouble()

    assert store.pings == 2


def test_metrics_count_what_is_open_without_tests(services: Services, ingest: Ingest, client: FlaskClient) -> None:
    ingest(event())
    ingest(event(fingerprint="test", test=True))
    ingest(event(source="rest:shop-of-jane", fingerprint="x", kind=Kind.ALERT, severity=Severity.CRITICAL))
    give_up(services, "chat", "refused")

    found = samples(client)

    assert found["poc_open_alerts{github,error}"] == 1
    assert found["poc_open_alerts{rest,critical}"] == 1
    assert found["poc_open_alerts{retool,info}"] == 0
    assert found["poc_deliveries_waiting{chat}"] == 2
    assert found["poc_dead_letters{chat}"] == 1
    assert found["poc_store_up{}"] == 1


def test_metrics_tell_the_age_of_what_waits_and_of_what_was_read(
    services: Services, ingest: Ingest, client: FlaskClient
) -> None:
    now = datetime.now(UTC)
    services.pipeline.ingest([event()], now - timedelta(minutes=5))
    seen = Slot(name="github", due_at=now, last_success_at=now - timedelta(seconds=50))
    services.store.put_slot(seen)
    services.store.put_slot(replace(seen, name="retool", unknown_since=now, unknown_reason="timeout"))

    found = samples(client)

    assert found["poc_undelivered_oldest_seconds{}"] == pytest.approx(300, abs=5)
    assert found["poc_checker_last_success_seconds{github}"] == pytest.approx(50, abs=5)
    assert (found["poc_checker_unknown{github}"], found["poc_checker_unknown{retool}"]) == (0, 1)
    assert "poc_checker_unknown{office365}" not in found


def test_without_a_broker_redis_is_off_and_strangers_learn_nothing_of_it(client: FlaskClient) -> None:
    assert client.get("/health/redis").json == {"status": "off", "reason": "CELERY_BROKER_URL is not set"}
    assert client.get("/health/redis", **FAR).status_code in (401, 403)
