"""What an HTTP answer says: the error that it stands for, its body within bounds, its JSON, the pause it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

import requests
from urllib3.exceptions import HTTPError as TransportError

from service_event_checker.core.errors import OutageCheckerError, Reason
from service_event_checker.http.address import redact
from service_event_checker.http.deadline import Deadline
from service_event_checker.http.json_reader import NotJson, parse

RETRY_AFTER_MAX = 3600.0  # seconds; a peculiar header must not park a receiver for a day
ERROR_BODY_MAX = 64 * 1024  # bytes kept of an error answer
JSON_DEPTH_MAX = 64
_CHUNK = 64 * 1024
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_REASONS = {
    401: Reason.UNAUTHORIZED,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    408: Reason.TIMEOUT,
    410: Reason.NOT_FOUND,
    429: Reason.RATE_LIMITED,
}


class HttpError(OutageCheckerError):
    """A request that brought no usable answer. Adapters translate it to SourceError or DeliveryError.

    `status` is the HTTP status if there was one, `headers` are those of the answer, none where there was none (names
    are looked up without regard to case; never for a log), `body` is the (capped) body of an error answer. UNREACHABLE,
    FORBIDDEN_ADDRESS and NOT_CONFIGURED mean that nothing was sent.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes = b"",
    ) -> None:
        super().__init__(f"{reason}" + (f" ({detail})" if detail else ""))
        self.reason = reason
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.headers = headers
        self.body = body


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A 2xx or 304 answer. `url` is the final address, `retry_after` in seconds where any answer asked for it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    retry_after: float | None = None
    not_modified: bool = False


def json_body(response: Response) -> Any:
    """Return the JSON value of an answer: UTF-8 (a BOM is fine) or UTF-16, without NaN, at most 64 levels deep.

    Raises HttpError(GARBAGE): a login page with status 200 is no answer.
    """
    kind = {name.lower(): value for name, value in response.headers.items()}.get("content-type", "")
    return parse_json(response.body, html="html" in kind.lower())


def parse_json(body: bytes, *, html: bool = False) -> Any:
    """Return the JSON value of a body; see `json_body`. `html`: the sender itself calls it HTML."""
    if html or body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise HttpError(Reason.GARBAGE, "HTML instead of JSON")
    try:
        return parse(body, depth=JSON_DEPTH_MAX)
    except NotJson as error:
        raise HttpError(Reason.GARBAGE, f"the body {error}" if body.strip() else "empty body") from None


def reason_of(status: int) -> Reason:
    return Reason.SERVER_ERROR if status >= 500 else _REASONS.get(status, Reason.REFUSED)


def read_body(answer: requests.Response, call: Deadline, cap: int) -> bytes:
    chunks, size = [], 0
    for chunk in answer.iter_content(_CHUNK):
        size += len(chunk)
        if size > cap:
            raise _cut_short(answer, Reason.TOO_LARGE, f": more than {cap} bytes")
        if call.over:
            raise _cut_short(answer, Reason.TIMEOUT)
        chunks.append(chunk)
    if call.expired:  # a body that ends with its connection looks whole when we cut it
        raise _cut_short(answer, Reason.TIMEOUT)
    return b"".join(chunks)


def _cut_short(answer: requests.Response, reason: Reason, detail: str = "") -> HttpError:
    return HttpError(reason, redact(answer.url) + detail, status=answer.status_code, headers=answer.headers)


def read_error_body(answer: requests.Response, call: Deadline) -> bytes:
    """Return the beginning of an error's body, as far as it came: the status says enough without it."""
    body = b""
    try:
        for chunk in answer.iter_content(_CHUNK):
            body += chunk
            if len(body) >= ERROR_BODY_MAX or call.over:
                break
    except (requests.RequestException, TransportError, OSError):
        return body
    return body[:ERROR_BODY_MAX]


def read_retry_after(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header (a number or an HTTP date, RFC 9110), None when there is none."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            at = parsedate_to_datetime(header)
        except (ValueError, OverflowError):
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (at - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_MAX) if seconds == seconds else None
