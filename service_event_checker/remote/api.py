"""JSON over HTTP with one ticket system or pager: an object out of each call, and each failure as a DeliveryError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.http import budget
from service_event_checker.http.answer import HttpError, Response, json_body
from service_event_checker.http.client import Http
from service_event_checker.remote.pauses import Pauses


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object with the headers that came along."""

    value: dict[str, Any]
    headers: Mapping[str, str]


class Api:
    """Safe for several threads. `system` is its name for people, `timeout` the seconds that one call may take.

    `explain` says what an error answer means. `pauses` are those that the answers have asked for.
    """

    def __init__(self, system: str, http: Http, timeout: float, explain: Callable[[HttpError], DeliveryError]) -> None:
        self._system = system
        self._http = http
        self._timeout = timeout
        self._explain = explain
        self.pauses = Pauses(system)

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        empty: bool = False,
    ) -> Answer:
        """Return the answer. `empty`: it must have no body. Raises DeliveryError."""
        if budget.left() < self._timeout:
            raise DeliveryError(Reason.TIMEOUT, f"{self._system} is too slow for one more call")
        try:
            # `send` even to read: it follows no redirect, and a sign-on answers strangers with one
            answer = self._http.send(method, path, json=json, params=params, headers=headers)
            value = _value(answer, empty=empty)
        except HttpError as error:
            refusal = self._explain(error)
            self.pauses.add(refusal.retry_after)
            raise refusal from None
        self.pauses.add(answer.retry_after)
        if empty and answer.body.strip():  # a sign-in page, for example
            raise DeliveryError(Reason.GARBAGE, "a change is answered without a body")
        if not isinstance(value, dict):
            raise DeliveryError(Reason.GARBAGE, "the answer is not a JSON object")
        return Answer(value, answer.headers)


def _value(answer: Response, *, empty: bool) -> Any:
    if answer.status == 203:  # not the system's own answer: https://www.rfc-editor.org/rfc/rfc9110#section-15.3.4
        raise HttpError(Reason.UNAUTHORIZED, "a sign-in page", status=203, retry_after=answer.retry_after)
    return {} if empty or answer.status == 204 else json_body(answer)
