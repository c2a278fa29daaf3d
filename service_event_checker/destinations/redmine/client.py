"""Calls to Redmine's REST API (5.0 to 7) with mapped errors: values in, values out.

https://www.redmine.org/projects/redmine/wiki/Rest_api
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.redmine.payload import Issue, IssueStatus, Named
from service_event_checker.http.address import without_credentials
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.api import Api
from service_event_checker.remote.errors import ACCESS, access_error, body_of, delivery_error, words
from service_event_checker.remote.payload import Model, answered
from service_event_checker.remote.values import objects

PAGE = 100  # Redmine gives no more, whatever is asked
PAGES = 50  # of one list; more of our open tickets are not plausible
BODY_MAX = 16 * 1024 * 1024  # bytes of an answer: a page of our longest descriptions
_WHO = "the API key is wrong"
_RIGHT = (
    "enable the REST API in Redmine's settings, and give the key's user a role in the project that may view, add and"
    " edit issues and add notes"
)

Attributes = Mapping[str, Any]  # of an issue, by the API's names


class _Tracker(Named):
    default_status: Named | None = None


class Issues:
    """The issues of one Redmine. Every method raises DeliveryError. What is asked once is kept as long as we live.

    What starts with `known_` is what was asked for already: the id of the key's user, the statuses by id, the first
    status of each tracker.
    """

    def __init__(self, url: str, key: str, timeout: float) -> None:
        self._key = key
        http = Http(url, headers={"X-Redmine-API-Key": key}, timeout=timeout, max_bytes=BODY_MAX)
        self._api = Api("Redmine", http, timeout, self._mapped)
        self._home = without_credentials(url).rstrip("/")
        self.pauses = self._api.pauses
        self.known_me: int | None = None
        self.known_statuses: Mapping[int, IssueStatus] = {}
        self.known_first_statuses: Mapping[int, int] = {}

    def address(self, id: int | str) -> str:
        """Return where a person opens the issue."""
        return f"{self._home}/issues/{id}"

    def create(self, attributes: Attributes) -> Issue:
        """Create an issue and return it as it came to be: Redmine silently replaces what our user may not set."""
        return self._one(Issue, "issue", self._api.call("POST", "issues.json", json={"issue": attributes}).value)

    def get(self, id: str) -> Issue:
        """Return an issue with its journals and the statuses that our user may set."""
        params = {"include": "journals,allowed_statuses"}
        return self._one(Issue, "issue", self._get(f"issues/{quote(id, safe='')}.json", params))

    def change(self, id: int, attributes: Attributes) -> None:
        """Change an issue. The answer is the same whether the workflow let the status through or not."""
        self._api.call("PUT", f"issues/{id}.json", json={"issue": attributes}, empty=True)

    def newest(self, conditions: Mapping[str, str], limit: int = PAGE) -> list[Issue]:
        """Return the newest issues that meet all conditions, of those that our user may see.

        A condition that Redmine does not know, or not as a filter, is silently ignored: look at what came.
        """
        return self._issues({"status_id": "*", **conditions, "sort": "id:desc", "limit": str(limit)})

    def all_of(self, conditions: Mapping[str, str]) -> list[Issue]:
        """Return all issues that meet all conditions, the oldest first; complete even while others come and go."""
        found: list[Issue] = []
        for _ in range(PAGES):
            after = {"issue_id": f">={found[-1].id + 1}"} if found else {}
            page = self._issues({"status_id": "*", **conditions, **after, "sort": "id", "limit": str(PAGE)})
            if found and page and page[0].id <= found[-1].id:
                raise DeliveryError(Reason.GARBAGE, "Redmine does not turn the page")
            found += page
            if len(page) < PAGE:
                return found
        raise DeliveryError(Reason.TOO_LARGE, f"more than {PAGES * PAGE} issues")

    def me(self) -> int:
        """Return the id of the key's user."""
        if self.known_me is None:
            self.known_me = self._one(Named, "user", self._get("users/current.json")).id
        return self.known_me

    def statuses(self) -> Mapping[int, IssueStatus]:
        """Return the statuses by id, in Redmine's order."""
        if not self.known_statuses:
            listed = self._all(IssueStatus, "issue_statuses", self._get("issue_statuses.json"))
            self.known_statuses = {status.id: status for status in listed}
        return self.known_statuses

    def first_statuses(self) -> Mapping[int, int]:
        """Return the id of the status in which issues begin, by the tracker's id."""
        if not self.known_first_statuses:
            listed = self._all(_Tracker, "trackers", self._get("trackers.json"))
            self.known_first_statuses = {each.id: each.default_status.id for each in listed if each.default_status}
        return self.known_first_statuses

    def priorities(self) -> dict[int, str]:
        """Return the names of the priorities by id."""
        answer = self._get("enumerations/issue_priorities.json")
        return {each.id: each.name for each in self._all(Named, "issue_priorities", answer)}

    def project_trackers(self, project: str) -> dict[int, str]:
        """Return the names of a project's trackers by id."""
        answer = self._get(f"projects/{quote(project, safe='')}.json", {"include": "trackers"})
        return {each.id: each.name for each in self._all(Named, "trackers", as_mapping(answer.get("project")))}

    def _issues(self, params: Mapping[str, str]) -> list[Issue]:
        try:
            return self._all(Issue, "issues", self._get("issues.json", params))
        except DeliveryError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            # not permanent: a person corrects that, as with a wrong key, and the deliveries wait
            raise DeliveryError(Reason.NOT_CONFIGURED, "Redmine shows our user no such project") from None

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self._api.call("GET", path, params=params).value

    @staticmethod
    def _one(model: type[Model], name: str, answer: Mapping[str, Any]) -> Model:
        return answered(model, answer.get(name), f"what was asked for ({name})")

    @staticmethod
    def _all(model: type[Model], name: str, answer: Mapping[str, Any]) -> list[Model]:
        return [answered(model, each, f"what was asked for ({name})") for each in objects(answer, name)]

    def _mapped(self, error: HttpError) -> DeliveryError:
        listed = body_of(error).get("errors")  # ["Subject cannot be blank"]; a 404 has none
        said = words(listed if isinstance(listed, list) else [], [self._key], between="; ")
        if error.reason in ACCESS:
            return access_error(error, said, who=_WHO, right=_RIGHT)
        return delivery_error(error, said)
