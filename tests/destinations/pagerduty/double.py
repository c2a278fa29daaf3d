"""A stateful PagerDuty on loopback: REST API v2, Events API v2, and the V3 webhooks that each change brings.

Its truth is `incidents`; `refused` names every request that the published API does not allow, `reopened` counts the
incidents that were opened again. Each change puts a signed webhook into `webhooks`, which a test may deliver, drop,
repeat, delay or reorder. Shapes: PagerDuty/api-schema (reference/REST, reference/events-v2) and
https://developer.pagerduty.com/docs/webhooks-overview.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doubles.base import Answer, Double, Request

TOKEN = "canary-pagerduty-key"
ROUTING_KEY = "canaryroutingkey0123456789abcdef"
SECRET = "canary-webhook-secret"
SERVICE = "PSRVC01"
BOT, ALICE, BOB = "PBOT001", "PALICE1", "PBOB001"
SITE = "https://example.pagerduty.com"
ACCEPT = "application/vnd.pagerduty+json;version=2"
STATUSES = ("triggered", "acknowledged", "resolved")
LIST_MAX = 100
OFFSET_MAX = 10_000
EVENT_MAX = 512 * 1024  # bytes
DEFAULT_RANGE = timedelta(days=30)
_CREATED = frozenset({"type", "title", "service", "incident_key", "urgency", "body", "priority"})
_CHANGED = frozenset({"type", "status", "title", "urgency", "priority"})
_LISTED = frozenset(
    {"statuses[]", "service_ids[]", "incident_key", "date_range", "since", "until", "limit", "offset", "sort_by"}
)
Hook = tuple[dict[str, str], bytes]


class Refusal(Exception):
    def __init__(self, status: int, *errors: str, code: int = 2001, counts: bool = True) -> None:
        super().__init__(errors[0])
        self.status, self.errors, self.code, self.counts = status, errors, code, counts


@dataclass
class Note:
    id: str
    content: str
    user: str
    at: datetime


@dataclass
class Incident:
    id: str
    number: int
    key: str
    title: str
    urgency: str
    details: str
    created_at: datetime
    service: str = SERVICE
    status: str = "triggered"
    priority: str = ""
    changed_at: datetime | None = None
    changed_by: str = ""
    merged_into: str = ""
    acks: list[tuple[str, datetime]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def contents(self) -> list[str]:
        return [note.content for note in self.notes]


class PagerDuty(Double):
    """`secrets`: those that webhooks are signed with, several while they are being changed. `search_lag` in seconds."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.token = TOKEN
        self.routing_key = ROUTING_KEY
        self.secrets = [SECRET]
        self.users = {
            BOT: {"name": "Automation", "email": "bot@example.com"},
            ALICE: {"name": "Alice Archer", "email": "alice@example.com"},
            BOB: {"name": "Bob Builder", "email": "bob@example.com"},
        }
        self.services = {SERVICE: {"name": "Web shop", "status": "active"}}
        self.subscriptions: list[dict[str, Any]] = []
        self.sees_subscriptions = True
        self.incidents: dict[str, Incident] = {}
        self.webhooks: deque[Hook] = deque()
        self.reopened = 0
        self.search_lag = timedelta(0)
        self.echo_credentials = False
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.before_listing: Callable[[int], None] = lambda offset: None
        self.before_change: Callable[[str], None] = lambda id: None
        self.refuses_repeats = False  # of a status: answers 400 or 200, both are seen

    def open_incidents(self) -> list[Incident]:
        return [each for each in self.incidents.values() if each.status != "resolved"]

    def person_acknowledges(self, id: str, user: str = ALICE) -> None:
        with self.lock:
            self._set(self.incidents[id], "acknowledged", user)

    def person_resolves(self, id: str, user: str = ALICE) -> None:
        with self.lock:
            self._set(self.incidents[id], "resolved", user)

    def person_reopens(self, id: str, user: str = ALICE) -> None:
        with self.lock:
            self._set(self.incidents[id], "triggered", user)

    def person_merges(self, id: str, into: str, user: str = ALICE) -> None:
        """A person merges an incident into another, whose id or summary is told."""
        with self.lock:
            self.incidents[id].merged_into = into
            self._set(self.incidents[id], "resolved", user)

    def person_notes(self, id: str, content: str, user: str = ALICE) -> Note:
        with self.lock:
            return self._annotate(self.incidents[id], content, user)

    def ack_times_out(self, id: str) -> None:
        """Nobody ended it in time: it is triggered again, and nobody did that."""
        with self.lock:
            incident = self.incidents[id]
            incident.acks.clear()
            incident.status, incident.changed_at, incident.changed_by = "triggered", self.now(), ""
            incident.log.append("unacknowledged by nobody")
            self._tell("incident.unacknowledged", self._incident_data(incident), "")

    def handle(self, request: Request) -> Answer:
        if request.path == "/v2/enqueue":
            return self._enqueue(request)
        if request.headers.get("Authorization") != f"Token token={self.token}":
            return Answer.json({"error": {"message": "Unauthorized", "code": 2006, "errors": []}}, 401)
        try:
            status, value = self._route(request)
        except Refusal as refusal:
            if refusal.counts:
                self.refused.append(f"{request.method} {request.path}: {refusal.errors}")
            message = "Not Found" if refusal.status == 404 else "Arguments Caused Error"
            echo = [request.headers.get("Authorization", "")] if self.echo_credentials else []
            error = {"message": message, "code": refusal.code, "errors": [*refusal.errors, *echo]}
            return Answer.json({"error": error}, refusal.status)
        return Answer.json(value, status)

    def _route(self, request: Request) -> tuple[int, Any]:
        if request.headers.get("Accept") != ACCEPT:
            raise Refusal(406, f"Accept: {ACCEPT} is wanted")
        who = self._sender(request) if request.method != "GET" else ""
        match (request.method, request.path.strip("/").split("/")):
            case ("POST", ["incidents"]):
                return 201, {"incident": self._as_json(self._create(request, who))}
            case ("GET", ["incidents"]):
                return 200, self._list(request)
            case ("GET", ["incidents", id]):
                return 200, {"incident": self._as_json(self._incident(id))}
            case ("PUT", ["incidents", id]):
                return 200, {"incident": self._as_json(self._change(request, self._incident(id), who))}
            case ("GET", ["incidents", id, "notes"]):
                return 200, {"notes": [self._note_json(note) for note in self._incident(id).notes]}
            case ("POST", ["incidents", id, "notes"]):
                return 200, {"note": self._note_json(self._noted(request, self._incident(id), who))}
            case ("GET", ["users"]):
                return 200, self._paged(request, "users", self._matching(request.query.get("query", "")))
            case ("GET", ["services", id]):
                if id not in self.services:
                    raise Refusal(404, "Not Found", code=2100, counts=False)
                return 200, {"service": {"id": id, "type": "service", **self.services[id]}}
            case ("GET", ["webhook_subscriptions"]):
                if not self.sees_subscriptions:
                    raise Refusal(403, "Access Denied", code=2010, counts=False)
                return 200, self._paged(request, "webhook_subscriptions", self.subscriptions)
        raise Refusal(404, "no such operation in the API")

    def _sender(self, request: Request) -> str:
        mail = request.headers.get("From", "")
        found = [id for id, user in self.users.items() if user["email"] == mail]
        if not found:
            raise Refusal(400, "Requester User Not Found", code=1008)
        return found[0]

    def _incident(self, id: str) -> Incident:
        if id not in self.incidents:
            raise Refusal(404, "Incident Not Found", code=2100, counts=False)
        return self.incidents[id]

    def _create(self, request: Request, who: str) -> Incident:
        asked = request.json().get("incident", {})
        if set(asked) - _CREATED:
            raise Refusal(400, f"cannot set {sorted(set(asked) - _CREATED)}")
        if asked.get("type") != "incident" or asked.get("service", {}).get("id") not in self.services:
            raise Refusal(400, "Service not found")
        if asked.get("body", {"type": "incident_body"}).get("type") != "incident_body":
            raise Refusal(400, "Body is invalid")
        self._check(asked)
        if not asked.get("title"):
            raise Refusal(400, "Title is required")
        key = asked.get("incident_key") or uuid.uuid4().hex
        self._check_key(key, asked["service"]["id"])
        made = self._make(key, asked["title"], asked.get("urgency", "high"), asked.get("body", {}).get("details", ""))
        made.service = asked["service"]["id"]
        made.priority = asked.get("priority", {}).get("id", "")
        self._tell("incident.triggered", self._incident_data(made), who)
        return made

    def _check_key(self, key: str, service: str) -> None:
        if any((each.key, each.service) == (key, service) for each in self.open_incidents()):
            raise Refusal(400, "Open incident with matching dedup key already exists on this service", counts=False)

    def _make(self, key: str, title: str, urgency: str, details: str) -> Incident:
        number = len(self.incidents) + 1
        made = Incident(f"Q{number:06d}INC", number, key, title, urgency, details, self.now())
        made.changed_at = made.created_at
        self.incidents[made.id] = made
        return made

    def _change(self, request: Request, incident: Incident, who: str) -> Incident:
        asked = request.json().get("incident", {})
        if asked.get("type") not in ("incident", "incident_reference") or set(asked) - _CHANGED:
            raise Refusal(400, f"cannot set {sorted(set(asked) - _CHANGED)}")
        self._check(asked)
        self.before_change(incident.id)
        if self.refuses_repeats and asked.get("status") == incident.status:
            raise Refusal(400, f"Incident Already {incident.status.capitalize()}", counts=False)
        incident.title, incident.urgency = asked.get("title", incident.title), asked.get("urgency", incident.urgency)
        if asked.get("status", "resolved") != "resolved" and incident.status == "resolved":
            self._check_key(incident.key, incident.service)
        if "status" in asked:
            self._set(incident, asked["status"], who)
        return incident

    def _check(self, asked: dict[str, Any]) -> None:
        if not 0 < len(asked.get("title", "x")) <= 1024 or "\n" in asked.get("title", ""):
            raise Refusal(400, "Title is invalid")
        if asked.get("urgency", "high") not in ("high", "low"):
            raise Refusal(400, "Urgency is invalid")
        if asked.get("status", "triggered") not in STATUSES:
            raise Refusal(400, "Status is invalid")
        if not 0 < len(asked.get("incident_key", "x")) <= 255:
            raise Refusal(400, "Incident key is too long")

    def _set(self, incident: Incident, status: str, who: str) -> None:
        before = incident.status
        if status == "acknowledged" and before != "resolved" and who not in [by for by, _ in incident.acks]:
            incident.acks.append((who, self.now()))
        if before == status:
            return
        if before == "resolved":
            self.reopened += 1
            incident.acks = [(who, self.now())] if status == "acknowledged" else []
        if status == "resolved":
            incident.acks.clear()
        incident.status, incident.changed_at, incident.changed_by = status, self.now(), who
        event = "reopened" if before == "resolved" else {"triggered": "unacknowledged"}.get(status, status)
        incident.log.append(f"{event} by {who}")
        self._tell(f"incident.{event}", self._incident_data(incident), who)

    def _noted(self, request: Request, incident: Incident, who: str) -> Note:
        content = request.json().get("note", {}).get("content")
        if not isinstance(content, str) or not content.strip() or len(content) > 65_535:
            raise Refusal(400, "Content is invalid")
        return self._annotate(incident, content, who)

    def _annotate(self, incident: Incident, content: str, who: str) -> Note:
        note = Note(f"PN{len(incident.notes):03d}{incident.number:04d}", content, who, self.now())
        incident.notes.append(note)
        there = {**self._reference("incident", incident.id, incident.title), "type": "incident_reference"}
        told = {"incident": there, "id": note.id, "content": content, "trimmed": False, "type": "incident_note"}
        self._tell("incident.annotated", told, who)
        return note

    def _list(self, request: Request) -> Any:
        asked = request.query
        unknown = set(asked) - _LISTED
        statuses = [value for name, value in request.pairs if name == "statuses[]"] or list(STATUSES)
        services = [value for name, value in request.pairs if name == "service_ids[]"]
        if unknown or set(statuses) - set(STATUSES) or set(services) - set(self.services):
            raise Refusal(400, f"cannot list by {sorted(asked)}")
        self.before_listing(int(asked.get("offset", 0)))
        since = datetime.min.replace(tzinfo=UTC) if asked.get("date_range") == "all" else self.now() - DEFAULT_RANGE
        until = self.now() - self.search_lag
        found = [each for each in self.incidents.values() if since <= each.created_at <= until]
        found = [each for each in found if each.status in statuses and each.service in (services or self.services)]
        if asked.get("incident_key"):  # an empty one lists them all
            found = [each for each in found if each.key == asked["incident_key"]]
        by, _, direction = asked.get("sort_by", "created_at:asc").partition(":")
        if by != "created_at":
            raise Refusal(400, "sort_by is not understood")
        found.sort(key=lambda each: (each.created_at, each.number), reverse=direction == "desc")
        return self._paged(request, "incidents", [self._as_json(each) for each in found])

    def _paged(self, request: Request, name: str, listed: list[dict[str, Any]]) -> dict[str, Any]:
        limit, offset = int(request.query.get("limit", 25)), int(request.query.get("offset", 0))
        if not 1 <= limit <= LIST_MAX or offset + limit > OFFSET_MAX:
            raise Refusal(400, "limit or offset is too high")
        page = listed[offset : offset + limit]
        return {name: page, "limit": limit, "offset": offset, "total": None, "more": offset + limit < len(listed)}

    def _matching(self, query: str) -> list[dict[str, Any]]:
        wanted = query.lower()
        found = [
            (id, user) for id, user in self.users.items() if wanted in user["name"].lower() + user["email"].lower()
        ]
        return [{"id": id, "type": "user", "summary": user["name"], **user} for id, user in found]

    def _enqueue(self, request: Request) -> Answer:
        try:
            event = request.json()
            self._check_event(event, request)
        except Refusal as refusal:
            self.refused.append(f"{request.method} {request.path}: {refusal.errors}")
            echo = [request.body.decode()] if self.echo_credentials else []
            errors = [*refusal.errors, *echo]
            told = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return Answer.json(told, refusal.status)
        self._process(event)
        return Answer.json({"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}, 202)

    def _check_event(self, event: dict[str, Any], request: Request) -> None:
        if len(request.body) > EVENT_MAX:
            raise Refusal(413, "the event is too large")
        if event.get("routing_key") != self.routing_key:
            raise Refusal(400, "Invalid routing key")
        if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
            raise Refusal(400, "'event_action' is invalid")
        if not 0 < len(event.get("dedup_key", "")) <= 255:
            raise Refusal(400, "'dedup_key' is missing or too long")
        payload = event.get("payload", {})
        if event["event_action"] == "trigger":
            if not 0 < len(payload.get("summary", "")) <= 1024 or not payload.get("source"):
                raise Refusal(400, "'payload.summary' or 'payload.source' is missing or too long")
            if payload.get("severity") not in ("critical", "error", "warning", "info"):
                raise Refusal(400, "'payload.severity' is invalid")

    def _process(self, event: dict[str, Any]) -> None:
        """Have an event's effect; what names no open alert is dropped."""
        found = [each for each in self.open_incidents() if each.key == event["dedup_key"]]
        if event["event_action"] == "trigger":
            payload = event["payload"]
            if found:
                found[0].log.append("triggered again")
                return
            urgency = "high" if payload["severity"] in ("critical", "error") else "low"
            details = json.dumps(payload.get("custom_details", {}), ensure_ascii=False)
            made = self._make(event["dedup_key"], payload["summary"], urgency, details)
            self._tell("incident.triggered", self._incident_data(made), SERVICE)
        elif found:
            status = {"acknowledge": "acknowledged", "resolve": "resolved"}[event["event_action"]]
            self._set(found[0], status, SERVICE)

    def _tell(self, kind: str, told: dict[str, Any], who: str) -> None:
        event = {
            "id": f"01{uuid.uuid4().hex[:24].upper()}",
            "event_type": kind,
            "resource_type": "incident",
            "occurred_at": _stamp(self.now()),
            "agent": self._agent(who) if who else None,
            "client": None,
            "data": told,
        }
        self.webhooks.append(self.sign({"event": event}))

    def sign(self, payload: Any) -> Hook:
        """Return the headers and the body of a webhook as PagerDuty sends it."""
        body = json.dumps(payload).encode()
        signatures = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in self.secrets]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "PagerDuty-Webhook/V3.0",
            "X-PagerDuty-Signature": ",".join(f"v1={each}" for each in signatures),
            "X-Webhook-Id": str(uuid.uuid4()),
            "X-Webhook-Subscription": "PSUBSC1",
        }
        return headers, body

    def _agent(self, who: str) -> dict[str, Any]:
        if who in self.users:
            return self._reference("user", who, self.users[who]["name"])
        return self._reference("service", who, self.services.get(who, {}).get("name", who))

    def _reference(self, kind: str, id: str, summary: str) -> dict[str, Any]:
        place = f"{kind}s/{id}"
        named = {"id": id, "type": f"{kind}_reference", "summary": summary}
        return {**named, "self": f"https://api.pagerduty.com/{place}", "html_url": f"{SITE}/{place}"}

    def _incident_data(self, incident: Incident) -> dict[str, Any]:
        """The incident as a webhook tells it; `incident_key` is not in all of them."""
        return {
            **self._reference("incident", incident.id, incident.title),
            "type": "incident",
            "number": incident.number,
            "status": incident.status,
            "incident_key": incident.key,
            "created_at": _stamp(incident.created_at),
            "title": incident.title,
            "service": self._reference("service", SERVICE, self.services[SERVICE]["name"]),
            "assignees": [],
            "escalation_policy": None,
            "teams": [],
            "priority": None,
            "urgency": incident.urgency,
            "conference_bridge": None,
            "resolve_reason": self._resolve_reason(incident),
        }

    def _resolve_reason(self, incident: Incident) -> dict[str, Any] | None:
        if not incident.merged_into:
            return None
        target = self._reference("incident", "QMAIN01", incident.merged_into)
        return {"type": "merge_resolve_reason", "incident": target}

    def _as_json(self, incident: Incident) -> dict[str, Any]:
        """The incident as the REST API shows it."""
        by = incident.changed_by
        return {
            **self._reference("incident", incident.id, f"[#{incident.number}] {incident.title}"),
            "type": "incident",
            "incident_number": incident.number,
            "resolve_reason": self._resolve_reason(incident),
            "title": incident.title,
            "created_at": _stamp(incident.created_at),
            "status": incident.status,
            "incident_key": incident.key,
            "urgency": incident.urgency,
            "service": self._reference("service", SERVICE, self.services[SERVICE]["name"]),
            "assignments": [],
            "acknowledgements": [{"at": _stamp(at), "acknowledger": self._agent(who)} for who, at in incident.acks],
            "last_status_change_at": _stamp(incident.changed_at or incident.created_at),
            "last_status_change_by": self._agent(by) if by else self._agent(SERVICE),
        }

    def _note_json(self, note: Note) -> dict[str, Any]:
        channel = {"summary": "The PagerDuty website or APIs"}
        made = {"id": note.id, "content": note.content, "created_at": _stamp(note.at), "channel": channel}
        return {**made, "user": self._agent(note.user)}


def _stamp(at: datetime) -> str:
    return re.sub(r"(\.\d{3})\d*", r"\1", at.isoformat()).replace("+00:00", "Z")
