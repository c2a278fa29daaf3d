"""A stateful ServiceNow Table API on loopback: the table `incident` as a new instance has it.

Its truth is `incidents`; `refused` names what a real one would not do or would do in silence: a field that it computes,
a `^` that broke a query, a text that it cuts. `hook_of_change` gives what our business rule would send.
Contract: https://github.com/ServiceNow/ServiceNowDocs, markdown/api-reference/rest-apis/c_TableAPI.md
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doubles.base import Answer, Double, Request

USER, PASSWORD = "outage.checker", "canary-password"
NEW, RESOLVED, CLOSED, CANCELED = "1", "6", "7", "8"
MADE_BY_US = frozenset(
    {"short_description", "description", "impact", "urgency", "correlation_id", "correlation_display"}
)
COLUMNS = MADE_BY_US | frozenset(
    {"sys_id", "number", "state", "active", "priority", "category", "assignment_group", "caller_id", "close_code"}
    | {"close_notes", "work_notes", "comments", "sys_created_on", "sys_updated_on", "sys_updated_by", "sys_mod_count"}
)
JOURNALS = ("work_notes", "comments")
COMPUTED = frozenset({"sys_id", "number", "priority", "active", "sys_created_on", "sys_updated_on"})
LENGTHS = {"short_description": 160, "description": 4000, "close_notes": 4000, "correlation_id": 100}
CLOSE_CODES = ("Solution provided", "Duplicate", "No resolution provided")
_PATH = re.compile(r"/api/now/table/(?P<table>\w+)(?:/(?P<sys_id>[^/]+))?")
_CONDITION = re.compile(r"(?P<field>[a-z_]+)(?P<operator>NOT IN|STARTSWITH|=)(?P<value>.*)", re.DOTALL)


class Refusal(Exception):
    def __init__(self, status: int, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "detail": detail or None}


@dataclass
class Incident:
    fields: dict[str, str]
    journal: list[tuple[str, str]] = field(default_factory=list)  # (field, text)

    @property
    def state(self) -> str:
        return self.fields["state"]

    @property
    def work_notes(self) -> list[str]:
        return [text for name, text in self.journal if name == "work_notes"]

    @property
    def shown(self) -> str:
        """What a reader's browser is given: all escaped, but for [code] in journals."""
        columns = [
            html.escape(self.fields.get(name, "")) for name in ("short_description", "description", "close_notes")
        ]
        return "\n".join([*columns, *(_journal_html(text) for _, text in self.journal)])


