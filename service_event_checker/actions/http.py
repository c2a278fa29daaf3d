"""Calls an address that config.json declares, with declared parameters in its path, its query or its JSON body."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote, unquote, urlsplit

from pydantic import JsonValue, SecretStr, model_validator

from service_event_checker import logs
from service_event_checker.actions.process import OUTPUT_MAX
from service_event_checker.config.actions import PLACEHOLDER, ActionConfig, fill
from service_event_checker.config.models import secret
from service_event_checker.core.actions import Ended, State
from service_event_checker.core.errors import InvalidInput
from service_event_checker.http.address import redact
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.render.text import clean


class Config(ActionConfig):
    """`url`: parameters may stand behind the host. `headers` hold the credentials, as "env:NAME"."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("url", "body")

    kind: Literal["http"]
    url: str
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: dict[str, SecretStr] = {}
    body: dict[str, JsonValue] | None = None

    @model_validator(mode="after")
    def _address_is_fixed(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or PLACEHOLDER.search(parts.netloc):
            raise ValueError("url: is not an http or https address with a fixed host")
        return self

    def lacks(self) -> str:
        unset = (secret(value) for value in self.headers.values())
        return ", ".join(f"{text[4:].strip()} is not set" for text in unset if text.startswith("env:"))


class Runner:
    """See `core.ports.Action`."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def check(self, parameters: Mapping[str, str]) -> None:
        """Clients take `..` for the folder above, also where it is encoded (RFC 3986, 5.2.4 and 6.2.2)."""
        if {".", ".."} & set(map(unquote, urlsplit(self._url(parameters)).path.split("/"))):
            raise InvalidInput("parameters", "make a path that leaves its place")

    def describe(self, parameters: Mapping[str, str]) -> str:
        return f"{self.config.method} {redact(self._url(parameters))}"

    def run(self, parameters: Mapping[str, str]) -> Ended:
        config = self.config
        headers = {name: secret(value) for name, value in config.headers.items()}
        body = None if config.body is None else _filled(config.body, parameters)
        try:
            self.check(parameters)
            with closing(Http(self._base, headers=headers, timeout=config.timeout.total_seconds())) as http:
                answer = http.send(config.method, self._url(parameters), json=body)
        except InvalidInput as error:
            return Ended(state=State.FAILED, why=f"it was not started: {error}")
        except HttpError as error:
            return of_error(error)
        return Ended(state=State.SUCCEEDED, why=f"HTTP {answer.status}", output=_text(answer.body))

    @property
    def _base(self) -> str:
        parts = urlsplit(self.config.url)
        return f"{parts.scheme}://{parts.netloc}"

    def _url(self, parameters: Mapping[str, str]) -> str:
        """Values are encoded: none adds a segment or a parameter."""
        encoded = {name: quote(value, safe="") for name, value in parameters.items()}
        parts = urlsplit(self.config.url)
        host = parts.netloc.rpartition("@")[2]
        return fill(parts._replace(netloc=host).geturl(), encoded)


def of_error(error: HttpError) -> Ended:
    """Return what a failed call means: where the request may have had its effect, nobody knows."""
    state = State.UNKNOWN if error.reason.ambiguous else State.FAILED
    return Ended(state=state, why=logs.masked(str(error)), output=_text(error.body))


def _filled(value: Any, parameters: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return fill(value, parameters)
    if isinstance(value, dict):
        return {name: _filled(each, parameters) for name, each in value.items()}
    return [_filled(each, parameters) for each in value] if isinstance(value, list) else value


def _text(body: bytes) -> str:
    return clean(logs.masked(body[:OUTPUT_MAX].decode(errors="replace")), OUTPUT_MAX)
