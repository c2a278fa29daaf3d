"""The one HTTP client of all adapters: total deadline, byte cap, checked redirects, mapped and redacted errors.

It never repeats a request: the outbox and the schedule do that, after a look at what happened. Where it may
connect to is decided in guard.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError as TransportError

from service_event_checker.core.errors import Reason
from service_event_checker.http.address import join, origin, redact, split_credentials, without_credentials
from service_event_checker.http.answer import (
    HttpError,
    Response,
    read_body,
    read_error_body,
    read_retry_after,
    reason_of,
)
from service_event_checker.http.cache import KeptBodies
from service_event_checker.http.deadline import Deadline
from service_event_checker.http.guard import NotConnected, Resolve, system_addresses, within
from service_event_checker.http.session import Session

REDIRECTS_MAX = 3


class Http:
    """One session for one integration. Thread-safe.

    `base_url` may carry a path, which relative addresses are joined to, a query, which is sent only when the
    address asked for is "", and `user:password@`, which becomes a header. `headers` (credentials) go to the
    base's own scheme, host and port only. `timeout`: seconds that a call may take as a whole. `max_bytes`: of
    a body after decompression. `ca_file`: the PEM file of the authority that servers are checked with, instead of
    the public ones. `direct`: past the proxy (OUTBOUND_PROXY), to what only this machine can reach. Raises
    HttpError(NOT_CONFIGURED) if `base_url` is not an http(s) address.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 15.0,
        max_bytes: int = 4 * 1024 * 1024,
        allow_loopback: bool = False,
        resolve: Resolve = system_addresses,
        ca_file: str = "",
        direct: bool = False,
    ) -> None:
        try:
            self._base, credentials = split_credentials(base_url)
            self._origin = origin(self._base)
        except ValueError:
            raise HttpError(Reason.NOT_CONFIGURED, "not an http or https address") from None
        self._headers = {**credentials, **(headers or {})}
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._kept = KeptBodies()
        trusted = frozenset({self._origin[1:]} if self._base else ())
        self._session = Session(trusted, allow_loopback=allow_loopback, resolve=resolve, ca_file=ca_file, direct=direct)

    def get(self, url: str, *, params: Mapping[str, str] | None = None, cached: bool = False) -> Response:
        """Get `url`: relative to the base, or absolute. Follows redirects, each to a checked address.

        `cached` asks conditionally: a 304 gives the body that was kept of that address, with `not_modified`.
        Raises HttpError.
        """
        with within(self._timeout) as call:
            request = requests.Request("GET", join(self._base, url), params=dict(params or {}))
            answer = self._exchange(request, call, cached=cached)
            for _ in range(REDIRECTS_MAX):
                if not isinstance(answer, str):
                    return answer
                answer = self._exchange(requests.Request("GET", answer), call, cached=cached)
        if isinstance(answer, str):
            raise HttpError(Reason.REFUSED, f"{redact(answer)}: more than {REDIRECTS_MAX} redirects")
        return answer

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Send a request that may have an effect: no redirect is followed, nothing is kept. Raises HttpError.

        `headers` are sent wherever `url` points; those of the session only to the base. `timeout`: seconds, where
        this call has fewer than the others.
        """
        with within(timeout or self._timeout) as call:
            address = join(self._base, url)
            request = requests.Request(method, address, params=dict(params or {}), json=json, data=data)
            request.headers = dict(headers or {})
            answer = self._exchange(request, call, cached=False)
        if isinstance(answer, str):
            raise HttpError(Reason.REFUSED, f"{redact(address)}: redirects to {redact(answer)}")
        return answer

    def close(self) -> None:
        self._session.close()

    def _exchange(self, request: requests.Request, call: Deadline, *, cached: bool) -> Response | str:
        """Return the answer, or the address that it redirects to."""
        place = redact(request.url)
        try:
            return self._exchanged(request, call, cached=cached)
        except NotConnected as error:
            raise HttpError(error.reason, f"{place}: {error.detail}") from None
        except (requests.RequestException, TransportError, OSError, ValueError) as error:
            _raise_mapped(error, call, place)  # never chained: its text holds the whole address, token and all

    def _exchanged(self, request: requests.Request, call: Deadline, *, cached: bool) -> Response | str:
        target = origin(str(request.url))
        self._session.guard.check_target(*target[1:], call)
        if target == self._origin:
            request.headers = {**self._headers, **request.headers}
        prepared = self._session.prepare_request(request)
        url = str(prepared.url)
        kept = self._kept.get(url) if cached else None
        if kept:
            prepared.headers.update(kept.validators)
        with self._session.send(prepared, timeout=call.left, stream=True, allow_redirects=False) as answer:
            retry_after = read_retry_after(answer.headers.get("Retry-After"))
            if answer.status_code == 304 and kept:
                return Response(
                    status=304,
                    headers=answer.headers,
                    body=kept.body,
                    url=url,
                    retry_after=retry_after,
                    not_modified=True,
                )
            if 200 <= answer.status_code < 300:
                body = read_body(answer, call, self._max_bytes)
                if cached and answer.status_code == 200:
                    self._kept.put(url, answer.headers, body)
                return Response(
                    status=answer.status_code, headers=answer.headers, body=body, url=url, retry_after=retry_after
                )
            if answer.status_code == 407 and self._session.proxies:  # RFC 9110: the proxy's answer, nothing went on
                raise NotConnected(Reason.UNREACHABLE, "the proxy asks for credentials, check OUTBOUND_PROXY")
            if answer.status_code in (301, 302, 303, 307, 308) and answer.headers.get("Location"):
                return without_credentials(urljoin(url, answer.headers["Location"]))
            raise HttpError(
                reason_of(answer.status_code),
                f"{redact(url)}: HTTP {answer.status_code}",
                status=answer.status_code,
                retry_after=retry_after,
                headers=answer.headers,
                body=read_error_body(answer, call),
            )


def _raise_mapped(error: Exception, call: Deadline, place: str) -> NoReturn:
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.InvalidURL):
        raise HttpError(Reason.FORBIDDEN_ADDRESS, f"{place}: not an http or https address") from None
    if isinstance(error, requests.exceptions.ContentDecodingError):
        raise HttpError(Reason.GARBAGE, f"{place}: the body cannot be decompressed") from None
    if isinstance(error, requests.exceptions.InvalidHeader) or getattr(error, "encoding", "") == "latin-1":
        raise HttpError(Reason.NOT_CONFIGURED, f"{place}: a header cannot hold the credentials") from None
    if call.sent and isinstance(error, ValueError) and not isinstance(error, requests.RequestException):
        raise HttpError(Reason.GARBAGE, f"{place}: redirects to no address") from None
    if not call.sent:
        raise HttpError(Reason.UNREACHABLE, f"{place}: {_obstacle(error)}") from None
    if call.over or isinstance(error, requests.Timeout | TimeoutError):
        raise HttpError(Reason.TIMEOUT, place) from None
    raise HttpError(Reason.RESET, f"{place}: {type(error).__name__}") from None


def _obstacle(error: Exception) -> str:
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not connect, check OUTBOUND_PROXY"
    return "certificate or TLS" if isinstance(error, requests.exceptions.SSLError) else type(error).__name__
