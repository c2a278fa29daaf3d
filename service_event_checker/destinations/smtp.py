"""Tells of an alert by mail through an SMTP server: one mail to all when it opens, one when it is over.

What a mail looks like is decided in render/mail.py. As long as the text of a mail has not begun to leave us, a failure
proves that it was not sent; after that only the server's answer tells (RFC 5321).
"""

from __future__ import annotations

import email.policy
import ipaddress
import re
import smtplib
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Annotated, BinaryIO, ClassVar, Literal

import structlog
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from service_event_checker.config.models import DestinationConfig, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.http import outbound
from service_event_checker.http.deadline import Deadline
from service_event_checker.http.guard import Guard, NotConnected, system_addresses
from service_event_checker.render import mail as text_mail
from service_event_checker.render.mail import Mail
from service_event_checker.render.text import line

RECIPIENTS_MAX = 100  # of one mail; RFC 5321 4.5.3.1.8: what every server takes
TLS_PORT, SUBMISSION_PORT, RELAY_PORT = 465, 587, 25  # RFC 8314, RFC 6409, RFC 5321
DETAIL_MAX = 200
SAID_MAX = 256 * 1024  # bytes; a server says a few hundred, and a line for each recipient
_SIGN_IN = frozenset({530, 534, 535, 538})  # RFC 4954: a person must mend it
_BEFORE_SIGN_IN = frozenset({"the greeting", "EHLO", "STARTTLS"})
_DOT = re.compile(rb"^\.", re.MULTILINE)

log = structlog.get_logger()


class Config(DestinationConfig):
    """`security`: starttls (the default), tls (the default for port 465), or none, on this machine only.

    `ca_file` holds certificates to trust in place of those of all connections. `to` is a list, or text with comma,
    semicolon or space between; `updates`: a mail for each change as well.
    """

    SETTLE: ClassVar[timedelta] = timedelta(0)  # nothing to wait for: nobody can look
    RATE: ClassVar[tuple[float, int]] = (0.5, 5)  # Exchange Online takes 30 mails a minute from one sender
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "host": ("SMTP_SERVER",),
        "port": ("SMTP_PORT",),
        "username": ("SMTP_USERNAME",),
        "password": ("SMTP_PASSWORD",),
        "sender": ("SMTP_FROM", "SMTP_USERNAME"),
        "to": ("ALERT_EMAILS", "ESCALATE_EMAILS"),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("host", "sender", "to")

    kind: Literal["smtp"] = "smtp"
    host: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    security: Literal["starttls", "tls", "none"] | None = None
    ca_file: str = ""
    username: str = ""
    password: SecretStr | None = None
    sender: Annotated[str, AfterValidator(text_mail.sender)] = ""
    to: Annotated[tuple[str, ...], BeforeValidator(text_mail.addresses), Field(max_length=RECIPIENTS_MAX)] = ()
    updates: bool = False

    @field_validator("security")
    @classmethod
    def _not_in_the_clear(cls, security: str | None, info: ValidationInfo) -> str | None:
        host = info.data.get("host", "")
        if security == "none" and host and not _is_loopback(host):
            raise ValueError("none is for a server on this machine only. Use starttls or tls")
        return security

    @property
    def secured_by(self) -> str:
        return self.security or ("tls" if self.port == TLS_PORT else "starttls")

    @property
    def at_port(self) -> int:
        usual = {"tls": TLS_PORT, "starttls": SUBMISSION_PORT, "none": RELAY_PORT}
        return self.port or usual[self.secured_by]


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

    def _send(self, message: bytes) -> None:
        with Deadline(self.config.timeout.total_seconds()) as deadline:
            exchange = _Exchange(self.config, deadline)
            try:
                refused = exchange.carry(message)
            except (smtplib.SMTPException, NotConnected, OSError, ValueError) as error:
                failure = exchange.failure(error)
            else:
                for address, said in refused.items():
                    log.warning("mail_recipient_refused", receiver=self.name, address=address, said=said)
                return
        raise failure  # not from `error`: a failed login's may hold the password


class _Line(smtplib.SMTP):
    """smtplib's client, over a connection that the deadline watches and that begins with TLS where it is to."""

    def __init__(self, config: Config, deadline: Deadline, trust: ssl.SSLContext | None) -> None:
        self._deadline, self._trust = deadline, trust
        super().__init__(config.host, config.at_port, local_hostname="localhost", timeout=deadline.left)

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:  # smtplib's own hook, as of SMTP_SSL
        trusted = frozenset({(host.strip("[]").rstrip(".").lower(), port)})
        guard = Guard(trusted, allow_loopback=False, resolve=system_addresses)
        sock = guard.connect(host, port, self._deadline)
        own = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
        # RFC 5321 4.1.3; smtplib would ask the name service for our name, which may take long
        self.local_hostname = f"[IPv6:{own}]" if own.version == 6 else f"[{own}]"
        return self._trust.wrap_socket(sock, server_hostname=host) if self._trust else sock

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


