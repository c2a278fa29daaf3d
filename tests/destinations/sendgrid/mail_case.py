"""SendGrid in the contract suite of mails."""

from __future__ import annotations

from typing import Any

from service_event_checker.destinations.sendgrid import Adapter, Config
from tests.destinations.mail_cases import TO, MailCase, SentMail
from tests.destinations.sendgrid.double import KEY, SENDER, SendGrid


def adapter(double: SendGrid, **changes: Any) -> Adapter:
    values = {"token": KEY, "sender": SENDER, "to": TO, "url": double.url, "timeout": 2}
    return Adapter("mail", Config(**{**values, **changes}))


def _mails(double: SendGrid) -> list[SentMail]:
    return [
        SentMail(to=mail.to, subject=mail.subject, text=mail.text, html=mail.html, headers=mail.headers)
        for mail in double.mails
    ]


CASE = MailCase(
    name="sendgrid",
    server=lambda _folder: SendGrid(),
    adapter=adapter,
    mails=_mails,
    nobody={"url": "http://127.0.0.1:1"},
)
