"""A real SMTP server in the contract suite of mails."""

from __future__ import annotations

from typing import Any

from service_event_checker.destinations.smtp.adapter import Adapter
from service_event_checker.destinations.smtp.config import Config
from tests.destinations.mail_cases import SENDER, TO, MailCase, SentMail
from tests.real.smtp import PASSWORD, USERNAME, SmtpServer


def adapter(server: SmtpServer, **changes: Any) -> Adapter:
    values = {
        "host": "localhost",
        "port": server.port,
        "security": server.security,
        "ca_file": str(server.ca_file),
        "username": USERNAME,
        "password": PASSWORD,
        "sender": SENDER,
        "to": TO,
        "timeout": 2,
    }
    return Adapter("mail", Config(**{**values, **changes}))


def _mails(server: SmtpServer) -> list[SentMail]:
    return [
        SentMail(
            to=mail.recipients,
            subject=mail.message["Subject"],
            text=mail.part("plain"),
            html=mail.part("html"),
            headers=mail.message,  # type: ignore[arg-type]  # looked up by name only
        )
        for mail in server.mails
    ]


CASE = MailCase(name="smtp", server=SmtpServer, adapter=adapter, mails=_mails, nobody={"port": 1})
