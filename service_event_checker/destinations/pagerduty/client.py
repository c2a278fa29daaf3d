"""Calls to PagerDuty's REST API v2: builds requests, reads answers, maps errors.

https://developer.pagerduty.com/api-reference
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.pagerduty.payload import (
    ACKNOWLEDGED,
    TRIGGERED,
    Incident,
    Note,
    Service,
    Subscription,
    User,
)
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.api import Api
from service_event_checker.remote.errors import ACCESS, access_error, body_of, delivery_error, pause, words
from service_event_checker.remote.payload import answered
from service_event_checker.remote.values import objects

PAGE = 100  # the most that one call lists
LISTED_MAX = 10_000  # offset + limit; https://developer.pagerduty.com/docs/pagination
LIST_TRIES = 3  # against a list that changes while we page through it
SEEN_FOR = 60.0  # seconds
PAUSE = 10.0  # seconds; a 429 may come without a header, and the limits are counted per minute
_ACCEPT = "application/vnd.pagerduty+json;version=2"
_RESET = "ratelimit-reset"  # seconds; https://developer.pagerduty.com/docs/rest-api-rate-limits
_DUPLICATE = "matching dedup key"  # "Open incident with matching dedup key already exists on this service"
_RIGHT = "PAGERDUTY_API_KEY may only read: use a key with full access, or give its user the role Responder or higher"
_NO_SENDER = "requester user not found"

Pairs = Iterable[tuple[str, str]]


class AlreadyOpen(DeliveryError):
    """An open incident of the service has this incident_key already; nothing was changed."""


class Incidents:
    """The incidents of one service. Every method raises DeliveryError. `sender`: the e-mail in `From`."""

    def __init__(self, url: str, token: str, service_id: str, sender: str, timeout: float) -> None:
        self._token = token
        self._service = service_id
        self._sender = sender
        self._seen: tuple[float, list[Incident]] = (-math.inf, [])
        http = Http(url, headers={"Authorization": f"Token token={token}", "Accept": _ACCEPT}, timeout=timeout)
        self._api = Api("PagerDuty", http, timeout, self._mapped)
        self.pauses = self._api.pauses

    def create(self, fields: Mapping[str, Any]) -> Incident:
        """Create an incident on the service. Raises AlreadyOpen where one with the same incident_key is open."""
        service = {"id": self._service, "type": "service_reference"}
        made = self._incident("POST", "incidents", {"type": "incident", "service": service, **fields})
        self._seen[1].append(made)
        return made

    def get(self, id: str) -> Incident:
        return self._incident("GET", _place(id))

    def change(self, id: str, fields: Mapping[str, Any]) -> None:
        """Set some fields. From resolved, any other status opens the incident again. Raises AlreadyOpen."""
        self._incident("PUT", _place(id), {"type": "incident_reference", **fields})

    def notes(self, id: str) -> list[Note]:
        found = objects(self._call("GET", f"{_place(id)}/notes"), "notes")
        return [answered(Note, each, "a note") for each in found]

    def add_note(self, id: str, content: str) -> None:
        self._call("POST", f"{_place(id)}/notes", json={"note": {"content": content}})

    def with_key(self, key: str) -> list[Incident]:
        """Return the service's incidents with this incident_key in any state, the newest first; at most a page.

        An incident that others were merged into has no key of its own, and is found by theirs.
        """
        query = [("incident_key", key), ("sort_by", "created_at:desc"), ("limit", str(PAGE)), *self._everything]
        found = _incidents(objects(self._call("GET", "incidents", query), "incidents"))
        return [each for each in found if each.incident_key in (key, "")]

    def all_open(self) -> list[Incident]:
        """Return all open incidents of the service, the oldest first; complete, or raises."""
        query = [("statuses[]", TRIGGERED), ("statuses[]", ACKNOWLEDGED), ("sort_by", "created_at:asc")]
        found = _incidents(self._pages("incidents", [*query, *self._everything]))
        self._seen = (time.monotonic(), list(found))
        return found

    def open_lately(self) -> list[Incident]:
        """Like `all_open`, as it was within the last minute, with what we have made since: cheap in a storm."""
        seen_at, seen = self._seen
        return list(seen) if time.monotonic() - seen_at < SEEN_FOR else self.all_open()

    def users(self, query: str) -> list[User]:
        """Return the users whose name or e-mail contains `query`."""
        return [answered(User, each, "a user") for each in self._pages("users", [("query", query)])]

    def service(self) -> Service:
        answer = self._call("GET", f"services/{quote(self._service, safe='')}")
        return answered(Service, answer.get("service"), "a service")

    def subscriptions(self) -> list[Subscription]:
        return [answered(Subscription, each, "a subscription") for each in self._pages("webhook_subscriptions")]

    @property
    def _everything(self) -> list[tuple[str, str]]:
        """Of this service, whenever it was: without `date_range` only the last month is searched."""
        return [("service_ids[]", self._service), ("date_range", "all")]

    def _pages(self, name: str, query: Pairs = ()) -> list[dict[str, Any]]:
        """Return a whole list. Each page overlaps the one before, so that what moves meanwhile hides nothing."""
        for _ in range(LIST_TRIES):
            found = self._pass(name, list(query))
            if found is not None:
                return found
        raise DeliveryError(Reason.REFUSED, f"the list of {name} changes faster than it can be read")

    def _pass(self, name: str, query: list[tuple[str, str]]) -> list[dict[str, Any]] | None:
        """Page through a list once; None when it changed on the way."""
        found: list[dict[str, Any]] = []
        while True:
            offset = max(0, len(found) - 1)
            if offset + PAGE > LISTED_MAX:
                raise DeliveryError(Reason.TOO_LARGE, f"more than {LISTED_MAX} {name}")
            answer = self._call("GET", name, [*query, ("limit", str(PAGE)), ("offset", str(offset))])
            page = objects(answer, name)
            if found and (not page or page[0].get("id") != found[-1].get("id")):
                return None
            found += page[1:] if found else page
            if not answer.get("more"):
                return found
            if len(page) < 2:
                return None

    def _incident(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Incident:
        answer = self._call(method, path, json={"incident": fields} if fields else None)
        return answered(Incident, answer.get("incident"), "an incident")

    def _call(self, method: str, path: str, query: Pairs = (), *, json: Any = None) -> dict[str, Any]:
        asked = urlencode(list(query))  # some names come more than once
        headers = {"From": self._sender} if method != "GET" else {}
        return self._api.call(method, f"{path}?{asked}" if asked else path, json=json, headers=headers).value

    def _mapped(self, error: HttpError) -> DeliveryError:
        said = self._said(error)
        refusal = delivery_error(error, said, pause=pause(error.headers, seconds=_RESET) or PAUSE)
        if _DUPLICATE in said.lower():
            return AlreadyOpen(Reason.REFUSED, refusal.detail, permanent=True)
        if _NO_SENDER in said.lower():
            next_step = "PAGERDUTY_EMAIL must be the e-mail of a user of this account"
            return DeliveryError(Reason.UNAUTHORIZED, f"{refusal.detail}; {next_step}")
        if error.reason in ACCESS:
            return access_error(error, refusal.detail, who="check PAGERDUTY_API_KEY", right=_RIGHT)
        return refusal

    def _said(self, error: HttpError) -> str:
        """Return PagerDuty's own words, `{"error": {"message", "code", "errors": []}}`."""
        told = as_mapping(body_of(error).get("error"))
        errors = told.get("errors")
        return words([told.get("message"), *(errors if isinstance(errors, list) else [errors])], [self._token])


def _place(id: str) -> str:
    return f"incidents/{quote(id, safe='')}"


def _incidents(listed: Iterable[dict[str, Any]]) -> list[Incident]:
    return [answered(Incident, each, "an incident") for each in listed]
