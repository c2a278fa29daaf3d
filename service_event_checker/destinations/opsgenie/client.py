"""Calls to Opsgenie's alerts, and to those of Jira Service Management (JSM) Operations that take their place.

Builds requests, reads answers, maps errors. A write is accepted with 202 and done later: each waits for its outcome.
Contracts: opsgenie/opsgenie-oas (swagger.json);
https://developer.atlassian.com/cloud/jira/service-context-ops/rest/v2/api-group-alerts/ and
https://developer.atlassian.com/cloud/jira/service-context-ops/rest/v1/api-group-integration-events
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.opsgenie.payload import OpsAlert, OpsNote, Outcome, changed_alert, next_page
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.api import Api
from service_event_checker.remote.errors import ACCESS, access_error, body_of, delivery_error, pause, words
from service_event_checker.remote.payload import answered
from service_event_checker.remote.ticket import unless_gone
from service_event_checker.remote.values import objects

PAGE = 100  # alerts or notes a call, the most that Opsgenie gives
OVERLAP = 10  # alerts that may close while we turn a page, without one of the others being missed
LISTED_MAX = 19_000  # both refuse to page beyond 20,000
NOTE_PAGES = 10
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two questions what became of a request
_PERIOD = "X-RateLimit-Period-In-Sec"  # in which a limit was met; https://docs.opsgenie.com/docs/api-rate-limiting
_WHO = "the key is wrong: use that of an API integration"
_RIGHT = "the key may not do this: let its integration read, create and update alerts"
_NOT_KNOWN = "the request was taken, what became of it"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the three addresses call the same things. `path`: of the alerts, below the base address.

    `signed`: an action says who does it, with a note; else the account does it and the note goes by itself.
    `readable`: alerts and the outcome of requests can be read. `prioritize`: the method that sets a priority later.
    """

    path: str
    properties: str = "details"
    size: str = "limit"
    listed: str = "data"
    signed: bool = True
    readable: bool = True
    prioritize: str = "PUT"


DIALECTS: Mapping[str, Dialect] = {
    "opsgenie": Dialect("v2/alerts"),
    "jsm-integration": Dialect("v2/alerts", readable=False),
    "jsm": Dialect(
        "v1/alerts", properties="extraProperties", size="size", listed="values", signed=False, prioritize="PATCH"
    ),
}


