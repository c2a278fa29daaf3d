"""Asks an Alertmanager what it lists as active: values in, values out. What that means is decided elsewhere.

API v2: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr

from service_event_checker.config.fields import web_address
from service_event_checker.config.models import Duration, SourceConfig, secret
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.http.answer import HttpError, json_body
from service_event_checker.http.client import Http

_CREDENTIALS = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#]*@")  # of an address that may be malformed
LIST_MAX = 32 * 1024 * 1024  # bytes; ten thousand alerts take six


class Config(SourceConfig):
    """`url`: where its API is; `external_url`: what its messages name as externalURL (default: `url`).

    `token`: bearer token, for one behind a proxy. An alert that its API no longer lists is over after
    `resolve_after` looks, `every` apart, none of them within `grace` of a restart of Alertmanager (its
    resolve_timeout: until then Prometheus has sent again what still fires). At most `max_share` of the open alerts
    is closed in one pass; the rest waits for the next, and the report says so.
    """

    DISPLAY_NAME: ClassVar[str] = "Alertmanager"
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {"url": ("ALERTMANAGER_URL",)}
    NEEDS: ClassVar[tuple[str, ...]] = ("url",)
    INTAKES: ClassVar[frozenset[str]] = frozenset({"/alert", "/webhook", "/api/v2/alerts"})

    kind: Literal["alertmanager"] = "alertmanager"
    url: Annotated[str, web_address("http://alertmanager.example.com:9093", base=False)] = ""
    external_url: Annotated[str, web_address("http://alertmanager.example.com:9093", base=False)] = ""
    token: SecretStr | None = None
    timeout: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(minutes=2))] = timedelta(seconds=15)
    resolve_after: Annotated[int, Field(ge=2, le=100)] = 2
    grace: Duration = timedelta(minutes=5)
    max_share: Annotated[float, Field(gt=0, le=1)] = 0.5


class Alertmanager:
    """One configured Alertmanager. Every method raises SourceError."""

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        token = secret(config.token)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = Http(config.url, headers=headers, timeout=config.timeout.total_seconds(), max_bytes=LIST_MAX)

    @property
    def origin(self) -> str:
        """What its messages carry as externalURL, as far as we know."""
        return same(self.config.external_url or self.config.url)

    def started_at(self) -> datetime:
        """Return when it started: it remembers no alert from before."""
        status = self._ask("api/v2/status")
        text = status.get("uptime") if isinstance(status, dict) else None
        try:
            at = datetime.fromisoformat(str(text))
        except ValueError:
            raise SourceError(self.name, Reason.GARBAGE, "its status tells no start") from None
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    def alerts(self) -> list[dict[str, Any]]:
        """Return all that is listed, silenced and inhibited ones too: those are not over."""
        listed = self._ask("api/v2/alerts")
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise SourceError(self.name, Reason.GARBAGE, "the answer is not a list of alerts")
        if not all(isinstance(each.get("fingerprint"), str) and each["fingerprint"] for each in listed):
            raise SourceError(self.name, Reason.GARBAGE, "an alert without a fingerprint")
        return listed

    def silences(self) -> dict[str, dict[str, Any]]:
        """Return its silences by id, ended ones too."""
        listed = self._ask("api/v2/silences")
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise SourceError(self.name, Reason.GARBAGE, "the answer is not a list of silences")
        return {str(each.get("id")): each for each in listed}

    def _ask(self, path: str) -> Any:
        try:
            return json_body(self._http.get(path))
        except HttpError as error:
            raise SourceError(self.name, error.reason, error.detail, retry_after=error.retry_after) from error


def is_suppressed(listed: Mapping[str, Any]) -> bool:
    """Whether a listed alert is silenced or inhibited there."""
    status = listed.get("status")
    return isinstance(status, dict) and status.get("state") == "suppressed"


def receivers_of(listed: dict[str, Any]) -> set[str]:
    """Return the names of Alertmanager's own receivers that a listed alert is routed to."""
    receivers = listed.get("receivers")
    named = receivers if isinstance(receivers, list) else []
    return {str(each.get("name")) for each in named if isinstance(each, dict)}


def same(address: str) -> str:
    """Return an address as it is compared: without credentials, and without the slash that some write at its end."""
    return _CREDENTIALS.sub(r"\1", address.strip()).rstrip("/").lower()
