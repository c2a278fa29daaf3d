"""Every error answer of the web: one JSON shape, RFC 9457 problem details or a page where the client asks for them.

Never a trace, never a secret, never what the sender sent us beyond the names of its own fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, g, jsonify, render_template, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed

from service_event_checker import logs
from service_event_checker.config.problems import by_field
from service_event_checker.core.errors import InvalidInput, OutageCheckerError, StoreError
from service_event_checker.engine.actions.runs import NotAllowed
from service_event_checker.engine.acts import NotPossible
from service_event_checker.engine.refusals import Refusal

PROBLEM = "application/problem+json"  # https://www.rfc-editor.org/rfc/rfc9457
STORE_RETRY_SECONDS = 5
_CODES = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_tries",
    500: "internal_error",
    502: "unreadable",
    503: "unavailable",
}
_MESSAGES = {
    404: "There is nothing at this address.",
    405: "This address does not accept this method.",
    413: "The body is too large.",
    500: "Something went wrong here. The log says what.",
}

_STEPS = {
    401: "Load the page again. Give any user name, and a token as the password.",
    403: "If you have another token, close the browser and sign in with that one.",
    404: "Look for it among what is open.",
    429: "Wait a minute, then load the page again.",
    500: "Load the page again. If that does not help, look into the log.",
    503: "Load the page again in a few seconds.",
}

log = structlog.get_logger()


class Refused(OutageCheckerError):
    """A request that is answered with an error; `details` is what a program may want to read of it.

    `why`: for one whose sender is not let in.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        details: Any = None,
        headers: tuple[tuple[str, str], ...] = (),
        why: Refusal = Refusal.OTHER,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details
        self.headers = headers
        self.why = why


def invalid(field: str, problem: str) -> Refused:
    """Return the refusal of one well-formed but wrong value."""
    return Refused(422, f"{field}: {problem}", details=[{"field": field, "problem": problem}])


def install(app: Flask) -> None:
    """Answer every error of the app in our shape."""
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(NotPossible, _not_possible)
    app.register_error_handler(NotAllowed, _not_allowed)
    app.register_error_handler(ValidationError, _invalid_body)
    app.register_error_handler(InvalidInput, _invalid_input)
    app.register_error_handler(StoreError, _store_away)
    app.register_error_handler(HTTPException, _http_error)


def _refused(error: Refused) -> Response:
    return _answer(error.status, error.message, error.details, error.headers)


def _not_possible(error: NotPossible) -> Response:
    return _answer(409, error.message, {"id": error.id, "status": error.status} if error.id else None)


def _not_allowed(error: NotAllowed) -> Response:
    return _answer(403, str(error), None)


def _invalid_body(error: ValidationError) -> Response:
    details = [{"field": field, "problem": problem} for field, problem in by_field(error)]
    return _answer(422, "The body does not fit: see details, field by field.", details)


def _invalid_input(error: InvalidInput) -> Response:
    detail = {"field": error.where, "problem": error.problem, "hint": error.hint}
    return _answer(422, str(error), [{name: text for name, text in detail.items() if text}])


def _store_away(error: StoreError) -> Response:
    log.error("store_unavailable", during=f"{request.method} {request.endpoint}", reason=str(error))
    retry = (("Retry-After", str(STORE_RETRY_SECONDS)),)
    reason = {"reason": logs.masked(str(error))} if "caller" in g else None  # for strangers the log has it
    return _answer(503, "The store cannot be used. Nothing was changed; try again.", reason, retry)


def _http_error(error: HTTPException) -> Response | HTTPException:
    if error.response is not None or error.code is None or error.code < 400:
        return error  # a redirect, or an answer that is made already
    if isinstance(error, InternalServerError):
        log.error("request_failed", endpoint=request.endpoint, error=type(error.original_exception).__name__)
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers = (("Allow", ", ".join(sorted(error.valid_methods))),)
    return _answer(error.code, _message(error), None, headers)


def _message(error: HTTPException) -> str:
    code = error.code or 500
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        accepted = " and ".join(sorted(set(error.valid_methods) - {"HEAD", "OPTIONS"}))
        return f"This address accepts {accepted}, not {request.method}."
    return _MESSAGES.get(code, HTTPStatus(code).phrase + ".")


def _answer(status: int, message: str, details: Any, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    code = _CODES.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
    if _wants_page():
        answer = _page(status, message, details)
    elif _wants_problem():
        body: Mapping[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": message,
            "code": code,
            "details": details,
        }
        answer = jsonify(body)
        answer.mimetype = PROBLEM
    else:
        answer = jsonify({"error": {"code": code, "message": message, "details": details}})
    answer.status_code = status
    for name, value in headers:
        answer.headers.add(name, value)
    return answer


def _page(status: int, message: str, details: Any) -> Response:
    """Return a small page for a person: what is wrong, and what to do next."""
    reason = details.get("reason", "") if isinstance(details, dict) else ""
    title, step = HTTPStatus(status).phrase, _STEPS.get(status, "Go back, or to what is open.")
    return Response(render_template("error.html", title=title, message=message, reason=reason, step=step))


def _wants_page() -> bool:
    """Whether HTML is preferred, as by browsers; `*/*` prefers nothing."""
    accepted = request.accept_mimetypes
    named = any(kind.lower() == "text/html" for kind, _ in accepted)
    return named and accepted["text/html"] > max(accepted["application/json"], accepted[PROBLEM])


def _wants_problem() -> bool:
    return any(kind == PROBLEM and quality > 0 for kind, quality in request.accept_mimetypes)
