"""A webhook of your own: one JSON document for each change of an alert, signed. docs/chat-robots.md describes it.

A repetition has the same Idempotency-Key, by which a receiver takes it once: so whatever may have arrived is repeated.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, SecretStr

from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Budget, Delivery, Link
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.errors import ACCESS, delivery_error
from service_event_checker.remote.pauses import Pauses
from service_event_checker.remote.robots.answers import without_address
from service_event_checker.remote.robots.config import RobotConfig
from service_event_checker.remote.robots.robot import JSON, VERBS, new_link
from service_event_checker.render.notice import notice_of
from service_event_checker.render.shapes import AlertSummary

VERSION = "1"  # of the document
SIGNATURE = "X-Outage-Signature"
ONLY_BY_SENDING = (
    "whether the address takes the document: any request may set something off there; use --send (API: send=true), "
    "which posts one with alert.test true and [TEST] in its headline"
)
_OURS = frozenset({"content-type", "content-length", "host", "idempotency-key", SIGNATURE.lower()})


def _usable(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not name.replace("-", "").isalnum() or not name.isascii() or name.lower() in _OURS:
            raise ValueError(f'"{name[:40]}" is not a header that can be set here')
        text = value.get_secret_value()
        if not text.isprintable() or not text.isascii():
            raise ValueError(f"{name} has a value that no header can hold")
    return headers


class Config(RobotConfig):
    """`secret` signs each request; `headers` are sent with each, like {"Authorization": "env:HOOK_AUTHORIZATION"}."""

    RATE: ClassVar[tuple[float, int]] = (10.0, 20)
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(0)
    STORM: ClassVar[Budget | None] = None  # a program reads it

    kind: Literal["webhook"] = "webhook"
    secret: SecretStr | None = None
    """signs each request"""
    headers: Annotated[dict[str, SecretStr], AfterValidator(_usable)] = {}
    """headers of each request: `{"Authorization": "env:HOOK_AUTHORIZATION"}`"""
    on_ambiguous: Literal["repeat", "drop"] | None = "repeat"
    """receivers recognise repetitions by `Idempotency-Key`"""

    def lacks(self) -> str:
        unset = (secret(value) for value in self.headers.values())
        return ", ".join(f"{text[4:].strip()} is not set" for text in unset if text.startswith("env:"))


class Adapter:
    """Keeps no state but one HTTP session; safe for several threads."""

    family = Family.MAIL  # a program reads it: a test alert must set nothing off
    verbs = VERBS

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self.verbs = VERBS if config.updates else VERBS - {Verb.UPDATE}
        headers = {each: secret(value) for each, value in config.headers.items()}
        self._http = Http(secret(config.url), headers=headers, timeout=config.timeout.total_seconds())
        self._pauses = Pauses("the webhook")
        self.raise_if_paused = self._pauses.raise_if_paused

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Post the document; any 2xx says that it was taken, whatever the body."""
        now = datetime.now(UTC)
        body = json.dumps(document(delivery, alert), ensure_ascii=False).encode("utf-8", "replace")
        headers = {**JSON, "Idempotency-Key": delivery.id}
        if own := secret(self.config.secret):
            headers[SIGNATURE] = signature(body, own, now)
        try:
            self._http.send("POST", "", data=body, headers=headers)
        except HttpError as error:
            refusal = self._failure(error)
            self._pauses.add(refusal.retry_after)
            raise refusal from None
        return link or new_link(delivery)

    def probe(self) -> ProbeResult:
        """Say what only a document shows: any request, even HEAD or OPTIONS, may set something off there."""
        return ProbeResult(unproven=(ONLY_BY_SENDING,))

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return the document."""
        return {"json": json.dumps(document(delivery, alert), ensure_ascii=False, indent=2)}

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the document that `deliver` would send."""
        return f"{len(json.dumps(document(delivery, alert)))} bytes of JSON: {delivery.verb} {alert.title}"

    def _failure(self, error: HttpError) -> DeliveryError:
        mapped = delivery_error(error, pause=60.0)
        detail = f"the webhook: {without_address(error.detail)}"
        wrong = error.reason in {*ACCESS, Reason.NOT_FOUND} and error.status is not None
        detail += "; check url, secret and headers" if wrong else ""
        final = mapped.permanent and not wrong  # a person corrects the address or the credentials: it waits
        return DeliveryError(mapped.reason, detail, permanent=final, retry_after=mapped.retry_after)


def document(delivery: Delivery, alert: Alert) -> dict[str, Any]:
    """Return what is sent: `delivery` says what happened, `alert` is the alert as it is now, as in the API's lists."""
    told = notice_of(delivery, alert)
    return {
        "version": VERSION,
        "delivery": {
            "id": delivery.id,
            "verb": delivery.verb.value,
            "receiver": delivery.receiver,
            "actor": delivery.actor,
            "note": delivery.note,
            "created_at": delivery.created_at.isoformat() if delivery.created_at else None,
        },
        "text": {"headline": told.headline, "change": told.change},
        "alert": AlertSummary.of(alert).model_dump(mode="json"),
    }


def signature(body: bytes, secret: str, now: datetime) -> str:
    """Return `t=<seconds since 1970>,v1=<hex>`: HMAC-SHA256 of the seconds, a dot, and the raw body."""
    stamp = str(int(now.timestamp()))
    return f"t={stamp},v1={hmac.new(secret.encode(), f'{stamp}.'.encode() + body, hashlib.sha256).hexdigest()}"
