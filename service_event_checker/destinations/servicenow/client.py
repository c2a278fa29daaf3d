"""Calls to ServiceNow's Table API for incidents with mapped errors: values in, values out.

What is written into an incident, and when, is the destination's affair. All values are texts, in ServiceNow's own time
(UTC). https://github.com/ServiceNow/ServiceNowDocs, markdown/api-reference/rest-apis/c_TableAPI.md
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.http.address import without_credentials
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.api import Answer, Api
from service_event_checker.remote.errors import ACCESS, access_error, body_of, delivery_error, pause, words

NEW, RESOLVED, CLOSED, CANCELED = "1", "6", "7", "8"
WORKED_ON = frozenset({"2", "3", "4", "5"})  # in progress and on hold, which older releases divide into three
LOCKED = frozenset({CLOSED, CANCELED})  # nobody but an admin may change these
ENDED = LOCKED | {RESOLVED}
TABLE = "api/now/table/incident"
CHOICES = "api/now/table/sys_choice"
PAGE = 200  # incidents a call
PAGES_MAX = 100
READ = (
    "sys_id",
    "number",
    "state",
    "close_code",
    "correlation_id",
    "correlation_display",
    "sys_created_on",
    "sys_updated_on",
    "sys_updated_by",
)
SYS_ID = re.compile(r"[0-9a-f]{32}")
_CODE = re.compile(r"[\w ()/-]{1,100}")
_RESET = "X-RateLimit-Reset"  # seconds since 1970; comes with a 429, as Retry-After does
# What a 403 says when the instance's own rules, not the user's rights, are against it.
_POLICY = re.compile(r"data policy|business rule|mandatory", re.IGNORECASE)
_WHO = "the user or the password is wrong"
_RIGHT = "give the user a role that may read and write incidents, itil for example"
_NO_RECORD = "No Record found"  # other answers with 404 speak of the address, not of the record
_IGNORED = "ServiceNow ignored the search: the user cannot read a field of it, or the instance has no such field"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident with the fields that were asked for."""

    sys_id: str
    fields: Mapping[str, str]

    def get(self, name: str) -> str:
        return self.fields.get(name, "")


