"""Calls to Slack's Web API with a total deadline and mapped errors; slack_sdk carries them and repeats none.

What is called, and what a failure means for an alert, is the callers' affair (the Slack destination, the commands).
"""

from __future__ import annotations

import http.client
import re
import socket
import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.http.deadline import Deadline

PAGE = 200  # entries a call; Slack recommends no more
PAGES = 10
RETRY_AFTER_MAX = 3600.0
_WRITES = frozenset({"chat.postMessage", "chat.update", "chat.postEphemeral", "views.open", "views.update"})
_CODE = re.compile(r"[a-z][a-z0-9_]*")

# Slack's error codes, https://docs.slack.dev/reference/methods/chat.postMessage#errors and chat.update
_RATE_LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_UNAUTHORIZED = frozenset(
    {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "not_allowed_token_type"}
    | {"org_login_required", "ekm_access_denied", "team_access_not_granted", "access_denied", "no_permission"}
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


class SlackCalls:
    """A few calls that share one deadline; cheap to make, one for each delivery or command."""

    def __init__(self, base_url: str, token: str, timeout: float) -> None:
        self._base_url, self._token = base_url, token
        self._until = time.monotonic() + timeout

    def send(self, method: str, **values: Any) -> SlackResponse:
        """Call once; the answer is a mapping with Slack's fields, and has `headers`. Raises DeliveryError."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise DeliveryError(Reason.UNREACHABLE, f"no time was left to call {method}")
        with Deadline(left) as deadline:
            client = _Client(self._token, self._base_url, deadline)
            try:
                if method in _WRITES:
                    return client.api_call(method, json=values)
                return client.api_call(method, params=values)
            except (SlackClientError, OSError, http.client.HTTPException, ValueError, AttributeError) as error:
                failure = _failure(method, error, expired=deadline.over)
        raise failure  # not from `error`: what slack_sdk raises holds the request with its token

    def pages(self, method: str, name: str, **values: Any) -> Iterator[Mapping[str, Any]]:
        """Yield the entries of `name` that a paged method lists, from PAGES pages at most."""
        cursor: dict[str, str] = {}
        for _ in range(PAGES):
            answer = self.send(method, **values, **cursor, limit=PAGE)
            listed = answer.get(name)
            yield from (entry for entry in (listed if isinstance(listed, list) else []) if isinstance(entry, dict))
            following = answer.get("response_metadata")
            cursor = {"cursor": str(following.get("next_cursor") or "")} if isinstance(following, dict) else {}
            if not cursor.get("cursor"):
                return


class _Client(WebClient):
    """slack_sdk's client over a connection that ends with the deadline: its own time-out counts anew each read."""

    def __init__(self, token: str, base_url: str, deadline: Deadline) -> None:
        super().__init__(token, base_url=base_url, retry_handlers=[])
        self.timeout = cast(int, deadline.left)  # urllib takes fractions of a second, slack_sdk's annotation does not
        self._deadline = deadline

    def _perform_urllib_http_request_internal(self, url: str, req: urllib.request.Request) -> dict[str, Any]:
        """Do what slack_sdk does here, by our opener; 4xx and 5xx are its caller's, as HTTPError."""
        with self._deadline.opener().open(req, timeout=self._deadline.left) as answer:
            return {"status": answer.status, "headers": answer.headers, "body": answer.read().decode("utf-8")}


def _failure(method: str, error: Exception, *, expired: bool) -> DeliveryError:
    if isinstance(error, SlackApiError):
        return _answered(method, error.response)
    if expired:
        return DeliveryError(Reason.TIMEOUT, f"{method}: no answer in time")
    if isinstance(error, URLError):
        return _unconnected(method, error.reason)
    if isinstance(error, TimeoutError):
        return DeliveryError(Reason.TIMEOUT, f"{method}: no answer in time")
    if isinstance(error, OSError | http.client.HTTPException):
        return DeliveryError(Reason.RESET, f"{method}: the connection broke")
    return DeliveryError(Reason.GARBAGE, f"{method}: the answer cannot be read")


def _unconnected(method: str, reason: object) -> DeliveryError:
    """Say what urllib's URLError means: it wraps what failed up to the end of the request, never the answer."""
    if isinstance(reason, TimeoutError):
        return DeliveryError(Reason.TIMEOUT, f"{method}: no connection in time")
    if isinstance(reason, ConnectionRefusedError | socket.gaierror):
        return DeliveryError(Reason.UNREACHABLE, f"{method}: no connection")
    return DeliveryError(Reason.RESET, f"{method}: the connection broke")


def _answered(method: str, response: SlackResponse) -> DeliveryError:
    status, headers = response.status_code, response.headers
    if status == 429:
        return DeliveryError(Reason.RATE_LIMITED, method, retry_after=_retry_after(headers))
    if status >= 500:
        return DeliveryError(Reason.SERVER_ERROR, f"{method}: HTTP {status}", retry_after=_retry_after(headers))
    code = response.data.get("error") if isinstance(response.data, dict) else None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return DeliveryError(Reason.GARBAGE, f"{method}: HTTP {status}, the answer cannot be read")
    return _refusal(method, code, response.data, headers)


def _refusal(method: str, code: str, said: Any, headers: Mapping[str, str]) -> DeliveryError:
    needed = said.get("needed")
    step = _NEXT_STEPS.get(code, "")
    detail = f"{method}: {code}" + (f" {needed}" if isinstance(needed, str) and needed else "")
    detail += f", {step}" if step else ""
    if code in _RATE_LIMITED:
        return DeliveryError(Reason.RATE_LIMITED, detail, retry_after=_retry_after(headers))
    if code in _TROUBLE:
        return DeliveryError(Reason.SERVER_ERROR, detail)
    if code in _UNAUTHORIZED:
        return SlackRefusal(code, Reason.UNAUTHORIZED, detail, permanent=False, retry_after=None)
    reason = Reason.NOT_FOUND if code in _GONE else Reason.REFUSED
    return SlackRefusal(code, reason, detail, permanent=not step, retry_after=None)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return min(float(given), RETRY_AFTER_MAX) if given.isdecimal() else None
