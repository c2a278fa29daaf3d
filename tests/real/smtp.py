"""A real SMTP server (aiosmtpd) on loopback, with STARTTLS, TLS and sign-in, that fails by script.

Its truth is `mails`; `refused` names what a stricter server would have sent back.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.real.server import free_port

USERNAME, PASSWORD = "alice", "canary-4711"
HANG_SECONDS = 30.0


class Break(StrEnum):
    """How a step may end other than by an answer."""

    RESET = "connection reset"
    HANG = "no answer"
    DRIP = "an answer that never ends"
    GARBAGE = "an answer that is none"


@dataclass
class Mail:
    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        message = email.message_from_bytes(self.raw, policy=email.policy.SMTP)
        assert isinstance(message, EmailMessage)
        return message

    def part(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content())


class SmtpServer:
    """Start with `with SmtpServer(folder) as server`. `security` as in the product: starttls, tls, none.

    `script` maps a step (EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, TEXT) to what it is answered: a reply like
    "451 4.3.0 later" or a `Break`. TEXT is the end of the mail's text; a script for it strikes after the mail was
    taken if `takes` is true. `refuses` maps recipients to replies.
    """

    def __init__(self, folder: Path, *, security: str = "starttls", sign_in: bool = True) -> None:
        self.security = security
        self.sign_in = sign_in
        self.mails: list[Mail] = []
        self.refused: list[str] = []
        self.commands: list[str] = []
        self.script: dict[str, str | Break] = {}
        self.refuses: dict[str, str] = {}
        self.takes = True
        self.password = PASSWORD
        self.ca_file = folder / "ca.pem"
        self.port = free_port()
        self._trust = _certificate(folder, self.ca_file)

    def __enter__(self) -> SmtpServer:
        self._controller = _Controller(self, self._trust)
        self._controller.start()
        self.commands.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class _Controller(Controller):
    def __init__(self, truth: SmtpServer, trust: ssl.SSLContext) -> None:
        self._truth, self._own = truth, trust
        tls = {"ssl_context": trust} if truth.security == "tls" else {}
        super().__init__(_Hooks(truth), hostname="127.0.0.1", port=truth.port, **tls)

    def factory(self) -> SMTP:
        truth = self._truth
        more: dict[str, Any] = {"tls_context": self._own, "require_starttls": True}
        return _Server(
            truth,
            self.handler,
            hostname="mail.example.com",
            authenticator=self._judge,
            auth_required=truth.sign_in,
            auth_exclude_mechanism=() if truth.sign_in else ("LOGIN", "PLAIN"),
            auth_require_tls=truth.security == "starttls",
            **(more if truth.security == "starttls" else {}),
        )

    def _judge(self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, said: Any) -> AuthResult:
        known = LoginPassword(USERNAME.encode(), self._truth.password.encode())
        return AuthResult(success=said == known, handled=False, auth_data=mechanism)


class _Server(SMTP):
    """aiosmtpd's own server; a step that the script names never reaches it."""

    def __init__(self, truth: SmtpServer, *args: Any, **options: Any) -> None:
        self._truth = truth
        super().__init__(*args, **options)

    async def _scripted(self, step: str) -> bool:
        self._truth.commands.append(step)
        play = self._truth.script.get(step)
        if play is None:
            return False
        if isinstance(play, Break):
            await self.break_off(play)
        else:
            await self.push(play)
        return True

    async def break_off(self, play: Break) -> None:
        assert self.transport is not None
        if play is Break.RESET:
            self.transport.abort()
        elif play is Break.GARBAGE:
            await self.push("what?")
        elif play is Break.HANG:
            await asyncio.sleep(HANG_SECONDS)
        else:
            while not self.transport.is_closing():
                self.transport.write(b"2")
                await asyncio.sleep(0.05)

    async def smtp_EHLO(self, hostname: str) -> None:
        if not await self._scripted("EHLO"):
            await super().smtp_EHLO(hostname)

    async def smtp_STARTTLS(self, arg: str) -> None:
        if not await self._scripted("STARTTLS"):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str) -> None:
        if not await self._scripted("AUTH"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str) -> None:
        if not await self._scripted("MAIL"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str) -> None:
        if not await self._scripted("RCPT"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        if not await self._scripted("DATA"):
            await super().smtp_DATA(arg)


class _Hooks:
    def __init__(self, truth: SmtpServer) -> None:
        self._truth = truth

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self._truth.refuses:
            return self._truth.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: _Server, _: Session, envelope: Envelope) -> str:
        play = self._truth.script.get("TEXT")
        mail = Mail(str(envelope.mail_from), list(envelope.rcpt_tos), bytes(envelope.original_content or b""))
        self._truth.refused += _wrong(mail)
        if play is None or (isinstance(play, Break) and self._truth.takes):
            self._truth.mails.append(mail)
        if isinstance(play, Break):
            await server.break_off(play)
            return "250 too late"
        return play or "250 2.0.0 taken"


def _wrong(mail: Mail) -> list[str]:
    """Say what RFC 5322 does not allow."""
    wrong = []
    if re.search(rb"(?<!\r)\n|\r(?!\n)", mail.raw):
        wrong.append("a bare CR or LF")
    if re.search(rb"[^\x00-\x7f]", mail.raw) or any(len(line) > 998 for line in mail.raw.split(b"\r\n")):
        wrong.append("not seven-bit, or a line over 998")
    names = [name.lower() for name in mail.message]
    once = ("from", "to", "subject", "date", "message-id")
    wrong += [f"{name}: {names.count(name)} times" for name in once if names.count(name) != 1]
    wrong += [f"{name}: broken" for name in ("message-id", "references") if "=?" in str(mail.message[name] or "")]
    return wrong


def _certificate(folder: Path, ca_file: Path) -> ssl.SSLContext:
    """Make a certificate for localhost that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost")]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*plain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ca_file, secret)
    return context
