"""Calls to Redmine's REST API (5.0 to 7) with mapped errors: values in, values out.

What is written into an issue, and when, is the destination's affair. https://www.redmine.org/projects/redmine/wiki/Rest_api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from service_event_checker.core.errors import DeliveryError, InvalidInput, Reason
from service_event_checker.destinations.redmine import payload
from service_event_checker.destinations.redmine.payload import Issue, IssueStatus
from service_event_checker.http.address import without_credentials
from service_event_checker.http.client import Http, HttpError, json_body
from service_event_checker.remote.errors import body_of, delivery_error, words
from service_event_checker.remote.values import objects

PAGE = 100  # Redmine gives no more, whatever is asked
PAGES = 50  # of one list; more open tickets of ours than that are not believed
BODY_MAX = 16 * 1024 * 1024  # bytes of an answer: a page of our longest descriptions
_NEXT_STEP = (
    "the API key is wrong, its user may not do this in the project, or REST is not enabled in Redmine's settings"
)

Read = TypeVar("Read")
Attributes = Mapping[str, Any]  # of an issue, by the API's names


class Issues:
    """The issues of one Redmine. Every method raises DeliveryError. What is asked once is kept as long as we live."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        self._key = key
        self._http = Http(url, headers={"X-Redmine-API-Key": key}, timeout=timeout, max_bytes=BODY_MAX)
        self._home = without_credentials(url).rstrip("/")
        self._me: int | None = None
        self._statuses: dict[int, IssueStatus] = {}
        self._trackers: dict[int, tuple[str, int | None]] = {}

    @property
    def known_me(self) -> int | None:
        """The id of the key's user, None as long as nobody asked for it."""
        return self._me

    @property
    def known_statuses(self) -> Mapping[int, IssueStatus]:
        """The statuses by id, empty as long as nobody asked for them."""
        return self._statuses

    @property
    def known_trackers(self) -> Mapping[int, tuple[str, int | None]]:
        """Name and first status of each tracker, empty as long as nobody asked for them."""
        return self._trackers

    def address(self, id: int | str) -> str:
        """Return where a person opens the issue."""
        return f"{self._home}/issues/{id}"

    def create(self, attributes: Attributes) -> Issue:
        """Create an issue and return it as it came to be: Redmine silently replaces what our user may not set."""
        return _issue(self._call("POST", "issues.json", {"issue": attributes}))

    def get(self, id: str) -> Issue:
        """Return an issue with its journals and the statuses that our user may set."""
        params = {"include": "journals,allowed_statuses"}
        return _issue(self._call("GET", f"issues/{quote(id, safe='')}.json", params=params))

    def change(self, id: int, attributes: Attributes) -> None:
        """Change an issue. The answer is the same whether the workflow let the status through or not."""
        self._call("PUT", f"issues/{id}.json", {"issue": attributes}, answered=False)

    def newest(self, conditions: Mapping[str, str], limit: int = PAGE) -> list[Issue]:
        """Return the newest issues that meet all conditions, of those that our user may see.

        A condition that Redmine does not know, or not as a filter, is silently ignored: look at what came.
        """
        asked = {"status_id": "*", **conditions, "sort": "id:desc", "limit": str(limit)}
        return self._listed(asked)

    def all_of(self, conditions: Mapping[str, str]) -> list[Issue]:
        """Return all issues that meet all conditions, the oldest first; complete even while others come and go."""
        found: list[Issue] = []
        for _ in range(PAGES):
            after = {"issue_id": f">={found[-1].id + 1}"} if found else {}
            asked = {"status_id": "*", **conditions, **after, "sort": "id", "limit": str(PAGE)}
            page = self._listed(asked)
            if found and page and page[0].id <= found[-1].id:
                raise DeliveryError(Reason.GARBAGE, "Redmine does not turn the page")
            found += page
            if len(page) < PAGE:
                return found
        raise DeliveryError(Reason.TOO_LARGE, f"more than {PAGES * PAGE} issues")

    def me(self) -> int:
        """Return the id of the key's user."""
        if self._me is None:
            self._me = _id_of(self._call("GET", "users/current.json").get("user"))
        return self._me

    def statuses(self) -> Mapping[int, IssueStatus]:
        """Return the statuses by id, in Redmine's order."""
        if not self._statuses:
            listed = objects(self._call("GET", "issue_statuses.json"), "issue_statuses")
            self._statuses = {each.id: each for each in (_read(payload.status, value) for value in listed)}
        return self._statuses

    def trackers(self) -> Mapping[int, tuple[str, int | None]]:
        """Return name and first status of each tracker by id."""
        if not self._trackers:
            listed = objects(self._call("GET", "trackers.json"), "trackers")
            self._trackers = {
                _id_of(value): (_name(value), _read(payload.status, first).id if first else None)
                for value in listed
                for first in [value.get("default_status")]
            }
        return self._trackers

    def priorities(self) -> dict[int, str]:
        """Return the names of the priorities by id."""
        listed = objects(self._call("GET", "enumerations/issue_priorities.json"), "issue_priorities")
        return {_id_of(value): _name(value) for value in listed}

    def project_trackers(self, project: str) -> dict[int, str]:
        """Return the names of a project's trackers by id."""
        answer = self._call("GET", f"projects/{quote(project, safe='')}.json", params={"include": "trackers"})
        found = answer.get("project")
        return {_id_of(value): _name(value) for value in objects(found if isinstance(found, dict) else {}, "trackers")}

    def _listed(self, asked: Mapping[str, str]) -> list[Issue]:
        try:
            answer = self._call("GET", "issues.json", params=asked)
        except DeliveryError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            # a person mends that, as with a wrong key: what is owed waits
            raise DeliveryError(Reason.NOT_CONFIGURED, "Redmine shows our user no such project") from None
        return [_read(payload.issue, value) for value in objects(answer, "issues")]

    def _call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        answered: bool = True,
    ) -> dict[str, Any]:
        try:
            # `send` even to read: a redirect leads to a page for people
            answer = self._http.send(method, path, json=json, params=params)
            value = json_body(answer) if answered else {}
        except HttpError as error:
            raise self._mapped(error) from None
        if not answered and answer.body.strip():  # a sign-in page, say
            raise DeliveryError(Reason.GARBAGE, "a change is answered without a body")
        if not isinstance(value, dict):
            raise DeliveryError(Reason.GARBAGE, "the answer is no JSON object")
        return value

    def _mapped(self, error: HttpError) -> DeliveryError:
        if error.reason is Reason.UNAUTHORIZED:
            return DeliveryError(Reason.UNAUTHORIZED, _NEXT_STEP)
        said = body_of(error).get("errors")  # ["Subject cannot be blank"]; a 404 has none
        return delivery_error(error, words(said if isinstance(said, list) else [], [self._key], between="; "))


def _issue(answer: Mapping[str, Any]) -> Issue:
    return _read(payload.issue, answer.get("issue"))


def _read(reader: Callable[[Any, str], Read], value: Any) -> Read:
    try:
        return reader(value, "answer")
    except InvalidInput as error:
        raise DeliveryError(Reason.GARBAGE, f"{error.where} {error.problem}") from None


def _id_of(value: Any) -> int:
    id = value.get("id") if isinstance(value, dict) else None
    if not isinstance(id, int):
        raise DeliveryError(Reason.GARBAGE, "the answer has no id")
    return id


def _name(value: Mapping[str, Any]) -> str:
    return str(value.get("name", ""))[:200]
