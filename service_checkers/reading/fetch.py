"""What the checkers share in asking: HTTP trouble becomes SourceError, a configured address is checked at start."""

from __future__ import annotations

import random
from collections.abc import Set
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from service_event_checker.config.fields import web_address
from service_event_checker.core.errors import SourceError
from service_event_checker.http.answer import HttpError, Response, json_body, parse_json
from service_event_checker.http.client import Http

_SHUFFLE = random.SystemRandom()


def fetch(http: Http, source: str, url: str) -> Response:
    """Get `url`, conditionally. Raises SourceError."""
    try:
        return http.get(url, cached=True)
    except HttpError as error:
        raise source_error(source, error) from error


def fetch_json(http: Http, source: str, url: str) -> Any:
    """Get the JSON value at `url`, conditionally. Raises SourceError."""
    return fetch_page(http, source, url)[0]


def fetch_page(http: Http, source: str, url: str) -> tuple[Any, str]:
    """Get the JSON value at `url`, conditionally, and the host that it came from in the end. Raises SourceError."""
    answer = fetch(http, source, url)
    try:
        return json_body(answer), host_of(answer.url)
    except HttpError as error:
        raise source_error(source, error) from error


def host_of(url: str) -> str:
    """Return host and port of an address, as they are compared."""
    return urlsplit(url).netloc.rpartition("@")[2].casefold().removeprefix("www.")


def read_json(source: str, body: bytes) -> Any:
    """Return the JSON value of a body that was not fetched by us. Raises SourceError."""
    try:
        return parse_json(body)
    except HttpError as error:
        raise source_error(source, error) from error


def source_error(source: str, error: HttpError) -> SourceError:
    return SourceError(source, error.reason, error.detail, retry_after=error.retry_after)


def shuffled(names: Set[str]) -> list[str]:
    """Return names in a new order: where one check cannot ask for all, or fails at one, each has its turn."""
    order = sorted(names)
    _SHUFFLE.shuffle(order)
    return order


WebAddress = Annotated[str, Field(min_length=1), web_address("https://status.example.com", base=False)]
