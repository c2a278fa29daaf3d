"""Tells of an alert by mail through an SMTP server: one mail to all when it opens, one when it is over.

What a mail looks like is decided in render/mail.py.
"""

from __future__ import annotations

import email.policy
import smtplib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage

import structlog

from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.destinations.smtp.config import Config
from service_event_checker.destinations.smtp.exchange import Exchange
from service_event_checker.http.deadline import Deadline
from service_event_checker.http.guard import NotConnected
from service_event_checker.render import mail as text_mail
from service_event_checker.render.mail import Mail
from service_event_checker.render.own import Form

log = structlog.get_logger()


class Adapter:
    """A connection for each mail: they are few, and a kept one is often dead when it is needed."""

    family = Family.MAIL
    verbs = text_mail.verbs(updates=False)

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self.verbs = text_mail.verbs(updates=config.updates)

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Hand one mail over for all recipients that the server takes; those that it refuses are logged."""
        now = datetime.now(UTC)
        mail = text_mail.compose(delivery, alert, self.config.sender, now)
        self._send(self._message(mail, now))
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
        now = datetime.now(UTC)
        mail = text_mail.compose(delivery, alert, self.config.sender, now)
        return f"mail of {len(self._message(mail, now))} bytes to {len(self.config.to)}: {mail.subject}"

    def _message(self, mail: Mail, now: datetime) -> bytes:
        """Return the mail as it is sent: seven-bit, with CRLF. The policy refuses line breaks in any header."""
        name, address = text_mail.mailbox(self.config.sender)
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"] = Address(name or text_mail.SENDER_NAME, addr_spec=address)
        message["To"] = tuple(Address(addr_spec=each) for each in self.config.to)
        message["Subject"] = mail.subject
        message["Date"] = now
        for header, value in mail.headers.items():
            message[header] = value
        message["X-Alert-Key"] = mail.key
        message.set_content(mail.text, cte="quoted-printable")
        message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
        return message.as_bytes()

    def probe(self) -> ProbeResult:
        """Sign in, and have the server check sender and recipients; sends no mail."""
        refused = self._exchanged(lambda exchange: exchange.rehearse())
        user = f", and takes the credentials of {self.config.username}" if self.config.username else ""
        taken = f"{len(self.config.to) - len(refused)} of {len(self.config.to)} recipients"
        return ProbeResult(
            proven=(
                f"{self.config.host}:{self.config.at_port} answers{user}",
                f"it takes mail from {self.config.sender} to {taken}",
            ),
            wrong=tuple(f"recipient {address} is refused: {said}" for address, said in refused.items()),
            unproven=("whether the mail arrives in the inbox",),
        )

    def _send(self, message: bytes) -> None:
        for address, said in self._exchanged(lambda exchange: exchange.carry(message)).items():
            log.warning("mail_recipient_refused", receiver=self.name, address=address, said=said)

    def _exchanged(self, talk: Callable[[Exchange], dict[str, str]]) -> dict[str, str]:
        """Return the refused recipients and why. Raises DeliveryError."""
        with Deadline(self.config.timeout.total_seconds()) as deadline:
            exchange = Exchange(self.config, deadline)
            try:
                return talk(exchange)
            except (smtplib.SMTPException, NotConnected, OSError, ValueError) as error:
                failure = exchange.failure(error)
        raise failure  # not from `error`: a failed login's may hold the password
