"""What is in use and stops working on a day that its vendor has named. Pure: `today` and what is set are arguments.

Each day has its source beside it. Whether to tell, and how often, is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from service_event_checker.config.load import Config, Entry

WARN_BEFORE = timedelta(days=365)
_OPSGENIE = frozenset({"api.opsgenie.com", "api.eu.opsgenie.com"})


@dataclass(frozen=True, slots=True)
class Sunset:
    """`on`: the day it stops, or stopped; None where the vendor retired it and named no day."""

    name: str
    what: str
    on: date | None
    remedy: str

    def text(self, today: date) -> str:
        """Return a sentence for people."""
        when = "is retired" if self.on is None else f"{'stopped' if self.on <= today else 'stops'} on {self.on}"
        return f"{self.what} {when}. {self.remedy}"


SUNSETS = {
    sunset.name: sunset
    for sunset in (
        # https://api.slack.com/authentication/verifying-requests-from-slack
        Sunset(
            "slack_verification_token",
            "Slack's verification token (SLACK_VERIFICATION_TOKEN)",
            None,
            "Set SLACK_SIGNING_SECRET (Basic Information of the app) and remove the token",
        ),
        # https://docs.slack.dev/changelog (breaking changes): replaced by files.getUploadURLExternal
        Sunset(
            "slack_files_upload",
            "Slack's files.upload",
            date(2025, 11, 12),
            "Use files.getUploadURLExternal and files.completeUploadExternal",
        ),
        # https://devblogs.microsoft.com/devops: retirement of global personal access tokens
        Sunset(
            "azure_devops_global_pat",
            "Azure DevOps' global personal access tokens (those for all organizations)",
            date(2026, 12, 1),
            "If ADO_PAT is one of them, make one for your organization alone, or use a service principal",
        ),
        # https://devblogs.microsoft.com/microsoft365dev: retirement of Office 365 connectors within Teams
        Sunset(
            "teams_connector",
            "Office 365 connectors of Teams (addresses at webhook.office.com)",
            date(2026, 5, 31),  # during that month, tenant by tenant
            "Make a workflow with the trigger 'When a Teams webhook request is received' and use its address",
        ),
        # https://support.atlassian.com/opsgenie: what happens when Opsgenie is turned off
        Sunset(
            "opsgenie",
            "Opsgenie",
            date(2027, 4, 5),
            "Move to Jira Service Management (operations) and set OPSGENIE_API_URL to its API",
        ),
        # https://developer.atlassian.com/changelog/#CHANGE-2046
        Sunset(
            "jira_old_search",
            "Jira Cloud's old search (/rest/api/2/search, /rest/api/3/search)",
            date(2025, 8, 1),
            "Use /rest/api/3/search/jql",
        ),
    )
}


def due(today: date, in_use: Iterable[str]) -> list[Sunset]:
    """Return what of `in_use` is retired or will be within a year, the first to stop first; unknown names are none."""
    found = [SUNSETS[name] for name in set(in_use) & SUNSETS.keys()]
    near = [sunset for sunset in found if sunset.on is None or sunset.on - today <= WARN_BEFORE]
    return sorted(near, key=lambda sunset: (sunset.on or date.min, sunset.name))


def in_use(environ: Mapping[str, str], config: Config) -> set[str]:
    """Return the names of what is in use, of those that SUNSETS knows; what is off does not count.

    Whether a personal access token is a global one cannot be seen in it: any for the hosted service counts.
    """
    used = {"slack_verification_token"} if _verifies_by_token(environ) else set()
    entries: list[Entry[Any]] = [*config.checkers, *config.destinations]
    for entry in entries:
        if entry.config is None or entry.why_off:
            continue
        addresses = [text for _, value in entry.config if (text := _text(value))]
        used |= {name for address in addresses if (name := _by_address(address))}
        if entry.kind == "azure_devops" and _has_pat_for_hosted(entry.config):
            used.add("azure_devops_global_pat")
    return used


def _verifies_by_token(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("SLACK_VERIFICATION_TOKEN") and not environ.get("SLACK_SIGNING_SECRET"))


def _has_pat_for_hosted(config: Any) -> bool:
    """Whether it has a token for dev.azure.com; only there are there global ones."""
    address = _text(getattr(config, "url", ""))
    host = urlsplit(address).hostname or "" if "://" in address else "dev.azure.com"  # a bare name is a hosted one
    hosted = host == "dev.azure.com" or host.endswith(".visualstudio.com")
    return hosted and bool(_text(getattr(config, "token", "")))


def _text(value: Any) -> str:
    """Return the text of a configured value: some addresses are secrets."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value if isinstance(value, str) else ""


def _by_address(text: str) -> str:
    """Return what an address leads to, "" if it is nothing that ends."""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    if host == "outlook.office.com" or host.endswith("webhook.office.com"):
        return "teams_connector"
    if host in _OPSGENIE:
        return "opsgenie"
    if host.endswith(".atlassian.net") and parts.path.rstrip("/") in ("/rest/api/2/search", "/rest/api/3/search"):
        return "jira_old_search"
    return "slack_files_upload" if host.endswith("slack.com") and parts.path.endswith("/files.upload") else ""
