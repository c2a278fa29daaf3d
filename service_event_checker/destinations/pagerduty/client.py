"""Calls to PagerDuty's REST API v2 with mapped errors: values in, values out.

What is written into an incident, and when, is the destination's affair. https://developer.pagerduty.com/api-reference
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
    read_incident,
    read_note,
)
from service_event_checker.http.client import Http, HttpError, json_body
from service_event_checker.remote.errors import body_of, delivery_error, pause, words
from service_event_checker.remote.values import objects

PAGE = 100  # the most that one call lists
LISTED_MAX = 10_000  # offset + limit; https://developer.pagerduty.com/docs/pagination
LIST_TRIES = 3  # against a list that changes while we page through it
SEEN_FOR = 60.0  # seconds
PAUSE = 10.0  # seconds; a 429 may come without a header, and the limits are counted per minute
_ACCEPT = "application/vnd.pagerduty+json;version=2"
_RESET = "ratelimit-reset"  # seconds; https://developer.pagerduty.com/docs/rest-api-rate-limits
_DUPLICATE = "matching dedup key"  # "Open incident with matching dedup key already exists on this service"
_NO_SENDER = "requester user not found"

Pairs = Iterable[tuple[str, str]]


class AlreadyOpen(DeliveryError):
    """An open incident of the service has this incident_key already; nothing was made."""


class Incidents:
    """The incidents of one service. Every method raises DeliveryError. `sender`: the e-mail in `From`."""

    def __init__(self, url: str, token: str, service_id: str, sender: str, timeout: float) -> None:
        self._token = token
        self._service = service_id
        self._sender = sender
        self._seen: tuple[float, list[Incident]] = (-math.inf, [])
        self._http = Http(url, headers={"Authorization": f"Token token={token}", "Accept": _ACCEPT}, timeout=timeout)

    def create(self, fields: Mapping[str, Any]) -> Incident:
        """Create an incident on the service. Raises AlreadyOpen where one with the same incident_key is open."""
        service = {"id": self._service, "type": "service_reference"}
        body = {"incident": {"type": "incident", "service": service, **fields}}
        made = read_incident(self._call("POST", "incidents", json=body).get("incident"))
        self._seen[1].append(made)
        return made

    def get(self, id: str) -> Incident:
        return read_incident(self._call("GET", f"incidents/{quote(id, safe='')}").get("incident"))

    def change(self, id: str, fields: Mapping[str, Any]) -> Incident:
        """Set some fields of an incident. From resolved, any other status opens it again."""
        body = {"incident": {"type": "incident_reference", **fields}}
        return read_incident(self._call("PUT", f"incidents/{quote(id, safe='')}", json=body).get("incident"))

    def notes(self, id: str) -> list[Note]:
        return [
            read_note(each) for each in objects(self._call("GET", f"incidents/{quote(id, safe='')}/notes"), "notes")
        ]

    def add_note(self, id: str, content: str) -> None:
        self._call("POST", f"incidents/{quote(id, safe='')}/notes", json={"note": {"content": content}})

    def with_key(self, key: str) -> list[Incident]:
        """Return the service's incidents with this incident_key in any state, the newest first; at most a page.

        One whose alerts were merged into it has no key of its own any more, and is found by theirs.
        """
        asked = [("incident_key", key), ("sort_by", "created_at:desc"), ("limit", str(PAGE)), *self._everything]
        found = map(read_incident, objects(self._call("GET", "incidents", asked), "incidents"))
        return [each for each in found if each.key in (key, "")]

    def all_open(self) -> list[Incident]:
        """Return all open incidents of the service, the oldest first; complete, or raises."""
        asked = [("statuses[]", TRIGGERED), ("statuses[]", ACKNOWLEDGED), ("sort_by", "created_at:asc")]
        found = [read_incident(each) for each in self._pages("incidents", [*asked, *self._everything])]
        self._seen = (time.monotonic(), list(found))
        return found

    def open_lately(self) -> list[Incident]:
        """Like `all_open`, as it was within the last minute, with what we have made since: cheap in a storm."""
        seen_at, seen = self._seen
        return list(seen) if time.monotonic() - seen_at < SEEN_FOR else self.all_open()

    def users(self, query: str) -> list[dict[str, Any]]:
        """Return the users whose name or e-mail contains `query`: `{id, name, email}`."""
        return self._pages("users", [("query", query)])

    def service(self) -> dict[str, Any]:
        """Return the service: `{name, status, …}`."""
        return as_mapping(self._call("GET", f"services/{quote(self._service, safe='')}").get("service"))

    def subscriptions(self) -> list[dict[str, Any]]:
        """Return the account's webhook subscriptions: `{active, delivery_method: {url, temporarily_disabled}, …}`."""
        return self._pages("webhook_subscriptions", [])

    @property
    def _everything(self) -> list[tuple[str, str]]:
        """Of this service, whenever it was: without `date_range` the last month only is looked at."""
        return [("service_ids[]", self._service), ("date_range", "all")]

    def _pages(self, name: str, asked: Pairs) -> list[dict[str, Any]]:
        """Return a whole list. Each page overlaps the one before: what moved meanwhile must hide nothing."""
        for _ in range(LIST_TRIES):
            found = self._pass(name, list(asked))
            if found is not None:
                return found
        raise DeliveryError(Reason.REFUSED, f"the list of {name} changes faster than it can be read")

    def _pass(self, name: str, asked: list[tuple[str, str]]) -> list[dict[str, Any]] | None:
        """Page through a list once; None when it changed on the way."""
        found: list[dict[str, Any]] = []
        while True:
            offset = max(0, len(found) - 1)
            if offset + PAGE > LISTED_MAX:
                raise DeliveryError(Reason.TOO_LARGE, f"more than {LISTED_MAX} {name}")
            answer = self._call("GET", name, [*asked, ("limit", str(PAGE)), ("offset", str(offset))])
            page = objects(answer, name)
            if found and (not page or page[0].get("id") != found[-1].get("id")):
                return None
            found += page[1:] if found else page
            if not answer.get("more"):
                return found
            if len(page) < 2:
                return None

    def _call(self, method: str, path: str, asked: Pairs = (), *, json: Any = None) -> dict[str, Any]:
        query = urlencode(list(asked))
        headers = {"From": self._sender} if method != "GET" else {}
        try:
            # `send` even to read: it follows no redirect, and the API has none
            answer = self._http.send(method, f"{path}?{query}" if query else path, json=json, headers=headers)
            value = json_body(answer)
        except HttpError as error:
            raise self._mapped(error) from None
        if not isinstance(value, dict):
            raise DeliveryError(Reason.GARBAGE, "the answer is no JSON object")
        return value

    def _mapped(self, error: HttpError) -> DeliveryError:
        said = self._said(error)
        refusal = delivery_error(error, said, pause=pause(error.headers, seconds=_RESET) or PAUSE)
        if _DUPLICATE in said.lower():
            return AlreadyOpen(Reason.REFUSED, refusal.detail)
        if _NO_SENDER in said.lower():
            next_step = "PAGERDUTY_EMAIL must be the e-mail of a user of this account"
            return DeliveryError(Reason.UNAUTHORIZED, f"{refusal.detail}; {next_step}")
        if error.reason is Reason.UNAUTHORIZED:
            return DeliveryError(Reason.UNAUTHORIZED, f"{refusal.detail}; check PAGERDUTY_API_KEY and its rights")
        return refusal

    def _said(self, error: HttpError) -> str:
        """Return PagerDuty's own words, `{"error": {"message", "code", "errors": []}}`."""
        told = as_mapping(body_of(error).get("error"))
        errors = told.get("errors")
        return words([told.get("message"), *(errors if isinstance(errors, list) else [errors])], [self._token])
