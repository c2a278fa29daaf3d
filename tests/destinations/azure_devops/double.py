"""A stateful Azure DevOps work item tracking API (7.1) on loopback: one project, one of the four stock processes.

Its truth is `items`; `refused` names every request that the published contract (MicrosoftDocs/vsts-rest-api-specs,
specification/wit/7.1) does not allow. `hook_of_*` give what a service hook would send of a change, resourceVersion 1.0
(https://learn.microsoft.com/azure/devops/service-hooks/events; its sample of workitem.updated is one of git.push).
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from tests.doubles.base import Answer, Double, Request
from tests.doubles.microsoft import Microsoft

PAT = "canary-pat-0123456789"
AUDIENCE = "499b84ac-1321-427f-aa17-267ca6975798"  # of a token for Azure DevOps
TITLE_MAX = 255
BATCH_MAX = 200
# https://learn.microsoft.com/azure/devops/boards/work-items/workflow-and-state-categories
_ENDS = (("Resolved", "Resolved"), ("Closed", "Completed"))
PROCESSES: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
    "agile": {
        "Bug": (("New", "Proposed"), ("Active", "InProgress"), *_ENDS),
        "Issue": (("Active", "InProgress"), ("Closed", "Completed")),
    },
    "scrum": {
        "Bug": (
            ("New", "Proposed"),
            ("Approved", "Proposed"),
            ("Committed", "InProgress"),
            ("Done", "Completed"),
            ("Removed", "Removed"),
        ),
    },
    "cmmi": {
        "Bug": (("Proposed", "Proposed"), ("Active", "InProgress"), *_ENDS),
        "Issue": (("Proposed", "Proposed"), ("Active", "InProgress"), *_ENDS),
    },
    "basic": {"Issue": (("To Do", "Proposed"), ("Doing", "InProgress"), ("Done", "Completed"))},
}
_FIELDS = frozenset(
    {"System.Title", "System.Description", "System.Tags", "System.AreaPath", "System.IterationPath", "System.State"}
    | {"System.Reason", "System.History", "System.AssignedTo", "Microsoft.VSTS.Common.Priority"}
)
_BUG_FIELDS = frozenset(
    {"Microsoft.VSTS.TCM.ReproSteps", "Microsoft.VSTS.Common.Severity", "Custom.Team", "Custom.RootCause"}
)
_READABLE = _FIELDS | frozenset(
    {"System.CreatedDate", "System.CreatedBy", "System.WorkItemType"}
    | {f"Microsoft.VSTS.Common.{name}" for name in ("StateChangeDate", "ActivatedBy", "ResolvedBy", "ClosedBy")}
)
_ROUTE = re.compile(r"/(?P<org>[^/]+)/(?:(?P<project>[^/]+)/)?_apis/wit/(?P<rest>.+)", re.IGNORECASE)
_QUERY = re.compile(
    r"SELECT \[System\.Id\] FROM WorkItems WHERE (?P<where>.+?)(?: ORDER BY \[System\.Id\](?: ASC)?)?", re.IGNORECASE
)


class Refusal(Exception):
    """A request that Azure DevOps answers with an error."""

    def __init__(self, status: int, message: str, *, counts: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.counts = counts


@dataclass
class WorkItem:
    id: int
    type: str
    fields: dict[str, Any]
    created_at: float
    relations: list[dict[str, Any]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    rev: int = 1

    @property
    def state(self) -> str:
        return str(self.fields["System.State"])

    @property
    def tags(self) -> set[str]:
        return {tag.strip() for tag in self.fields.get("System.Tags", "").split(";") if tag.strip()}

    @property
    def shown(self) -> str:
        """All HTML that a reader's browser would be given."""
        named = ("System.Description", "Microsoft.VSTS.TCM.ReproSteps")
        return "\n".join([*(str(self.fields.get(name, "")) for name in named), *self.comments])


