"""The one HTTP client of all adapters: total deadline, byte cap, checked redirects, mapped and redacted errors.

It never repeats a request: the outbox and the schedule do that, after a look at what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service_event_checker.core.errors import OutageCheckerError, Reason


class HttpError(OutageCheckerError):
    """A request that brought no usable answer. Adapters translate it to SourceError or DeliveryError.

    `status` is the HTTP status if there was one, `body` the (capped) body of an error answer.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(f"{reason}" + (f" ({detail})" if detail else ""))
        self.reason = reason
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
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


class Http:
    """One session for one integration. Thread-safe."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 15.0,
        max_bytes: int = 4 * 1024 * 1024,
        allow_loopback: bool = False,
    ) -> None:
        raise NotImplementedError

    def get(self, url: str, *, params: Mapping[str, str] | None = None, cached: bool = False) -> Response:
        raise NotImplementedError

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        raise NotImplementedError
