"""Sends mails through SendGrid: one mail to all when it opens, one when it is over.

render/mail.py writes the mail. SendGrid cannot be searched for what it took, so that a doubtful one
is repeated for critical and error only. https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from service_event_checker.config.fields import API_URL
from service_event_checker.config.models import MAIL_BUDGET, DestinationConfig, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Budget, Delivery, Link
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.errors import ACCESS, WORDS_MAX, body_of, delivery_error, pause, words
from service_event_checker.render import mail as text_mail
from service_event_checker.render import sample
from service_event_checker.render.mail import Mail
from service_event_checker.render.own import Form

RECIPIENTS_MAX = 1000  # of one mail
LOOK_AT_QUOTA_EVERY = 900.0  # seconds; it ends by a new day or by a payment
_QUOTA = "credits exceeded"  # https://www.twilio.com/docs/api/errors/60603: HTTP 401, though the key is good
_NEXT_STEPS = {
    401: "check SENDGRID_API_KEY",
    403: "give the key the right to send mail, and verify the sender",
    404: "check url",
    405: "check url",
}


def _host(url: str) -> str:
    """Take an address with or without the API's own path."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        raise ValueError("is not a web address. Write it like https://api.eu.sendgrid.com")
    return url.rstrip("/").removesuffix("/mail/send").removesuffix("/v3")


class Config(DestinationConfig):
    """`to` is a list, or text with comma, semicolon or space between; `updates`: a mail for each change as well."""

    SETTLE: ClassVar[timedelta] = timedelta(0)  # no wait: delivery cannot be verified
    STORM: ClassVar[Budget | None] = MAIL_BUDGET
    RATE: ClassVar[tuple[float, int]] = (5.0, 10)
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "token": ("SENDGRID_API_KEY",),
        "sender": ("SENDGRID_SENDER_EMAIL",),
        "to": ("ESCALATE_EMAILS",),
        "url": ("SENDGRID_API_URL",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("token", "sender", "to")
    RENAMED: ClassVar[dict[str, str]] = API_URL

    kind: Literal["sendgrid"] = "sendgrid"
    token: SecretStr | None = None
    """an API key with the permission *Mail Send*"""
    sender: Annotated[str, AfterValidator(text_mail.sender)] = ""
    """a sender that SendGrid has verified: an address, or `Outages <outages@example.com>`"""
    to: Annotated[tuple[str, ...], BeforeValidator(text_mail.addresses), Field(max_length=RECIPIENTS_MAX)] = ()
    """a list, or text with comma, semicolon or space between; at most 1000"""
    url: Annotated[str, AfterValidator(_host)] = "https://api.sendgrid.com"
    """for the EU `https://api.eu.sendgrid.com`"""
    updates: bool = False
    """also send a mail for every change, note and acknowledgement"""


class Adapter:
    """Keeps no state but one HTTP session; safe for several threads."""

    family = Family.MAIL
    verbs = text_mail.verbs(updates=False)

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self.verbs = text_mail.verbs(updates=config.updates)
        token = {"Authorization": f"Bearer {secret(config.token)}"}
        self._http = Http(config.url, headers=token, timeout=config.timeout.total_seconds())

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Hand one mail over; SendGrid's 202 says that it was accepted, not that it arrived."""
        mail = text_mail.compose(delivery, alert, self.config.sender, datetime.now(UTC))
        self._send(self._request(mail))
        return text_mail.opened(delivery, mail) if delivery.verb is Verb.OPEN else link

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return subject, text and HTML of the mail that `deliver` would send."""
        mail = text_mail.compose(delivery, alert, self.config.sender, datetime.now(UTC))
        return {text_mail.SUBJECT: mail.subject, text_mail.TEXT: mail.text, text_mail.HTML: mail.html}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return text_mail.FORMS

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the mail that `deliver` would send."""
        mail = text_mail.compose(delivery, alert, self.config.sender, datetime.now(UTC))
        return f"mail to {len(self._request(mail)['personalizations'][0]['to'])}: {mail.subject}"

    def probe(self) -> ProbeResult:
        """Have SendGrid validate a mail in its sandbox mode, which delivers nothing."""
        alert = sample.alert(datetime.now(UTC))
        mail = text_mail.compose(sample.delivery(alert, self.name), alert, self.config.sender, datetime.now(UTC))
        self._send(self._request(mail) | {"mail_settings": {"sandbox_mode": {"enable": True}}}, 200)
        return ProbeResult(
            proven=("the key may send mail", f"a mail to {len(self.config.to)} recipients is valid"),
            unproven=("whether the sender is verified, and whether the mail arrives in the inbox",),
        )

    def _request(self, mail: Mail) -> dict[str, Any]:
        from sendgrid.helpers import mail as sg  # late: the package brings cryptography along

        name, address = text_mail.mailbox(self.config.sender)
        built = sg.Mail(sg.From(address, name or text_mail.SENDER_NAME), None, mail.subject, mail.text, mail.html)
        to_all = sg.Personalization()
        for each in self.config.to:
            to_all.add_to(sg.To(each))
        to_all.add_custom_arg(sg.CustomArg("key", mail.key))
        built.add_personalization(to_all)
        for header, value in mail.headers.items():
            built.add_header(sg.Header(header, value))
        # A link at night leads where it says, and nobody on call can unsubscribe by a slip of the thumb.
        untouched = sg.ClickTracking(enable=False, enable_text=False), sg.OpenTracking(enable=False)
        built.tracking_settings = sg.TrackingSettings(*untouched, sg.SubscriptionTracking(enable=False))
        return dict(built.get())

    def _send(self, request: dict[str, Any], expected: int = 202) -> None:
        try:
            status = self._http.send("POST", "v3/mail/send", json=request).status
        except HttpError as error:
            raise _failure(error, secret(self.config.token)) from None
        if status != expected:
            raise DeliveryError(Reason.GARBAGE, f"HTTP {status} where {expected} was due, check url")


def _failure(error: HttpError, token: str) -> DeliveryError:
    said = _said(error, token)
    if error.reason in ACCESS and _QUOTA in said.lower():
        detail = f"the quota is used up: {error.detail}, {said}"
        return DeliveryError(Reason.RATE_LIMITED, detail, retry_after=LOOK_AT_QUOTA_EVERY)
    failure = delivery_error(error, pause=pause(error.headers, until="X-RateLimit-Reset"))
    detail = ", ".join(part for part in (error.detail, said, _NEXT_STEPS.get(error.status or 0)) if part)
    if error.status in (404, 405):  # of the address, which a person corrects
        return DeliveryError(Reason.NOT_FOUND, detail)
    return DeliveryError(failure.reason, detail, permanent=failure.permanent, retry_after=failure.retry_after)


def _said(error: HttpError, token: str) -> str:
    """Return SendGrid's own words: `{"errors": [{"message", "field", "help"}]}`; "" where the body says nothing."""
    errors = body_of(error).get("errors")
    parts = [part for part in errors if isinstance(part, dict)] if isinstance(errors, list) else []
    return "; ".join(words((part.get("field"), part.get("message")), [token], between=" ") for part in parts)[
        :WORDS_MAX
    ]
