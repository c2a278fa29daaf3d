"""Calls to Azure DevOps' work item tracking (REST 7.1) with mapped errors: values in, values out.

What is written into a work item, and when, is the destination's affair. Contract: MicrosoftDocs/vsts-rest-api-specs,
specification/wit/7.1/workItemTracking.json.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

from service_event_checker import logs
from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.azure_devops.token import Pat, plain
from service_event_checker.http.address import without_credentials
from service_event_checker.http.client import Http, HttpError, json_body
from service_event_checker.remote.errors import body_of, delivery_error, words
from service_event_checker.remote.pauses import Pauses
from service_event_checker.remote.values import objects, text

VERSION = "7.1"
BATCH = 200  # work items or updates a call
UPDATE_PAGES = 10
QUERY_MAX = 20_000  # WIQL refuses to return more (VS402337)
JSON_PATCH = "application/json-patch+json"
PROPOSED, IN_PROGRESS, RESOLVED, COMPLETED, REMOVED = "Proposed", "InProgress", "Resolved", "Completed", "Removed"
# Agile, Scrum, CMMI, Basic: https://learn.microsoft.com/azure/devops/boards/work-items/workflow-and-state-categories
STOCK_STATES: Mapping[str, str] = {
    **dict.fromkeys(("New", "Approved", "Proposed", "To Do"), PROPOSED),
    **dict.fromkeys(("Active", "Committed", "In Progress", "Doing"), IN_PROGRESS),
    "Resolved": RESOLVED,
    **dict.fromkeys(("Closed", "Done"), COMPLETED),
    "Removed": REMOVED,
}
_NEXT_STEP = "the PAT is wrong or expired, or lacks the scope Work Items (read & write)"

Operation = dict[str, Any]  # of a JSON patch: op, path, value


@dataclass(frozen=True, slots=True)
class WorkItem:
    id: str
    rev: int
    fields: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.fields.get("System.WorkItemType", ""))

    @property
    def state(self) -> str:
        return str(self.fields.get("System.State", ""))

    @property
    def creator(self) -> frozenset[str]:
        """The ids of who made it, else how he is called; empty where that is not told."""
        person = as_mapping(self.fields.get("System.CreatedBy"))
        ids = [text(person.get(name)) for name in ("id", "descriptor", "uniqueName")]
        return frozenset(filter(None, ids)) or frozenset(filter(None, [text(person.get("displayName"))]))


class ChangedMeanwhile(DeliveryError):
    """Somebody changed the work item between our look and our change; nothing was done."""


class WorkItems:
    """The work items of one project. Every method raises DeliveryError.

    `pauses` keeps a pause that Azure DevOps asked for, on a good answer too.
    """

    def __init__(self, org_url: str, project: str, pat: Pat, timeout: float) -> None:
        self._pat = pat
        self._secrets: tuple[str, ...] = ()
        self._http = Http(org_url, timeout=timeout)
        self._org = without_credentials(org_url).rstrip("/")
        self._home = f"{self._org}/{quote(project, safe='')}"
        self._project = quote(project, safe="")
        self._states: dict[str, tuple[tuple[str, str], ...]] = {}
        self.pauses = Pauses("Azure DevOps")

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
        return f"{self._home}/_workitems/edit/{id}"

    def create(self, kind: str, operations: list[Operation]) -> WorkItem:
        """Create a work item of type `kind`."""
        path = f"workitems/${quote(kind, safe='')}"
        return _work_item(self._call("POST", path, json=operations, headers={"Content-Type": JSON_PATCH}))

    def get(self, id: str) -> WorkItem:
        return _work_item(self._call("GET", f"workitems/{quote(id, safe='')}"))

    def change(self, item: WorkItem, operations: list[Operation]) -> None:
        """Change the work item if it is still as we saw it, else raise ChangedMeanwhile."""
        same = {"op": "test", "path": "/rev", "value": item.rev}
        path = f"workitems/{quote(item.id, safe='')}"
        self._call("PATCH", path, json=[same, *operations], headers={"Content-Type": JSON_PATCH})

    def told(self, item: WorkItem, marker: str) -> bool:
        """Whether a comment of the work item contains `marker`; looks at its newest updates."""
        skip = max(0, item.rev - BATCH)  # there are as many updates as revisions, or more
        for _ in range(UPDATE_PAGES):
            params = {"$top": str(BATCH), "$skip": str(skip)}
            updates = objects(self._call("GET", f"workItems/{quote(item.id, safe='')}/updates", params=params), "value")
            if any(marker in _comment(update) for update in updates):
                return True
            if len(updates) < BATCH:
                return False
            skip += BATCH
        return False

    def query(self, conditions: Iterable[str], top: int) -> list[str]:
        """Return the ids of the work items that meet all conditions (WIQL), the oldest first."""
        where = " AND ".join(("[System.TeamProject] = @project", *conditions))
        # conditions are made of hex keys and of names of states, quotes doubled; there are no parameters in WIQL
        wiql = {"query": f"SELECT [System.Id] FROM WorkItems WHERE {where} ORDER BY [System.Id]"}  # noqa: S608
        found = self._call("POST", "wiql", json=wiql, params={"$top": str(top)}).get("workItems")
        if not isinstance(found, list):
            raise DeliveryError(Reason.GARBAGE, "the answer to a query lists nothing")
        return [str(each["id"]) for each in found if isinstance(each, dict) and "id" in each]

    def batch(self, ids: list[str], fields: list[str]) -> list[WorkItem]:
        """Return some fields of any number of work items; without those that are gone by now."""
        items: list[WorkItem] = []
        for start in range(0, len(ids), BATCH):
            body = {"ids": [int(id) for id in ids[start : start + BATCH]], "fields": fields, "errorPolicy": "omit"}
            items += [_work_item(each) for each in objects(self._call("POST", "workitemsbatch", json=body), "value")]
        return items

    def states(self, kind: str) -> tuple[tuple[str, str], ...]:
        """Return (state, category) of a work item type in the order of its workflow; asked for once."""
        if kind not in self._states:
            answer = self._call("GET", f"workitemtypes/{quote(kind, safe='')}/states")
            self._states[kind] = tuple(
                (str(s.get("name", "")), str(s.get("category", ""))) for s in objects(answer, "value")
            )
        return self._states[kind]

    def category(self, item: WorkItem) -> str:
        """Return the category of the state that the work item is in, "" if its type no longer has that state."""
        return dict(self.states(item.type)).get(item.state, "")

    def is_untouched(self, kind: str, state: str) -> bool:
        """Whether a state is the one that a type begins in, as far as its states were asked for.

        It may be of any category: an Issue of the Agile process begins Active, which is InProgress.
        """
        return state in [name for name, _ in self._states.get(kind, ())[:1]]

    def known_category(self, kind: str, state: str) -> str:
        """Return the category of a state without asking: as asked before, else that of the stock processes, else ""."""
        asked = dict(self._states.get(kind, ()))
        return asked.get(state) or STOCK_STATES.get(state, "")

    def _call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        credentials = self._credentials()
        asked = {"api-version": VERSION, **(params or {})}
        try:
            # `send` even to read: it follows no redirect, and a redirect is how a bad PAT is answered
            answer = self._http.send(
                method,
                f"{self._project}/_apis/wit/{path}",
                json=json,
                params=asked,
                headers={**credentials, **(headers or {})},
            )
            value = None if answer.status == 203 else json_body(answer)
        except HttpError as error:
            self.pauses.add(error.retry_after)
            self._raise_mapped(error)
        self.pauses.add(answer.retry_after)
        if answer.status == 203:  # a sign-in page
            self._raise_refused()
        return _object(value)

    def _credentials(self) -> dict[str, str]:
        """Return the header for the token of now; it may be another one than at the last call."""
        token = plain(self._pat.token())
        pair = base64.b64encode(f":{token}".encode()).decode()
        self._secrets = tuple(secret for secret in (pair, token) if secret)
        logs.hide(self._secrets)
        return {"Authorization": f"Basic {pair}"}

    def _raise_refused(self) -> NoReturn:
        self._pat.refused()
        raise DeliveryError(Reason.UNAUTHORIZED, _NEXT_STEP) from None

    def _raise_mapped(self, error: HttpError) -> NoReturn:
        redirected = error.reason is Reason.REFUSED and error.status is None
        if redirected or error.reason is Reason.UNAUTHORIZED:
            self._raise_refused()
        refusal = delivery_error(error, words([body_of(error).get("message")], self._secrets))  # TF401320: ...
        if error.status in (409, 412):
            raise ChangedMeanwhile(Reason.REFUSED, refusal.detail) from None
        raise refusal from None


def is_gone(error: DeliveryError) -> bool:
    """Whether an error says that there is no such work item; other 404s speak of the project or the address."""
    return error.reason is Reason.NOT_FOUND and "TF401232" in error.detail


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DeliveryError(Reason.GARBAGE, "the answer is no JSON object")
    return value


def _work_item(value: Mapping[str, Any]) -> WorkItem:
    id, rev, fields = value.get("id"), value.get("rev"), value.get("fields")
    if not isinstance(id, int) or not isinstance(rev, int) or not isinstance(fields, dict):
        raise DeliveryError(Reason.GARBAGE, "the answer is no work item")
    return WorkItem(str(id), rev, fields)


def _comment(update: Mapping[str, Any]) -> str:
    """Return the comment that an update of a work item added, "" if none."""
    fields = update.get("fields")
    history = fields.get("System.History") if isinstance(fields, dict) else None
    return str(history.get("newValue") or "") if isinstance(history, dict) else ""
