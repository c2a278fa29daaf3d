"""What `config.json` and the environment say of an SMTP server."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from service_event_checker.config.models import MAIL_BUDGET, DestinationConfig
from service_event_checker.core.model import Budget
from service_event_checker.render import mail as text_mail

RECIPIENTS_MAX = 100  # of one mail; RFC 5321 4.5.3.1.8: what every server takes
TLS_PORT, SUBMISSION_PORT, RELAY_PORT = 465, 587, 25  # RFC 8314, RFC 6409, RFC 5321


class Config(DestinationConfig):
    """`security`: starttls (the default), tls (the default for port 465), or none, on this machine only.

    `ca_file` holds certificates to trust in place of those of all connections. `to` is a list, or text with comma,
    semicolon or space between; `updates`: a mail for each change as well.
    """

    SETTLE: ClassVar[timedelta] = timedelta(0)  # nothing to wait for: nobody can look
    STORM: ClassVar[Budget | None] = MAIL_BUDGET
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
    """the mail server"""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """port of the server; default: 587, 465 for `tls`, 25 for `none`"""
    security: Literal["starttls", "tls", "none"] | None = None
    """`starttls`, `tls`, or `none` for a server on this machine; default: `starttls`, `tls` for port 465"""
    ca_file: str = ""
    """PEM file of certificates to trust instead; default: that of all connections, else the system's"""
    username: str = ""
    """without a username, there is no login"""
    password: SecretStr | None = None
    """of the user"""
    sender: Annotated[str, AfterValidator(text_mail.sender)] = ""
    """an address, or `Outages <outages@example.com>`; unset: the username, which must then be an address"""
    to: Annotated[tuple[str, ...], BeforeValidator(text_mail.addresses), Field(max_length=RECIPIENTS_MAX)] = ()
    """a list, or text with comma, semicolon or space between; at most 100"""
    updates: bool = False
    """also send a mail for every change, note and acknowledgement"""

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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
