"""Several vendors' status pages under one server: Atlassian Statuspage's API v2 and its history feed, with a state.

`/page/<name>/api/v2/...` and `/page/<name>/history.rss`. Shapes as on any page's own `/api` documentation, e.g.
https://www.githubstatus.com/api. A page comes to be when it is first spoken of.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from typing import Any, Literal

from tests.doubles.base import Answer, Double, Request

Breakage = Literal["html", "500", "truncated", "empty", "hang", "missing key"]
LIMIT = 50  # incidents in a list, as the vendor has it
_DONE = ("resolved", "postmortem", "completed")
_RANK = ("none", "minor", "major", "critical")


@dataclass
class Page:
    """One vendor's page. `groups` maps a component's name to its group's."""

    name: str
    url: str
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    planned: dict[str, dict[str, Any]] = field(default_factory=dict)
    components: dict[str, dict[str, Any]] = field(default_factory=dict)


class StatusPages(Double):
    """Change the pages with the verbs below; each change is made `at`, else now but a second after the last at least.

    `broken` maps a page to how all its answers fail; `missing` holds endpoints that no page has ("summary").
    `moved` maps a page to the path that all its addresses redirect to (301); `gone` to the status of all its answers.
    `emptied`: pages whose lists of components and incidents are empty. `in_part`: pages whose summary lists one
    component at a time, each in its turn, as incident.io's does; their own ids are ULIDs, and empty lists are null.
    `others`: by path, the answers of pages that are read otherwise.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.pages: dict[str, Page] = {}
        self.broken: dict[str, Breakage] = {}
        self.missing: set[str] = set()
        self.moved: dict[str, str] = {}
        self.gone: dict[str, int] = {}
        self.emptied: set[str] = set()
        self.in_part: set[str] = set()
        self.others: dict[str, Answer] = {}
        self._turn = 0
        self.clock = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)

    def __enter__(self) -> StatusPages:
        self.start()
        return self

    def page(self, name: str) -> Page:
        """Return a page, made on first use."""
        with self.lock:
            return self.pages.setdefault(name, Page(name, f"{self.url}/page/{name}"))

    def add_component(self, page: str, name: str, group: str = "") -> dict[str, Any]:
        """List a component on the page, in a group if named, and return it."""
        with self.lock:
            known = self.page(page).components
            parent = self.add_component(page, group) if group else None
            if parent:
                parent["group"] = True
            code = _code(page, group, name)
            component = known.setdefault(code, {"id": code, "name": name, "status": "operational", "group": False})
            component["group_id"] = parent["id"] if parent else component.get("group_id")
            return component

    def open_incident(
        self, page: str, id: str, name: str, impact: str = "minor", components: tuple[str, ...] = (), **more: Any
    ) -> None:
        """Post a new incident. Components are names, `Group / Name` where they are in a group."""
        with self.lock:
            self._post(self.page(page).incidents, page, id, name, impact, components)
        self.update_incident(page, id, "investigating", f"We are investigating {name}.", **more)

    def update_incident(
        self, page: str, id: str, status: str, body: str = "", at: datetime | None = None, **changes: Any
    ) -> None:
        """Post an update; `changes` replace fields of the incident (name, impact, ...)."""
        with self.lock:
            known = self.page(page)
            incident = known.incidents.get(id) or known.planned[id]
            stamp = _stamp(self._tick(at))
            update = {"id": f"{id}-{len(incident['incident_updates'])}", "incident_id": id, "status": status}
            update |= {"body": body, "created_at": stamp, "updated_at": stamp, "display_at": stamp}
            incident["incident_updates"].insert(0, {**update, "affected_components": None})
            incident |= {"status": status, "updated_at": stamp, **changes}
            incident["created_at"] = incident["created_at"] or stamp
            incident["started_at"] = incident["started_at"] or stamp
            if status in _DONE:
                incident["resolved_at"] = incident["resolved_at"] or stamp

    def resolve_incident(
        self, page: str, id: str, body: str = "This incident has been resolved.", at: datetime | None = None
    ) -> None:
        self.update_incident(page, id, "resolved", body, at)

    def schedule_maintenance(
        self, page: str, id: str, name: str, starts_at: datetime, hours: float = 1.0, components: tuple[str, ...] = ()
    ) -> None:
        """Announce planned work; `update_incident(page, id, "in_progress")` begins it, "completed" ends it."""
        with self.lock:
            planned = self.page(page).planned
            self._post(planned, page, id, name, "maintenance", components)
            planned[id]["scheduled_for"] = _stamp(starts_at)
            planned[id]["scheduled_until"] = _stamp(starts_at + timedelta(hours=hours))
        self.update_incident(page, id, "scheduled", "We will be undergoing scheduled maintenance.")

    def rotate_ids(self, page: str) -> None:
        """Give all components and incidents new ids; their names, times and states stay."""
        with self.lock:
            known = self.page(page)
            for shelf in (known.components, known.incidents, known.planned):
                entries = list(shelf.values())
                shelf.clear()
                for entry in entries:
                    entry["id"] = _code("new", entry["id"])
                    if entry.get("group_id"):
                        entry["group_id"] = _code("new", entry["group_id"])
                    shelf[entry["id"]] = entry

    def handle(self, request: Request) -> Answer:
        if request.method != "GET":
            return self.refuse(request, "a status page is only read", 405)
        if request.path in self.others:
            return self.others[request.path]
        parts = [*request.path.split("/", 3), ""][:4]
        if len(parts) < 4 or parts[1] != "page" or parts[2] not in self.pages:
            return Answer(404, b"<!doctype html><title>Page not found</title>", {"Content-Type": "text/html"})
        page, path = self.pages[parts[2]], parts[3]
        if page.name in self.gone:
            return Answer(self.gone[page.name], b"<!doctype html><title>Gone</title>", {"Content-Type": "text/html"})
        if page.name in self.moved:
            return Answer(301, b"", {"Location": self.moved[page.name]})
        if not path:
            return Answer(200, b"<!doctype html><title>Status</title>", {"Content-Type": "text/html"})
        answer = _feed(page) if path == "history.rss" else self._json(page, path)
        return (
            self._broken(self.broken[page.name], answer) if page.name in self.broken else _unless_known(answer, request)
        )

    def _json(self, page: Page, path: str) -> Answer:
        endpoint = path.removeprefix("api/v2/").removesuffix(".json")
        value = None if endpoint in self.missing else _payload(page, endpoint)
        if value and page.name in self.emptied:
            lists = (name for name in ("components", "incidents", "scheduled_maintenances") if name in value)
            value = {**value, **{name: [] for name in lists}, **({"status": _level([])} if "status" in value else {})}
        if value and page.name in self.in_part:
            value = self._part(value, whole=endpoint == "components")
        return Answer.json({"error": "not found"}, 404) if value is None else Answer.json(value)

    def _part(self, value: dict[str, Any], *, whole: bool) -> dict[str, Any]:
        """Return a payload as incident.io writes it (bentleypark/aiwatch#1125)."""
        part = {**value, "page": {**value["page"], "id": "01K0000000000000000000000A"}}
        part |= {name: value[name] or None for name in ("incidents", "scheduled_maintenances") if name in value}
        if "components" in value and not whole:
            self._turn += 1
            part["components"] = [value["components"][self._turn % len(value["components"])]]
        return part

    def _broken(self, how: Breakage, answer: Answer) -> Answer:
        if how == "hang":
            self.lock.release()  # only this page hangs
            try:
                self.stopping.wait(self.hang_seconds)
            finally:
                self.lock.acquire()
        bodies = {
            "html": b"<!doctype html><title>Just a moment</title>",
            "truncated": answer.body[: len(answer.body) // 2],
        }
        if how == "missing key" and answer.body[:1] == b"{":
            kept = {"page": json.loads(answer.body).get("page")}
            return Answer.json(kept)
        kind = {"Content-Type": "text/html"} if how == "html" else answer.headers
        return Answer(500 if how in ("500", "hang") else 200, bodies.get(how, b""), kind)

    def _post(
        self, shelf: dict[str, dict[str, Any]], page: str, id: str, name: str, impact: str, components: tuple[str, ...]
    ) -> None:
        listed = [self.add_component(page, *reversed(component.split(" / ", 1))) for component in components]
        shelf[id] = {
            "id": id,
            "name": name,
            "status": "investigating",
            "impact": impact,
            "created_at": None,
            "started_at": None,
            "updated_at": None,
            "monitoring_at": None,
            "resolved_at": None,
            "shortlink": f"{self.url}/page/{page}/incidents/{id}",
            "components": listed,
            "incident_updates": [],
        }

    def _tick(self, at: datetime | None) -> datetime:
        now = datetime.now(UTC).replace(microsecond=0)
        self.clock = at or max(now, self.clock + timedelta(seconds=1))
        return self.clock


def _payload(page: Page, endpoint: str) -> dict[str, Any] | None:
    head = {"page": {"id": _code(page.name), "name": page.name, "url": page.url, "time_zone": "Etc/UTC"}}
    recent, planned = _newest_first(page.incidents), _newest_first(page.planned)
    opened = [incident for incident in recent if incident["status"] not in _DONE]
    upcoming = [work for work in planned if work["status"] not in _DONE]
    under_way = [work for work in upcoming if work["status"] != "scheduled"]
    status = {"status": _level([incident["impact"] for incident in opened])}
    components = {"components": list(page.components.values())}
    lists: dict[str, dict[str, Any]] = {
        "summary": {**components, "incidents": opened, "scheduled_maintenances": upcoming, **status},
        "status": status,
        "components": components,
        "incidents": {"incidents": recent[:LIMIT]},
        "incidents/unresolved": {"incidents": opened},
        "scheduled-maintenances": {"scheduled_maintenances": planned[:LIMIT]},
        "scheduled-maintenances/upcoming": {
            "scheduled_maintenances": [work for work in upcoming if work not in under_way]
        },
        "scheduled-maintenances/active": {"scheduled_maintenances": under_way},
    }
    known = page.incidents | page.planned
    single = known.get(endpoint.removeprefix("incidents/"))
    found = lists.get(endpoint) or ({"incident": single} if single else None)
    return {**head, **found} if found else None


def _level(impacts: list[str]) -> dict[str, str]:
    worst = max(impacts, key=_RANK.index, default="none")
    return {"indicator": worst, "description": "All Systems Operational" if worst == "none" else f"{worst} outage"}


def _newest_first(shelf: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(shelf.values(), key=lambda incident: str(incident["created_at"]), reverse=True)


def _feed(page: Page) -> Answer:
    entries = sorted([*page.incidents.values(), *page.planned.values()], key=lambda entry: str(entry["updated_at"]))
    items = "".join(_entry(entry) for entry in reversed(entries[-25:]))
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>'
        f"<title>{escape(page.name)} Status - Incident History</title><link>{page.url}</link>"
        f"<description>Statuspage</description>{items}</channel></rss>"
    )
    return Answer(200, body.encode(), {"Content-Type": "application/rss+xml; charset=utf-8"})


def _entry(incident: dict[str, Any]) -> str:
    banner = ""
    published = datetime.fromisoformat(incident["incident_updates"][0]["created_at"])
    if "scheduled_for" in incident:
        published = datetime.fromisoformat(incident["scheduled_for"])
        banner = f"<p><strong>THIS IS A SCHEDULED EVENT {_shown(published)}</strong></p>"
    content = banner + "".join(_paragraph(update) for update in incident["incident_updates"])
    link = f"<link>{incident['shortlink']}</link><guid>{incident['shortlink']}</guid>"
    dated = f"<pubDate>{format_datetime(published)}</pubDate>"
    title = f"<title>{escape(incident['name'])}</title>"
    return f"<item>{title}<description>{escape(content)}</description>{dated}{link}</item>"


def _paragraph(update: dict[str, Any]) -> str:
    label = str(update["status"]).replace("_", " ").capitalize()
    at = datetime.fromisoformat(update["created_at"])
    return f"<p><small>{_shown(at)}</small><br><strong>{label}</strong> - {escape(update['body'])}</p>"


def _shown(at: datetime) -> str:
    return f"{at:%b} <var data-var='date'>{at:%d}</var>, <var data-var='time'>{at:%H:%M}</var> UTC"


def _unless_known(answer: Answer, request: Request) -> Answer:
    """Answer 304 to who has this body already."""
    tag = f'W/"{_code(answer.body.decode())}"'
    if answer.status == 200 and request.headers.get("If-None-Match") == tag:
        return Answer(304, b"", {"ETag": tag})
    return Answer(answer.status, answer.body, {**answer.headers, "ETag": tag})


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _code(*names: str) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
