"""Who may command us from Slack: workspaces, channels, people and user groups, as the environment names them.

SLACK_TEAM_IDS and SLACK_ALLOWED_CHANNELS must each be met where set; of SLACK_ALLOWED_USERS and SLACK_ALLOWED_GROUPS,
one is enough. A variable that is not set allows all. Slack is asked who is in a group; its answer is cached and renewed
in the background.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import structlog

from service_event_checker.config.load import Entry
from service_event_checker.config.models import DestinationConfig
from service_event_checker.core.errors import DeliveryError, OutageCheckerError, Reason
from service_event_checker.destinations.slack.adapter import Config
from service_event_checker.destinations.slack.client import SlackCalls, web_api
from service_event_checker.web.slack.request import SlackUser

TEAMS, CHANNELS = "SLACK_TEAM_IDS", "SLACK_ALLOWED_CHANNELS"
USERS, GROUPS = "SLACK_ALLOWED_USERS", "SLACK_ALLOWED_GROUPS"
ASK_SECONDS = 8.0
FRESH_SECONDS = 300.0  # after so long the members are asked for again, beside the work
STALE_SECONDS = 3600.0  # after so long, what is remembered counts for nothing

log = structlog.get_logger()


class MembershipUnknown(OutageCheckerError):
    """Only Slack can tell whether this person may, and it has not been asked yet."""


@dataclass(frozen=True, slots=True)
class SlackAccess:
    """The address of Slack's API and its token, "" if not set."""

    api_url: str = Config.model_fields["url"].default
    token: str = field(default="", repr=False)


def slack_access(destinations: Iterable[Entry[DestinationConfig]]) -> SlackAccess:
    """Return what the first Slack destination that is on uses itself."""
    for entry in destinations:
        if isinstance(entry.config, Config) and entry.config.token and not entry.why_off:
            return SlackAccess(entry.config.url, entry.config.token.get_secret_value())
    return SlackAccess()


class Allowed:
    """Safe for several threads. `access`: how to ask Slack who is in a group."""

    def __init__(
        self, environ: Mapping[str, str], access: SlackAccess, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._teams = _names(environ, TEAMS)
        self._channels = _names(environ, CHANNELS)
        self._users = _names(environ, USERS)
        self._groups = Groups(_names(environ, GROUPS), access, clock)

    def refusal(self, user: SlackUser, *, ask: bool = False) -> str:
        """Return why this person may not, "" where they may. `ask`: Slack, if need be, which takes its time.

        Raises MembershipUnknown where only Slack knows and was not to be asked.
        """
        if self._teams and not {user.team.lower(), (user.home or user.team).lower()} <= self._teams:
            return f"This workspace is not allowed to use the commands: it is not in {TEAMS}."
        if self._channels and not self._channels & {user.channel.lower(), user.channel_name.lower()}:
            return f"Commands are not allowed in this channel: it is not in {CHANNELS}."
        if not (self._users or self._groups.wanted) or user.user.lower() in self._users:
            return ""
        if self._groups.wanted:
            return self._groups.refusal(user.user, ask=ask)
        return f"You are not allowed to use the commands: you are not in {USERS}."


@dataclass(frozen=True, slots=True)
class _Members:
    users: frozenset[str]
    asked_at: float


class Groups:
    """The members of SLACK_ALLOWED_GROUPS, ids (S…) or handles; one call for all: usergroups.list."""

    def __init__(self, wanted: frozenset[str], access: SlackAccess, clock: Callable[[], float]) -> None:
        self.wanted = wanted
        self._access = access
        self._clock = clock
        self._known: _Members | None = None
        self._asking = threading.Lock()

    def refusal(self, user: str, *, ask: bool) -> str:
        """Return why a user may not, "" for a member. Raises MembershipUnknown."""
        known = self._known
        age = self._clock() - known.asked_at if known else STALE_SECONDS
        if known is None or age >= STALE_SECONDS:
            if not ask:
                raise MembershipUnknown
            return self._asked(user)
        if age >= FRESH_SECONDS:
            self._renew()
        return _refusal(user, known)

    def _asked(self, user: str) -> str:
        try:
            known = self._ask()
        except DeliveryError as error:
            log.warning("slack_groups_unknown", reason=str(error))
            return f"Slack did not answer who is in {GROUPS} ({error.reason}). Nothing was done."
        return _refusal(user, known)

    def _renew(self) -> None:
        if not self._asking.locked():
            threading.Thread(target=self._asked, args=("",), name="slack-groups", daemon=True).start()

    def _ask(self) -> _Members:
        """Ask Slack, one thread at a time; who waited takes what the other one has brought. Raises DeliveryError."""
        waiting_since = self._clock()
        if not self._asking.acquire(timeout=ASK_SECONDS):
            raise DeliveryError(Reason.TIMEOUT)
        try:
            if self._known is None or self._known.asked_at < waiting_since:
                with closing(web_api(self._access.api_url, self._access.token)) as http:
                    answer = SlackCalls(http, ASK_SECONDS).send("usergroups.list", include_users="true")
                self._known = _Members(_members(answer.get("usergroups"), self.wanted), self._clock())
            return self._known
        finally:
            self._asking.release()


def _refusal(user: str, known: _Members) -> str:
    return (
        ""
        if user.upper() in known.users
        else f"You are not allowed to use the commands: you are not in a group of {GROUPS}."
    )


def _members(listed: object, wanted: frozenset[str]) -> frozenset[str]:
    """Return the ids of the users in the wanted groups. https://docs.slack.dev/reference/methods/usergroups.list"""
    found: set[str] = set()
    for group in listed if isinstance(listed, list) else []:
        names = {str(group.get("id")).lower(), str(group.get("handle")).lower()} if isinstance(group, dict) else set()
        if names & wanted:
            users = group.get("users")
            found.update(str(user).upper() for user in (users if isinstance(users, list) else []))
    return frozenset(found)


def _names(environ: Mapping[str, str], variable: str) -> frozenset[str]:
    """Return the names of a list, in small letters; `#` and `@` in front of them are for people."""
    parts = re.split(r"[\s,;]+", environ.get(variable, ""))
    return frozenset(part.lstrip("#@").lower() for part in parts if part.lstrip("#@"))
