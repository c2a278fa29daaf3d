"""One Opsgenie alert per episode, kept in step both ways; the same for Jira Service Management (JSM) Operations.

An alert of ours is known by its alias and its tags, one that was born there by its id. What the calls look like is
opsgenie_api's affair, and so is what a webhook means.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import structlog
from pydantic import Field, SecretStr, field_validator

from service_event_checker.config.models import DestinationConfig, Model, as_mapping, secret
from service_event_checker.config.sunset import Sunset
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, Link, Remote
from service_event_checker.core.vocabulary import Family, Severity, Verb
from service_event_checker.destinations.opsgenie import webhook
from service_event_checker.destinations.opsgenie.client import DIALECTS, OpsAlerts
from service_event_checker.destinations.opsgenie.document import MESSAGE_MAX, details, document, note, signed
from service_event_checker.destinations.opsgenie.payload import OpsAlert, Undone
from service_event_checker.destinations.opsgenie.remote import as_remote
from service_event_checker.remote import links
from service_event_checker.remote.marks import KEY_TAG, TAG, checked, marker
from service_event_checker.render.notice import notice_of
from service_event_checker.render.text import line

FOUND_CLOSED = timedelta(hours=1)  # what a person has ended while we wondered whether it was made
NOTES_OF = 20  # alerts whose notes one reconciliation reads, the latest changed first
_HOMES = {"opsgenie": "https://api.opsgenie.com", "jsm-integration": "https://api.atlassian.com/jsm/ops/integration"}
_SITES = {"api.opsgenie.com": "https://app.opsgenie.com", "api.eu.opsgenie.com": "https://app.eu.opsgenie.com"}
_ACTIONS = {Verb.ACK: "acknowledge", Verb.UNACK: "unacknowledge", Verb.CLOSE: "close"}
_LACKS: Mapping[Verb, Callable[[OpsAlert], bool]] = {
    Verb.ACK: lambda seen: seen.open and not seen.acknowledged,
    Verb.UNACK: lambda seen: seen.open and seen.acknowledged,
    Verb.CLOSE: lambda seen: seen.open,
}

log = structlog.get_logger()


class Responder(Model):
    """Who is called: `type` and an `id`, or, in Opsgenie, the `name` of a team or the `username` of a user."""

    type: Literal["team", "user", "escalation", "schedule"]
    id: str = ""
    name: str = ""
    username: str = ""


# https://support.atlassian.com/opsgenie: what happens when Opsgenie is turned off
OPSGENIE_ENDS = Sunset(
    "opsgenie",
    "Opsgenie",
    date(2027, 4, 5),
    "Move to Jira Service Management (operations) and set OPSGENIE_API_URL to its API",
)
_HOSTS = frozenset({"api.opsgenie.com", "api.eu.opsgenie.com"})


class Config(DestinationConfig):
    """`api`: which of the three addresses `url` is; by the address itself if left out. `token`: an API integration's
    key; for `jsm` an Atlassian API token, with `email` its account and `url` ending with the site's cloud id.

    `integration_id`: what webhooks must name. `user` signs what we do. `site`: where people open alerts. `query`: which
    alerts born there are ours to mirror, in Opsgenie's search language. `responders` are set on creation.
    """

    DISPLAY_NAME: ClassVar[str] = "Opsgenie"
    SETTLE: ClassVar[timedelta] = timedelta(seconds=30)
    RATE: ClassVar[tuple[float, int]] = (1.0, 5)  # deliveries of four or five calls; the limits depend on the plan
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("OPSGENIE_API_URL",),
        "token": ("OPSGENIE_API_KEY",),
        "integration_id": ("OPSGENIE_INTEGRATION_ID",),
        "email": ("JIRA_EMAIL",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("token",)

    kind: Literal["opsgenie"] = "opsgenie"
    url: str = _HOMES["opsgenie"]
    api: Literal["", "opsgenie", "jsm-integration", "jsm"] = ""
    token: SecretStr | None = None
    email: str = ""
    integration_id: str = ""
    user: str = Field(default=TAG, min_length=1, max_length=100)
    site: str = ""
    query: str = ""
    priorities: Mapping[Severity, Literal["P1", "P2", "P3", "P4", "P5"]] = Field(
        default={Severity.CRITICAL: "P1", Severity.ERROR: "P2", Severity.WARNING: "P3", Severity.INFO: "P5"}
    )
    responders: tuple[Responder, ...] = ()

    def sunsets(self) -> tuple[Sunset, ...]:
        return (OPSGENIE_ENDS,) if urlsplit(self.url).hostname in _HOSTS else ()

    @field_validator("url")
    @classmethod
    def _base(cls, url: str) -> str:
        """Return the address that all calls have in common: the documentation shows those of single calls."""
        return re.sub(r"(/v[12](/alerts)?)?/*$", "", url.strip())

    @property
    def spoken(self) -> Literal["opsgenie", "jsm-integration", "jsm"]:
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


def make(name: str, config: Config) -> Sender:
    """Return the adapter of a configuration: one that lists alerts where its API can."""
    return (Adapter if DIALECTS[config.spoken].readable else Sender)(name, config)


class Sender:
    """What each of the three addresses can: write, and hear webhooks. Safe for several threads: what they share is one
    HTTP session.
    """

    family = Family.PAGER
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self._dialect = DIALECTS[config.spoken]
        self._alerts = OpsAlerts(
            self._dialect,
            config.url,
            secret(config.token),
            email=config.email,
            user=config.user,
            timeout=config.timeout.total_seconds(),
        )
        if not self._dialect.unacknowledges:
            self.verbs = type(self).verbs - {Verb.UNACK}
        account = {config.email.casefold()} if config.spoken == "jsm" else set()
        users = frozenset({config.user.casefold()} | account) - {""}
        self._here = webhook.Here(name, users, self._address, by_alias=not self._dialect.readable)

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Create, note on, acknowledge, unacknowledge or close the episode's alert; see `core.ports.Destination`."""
        if delivery.verb is Verb.OPEN:
            return self._open(delivery, alert, link)
        link = links.known(link, "alert")
        if delivery.verb not in self.verbs:
            raise DeliveryError(Reason.REFUSED, f"{self.config.spoken} cannot {delivery.verb}", permanent=True)
        verb = delivery.verb
        if verb is Verb.CLOSE and self.config.on_resolve != "close":
            if self.config.on_resolve == "none":
                return link
            verb = Verb.NOTE
        mark = marker(delivery.id)
        self._tell(verb, link.external_id, note(notice_of(delivery, alert), delivery.verb, mark), mark)
        if verb is Verb.UPDATE:
            self._raise_priority(alert, link.external_id)
        return replace(link, closed=True) if verb is Verb.CLOSE else link

    def find(self, remote_key: str) -> Link | None:
        """Return the alert of an episode: the open one with its alias, else one with its tag, made in the last hour.

        An older one that is closed does not count: after a loss of data its key comes again, and somebody must be
        paged. Where alerts cannot be read, None: an alias makes no second open alert.
        """
        alias = KEY_TAG + checked(remote_key)
        if not self._dialect.readable:
            return None
        found = self._alerts.with_alias(alias) or self._recent(alias)
        return self._found(found, remote_key)

    def find_open_for(self, alert_key: str) -> Link | None:
        """Return the oldest open alert with the tag of `alert_key`."""
        tag = KEY_TAG + checked(alert_key)
        if not self._dialect.readable:
            return None
        return self._found(self._oldest(f'status: open AND tag: "{tag}"', tag), "")

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the alert that `deliver` would make, or what it would do to it."""
        if delivery.verb is not Verb.OPEN:
            return f"{_ACTIONS.get(delivery.verb, 'note')}: {line(notice_of(delivery, alert).change, MESSAGE_MAX)}"
        made = document(alert, notice_of(delivery, alert), remote_key(alert.key, delivery.episode), "")
        return f"{self._priority(alert)} alert: {made['message']}"

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Return None: Opsgenie signs nothing, so the route's token decides. See `admits` too."""
        return None

    def admits(self, payload: Any) -> bool:
        """Whether a webhook's parsed body names our integration, or none is configured."""
        given = as_mapping(payload).get("integrationId")
        wanted = self.config.integration_id.strip()
        text = given if isinstance(given, str) else ""
        return not wanted or hmac.compare_digest(text.encode("utf-8", "replace"), wanted.encode())

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        """Return what a webhook's body tells of an alert; see `core.ports.Inbound`."""
        return webhook.events(payload, self._here)

    def preflight(self) -> list[str]:
        """Say what this address and key cannot do; one call, for the start."""
        return [f"{self.name}: {warning}" for warning in self._warnings()]

    def _warnings(self) -> list[str]:
        found = []
        if not self._dialect.readable:
            found.append(
                "JSM's integration API can neither take back an acknowledgement nor be asked what it holds: it is left "
                "out of every reconciliation, a rise in severity is told in a note only, and a note may appear twice "
                "after a time-out. For these use its REST API (api: jsm)"
            )
        else:
            try:
                self._alerts.search(f'status: open AND tag: "{TAG}"')
            except DeliveryError as error:
                found.append(f"alerts cannot be read: {error}")
        if self.config.spoken == "jsm" and not self.config.responders:
            found.append("no responders are set: alerts made through JSM's REST API call nobody by themselves")
        if not self.config.integration_id:
            found.append("OPSGENIE_INTEGRATION_ID is not set: webhooks of any integration are taken")
        return found

    def _open(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
        """Create the alert; an earlier one that is closed stays so, as there is no reopening.

        The alias keeps an open alert of this episode from being made twice.
        """
        key = remote_key(alert.key, delivery.episode)
        if link is None or not link.external_id:
            return self._create(delivery, alert, key, link.previous if link else "")
        if self._dialect.readable:
            seen = self._seen(link.external_id)
            if seen is not None and seen.open:
                return replace(link, closed=False)
        return self._create(delivery, alert, key, link.url or link.external_id)

    def _create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> Link:
        told = notice_of(delivery, alert)
        made = {**document(alert, told, checked(key), previous), "priority": self._priority(alert)}
        if self.config.responders:
            made["responders"] = [each.model_dump(exclude_defaults=True) for each in self.config.responders]
        return self._link(delivery, key, self._alerts.create(made, details(alert, told)), previous)

    def _priority(self, alert: Alert) -> str:
        return self.config.priorities.get(alert.severity, "P3")

    def _raise_priority(self, alert: Alert, id: str) -> None:
        """Raise the priority of an alert that we made; it is never lowered, for a person may have raised it."""
        if not self._dialect.reprioritizes:
            return
        seen, wanted = self._alerts.get(id), self._priority(alert)
        if not seen.open or not webhook.OUR_ALIAS.fullmatch(seen.alias) or wanted >= seen.priority:  # P1 is the highest
            return
        try:
            self._alerts.prioritize(id, wanted)
        except DeliveryError as refusal:
            if not refusal.permanent:
                raise
            log.warning("opsgenie_priority_refused", receiver=self.name, wanted=wanted, why=str(refusal))

    def _seen(self, id: str) -> OpsAlert | None:
        """Return an alert, None when it is gone."""
        try:
            return self._alerts.get(id)
        except DeliveryError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return None

    def _tell(self, verb: Verb, id: str, text: str, mark: str) -> None:
        """Do what `verb` says, with a note, or only note it where the alert is that far already; once per mark."""
        action, lacks = _ACTIONS.get(verb), _LACKS.get(verb)
        if not self._dialect.readable:
            self._alerts.act(action, id, text) if action else self._alerts.note(id, text)
            return
        seen = self._alerts.get(id)
        if any(mark in each.text for each in self._alerts.notes(id)):
            return
        if action is None or lacks is None or not lacks(seen):
            self._alerts.note(id, text)
            return
        try:
            self._alerts.act(action, id, text)
        except Undone:
            if lacks(self._alerts.get(id)):
                raise
            self._alerts.note(id, text)  # somebody was faster

    def _recent(self, tag: str) -> OpsAlert | None:
        """Return the oldest alert with a tag that is open, or may be what a try of ours has made."""
        since = datetime.now(UTC) - FOUND_CLOSED
        for each in self._alerts.search(f'tag: "{tag}"'):
            made_at = webhook.moment(each.raw.get("createdAt"))
            if tag in each.tags and (each.open or (made_at is not None and made_at > since)):
                return each
        return None

    def _oldest(self, query: str, tag: str) -> OpsAlert | None:
        return next((alert for alert in self._alerts.search(query) if tag in alert.tags), None)

    def _found(self, alert: OpsAlert | None, remote_key: str) -> Link | None:
        return links.found(self.name, remote_key, alert.id, self._address(alert.id)) if alert else None

    def _link(self, delivery: Delivery, key: str, id: str, previous: str) -> Link:
        return links.made(delivery, key, id, self._address(id), previous)

    def _address(self, id: str) -> str:
        """Return where a person opens an alert, "" where the configuration does not tell."""
        site = self.config.site.rstrip("/") or _SITES.get(urlsplit(self.config.url).hostname or "", "")
        if not site or webhook.OUR_ALIAS.fullmatch(id) or not re.fullmatch(r"[\w-]+", id, re.ASCII):
            return ""
        return (
            f"{site}/alert/detail/{id}/details" if self.config.spoken == "opsgenie" else f"{site}/jira/ops/alerts/{id}"
        )


class Adapter(Sender):
    """What can be read besides: Opsgenie, and JSM by its REST API."""

    def open_objects(self) -> list[Remote]:
        """Return all open alerts that we may see, those born there with the event that their webhook would bring."""
        ours = f'({self.config.query}) OR tag: "{TAG}"'
        query = f"status: open AND ({ours})" if self.config.query else "status: open"
        found = [alert for alert in self._alerts.search(query) if alert.open]
        latest = sorted(found, key=lambda alert: str(alert.raw.get("updatedAt", "")), reverse=True)[:NOTES_OF]
        notes = {alert.id: self._alerts.notes(alert.id) for alert in latest}
        return [as_remote(alert, self._here, notes.get(alert.id, ())) for alert in found]

    def get_remote(self, external_id: str) -> Remote | None:
        """Return the alert as it is now; None when it was deleted."""
        seen = self._seen(external_id)
        return as_remote(seen, self._here, self._alerts.notes(external_id)) if seen else None

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Close an alert that was made twice, with a note naming the other."""
        mark = marker(f"{duplicate.external_id}:{original.external_id}")
        where = original.url or original.external_id
        self._tell(Verb.CLOSE, duplicate.external_id, signed(f"Made twice; it goes on at {where}", mark), mark)
