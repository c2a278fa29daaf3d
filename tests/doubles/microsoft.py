"""Microsoft under one loopback server: Entra's token endpoint, a managed identity, ARM's events, Graph's issues.

Shapes: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
https://learn.microsoft.com/entra/workload-id/workload-identity-federation,
https://learn.microsoft.com/azure/app-service/overview-managed-identity (REST endpoint),
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token,
https://learn.microsoft.com/rest/api/resourcehealth/events, https://learn.microsoft.com/graph/api/resources/servicehealthissue.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doubles.base import Answer, Double, Request

TENANT, CLIENT, SECRET = "tenant-1", "client-1", "s3cret-of-the-app"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OID = "99999999-0000-0000-0000-000000000001"
IDENTITY_HEADER = "header-of-the-platform"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ARM, GRAPH = "https://management.azure.com", "https://graph.microsoft.com"
WINDOW = timedelta(days=3)  # ARM lists what had news since
_EVENTS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.ResourceHealth/events"
_ISSUES = "/v1.0/admin/serviceAnnouncement/issues"


class Microsoft(Double):
    """Post with the verbs below. `page_size`: of ARM's list, and the most that Graph gives, whatever is preferred.

    `assertion`: the pod's token that is accepted. `refusal`: the code that every request for a token is refused with.
    `assigned` false: the virtual machine has no identity. `lifetime`: seconds of a new token. `revoke()` makes all
    tokens so far useless. `next_host` replaces the server in the address of the next page, `next_is_first` makes it
    lead back. `roles` false: who asks is known but may not read.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.events: dict[str, dict[str, Any]] = {}
        self.issues: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, str] = {}  # token -> audience
        self.issued = 0
        self.lifetime = 3600
        self.page_size = 100
        self.next_host = ""
        self.next_is_first = False
        self.roles = True
        self.assertion = "token-of-the-pod"
        self.refusal = ""
        self.assigned = True
        self.clock = datetime.now(UTC).replace(microsecond=0)

    def __enter__(self) -> Microsoft:
        self.start()
        return self

    def revoke(self) -> None:
        with self.lock:
            self.tokens.clear()

    def post_event(self, name: str, regions: Mapping[str, str], at: datetime | None = None, **properties: Any) -> None:
        """Post or edit an event of ARM; `regions` maps each region to its status."""
        at = at or self._tick()
        place = {"impactedSubscriptions": [SUBSCRIPTION], "impactedTenants": [], "lastUpdateTime": _stamp(at)}
        places = [{"impactedRegion": region, "status": status, **place} for region, status in regions.items()]
        impact = [{"impactedService": properties.pop("service", "Virtual Machines"), "impactedRegions": places}]
        with self.lock:
            known = self.events.get(name, {"eventType": "ServiceIssue", "status": "Active", "level": "Warning"})
            known = {"title": f"Trouble {name}", "impactStartTime": _stamp(at), "eventLevel": "Informational", **known}
            news = {"impact": impact, "lastUpdateTime": _stamp(at), "impactMitigationTime": "0001-01-01T00:00:00"}
            self.events[name] = {**known, **news, **properties}

    def post_issue(self, id: str, words: str = "", at: datetime | None = None, **fields: Any) -> None:
        """Post or edit an issue of Graph; `words` become a new post."""
        at = at or self._tick()
        with self.lock:
            known = self.issues.get(id) or {
                "id": id,
                "title": f"Trouble {id}",
                "startDateTime": _stamp(at),
                "posts": [],
            }
            calm = {"classification": "incident", "status": "serviceDegradation", "isResolved": False}
            self.issues[id] = {**calm, "service": "Exchange Online", "endDateTime": None, **known, **fields}
            self.issues[id]["lastModifiedDateTime"] = _stamp(at)
            if words:
                body = {"contentType": "html", "content": words}
                post = {"createdDateTime": _stamp(at), "postType": "regular", "description": body}
                self.issues[id]["posts"] = [*known["posts"], post]

    def handle(self, request: Request) -> Answer:
        if request.path == f"/{TENANT}/oauth2/v2.0/token":
            return self._token(request)
        if request.path == "/msi/token":
            return self._managed(request)
        if request.path == "/metadata/identity/oauth2/token":
            return self._machine(request)
        if request.method != "GET":
            return self.refuse(request, "only read", 405)
        if request.path.startswith(_EVENTS):
            return self._let_in(request, ARM) or self._arm(request)
        if request.path.startswith(_ISSUES):
            return self._let_in(request, GRAPH) or self._graph(request)
        return _error(404, "NotFound")

    def _token(self, request: Request) -> Answer:
        form = request.form()
        if self.refusal:
            prose = f"{self.refusal}: Prose that names '{form.get('client_id')}' and more. Trace ID: 1"
            return Answer.json({"error": "invalid_client", "error_description": prose}, 401)
        if form.get("client_assertion_type") == ASSERTION:
            if form.get("client_assertion") != self.assertion or form.get("client_id") != CLIENT:
                prose = "AADSTS700213: No matching federated identity record found for presented assertion subject"
                return Answer.json({"error": "invalid_client", "error_description": f"{prose} 'system:x'."}, 401)
        elif form.get("client_secret") != SECRET or form.get("client_id") != CLIENT:
            prose = f"AADSTS7000215: Invalid client secret provided for app '{form.get('client_id')}'. Trace ID: 1"
            return Answer.json({"error": "invalid_client", "error_description": prose}, 401)
        if form.get("grant_type") != "client_credentials" or not form.get("scope", "").endswith("/.default"):
            return Answer.json({"error": "invalid_scope", "error_description": "AADSTS70011: not a scope."}, 400)
        audience = form["scope"].removesuffix("/.default")
        return Answer.json({"token_type": "Bearer", "expires_in": self.lifetime, "access_token": self._issue(audience)})

    def _machine(self, request: Request) -> Answer:
        """Answer as the metadata service of a virtual machine: no secret, but a header that no browser sends."""
        if {name.lower(): value for name, value in request.headers.items()}.get("metadata") != "true":
            return Answer.json({"error": "invalid_request", "error_description": "Required metadata header"}, 400)
        if not self.assigned:
            return Answer.json({"error": "invalid_request", "error_description": "Identity not found"}, 400)
        return self._identity_token(request)

    def _managed(self, request: Request) -> Answer:
        if {name.upper(): value for name, value in request.headers.items()}.get("X-IDENTITY-HEADER") != IDENTITY_HEADER:
            return Answer.json({"statusCode": 400, "message": "no header"}, 400)
        return self._identity_token(request)

    def _identity_token(self, request: Request) -> Answer:
        resource = request.query.get("resource", "")
        ends = str(int(time.time()) + self.lifetime)
        answer = {"access_token": self._issue(resource), "expires_on": ends, "resource": resource}
        if request.path.startswith("/metadata/"):  # App Service gives the time alone
            answer["expires_in"] = str(self.lifetime)
        return Answer.json({**answer, "token_type": "Bearer"})

    def _issue(self, audience: str) -> str:
        self.issued += 1
        token = f"{_part({'alg': 'none'})}.{_part({'oid': OID, 'aud': audience, 'n': self.issued})}.c2lnbmF0dXJl"
        self.tokens[token] = audience
        return token

    def _let_in(self, request: Request, audience: str) -> Answer | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token) != audience:
            return _error(401, "ExpiredAuthenticationToken" if audience == ARM else "InvalidAuthenticationToken")
        return None if self.roles else _error(403, "AuthorizationFailed" if audience == ARM else "Forbidden")

    def _arm(self, request: Request) -> Answer:
        if not request.query.get("api-version"):
            return _error(400, "MissingApiVersionParameter")
        name = request.path.removeprefix(_EVENTS).lstrip("/")
        if name:
            return Answer.json(self._event(name)) if name in self.events else _error(404, "NotFound")
        since = _stamp(self.clock - WINDOW)
        listed = [self._event(name) for name in self.events if self.events[name]["lastUpdateTime"] >= since]
        start = int(request.query.get("$skipToken", "0"))
        page: dict[str, Any] = {"value": listed[start : start + self.page_size]}
        if start + self.page_size < len(listed):
            page["nextLink"] = self._next(f"{_EVENTS}?api-version=2024-02-01&$skipToken={start + self.page_size}")
        return Answer.json(page)

    def _event(self, name: str) -> dict[str, Any]:
        place = "/providers/Microsoft.ResourceHealth/events"
        return {"id": f"{place}/{name}", "name": name, "type": place, "properties": self.events[name]}

    def _graph(self, request: Request) -> Answer:
        if "$top" in request.query:
            return self.refuse(request, "$top hides the next page")
        name = request.path.removeprefix(_ISSUES).lstrip("/")
        if name:
            return Answer.json(self.issues[name]) if name in self.issues else _error(404, "UnknownError")
        listed, start = list(self.issues.values()), int(request.query.get("$skip", "0"))
        preferred = request.headers.get("Prefer", "odata.maxpagesize=100").rpartition("=")[2]
        size = min(int(preferred), self.page_size)
        page: dict[str, Any] = {"@odata.context": "issues", "value": listed[start : start + size]}
        if start + size < len(listed):
            page["@odata.nextLink"] = self._next(f"{_ISSUES}?$skip={start + size}")
        return Answer.json(page)

    def _next(self, address: str) -> str:
        if self.next_is_first:
            address = address.partition("&$skipToken=")[0].partition("?$skip=")[0]
        return f"{self.next_host or self.url}{address}"

    def _tick(self) -> datetime:
        with self.lock:
            self.clock += timedelta(seconds=1)
            return self.clock


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _part(claims: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def _error(status: int, code: str) -> Answer:
    return Answer.json({"error": {"code": code, "message": "prose, with names of people and things in it"}}, status)
