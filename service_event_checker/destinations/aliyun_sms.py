"""Alibaba Cloud's SMS: an approved signature and template, whose parameters are ours. HTTP 200 also to what it refuses.

https://help.aliyun.com/document_detail/419273.html (SendSms), signed by ACS3-HMAC-SHA256:
https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, SecretStr

from service_event_checker.config.fields import Address
from service_event_checker.config.models import as_mapping, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.ports import ProbeResult
from service_event_checker.http.answer import HttpError, json_body
from service_event_checker.http.client import Http
from service_event_checker.remote.errors import ACCESS, body_of, delivery_error, words
from service_event_checker.remote.marks import tag
from service_event_checker.remote.pauses import Pauses
from service_event_checker.remote.sms.adapter import Outgoing, Sms
from service_event_checker.remote.sms.config import SmsConfig
from service_event_checker.remote.values import text
from service_event_checker.render.labels import alert_title
from service_event_checker.render.own import Form
from service_event_checker.render.sms import FORMS, TEXT
from service_event_checker.render.text import cut, line
from service_event_checker.render.texts import say

ACTION, VERSION, ALGORITHM = "SendSms", "2017-05-25", "ACS3-HMAC-SHA256"
PAUSE, LONG_PAUSE = 60.0, 600.0  # seconds; one number gets about one SMS a minute, five an hour, ten a day
VALUE_MAX = 35  # characters of a template's parameter
_LIMITS = frozenset({"isv.BUSINESS_LIMIT_CONTROL", "isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL", "Throttling"})
_NUMBERS = frozenset({"isv.MOBILE_NUMBER_ILLEGAL", "isv.BLACK_KEY_CONTROL_LIMIT", "isv.PARAM_LENGTH_LIMIT"})
_CHECK = "check the access key, its rights, ALIYUN_SMS_SIGN, ALIYUN_SMS_TEMPLATE, `parameters` and the balance"
_TROUBLE = frozenset({"isp.SYSTEM_ERROR", "ServiceUnavailable", "InternalError"})
ONLY_BY_SENDING = (
    "whether the key may send, and whether the signature and the template are approved: Alibaba Cloud tells it when an "
    "SMS is sent; use --send (API: send=true), which costs one SMS to each number"
)
#: a template parameter -> what it may hold
FIELDS = ("title", "severity", "status", "id", "text")


def _known(parameters: dict[str, str]) -> dict[str, str]:
    if unknown := set(parameters.values()) - set(FIELDS):
        raise ValueError(f"has {', '.join(sorted(unknown))}. A parameter holds one of {', '.join(FIELDS)}")
    return parameters


class Config(SmsConfig):
    """`parameters`: which parameter of the template holds what: title, severity, status, id, or the whole text."""

    DISPLAY_NAME: ClassVar[str] = "Alibaba Cloud SMS"
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "access_key_id": ("ALIYUN_ACCESS_KEY_ID",),
        "access_key_secret": ("ALIYUN_ACCESS_KEY_SECRET",),
        "sign": ("ALIYUN_SMS_SIGN",),
        "template": ("ALIYUN_SMS_TEMPLATE",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("access_key_id", "access_key_secret", "sign", "template", "to")

    kind: Literal["aliyun_sms"] = "aliyun_sms"
    url: Address = "https://dysmsapi.aliyuncs.com"
    """the API's address"""
    access_key_id: str = ""
    """key of a RAM user that may `dysms:SendSms`"""
    access_key_secret: SecretStr | None = None
    """its secret"""
    sign: str = ""
    """the approved signature"""
    template: str = ""
    """code of the approved template, `SMS_…`"""
    parameters: Annotated[dict[str, str], AfterValidator(_known)] = {
        "severity": "severity",
        "title": "title",
        "status": "status",
        "id": "id",
    }
    """what each parameter of the template holds: one of `title`, `severity`, `status`, `id`, `text`"""


