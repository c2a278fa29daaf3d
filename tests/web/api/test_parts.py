"""/api/v1/checkers and /api/v1/destinations: how each is, and a check that somebody asks for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.engine.services import Services
from tests.doubles.statuspages import StatusPages
from tests.web.conftest import MakeApp


@pytest.fixture
def pages() -> Iterator[StatusPages]:
    with StatusPages() as pages:
        pages.page("github")
        yield pages


@pytest.fixture
def polling(pages: StatusPages, make_app: MakeApp) -> FlaskClient:
    url = f"{pages.url}/page/github"
    entry = {"kind": "statuspage", "url": url, "timeout": "2s"}
    config = {"checkers": {"github": entry, "off": {"kind": "statuspage", "url": "env:NO_URL"}}}
    return make_app(config).test_client()


def test_a_check_that_is_asked_for_tracks_what_it_finds(polling: FlaskClient, pages: StatusPages) -> None:
    pages.open_incident("github", "a", "Actions are slow")

    checked = polling.post("/api/v1/checkers/github/check")

    assert checked.status_code == 200, checked.text
    assert [event["title"] for event in checked.json["events"]] == ["Actions are slow"]
    github, off = polling.get("/api/v1/checkers").json["checkers"]
    assert (github["state"], github["tracked"]) == ("ok", 1)
    assert (off["state"], off["why"]) == ("off", "NO_URL is not set")


def test_a_page_that_cannot_be_read_is_said(make_app: MakeApp) -> None:
    entry = {"kind": "statuspage", "url": "http://127.0.0.1:9", "timeout": "1s"}
    client = make_app({"checkers": {"gone": entry}}).test_client()

    answer = client.post("/api/v1/checkers/gone/check")

    assert (answer.status_code, answer.json["error"]["code"]) == (502, "unreadable")
    assert client.get("/api/v1/checkers").json["checkers"][0]["state"] == "unknown"


@pytest.mark.parametrize("name", ["off", "nobody", "x" * 500])
def test_only_a_checker_that_is_on_can_be_asked(name: str, polling: FlaskClient) -> None:
    assert polling.post(f"/api/v1/checkers/{name}/check").status_code == 404


def test_a_destination_is_ok_failing_or_off(client: FlaskClient, services: Services) -> None:
    chat, azure = client.get("/api/v1/destinations").json["destinations"]
    assert (chat["health"], chat["why"], azure["health"]) == ("ok", "", "off")
    assert azure["why"] == "ADO_ORG_URL, ADO_PROJECT and ADO_PAT are not set"

    services.outbox.throttles["chat"].record_failure(DeliveryError(Reason.TIMEOUT))

    chat, _ = client.get("/api/v1/destinations").json["destinations"]
    assert (chat["health"], chat["why"]) == ("failing", "timeout")
