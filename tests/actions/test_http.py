"""The kind `http`: a declared address is called, and no value leaves its place in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service_event_checker.actions.http import Config, Runner
from service_event_checker.core.actions import State
from service_event_checker.core.errors import InvalidInput
from tests.doubles.base import Answer, Double, Fault, Request


class Hook(Double):
    """Takes any call and says so."""

    def handle(self, request: Request) -> Answer:
        return Answer.json({"restarted": True})


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as double:
        assert isinstance(double, Hook)
        yield double


def runner(url: str, **changes: Any) -> Runner:
    base: dict[str, Any] = {
        "kind": "http",
        "url": f"{url}/services/{{x}}/restart",
        "parameters": {"x": "(?s).*"},
        "timeout": "2s",
    }
    return Runner(Config.model_validate(base | changes))


def test_it_calls_the_address_with_its_credentials_and_its_body(hook: Hook) -> None:
    made = runner(hook.url, headers={"Authorization": "Bearer 123456789"}, body={"unit": "{x}", "force": True})

    ended = made.run({"x": "nginx"})

    (call,) = hook.requests
    assert (ended.state, ended.why, ended.output) == (State.SUCCEEDED, "HTTP 200", '{"restarted": true}')
    assert (call.method, call.path) == ("POST", "/services/nginx/restart")
    assert call.json() == {"unit": "nginx", "force": True}
    assert call.headers["Authorization"] == "Bearer 123456789"


@pytest.mark.parametrize("value", ["a/../b", "a?b=c", "#x", "%2e%2e", "a b", "é", ";x"])
def test_a_value_arrives_as_one_segment(hook: Hook, value: str) -> None:
    ended = runner(hook.url).run({"x": value})

    (call,) = hook.requests
    assert (ended.state, call.query, len(call.path.split("/"))) == (State.SUCCEEDED, {}, 4)


@pytest.mark.parametrize("value", [".", ".."])
def test_a_value_that_names_the_folder_above_is_refused(hook: Hook, value: str) -> None:
    made = runner(hook.url)

    with pytest.raises(InvalidInput):
        made.check({"x": value})
    assert (made.run({"x": value}).state, hook.requests) == (State.FAILED, [])


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_no_value_leaves_its_segment(value: str) -> None:
    made = runner("https://hooks.example.com")

    path = urlsplit(made._url({"x": value})).path

    assert path.count("/") == 3
    assert (path.split("/")[1], path.split("/")[3]) == ("services", "restart")
    assert unquote(path.split("/")[2]) == value


def test_after_an_unclear_answer_its_result_is_unknown_and_it_is_called_once(hook: Hook) -> None:
    hook.script.append(Fault.RESET_AFTER)

    ended = runner(hook.url).run({"x": "nginx"})

    assert (ended.state, len(hook.requests)) == (State.UNKNOWN, 1)


def test_a_refusal_is_a_failure(hook: Hook) -> None:
    hook.forbids = lambda _request: Answer.json({"error": "no"}, 403)

    ended = runner(hook.url).run({"x": "nginx"})

    assert ended.state is State.FAILED
    assert '"no"' in ended.output


@pytest.mark.parametrize("url", ["ftp://a/b", "https://{x}.example.com/", "https:///x", "nonsense"])
def test_an_address_whose_host_is_not_fixed_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"kind": "http", "url": url, "parameters": {"x": "a"}})