class _Bounded:
    """What a server says, up to SAID_MAX bytes: smtplib keeps every line of an answer that never ends."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = SAID_MAX
        self.close = file.close

    def readline(self, limit: int) -> bytes:
        said = self._file.readline(min(limit, self._left))
        self._left -= len(said)
        return said


class _Refused(smtplib.SMTPException):
    """What the server answered to `step` where it should have said yes."""

    def __init__(self, step: str, code: int, said: bytes) -> None:
        super().__init__(step, code)
        self.step, self.code, self.said = step, code, said


class _Exchange:
    """One mail's way to the server. `leaving`: its text has begun to leave us, so that it may have been taken."""

    def __init__(self, config: Config, deadline: Deadline) -> None:
        self._config = config
        self._deadline = deadline
        self._step = "ca_file"
        self.leaving = False

    def carry(self, message: bytes) -> dict[str, str]:
        """Hand the message over; return the refused recipients and why. Raises what `failure` translates."""
        by = self._config.secured_by
        ca_file = self._config.ca_file or outbound.shared().ca_file or None
        trust = ssl.create_default_context(cafile=ca_file) if by != "none" else None
        self._step = "the greeting"
        server = _Line(self._config, self._deadline, trust if by == "tls" else None)
        try:
            self._greet(server, trust if by == "starttls" else None)
            refused = self._address(server)
            self._hand_over(server, message)
            with suppress(smtplib.SMTPException, OSError):
                server.quit()  # a courtesy: the mail is theirs
        finally:
            server.close()
        return refused

    def failure(self, error: Exception) -> DeliveryError:
        """Say what an error means, and whether the mail may be on its way in spite of it."""
        if self._deadline.over:  # whatever was read last may be half of a line
            reason = Reason.TIMEOUT if self.leaving else Reason.UNREACHABLE
            return DeliveryError(reason, f"{self._step}: no answer in time")
        if isinstance(error, _Refused):
            return self._answered(error.code, error.said)
        if isinstance(error, smtplib.SMTPResponseException):
            said = error.smtp_error
            return self._answered(error.smtp_code, said.encode() if isinstance(said, str) else said)
        if self.leaving:
            return DeliveryError(Reason.RESET, "the connection broke after the mail had begun to leave")
        return self._before(error)

    def _greet(self, server: _Line, trust: ssl.SSLContext | None) -> None:
        self._step = "EHLO"
        _expect(server.ehlo(), self._step, 250)
        if trust:
            self._step = "STARTTLS"
            if not server.has_extn("starttls"):
                raise _Refused(self._step, 502, b"not offered, and nothing is sent in the clear")
            server.starttls(context=trust)
            _expect(server.ehlo(), self._step, 250)
        if self._config.username:
            self._step = "AUTH"
            if not server.has_extn("auth"):
                raise _Refused(self._step, 502, b"not offered")
            server.login(self._config.username, secret(self._config.password))

    def _address(self, server: _Line) -> dict[str, str]:
        """Name sender and recipients; raises when the server takes none of them."""
        self._step = "MAIL FROM"
        _expect(server.mail(text_mail.mailbox(self._config.sender)[1]), self._step, 250)
        self._step = "RCPT TO"
        refused: dict[str, tuple[int, bytes]] = {}
        for address in self._config.to:
            code, said = server.rcpt(address)
            if code not in (250, 251):
                refused[address] = (code, said)
            if code in (-1, 421):
                raise _Refused(self._step, code, said)
        if len(refused) == len(self._config.to):
            mendable = [answer for answer in refused.values() if answer[0] < 500]
            raise _Refused(self._step, *(mendable or list(refused.values()))[0])
        return {address: f"{code} {self._words(said)}" for address, (code, said) in refused.items()}

    def _hand_over(self, server: _Line, message: bytes) -> None:
        self._step = "DATA"
        _expect(server.docmd("DATA"), self._step, 354)
        self.leaving = True
        server.send(_DOT.sub(b"..", message) + b".\r\n")
        _expect(server.getreply(), self._step, 250)

    def _answered(self, code: int, said: bytes) -> DeliveryError:
        detail = f"{self._step}: {code} {self._words(said)}".rstrip()
        if not 200 <= code <= 599:
            reason = Reason.GARBAGE if self.leaving else Reason.UNREACHABLE
            return DeliveryError(reason, f"{self._step}: the answer cannot be read")
        if code == 421 or self._step in _BEFORE_SIGN_IN:
            return DeliveryError(Reason.UNREACHABLE, detail)
        if code in _SIGN_IN or (self._step == "AUTH" and code >= 500):
            return DeliveryError(Reason.UNAUTHORIZED, f"{detail}, check SMTP_USERNAME and SMTP_PASSWORD")
        return DeliveryError(Reason.REFUSED, detail, permanent=code >= 500)

    def _before(self, error: Exception) -> DeliveryError:
        """Say what went wrong while nothing of the mail had left us."""
        if self._step == "ca_file":
            return DeliveryError(Reason.NOT_CONFIGURED, "ca_file cannot be read or holds no certificate")
        if isinstance(error, ssl.SSLCertVerificationError):
            why = line(error.verify_message, 100)
            return DeliveryError(Reason.UNREACHABLE, f"the server's certificate is not trusted: {why}")
        if self._step == "AUTH" and isinstance(error, UnicodeError):
            return DeliveryError(Reason.UNAUTHORIZED, "AUTH: SMTP_USERNAME and SMTP_PASSWORD must be ASCII")
        if self._step == "AUTH" and type(error) is smtplib.SMTPException:
            return DeliveryError(Reason.UNAUTHORIZED, "AUTH: the server offers no way that we know")
        what = "the connection broke" if self._deadline.connected else "no connection"
        return DeliveryError(Reason.UNREACHABLE, f"{self._step}: {what}")

    def _words(self, said: bytes) -> str:
        """Return the server's words, without what we signed in with."""
        words = said.decode("utf-8", "replace")
        password = secret(self._config.password)
        return line(words.replace(password, "***") if password else words, DETAIL_MAX)


def _expect(answer: tuple[int, bytes], step: str, code: int) -> None:
    if answer[0] != code:
        raise _Refused(step, *answer)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
