"""Asks the app that runs on this machine to do what a person wants, where one answers that has the same store."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import click

from service_event_checker.core.model import Alert
from service_event_checker.http.answer import HttpError, json_body, parse_json
from service_event_checker.http.client import Http
from service_event_checker.render.text import line

TIMEOUT = 10.0  # seconds; the app itself gives up on its store after 5
PROBE_TIMEOUT = 2.0
NAME_MAX = 60
OTHER_PORT = "if it uses another port here, set PORT to that"
_ADMIN = "admin"
#: the app does not let us in, or knows nothing of it: then it is asked no further, and the store is written directly
_NOT_FOR_US = frozenset({401, 403, 404, 405, 415})


class RunningApp:
    """The app at PORT on loopback; a token of API_TOKENS is sent where there is one."""

    def __init__(self, environ: Mapping[str, str], store_id: Callable[[], str]) -> None:
        self.url = f"http://127.0.0.1:{environ.get('PORT', '').strip() or '8000'}"
        self._tokens = environ.get("API_TOKENS", "")
        self._store_id = store_id
        self._declined = False  # it is not there or lets us not in: not asked again

    def answers(self) -> bool:
        """Whether this app answers there."""
        try:
            found = json_body(self._http("read", PROBE_TIMEOUT).get("/livez"))
        except HttpError:
            return False
        return isinstance(found, dict) and "status" in found

    def act(self, method: str, path: str, body: Any, *, alert: Alert | None, scope: str) -> dict[str, Any] | None:
        """Return the app's answer; None where no app does it, so that the caller writes to the store itself.

        `alert`: the one that it is about; without one, no app is asked. Raises ClickException with what the app
        refuses, and if it is unknown whether it was done.
        """
        return None if alert is None else self.ask(method, path, body, scope=scope)

    def ask(self, method: str, path: str, body: Any, *, scope: str) -> dict[str, Any] | None:
        """Like `act`, for what is about no alert."""
        if self._declined or not self._has_our_store():
            return None
        try:
            found = json_body(self._http(scope, TIMEOUT).send(method, f"/api/v1{path}", json=body))
        except HttpError as error:
            self._raise_refusal(error)
            return None
        return found if isinstance(found, dict) else None

    def _has_our_store(self) -> bool:
        """Whether the app works on the store that we do; another one may hold a copy of the same alerts."""
        try:
            found = json_body(self._http("read", PROBE_TIMEOUT).get("/health"))
        except HttpError as error:
            found = _json_of(error) if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None  # unhealthy, but ours
        same = isinstance(found, dict) and found.get("store_id") == self._store_id()
        self._declined = not same
        return same

    def _raise_refusal(self, error: HttpError) -> None:
        """Raise ClickException unless the app has not done it and cannot be asked: then return."""
        if error.status in _NOT_FOR_US or (error.status is None and not error.reason.ambiguous):
            self._declined = error.status in (401, 403)
            return
        if error.status is None:
            raise click.ClickException(
                f"the app at {self.url} did not answer in time ({error.reason}); it may have done it. "
                "Next: ./outage show ID says what it is now"
            )
        raise click.ClickException(_message(error))

    def _http(self, scope: str, timeout: float) -> Http:
        token = _token(self._tokens, scope)
        headers = {"X-Actor": user().encode().decode("latin-1")} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        return Http(self.url, headers=headers, timeout=timeout, allow_loopback=True, direct=True)


def user() -> str:
    """Return who acts, for the timeline."""
    try:
        return line(getpass.getuser(), NAME_MAX)
    except (KeyError, OSError):  # a container's user may have no name
        return "command line"


def _token(tokens: str, scope: str) -> str:
    """Return the first token that has the scope; "" if none has. `web/security/auth.py` says what API_TOKENS holds."""
    for entry in tokens.split(";"):
        name, scopes, secret = (*(part.strip() for part in entry.split(":", 2)), "", "")[:3]
        if name and {scope, _ADMIN} & {each.strip().lower() for each in scopes.split(",")}:
            return secret
    return ""


def _message(error: HttpError) -> str:
    """Return what the app says of its refusal."""
    found = _json_of(error)
    try:
        return str(found["error"]["message"])
    except (LookupError, TypeError):
        return f"the app refused it: {error}"


def _json_of(error: HttpError) -> Any:
    """Return what a refusal holds; None for what is not JSON."""
    try:
        return parse_json(error.body)
    except HttpError:
        return None
