"""Tells of an alert by mail through SendGrid: one mail to all when it opens, one when it is over.

render/mail.py writes the mail. SendGrid cannot be searched for what it took, so that a doubtful one
is repeated for critical and error only. https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.error import URLError
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from python_http_client.exceptions import HTTPError as ApiError  # type: ignore[import-untyped]

from service_event_checker.config.models import DestinationConfig, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.http.deadline import Deadline
from service_event_checker.render import mail as text_mail
from service_event_checker.render.mail import Mail
from service_event_checker.render.text import line

RECIPIENTS_MAX = 1000  # of one mail
RETRY_AFTER_MAX = 3600.0  # seconds
LOOK_AT_QUOTA_EVERY = 900.0  # seconds; it ends by a new day or by a payment
DETAIL_MAX = 200
_QUOTA = "credits exceeded"  # https://www.twilio.com/docs/api/errors/60603: HTTP 401, though the key is good
_NEXT_STEPS = {
    401: "check SENDGRID_API_KEY",
    403: "give the key the right to send mail, and verify the sender",
    404: "check api_url",
    405: "check api_url",
}


def _host(url: str) -> str:
    """Take an address with or without the API's own path."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        raise ValueError("is no web address. Write it like https://api.eu.sendgrid.com")
    return url.rstrip("/").removesuffix("/mail/send").removesuffix("/v3")


