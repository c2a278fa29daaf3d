"""What a robot's answer means for a delivery, read by the table of its dialect."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.http.answer import HttpError, Response, json_body, parse_json
from service_event_checker.remote.errors import ACCESS, delivery_error, words
from service_event_checker.remote.robots.dialect import Dialect, Meaning

_ADDRESS_IS_WRONG = frozenset({*ACCESS, Reason.NOT_FOUND})
_ADDRESS = re.compile(r"^https?://\S+?(: |$)")
_TEXT_MAX = 200  # characters of a body that is a text


class RobotRefusal(DeliveryError):
    """The system refused a message in its own words; `body` is its answer."""

    def __init__(
        self, reason: Reason, detail: str, *, permanent: bool, retry_after: float | None, body: Mapping[str, Any]
    ) -> None:
        super().__init__(reason, detail, permanent=permanent, retry_after=retry_after)
        self.body = body


def accepted(answer: Response, dialect: Dialect, secrets: Iterable[str]) -> dict[str, Any]:
    """Return the body of a success, {} for a text. Raises DeliveryError for anything else."""
    rules = dialect.answers
    if answer.status in rules.statuses:
        return {}
    try:
        body = as_mapping(json_body(answer)) if rules.code else {}
    except HttpError as error:
        raise DeliveryError(error.reason, f"{dialect.system}: {error.detail}") from None
    code = _code(body, rules.code) if rules.code else _text(answer.body)
    if code in rules.good:
        return body
    meaning = _meaning(dialect, code, _said(body, dialect, code))
    if meaning is None and (not rules.code or code is None):
        raise DeliveryError(Reason.GARBAGE, f"{dialect.system}: the answer does not say that the message was taken")
    raise _error(dialect, meaning or Meaning(reason=Reason.REFUSED, permanent=True), body, code, secrets)


def failure(error: HttpError, dialect: Dialect, secrets: Iterable[str]) -> DeliveryError:
    """Return what an HTTP error means; below 500, the system's own code counts."""
    body, code = _refusal(error, dialect)
    meaning = _meaning(dialect, code, _said(body, dialect, code)) if 400 <= (error.status or 0) < 500 else None
    if meaning:
        return _error(dialect, meaning, body, code, secrets, error)
    said = words([_said(body, dialect, code)], secrets)
    mapped = delivery_error(error, said, pause=dialect.pause)
    detail = f"{dialect.system}: {without_address(mapped.detail)}"
    if error.reason in _ADDRESS_IS_WRONG and error.status is not None:  # a person corrects the address: it waits
        return DeliveryError(error.reason, f"{detail}; check {dialect.where}", retry_after=mapped.retry_after)
    return DeliveryError(mapped.reason, detail, permanent=mapped.permanent, retry_after=mapped.retry_after)


def without_address(detail: str) -> str:
    """Return the detail of an HTTP error without the address at its start, which is a secret here."""
    return _ADDRESS.sub("", detail) or "no answer in time"


def _refusal(error: HttpError, dialect: Dialect) -> tuple[Mapping[str, Any], Any]:
    if not dialect.answers.code:
        return {}, _text(error.body)
    try:
        body = as_mapping(parse_json(error.body)) if error.body else {}
    except HttpError:
        return {}, None
    return body, _code(body, dialect.answers.code)


def _error(
    dialect: Dialect,
    meaning: Meaning,
    body: Mapping[str, Any],
    code: Any,
    secrets: Iterable[str],
    error: HttpError | None = None,
) -> DeliveryError:
    said = words([str(code) if dialect.answers.code and code is not None else "", _said(body, dialect, code)], secrets)
    detail = "; ".join(filter(None, (f"{dialect.system}: {said}", meaning.hint)))
    pause = _seconds(body, dialect.answers.retry_after) or (error.retry_after if error else None) or meaning.pause
    if meaning.reason is Reason.RATE_LIMITED:
        pause = pause or dialect.pause
    return RobotRefusal(meaning.reason, detail, permanent=meaning.permanent, retry_after=pause, body=body)


def _meaning(dialect: Dialect, code: Any, said: str) -> Meaning | None:
    meanings = dialect.answers.meanings
    if code in meanings:
        return meanings[code]
    parts = (part for part in meanings if isinstance(part, str) and part in said.lower())
    return meanings[found] if (found := next(parts, None)) is not None else None


def _code(body: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the code, None where there is none that could be one."""
    found = next((body[name] for name in names if name in body), None)
    return found if isinstance(found, int | str) else None


def _said(body: Mapping[str, Any], dialect: Dialect, code: Any) -> str:
    if not dialect.answers.code:
        return code if isinstance(code, str) else ""
    return next((str(body[name]) for name in dialect.answers.says if body.get(name)), "")


def _text(body: bytes) -> str:
    return body[: _TEXT_MAX * 4].decode("utf-8", "replace").strip()[:_TEXT_MAX]


def _seconds(body: Mapping[str, Any], path: Iterable[str]) -> float | None:
    value: Any = body
    for name in path:
        value = as_mapping(value).get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else None
