"""Slack's Web API: a few methods over our HTTP client, with one deadline for all and mapped errors.

What is called, and what a failure means for an alert, is the callers' affair (the Slack destination, the commands).
https://docs.slack.dev/apis/web-api/#formatting
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.http.answer import HttpError, Response, json_body
from service_event_checker.http.client import Http
from service_event_checker.remote.errors import body_of, delivery_error
from service_event_checker.remote.values import objects
from service_event_checker.render.text import web_address

PAGE = 200  # entries a call; Slack recommends no more
PAGES = 10
MAX_BYTES = 16 * 1024 * 1024  # of a page: 200 messages with their blocks
_JSON = {"Content-Type": "application/json; charset=utf-8"}  # without the charset Slack warns
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_WRITES = frozenset({"chat.postMessage", "chat.update"})  # these take JSON, the others a form alone
_CODE = re.compile(r"[a-z][a-z0-9_]*")

# Slack's error codes, https://docs.slack.dev/reference/methods/chat.postMessage#errors and chat.update
_RATE_LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_UNAUTHORIZED = frozenset(
    {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "not_allowed_token_type"}
    | {"org_login_required"}
)
_FORBIDDEN = frozenset(
    {"missing_scope", "restricted_action", "ekm_access_denied", "team_access_not_granted", "access_denied"}
    | {"no_permission"}
)
_TROUBLE = frozenset(
    {"internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org", "accesslimited"}
)
_GONE = frozenset({"message_not_found", "cant_update_message", "thread_not_found"})
_NEXT_STEPS = {
    "missing_scope": "add the scope to the app and install it again",
    "channel_not_found": "check the channel's name; a private one must have invited the bot: /invite @...",
    "not_in_channel": "invite the bot to the channel: /invite @...",
    "is_archived": "unarchive the channel or name another one",
    "restricted_action": "a workspace setting forbids the bot to post there",
}


class SlackRefusal(DeliveryError):
    """Slack answered with an error code, kept in `code`: `missing_scope`, `edit_window_closed`, ..."""

    def __init__(self, code: str, reason: Reason, detail: str, *, permanent: bool, retry_after: float | None) -> None:
        super().__init__(reason, detail, permanent=permanent, retry_after=retry_after)
        self.code = code


def web_api(base_url: str, token: str) -> Http:
    """Return a session at Slack's Web API. Raises DeliveryError(NOT_CONFIGURED) for what is not an address."""
    try:
        return Http(base_url, headers={"Authorization": f"Bearer {token}"}, max_bytes=MAX_BYTES)
    except HttpError as error:
        raise delivery_error(error) from None


class SlackCalls:
    """A few calls that share one deadline, `timeout` seconds from now; one for each delivery or command."""

    def __init__(self, http: Http, timeout: float) -> None:
        self._http = http
        self._until = time.monotonic() + timeout

    def send(self, method: str, **values: Any) -> dict[str, Any]:
        """Call once; return Slack's fields. Raises DeliveryError."""
        return self._answer(method, values)[0]

    def identity(self) -> tuple[str, frozenset[str] | None]:
        """Return the workspace's address ("" for none) and what the token may do, None where Slack does not say.

        Raises DeliveryError. https://docs.slack.dev/reference/methods/auth.test
        """
        said, headers = self._answer("auth.test", {})
        granted = headers.get("X-OAuth-Scopes")
        scopes = None if granted is None else frozenset(scope.strip() for scope in granted.split(","))
        return web_address(str(said.get("url") or "")), scopes

    def pages(self, method: str, name: str, **values: Any) -> Iterator[Mapping[str, Any]]:
        """Yield the entries of `name` that a paged method lists, from PAGES pages at most."""
        cursor: dict[str, str] = {}
        for _ in range(PAGES):
            answer = self.send(method, **values, **cursor, limit=PAGE)
            yield from objects(answer, name)
            following = as_mapping(answer.get("response_metadata"))
            cursor = {"cursor": str(following.get("next_cursor") or "")}
            if not cursor["cursor"]:
                return

    def _answer(self, method: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, str]]:
        left = self._until - time.monotonic()
        if left <= 0:
            raise DeliveryError(Reason.UNREACHABLE, f"no time was left to call {method}")
        try:
            answer = self._post(method, values, left)
            said = as_mapping(json_body(answer))
        except HttpError as error:
            raise _failure(method, error) from None
        if said.get("ok") is not True:
            raise _refusal(method, said, answer.retry_after)
        return said, answer.headers

    def _post(self, method: str, values: Mapping[str, Any], seconds: float) -> Response:
        if method in _WRITES:
            body, headers = json.dumps(values), _JSON
        else:
            named = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
            body, headers = urlencode(named), _FORM
        return self._http.send("POST", method, data=body.encode(), headers=headers, timeout=seconds)


def _failure(method: str, error: HttpError) -> DeliveryError:
    """Translate what was no good answer; an error below 500 may still be one in Slack's own words."""
    said = body_of(error)
    if error.status is None or error.status >= 500 or error.reason is Reason.RATE_LIMITED or "error" not in said:
        failure = delivery_error(error)
        return DeliveryError(failure.reason, f"{method}: {failure.detail}", retry_after=failure.retry_after)
    return _refusal(method, said, error.retry_after)


def _refusal(method: str, said: Mapping[str, Any], retry_after: float | None) -> DeliveryError:
    code, needed = said.get("error"), said.get("needed")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return DeliveryError(Reason.GARBAGE, f"{method}: the answer cannot be read")
    step = _NEXT_STEPS.get(code, "")
    detail = f"{method}: {code}" + (f" {needed}" if isinstance(needed, str) and needed else "")
    detail += f", {step}" if step else ""
    if code in _RATE_LIMITED:
        return DeliveryError(Reason.RATE_LIMITED, detail, retry_after=retry_after)
    if code in _TROUBLE:
        return DeliveryError(Reason.SERVER_ERROR, detail)
    if code in _UNAUTHORIZED | _FORBIDDEN:
        reason = Reason.FORBIDDEN if code in _FORBIDDEN else Reason.UNAUTHORIZED
        return SlackRefusal(code, reason, detail, permanent=False, retry_after=None)
    reason = Reason.NOT_FOUND if code in _GONE else Reason.REFUSED
    return SlackRefusal(code, reason, detail, permanent=not step, retry_after=None)