class OpsAlerts:
    """The alerts that a key may see. Every method raises DeliveryError. `user` signs what we do."""

    def __init__(self, dialect: Dialect, url: str, token: str, *, email: str, user: str, timeout: float) -> None:
        pair = base64.b64encode(f"{email}:{token}".encode()).decode()
        scheme = f"GenieKey {token}" if dialect.signed else f"Basic {pair}"
        self._dialect = dialect
        self._secrets = tuple(secret for secret in (pair, token) if secret)
        self._api = Api(
            "Opsgenie", Http(url, headers={"Authorization": scheme}, timeout=timeout), timeout, self._mapped
        )
        self.pauses = self._api.pauses
        self._timeout = timeout
        self._signature = {"user": user, "source": user} if dialect.signed else {}
        self._source = {"source": user}

    def create(self, document: Mapping[str, Any], details: Mapping[str, str]) -> str:
        """Create an alert and return its id: an open one's with the same `alias`, if there is one.

        The alias stands in for the id where the id cannot be read. Keys of `document`: message, alias, description,
        tags, priority, responders.
        """
        body = {**document, self._dialect.properties: details, **self._source, **self._signature}
        return self._outcome(self._call("POST", "", json=body)) or str(document["alias"])

    def get(self, id: str) -> OpsAlert:
        return self._alert(self._call("GET", quote(id, safe="")))

    def with_alias(self, alias: str) -> OpsAlert | None:
        """Return the open alert that has this alias."""
        place, params = quote(alias, safe=""), {"identifierType": "alias"}
        if not self._dialect.signed:
            place, params = "alias", {"alias": alias}
        return unless_gone(lambda: self._alert(self._call("GET", place, params=params)))

    def search(self, query: str) -> list[OpsAlert]:
        """Return all alerts that a search query finds, the oldest first."""
        found: dict[str, OpsAlert] = {}
        for offset in range(0, LISTED_MAX, PAGE - OVERLAP):
            page = self._page(query, offset)
            found |= {alert.id: alert for alert in page}
            if len(page) < PAGE:
                return list(found.values())
        raise DeliveryError(Reason.TOO_LARGE, f"more than {LISTED_MAX} alerts are open")

    def notes(self, id: str) -> list[OpsNote]:
        """Return the newest notes of an alert, at most NOTE_PAGES pages."""
        notes: list[OpsNote] = []
        params = {self._dialect.size: str(PAGE), **({"order": "desc"} if self._dialect.signed else {})}
        for _ in range(NOTE_PAGES):
            answer = self._call("GET", f"{quote(id, safe='')}/notes", params=params)
            page = objects(answer, self._dialect.listed)
            notes += [answered(OpsNote, each, "a note") for each in page]
            following = next_page(answer)
            if not page or not following:
                break
            params |= following
        return notes

    def act(self, action: str, id: str, text: str) -> None:
        """Acknowledge, unacknowledge or close an alert, and note why unless `text` is "".

        Raises Undone when it could not be done.
        """
        note = {"note": text} if text else {}
        body = {**self._signature, **note} if self._dialect.signed else None
        self._outcome(self._call("POST", f"{quote(id, safe='')}/{action}", json=body, params=self._named(id)))
        if body is None and text:
            self.note(id, text)

    def prioritize(self, id: str, priority: str) -> None:
        """Set the priority of an alert. Raises Undone when it could not be done."""
        place = f"{quote(id, safe='')}/priority"
        self._outcome(self._call(self._dialect.prioritize, place, json={"priority": priority}))

    def note(self, id: str, text: str) -> None:
        body = {"note": text, **self._signature}
        answer = self._call("POST", f"{quote(id, safe='')}/notes", json=body, params=self._named(id))
        if self._dialect.signed:  # else the note itself is the answer
            self._outcome(answer)

    def _named(self, id: str) -> dict[str, str]:
        """Return how an alert is named: where no id can be read, ours are known by their alias."""
        return {"identifierType": "alias"} if not self._dialect.readable and id.startswith("poc-") else {}

    def _page(self, query: str, offset: int) -> list[OpsAlert]:
        size = {self._dialect.size: str(PAGE), "offset": str(offset)}
        answer = self._call("GET", "", params={"query": query, "sort": "createdAt", "order": "asc", **size})
        return [answered(OpsAlert, each, "an alert") for each in objects(answer, self._dialect.listed)]

    def _alert(self, answer: Mapping[str, Any]) -> OpsAlert:
        return answered(OpsAlert, self._inner(answer), "an alert")

    def _inner(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Return what an answer is about: Opsgenie wraps it, JSM does not."""
        return as_mapping(answer.get("data")) if self._dialect.signed else dict(answer)

    def _outcome(self, accepted: Mapping[str, Any]) -> str:
        """Wait for what becomes of a request and return the alert's id, "" where nobody tells.

        A request is not found until it is done. As it has been taken, only its outcome proves anything.
        """
        request = accepted.get("requestId")
        if not isinstance(request, str) or not request:
            raise DeliveryError(Reason.GARBAGE, "the answer names no request")
        if not self._dialect.readable:
            return ""
        until, pause = time.monotonic() + self._timeout, FIRST_PAUSE
        while True:
            done = self._asked(request)
            if done.is_success is not None:
                return changed_alert(done)
            if time.monotonic() + pause > until:
                raise DeliveryError(Reason.TIMEOUT, f"{_NOT_KNOWN} is not known yet")
            time.sleep(pause)  # within the call's own deadline: only its end says whether it worked
            pause = min(pause * 2, LONGEST_PAUSE)

    def _asked(self, request: str) -> Outcome:
        """Return the outcome of a request, an empty one while it is not known."""
        try:
            answer = self._call("GET", f"requests/{quote(request, safe='')}")
        except DeliveryError as error:
            if error.reason is Reason.NOT_FOUND or error.reason.ambiguous:
                return Outcome()
            detail = f"{_NOT_KNOWN}: {error}"
            raise DeliveryError(Reason.TIMEOUT, detail, retry_after=error.retry_after) from None
        return answered(Outcome, self._inner(answer), "an outcome")

    def _call(
        self, method: str, path: str, *, json: Any = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        place = f"{self._dialect.path}/{path}" if path else self._dialect.path
        return self._api.call(method, place, json=json, params=params).value

    def _mapped(self, error: HttpError) -> DeliveryError:
        said = words([body_of(error).get("message")], self._secrets)
        refusal = delivery_error(error, said, pause=pause(error.headers, seconds=_PERIOD))
        if error.status == 402:
            return DeliveryError(Reason.FORBIDDEN, f"{refusal.detail} (the plan does not include it)")
        if error.reason in ACCESS:
            return access_error(error, refusal.detail, who=_WHO, right=_RIGHT)
        return refusal
