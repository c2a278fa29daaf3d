"""Whose token we ask with, how long it is kept, and what is told when there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service_checkers.entra.api import EntraConfig
from service_event_checker.core.errors import Reason
from service_event_checker.http.answer import HttpError
from service_event_checker.http.entra.identity import Identity, Way
from service_event_checker.http.entra.refusals import explained
from service_event_checker.http.entra.token import EntraError, Tokens, identity_warning
from tests.doubles.base import Answer, Double, Fault, Request
from tests.doubles.microsoft import ARM, CLIENT, IDENTITY_HEADER, OID, SECRET, TENANT, Microsoft


@pytest.fixture
def world() -> Iterator[Microsoft]:
    with Microsoft() as double:
        yield double
        assert double.refused == []


def identity(authority: str, **changes: Any) -> Identity:
    known = {"client_id": CLIENT, "client_secret": SECRET, "tenant_id": TENANT, "authority": authority}
    return Identity.model_validate({**known, **changes})


def tokens_of(authority: str, way: Way = Way.SERVICE_PRINCIPAL, **changes: Any) -> Tokens:
    return Tokens(identity(authority, **changes), way, f"{ARM}/.default", timedelta(seconds=1))


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def test_a_secret_brings_a_token_that_is_kept_until_shortly_before_its_end(world: Microsoft) -> None:
    clock = Clock()
    tokens = Tokens(identity(world.url), Way.SERVICE_PRINCIPAL, f"{ARM}/.default", timedelta(seconds=1), clock=clock)
    first = tokens.token()

    clock.now += timedelta(minutes=54)
    assert tokens.token() == first
    clock.now += timedelta(minutes=2)
    second = tokens.token()

    assert second != first
    assert set(world.tokens) == {first, second}


def test_a_token_that_was_refused_is_not_given_again(world: Microsoft) -> None:
    tokens = tokens_of(world.url)
    first = tokens.token()

    second = tokens.token(refused=first)

    assert second != first
    assert tokens.token(refused=first) == second  # another thread's complaint of the same old token
    assert world.issued == 2


def test_a_wrong_secret_is_told_by_its_code_and_never_by_its_text(
    world: Microsoft, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(EntraError) as caught:
        tokens_of(world.url, client_secret="wrong-s3cret").token()

    assert caught.value.reason is Reason.UNAUTHORIZED
    assert "invalid_client, AADSTS7000215" in str(caught.value)
    assert "wrong-s3cret" not in str(caught.value)
    assert CLIENT not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "AADSTS" not in caplog.text


FAULTS = {
    Fault.ERROR: Reason.SERVER_ERROR,
    Fault.HANG: Reason.TIMEOUT,
    Fault.RESET: Reason.RESET,
    Fault.RATE_LIMIT: Reason.RATE_LIMITED,
    Fault.GARBAGE: Reason.UNAUTHORIZED,
    Fault.HTML: Reason.UNAUTHORIZED,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_authority_that_fails_once_is_asked_anew_the_next_time(world: Microsoft, fault: Fault) -> None:
    world.script.append(fault)
    tokens = tokens_of(world.url)

    with pytest.raises(EntraError) as caught:
        tokens.token()

    assert caught.value.reason is FAULTS[fault]
    assert tokens.token() in world.tokens


def test_nobody_there_is_unreachable_not_unauthorized() -> None:
    with pytest.raises(EntraError) as caught:
        tokens_of("http://127.0.0.1:9").token()

    assert caught.value.reason is Reason.UNREACHABLE


def test_a_rate_limited_authority_says_how_long_to_wait(world: Microsoft) -> None:
    world.retry_after = "17"
    world.script.append(Fault.RATE_LIMIT)

    with pytest.raises(EntraError) as caught:
        tokens_of(world.url).token()

    assert caught.value.retry_after == 17


def test_without_a_secret_the_platforms_identity_is_used(world: Microsoft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{world.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    bare = {"client_secret": None, "client_id": "", "identity_endpoint": f"{world.url}/msi/token"}

    token = tokens_of(world.url, Way.MANAGED_IDENTITY, **bare).token()

    assert world.tokens[token] == ARM
    assert [request.path for request in world.requests] == ["/msi/token"]


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.HANG, Fault.RESET, Fault.RATE_LIMIT, Fault.HTML])
def test_a_platform_that_gives_no_identity_is_a_source_that_cannot_be_read(
    world: Microsoft, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{world.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    world.script.append(fault)
    tokens = tokens_of(world.url, Way.MANAGED_IDENTITY, identity_endpoint=f"{world.url}/msi/token")

    with pytest.raises(EntraError):
        tokens.token()

    assert tokens.token() in world.tokens


def checker(**changes: Any) -> EntraConfig:
    known = {"client_id": CLIENT, "client_secret": SECRET, "tenant_id": TENANT}
    return EntraConfig.model_validate({"kind": "azure", "url": ARM, **known, **changes})


def test_a_checker_says_what_is_not_set_for_a_token() -> None:
    assert checker(client_secret=None, tenant_id="").lacks().startswith("AZURE_CLIENT_SECRET and AZURE_TENANT_ID are")
    assert checker().lacks() == ""
    assert checker(client_secret=None, federated_token_file="/var/run/token").lacks() == ""
    assert checker(client_secret=None, identity_endpoint="http://127.0.0.1:1").lacks() == ""


def test_a_pod_shows_its_own_token_instead_of_a_secret(world: Microsoft, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(world.assertion + "\n")
    tokens = tokens_of(world.url, Way.WORKLOAD_IDENTITY, client_secret=None, federated_token_file=str(file))
    first = tokens.token()
    world.assertion = "the-next-one"
    file.write_text("the-next-one")  # as the kubelet does every hour

    second = tokens.token(refused=first)

    assert first != second
    assert {world.tokens[first], world.tokens[second]} == {ARM}
    assert "client_secret" not in world.requests[0].form()


@pytest.mark.parametrize("content", [None, "", " \n", "\xff"])
def test_a_pod_without_its_token_says_what_to_label(world: Microsoft, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="latin-1")

    with pytest.raises(EntraError, match="azure.workload.identity/use") as caught:
        tokens_of(world.url, Way.WORKLOAD_IDENTITY, federated_token_file=str(file)).token()

    assert caught.value.reason is Reason.NOT_CONFIGURED
    assert world.requests == []


def test_a_pod_that_no_federated_credential_names_is_told_what_to_compare(world: Microsoft, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("canary-of-another-pod")

    with pytest.raises(EntraError, match="AADSTS700213.*system:serviceaccount:<namespace>:<name>") as caught:
        tokens_of(world.url, Way.WORKLOAD_IDENTITY, federated_token_file=str(file)).token()

    assert "canary" not in str(caught.value)


def test_a_virtual_machine_asks_its_metadata_service(world: Microsoft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", world.url)

    token = tokens_of(world.url, Way.MANAGED_IDENTITY, client_secret=None).token()

    assert world.tokens[token] == ARM
    (asked,) = world.requests
    assert (asked.path, asked.query["client_id"]) == ("/metadata/identity/oauth2/token", CLIENT)


def test_a_machine_without_an_identity_is_told_so(world: Microsoft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", world.url)
    world.assigned = False

    with pytest.raises(EntraError, match="assign a managed identity"):
        tokens_of(world.url, Way.MANAGED_IDENTITY).token()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AADSTS7000222", "has expired; make a new one"),
        ("AADSTS700016", "AZURE_CLIENT_ID is not an application"),
        ("AADSTS90002", "AZURE_TENANT_ID is not the ID"),
        ("AADSTS53003", "Conditional Access"),
        ("AADSTS1234567", "HTTP 401"),
    ],
)
def test_a_refusal_is_told_with_its_remedy(world: Microsoft, code: str, remedy: str) -> None:
    world.refusal = code

    with pytest.raises(EntraError) as caught:
        tokens_of(world.url).token()

    assert code in caught.value.detail
    assert remedy in caught.value.detail
    assert "Prose" not in caught.value.detail
    assert CLIENT not in caught.value.detail


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: json.dumps({"error": text}).encode()))
def test_any_refusal_is_told_in_one_line(body: bytes) -> None:
    assert "\n" not in explained(HttpError(Reason.UNAUTHORIZED, "", status=401, body=body))


@pytest.mark.parametrize("authority", ["http://login.example.com", "ftp://127.0.0.1", "https://", ""])
def test_a_secret_is_never_sent_over_an_open_line(authority: str) -> None:
    with pytest.raises(ValidationError):
        identity(authority)


@pytest.mark.parametrize("authority", ["login.microsoftonline.us", "https://login.chinacloudapi.cn/"])
def test_an_authority_of_another_cloud_may_be_named_with_or_without_its_scheme(authority: str) -> None:
    assert identity(authority).authority == "https://" + authority.removeprefix("https://").rstrip("/")


def test_whose_token_it_is_is_compared_with_whom_we_expect(world: Microsoft) -> None:
    token = tokens_of(world.url).token()

    assert identity_warning(token, "") == ""
    assert identity_warning(token, OID.upper()) == ""
    assert OID in identity_warning(token, "somebody-else")
    assert "could not be compared" in identity_warning("opaque", OID)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_any_token_can_be_compared(middle: str, last: str, expected: str) -> None:
    assert isinstance(identity_warning(f"a.{middle}.{last}", expected), str)


class Odd(Double):
    """An authority whose token endpoint answers whatever a test says."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def handle(self, request: Request) -> Answer:
        return Answer.json(self.answer)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        "text",
        {"access_token": "t"},
        {"access_token": 1, "expires_in": 3600},
        {"access_token": "t", "expires_in": "soon"},
        {"access_token": "", "expires_in": 3600},
        {"access_token": "t", "expires_in": 10**30},
    ],
)
def test_an_answer_without_a_usable_token_is_refused(answer: Any) -> None:
    with Odd(answer) as authority, pytest.raises(EntraError) as caught:
        tokens_of(authority.url).token()

    assert caught.value.reason is Reason.UNAUTHORIZED
