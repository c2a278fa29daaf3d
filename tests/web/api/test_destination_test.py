"""POST /api/v1/destinations/{name}/test: a destination is tried, and what is wrong is said, with what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.destinations.slack.double import Slack
from tests.web.conftest import MakeApp


@pytest.fixture
def chat() -> Iterator[Slack]:
    with Slack() as running:
        yield running


@pytest.fixture
def client(chat: Slack, make_app: MakeApp) -> FlaskClient:
    entry = {"kind": "slack", "url": chat.api_url, "token": "env:TOKEN", "timeout": "2s"}
    off = {"kind": "jira", "url": "env:NO_URL"}
    return make_app({"destinations": {"slack": entry, "jira": off}}, TOKEN=chat.token).test_client()


def test_a_destination_that_works_is_proven_without_a_message(client: FlaskClient, chat: Slack) -> None:
    answer = client.post("/api/v1/destinations/slack/test")

    assert (answer.status_code, answer.json["ok"], answer.json["result"]) == (200, True, "works"), answer.text
    assert answer.json["proven"] == ["the token is valid", "the bot is a member of #outages"]
    assert chat.messages == []


def test_a_wrong_token_is_said_with_a_remedy_and_without_the_token(client: FlaskClient, chat: Slack) -> None:
    token, chat.token = chat.token, "xoxb-another"

    answer = client.post("/api/v1/destinations/slack/test")

    assert (answer.status_code, answer.json["ok"], answer.json["result"]) == (200, False, "fails")
    assert answer.json["why"].startswith("unauthorized (auth.test: invalid_auth")
    assert answer.json["remedy"] == "correct the credentials"
    assert token not in answer.text


def test_a_message_is_sent_only_where_it_is_asked_for(client: FlaskClient, chat: Slack) -> None:
    answer = client.post("/api/v1/destinations/slack/test", json={"send": True})

    assert (answer.status_code, answer.json["ok"]) == (200, True)
    (message,) = chat.roots()
    assert "[TEST]" in message.shown


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [("jira", None, 409), ("nobody", None, 404), ("slack", {"sent": True}, 422), ("slack", [], 422)],
)
def test_what_cannot_be_tried_is_refused(
    name: str, body: object, status: int, client: FlaskClient, chat: Slack
) -> None:
    more = {} if body is None else {"json": body}

    assert client.post(f"/api/v1/destinations/{name}/test", **more).status_code == status
    assert chat.messages == []


def test_a_body_that_is_not_json_is_refused(client: FlaskClient) -> None:
    assert client.post("/api/v1/destinations/slack/test", data=b"send=true").status_code == 415
