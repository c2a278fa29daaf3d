"""Calls to ServiceNow's Table API for incidents with mapped errors: values in, values out.

What is written into an incident, and when, is the destination's affair. All values are texts, in ServiceNow's own time
(UTC). https://github.com/ServiceNow/ServiceNowDocs, markdown/api-reference/rest-apis/c_TableAPI.md
"""

from __future__ import annotations

import base64
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.http import Http, HttpError, Response, json_body, parse_json

TABLE = "api/now/table/incident"
CHOICES = "api/now/table/sys_choice"
PAGE = 200  # incidents a call
PAGES_MAX = 100
READ = (
    "sys_id",
    "number",
    "state",
    "correlation_id",
    "correlation_display",
    "sys_created_on",
    "sys_updated_on",
    "sys_updated_by",
)
SYS_ID = re.compile(r"[0-9a-f]{32}")
_CODE = re.compile(r"[\w ()/-]{1,100}")
_PERMANENT = frozenset({Reason.NOT_FOUND, Reason.REFUSED, Reason.TOO_LARGE})
# What a 403 says when the instance's own rules, not the user's rights, are against it.
_POLICY = re.compile(r"data policy|business rule|mandatory", re.IGNORECASE)
_NEXT_STEP = "the user or the password is wrong, or the user lacks the rights to read and write incidents"
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

    A pause that ServiceNow asked for is kept: `wait_if_told` raises until it is over. A search whose answer does not
    meet its condition is an error, not a find: by default ServiceNow drops a condition that it does not understand,
    and returns everything.
    """

    def __init__(self, url: str, username: str, password: str, timeout: float) -> None:
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._secrets = tuple(secret for secret in (pair, password) if secret)
        headers = {"Authorization": f"Basic {pair}", "Accept": "application/json"}
        self._http = Http(url, headers=headers, timeout=timeout)
        self._url = url.rstrip("/")
        self._paused_until = 0.0
        self._timeout = timeout
        self._conversation = threading.local()

    def address(self, sys_id: str) -> str:
        """Return where a person opens the incident."""
        return f"{self._url}/nav_to.do?uri=incident.do%3Fsys_id%3D{sys_id}"

    def wait_if_told(self) -> None:
        """Raise RATE_LIMITED while ServiceNow wants us to pause."""
        left = self._paused_until - time.monotonic()
        if left > 0:
            raise DeliveryError(Reason.RATE_LIMITED, "ServiceNow asked for a pause", retry_after=left)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound all that this thread asks meanwhile: a call that might end too late raises TIMEOUT and is not begun."""
        self._conversation.last_start = time.monotonic() + seconds - self._timeout
        try:
            yield
        finally:
            self._conversation.last_start = math.inf

    def create(self, fields: Mapping[str, str]) -> Incident:
        """Create an incident; what it knows of `fields` is in the answer, what it ignored is not."""
        return _incident(self._call("POST", TABLE, json=dict(fields), read=(*READ, *fields)))

    def get(self, sys_id: str) -> Incident:
        return _incident(self._call("GET", _place(sys_id)))

    def change(self, sys_id: str, fields: Mapping[str, str]) -> None:
        """Change an incident; what ServiceNow does not take it ignores in silence."""
        _incident(self._call("PATCH", _place(sys_id), json=dict(fields)))

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
        rows = _rows(self._exchange("GET", CHOICES, params=params)[1])
        texts = [str(row.get("value", "")) for row in rows if row.get("element") == element]
        return [text for text in texts if _CODE.fullmatch(text)]

    def _page(
        self, condition: str, offset: int, meets: Callable[[Incident], bool]
    ) -> tuple[list[Incident], int | None]:
        """Return a page of what meets the condition, and how many meet it in all where ServiceNow tells."""
        query = f"{condition}^ORDERBYsys_created_on^ORDERBYsys_id"
        params = {"sysparm_query": query, "sysparm_limit": str(PAGE), "sysparm_offset": str(offset)}
        answer, value = self._exchange("GET", TABLE, params={**params, **_reading(READ)})
        found = [_incident(row) for row in _rows(value)]
        if not all(map(meets, found)):
            raise DeliveryError(Reason.NOT_CONFIGURED, _IGNORED)
        total = {name.lower(): text for name, text in answer.headers.items()}.get("x-total-count", "")
        return found, int(total) if re.fullmatch(r"[0-9]{1,9}", total) else None

    def _call(self, method: str, path: str, *, json: Any = None, read: tuple[str, ...] = READ) -> Mapping[str, Any]:
        value = self._exchange(method, path, json=json, params=_reading(read))[1].get("result")
        if not isinstance(value, dict):
            raise DeliveryError(Reason.GARBAGE, "the answer is no incident")
        return value

    def _exchange(
        self, method: str, path: str, *, json: Any = None, params: Mapping[str, str]
    ) -> tuple[Response, dict[str, Any]]:
        if time.monotonic() > getattr(self._conversation, "last_start", math.inf):
            raise DeliveryError(Reason.TIMEOUT, "ServiceNow is too slow for one more call")
        try:
            answer = self._http.send(method, path, json=json, params=params)
            value = json_body(answer)
        except HttpError as error:
            self._pause(error.retry_after)
            self._raise_mapped(error)
        self._pause(answer.retry_after)
        if not isinstance(value, dict):
            raise DeliveryError(Reason.GARBAGE, "the answer is no JSON object")
        if "error" in value:  # a search that took too long comes as 200, with half a list
            raise DeliveryError(Reason.SERVER_ERROR, self._words(value))
        return answer, value

    def _pause(self, seconds: float | None) -> None:
        if seconds:
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def _raise_mapped(self, error: HttpError) -> NoReturn:
        said = self._said(error)
        if error.status == 403 and _POLICY.search(said):
            raise DeliveryError(Reason.REFUSED, said, permanent=True) from None
        if error.reason is Reason.UNAUTHORIZED:
            raise DeliveryError(Reason.UNAUTHORIZED, f"{_NEXT_STEP}: {said}" if said else _NEXT_STEP) from None
        detail = f"{error.detail}: {said}" if said else error.detail
        permanent = error.reason in _PERMANENT and error.status is not None and error.status < 500
        raise DeliveryError(error.reason, detail, permanent=permanent, retry_after=error.retry_after) from None

    def _said(self, error: HttpError) -> str:
        try:
            value = parse_json(error.body) if error.body else None
        except HttpError:
            return ""
        return self._words(value) if isinstance(value, dict) else ""

    def _words(self, value: Mapping[str, Any]) -> str:
        """Return ServiceNow's own words for an error, without what we sent as a secret."""
        error = value.get("error")
        parts = [error.get("message"), error.get("detail")] if isinstance(error, dict) else [error]
        text = re.sub(r"\s+", " ", ": ".join(part for part in parts if isinstance(part, str) and part))
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:300]


def is_gone(error: DeliveryError) -> bool:
    """Whether an error says that there is no such incident, or none that our user may see."""
    return error.reason is Reason.NOT_FOUND and _NO_RECORD in error.detail


def _reading(names: tuple[str, ...]) -> dict[str, str]:
    fields = ",".join(dict.fromkeys(names))
    return {"sysparm_fields": fields, "sysparm_exclude_reference_link": "true", "sysparm_display_value": "false"}


def _place(sys_id: str) -> str:
    if not SYS_ID.fullmatch(sys_id):
        raise DeliveryError(Reason.NOT_FOUND, f"{_NO_RECORD}: this is no sys_id", permanent=True)
    return f"{TABLE}/{sys_id}"


def _rows(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = value.get("result")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DeliveryError(Reason.GARBAGE, "the answer is no list")
    return rows


def _incident(value: Mapping[str, Any]) -> Incident:
    sys_id = value.get("sys_id")
    if not isinstance(sys_id, str) or not SYS_ID.fullmatch(sys_id):
        raise DeliveryError(Reason.GARBAGE, "the answer is no incident")
    return Incident(sys_id, {name: text for name, text in value.items() if isinstance(text, str)})
