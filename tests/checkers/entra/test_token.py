"""Whose token a checker asks with, how long it is kept, and what is told when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service_checkers.entra.token import EntraConfig, Tokens, identity_warning
from service_event_checker.core.errors import Reason, SourceError
from tests.doubles.base import Answer, Double, Fault, Request
from tests.doubles.microsoft import ARM, CLIENT, IDENTITY_HEADER, OID, SECRET, TENANT, Microsoft


@pytest.fixture
def world() -> Iterator[Microsoft]:
    with Microsoft() as double:
        yield double
        assert double.refused == []


def config(authority: str, **changes: Any) -> EntraConfig:
    known = {"client_id": CLIENT, "client_secret": SECRET, "tenant_id": TENANT, "authority": authority}
    fields = {"kind": "azure", "url": ARM, "scope": f"{ARM}/.default", "timeout": timedelta(seconds=1), **known}
    return EntraConfig.model_validate({**fields, **changes})


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def test_a_secret_brings_a_token_that_is_kept_until_shortly_before_its_end(world: Microsoft) -> None:
    clock = Clock()
    tokens = Tokens("azure", config(world.url), clock=clock)
    first = tokens.token()

    clock.now += timedelta(minutes=54)
    assert tokens.token() == first
    clock.now += timedelta(minutes=2)
    second = tokens.token()

    assert second != first
    assert set(world.tokens) == {first, second}


def test_a_token_that_was_refused_is_not_given_again(world: Microsoft) -> None:
    tokens = Tokens("azure", config(world.url))
    first = tokens.token()

    second = tokens.token(refused=first)

    assert second != first
    assert tokens.token(refused=first) == second  # another thread's complaint of the same old token
    assert world.issued == 2


def test_a_wrong_secret_is_told_by_its_code_and_never_by_its_text(
    world: Microsoft, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SourceError) as caught:
        Tokens("azure", config(world.url, client_secret="wrong-s3cret")).token()

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
    tokens = Tokens("azure", config(world.url, timeout=timedelta(seconds=1)))

    with pytest.raises(SourceError) as caught:
        tokens.token()

    assert caught.value.reason is FAULTS[fault]
    assert tokens.token() in world.tokens


def test_nobody_there_is_unreachable_not_unauthorized() -> None:
    with pytest.raises(SourceError) as caught:
        Tokens("azure", config("http://127.0.0.1:9")).token()

    assert caught.value.reason is Reason.UNREACHABLE


def test_a_rate_limited_authority_says_how_long_to_wait(world: Microsoft) -> None:
    world.retry_after = "17"
    world.script.append(Fault.RATE_LIMIT)

    with pytest.raises(SourceError) as caught:
        Tokens("azure", config(world.url)).token()

    assert caught.value.retry_after == 17


def test_without_a_secret_the_platforms_identity_is_used(world: Microsoft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{world.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    bare = config(world.url, client_secret=None, client_id="", identity_endpoint=f"{world.url}/msi/token")

    token = Tokens("azure", bare).token()

    assert world.tokens[token] == ARM
    assert [request.path for request in world.requests] == ["/msi/token"]


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.HANG, Fault.RESET, Fault.RATE_LIMIT, Fault.HTML])
def test_a_platform_that_gives_no_identity_is_a_source_that_cannot_be_read(
    world: Microsoft, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{world.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    world.script.append(fault)
    quick = {"client_secret": None, "identity_endpoint": f"{world.url}/msi/token", "timeout": timedelta(seconds=1)}
    tokens = Tokens("azure", config(world.url, **quick))

    with pytest.raises(SourceError):
        tokens.token()

    assert tokens.token() in world.tokens


def test_with_neither_it_says_what_is_not_set() -> None:
    bare = config("https://login.microsoftonline.com", client_secret=None, tenant_id="")

    with pytest.raises(SourceError) as caught:
        Tokens("azure", bare).token()

    assert caught.value.reason is Reason.NOT_CONFIGURED
    assert bare.lacks().startswith("AZURE_CLIENT_SECRET and AZURE_TENANT_ID are not set")
    assert config("https://login.microsoftonline.com").lacks() == ""


@pytest.mark.parametrize("authority", ["http://login.example.com", "ftp://127.0.0.1", "https://", ""])
def test_a_secret_is_never_sent_over_an_open_line(authority: str) -> None:
    with pytest.raises(ValidationError):
        config(authority)


@pytest.mark.parametrize("authority", ["login.microsoftonline.us", "https://login.chinacloudapi.cn/"])
def test_an_authority_of_another_cloud_may_be_named_with_or_without_its_scheme(authority: str) -> None:
    assert config(authority).authority == "https://" + authority.removeprefix("https://").rstrip("/")


def test_whose_token_it_is_is_compared_with_whom_we_expect(world: Microsoft) -> None:
    token = Tokens("azure", config(world.url)).token()

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
    with Odd(answer) as authority, pytest.raises(SourceError) as caught:
        Tokens("azure", config(authority.url)).token()

    assert caught.value.reason is Reason.UNAUTHORIZED