class Config(DestinationConfig):
    """`to` is a list, or text with comma, semicolon or space between; `updates`: a mail for each change as well."""

    SETTLE: ClassVar[timedelta] = timedelta(0)  # nothing to wait for: nobody can look
    RATE: ClassVar[tuple[float, int]] = (5.0, 10)
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "token": ("SENDGRID_API_KEY",),
        "sender": ("SENDGRID_SENDER_EMAIL",),
        "to": ("ESCALATE_EMAILS",),
        "api_url": ("SENDGRID_API_URL",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("token", "sender", "to")

    kind: Literal["sendgrid"] = "sendgrid"
    token: SecretStr | None = None
    sender: Annotated[str, AfterValidator(text_mail.sender)] = ""
    to: Annotated[tuple[str, ...], BeforeValidator(text_mail.addresses), Field(max_length=RECIPIENTS_MAX)] = ()
    api_url: Annotated[str, AfterValidator(_host)] = "https://api.sendgrid.com"
    updates: bool = False


class Adapter:
    """Keeps no connection and no state; safe for several threads."""

    family = Family.MAIL
    verbs = text_mail.verbs(updates=False)

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self.verbs = text_mail.verbs(updates=config.updates)

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Hand one mail over; SendGrid's 202 says that it was accepted, not that it arrived."""
        mail = text_mail.compose(delivery, alert, self.config.sender, datetime.now(UTC))
        self._send(self._request(mail))
        return text_mail.opened(delivery, mail) if delivery.verb is Verb.OPEN else link

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the mail that `deliver` would send."""
        mail = text_mail.compose(delivery, alert, self.config.sender, datetime.now(UTC))
        return f"mail to {len(self._request(mail)['personalizations'][0]['to'])}: {mail.subject}"

    def _request(self, mail: Mail) -> dict[str, Any]:
        name, address = text_mail.mailbox(self.config.sender)
        off = {"enable": False}
        return {
            "personalizations": [
                {"to": [{"email": each} for each in self.config.to], "custom_args": {"key": mail.key}}
            ],
            "from": {"email": address, "name": name or text_mail.SENDER_NAME},
            "subject": mail.subject,
            "content": [{"type": "text/plain", "value": mail.text}, {"type": "text/html", "value": mail.html}],
            "headers": mail.headers,
            # A link at night leads where it says, and nobody on call can unsubscribe by a slip of the thumb.
            "tracking_settings": {
                "click_tracking": {**off, "enable_text": False},
                "open_tracking": off,
                "subscription_tracking": off,
            },
        }

    def _send(self, request: dict[str, Any]) -> None:
        token = secret(self.config.token)
        with Deadline(self.config.timeout.total_seconds()) as deadline:
            try:
                status = _post(self.config.api_url, token, request, deadline)
            except (ApiError, OSError, http.client.HTTPException, ValueError) as error:
                failure = _failure(error, deadline, token)
            else:
                if status == 202:
                    return
                failure = DeliveryError(Reason.GARBAGE, f"HTTP {status} where 202 was due, check api_url")
        raise failure  # not from `error`: what sendgrid raises may hold the request with its key


def _post(host: str, token: str, request: dict[str, Any], deadline: Deadline) -> int:
    """Send by the sendgrid library over a connection that the deadline watches; return the HTTP status."""
    from sendgrid import SendGridAPIClient  # late: it brings cryptography along

    call = SendGridAPIClient(token, host=host).client.mail.send
    opener = deadline.opener()
    opened_by_library = call._make_request
    # In place of the opener that the library makes: it would go on for ever and follow redirects, key in hand.
    call._make_request = lambda _, request, timeout=None: opened_by_library(opener, request, timeout)
    return int(call.post(request_body=request, timeout=deadline.left).status_code)


def _failure(error: Exception, deadline: Deadline, token: str) -> DeliveryError:
    if isinstance(error, ApiError):
        return _answered(error.status_code, error.headers or {}, _said(error.body, token))
    if not deadline.watching:
        return _not_connected(error, deadline)
    if deadline.over or isinstance(error, TimeoutError):
        return DeliveryError(Reason.TIMEOUT, "no answer in time")
    if isinstance(error, OSError | http.client.IncompleteRead):
        return DeliveryError(Reason.RESET, "the connection broke")
    return DeliveryError(Reason.GARBAGE, "the answer cannot be read")


def _not_connected(error: Exception, deadline: Deadline) -> DeliveryError:
    if not isinstance(error, OSError):
        return DeliveryError(Reason.NOT_CONFIGURED, "no request can be made of the key and api_url, check both")
    if isinstance(error, URLError) and isinstance(error.reason, ssl.SSLError):
        return DeliveryError(Reason.UNREACHABLE, "the server's certificate is not trusted, or TLS failed")
    return DeliveryError(Reason.UNREACHABLE, "no connection in time" if deadline.over else "no connection")


def _answered(status: int, headers: Mapping[str, str], said: str) -> DeliveryError:
    detail = ", ".join(part for part in (f"HTTP {status}", said, _NEXT_STEPS.get(status, "")) if part)
    if status in (401, 403) and _QUOTA in said.lower():
        return DeliveryError(
            Reason.RATE_LIMITED,
            f"the quota is used up: HTTP {status}, {said}",
            retry_after=LOOK_AT_QUOTA_EVERY,
        )
    if status in (401, 403):
        return DeliveryError(Reason.UNAUTHORIZED, detail)
    if status == 429:
        return DeliveryError(Reason.RATE_LIMITED, detail, retry_after=_pause(headers, time.time()))
    if status >= 500:
        return DeliveryError(Reason.SERVER_ERROR, detail, retry_after=_pause(headers, time.time()))
    if status == 408:
        return DeliveryError(Reason.TIMEOUT, detail)
    if 300 <= status < 400:
        return DeliveryError(Reason.REFUSED, f"HTTP {status}, a redirect that is not followed, check api_url")
    if status in (404, 405):
        return DeliveryError(Reason.NOT_FOUND, detail)
    return DeliveryError(Reason.REFUSED, detail, permanent=True)


def _said(body: bytes, token: str) -> str:
    """Return SendGrid's own words: `{"errors": [{"message", "field", "help"}]}`; "" where the body says nothing."""
    try:
        errors = json.loads(body).get("errors")
    except (ValueError, AttributeError):
        return ""
    parts = [part for part in errors if isinstance(part, dict)] if isinstance(errors, list) else []
    words = "; ".join(" ".join(str(part[name]) for name in ("field", "message") if part.get(name)) for part in parts)
    return line(words.replace(token, "***") if token else words, DETAIL_MAX)


def _pause(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that Retry-After (seconds or a date) or X-RateLimit-Reset (epoch seconds) asks for."""
    given = {name.lower(): value.strip() for name, value in headers.items()}
    for name in ("retry-after", "x-ratelimit-reset"):
        at = _number(given.get(name, ""))
        if at is not None:
            return min(max(at - now if at > now / 2 else at, 0.0), RETRY_AFTER_MAX)
    return None


def _number(text: str) -> float | None:
    try:
        return float(text) if text.replace(".", "", 1).isdecimal() else parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
