"""What `config.json` and the environment say of an Opsgenie, or of Jira Service Management (JSM) Operations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from service_event_checker.config.fields import Address, by_severity, web_address
from service_event_checker.config.models import DestinationConfig, Model
from service_event_checker.config.sunset import Sunset
from service_event_checker.core.vocabulary import Severity
from service_event_checker.remote.marks import TAG, tagged_key

# Where people open the alerts of each API of Opsgenie.
_SITES = {"api.opsgenie.com": "https://app.opsgenie.com", "api.eu.opsgenie.com": "https://app.eu.opsgenie.com"}
# https://support.atlassian.com/opsgenie: what happens when Opsgenie is turned off
OPSGENIE_ENDS = Sunset(
    "opsgenie",
    "Opsgenie",
    date(2027, 4, 5),
    "Move to Jira Service Management (operations) and set OPSGENIE_API_URL to its API",
)

Priority = Literal["P1", "P2", "P3", "P4", "P5"]


class Responder(Model):
    """Who is called: `type` and an `id`, or, in Opsgenie, the `name` of a team or the `username` of a user."""

    type: Literal["team", "user", "escalation", "schedule"]
    id: str = ""
    name: str = ""
    username: str = ""


class Config(DestinationConfig):
    """`api`: which of the three addresses `url` is; by the address itself if left out. `token`: an API integration's
    key; for `jsm` an Atlassian API token, with `email` its account and `url` ending with the site's cloud id.

    `integration_id`: what webhooks must name. `user` signs what we do. `site`: where people open alerts. `query`: which
    alerts born there are ours to mirror, in Opsgenie's search language. `responders` are set on creation.
    """

    DISPLAY_NAME: ClassVar[str] = "Opsgenie"
    RATE: ClassVar[tuple[float, int]] = (1.0, 5)  # deliveries of four or five calls; the limits depend on the plan
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("OPSGENIE_API_URL",),
        "token": ("OPSGENIE_API_KEY",),
        "integration_id": ("OPSGENIE_INTEGRATION_ID",),
        "email": ("JIRA_EMAIL",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("token",)
    INTAKE: ClassVar[str] = "/ops-webhook"
    OPENS_ALERTS: ClassVar[bool] = True

    kind: Literal["opsgenie"] = "opsgenie"
    url: Address = "https://api.opsgenie.com"
    """EU: `https://api.eu.opsgenie.com`; JSM: `https://api.atlassian.com/jsm/ops/integration`, or
    `https://api.atlassian.com/jsm/ops/api/<cloud id>`"""
    api: Literal["", "opsgenie", "jsm-integration", "jsm"] = ""
    """which API: `opsgenie`, `jsm-integration`, `jsm`; default: by `url`"""
    token: SecretStr | None = None
    """key of an API integration that may read, create and update alerts; for `jsm` an Atlassian API token"""
    email: str = ""
    """account of that token; required for `jsm`"""
    integration_id: str = ""
    """webhooks must contain this ID; others are rejected"""
    user: str = Field(default=TAG, min_length=1, max_length=100)
    """name of our changes there; changes by this user are ignored when they come back"""
    site: Annotated[str, web_address("https://acme.app.opsgenie.com")] = ""
    """address where people open alerts: `https://<account>.app.opsgenie.com`, `https://<site>.atlassian.net`; default:
    Opsgenie's"""
    query: str = ""
    """which alerts created there are mirrored, as an Opsgenie search query: `teams: web`; default: everything"""
    priorities: Mapping[Severity, Priority] = Field(default=by_severity("P1", "P2", "P3", "P5"))
    """priority by severity: `critical`, `error`, `warning`, `info`"""
    responders: tuple[Responder, ...] = ()
    """who is notified: `[{"type": "team", "id": "…"}]`; `type` is `team`, `user`, `escalation` or `schedule`; in
    Opsgenie, `name` or `username` instead of `id`; default: routing of the integration"""

    def sunsets(self) -> tuple[Sunset, ...]:
        return (OPSGENIE_ENDS,) if urlsplit(self.url).hostname in _SITES else ()

    @field_validator("url")
    @classmethod
    def _base(cls, url: str) -> str:
        """Return the address that all calls have in common: the documentation shows those of single calls."""
        return re.sub(r"(/v[12](/alerts)?)?/*$", "", url.strip())

    @property
    def spoken(self) -> Literal["opsgenie", "jsm-integration", "jsm"]:
        """Which API `url` is."""
        if self.api:
            return self.api
        path = urlsplit(self.url).path
        return "jsm-integration" if "/ops/integration" in path else "jsm" if "/ops/api" in path else "opsgenie"

    def lacks(self) -> str:
        if self.spoken != "jsm":
            return ""
        if not re.search(r"/ops/api/[^/]+$", self.url):
            return "url must end with the cloud id: https://api.atlassian.com/jsm/ops/api/<cloud id>"
        return "" if self.email else "JIRA_EMAIL is not set"

    def address(self, id: str) -> str:
        """Return where a person opens an alert, "" if that is not known."""
        site = self.site.rstrip("/") or _SITES.get(urlsplit(self.url).hostname or "", "")
        if not site or tagged_key(id) or not re.fullmatch(r"[\w-]+", id, re.ASCII):
            return ""
        return f"{site}/alert/detail/{id}/details" if self.spoken == "opsgenie" else f"{site}/jira/ops/alerts/{id}"