class Adapter(Sms):
    """Keeps no state but one HTTP session and who has an SMS already; safe for several threads."""

    config: Config

    def __init__(self, name: str, config: Config) -> None:
        super().__init__(name, config, self._post)
        self._http = Http(config.url, timeout=config.timeout.total_seconds())
        self._pauses = Pauses("Alibaba Cloud SMS")
        self.raise_if_paused = self._pauses.raise_if_paused

    def _post(self, number: str, sms: Outgoing) -> None:
        query = canonical_query(self._parameters(number, sms))
        headers = signed_headers(
            query, urlsplit(self.config.url).netloc.rpartition("@")[2], self._key(), datetime.now(UTC)
        )
        try:
            answer = self._http.send("POST", f"?{query}", headers=headers)
            said = as_mapping(json_body(answer))
        except HttpError as error:
            refusal = self._failure(error)
            self._pauses.add(refusal.retry_after if error.status == 429 else None)
            raise refusal from None
        if said.get("Code") != "OK":
            raise self._refusal(said) or DeliveryError(Reason.GARBAGE, "Alibaba Cloud SMS: the answer has no code")

    def _key(self) -> tuple[str, str]:
        return self.config.access_key_id, secret(self.config.access_key_secret)

    def _parameters(self, number: str, sms: Outgoing) -> dict[str, str]:
        return {
            "PhoneNumbers": number.removeprefix("+86").removeprefix("+"),
            "SignName": self.config.sign,
            "TemplateCode": self.config.template,
            "TemplateParam": json.dumps(self._filled(sms.text, sms.alert), ensure_ascii=False),
            "OutId": tag(remote_key(sms.delivery.key, sms.delivery.episode)),
        }

    def probe(self) -> ProbeResult:
        """Say what only an SMS shows: the key may be allowed to send and nothing else (dysms:SendSms)."""
        return ProbeResult(unproven=(ONLY_BY_SENDING,))

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return what fills the approved template, whose words the service alone has."""
        (text,) = super().preview(delivery, alert).values()
        filled = [f"{name}: {value}" for name, value in self._filled(text, alert).items()]
        return ({TEXT: text} if "text" in self.config.parameters.values() else {}) | {"parameters": "\n".join(filled)}

    @staticmethod
    def forms(config: Config) -> Mapping[str, Form]:  # type: ignore[override]
        """Return the text of the SMS if a parameter takes it: the other words are in the approved template."""
        return FORMS if "text" in config.parameters.values() else {}

    def _filled(self, text: str, alert: Alert) -> dict[str, str]:
        values = {
            "title": alert_title(alert),
            "severity": say(f"severity.{alert.severity}"),
            "status": say(f"status.{alert.status}"),
            "id": alert.internal_id,
            "text": text,
        }
        return {name: cut(line(values[what], 500), VALUE_MAX) for name, what in self.config.parameters.items()}

    def _failure(self, error: HttpError) -> DeliveryError:
        known = self._refusal(body_of(error)) if error.status and error.status < 500 else None
        mapped = known or delivery_error(error, pause=PAUSE)
        if error.reason in {*ACCESS, Reason.NOT_FOUND} and mapped.permanent:
            return DeliveryError(Reason.FORBIDDEN, f"{mapped.detail}; {_CHECK}")
        return mapped

    def _refusal(self, said: Mapping[str, Any]) -> DeliveryError | None:
        """Return what a code means, `{"Code", "Message"}`; None where there is none."""
        code = text(said.get("Code"))
        if not code:
            return None
        detail = f"Alibaba Cloud SMS: {words([code, said.get('Message')], self._key())}"
        if code in _LIMITS or code.startswith("Throttling"):
            pause = PAUSE if "分钟" in detail or code.startswith("Throttling") else LONG_PAUSE
            return DeliveryError(Reason.RATE_LIMITED, detail, retry_after=pause)
        if code in _TROUBLE:
            return DeliveryError(Reason.SERVER_ERROR, detail)
        if code in _NUMBERS:
            return DeliveryError(Reason.REFUSED, detail, permanent=True)
        return DeliveryError(Reason.FORBIDDEN, f"{detail}; {_CHECK}")


def canonical_query(values: Mapping[str, str]) -> str:
    """Return parameters as they are signed and sent: sorted, in RFC 3986's encoding."""
    return "&".join(f"{quote(name, safe='')}={quote(values[name], safe='')}" for name in sorted(values))


def signed_headers(
    query: str,
    host: str,
    key: tuple[str, str],
    now: datetime,
    *,
    action: str = ACTION,
    version: str = VERSION,
    nonce: str = "",
) -> dict[str, str]:
    """Return the headers of a POST without body to `/`, signed with the key (id, secret)."""
    empty = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": empty,
        "x-acs-date": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": nonce or uuid.uuid4().hex,
        "x-acs-version": version,
    }
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"POST\n/\n{query}\n{lines}\n{names}\n{empty}"
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    proof = hmac.new(key[1].encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return {**headers, "Authorization": f"{ALGORITHM} Credential={key[0]},SignedHeaders={names},Signature={proof}"}