class Incidents:
    """The incidents of one instance. Every method raises DeliveryError.

    A search whose answer does not meet its condition is an error, not a
    find: by default ServiceNow drops a condition that it does not understand, and returns everything.
    """

    def __init__(self, url: str, username: str, password: str, timeout: float) -> None:
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._secrets = tuple(secret for secret in (pair, password) if secret)
        headers = {"Authorization": f"Basic {pair}", "Accept": "application/json"}
        self._url = without_credentials(url).rstrip("/")
        self._api = Api("ServiceNow", Http(url, headers=headers, timeout=timeout), timeout, self._mapped)
        self.pauses = self._api.pauses

    def address(self, sys_id: str) -> str:
        """Return where a person opens the incident."""
        return f"{self._url}/nav_to.do?uri=incident.do%3Fsys_id%3D{sys_id}"

    def create(self, fields: Mapping[str, str]) -> Incident:
        """Create an incident; what it knows of `fields` is in the answer, what it ignored is not."""
        return self._call("POST", TABLE, json=dict(fields), read=(*READ, *fields))

    def get(self, sys_id: str) -> Incident:
        return self._call("GET", _place(sys_id))

    def change(self, sys_id: str, fields: Mapping[str, str]) -> None:
        """Change an incident; what ServiceNow does not take it ignores in silence."""
        self._call("PATCH", _place(sys_id), json=dict(fields))

    def search(self, condition: str, meets: Callable[[Incident], bool]) -> list[Incident]:
        """Return the first of the incidents that meet an encoded query, the oldest first; `meets` says the same."""
        return self._page(condition, 0, meets)[0]

    def search_all(self, condition: str, meets: Callable[[Incident], bool]) -> list[Incident]:
        """Return all incidents that meet an encoded query; raises when they changed while they were read.

        A page may hold less than was asked for: what the user may not see is left out of it, but counted.
        """
        found: dict[str, Incident] = {}
        totals = set()
        for number in range(PAGES_MAX):
            page, total = self._page(condition, number * PAGE, meets)
            found |= {incident.sys_id: incident for incident in page}
            totals.add(total)
            if len(totals) > 1:
                raise DeliveryError(Reason.REFUSED, "the incidents changed while they were listed")
            if (total is None and not page) or (total is not None and (number + 1) * PAGE >= total):
                return list(found.values())
        raise DeliveryError(Reason.TOO_LARGE, f"more than {PAGES_MAX * PAGE} incidents")

    def choices(self, element: str) -> list[str]:
        """Return what a field of incidents may be, as far as the user may read that."""
        query = f"name=incident^element={element}^inactive=false"
        params = {"sysparm_query": query, "sysparm_fields": "name,element,value", "sysparm_limit": "200"}
        rows = _rows(self._exchange("GET", CHOICES, params=params).value)
        texts = [str(row.get("value", "")) for row in rows if row.get("element") == element]
        return [text for text in texts if _CODE.fullmatch(text)]

    def _page(
        self, condition: str, offset: int, meets: Callable[[Incident], bool]
    ) -> tuple[list[Incident], int | None]:
        """Return a page of what meets the condition, and how many meet it in all where ServiceNow tells."""
        query = f"{condition}^ORDERBYsys_created_on^ORDERBYsys_id"
        params = {"sysparm_query": query, "sysparm_limit": str(PAGE), "sysparm_offset": str(offset)}
        answer = self._exchange("GET", TABLE, params={**params, **_reading(READ)})
        found = [_incident(row) for row in _rows(answer.value)]
        if not all(map(meets, found)):
            raise DeliveryError(Reason.NOT_CONFIGURED, _IGNORED)
        total = answer.headers.get("X-Total-Count", "")
        return found, int(total) if re.fullmatch(r"[0-9]{1,9}", total) else None

    def _call(self, method: str, path: str, *, json: Any = None, read: tuple[str, ...] = READ) -> Incident:
        return _incident(self._exchange(method, path, json=json, params=_reading(read)).value.get("result"))

    def _exchange(self, method: str, path: str, *, json: Any = None, params: Mapping[str, str]) -> Answer:
        answer = self._api.call(method, path, json=json, params=params)
        if "error" in answer.value:  # a search that took too long comes as 200, with half a list
            raise DeliveryError(Reason.SERVER_ERROR, self._words(answer.value))
        return answer

    def _mapped(self, error: HttpError) -> DeliveryError:
        said = self._words(body_of(error))
        if error.status == 403 and _POLICY.search(said):
            return DeliveryError(Reason.REFUSED, said, permanent=True)
        if error.reason in ACCESS:
            return access_error(error, said, who=_WHO, right=_RIGHT)
        return delivery_error(error, said, pause=pause(error.headers, until=_RESET))

    def _words(self, value: Mapping[str, Any]) -> str:
        """Return ServiceNow's own words for an error, without what we sent as a secret."""
        error = value.get("error")
        parts = [error.get("message"), error.get("detail")] if isinstance(error, dict) else [error]
        return words(parts, self._secrets)


def is_gone(error: DeliveryError) -> bool:
    """Whether an error says that the incident does not exist, or that our user may not see it."""
    return error.reason is Reason.NOT_FOUND and _NO_RECORD in error.detail


def _reading(names: tuple[str, ...]) -> dict[str, str]:
    fields = ",".join(dict.fromkeys(names))
    return {"sysparm_fields": fields, "sysparm_exclude_reference_link": "true", "sysparm_display_value": "false"}


def _place(sys_id: str) -> str:
    if not SYS_ID.fullmatch(sys_id):
        raise DeliveryError(Reason.NOT_FOUND, f"{_NO_RECORD}: this is not a sys_id", permanent=True)
    return f"{TABLE}/{sys_id}"


def _rows(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = value.get("result")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DeliveryError(Reason.GARBAGE, "the answer is not a list")
    return rows


def _incident(answer: Any) -> Incident:
    value = as_mapping(answer)
    sys_id = value.get("sys_id")
    if not isinstance(sys_id, str) or not SYS_ID.fullmatch(sys_id):
        raise DeliveryError(Reason.GARBAGE, "the answer is not an incident")
    return Incident(sys_id, {name: text for name, text in value.items() if isinstance(text, str)})
