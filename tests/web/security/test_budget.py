"""A token may ask often, but not without end; where alerts come in, nobody is turned away."""

from __future__ import annotations

from service_event_checker.web.security.budget import Budget
from tests.sources.rest.test_payload import SHOWN
from tests.web.conftest import MakeApp, bearer

KEYS = "loop:read,write:first-of-two-tokens;other:read:second-of-two-tokens"


def test_a_bucket_empties_and_fills_again_for_each_caller_alone() -> None:
    now = [0.0]
    budget = Budget(rate=2, burst=3, clock=lambda: now[0])

    assert [budget.take("a") for _ in range(4)] == [0, 0, 0, 1]
    assert budget.take("b") == 0
    now[0] = 1.0
    assert [budget.take("a") for _ in range(3)] == [0, 0, 1]
    now[0] = 999.0
    assert [budget.take("a") for _ in range(4)] == [0, 0, 0, 1]


def test_a_runaway_token_gets_429_and_its_alerts_are_still_taken(make_app: MakeApp) -> None:
    app = make_app(API_TOKENS=KEYS)
    app.extensions["budget"] = Budget(rate=0.1, burst=2)
    client = app.test_client()
    loop, other = bearer("first-of-two-tokens"), bearer("second-of-two-tokens")

    answers = [client.get("/api/v1/rules", **loop) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "10"
    assert client.get("/api/v1/rules", **other).status_code == 200
    assert client.post("/api/v1/alerts", json=SHOWN, **loop).status_code == 201
    assert client.get("/health/db", **loop).status_code == 200


def test_a_local_caller_without_a_token_is_not_counted(make_app: MakeApp) -> None:
    app = make_app()
    app.extensions["budget"] = Budget(rate=0.1, burst=1)

    assert {app.test_client().get("/api/v1/rules").status_code for _ in range(3)} == {200}
