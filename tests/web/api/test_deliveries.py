"""/api/v1/deliveries, and /api/v1/dead-letters, which answers as before until 1.0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.store import Settled
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.engine.services import Services
from tests.factories import NOW, event
from tests.web.conftest import MakeApp, bearer, give_up

Ingest = Callable[[Event], Alert]
OPS = bearer("first-of-two-tokens")


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(API_TOKENS="ops:admin:first-of-two-tokens")


def test_a_failed_delivery_is_listed_and_sent_again(
    app: Flask, client: FlaskClient, services: Services, ingest: Ingest
) -> None:
    alert = ingest(event())
    id = give_up(services, "chat", "refused (token=abcdefghijkl)")

    (found,) = client.get("/api/v1/deliveries?state=failed", **OPS).json["deliveries"]
    assert (found["id"], found["alert_id"], found["state"]) == (id, alert.internal_id, "failed")
    assert (found["alert_title"], found["due_at"]) == (alert.title, None)
    assert "abcdefghijkl" not in found["reason"]

    assert client.post(f"/api/v1/deliveries/{id}/retry", **OPS).json == {"retried": id}
    assert app.extensions["services"].wakes.for_receiver("chat").is_set()
    (waits,) = client.get("/api/v1/deliveries?state=waiting", **OPS).json["deliveries"]
    assert (waits["receiver"], waits["state"], waits["alert_id"]) == ("chat", "waiting", alert.internal_id)
    assert waits["due_at"] is not None
    assert client.get("/api/v1/deliveries", **OPS).json == {"deliveries": []}
    assert client.post(f"/api/v1/deliveries/{id}/retry", **OPS).status_code == 404


def test_a_failed_delivery_whose_episode_is_over_is_not_sent_again(
    client: FlaskClient, services: Services, ingest: Ingest
) -> None:
    ingest(event())
    id = give_up(services, "chat", "refused")
    ingest(event(status=EventStatus.RESOLVED, at=NOW + timedelta(minutes=5)))
    ingest(event(starts_at=NOW + timedelta(hours=1), at=NOW + timedelta(hours=1)))

    answer = client.post(f"/api/v1/deliveries/{id}/retry", **OPS)

    assert answer.status_code == 409
    assert "Its episode is over" in answer.json["error"]["message"]


def test_a_failed_delivery_that_nobody_wants_is_deleted(
    client: FlaskClient, services: Services, ingest: Ingest
) -> None:
    ingest(event())
    id = give_up(services, "chat", "refused")

    assert client.delete(f"/api/v1/deliveries/{id}", **OPS).json == {"discarded": id}
    assert client.delete(f"/api/v1/deliveries/{id}", **OPS).status_code == 404


@pytest.mark.parametrize("query", ["state=failed&cursor=1-2", "state=failed&state=waiting", "state=", "of=chat"])
def test_a_wrong_state_says_which_there_are(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/v1/deliveries?{query}", **OPS)

    if query == "state=":
        assert answer.status_code == 200
    else:
        assert answer.status_code == 422
        assert "state" in answer.text


def deliver(services: Services, number: int) -> None:
    """Let the next deliveries to the chat arrive."""
    until = NOW + timedelta(days=3650)
    for claimed in services.store.claim("chat", limit=number, owner="test", now=until, until=until + timedelta(1)):
        services.outbox.record(claimed, Settled(remark="sent without its buttons (token=abcdefghijkl)"))


def test_what_is_settled_is_listed_in_pages_that_end_with_an_alert(
    client: FlaskClient, services: Services, ingest: Ingest
) -> None:
    for name in ("one", "two", "three"):
        ingest(event(fingerprint=name, title=name))
    deliver(services, 3)
    ingest(event(fingerprint="nobody was told of this", title="four"))
    give_up(services, "chat", "refused")

    first = client.get("/api/v1/deliveries?state=settled&limit=2", **OPS).json
    last = client.get(f"/api/v1/deliveries?state=settled&limit=2&cursor={first['cursor']}", **OPS).json

    assert [each["alert_title"] for each in first["deliveries"] + last["deliveries"]] == ["three", "two", "one"]
    assert last["cursor"] is None
    found = first["deliveries"][0]
    assert (found["receiver"], found["verb"], found["state"], found["tries"]) == ("chat", "open", "settled", 1)
    assert found["outcome"] == "delivered in another way"
    assert "without its buttons" in found["why"]
    assert "abcdefghijkl" not in found["why"]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "cursor=1", "cursor=s5", f"cursor={'9' * 19}-{'a' * 20}"])
def test_a_wrong_page_of_what_is_settled_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/v1/deliveries?state=settled&{query}", **OPS).status_code == 422


def test_the_former_route_answers_as_before_and_says_that_it_goes(
    app: Flask, client: FlaskClient, services: Services, ingest: Ingest
) -> None:
    alert = ingest(event())
    id = give_up(services, "chat", "refused (token=abcdefghijkl)")

    listed = client.get("/api/v1/dead-letters", **OPS)
    (found,) = listed.json["dead_letters"]
    assert set(found) == {"id", "alert_id", "receiver", "verb", "attempts", "reason", "created_at"}
    assert (found["id"], found["alert_id"]) == (id, alert.internal_id)
    assert "abcdefghijkl" not in found["reason"]
    assert listed.headers["Deprecation"] == "@1796083200"
    assert listed.headers["Link"] == '</api/v1/deliveries?state=failed>; rel="successor-version"'

    assert client.post(f"/api/v1/dead-letters/{id}/requeue", **OPS).json == {"requeued": id}
    assert app.extensions["services"].wakes.for_receiver("chat").is_set()
    assert services.store.failed_deliveries() == []
    assert client.post(f"/api/v1/dead-letters/{id}/requeue", **OPS).status_code == 404


def test_an_act_needs_its_scope(make_app: MakeApp, services: Services, ingest: Ingest) -> None:
    alert = ingest(replace(event(), fingerprint="own"))
    client = make_app(API_TOKENS="eye:read:first-of-two-tokens").test_client()

    assert client.get("/api/v1/deliveries", **OPS).status_code == 200
    for method, path in (
        ("POST", "/api/v1/deliveries/x/retry"),
        ("DELETE", "/api/v1/deliveries/x"),
        ("POST", f"/api/v1/alerts/{alert.key}/notes"),
        ("POST", f"/api/v1/alerts/{alert.key}/tickets"),
    ):
        assert client.open(path, method=method, json={}, **OPS).status_code == 403, path
