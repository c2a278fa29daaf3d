"""Calls to Jira (Cloud: REST v3, Server and Data Center: v2) with mapped errors: values in, values out.

What is written into an issue, and when, is the destination's affair. Contract: Atlassian's OpenAPI document of v3,
https://developer.atlassian.com/cloud/jira/platform/rest/v3/, and for v2 https://docs.atlassian.com/software/jira/docs/.
"""

from __future__ import annotations

import base64
import json as jsonlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.jira.workflow import Step, category
from service_event_checker.http.address import without_credentials
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.api import Api as JsonApi
from service_event_checker.remote.errors import ACCESS, access_error, body_of, delivery_error, words
from service_event_checker.remote.values import objects

PAGE = 100  # issues or comments a call
SEARCH_PAGES = 100
COMMENT_PAGES = 10
BODY_MAX = 16 * 1024 * 1024  # bytes: a page of the longest comments
RECONCILE_MAX = 50  # ids
FIELDS = ("labels", "status", "created", "resolution", "resolutiondate", "statuscategorychangedate", "creator")
_WHO = ("accountId", "key", "name")
_LOGIN = "X-Seraph-LoginReason"
_LIMIT = "RateLimit-Reason"  # which one: https://developer.atlassian.com/cloud/jira/platform/rate-limiting/
_STRANGER = re.compile(r"AUTHENTICATED_FAILED|AUTHENTICATION_DENIED|AUTHORISATION_FAILED")
_NEXT_STEP = "Jira does not accept the e-mail and API token (Cloud) or the personal access token (Server)"
_RIGHT = (
    "give the account the rights Browse projects, Create, Edit, Transition, Close and Resolve issues, and Add comments"
    " in the project"
)
_CAPTCHA = "Jira wants a CAPTCHA after failed logins: sign in once in a browser, or use a personal access token"

Api = Literal["cloud", "server"]


@dataclass(frozen=True, slots=True)
class Issue:
    id: str
    key: str
    fields: Mapping[str, Any]

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(str(each) for each in _listed(self.fields.get("labels")))

    @property
    def status(self) -> str:
        return str(as_mapping(self.fields.get("status")).get("name", ""))

    @property
    def category(self) -> str:
        return category(self.fields.get("status"))

    @property
    def resolution(self) -> str:
        return str(as_mapping(self.fields.get("resolution")).get("name", ""))

    @property
    def creator(self) -> frozenset[str]:
        """The ids and names of who made it, whoever the reporter is; empty where that is not told."""
        person = as_mapping(self.fields.get("creator"))
        return frozenset(str(person[name]) for name in _WHO if person.get(name))


class Refused(DeliveryError):
    """Jira does not take what was sent; `fields` maps the id of a field to what is wrong with it."""

    def __init__(self, reason: Reason, detail: str, fields: Mapping[str, str]) -> None:
        super().__init__(reason, detail, permanent=True)
        self.fields = fields


