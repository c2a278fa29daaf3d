"""A stateful Jira on loopback: one project; REST v3 (`api="cloud"`) or v2 (`api="server"`), and its webhooks.

Its truth is `issues`; `refused` names every request that the published contract does not allow (Atlassian's OpenAPI
document of v3; https://docs.atlassian.com/software/jira/docs/api/REST/ of v2). `person_…` do what people do there and
return the webhook that Jira would send: (headers, body), signed.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import html
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from tests.doubles.base import Answer, Double, Request

EMAIL, TOKEN, SECRET = "bot@example.com", "canary-jira-token-0123456789", "canary-jira-hook-secret"
TEXT_MAX = 32_767
SUMMARY_MAX = 255
PAGE_MAX = 100
CATEGORIES = {"new": (2, "To Do"), "indeterminate": (4, "In Progress"), "done": (3, "Done")}
STATUSES = {
    "To Do": ("10000", "new"),
    "In Progress": ("3", "indeterminate"),
    "In Review": ("10001", "indeterminate"),
    "Done": ("10002", "done"),
    "Won't Do": ("10003", "done"),
    "Backlog": ("10004", "new"),
}
# status -> (id, name, status it leads to); the ids of one way differ from status to status
WORKFLOW: dict[str, list[tuple[str, str, str]]] = {
    "To Do": [("11", "Start", "In Progress"), ("21", "Close", "Done"), ("22", "Reject", "Won't Do")],
    "In Progress": [("31", "Stop", "To Do"), ("32", "Send to review", "In Review"), ("41", "Finish", "Done")],
    "In Review": [("51", "Send back", "In Progress"), ("61", "Approve", "Done")],
    "Done": [("71", "Reopen", "To Do")],
    "Won't Do": [("81", "Reopen", "To Do")],
}
RESOLUTIONS = ("Won't Do", "Duplicate", "Done")
_FIELDS = frozenset({"project", "issuetype", "summary", "description", "labels", "priority", "customfield_10010"})
_SEARCH = re.compile(r"(?P<where>.*?)(?: ORDER BY created(?P<order> ASC| DESC)?)?")
_NODES = frozenset({"paragraph", "text", "hardBreak", "table", "tableRow", "tableHeader", "tableCell", "heading"})

Hook = tuple[dict[str, str], bytes]


class Refusal(Exception):
    """A request that Jira answers with an error; `errors` by field."""

    def __init__(self, status: int, message: str = "", *, counts: bool = True, **errors: str) -> None:
        super().__init__(message or str(errors))
        self.status = status
        self.counts = counts
        self.body = {"errorMessages": [message] if message else [], "errors": errors}


@dataclass
class Issue:
    """`history`: what a search saw from when on. `comments` as the REST API gives them."""

    id: str
    key: str
    fields: dict[str, Any]
    comments: list[dict[str, Any]] = field(default_factory=list)
    history: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @property
    def status(self) -> str:
        return str(self.fields["status"]["name"])

    @property
    def labels(self) -> list[str]:
        return list(self.fields["labels"])

    @property
    def shown(self) -> str:
        """All HTML that a reader's browser would be given."""
        return "\n".join(rendered(each) for each in (self.fields["description"], *self.said_raw))

    @property
    def said_raw(self) -> list[Any]:
        return [each["body"] for each in self.comments]

    @property
    def said(self) -> list[str]:
        """The comments as HTML."""
        return [rendered(each) for each in self.said_raw]


