"""A stateful Opsgenie on loopback, and Jira Service Management (JSM) Operations: one set of alerts, three ways in.

`url` answers as Opsgenie (GenieKey), `integration_url` as JSM's integration API (GenieKey), `rest_url` as JSM's REST
API (Basic). Contracts: opsgenie/opsgenie-oas, swagger.json; developer.atlassian.com, service-context-ops: alerts and
integration events. Its truth is `alerts`; `refused` names what they do not allow. Writes are taken with 202 and done
later.

Whatever is done to an alert is put on `webhooks` as (headers, body), as the outgoing webhook would send it; what the
API did too, while `echoes_own`.
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from tests.doubles.base import Answer, Double, Request

KEY = "canary-genie-key-0123456789"
EMAIL = "bot@example.com"
CLOUD = "11111111-2222-3333-4444-555555555555"
INTEGRATION = "37c8f316-17c6-49d7-899b-9c7e540c048d"
MESSAGE_MAX, DESCRIPTION_MAX, NOTE_MAX, NAME_MAX, DETAILS_MAX = 130, 15_000, 25_000, 100, 8_000
TAGS_MAX, TAG_MAX, PAGE_MAX, WINDOW = 20, 50, 100, 20_000
_SIGNED = frozenset({"user", "source", "note"})
_CREATE = frozenset(
    {"message", "alias", "description", "responders", "visibleTo", "actions", "tags", "entity", "priority"}
)
_ROUTE = re.compile(
    r"(?P<api>/v2/alerts|/jsm/ops/integration/v2/alerts|/jsm/ops/api/(?P<cloud>[^/]+)/v1/alerts)(?:/(?P<rest>.*))?"
)
_TERM = re.compile(r'(?P<field>status|tag|alias|teams)\s*:\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[\w-]+))')
_ACTIONS = {"acknowledge": "Acknowledge", "unacknowledge": "UnAcknowledge", "close": "Close", "notes": "AddNote"}


class Refusal(Exception):
    """A request that is answered with an error; `counts`: a client should have known."""

    def __init__(self, status: int, message: str, *, counts: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.counts = counts


@dataclass
class Note:
    text: str
    owner: str
    at: float


@dataclass
class OpsAlert:
    id: str
    tiny_id: str
    alias: str
    message: str
    created_at: float
    updated_at: float
    description: str = ""
    priority: str = "P3"
    tags: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    responders: list[dict[str, str]] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    entity: str = ""
    source: str = ""
    status: str = "open"
    acknowledged: bool = False
    acknowledged_by: str = ""
    acknowledged_at: float = 0.0
    closed_by: str = ""
    closed_at: float = 0.0
    count: int = 1
    notes: list[Note] = field(default_factory=list)

    @property
    def open(self) -> bool:
        return self.status == "open"

    @property
    def shown(self) -> str:
        """All text that people are given."""
        notes = [note.text for note in self.notes]
        return "\n".join([self.message, self.description, *self.details.keys(), *self.details.values(), *notes])


class Opsgenie(Double):
    """`pending_looks`: how many times a request is not found before its outcome shows. `processing_seconds`: how long
    it takes to have its effect. `fail_next`: words with which the next requests that were taken fail. `meanwhile`: what
    happens before the next of them has its effect. `search_lag`: seconds until a search finds a new alert.
    `webhook_sends_description`: as ticked in the outgoing integration.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.token = KEY
        self.email = EMAIL
        self.cloud = CLOUD
        self.integration_id = INTEGRATION
        self.alerts: dict[str, OpsAlert] = {}
        self.webhooks: deque[tuple[dict[str, str], bytes]] = deque()
        self.echoes_own = True
        self.webhook_sends_description = True
        self.pending_looks = 1
        self.processing_seconds = 0.0
        self.fail_next: deque[str] = deque()
        self.meanwhile: deque[Callable[[], None]] = deque()
        self.search_lag = 0.0
        self.readable = True
        self.suspended = False  # the account has not paid
        self.page_max = PAGE_MAX
        self.echo_credentials = False
        self.clock: Callable[[], float] = time.time
        self._requests: dict[str, dict[str, Any]] = {}
        self._looks: dict[str, int] = {}
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._made = 0

    @property
    def integration_url(self) -> str:
        return f"{self.url}/jsm/ops/integration"

    @property
    def rest_url(self) -> str:
        return f"{self.url}/jsm/ops/api/{self.cloud}"

    def tagged(self, tag: str) -> list[OpsAlert]:
        return [alert for alert in self.alerts.values() if tag in alert.tags]

    def create(self, message: str, *, username: str = "alice@example.com", **changes: Any) -> OpsAlert:
        """Somebody, or another integration, makes an alert."""
        with self.lock:
            return self._create({"message": message, **changes}, username)

    def person_acknowledges(self, id: str, username: str = "alice@example.com") -> None:
        with self.lock:
            self._do("Acknowledge", self.alerts[id], username, "")

    def person_unacknowledges(self, id: str, username: str = "alice@example.com") -> None:
        with self.lock:
            self._do("UnAcknowledge", self.alerts[id], username, "")

    def person_notes(self, id: str, text: str, username: str = "alice@example.com") -> None:
        with self.lock:
            self._do("AddNote", self.alerts[id], username, text)

    def person_closes(self, id: str, username: str = "alice@example.com") -> None:
        with self.lock:
            self._do("Close", self.alerts[id], username, "")

    def person_deletes(self, id: str, username: str = "alice@example.com") -> None:
        with self.lock:
            alert = self.alerts.pop(id)
            self._send("Delete", alert, username, "")

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What happens inside is never told by a webhook."""
        known = len(self.webhooks)
        yield
        with self.lock:
            while len(self.webhooks) > known:
                self.webhooks.pop()

    def handle(self, request: Request) -> Answer:
        self._settle()
        try:
            answer = self._route(request)
        except Refusal as refusal:
            if refusal.counts:
                self.refused.append(f"{request.method} {request.path}: {refusal.message}")
            echo = f" {request.headers.get('Authorization')}" if self.echo_credentials else ""
            return Answer.json({"message": refusal.message + echo, "took": 0.001, "requestId": "r"}, refusal.status)
        self._settle()
        return answer

    def _authenticate(self, request: Request, rest: bool) -> None:
        given = request.headers.get("Authorization", "")
        if not given.startswith("Basic " if rest else "GenieKey "):
            raise Refusal(401, "Key is missing in the request")
        wanted = f"{self.email}:{self.token}" if rest else self.token
        known = base64.b64decode(given[6:]).decode() if rest else given.removeprefix("GenieKey ")
        if known != wanted:
            raise Refusal(401, "Could not authenticate", counts=False)

    def _route(self, request: Request) -> Answer:
        found = _ROUTE.fullmatch(unquote(request.path))
        if not found:
            raise Refusal(404, "no such address")
        rest, path = bool(found["cloud"]), (found["rest"] or "").strip("/")
        self._authenticate(request, rest)
        if self.suspended:
            raise Refusal(402, "Your account is suspended", counts=False)
        parts = path.split("/") if path else []
        signed, reads = not rest, rest or not found["api"].startswith("/jsm")
        if request.method == "GET":
            if not reads:
                raise Refusal(404, "the integration API reads nothing")
            if not self.readable:
                raise Refusal(403, "You are not authorized to read", counts=False)
            return self._read(request, parts, rest)
        match (request.method, parts):
            case ("POST", []):
                return self._post_alert(request, rest)
            case ("POST", [id, action]) if action in _ACTIONS and (reads or action != "unacknowledge"):
                return self._post_action(request, id, action, signed)
            case (method, [id, "priority"]) if reads and method == ("PATCH" if rest else "PUT"):
                return self._put_priority(request, id)
        raise Refusal(404, f"no such endpoint: {request.method} {path}")

    def _read(self, request: Request, parts: list[str], rest: bool) -> Answer:
        match parts:
            case []:
                return self._list(request, rest)
            case ["alias"] if rest:
                return self._wrapped(self._json(self._named(request.query["alias"], "alias"), rest), rest)
            case ["requests", id]:
                return self._outcome(id, rest)
            case [id]:
                return self._wrapped(self._json(self._identified(request, id), rest), rest)
            case [id, "notes"]:
                return self._list_notes(request, self._identified(request, id), rest)
        raise Refusal(404, "no such endpoint")

    def _identified(self, request: Request, id: str) -> OpsAlert:
        return self._named(id, request.query.get("identifierType", "id"))

    def _named(self, name: str, kind: str) -> OpsAlert:
        """An alias names an open alert only."""
        if kind == "id" and name in self.alerts:
            return self.alerts[name]
        if kind == "alias":
            for alert in self.alerts.values():
                if alert.alias == name and alert.open:
                    return alert
        raise Refusal(404, f"Alert does not exist with {kind} [{name}]", counts=False)

    def _post_alert(self, request: Request, rest: bool) -> Answer:
        body = self._body(request)
        known = _CREATE | ({"source", "note", "extraProperties"} if rest else _SIGNED | {"details"})
        self._check(body, known)
        if not body.get("message"):
            raise Refusal(422, "Message can not be empty.")
        details = body.get("extraProperties", body.get("details", {}))
        if not all(isinstance(value, str) for value in details.values()):
            raise Refusal(422, "details must be text")
        if sum(len(name) + len(value) for name, value in details.items()) > DETAILS_MAX:
            raise Refusal(422, f"details are longer than {DETAILS_MAX}")
        username = self.email if rest else str(body.get("user", "System"))
        fields = {name: body[name] for name in _CREATE & body.keys() - {"actions", "visibleTo"}}
        fields["source"] = str(body.get("source", "127.0.0.1"))
        return self._taken("Create", lambda: self._create({**fields, "details": details}, username, own=True))

    def _post_action(self, request: Request, id: str, action: str, signed: bool) -> Answer:
        body = self._body(request) if request.body else {}
        if not signed and action != "notes" and body:
            raise Refusal(400, "this request has no body")
        self._check(body, _SIGNED if signed else frozenset({"note"}))
        if action == "notes" and not body.get("note"):
            raise Refusal(422, "Note can not be empty.")
        username = str(body.get("user", "System")) if signed else self.email
        text, kind = str(body.get("note", "")), request.query.get("identifierType", "id")
        if not signed and action == "notes":
            alert = self._named(id, kind)
            self._do("AddNote", alert, username, text, own=True)
            return Answer.json(self._note_json(alert.notes[-1]))

        def effect() -> OpsAlert:
            alert = self._named(id, kind)
            if action == "close" and not alert.open:
                raise Refusal(422, "Alert is already closed", counts=False)
            self._do(_ACTIONS[action], alert, username, text, own=True)
            return alert

        return self._taken(_ACTIONS[action], effect)

    def _put_priority(self, request: Request, id: str) -> Answer:
        body = self._body(request)
        self._check(body, {"priority"})
        kind = request.query.get("identifierType", "id")

        def effect() -> OpsAlert:
            alert = self._named(id, kind)
            alert.priority = body["priority"]
            self._do("UpdatePriority", alert, "System", "", own=True)
            return alert

        return self._taken("UpdatePriority", effect)

    def _body(self, request: Request) -> dict[str, Any]:
        body = request.json()
        if not isinstance(body, dict):
            raise Refusal(400, "the body is not an object")
        return body

    def _check(self, body: Mapping[str, Any], known: frozenset[str] | set[str]) -> None:
        if unknown := body.keys() - known:
            raise Refusal(422, f"unknown fields: {sorted(unknown)}")
        limits = {"message": MESSAGE_MAX, "description": DESCRIPTION_MAX, "note": NOTE_MAX, "alias": 512}
        for name, limit in {**limits, "user": NAME_MAX, "source": NAME_MAX}.items():
            if len(str(body.get(name, ""))) > limit:
                raise Refusal(422, f"{name} is longer than {limit}")
        tags = body.get("tags", [])
        if len(tags) > TAGS_MAX or any(len(tag) > TAG_MAX for tag in tags):
            raise Refusal(422, "too many or too long tags")
        if body.get("priority", "P3") not in {"P1", "P2", "P3", "P4", "P5"}:
            raise Refusal(422, "no such priority")

    def _taken(self, action: str, effect: Callable[[], OpsAlert]) -> Answer:
        """Answer 202, and have the effect, or the failure, when it is due."""
        id = str(uuid.uuid4())
        if self.fail_next:
            effect = _failing(self.fail_next.popleft())

        before = self.meanwhile.popleft() if self.meanwhile else None

        def work() -> None:
            if before:
                before()
            status = {"action": action, "integrationId": self.integration_id, "alertId": "", "alias": ""}
            try:
                alert = effect()
                done = {"status": f"{action} done", "alertId": alert.id, "alias": alert.alias, "isSuccess": True}
            except Refusal as refusal:
                said = "Alert does not exist" if refusal.status == 404 else refusal.message
                done = {"status": said, "isSuccess": False}
            at = _iso(self.clock())
            self._requests[id] = {**status, "processedAt": at, "success": done["isSuccess"], **done}

        self._waiting.append((self.clock() + self.processing_seconds, work))
        return Answer.json({"result": "Request will be processed", "took": 0.302, "requestId": id}, 202)

    def _settle(self) -> None:
        """Have the effect of all that is due by now."""
        while self._waiting and self._waiting[0][0] <= self.clock():
            self._waiting.popleft()[1]()

    def _outcome(self, id: str, rest: bool) -> Answer:
        looks = self._looks[id] = self._looks.get(id, 0) + 1
        if id not in self._requests or looks <= self.pending_looks:
            raise Refusal(404, "Request not found. It might not be processed, yet.", counts=False)
        done = {name: value for name, value in self._requests[id].items() if not (rest and name == "success")}
        return self._wrapped(done, rest)

    def _list(self, request: Request, rest: bool) -> Answer:
        size = int(request.query.get("size" if rest else "limit", "20"))
        offset = int(request.query.get("offset", "0"))
        if not 1 <= size <= PAGE_MAX or offset + size >= WINDOW:
            raise Refusal(422, "the page is too large or too far")
        wanted = _condition(request.query.get("query", ""))
        visible = (alert for alert in self.alerts.values() if self.clock() - alert.created_at >= self.search_lag)
        found = sorted(filter(wanted, visible), key=lambda alert: alert.created_at)
        if request.query.get("order", "desc") == "desc":
            found.reverse()
        page = [self._json(alert, rest, listed=True) for alert in found[offset : offset + size]]
        return Answer.json({"values": page, "count": len(page)} if rest else {"data": page, "paging": {}})

    def _list_notes(self, request: Request, alert: OpsAlert, rest: bool) -> Answer:
        size = min(int(request.query.get("size" if rest else "limit", "20")), self.page_max)
        after = int(request.query.get("after" if rest else "offset", "0"))
        notes = list(enumerate(alert.notes))
        if request.query.get("order", "desc") == "desc":
            notes.reverse()
        page = [self._note_json(note) for _, note in notes[after : after + size]]
        more = after + size < len(notes)
        name = "after" if rest else "direction=next&offset"
        following = {"next": f"https://elsewhere.example/x?{name}={after + size}"} if more else {}
        return Answer.json({"values": page, "links": following} if rest else {"data": page, "paging": following})

    def _wrapped(self, value: dict[str, Any], rest: bool) -> Answer:
        return Answer.json(value if rest else {"data": value, "took": 0.01, "requestId": "r"})

    def _json(self, alert: OpsAlert, rest: bool, *, listed: bool = False) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": alert.id,
            "tinyId": alert.tiny_id,
            "alias": alert.alias,
            "message": alert.message,
            "status": alert.status,
            "acknowledged": alert.acknowledged,
            "tags": alert.tags,
            "count": alert.count,
            "createdAt": _iso(alert.created_at),
            "updatedAt": _iso(alert.updated_at),
            "source": alert.source,
            "owner": alert.acknowledged_by,
            "priority": alert.priority,
            "responders": alert.responders,
        }
        if rest:
            times = {"ackTime": alert.acknowledged_at, "closeTime": alert.closed_at}
            shown |= {name: _iso(at) for name, at in times.items() if at}
        else:
            shown["report"] = _report(alert)
        if not listed:
            properties = "extraProperties" if rest else "details"
            shown |= {"description": alert.description, "entity": alert.entity, properties: alert.details}
        return shown

    def _note_json(self, note: Note) -> dict[str, str]:
        return {"note": note.text, "owner": note.owner, "createdAt": _iso(note.at), "offset": str(int(note.at * 1000))}

    def _create(self, fields: Mapping[str, Any], username: str, *, own: bool = False) -> OpsAlert:
        """Make an alert, or count it where an open one has its alias: then no webhook tells."""
        now = self.clock()
        alias = str(fields.get("alias") or uuid.uuid4())
        for alert in self.alerts.values():
            if alert.alias == alias and alert.open:
                alert.count += 1
                return alert
        self._made += 1
        id = f"{uuid.uuid4()}-{int(now * 1000)}"
        named = {**fields, "alias": alias, "id": id, "tiny_id": str(self._made), "created_at": now, "updated_at": now}
        alert = self.alerts[id] = OpsAlert(**named)
        self._send("Create", alert, username, "", own=own)
        return alert

    def _do(self, action: str, alert: OpsAlert, username: str, text: str, *, own: bool = False) -> None:
        alert.updated_at = now = max(self.clock(), alert.updated_at + 0.000001)
        if text:
            alert.notes.append(Note(text, username, now))
        if action == "Acknowledge":
            alert.acknowledged, alert.acknowledged_by, alert.acknowledged_at = True, username, now
        elif action == "UnAcknowledge":
            alert.acknowledged, alert.acknowledged_by, alert.acknowledged_at = False, "", alert.acknowledged_at
        elif action == "Close":
            alert.status, alert.closed_by, alert.closed_at = "closed", username, now
        self._send(action, alert, username, text, own=own)

    def _send(self, action: str, alert: OpsAlert, username: str, text: str, *, own: bool = False) -> None:
        if own and not self.echoes_own:
            return
        told: dict[str, Any] = {
            "alertId": alert.id,
            "tinyId": alert.tiny_id,
            "alias": alert.alias,
            "message": alert.message,
            "tags": alert.tags,
            "entity": alert.entity,
            "source": alert.source or username,
            "username": username,
            "userId": str(uuid.uuid5(uuid.NAMESPACE_DNS, username)),
            "createdAt": int(alert.created_at * 1000),
            "updatedAt": int(alert.updated_at * 1_000_000) * 1000,
            **({"note": text} if text else {}),
        }
        if action == "Create":
            told |= {"teams": alert.teams, "recipients": []}
        if self.webhook_sends_description:
            told |= {"description": alert.description, "details": alert.details, "priority": alert.priority}
        body = {
            "action": action,
            "alert": told,
            "source": {"name": "", "type": "API" if own else "web"},
            "integrationId": self.integration_id,
            "integrationName": "Outage checker",
        }
        self.webhooks.append(({"Content-Type": "application/json"}, json.dumps(body).encode()))


def _failing(words: str) -> Callable[[], OpsAlert]:
    def effect() -> OpsAlert:
        raise Refusal(422, words, counts=False)

    return effect


def _condition(query: str) -> Callable[[OpsAlert], bool]:
    """Return what a query selects: terms, AND, OR and parentheses; anything else is refused."""
    terms: list[Callable[[OpsAlert], bool]] = []

    def take(found: re.Match[str]) -> str:
        terms.append(_term(found["field"], found["quoted"] or found["bare"]))
        return f"T{len(terms) - 1}"

    words = re.findall(r"T\d+|AND|OR|[()]|\S+", _TERM.sub(take, query))
    if not all(re.fullmatch(r"T\d+|AND|OR|[()]", word) for word in words):
        raise Refusal(422, f"the query is not understood: {query}")
    if not words:
        return lambda alert: True
    condition, rest = _either(words, terms)
    if rest:
        raise Refusal(422, f"the query is not understood: {query}")
    return condition


def _either(words: list[str], terms: list[Callable[[OpsAlert], bool]]) -> tuple[Callable[[OpsAlert], bool], list[str]]:
    left, words = _both(words, terms)
    if words[:1] != ["OR"]:
        return left, words
    right, words = _either(words[1:], terms)
    return (lambda alert: left(alert) or right(alert)), words


def _both(words: list[str], terms: list[Callable[[OpsAlert], bool]]) -> tuple[Callable[[OpsAlert], bool], list[str]]:
    left, words = _one(words, terms)
    if words[:1] != ["AND"]:
        return left, words
    right, words = _both(words[1:], terms)
    return (lambda alert: left(alert) and right(alert)), words


def _one(words: list[str], terms: list[Callable[[OpsAlert], bool]]) -> tuple[Callable[[OpsAlert], bool], list[str]]:
    if words[:1] == ["("]:
        inner, words = _either(words[1:], terms)
        if words[:1] != [")"]:
            raise Refusal(422, "a parenthesis is not closed")
        return inner, words[1:]
    if not words or not words[0].startswith("T"):
        raise Refusal(422, "the query is not understood")
    return terms[int(words[0][1:])], words[1:]


def _term(name: str, value: str) -> Callable[[OpsAlert], bool]:
    """An alias finds an open alert only (https://docs.opsgenie.com/docs/alerts-search-query-help)."""
    tests: dict[str, Callable[[OpsAlert], bool]] = {
        "status": lambda alert: alert.status == value,
        "tag": lambda alert: value in alert.tags,
        "alias": lambda alert: alert.alias == value and alert.open,
        "teams": lambda alert: value in alert.teams,
    }
    return tests[name]


def _report(alert: OpsAlert) -> dict[str, Any]:
    """Times are milliseconds since the alert was created."""
    report: dict[str, Any] = {}
    if alert.acknowledged_at:
        taken = int((alert.acknowledged_at - alert.created_at) * 1000)
        report |= {"ackTime": taken, "acknowledgedBy": alert.acknowledged_by}
    if not alert.open:
        report |= {"closeTime": int((alert.closed_at - alert.created_at) * 1000), "closedBy": alert.closed_by}
    return report


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