class AzureDevOps(Double):
    """`sign_in`: what a wrong PAT is answered (203 page, 302, 401). `pause`: Retry-After on every good answer.

    `entra`: whose tokens are accepted, too. `stranger`: the message to one whom the organization does not know.
    """

    def __init__(self, port: int = 0, *, process: str = "agile", project: str = "Outages") -> None:
        super().__init__(port)
        self.pat = PAT
        self.entra: Microsoft | None = None
        self.stranger = ""
        self.project = project
        self.types = PROCESSES[process]
        self.items: dict[int, WorkItem] = {}
        self.we = "Outage Checker"  # whose PAT it is
        self.sign_in = 203
        self.pause = ""
        self.slowness = 0.0  # seconds that every answer takes
        self.search_lag = 0.0
        self.clock: Callable[[], float] = time.monotonic
        self.changes_behind_our_back = 0  # so many PATCHes meet a revision that has just moved on
        self.deleted_after_query = 0  # id of a work item that somebody deletes right after the next query
        self.echo_credentials = False
        self.may_create_tags = True
        self.rule = ""  # the field without which nobody completes a work item
        self._made = 0

    @property
    def org_url(self) -> str:
        return f"{self.url}/example"

    def with_tag(self, tag: str) -> list[WorkItem]:
        return [item for item in self.items.values() if tag in item.tags]

    def change(self, id: int, **fields: Any) -> None:
        """A person changes a work item: `change(1, State="Closed")`."""
        with self.lock:
            self._apply(self.items[id], {f"System.{name}": value for name, value in fields.items()}, [])

    def person_copies(self, id: int, by: str = "Alice Archer") -> WorkItem:
        """A person makes a copy of a work item, tags and all, in the first state of its type."""
        with self.lock:
            self._made += 1
            item = self.items[self._made] = WorkItem(self._made, self.items[id].type, {}, self.clock(), rev=0)
            first = {"System.State": self.types[item.type][0][0], "System.CreatedBy": _identity(by)}
            self._apply(item, {**self.items[id].fields, **first, "System.CreatedDate": _now()}, [], by)
            return item

    def hook_of_change(self, id: int, by: str = "Example User", **fields: Any) -> tuple[dict[str, str], bytes]:
        """A person changes a work item; return the headers and the body of `workitem.updated`."""
        with self.lock:
            self._apply(self.items[id], {f"System.{name}": value for name, value in fields.items()}, [], by)
            return self.hook_of_update(id)

    def hook_of_comment(self, id: int, text: str, by: str = "Example User") -> tuple[dict[str, str], bytes]:
        """A person comments (HTML) on a work item; return the headers and the body of `workitem.commented`."""
        with self.lock:
            item = self.items[id]
            self._apply(item, {"System.History": text}, [], by)
            fields = {**item.fields, "System.History": text, "System.ChangedBy": f"{by} <user@example.com>"}
            resource = {"id": id, "rev": item.rev, "fields": fields, "commentVersionRef": {"commentId": 2743814}}
            return self._hook("workitem.commented", resource)

    def hook_of_update(self, id: int) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of `workitem.updated` for the newest update, ours too."""
        with self.lock:
            item = self.items[id]
            revision = {"id": id, "rev": item.rev, "fields": item.fields}
            resource = {**item.updates[-1], "revisedDate": "9999-01-01T00:00:00Z", "revision": revision}
            return self._hook("workitem.updated", resource)

    def _hook(self, event: str, resource: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        body = {
            "subscriptionId": "ea7bd3d2-94e8-4dd7-9703-d7524beea45d",
            "notificationId": 1,
            "id": "4c19e2ca-d27c-4ed4-a69f-37ab2f2a95c7",
            "eventType": event,
            "publisherId": "tfs",
            "resource": resource,
            "resourceVersion": "1.0",
            "resourceContainers": {"project": {"id": "66776c68-10ec-4679-9652-d001a718d37f"}},
            "createdDate": _now(),
        }
        return {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode()

    def handle(self, request: Request) -> Answer:
        self.stopping.wait(self.slowness)
        if not self._known(request):
            return self._sign_in_page()
        if self.stranger and request.headers["Authorization"].startswith("Bearer "):
            status = 401 if "TF400813" in self.stranger else 403
            return Answer.json({"$id": "1", "message": self.stranger, "eventId": 3000}, status)
        try:
            value = self._route(request)
        except Refusal as refusal:
            if refusal.counts:
                self.refused.append(f"{request.method} {request.path}: {refusal.message}")
            echo = f" {request.headers.get('Authorization')}" if self.echo_credentials else ""
            return Answer.json({"$id": "1", "message": refusal.message + echo, "eventId": 3000}, refusal.status)
        answer = Answer.json(value)
        return Answer(200, answer.body, {**answer.headers, "Retry-After": self.pause}) if self.pause else answer

    def _known(self, request: Request) -> bool:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer":
            return self.entra is not None and self.entra.tokens.get(given) == AUDIENCE
        try:
            return base64.b64decode(given).decode().partition(":")[2] == self.pat
        except ValueError:
            return False

    def _sign_in_page(self) -> Answer:
        page, headers = b"<!DOCTYPE html><title>Azure DevOps Services | Sign In</title>", {"Content-Type": "text/html"}
        if self.sign_in == 302:
            return Answer(302, b"", {"Location": f"{self.url}/_signin"})
        return Answer(self.sign_in, page, headers)

    def _route(self, request: Request) -> Any:
        found = _ROUTE.fullmatch(unquote(request.path))
        if not found:
            raise Refusal(404, "no such address")
        project, parts = found["project"] or "", found["rest"].split("/")
        if project and project.lower() != self.project.lower():
            raise Refusal(404, f"TF200016: The following project does not exist: {project}", counts=False)
        self._check_version(request, parts)
        match (request.method, [parts[0].lower(), *parts[1:]]):
            case ("POST", ["workitems", kind]) if kind.startswith("$"):
                return self._create(request, kind[1:])
            case ("GET", ["workitems", id]):
                return self._as_json(self._item(id))
            case ("PATCH", ["workitems", id]):
                return self._patch(request, self._item(id))
            case ("GET", ["workitems", id, "updates"]):
                return self._updates(request, self._item(id))
            case ("POST", ["workitems", id, "comments"]):
                return self._comment(request, self._item(id))
            case ("POST", ["wiql"]):
                return self._wiql(request, project)
            case ("POST", ["workitemsbatch"]):
                return self._batch(request)
            case ("GET", ["workitemtypes", kind, "states"]):
                states = [{"name": name, "color": "b2b2b2", "category": what} for name, what in self._states(kind)]
                return {"count": len(states), "value": states}
        raise Refusal(404, "no such operation in the contract")

    def _check_version(self, request: Request, parts: list[str]) -> None:
        wanted = "7.1-preview.4" if parts[-1] == "comments" else "7.1"
        if request.query.get("api-version") != wanted:
            raise Refusal(400, f"api-version={wanted} is demanded")

    def _states(self, kind: str) -> tuple[tuple[str, str], ...]:
        if kind not in self.types:
            raise Refusal(
                404, f"VS402323: Work item type {kind} does not exist in project {self.project}", counts=False
            )
        return self.types[kind]

    def _item(self, id: str) -> WorkItem:
        if not id.isdigit() or int(id) not in self.items:
            raise Refusal(404, f"TF401232: Work item {id} does not exist, or you do not have permissions", counts=False)
        return self.items[int(id)]

    def _create(self, request: Request, kind: str) -> Any:
        states = self._states(kind)
        fields, relations = self._operations(request, kind, None)
        if not self.may_create_tags and fields.get("System.Tags"):
            text = "TF401289: The current user does not have permissions to create tags."
            raise Refusal(403, text, counts=False)
        if not fields.get("System.Title"):
            raise Refusal(400, "TF401320: Rule Error for field Title. Error code: Required, InvalidEmpty.")
        if request.query.get("validateOnly") == "true":
            return {"rev": 1, "fields": fields}
        fields.setdefault("System.State", states[0][0])
        self._made += 1
        item = WorkItem(self._made, kind, {}, self.clock(), rev=0)
        stated = {"System.WorkItemType": kind, "System.TeamProject": self.project, "System.CreatedDate": _now()}
        self.items[item.id] = item
        self._apply(item, {**stated, "System.CreatedBy": _identity(self.we), **fields}, relations)
        return self._as_json(item)

    def _patch(self, request: Request, item: WorkItem) -> Any:
        if self.changes_behind_our_back:
            self.changes_behind_our_back -= 1
            self._apply(item, {"System.AssignedTo": f"somebody {item.rev}"}, [])
        fields, relations = self._operations(request, item.type, item)
        ends = dict(self._states(item.type)).get(fields.get("System.State", "")) == "Completed"
        if self.rule and ends and not {**item.fields, **fields}.get(self.rule):
            text = f"TF401320: Rule Error for field {self.rule}. Error code: Required, HasValues, InvalidEmpty."
            raise Refusal(400, text, counts=False)
        self._apply(item, fields, relations)
        return self._as_json(item)

    def _operations(self, request: Request, kind: str, item: WorkItem | None) -> tuple[dict[str, Any], list[Any]]:
        if request.headers.get("Content-Type") != "application/json-patch+json":
            raise Refusal(415, "application/json-patch+json is demanded")
        fields: dict[str, Any] = {}
        relations = []
        for operation in request.json():
            op, path, value = operation["op"], operation["path"], operation.get("value")
            if op == "test" and path == "/rev" and item:
                if value != item.rev:
                    raise Refusal(412, "VS403652: the work item was changed by somebody else", counts=False)
            elif op in ("add", "replace") and path.startswith("/fields/"):
                fields[path.removeprefix("/fields/")] = self._checked(kind, path.removeprefix("/fields/"), value)
            elif op == "add" and path == "/relations/-" and value["rel"] == "Hyperlink":
                relations.append(value)
            else:
                raise Refusal(400, f"VS403630: cannot {op} {path}")
        return fields, relations

    def _checked(self, kind: str, name: str, value: Any) -> Any:
        if name not in _FIELDS | (_BUG_FIELDS if kind == "Bug" else frozenset()):
            raise Refusal(400, f"TF51535: Cannot find field {name}.")
        if name == "System.Title" and (len(value) > TITLE_MAX or "\n" in value):
            raise Refusal(400, "TF401320: Rule Error for field Title. Error code: InvalidTooLong.")
        if name == "System.State" and value not in dict(self._states(kind)):
            raise Refusal(400, f"TF401320: Rule Error for field State, {value} is not in the list of supported values")
        if name == "Microsoft.VSTS.Common.Priority" and value not in (1, 2, 3, 4):
            raise Refusal(400, "TF401320: Rule Error for field Priority")
        if name == "System.Tags":
            return "; ".join(sorted({tag.strip() for tag in value.split(";")}))
        return value

    def _apply(self, item: WorkItem, fields: dict[str, Any], relations: list[Any], by: str = "Outage Checker") -> None:
        told = fields.pop("System.History", "")
        item.rev += 1
        changed = {name: value for name, value in fields.items() if item.fields.get(name) != value}
        if "System.State" in changed:
            changed["Microsoft.VSTS.Common.StateChangeDate"] = _now()
            if dict(self.types[item.type])[changed["System.State"]] == "InProgress":
                changed["Microsoft.VSTS.Common.ActivatedBy"] = {"displayName": by, "uniqueName": "user@example.com"}
        changed["System.ChangedDate"] = _now()
        deltas = {name: {"oldValue": item.fields.get(name), "newValue": value} for name, value in changed.items()}
        if told:
            item.comments.append(told)
            deltas["System.History"] = {"oldValue": "", "newValue": told}
        item.fields.update(changed)
        item.relations += relations
        person = {"displayName": by, "name": f"{by} <user@example.com>", "uniqueName": "user@example.com"}
        update = {"id": len(item.updates) + 1, "workItemId": item.id, "rev": item.rev, "revisedBy": person}
        item.updates.append({**update, "fields": deltas})

    def _updates(self, request: Request, item: WorkItem) -> Any:
        skip, top = int(request.query.get("$skip", 0)), int(request.query.get("$top", BATCH_MAX))
        found = item.updates[skip : skip + min(top, BATCH_MAX)]
        return {"count": len(found), "value": found}

    def _comment(self, request: Request, item: WorkItem) -> Any:
        text = request.json().get("text")
        if not text:
            raise Refusal(400, "a comment needs a text")
        self._apply(item, {"System.History": text}, [])
        return {"workItemId": item.id, "id": len(item.comments), "version": 1, "text": text}

    def _wiql(self, request: Request, project: str) -> Any:
        query = " ".join(request.json()["query"].split())
        found = _QUERY.fullmatch(query)
        if not found:
            raise Refusal(400, f"TF51005: the query is not understood: {query}")
        tests = [self._condition(part, project) for part in found["where"].split(" AND ")]
        until = self.clock() - self.search_lag
        seen = [item for item in self.items.values() if item.created_at <= until]
        ids = sorted(item.id for item in seen if all(test(item) for test in tests))
        top = int(request.query.get("$top", 20_000))
        self.items.pop(self.deleted_after_query, None)
        listed = [{"id": id, "url": f"{self.org_url}/_apis/wit/workItems/{id}"} for id in ids[:top]]
        return {"queryType": "flat", "queryResultType": "workItem", "asOf": _now(), "workItems": listed}

    def _condition(self, text: str, project: str) -> Callable[[WorkItem], bool]:
        if text == "[System.TeamProject] = @project":
            if not project:
                raise Refusal(400, "TF51005: @project is known on a project's own address only")
            return lambda item: True
        if tag := re.fullmatch(r"\[System\.Tags\] CONTAINS '((?:[^']|'')*)'", text):
            return lambda item: tag[1].lower() in {each.lower() for each in item.tags}
        if listed := re.fullmatch(r"\[System\.State\] NOT IN \(((?:'(?:[^']|'')*'(?:, )?)+)\)", text):
            states = {name.replace("''", "'") for name in re.findall(r"'((?:[^']|'')*)'", listed[1])}
            return lambda item: item.state not in states
        raise Refusal(400, f"TF51005: the condition is not understood: {text}")

    def _batch(self, request: Request) -> Any:
        asked = request.json()
        if not 1 <= len(asked["ids"]) <= BATCH_MAX:
            raise Refusal(400, f"VS403474: {len(asked['ids'])} ids, {BATCH_MAX} allowed")
        unknown = set(asked.get("fields", ())) - _READABLE
        if unknown:
            raise Refusal(400, f"TF51535: Cannot find field {unknown}.")
        if asked.get("errorPolicy") != "omit":
            return {"value": [self._as_json(self._item(str(id)), asked.get("fields")) for id in asked["ids"]]}
        items = map(self.items.get, asked["ids"])
        return {"value": [item and self._as_json(item, asked.get("fields")) for item in items]}

    def _as_json(self, item: WorkItem, fields: list[str] | None = None) -> dict[str, Any]:
        shown = {name: value for name, value in item.fields.items() if fields is None or name in fields}
        address = f"{self.org_url}/_apis/wit/workItems/{item.id}"
        return {"id": item.id, "rev": item.rev, "fields": shown, "relations": item.relations, "url": address}


def _identity(name: str) -> dict[str, str]:
    first = name.split()[0].lower()
    return {"displayName": name, "id": f"0f0f-{first}", "uniqueName": f"{first}@example.com"}


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
