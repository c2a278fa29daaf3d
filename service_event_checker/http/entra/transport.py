"""How azure-identity reaches its authority: over our own HTTP client. Imported late, it draws in the Azure SDK."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from azure.core.pipeline.transport import HttpResponse, HttpTransport

from service_event_checker.core.errors import Reason
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http

_METADATA = "/v2.0/.well-known/openid-configuration"

# It warns of each failure in Entra's own words, which name client and tenant; we raise it, with the codes alone.
logging.getLogger("azure.identity").setLevel(logging.ERROR)


class Transport(HttpTransport[Any, Any]):
    """Sends what the library's pipeline gives it. `trouble`: what became of the last request, if it was bad.

    The library insists on https for its authority. Where the configuration names a plain one (on loopback only,
    see `identity.py`), the library is told https and the scheme is set right here. It also wants to be told where the
    token endpoint is; that is documented, so it hears it from us: one request less, and no answer can send our
    secret elsewhere.
    """

    def __init__(self, http: Http, base: str) -> None:
        self.trouble: HttpError | None = None
        self._http = http
        parts = urlsplit(base)
        self._plain = (
            ("https://" + parts.netloc + "/", "http://" + parts.netloc + "/") if parts.scheme == "http" else None
        )

    def send(self, request: Any, **_: Any) -> _Response:
        """Return the answer, 4xx and 5xx included. Raises HttpError where there was none."""
        self.trouble = None
        if request.url.endswith(_METADATA):
            return _metadata(request)
        try:
            answer = self._http.send(
                request.method, self._address(request.url), data=_body(request), headers=request.headers
            )
        except HttpError as error:
            self.trouble = error
            if error.status is None or error.reason in (Reason.TIMEOUT, Reason.TOO_LARGE):
                raise
            wait = {} if error.retry_after is None else {"Retry-After": str(int(error.retry_after))}
            return _Response(request, error.status, {"Content-Type": "application/json", **wait}, error.body)
        return _Response(request, answer.status, answer.headers, answer.body)

    def open(self) -> None:
        """Do nothing: connections are opened when they are needed."""

    def close(self) -> None:
        self._http.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _address(self, url: str) -> str:
        if self._plain and url.startswith(self._plain[0]):
            return self._plain[1] + url.removeprefix(self._plain[0])
        return url


class _Response(HttpResponse):
    def __init__(self, request: Any, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(request, None)
        self.status_code = status
        self.headers = dict(headers)
        self.reason = ""
        self.content_type = {name.lower(): value for name, value in headers.items()}.get("content-type", "")
        self._whole = body

    def body(self) -> bytes:
        return self._whole

    def json(self) -> Any:
        return json.loads(self._whole)


def _metadata(request: Any) -> _Response:
    """Answer for the authority; https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow."""
    tenant = request.url.removesuffix(_METADATA)
    paths = {
        "token_endpoint": "/oauth2/v2.0/token",
        "authorization_endpoint": "/oauth2/v2.0/authorize",
        "issuer": "/v2.0",
    }
    known = {name: tenant + path for name, path in paths.items()}
    return _Response(request, 200, {"Content-Type": "application/json"}, json.dumps(known).encode())


def _body(request: Any) -> bytes | None:
    """Return the bytes of a request: a form is given as a mapping, which the SDK's own transports would encode."""
    content = request.content
    if isinstance(content, Mapping):
        return urlencode(content).encode()
    return content.encode() if isinstance(content, str) else content
