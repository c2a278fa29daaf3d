"""The status APIs of Azure DevOps, Slack, Salesforce and Instatus under one server, each with a state of its own.

`/azure_devops/_apis/status/health` (https://learn.microsoft.com/rest/api/azure/devops/status/health/get),
`/slack/api/v2.0.0/{current,history}` (https://docs.slack.dev/reference/slack-status-api),
`/salesforce/v1/incidents/{active,<id>}` and `/salesforce/v1/instances/status` (https://api.status.salesforce.com/v1/docs),
`/instatus/summary.json` (https://instatus.com/help/public-api).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tests.doubles.base import Answer, Double, Request

Vendor = Literal["azure_devops", "slack", "salesforce", "instatus"]
Breakage = Literal["html", "500", "truncated", "empty", "missing key"]
SERVICES = ("Core services", "Boards", "Repos", "Pipelines", "Test Plans", "Artifacts", "Other services")
GEOGRAPHIES = {"US": "United States", "EU": "Europe"}
_LIST = {"azure_devops": "services", "slack": "active_incidents", "salesforce": "", "instatus": "activeIncidents"}


class Vendors(Double):
    """Change the vendors with the verbs below. `broken` maps a vendor to how all its answers fail."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.broken: dict[str, Breakage] = {}
        self.health = {(service, region): "healthy" for service in SERVICES for region in GEOGRAPHIES}
        self.message = "Everything is looking good"
        self.slack: dict[str, dict[str, Any]] = {}
        self.salesforce: dict[str, dict[str, Any]] = {}
        self.instances: tuple[str, ...] | None = ("NA137", "CS5")  # of Salesforce; None: not found
        self.instatus: dict[str, dict[str, Any]] = {}
        self.clock = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)

    def __enter__(self) -> Vendors:
        self.start()
        return self

    def base(self, vendor: Vendor) -> str:
        return f"{self.url}/{vendor}"

    def set_health(self, service: str, health: str, region: str = "US") -> None:
        """Judge a service of Azure DevOps in a geography; "" takes the geography off the list."""
        with self.lock:
            self.health[service, region] = health

    def open_slack(self, id: str | int, title: str, type: str = "incident", services: tuple[str, ...] = ()) -> None:
        """Post an incident on Slack's page."""
        with self.lock:
            stamp = self._stamp("-07:00")
            self.slack[str(id)] = {
                "id": id,
                "title": title,
                "type": type,
                "status": "active",
                "url": f"{self.url}/slack/incidents/{id}",
                "date_created": stamp,
                "date_updated": stamp,
                "services": list(services),
                "notes": [{"date_created": stamp, "body": f"<p>We are looking into: {title}.</p>"}],
            }

    def update_slack(self, id: str | int, status: str, body: str) -> None:
        """Add a note; `status` active also takes back an end."""
        with self.lock:
            incident, stamp = self.slack[str(id)], self._stamp("-07:00")
            incident["notes"].append({"date_created": stamp, "body": body})
            incident |= {"status": status, "date_updated": stamp}

    def open_salesforce(self, id: str | int, instances: tuple[str, ...], severity: str = "minor") -> None:
        """Post an incident on some instances of Salesforce."""
        with self.lock:
            stamp = self._stamp("Z")
            impact = {
                "id": 1,
                "startTime": stamp,
                "endTime": "",
                "type": "performanceDegradation",
                "severity": severity,
            }
            self.salesforce[str(id)] = {
                "id": id,
                "message": {"pathToResolution": None, "actionPlan": None, "rootCause": None},
                "additionalInformation": "",
                "affectsAll": True,
                "instanceKeys": list(instances),
                "serviceKeys": ["coreService"],
                "createdAt": stamp,
                "updatedAt": stamp,
                "IncidentImpacts": [impact],
                "IncidentEvents": [],
            }

    def end_salesforce(self, id: str | int, root_cause: str) -> None:
        """End all impacts of an incident; it leaves the list of active ones."""
        with self.lock:
            incident, stamp = self.salesforce[str(id)], self._stamp("Z")
            incident |= {"updatedAt": stamp, "message": {**incident["message"], "rootCause": root_cause}}
            for impact in incident["IncidentImpacts"]:
                impact["endTime"] = stamp

    def open_instatus(self, id: str, name: str, impact: str = "MAJOROUTAGE") -> None:
        """Post an incident on the Instatus page."""
        with self.lock:
            stamp = self._stamp("Z")
            self.instatus[id] = {
                "id": id,
                "name": name,
                "started": stamp,
                "status": "INVESTIGATING",
                "impact": impact,
                "url": f"{self.url}/instatus/{id}",
                "updatedAt": stamp,
            }

    def end_instatus(self, id: str) -> None:
        with self.lock:
            del self.instatus[id]

    def handle(self, request: Request) -> Answer:
        if request.method != "GET":
            return self.refuse(request, "a status page is only read", 405)
        vendor, _, path = request.path.lstrip("/").partition("/")
        routes = {
            "azure_devops": self._azure_devops,
            "slack": self._slack,
            "salesforce": self._salesforce,
            "instatus": self._instatus,
        }
        value = routes[vendor](path, request) if vendor in routes else None
        if isinstance(value, Answer):
            return value
        answer = Answer.json({"error": "not found"}, 404) if value is None else Answer.json(value)
        return self._broken(vendor, value, answer) if vendor in self.broken else answer

    def _azure_devops(self, path: str, request: Request) -> Any:
        if path != "_apis/status/health":
            return None
        if "api-version" not in request.query:
            return self.refuse(request, "no api-version")
        asked = [name for name in request.query.get("geographies", "").split(",") if name] or list(GEOGRAPHIES)
        services = [
            {
                "id": service,
                "geographies": [
                    {"id": region, "name": GEOGRAPHIES[region], "health": self.health[service, region]}
                    for region in asked
                    if self.health[service, region]
                ],
            }
            for service in SERVICES
        ]
        worst = "healthy" if set(self.health.values()) == {"healthy"} else "degraded"
        return {"status": {"health": worst, "message": self.message}, "services": services}

    def _slack(self, path: str, _: Request) -> Any:
        newest_first = list(reversed(self.slack.values()))
        if path == "api/v2.0.0/history":
            return newest_first
        if path != "api/v2.0.0/current":
            return None
        active = [incident for incident in newest_first if incident["status"] in ("active", "scheduled")]
        dates = {"date_created": "2026-11-01T10:00:00-07:00", "date_updated": "2026-11-01T10:00:00-07:00"}
        return {"status": "active" if active else "ok", "active_incidents": active, **dates}

    def _salesforce(self, path: str, _: Request) -> Any:
        if path == "v1/incidents/active":
            return [one for one in self.salesforce.values() if not one["IncidentImpacts"][0]["endTime"]]
        if path == "v1/instances/status":
            return self.instances and [{"key": key, "status": "OK", "isActive": True} for key in self.instances]
        return self.salesforce.get(path.removeprefix("v1/incidents/"))

    def _instatus(self, path: str, _: Request) -> Any:
        if path != "summary.json":
            return None
        page = {"name": "Acme", "url": self.base("instatus"), "status": "HASISSUES" if self.instatus else "UP"}
        return {"page": page, **({"activeIncidents": list(self.instatus.values())} if self.instatus else {})}

    def _broken(self, vendor: str, value: Any, answer: Answer) -> Answer:
        how = self.broken[vendor]
        bodies = {
            "html": b"<!doctype html><title>Just a moment</title>",
            "truncated": answer.body[: len(answer.body) // 2],
        }
        if how == "missing key":
            without = (
                {key: kept for key, kept in value.items() if key != _LIST[vendor]} if isinstance(value, dict) else {}
            )
            return Answer.json(without)
        return Answer(500 if how == "500" else 200, bodies.get(how, b""), {"Content-Type": "text/html"})

    def _stamp(self, zone: str) -> str:
        """Return the next time, each a minute after the last, in the vendor's zone."""
        self.clock += timedelta(minutes=1)
        hours = int(zone.partition(":")[0]) if zone != "Z" else 0
        return (self.clock + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S") + zone