class Jira(Double):
    """`search_lag`: seconds on `clock` until a search shows a change; `shows_now`: it shows what it finds as of now.

    `page`: how many issues a page of a search holds. `demands_resolution`: closing needs one. `screens`: what is known
    of further fields of a transition's screen, by the transition's id. `post_function`: the status that any transition
    to Done ends in after all. `meanwhile`: the status that a person sets just before a transition of ours. `busy`: so
    many changes are answered with 409. `odd`: answers in place of the right ones, by the end of the path.

    `strangers`: a wrong key is no 401 but makes a stranger, who is shown nothing, as in Cloud; `tells_strangers`: by
    a header that says so. `names_callers`: whether answers name the caller. `captcha`: it wants one.
    """

    def __init__(self, port: int = 0, *, api: str = "cloud", project: str = "OPS") -> None:
        super().__init__(port)
        self.cloud = api == "cloud"
        self.project = project
        self.email = EMAIL if self.cloud else ""
        self.token = TOKEN
        self.secret = SECRET
        self.types = ["Bug", "Task", "Story"]
        self.priorities = ["Highest", "High", "Medium", "Low", "Lowest"]
        self.denied: set[str] = set()  # permissions that our account lacks
        self.screen = {"project", "issuetype", "summary", "description", "labels", "priority", "customfield_10010"}
        self.required: set[str] = set()
        self.workflow = copy.deepcopy(WORKFLOW)
        self.demands_resolution = False
        self.validator = ""  # a field without which no issue gets Done, whatever the screens ask
        self.post_function = ""
        self.meanwhile = ""
        self.busy = 0
        self.screens: dict[str, dict[str, Any]] = {}
        self.shows_now = False
        self.odd: dict[str, Answer] = {}
        self.names_callers = True
        self.tells_strangers = False
        self.echo_credentials = False
        self.issues: dict[str, Issue] = {}
        self.search_lag = 0.0
        self.clock: Callable[[], float] = time.monotonic
        self.page = PAGE_MAX
        self.strangers = False
        self.captcha = False
        self.silent_captcha = False  # its page does not say so, its headers do
        self.me = {"accountId": "5b10a2844c20165700ede21g", "displayName": "Outage Bot"}
        if not self.cloud:
            self.me = {"name": "outagebot", "key": "JIRAUSER10100", "displayName": "Outage Bot"}
        self._made = 0
        self._said = 0

    @property
    def kind(self) -> str:
        return "cloud" if self.cloud else "server"

    def with_label(self, label: str) -> list[Issue]:
        return [issue for issue in self.issues.values() if label in issue.labels]

    def ended(self) -> list[Issue]:
        return [issue for issue in self.issues.values() if issue.fields["status"]["statusCategory"]["key"] == "done"]

    # What people do, and the webhook that tells of it.

    def person_moves(self, id: str, status: str, who: str = "Alice Archer") -> Hook:
        """A person brings an issue into a status."""
        with self.lock:
            issue = self.issues[id]
            before = issue.fields["status"]
            self._set_status(issue, status)
            after = issue.fields["status"]
        item = {"field": "status", "fieldtype": "jira", "fieldId": "status", "from": before["id"]}
        item |= {"fromString": before["name"], "to": after["id"], "toString": after["name"]}
        return self.webhook("jira:issue_updated", issue, who=_user(who), changelog=[item])

    def person_clones(self, id: str, who: str = "Alice Archer") -> Issue:
        """A person clones an issue: labels and reporter stay, the creator is who did it."""
        with self.lock:
            self._made += 1
            number, key = str(10000 + self._made), f"{self.project}-{self._made}"
            stated = {"created": self._now(), "resolution": None, "creator": _user(who)}
            clone = self.issues[number] = Issue(number, key, {**copy.deepcopy(self.issues[id].fields), **stated})
            self._set_status(clone, "To Do")
            return clone

    def person_closes(self, id: str, who: str = "Alice Archer", resolution: str = "") -> Hook:
        if resolution:
            self.issues[id].fields["resolution"] = {"name": resolution}
        return self.person_moves(id, "Done", who)

    def person_comments(self, id: str, text: str, who: str = "Alice Archer", **more: Any) -> Hook:
        """A person comments; `more` are further properties of the comment."""
        with self.lock:
            issue = self.issues[id]
            comment = self._add_comment(issue, self._as_body(text), _user(who)) | more
        return self.webhook("comment_created", issue, who=_user(who), comment=comment)

    def comment_hook(self, id: str, number: int = -1) -> Hook:
        """Return the webhook of a comment that is there, ours say."""
        comment = self.issues[id].comments[number]
        return self.webhook("comment_created", self.issues[id], who=comment["author"], comment=comment)

    def webhook(
        self,
        event: str,
        issue: Issue,
        *,
        who: dict[str, str],
        changelog: list[dict[str, Any]] | None = None,
        comment: dict[str, Any] | None = None,
    ) -> Hook:
        """Return a webhook in Jira's shape (https://developer.atlassian.com/cloud/jira/platform/webhooks/)."""
        named = ("summary", "issuetype", "project", "priority", "status")  # all that a comment's webhook tells
        told = issue.fields if event.startswith("jira:") else {name: issue.fields.get(name) for name in named}
        shown = {"id": issue.id, "self": f"{self.url}/rest/api/2/issue/{issue.id}", "key": issue.key}
        payload: dict[str, Any] = {"timestamp": int(time.time() * 1000), "webhookEvent": event}
        payload["issue"] = {**shown, "fields": {**told, **({"description": None} if "description" in told else {})}}
        if event.startswith("jira:"):
            payload |= {"issue_event_type_name": "issue_generic", "user": who}
        if changelog is not None:
            payload["changelog"] = {"id": "10100", "items": changelog}
        if comment is not None:
            payload["comment"] = {**comment, "body": as_text(comment["body"])}
        return self.signed(payload)

    def signed(self, payload: Any) -> Hook:
        body = json.dumps(payload).encode()
        digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "User-Agent": "Atlassian Webhook HTTP Client"}
        headers |= {"X-Atlassian-Webhook-Identifier": f"{digest[:32]}", "X-Hub-Signature": f"sha256={digest}"}
        return headers, body

    # What programs do.

    def handle(self, request: Request) -> Answer:
        known = self._known(request)
        if odd := next((odd for end, odd in self.odd.items() if request.path.endswith(end)), None):
            return odd
        if not known and (not self.strangers or request.path.endswith("/myself")):
            return self._unknown()
        try:
            status, value = self._route(request) if known else self._strangers_view(request)
        except Refusal as refusal:
            if refusal.counts:
                self.refused.append(f"{request.method} {request.path}: {refusal}")
            return Answer.json(self._echoed(refusal.body, request), refusal.status, **self._named(known))
        if status == 204:
            return Answer(204)
        return Answer.json(value, status, **self._named(known))

    def _echoed(self, body: dict[str, Any], request: Request) -> dict[str, Any]:
        echo = [str(request.headers.get("Authorization"))] if self.echo_credentials else []
        return {**body, "errorMessages": body["errorMessages"] + echo}

    def _named(self, known: bool) -> dict[str, str]:
        if not known:
            return {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"} if self.tells_strangers else {}
        if not self.names_callers:
            return {}
        if self.cloud:
            return {"X-AACCOUNTID": self.me["accountId"]}
        return {"X-AUSERNAME": self.me["name"], "X-Seraph-LoginReason": "OK"}

    def _known(self, request: Request) -> bool:
        pair = base64.b64encode(f"{self.email}:{self.token}".encode()).decode()
        wanted = f"Basic {pair}" if self.email else f"Bearer {self.token}"
        return request.headers.get("Authorization") == wanted and not self.captcha

    def _unknown(self) -> Answer:
        if self.captcha:
            page = b"<html><title>Forbidden (403)</title>"
            page += b"" if self.silent_captcha else b"Basic Authentication Failure - Reason : AUTHENTICATION_DENIED"
            told = {"X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE; login-url=https://jira.example/login.jsp"}
            denied = {"Content-Type": "text/html", "X-Seraph-LoginReason": "AUTHENTICATION_DENIED", **told}
            return Answer(403, page, denied)
        return Answer(401, b"Client must be authenticated to access this resource.", {"Content-Type": "text/plain"})

    def _strangers_view(self, request: Request) -> tuple[int, Any]:
        if "/search" in request.path:
            return 200, {"issues": [], "isLast": True, "startAt": 0, "total": 0}
        if request.method == "POST" and request.path.endswith("/issue"):
            raise Refusal(400, counts=False, project="valid project is required")
        raise Refusal(404, "Issue does not exist or you do not have permission to see it.", counts=False)

    def _route(self, request: Request) -> tuple[int, Any]:
        root = "/rest/api/3/" if self.cloud else "/rest/api/2/"
        if not request.path.startswith(root):
            raise Refusal(404, f"{root} is what {self.kind} is asked at")
        if request.body and request.headers.get("Content-Type") != "application/json":
            raise Refusal(415, "application/json is demanded")
        match (request.method, [unquote(part) for part in request.path.removeprefix(root).split("/")]):
            case ("GET", ["myself"]):
                return 200, {**self.me, "active": True, "timeZone": "UTC"}
            case ("POST", ["issue"]):
                return 201, self._create(request.json())
            case ("GET", ["mypermissions"]):
                return 200, self._permissions(request.query.get("projectKey", ""), request.query.get("permissions", ""))
            case ("GET", ["issue", "createmeta", project, "issuetypes"]):
                return 200, self._types(project)
            case ("GET", ["issue", "createmeta", project, "issuetypes", type_id]):
                return 200, self._screen(project, type_id)
            case ("GET", ["issue", id]):
                return 200, self._as_json(self._issue(id), request.query.get("fields", "*all").split(","))
            case ("PUT", ["issue", id]):
                return 204, self._edit(self._issue(id), request.json())
            case ("GET", ["issue", id, "comment"]):
                return 200, self._comments(self._issue(id), request)
            case ("POST", ["issue", id, "comment"]):
                body = self._only(request.json(), {"body", "visibility", "properties"})["body"]
                self._check_text("comment", body)
                return 201, self._add_comment(self._issue(id), body, self.me)
            case ("GET", ["issue", id, "transitions"]):
                return 200, self._transitions(self._issue(id), request.query.get("expand", ""))
            case ("POST", ["issue", id, "transitions"]):
                return 204, self._transition(self._issue(id), request.json())
            case ("POST", ["search", "jql"]) if self.cloud:
                return 200, self._search_by_token(request.json())
            case ("POST" | "GET", ["search"]) if self.cloud:
                raise Refusal(
                    410, "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API."
                )
            case ("POST", ["search"]):
                return 200, self._search_by_start(request.json())
        raise Refusal(404, "no such operation in the contract")

    def _permissions(self, project: str, asked: str) -> Any:
        """Cloud demands that the permissions are named; Server lists all."""
        self._check_project(project)
        if self.cloud and not asked:
            raise Refusal(400, "The 'permissions' query parameter is required.")
        names = asked.split(",") if asked else []
        return {"permissions": {name: {"key": name, "havePermission": name not in self.denied} for name in names}}

    def _issue(self, id: str) -> Issue:
        found = [issue for issue in self.issues.values() if id in (issue.id, issue.key)]
        if not found:
            raise Refusal(404, "Issue does not exist or you do not have permission to see it.", counts=False)
        return found[0]

    def _create(self, body: Any) -> Any:
        given = self._only(body, {"fields", "update", "properties"})["fields"]
        if given.get("project") != {"key": self.project}:
            raise Refusal(400, counts=False, project="valid project is required")
        if given.get("issuetype", {}).get("name") not in self.types:
            raise Refusal(400, counts=False, issuetype="Specify a valid issue type")
        for name in self.required - given.keys():
            raise Refusal(400, counts=False, **{name: f"{name} is required."})
        self._check_fields(given)
        self._made += 1
        id, key = str(10000 + self._made), f"{self.project}-{self._made}"
        issue = Issue(id, key, {**copy.deepcopy(given), "created": self._now(), "resolution": None, "creator": self.me})
        issue.fields.setdefault("labels", [])
        self.issues[id] = issue
        self._set_status(issue, "To Do")
        return {"id": id, "key": key, "self": f"{self.url}/rest/api/2/issue/{id}"}

    def _edit(self, issue: Issue, body: Any) -> None:
        given = self._only(body, {"fields", "update"})["fields"]
        for name in given:
            if name not in self.screen:
                text = f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
                raise Refusal(400, counts=False, **{name: text})
        issue.fields.update(given)

    def _check_fields(self, given: dict[str, Any]) -> None:
        for name in given:
            if name not in _FIELDS:
                raise Refusal(
                    400, **{name: f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."}
                )
            if name not in self.screen:
                text = f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
                raise Refusal(400, counts=False, **{name: text})
        summary = given.get("summary")
        if not isinstance(summary, str) or not summary.strip():
            raise Refusal(400, summary="You must specify a summary of the issue.")
        if _units(summary) > SUMMARY_MAX:
            raise Refusal(400, summary="Summary can't exceed 255 characters.")
        if "\n" in summary or "\r" in summary:
            raise Refusal(400, summary="The summary is invalid because it contains newline characters.")
        for label in given.get("labels", []):
            if not isinstance(label, str) or not re.fullmatch(r"\S{1,255}", label):
                raise Refusal(400, labels=f"The label '{label}' contains spaces which is invalid.")
        if "priority" in given and given["priority"].get("name") not in self.priorities:
            raise Refusal(400, counts=False, priority="Specify the Priority (name) in the string format")
        self._check_text("description", given.get("description"))

    def _check_text(self, name: str, body: Any) -> None:
        if self.cloud:
            if not _is_document(body):
                raise Refusal(400, **{name: "Operation value must be an Atlassian Document (see the ADF)"})
            body = json.dumps(body, ensure_ascii=False)
        elif not isinstance(body, str):
            raise Refusal(400, **{name: "Operation value must be a string"})
        if not body or _units(body) > TEXT_MAX:
            raise Refusal(
                400, **{name: "The entered text is too long. It exceeds the allowed limit of 32,767 characters."}
            )

    def _types(self, project: str) -> Any:
        self._check_project(project)
        named = [{"id": str(number), "name": name, "subtask": False} for number, name in enumerate(self.types, 10100)]
        named.append({"id": "10199", "name": "Sub-task", "subtask": True})
        return {"issueTypes" if self.cloud else "values": named, "startAt": 0, "maxResults": 200, "total": len(named)}

    def _screen(self, project: str, type_id: str) -> Any:
        self._check_project(project)
        fields = []
        for name in sorted(self.screen | self.required):
            one = {"fieldId": name, "key": name, "name": name.title(), "operations": ["set"], "hasDefaultValue": False}
            one["required"] = name in ({"project", "issuetype", "summary"} | self.required)
            one["allowedValues"] = [{"name": each} for each in self.priorities] if name == "priority" else []
            fields.append(one)
        return {"fields" if self.cloud else "values": fields, "startAt": 0, "maxResults": 200, "total": len(fields)}

    def _check_project(self, project: str) -> None:
        if project != self.project:
            raise Refusal(404, f"No project could be found with key '{project}'.", counts=False)

    def _comments(self, issue: Issue, request: Request) -> Any:
        order = request.query.get("orderBy", "created")
        if order not in ("created", "-created", "+created"):
            raise Refusal(400, "orderBy takes created only")
        listed = issue.comments[::-1] if order.startswith("-") else issue.comments
        start, most = int(request.query.get("startAt", 0)), min(int(request.query.get("maxResults", 50)), 100)
        return {"comments": listed[start : start + most], "startAt": start, "maxResults": most, "total": len(listed)}

    def _add_comment(self, issue: Issue, body: Any, who: dict[str, str]) -> dict[str, Any]:
        self._said += 1
        comment = {"id": str(20000 + self._said), "author": who, "updateAuthor": who, "body": body, "jsdPublic": True}
        comment |= {"created": self._now(), "updated": self._now()}
        issue.comments.append(comment)
        return comment

    def _ways(self, issue: Issue) -> list[dict[str, Any]]:
        return [
            {"id": id, "name": name, "to": self._status(to), "fields": {**self._asked(to), **self.screens.get(id, {})}}
            for id, name, to in self.workflow.get(issue.status, [])
        ]

    def _demands(self, status: str) -> bool:
        return self.demands_resolution and STATUSES[status][1] == "done"

    def _asked(self, status: str) -> dict[str, Any]:
        if not self._demands(status):
            return {}
        allowed = [{"id": str(number), "name": name} for number, name in enumerate(RESOLUTIONS, 1)]
        one = {"required": True, "name": "Resolution", "key": "resolution", "operations": ["set"], "schema": {}}
        return {"resolution": {**one, "hasDefaultValue": False, "allowedValues": allowed}}

    def _transitions(self, issue: Issue, expand: str) -> Any:
        ways = self._ways(issue)
        for way in ways if expand != "transitions.fields" else ():
            way.pop("fields")
        return {"expand": "transitions", "transitions": ways}

    def _transition(self, issue: Issue, body: Any) -> None:
        self._only(body, {"transition", "fields", "update"})
        if self.busy:
            self.busy -= 1
            raise Refusal(409, "The issue is being updated by somebody else.", counts=False)
        if self.meanwhile:
            self._set_status(issue, self.meanwhile)
        way = next((way for way in self._ways(issue) if way["id"] == body["transition"]["id"]), None)
        if way is None:
            text = f"Transition id '{body['transition']['id']}' is not valid for this issue."
            raise Refusal(400, text, counts=False)
        fields = body.get("fields", {})
        for name in fields:
            if name not in way["fields"]:
                raise Refusal(
                    400, **{name: f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."}
                )
        if "resolution" in way["fields"] and fields.get("resolution", {}).get("name") not in RESOLUTIONS:
            raise Refusal(400, counts=False, resolution="Resolution is required.")
        to = way["to"]["name"]
        if self.validator and STATUSES[to][1] == "done" and not {**issue.fields, **fields}.get(self.validator):
            raise Refusal(400, f"{self.validator} is required to close an issue.", counts=False)
        issue.fields.update({name: value for name, value in fields.items() if name != "resolution"})
        issue.fields["resolution"] = fields.get("resolution")
        self._set_status(issue, self.post_function if self.post_function and STATUSES[to][1] == "done" else to)

    def _set_status(self, issue: Issue, status: str) -> None:
        issue.fields["status"] = self._status(status)
        issue.fields["statuscategorychangedate"] = self._now()
        issue.history.append((self.clock(), copy.deepcopy(issue.fields)))

    def _status(self, name: str) -> dict[str, Any]:
        id, key = STATUSES[name]
        number, said = CATEGORIES[key]
        return {"id": id, "name": name, "statusCategory": {"id": number, "key": key, "name": said}}

    def _search_by_token(self, body: Any) -> Any:
        self._only(body, {"jql", "maxResults", "fields", "nextPageToken", "reconcileIssues", "expand", "properties"})
        sure = body.get("reconcileIssues", [])
        if len(sure) > 50 or not all(isinstance(id, int) for id in sure):
            raise Refusal(400, "reconcileIssues takes 50 numbers")
        found = list(self._matching(body["jql"], {str(id) for id in sure}))
        start = int(body.get("nextPageToken") or 0)
        page = found[start : start + min(self.page, body.get("maxResults", 50))]
        last = start + len(page) >= len(found)
        more = {} if last else {"nextPageToken": str(start + len(page))}
        return {"issues": [self._as_json(each, body.get("fields", ["id"])) for each in page], "isLast": last, **more}

    def _search_by_start(self, body: Any) -> Any:
        self._only(body, {"jql", "maxResults", "fields", "startAt", "validateQuery", "expand"})
        found = list(self._matching(body["jql"], set()))
        start = body.get("startAt", 0)
        page = found[start : start + min(self.page, body.get("maxResults", 50))]
        shown = [self._as_json(each, body.get("fields", ["*navigable"])) for each in page]
        return {"issues": shown, "startAt": start, "maxResults": body.get("maxResults", 50), "total": len(found)}

    def _matching(self, jql: str, sure: set[str]) -> Iterator[Issue]:
        """Yield the issues as the index shows them: as they were `search_lag` ago, unless asked to be sure."""
        parsed = _SEARCH.fullmatch(jql)
        where = parsed["where"] if parsed else ""
        if not where:
            raise Refusal(
                400, "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
            )
        tests = [self._condition(part) for part in where.split(" AND ")]
        until = self.clock() - self.search_lag
        for issue in self.issues.values():
            seen = [fields for at, fields in issue.history if at <= until or issue.id in sure]
            if seen and all(test(seen[-1]) for test in tests):
                yield Issue(issue.id, issue.key, issue.fields if self.shows_now else seen[-1])

    def _condition(self, text: str) -> Callable[[dict[str, Any]], bool]:
        if found := re.fullmatch(r'project = "([A-Z0-9_]+)"', text):
            if found[1] != self.project:
                raise Refusal(400, f"The value '{found[1]}' does not exist for the field 'project'.", counts=False)
            return lambda fields: True
        if found := re.fullmatch(r'labels = "([a-z0-9-]+)"', text):
            return lambda fields: found[1] in {label.lower() for label in fields["labels"]}
        if text == "statusCategory != Done":
            return lambda fields: fields["status"]["statusCategory"]["key"] != "done"
        raise Refusal(400, f"Error in the JQL Query: {text}")

    def _as_json(self, issue: Issue, names: list[str]) -> dict[str, Any]:
        fields = {name: value for name, value in issue.fields.items() if name in names or "*all" in names}
        return {"id": issue.id, "key": issue.key, "self": f"{self.url}/rest/api/2/issue/{issue.id}", "fields": fields}

    def _only(self, body: Any, names: set[str]) -> dict[str, Any]:
        if not isinstance(body, dict) or set(body) - names:
            raise Refusal(400, "Invalid request payload. Refer to the REST API documentation and try again.")
        return body

    def _as_body(self, text: str) -> Any:
        if not self.cloud:
            return text
        return {
            "type": "doc",
            "version": 1,
            "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
        }

    def _now(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def rendered(body: Any) -> str:
    """Return a description or comment as the HTML that a reader's browser is given."""
    return _wiki_html(body) if isinstance(body, str) else _adf_html(body)


def as_text(body: Any) -> str:
    """Return a body as the wiki text of a webhook."""
    if isinstance(body, str):
        return body
    lines = ["".join(str(leaf.get("text", "\n")) for leaf in node.get("content", [])) for node in body["content"]]
    return "\n\n".join(lines)


def _adf_html(node: dict[str, Any]) -> str:
    within = "".join(_adf_html(child) for child in node.get("content", []))
    match node["type"]:
        case "text":
            text = html.escape(node["text"], quote=False)
            links = [mark["attrs"]["href"] for mark in node.get("marks", []) if mark["type"] == "link"]
            return f'<a href="{html.escape(links[0])}">{text}</a>' if links else text
        case "hardBreak":
            return "<br>"
        case "paragraph":
            return f"<p>{within}</p>"
    return within


def _wiki_html(text: str) -> str:
    """Render what the tests care for: escapes, entities, links, images, macros, headings, lists, bold, tables."""
    text = re.sub(r"\\([-#*_+?^~|%{}\[\]()!@])", lambda found: f"&#{ord(found[1])};", text)
    text = re.sub(r"&(?!#?\w+;)", "&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"\{(\w+)[^}\n]*\}", r"<macro name='\1'>", text)
    text = re.sub(r"\[([^\]|\n]+)\|([^\]\n]+)\]", r"<a href='\2'>\1</a>", text)
    text = re.sub(r"\[([^\]\n]+)\]", r"<a href='\1'>\1</a>", text)
    text = re.sub(r"!([^!\s][^!\n]*)!", r"<img src='\1'>", text)
    text = re.sub(r"\(([xyni/!?*+-]|on|off)\)", r"<icon name='\1'>", text)
    text = re.sub(r"^\s*h([1-6])\. ", r"<h\1>", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*bq\. ", "<blockquote>", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*[#*-]+ ", "<li>", text, flags=re.MULTILINE)
    text = re.sub(r"(?<!\w)\*(\S[^*\n]*)\*(?!\w)", r"<b>\1</b>", text)
    text = re.sub(r"^\|\|(.*?)\|(.*?)\|$", r"<tr><th>\1</th><td>\2</td></tr>", text, flags=re.MULTILINE)
    text = text.replace("\\\\", "<br>")
    return re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), text)


def _is_document(body: Any) -> bool:
    """Whether it is an ADF document of nodes that Jira takes."""
    if not isinstance(body, dict) or set(body) != {"type", "version", "content"}:
        return False
    return (body["type"], body["version"]) == ("doc", 1) and all(_is_node(node) for node in body["content"])


def _is_node(node: Any) -> bool:
    if not isinstance(node, dict) or node.get("type") not in _NODES:
        return False
    if node["type"] == "text":
        return bool(node.get("text")) and set(node) <= {"type", "text", "marks"} and "\n" not in node["text"]
    if node["type"] == "hardBreak":
        return set(node) == {"type"}
    filled = bool(node.get("content")) or node["type"] == "paragraph"
    return filled and set(node) <= {"type", "attrs", "content"} and all(_is_node(child) for child in node["content"])


def _user(name: str) -> dict[str, str]:
    first = name.split()[0].lower()
    return {"accountId": f"99:{first}", "name": first, "key": f"KEY-{first}", "displayName": name}


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
