"""Twilio's Messages API: an SMS to each number, and its reports about those that did not arrive.

Nothing can be searched and no request has an idempotency key: what may have been sent is repeated for critical and
error only. https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from pydantic import SecretStr

from service_event_checker.config.fields import Address
from service_event_checker.config.models import as_mapping, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Delivery
from service_event_checker.core.ports import ProbeResult
from service_event_checker.destinations.twilio import probe
from service_event_checker.http.answer import HttpError, json_body
from service_event_checker.http.client import Http
from service_event_checker.remote.errors import ACCESS, body_of, delivery_error, words
from service_event_checker.remote.pauses import Pauses
from service_event_checker.remote.signature import header
from service_event_checker.remote.sms.adapter import Outgoing, Sms, masked
from service_event_checker.remote.sms.config import SmsConfig
from service_event_checker.remote.values import text

REPORTS = "/hooks/reports"
VALID_SECONDS = 600  # that an SMS may wait in Twilio's queue: a later one tells of an old state
SERVICE = "MG"  # begins the id of a messaging service
PAUSE = 30.0  # seconds after a 429 that names none
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_FAILED = frozenset({"failed", "undelivered", "canceled"})
_QUEUE_FULL = 21611  # https://www.twilio.com/docs/api/errors/21611
_SETTINGS = frozenset({21212, 21606, 21608, 21659, 21660, 21703, 20003, 20404, 21609})  # of ours, not of the number


class Config(SmsConfig):
    """`sender`: a number of yours, a sender id, or a messaging service (MG…). `public_url`: where Twilio reports to."""

    DISPLAY_NAME: ClassVar[str] = "Twilio"
    RATE: ClassVar[tuple[float, int]] = (1.0, 5)  # a US number sends one segment a second
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "account_sid": ("TWILIO_ACCOUNT_SID",),
        "token": ("TWILIO_AUTH_TOKEN",),
        "sender": ("TWILIO_FROM",),
        "public_url": ("PUBLIC_URL",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("account_sid", "token", "sender", "to")

    kind: Literal["twilio"] = "twilio"
    url: Address = "https://api.twilio.com"
    """the API's address"""
    account_sid: str = ""
    """`AC…`: the account"""
    token: SecretStr | None = None
    """its token; it also verifies Twilio's reports to `PUBLIC_URL`"""
    sender: str = ""
    """a number of the account, a sender ID, or a messaging service (`MG…`)"""
    public_url: str = ""
    """where Twilio reports to; without https, it does not"""


class Adapter(Sms):
    """Keeps no state but one HTTP session and who has an SMS already; safe for several threads."""

    config: Config

    def __init__(self, name: str, config: Config) -> None:
        super().__init__(name, config, self._post)
        pair = base64.b64encode(f"{config.account_sid}:{secret(config.token)}".encode()).decode()
        timeout = config.timeout.total_seconds()
        self._http = Http(config.url, headers={"Authorization": f"Basic {pair}"}, timeout=timeout)
        self._pauses = Pauses("Twilio")
        self.raise_if_paused = self._pauses.raise_if_paused

    def probe(self) -> ProbeResult:
        """Look at the account and its number."""
        return probe.of_account(lambda path: self._call("GET", path), self.config.account_sid, self.config.sender)

    def verify_report(self, headers: Mapping[str, str], path: str, form: Mapping[str, str]) -> bool:
        """Whether a report is signed with our token. `path`: with its query, as it was asked for.

        https://www.twilio.com/docs/usage/security#validating-requests
        """
        signed = self.config.public_url.rstrip("/") + path + "".join(name + form[name] for name in sorted(form))
        own = hmac.new(secret(self.config.token).encode(), signed.encode("utf-8", "replace"), hashlib.sha1).digest()
        given = header(headers, "X-Twilio-Signature").encode("utf-8", "replace")
        return hmac.compare_digest(base64.b64encode(own), given)

    def failed_report(self, form: Mapping[str, str]) -> str:
        """Return what a report says of an SMS that did not arrive; "" if it says something else."""
        if form.get("MessageStatus") not in _FAILED:
            return ""
        code = form.get("ErrorCode", "")
        hint = f", error {code}: https://www.twilio.com/docs/api/errors/{code}" if code.isdecimal() else ""
        return f"the SMS {form.get('MessageSid', '')[:40]} to {masked(form.get('To', ''))} was not delivered{hint}"

    def _post(self, number: str, sms: Outgoing) -> None:
        sender = "MessagingServiceSid" if self.config.sender.startswith(SERVICE) else "From"
        values = {"To": number, sender: self.config.sender, "Body": sms.text, "ValidityPeriod": str(VALID_SECONDS)}
        if self.config.public_url.startswith("https://"):
            values["StatusCallback"] = self._callback(sms.delivery)
        path = f"2010-04-01/Accounts/{self.config.account_sid}/Messages.json"
        said = self._call("POST", path, data=urlencode(values).encode(), headers=_FORM)
        if not text(said.get("sid")) or said.get("status") in _FAILED:
            raise DeliveryError(Reason.GARBAGE, "Twilio: the answer names no message")

    def _call(self, method: str, path: str, **more: Any) -> Mapping[str, Any]:
        try:
            return as_mapping(json_body(self._http.send(method, path, **more)))
        except HttpError as error:
            refusal = self._refusal(error)
            self._pauses.add(refusal.retry_after)
            raise refusal from None

    def _callback(self, delivery: Delivery) -> str:
        about = urlencode({"alert": delivery.key, "episode": delivery.episode, "verb": delivery.verb.value})
        return f"{self.config.public_url.rstrip('/')}{REPORTS}/{self.name}?{about}"

    def _refusal(self, error: HttpError) -> DeliveryError:
        """Read Twilio's error, `{"code", "message", "more_info", "status"}`."""
        said: Mapping[str, Any] = body_of(error)
        code = said.get("code") if isinstance(said.get("code"), int) else 0
        mapped = delivery_error(
            error, words([str(code or ""), said.get("message")], [secret(self.config.token)]), pause=PAUSE
        )
        if code == _QUEUE_FULL:
            return DeliveryError(Reason.RATE_LIMITED, mapped.detail, retry_after=PAUSE * 10)
        if error.reason in {*ACCESS, Reason.NOT_FOUND} or code in _SETTINGS:
            hint = "check TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM"
            reason = error.reason if error.reason in ACCESS else Reason.FORBIDDEN
            return DeliveryError(reason, f"{mapped.detail}; {hint}")
        return mapped