class Jira:
    """The issues of one site. Every method raises DeliveryError. Safe for several threads.

    `site`: where people open an issue, if that is not where the API is asked; `homes`: both. `me`: the ids and names of
    the account whose key we use, as far as Jira has told them by now.
    """

    def __init__(self, url: str, api: Api, email: str, token: str, timeout: float, *, site: str = "") -> None:
        pair = base64.b64encode(f"{email}:{token}".encode()).decode()
        self._secrets = tuple(secret for secret in (pair, token) if secret)
        headers = {"Authorization": f"Basic {pair}" if email else f"Bearer {token}", "Accept": "application/json"}
        http = Http(url, headers=headers, timeout=timeout, max_bytes=BODY_MAX)
        self._api = JsonApi("Jira", http, timeout, self._mapped)
        self.pauses = self._api.pauses
        self._cloud = api == "cloud"
        self._root = f"rest/api/{3 if self._cloud else 2}"
        self.homes = (site or url, url)
        self._home = without_credentials(site or url).rstrip("/")
        self.me: frozenset[str] = frozenset()

    def address(self, key: str) -> str:
        """Return where a person opens the issue."""
        return f"{self._home}/browse/{quote(key, safe='')}"

    def create(self, fields: Mapping[str, Any]) -> Issue:
        return _issue(self._ask("POST", "issue", json={"fields": fields}))

    def get(self, id: str) -> Issue:
        return _issue(self._ask("GET", f"issue/{quote(id, safe='')}", params={"fields": ",".join(FIELDS)}))

    def search(self, jql: str, known: Iterable[str] = ()) -> list[Issue]:
        """Return all issues that meet `jql`, complete, or raise.

        `known` are ids of issues that were made a moment ago: Cloud's search shows others only after a while.
        """
        issues: list[Issue] = []
        for page in self._pages_by_token(jql, known) if self._cloud else self._pages_by_start(jql):
            issues += page
        return issues

    def told(self, id: str, marker: str) -> bool:
        """Whether one of the issue's newest comments contains `marker`."""
        path = f"issue/{quote(id, safe='')}/comment"
        for number in range(COMMENT_PAGES):
            params = {"orderBy": "-created", "maxResults": str(PAGE), "startAt": str(number * PAGE)}
            comments = objects(self._ask("GET", path, params=params), "comments")
            if any(marker in jsonlib.dumps(each.get("body")) for each in comments):
                return True
            if len(comments) < PAGE:
                return False
        return False

    def comment(self, id: str, body: dict[str, Any] | str) -> None:
        self._ask("POST", f"issue/{quote(id, safe='')}/comment", json={"body": body})

    def edit(self, id: str, fields: Mapping[str, Any]) -> None:
        """Set fields of the issue."""
        self._ask("PUT", f"issue/{quote(id, safe='')}", json={"fields": dict(fields)})

    def steps(self, id: str) -> list[Step]:
        """Return what the workflow, and our rights, allow from the status that the issue is in."""
        path = f"issue/{quote(id, safe='')}/transitions"
        answer = self._ask("GET", path, params={"expand": "transitions.fields"})
        return [_step(each) for each in objects(answer, "transitions")]

    def take(self, id: str, step: Step, fields: Mapping[str, Any]) -> None:
        """Bring the issue into another status; `fields` are those of the transition's screen."""
        body: dict[str, Any] = {"transition": {"id": step.id}, **({"fields": fields} if fields else {})}
        self._ask("POST", f"issue/{quote(id, safe='')}/transitions", json=body)

    def types(self, project: str) -> dict[str, str]:
        """Return the ids of the issue types, without sub-tasks, that we may make in a project, by name."""
        path = f"issue/createmeta/{quote(project, safe='')}/issuetypes"
        answer = self._ask("GET", path, params={"maxResults": "200"})
        found = objects(answer, "issueTypes" if "issueTypes" in answer else "values")
        whole = (each for each in found if "name" in each and not each.get("subtask"))
        return {str(each["name"]): str(each.get("id", "")) for each in whole}

    def screen(self, project: str, type_id: str) -> dict[str, dict[str, Any]]:
        """Return the fields that an issue of a type can be made with, by id."""
        path = f"issue/createmeta/{quote(project, safe='')}/issuetypes/{quote(type_id, safe='')}"
        answer = self._ask("GET", path, params={"maxResults": "200"})
        return {
            str(each.get("fieldId")): each for each in objects(answer, "fields" if "fields" in answer else "values")
        }

    def lacks(self, project: str, permissions: Iterable[str]) -> list[str]:
        """Return which of these permissions our account does not have in a project.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-permissions/#api-rest-api-3-mypermissions-get
        """
        wanted = list(permissions)
        params = {"projectKey": project, "permissions": ",".join(wanted)}
        told = as_mapping(self._ask("GET", "mypermissions", params=params).get("permissions"))
        return [name for name in wanted if as_mapping(told.get(name)).get("havePermission") is not True]

    def sign_in(self) -> None:
        """Raise UNAUTHORIZED unless Jira knows who we are; learn who that is."""
        told = self._call("GET", "myself")
        self.me |= {str(told[name]) for name in _WHO if told.get(name)}

    def _pages_by_token(self, jql: str, known: Iterable[str]) -> Iterator[list[Issue]]:
        body: dict[str, Any] = {"jql": jql, "maxResults": PAGE, "fields": list(FIELDS)}
        ids = [int(id) for id in known if id.isdecimal()][-RECONCILE_MAX:]
        body |= {"reconcileIssues": ids} if ids else {}
        for _ in range(SEARCH_PAGES):
            answer = self._ask("POST", "search/jql", json=body)
            yield [_issue(each) for each in objects(answer, "issues")]
            token = answer.get("nextPageToken")
            if not token:
                return
            body["nextPageToken"] = token
        raise DeliveryError(Reason.TOO_LARGE, f"a search gave more than {SEARCH_PAGES} pages")

    def _pages_by_start(self, jql: str) -> Iterator[list[Issue]]:
        start = 0
        for _ in range(SEARCH_PAGES):
            body = {"jql": jql, "maxResults": PAGE, "fields": list(FIELDS), "startAt": start}
            answer = self._ask("POST", "search", json=body)
            found, total = objects(answer, "issues"), answer.get("total")
            if not isinstance(total, int):
                raise DeliveryError(Reason.GARBAGE, "the answer to a search has no total")
            yield [_issue(each) for each in found]
            start += len(found)
            if start >= total:
                return
            if not found:
                raise DeliveryError(Reason.GARBAGE, f"a search broke off at {start} of {total}")
        raise DeliveryError(Reason.TOO_LARGE, f"a search gave more than {SEARCH_PAGES} pages")

    def _ask(
        self, method: str, path: str, *, json: Any = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Call; a refusal is believed only when Jira knows us.

        To a stranger, which a revoked API token makes of us, it says 404 or 400 where there is an issue.
        """
        try:
            return self._call(method, path, json=json, params=params)
        except DeliveryError as error:
            if error.permanent:
                self.sign_in()
            raise

    def _call(
        self, method: str, path: str, *, json: Any = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        answer = self._api.call(method, f"{self._root}/{path}", json=json, params=params)
        reads = method == "GET" or path.startswith("search")
        if reads and _is_stranger(answer.headers):  # who is shown what is open to all
            raise DeliveryError(Reason.UNAUTHORIZED, _NEXT_STEP)
        self._recognize(answer.headers)
        return answer.value

    def _recognize(self, headers: Mapping[str, str]) -> None:
        named = (headers.get("X-AACCOUNTID", ""), headers.get("X-AUSERNAME", ""))
        new = {unquote(each) for each in named if each and each != "anonymous"} - self.me
        if new:
            self.me |= new

    def _mapped(self, error: HttpError) -> DeliveryError:
        redirected = error.reason is Reason.REFUSED and error.status is None
        fields, said = self._said(error)
        if redirected or (error.reason in ACCESS and _is_unknown(error)):
            return DeliveryError(Reason.UNAUTHORIZED, f"{said}; {_hint(error)}" if said else _hint(error))
        if error.reason in ACCESS:
            return access_error(error, said, who=_NEXT_STEP, right=_RIGHT)
        refusal = delivery_error(error, said)
        if refusal.permanent and _is_stranger(error.headers):
            return DeliveryError(Reason.UNAUTHORIZED, _NEXT_STEP)
        if error.status == 409:  # somebody changes the issue at this moment
            return DeliveryError(Reason.REFUSED, refusal.detail, retry_after=error.retry_after)
        return Refused(error.reason, refusal.detail, fields) if refusal.permanent else refusal

    def _said(self, error: HttpError) -> tuple[dict[str, str], str]:
        """Return Jira's own words, by field and together, and which of its limits was met."""
        said = body_of(error)
        fields = {str(name): self._plain(text) for name, text in as_mapping(said.get("errors")).items()}
        texts = [self._plain(each) for each in (*_listed(said.get("errorMessages")), error.headers.get(_LIMIT, ""))]
        return fields, "; ".join(filter(None, [*texts, *(f"{name}: {text}" for name, text in fields.items())]))[:500]

    def _plain(self, said: object) -> str:
        return words([str(said)], self._secrets)


def _is_stranger(headers: Mapping[str, str]) -> bool:
    """Whether Jira did not know who was asking."""
    return bool(_STRANGER.search(headers.get(_LOGIN, "")))


def _hint(error: HttpError) -> str:
    return _CAPTCHA if _wants_captcha(error) else _NEXT_STEP


def _is_unknown(error: HttpError) -> bool:
    """Whether it is about who we are: a 403 may be as well."""
    return error.status != 403 or _is_stranger(error.headers) or _wants_captcha(error)


def _wants_captcha(error: HttpError) -> bool:
    # some proxies drop the header; the page has it too: "Basic Authentication Failure - Reason : AUTHENTICATION_DENIED"
    login = error.headers.get(_LOGIN, "")
    return "AUTHENTICATION_DENIED" in login or b"AUTHENTICATION_DENIED" in error.body or b"CAPTCHA" in error.body


def _issue(value: Mapping[str, Any]) -> Issue:
    id, key = value.get("id"), value.get("key")
    if not isinstance(id, str) or not isinstance(key, str) or not id or not key:
        raise DeliveryError(Reason.GARBAGE, "the answer is not an issue")
    return Issue(id, key, as_mapping(value.get("fields")))


def _step(value: Mapping[str, Any]) -> Step:
    to = as_mapping(value.get("to"))
    screen = {name: as_mapping(field) for name, field in as_mapping(value.get("fields")).items()}
    return Step(str(value.get("id", "")), str(value.get("name", "")), str(to.get("name", "")), category(to), screen)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
