"""What `config.json` and the environment say of a Jira, Cloud or Server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from service_event_checker.config.fields import by_severity, web_address
from service_event_checker.config.models import DestinationConfig
from service_event_checker.core.vocabulary import Severity
from service_event_checker.destinations.jira.client import Api

_SITES = (".atlassian.net", ".jira.com")
_GATEWAY = "api.atlassian.com"  # takes tokens with scopes, at /ex/jira/<cloud id>
OWN_FIELDS = frozenset({"project", "issuetype", "summary", "description", "labels"})


class Config(DestinationConfig):
    """`url` is where the API is asked, `site` where people open issues if that is another address. `token` is an API
    token, or without `email` a personal access token (Server) or a service account's (Cloud).

    `api` is cloud for Atlassian's hosts and server elsewhere. Where the project has no Bug, a Task is made.
    `priorities` are names by severity, `labels` are put beside ours, `fields` are set on creation, by id.
    `close_fields` are set at the close: by the transition, or before it where its screen lacks them.
    `close_transition` names a transition, or the status it leads to, where several end an issue; `resolution` is given
    where its screen asks. `webhook_secret` is that of Jira's webhook. `settle`: how long Cloud's search may lag.
    """

    DISPLAY_NAME: ClassVar[str] = "Jira"
    SETTLE: ClassVar[timedelta] = timedelta(seconds=180)
    REOPEN_WITHIN: ClassVar[timedelta] = timedelta(hours=72)
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(minutes=5)
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("JIRA_URL",),
        "project": ("JIRA_PROJECT",),
        "email": ("JIRA_EMAIL",),
        "token": ("JIRA_API_TOKEN",),
        "webhook_secret": ("JIRA_WEBHOOK_SECRET",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("url", "project", "token")

    kind: Literal["jira"] = "jira"
    url: Annotated[str, web_address("https://acme.atlassian.net")] = ""
    """`https://<site>.atlassian.net`, or the address of your server"""
    project: str = ""
    """the project's key, as in `OPS-12`"""
    email: str = ""
    """account of the token; without it, `token` is a personal access token (server); required for the cloud"""
    token: SecretStr | None = None
    """API token, or personal access token"""
    webhook_secret: SecretStr | None = None
    """secret of Jira's webhook to `/hooks/jira`; unsigned requests are rejected"""
    site: Annotated[str, web_address("https://acme.atlassian.net")] = ""
    """address where people open issues, if different; default: `url`"""
    api: Api | None = None
    """`cloud` (Atlassian's hosts) or `server`; default: by `url`"""
    issue_type: str = "Bug"
    """if the project has no Bug, a Task is created"""
    priorities: Mapping[Severity, str] = Field(default=by_severity("Highest", "High", "Medium", "Low"))
    """priority by severity: `critical`, `error`, `warning`, `info`; `""` for none"""
    labels: tuple[str, ...] = ()
    """additional labels, without spaces"""
    fields: Mapping[str, Any] = Field(default={})
    """additional fields for new issues, by ID, as in Jira's REST API"""
    close_transition: str = ""
    """name of the closing transition, or of its target status; default: the first to *Done*"""
    close_fields: Mapping[str, Any] = Field(default={})
    """fields by ID, as in Jira's REST API, set when it is closed: with the transition, or before it if its screen does
    not have the field"""
    resolution: str = ""
    """resolution of closed issues, if the screen of the transition has the field; default: Done, Fixed, Resolved, or
    the first"""

    @field_validator("project")
    @classmethod
    def _project_key(cls, project: str) -> str:
        project = project.strip().upper()
        if project and not re.fullmatch(r"[A-Z][A-Z0-9_]{0,254}", project, re.ASCII):
            raise ValueError('write the project\'s key, like "OPS": what stands before the number of an issue')
        return project

    @field_validator("labels")
    @classmethod
    def _labels(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"\S{1,255}", label) for label in labels):
            raise ValueError("a label of Jira has no spaces and at most 255 characters")
        return labels

    @field_validator("fields")
    @classmethod
    def _foreign_fields(cls, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        if taken := sorted(OWN_FIELDS & fields.keys()):
            raise ValueError(f"{', '.join(taken)}: set by the product itself or by a key of its own")
        return fields

    @field_validator("close_fields")
    @classmethod
    def _not_our_own(cls, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        if taken := sorted((OWN_FIELDS | {"resolution", "status"}) & fields.keys()):
            raise ValueError(f"{', '.join(taken)}: set by the product itself or by a key of its own")
        return fields

    def lacks(self) -> str:
        """At a site's own address, Jira Cloud takes an API token together with its account's e-mail address only."""
        if self.email or not self._host().endswith(_SITES):
            return ""
        return "JIRA_EMAIL is not set: Jira Cloud takes an API token with its account's e-mail address"

    def which_api(self) -> Api:
        atlassian = self._host() == _GATEWAY or self._host().endswith(_SITES)
        return self.api or ("cloud" if atlassian else "server")

    def _host(self) -> str:
        return urlsplit(self.url).hostname or ""
