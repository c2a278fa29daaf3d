"""What was refused: kept without secrets, once however often it came, for a while, and never at the sender's cost."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from service_event_checker import logs
from service_event_checker.core.errors import InvalidInput, StoreError
from service_event_checker.core.model import HeldItem
from service_event_checker.engine import quarantine
from service_event_checker.engine.quarantine import (
    BODY_MAX,
    PER_SOURCE,
    PRUNE_EVERY,
    READ_MAX,
    Refusal,
    held,
    payload,
    prune,
    put,
    refusal,
)
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NOW
from tests.strategies import REPEATABLE


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    made = SqlStore(f"sqlite:///{tmp_path}/store.db")
    made.prepare()
    return made


def refused(body: bytes = b'{"alerts": 5}', error: str = "alerts: is not a list") -> Refusal:
    return refusal(body, route="/alert", error=error)


def test_what_is_put_aside_is_found_again_as_it_was(store: SqlStore) -> None:
    one = refusal(
        b'{"a": "b"}',
        route="/hooks/jira",
        error="a: is wrong",
        receiver="jira",
        headers=[("X-Webhook-Id", "7"), ("Authorization", "Bearer abc"), ("Cookie", "a=b")],
    )

    (id,) = put(store.holding, "jira", [one], NOW)

    found = quarantine.find(store.holding, id)
    assert found is not None
    assert (found.source, found.at, found.refusal) == ("jira", NOW, one)
    assert found.refusal.headers == {"X-Webhook-Id": "7"}
    assert payload(found.refusal) == {"a": "b"}


def test_the_same_body_lies_there_once_with_its_latest_error(store: SqlStore) -> None:
    first = put(store.holding, "alertmanager", [refused(error="old")], NOW)
    second = put(store.holding, "alertmanager", [refused(error="new"), refused(error="new")], NOW + timedelta(hours=1))

    assert set(first) == set(second)
    assert [(one.at, one.refusal.error) for one in held(store.holding)] == [(NOW + timedelta(hours=1), "new")]


def test_bodies_of_two_sources_are_two(store: SqlStore) -> None:
    put(store.holding, "jira", [refused()], NOW)
    put(store.holding, "my-jira", [refused()], NOW)

    assert {one.source for one in held(store.holding)} == {"jira", "my-jira"}
    assert all(quarantine.find(store.holding, one.id) == one for one in held(store.holding))


def test_an_id_that_is_none_finds_nothing(store: SqlStore) -> None:
    put(store.holding, "jira", [refused()], NOW)

    assert [quarantine.find(store.holding, id) for id in ("", "jira", "jira-", "jira-00000000000000000000", "é\0")] == [
        None
    ] * 5


def test_a_store_that_is_away_costs_the_evidence_and_nothing_else() -> None:
    class Away:
        def put(self, items: Iterable[HeldItem]) -> None:
            raise StoreError("no answer")

        list = remove = prune = put

    with capture_logs() as lines:
        assert put(Away(), "jira", [refused()], NOW) == []

    assert [line["event"] for line in lines] == ["quarantine_failed"]


@pytest.mark.parametrize(
    "name",
    ["token", "access_token", "password", "passwd", "client_secret", "api_key", "apiKey", "X-Api-Key", "Authorization"],
)
def test_values_of_names_that_speak_of_secrets_are_masked_and_the_rest_stays_json(name: str) -> None:
    body = {"alerts": [{name: "hunter2 hunter2", "other": "kept"}], name: {"deep": "hunter2"}, "n": 1}

    kept = refusal(json.dumps(body).encode(), route="/alert", error="")

    assert "hunter2" not in kept.body
    assert kept.redacted
    assert payload(kept)["alerts"][0]["other"] == "kept"


@pytest.mark.parametrize(
    "body",
    [
        b'{"note": "the-canary-itself"}',
        b'{"the-canary-itself": [1]}',
        b"the-canary-itself is not JSON",
        b"\xff the-canary-itself",
        b"x" * (BODY_MAX - 8) + b"the-canary-itself" + b"x" * BODY_MAX,
    ],
)
def test_configured_secrets_are_masked_wherever_they_stand(body: bytes) -> None:
    logs.hide(["the-canary-itself"])

    kept = refusal(body, route="/alert", error="at the-canary-itself")

    shown = base64.b64decode(kept.body).decode("latin-1") if kept.binary else kept.body
    assert "the-ca" not in shown
    assert "canary" not in kept.error


@pytest.mark.parametrize("body", [b"x" * (BODY_MAX + 1), b"\xff" * BODY_MAX, "é".encode() * BODY_MAX, b'"' * 10**6])
def test_a_long_body_is_cut_and_cannot_be_replayed(body: bytes) -> None:
    kept = refusal(body, route="/alert", error="")

    assert kept.cut
    assert len(kept.body) <= BODY_MAX
    with pytest.raises(InvalidInput, match="completely"):
        payload(kept)


def test_a_body_that_is_no_utf8_is_kept_as_base64() -> None:
    kept = refusal(b"\xff\x00\xfe", route="/alert", error="")

    assert (kept.binary, base64.b64decode(kept.body)) == (True, b"\xff\x00\xfe")
    with pytest.raises(InvalidInput, match="UTF-8"):
        payload(kept)


def test_the_beginning_of_a_text_is_text_though_its_last_character_is_broken() -> None:
    kept = refusal(b"x" * (READ_MAX - 1) + "é".encode()[:1], route="/alert", error="")

    assert (kept.binary, kept.cut) == (False, True)


def test_what_is_old_or_too_much_goes(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "PRUNE_EVERY", 10**9)  # what is looked at is the prune itself
    put(store.holding, "old", [refused()], NOW - timedelta(days=30, seconds=1))
    put(store.holding, "young", [refused()], NOW - timedelta(days=29))
    put(store.holding, "flood", [refused(b'{"n": %d}' % number) for number in range(PER_SOURCE + 5)], NOW)

    assert prune(store.holding, NOW) == 6

    assert [one.source for one in held(store.holding, limit=PER_SOURCE + 10)].count("flood") == PER_SOURCE
    assert {one.source for one in held(store.holding, limit=PER_SOURCE + 10)} == {"flood", "young"}


@REPEATABLE
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_body_can_be_kept(body: bytes) -> None:
    kept = refusal(body, route="/alert", error=body.decode("latin-1"))

    assert not kept.cut
    assert kept.redacted or (
        base64.b64decode(kept.body) == body if kept.binary else kept.body == body.decode("utf-8-sig")
    )


def test_a_flood_of_bodies_does_not_fill_the_disk(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "PER_SOURCE", 50)
    for number in range(5 * PRUNE_EVERY):
        put(store.holding, "alertmanager", [refused(b"%d" % number)], NOW + timedelta(seconds=number))

    assert len(store.holding.list(quarantine.AREA, limit=10_000)) <= 50 + PRUNE_EVERY
