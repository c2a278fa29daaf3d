"""Reads the body of a request: its type, its size, and by strict_json what it holds."""

from __future__ import annotations

import sys
from typing import Any

from flask import Request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from service_event_checker.core.errors import InvalidInput
from service_event_checker.http import strict_json
from service_event_checker.web.body_budget import reserve
from service_event_checker.web.errors import Refused

BODY_MAX = 1024 * 1024  # bytes


def json_body(request: Request, *, limit: int = BODY_MAX) -> Any:
    """Return the parsed body. Raises Refused: 415 no JSON type, 413 over `limit` bytes, 400 no JSON that we take.

    What is refused as JSON: see `strict_json.read`. 503 while too many large bodies are in work, see `body_budget`.
    """
    demand_json(request)
    length = request.content_length
    if length is not None and length > limit:
        raise RequestEntityTooLarge
    reserve(request, limit if length is None else length)
    return parse(raw_body(request, limit))


def has_body(request: Request) -> bool:
    """Whether the request carries a body, also one in chunks."""
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def demand_json(request: Request) -> None:
    """Raise Refused (415) unless the headers promise plain JSON."""
    if request.mimetype != "application/json":
        raise Refused(415, "Send JSON, with Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(415, "Send the body uncompressed, without Content-Encoding.")


def raw_body(request: Request, limit: int) -> bytes:
    """Return the bytes as they came, the same each time it is asked.

    Raises RequestEntityTooLarge (413), and Refused (400) if the body is incomplete or its chunks are invalid.
    Reads one byte more than is taken: a chunked body is cut at Werkzeug's limit without a word.
    """
    request.max_content_length = limit + 1
    try:
        body = request.get_data()
    except (OSError, ParseException):  # Gunicorn's, which reads chunks as late as this
        raise Refused(400, "The body does not match its headers.") from None
    if len(body) > limit:
        raise RequestEntityTooLarge
    if len(body) < (request.content_length or 0):  # Gunicorn ends where the sender does
        raise Refused(400, "The body is shorter than its Content-Length.")
    return body


def parse(body: bytes) -> Any:
    """Return what the JSON holds. Raises Refused (400)."""
    try:
        return strict_json.read(body)
    except InvalidInput as error:
        raise Refused(400, f"The body {error.problem}.") from None


def beginning(request: Request, length: int) -> bytes:
    """Return the first bytes of a body, also of one that is too large to be read; b"" where the sender is gone."""
    try:
        request.max_content_length = sys.maxsize
        return request.get_data()[:length] if _was_read(request) else request.stream.read(length)
    except (HTTPException, OSError, ParseException):
        return b""


def _was_read(request: Request) -> bool:
    return getattr(request, "_cached_data", None) is not None
