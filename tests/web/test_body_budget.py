"""The budget of bytes in work: large bodies wait or are asked to come again, small ones never."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from service_event_checker.engine.quarantine import held
from service_event_checker.engine.services import Services
from service_event_checker.web.body_budget import SMALL, BodyBudget
from tests.sources.alertmanager.test_webhook import alert, message
from tests.web.conftest import MakeApp


def large(**labels: str) -> bytes:
    return json.dumps(message(alert(**labels))).encode() + b" " * SMALL


@pytest.fixture
def full(make_app: MakeApp) -> Flask:
    """An app whose budget others have taken, and where nobody may wait."""
    app = make_app()
    app.extensions["body_budget"] = BodyBudget(0, waiting_max=0)
    return app


@pytest.mark.parametrize("path", ["/alert", "/webhook"])
def test_a_large_body_beyond_the_budget_is_asked_to_come_again_and_not_put_aside(full: Flask, path: str) -> None:
    answer = full.test_client().post(path, data=large(), content_type="application/json")

    services: Services = full.extensions["services"]
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.get_json()["error"]["code"] == "unavailable"
    assert held(services.store.holding) == []


def test_a_small_body_never_waits(full: Flask) -> None:
    assert full.test_client().post("/alert", json=message(alert())).status_code == 200


def test_a_body_that_declares_too_much_is_refused_as_such_also_when_the_budget_is_taken(full: Flask) -> None:
    declared = {"CONTENT_LENGTH": str(2**40)}
    answer = full.test_client().post("/alert", data=b"[", content_type="application/json", environ_overrides=declared)

    assert answer.status_code == 413


@pytest.mark.parametrize("body", [large(), b"{" + b" " * SMALL], ids=["taken", "refused"])
def test_what_a_request_took_comes_back_with_its_end(make_app: MakeApp, body: bytes) -> None:
    app = make_app()
    app.extensions["body_budget"] = BodyBudget(len(body), waiting_max=0)

    answers = [app.test_client().post("/alert", data=body, content_type="application/json") for _ in range(3)]

    assert 503 not in {answer.status_code for answer in answers}


def test_who_waits_goes_on_when_enough_is_given_back() -> None:
    budget = BodyBudget(10, wait=30)
    assert budget.take(8)

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(budget.take, 10)
        assert not waiting.done()
        budget.give_back(8)

        assert waiting.result(30)


def test_who_waits_in_vain_takes_nothing() -> None:
    budget = BodyBudget(10, wait=0.01)
    assert budget.take(8)

    assert not budget.take(3)
    assert budget.take(2)
