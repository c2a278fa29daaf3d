"""Calls to Azure DevOps' work item tracking (REST 7.1) with mapped errors: values in, values out.

Contract: MicrosoftDocs/vsts-rest-api-specs, specification/wit/7.1/workItemTracking.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import Field

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.azure_devops.credentials import Authorization, Credentials
from service_event_checker.destinations.azure_devops.states import Listed, States
from service_event_checker.http.address import without_credentials
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.api import Api
from service_event_checker.remote.errors import ACCESS, access_error, body_of, delivery_error, words
from service_event_checker.remote.payload import Payload, answered
from service_event_checker.remote.values import objects, text

VERSION = "7.1"
BATCH = 200  # work items or updates a call
UPDATE_PAGES = 10
QUERY_MAX = 20_000  # WIQL refuses to return more (VS402337)
TRIES = 3  # against people who change the same work item at the same moment
JSON_PATCH = "application/json-patch+json"

Operation = dict[str, Any]  # of a JSON patch: op, path, value


class WorkItem(Payload):
    """`fields` are those that were asked for, by reference name."""

    number: int = Field(alias="id")
    rev: int
    fields: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.number)

    @property
    def type(self) -> str:
        return text(self.fields.get("System.WorkItemType"))

    @property
    def state(self) -> str:
        return text(self.fields.get("System.State"))

    @property
    def creator(self) -> frozenset[str]:
        """The ids of who made it, else how he is called; empty where that is not told."""
        person = as_mapping(self.fields.get("System.CreatedBy"))
        ids = [text(person.get(name)) for name in ("id", "descriptor", "uniqueName")]
        return frozenset(filter(None, ids)) or frozenset(filter(None, [text(person.get("displayName"))]))


class _Reference(Payload):
    id: int


class _Found(Payload):
    items: list[_Reference] = Field(alias="workItems")


class _ChangedMeanwhile(DeliveryError):
    """Somebody changed the work item after we had read it; nothing was done."""


class WorkItems:
    """The work items of one project. Every method raises DeliveryError."""

    def __init__(self, org_url: str, project: str, credentials: Credentials, timeout: float) -> None:
        self._credentials = credentials
        self._carried: Authorization | None = None
        self._org = without_credentials(org_url).rstrip("/")
        self._project = quote(project, safe="")
        self._api = Api("Azure DevOps", Http(org_url, timeout=timeout), timeout, self._mapped)
        self.pauses = self._api.pauses
        self.states = States(self._states)

    @property
    def homes(self) -> tuple[str, ...]:
        """The organization's address, and the other one that it has at Microsoft."""
        parts = urlsplit(self._org)
        host, name = (parts.hostname or "").lower(), parts.path.strip("/")
        if host == "dev.azure.com" and name:
            return self._org, f"https://{name}.visualstudio.com"
        if host.endswith(".visualstudio.com"):
            return self._org, f"https://dev.azure.com/{host.partition('.')[0]}"
        return (self._org,)

    def address(self, id: str) -> str:
        """Return where a person opens the work item."""
        return f"{self._org}/{self._project}/_workitems/edit/{id}"

    def create(self, kind: str, operations: list[Operation]) -> WorkItem:
        """Create a work item of type `kind`."""
        return _work_item(self._call("POST", f"workitems/${quote(kind, safe='')}", json=operations))

    def validate(self, kind: str, operations: list[Operation]) -> None:
        """Have the creation of a work item checked; nothing is created.

        https://learn.microsoft.com/rest/api/azure/devops/wit/work-items/create (validateOnly)
        """
        params = {"validateOnly": "true"}
        self._call("POST", f"workitems/${quote(kind, safe='')}", json=operations, params=params)

    def get(self, id: str) -> WorkItem:
        return _work_item(self._call("GET", f"workitems/{quote(id, safe='')}"))

    def change(self, id: str, decide: Callable[[WorkItem], list[Operation]]) -> bool:
        """Apply what `decide` makes of the work item as it is now; False where that is nothing.

        When somebody else changed it in between, it is read and decided on again.
        """
        for _ in range(TRIES - 1):
            with suppress(_ChangedMeanwhile):
                return self._change(self.get(id), decide)
        return self._change(self.get(id), decide)

    def told(self, item: WorkItem, marker: str) -> bool:
        """Whether a comment of the work item contains `marker`; looks at its newest updates."""
        skip = max(0, item.rev - BATCH)  # there are as many updates as revisions, or more
        for _ in range(UPDATE_PAGES):
            params = {"$top": str(BATCH), "$skip": str(skip)}
            updates = objects(self._call("GET", f"workItems/{item.id}/updates", params=params), "value")
            if any(marker in str(as_mapping(update.get("fields")).get("System.History")) for update in updates):
                return True
            if len(updates) < BATCH:
                return False
            skip += BATCH
        return False

    def query(self, conditions: Iterable[str], top: int) -> list[int]:
        """Return the ids of the work items that meet all conditions (WIQL), the oldest first."""
        where = " AND ".join(("[System.TeamProject] = @project", *conditions))
        # conditions are made of hex keys and of names of states, quotes doubled; there are no parameters in WIQL
        wiql = {"query": f"SELECT [System.Id] FROM WorkItems WHERE {where} ORDER BY [System.Id]"}  # noqa: S608
        found = self._call("POST", "wiql", json=wiql, params={"$top": str(top)})
        return [each.id for each in answered(_Found, found, "a list of work items").items]

    def batch(self, ids: list[int], fields: list[str]) -> list[WorkItem]:
        """Return some fields of any number of work items; without those that are gone by now."""
        items: list[WorkItem] = []
        for start in range(0, len(ids), BATCH):
            body = {"ids": ids[start : start + BATCH], "fields": fields, "errorPolicy": "omit"}
            items += [_work_item(each) for each in objects(self._call("POST", "workitemsbatch", json=body), "value")]
        return items

    def _states(self, kind: str) -> Listed:
        listed = objects(self._call("GET", f"workitemtypes/{quote(kind, safe='')}/states"), "value")
        return tuple((text(state.get("name")), text(state.get("category"))) for state in listed)

    def _change(self, item: WorkItem, decide: Callable[[WorkItem], list[Operation]]) -> bool:
        operations = decide(item)
        if operations:
            same = {"op": "test", "path": "/rev", "value": item.rev}
            self._call("PATCH", f"workitems/{item.id}", json=[same, *operations])
        return bool(operations)

    def _call(
        self, method: str, path: str, *, json: Any = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the answer; where a token was refused and another one is at hand, that of one more try."""
        carried = self._credentials.authorization()
        try:
            return self._sent(carried, method, path, json, params)
        except DeliveryError as error:
            if error.reason is not Reason.UNAUTHORIZED or not self._credentials.refused(carried):
                raise
        return self._sent(self._credentials.authorization(), method, path, json, params)

    def _sent(
        self, carried: Authorization, method: str, path: str, json: Any, params: Mapping[str, str] | None
    ) -> dict[str, Any]:
        self._carried = carried
        patch = {"Content-Type": JSON_PATCH} if isinstance(json, list) else {}
        return self._api.call(
            method,
            f"{self._project}/_apis/wit/{path}",
            json=json,
            params={"api-version": VERSION, **(params or {})},
            headers={"Authorization": carried.header, **patch},
        ).value

    def _mapped(self, error: HttpError) -> DeliveryError:
        carried = self._carried
        redirected = error.reason is Reason.REFUSED and error.status is None  # to a sign-in page
        said = words([body_of(error).get("message")], carried.secrets if carried else ())  # TF401320: ...
        if carried and (redirected or error.reason in ACCESS):
            return access_error(error, said, who=carried.who, right=carried.right)
        refusal = delivery_error(error, said)
        return _ChangedMeanwhile(Reason.REFUSED, refusal.detail) if error.status in (409, 412) else refusal


def is_gone(error: DeliveryError) -> bool:
    """Whether an error says that the work item does not exist; other 404s speak of the project or the address."""
    return error.reason is Reason.NOT_FOUND and "TF401232" in error.detail


def _work_item(value: Mapping[str, Any]) -> WorkItem:
    return answered(WorkItem, value, "a work item")