class ServiceNow(Double):
    """`hidden`: sys_ids that our user may not see. `columns`: those that the instance has.

    `rule`: the name of a business rule that lets nobody resolve. `keeps_state`: a rule undoes each change of a state.
    `cancelled`: searches take too long. `resolved_while_listed`: what a person resolves between two pages. `slowness`:
    seconds that each answer takes.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.token = PASSWORD
        self.incidents: dict[str, Incident] = {}
        self.hidden: set[str] = set()
        self.columns = set(COLUMNS)
        self.rule = ""
        self.keeps_state = False
        self.demanded = ""  # a column that must be filled before an incident is resolved
        self.choices_are = "listed"  # or "nothing" (rows hidden in silence), "forbidden"
        self.cancelled = False
        self.resolved_while_listed = ""
        self.slowness = 0.0
        self.echo_credentials = False
        self._now = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)

    def add(self, **fields: str) -> Incident:
        """An incident that was there before."""
        self._now += timedelta(seconds=1)
        number = len(self.incidents) + 1
        stamp = f"{self._now:%Y-%m-%d %H:%M:%S}"
        made = Incident(
            {
                **dict.fromkeys(COLUMNS, ""),
                "sys_id": f"{number:032x}",
                "number": f"INC{number:07}",
                "state": NEW,
                "active": "true",
                "impact": "3",
                "urgency": "3",
                "sys_created_on": stamp,
                "sys_updated_on": stamp,
                "sys_updated_by": USER,
                "sys_mod_count": "0",
            }
        )
        self.incidents[made.fields["sys_id"]] = made
        self._write(made, fields, USER)
        return made

    def change(self, sys_id: str, by: str = "ada", **fields: str) -> None:
        """A person changes an incident."""
        with self.lock:
            self._write(self.incidents[sys_id], fields, by)

    def hook_of_change(self, sys_id: str, by: str = "ada", **fields: str) -> tuple[dict[str, str], bytes]:
        """Somebody changes an incident; return the headers and the body that the business rule sends."""
        with self.lock:
            incident = self.incidents[sys_id]
            before = incident.state
            self._write(incident, fields, by)
            return self._hook(incident, before, by, fields)

    def _hook(self, incident: Incident, before: str, by: str, written: dict[str, str]) -> tuple[dict[str, str], bytes]:
        shown = ("sys_id", "number", "state", "close_code", "correlation_id", "correlation_display")
        body = {
            "event": "incident.updated",
            **{name: incident.fields[name] for name in shown},
            "previous_state": before,
            **{name: written.get(name, "") for name in JOURNALS},
            "comment_id": f"{incident.fields['sys_mod_count']}:{incident.fields['sys_updated_on']}",
            "user": by,
            "user_name": by.title(),
            "at": incident.fields["sys_updated_on"],
        }
        return {"Content-Type": "application/json", "X-Webhook-Token": "t"}, json.dumps(body).encode()

    def handle(self, request: Request) -> Answer:
        self.stopping.wait(self.slowness)
        try:
            return self._answer(request)
        except Refusal as refusal:
            echo = f" {request.headers.get('Authorization')}" if self.echo_credentials else ""
            error = {**refusal.error, "message": refusal.error["message"] + echo}
            return Answer.json({"error": error, "status": "failure"}, refusal.status)

    def _answer(self, request: Request) -> Answer:
        expected = base64.b64encode(f"{USER}:{self.token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}":
            raise Refusal(401, "User Not Authenticated", "Required to provide Auth information")
        found = _PATH.fullmatch(request.path)
        if not found:
            raise Refusal(404, "Requested URI does not represent any resource", request.path)
        if found["table"] == "sys_choice":
            return self._choices()
        if found["table"] != "incident":
            raise Refusal(400, f"Invalid table {found['table']}")
        if request.query.get("sysparm_exclude_reference_link") != "true":
            self.refused.append("references are asked for as objects")
        match (request.method, found["sys_id"]):
            case ("GET", None):
                return self._list(request)
            case ("GET", sys_id):
                return self._record(request, self._incident(sys_id))
            case ("POST", None):
                return self._create(request)
            case ("PATCH", sys_id):
                return self._change(request, self._incident(sys_id))
        raise Refusal(405, "Method not allowed")

    def _incident(self, sys_id: str) -> Incident:
        if sys_id not in self.incidents or sys_id in self.hidden:
            raise Refusal(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
        return self.incidents[sys_id]

    def _create(self, request: Request) -> Answer:
        fields = self._checked(request.json())
        made = self.add(**fields)
        answer = self._record(request, made)
        place = f"{self.url}/api/now/table/incident/{made.fields['sys_id']}"
        return Answer(201, answer.body, {**answer.headers, "Location": place})

    def _change(self, request: Request, incident: Incident) -> Answer:
        fields = self._checked(request.json())
        if incident.state in (CLOSED, CANCELED):
            raise Refusal(403, "Operation Failed", "ACL Exception Update Failed due to security constraints")
        if fields.get("state") == RESOLVED:
            lacking = [name for name in ("close_code", "close_notes") if not fields.get(name, incident.fields[name])]
            if lacking:
                self.refused.append(f"resolved without {lacking}")
                raise Refusal(403, "Operation Failed", f"Data Policy Exception: mandatory fields: {lacking}")
            if self.demanded and not fields.get(self.demanded, incident.fields[self.demanded]):
                raise Refusal(403, "Operation Failed", f"Data Policy Exception: mandatory fields: {self.demanded}")
            if self.rule:
                raise Refusal(403, f"Operation against file 'incident' was aborted by Business Rule '{self.rule}'")
        if self.keeps_state:
            fields.pop("state", None)
        self._write(incident, fields, USER)
        return self._record(request, incident)

    def _checked(self, fields: dict[str, Any]) -> dict[str, str]:
        self.refused += [f"{name} is not text" for name, value in fields.items() if not isinstance(value, str)]
        self.refused += [f"{name} is computed" for name in fields if name in COMPUTED]
        self.refused += [f"{name} is cut" for name, most in LENGTHS.items() if len(fields.get(name, "")) > most]
        return {name: value for name, value in fields.items() if name in self.columns}

    def _write(self, incident: Incident, fields: dict[str, str], by: str) -> None:
        fields = dict(fields)
        incident.journal += [(name, fields.pop(name)) for name in JOURNALS if fields.get(name)]
        now = incident.fields
        now.update(fields)
        now["active"] = "false" if now["state"] in (CLOSED, CANCELED) else "true"
        now["priority"] = str(min(5, max(1, int(now["impact"]) + int(now["urgency"]) - 1)))
        now["sys_mod_count"] = str(int(now["sys_mod_count"]) + 1)
        now["sys_updated_by"] = by
        if incident.fields["sys_mod_count"] != "1":  # 1: it is being made
            self._now += timedelta(seconds=1)
            now["sys_updated_on"] = f"{self._now:%Y-%m-%d %H:%M:%S}"

    def _record(self, request: Request, incident: Incident) -> Answer:
        return Answer.json({"result": self._seen(request, incident)})

    def _seen(self, request: Request, incident: Incident) -> dict[str, str]:
        names = [name for name in request.query.get("sysparm_fields", "").split(",") if name] or sorted(COLUMNS)
        return {name: "" if name in JOURNALS else incident.fields[name] for name in names if name in self.columns}

    def _list(self, request: Request) -> Answer:
        tests = [self._condition(part) for part in request.query.get("sysparm_query", "").split("^")]
        met = [each for each in self.incidents.values() if all(test(each) for test in tests)]
        met.sort(key=lambda each: (each.fields["sys_created_on"], each.fields["sys_id"]))
        limit, offset = int(request.query.get("sysparm_limit", 10_000)), int(request.query.get("sysparm_offset", 0))
        page = [each for each in met[offset : offset + limit] if each.fields["sys_id"] not in self.hidden]
        if self.resolved_while_listed:
            self.change(self.resolved_while_listed, state=RESOLVED)
        result = {"result": [self._seen(request, each) for each in page]}
        if self.cancelled:
            result = {**result, "error": {"message": "Transaction cancelled: maximum execution time exceeded"}}
        return Answer.json(result, 200, **{"X-Total-Count": str(len(met))})

    def _condition(self, part: str) -> Callable[[Incident], bool]:
        """Return what a part of a query tests; one that is not understood is dropped, and everything returned."""
        ordered = re.fullmatch(r"ORDERBY([a-z_]+)", part)
        if ordered and ordered[1] in self.columns:
            return lambda incident: True
        found = _CONDITION.fullmatch(part)
        if not found or found["field"] not in self.columns:
            self.refused.append(f"the query has {part!r}")
            return lambda incident: True
        name, value = found["field"], found["value"]
        if found["operator"] == "NOT IN":
            return lambda incident: incident.fields[name] not in value.split(",")
        if found["operator"] == "STARTSWITH":
            return lambda incident: incident.fields[name].startswith(value)
        return lambda incident: incident.fields[name] == value

    def _choices(self) -> Answer:
        if self.choices_are == "forbidden":
            raise Refusal(403, "Operation Failed", "ACL Exception Read Failed due to security constraints")
        rows = CLOSE_CODES if self.choices_are == "listed" else ()
        return Answer.json({"result": [{"name": "incident", "element": "close_code", "value": row} for row in rows]})


def _journal_html(text: str) -> str:
    parts = re.split(r"\[code\](.*?)\[/code\]", text, flags=re.DOTALL | re.IGNORECASE)
    return "".join(part if number % 2 else html.escape(part) for number, part in enumerate(parts))
