"""A stateful SendGrid on loopback: mails, keys and limits as Twilio's OpenAPI of v3/mail/send and its pages state them.

Its truth is `mails`; `refused` names every request that SendGrid itself would not have taken.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.doubles.base import Answer, Double, Request

KEY = "SG.canary-4711"
SENDER = "outages@example.com"
BODY_MAX = 30 * 1024 * 1024  # https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations
RECIPIENTS_MAX = 1000
CUSTOM_ARGS_MAX = 10_000  # bytes
_KNOWN = frozenset(
    {"personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments", "template_id"}
    | {"headers", "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings"}
    | {"tracking_settings"}
)
_OWN_HEADERS = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)
_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


@dataclass
class Mail:
    to: list[str]
    sender: str
    sender_name: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    custom_args: dict[str, str]
    tracking: dict[str, Any]

    @property
    def shown(self) -> str:
        """All that a reader can see."""
        return "\n".join([self.subject, self.text, self.html])


class SendGrid(Double):
    """`token` is the key that may send, `senders` are verified. `answers`: what the next calls are told instead."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.token = KEY
        self.senders = {SENDER}
        self.mails: list[Mail] = []
        self.answers: deque[Answer] = deque()

    def handle(self, request: Request) -> Answer:
        if (request.method, request.path) != ("POST", "/v3/mail/send"):
            return self.refuse(request, "no such endpoint", 404)
        if self.answers:
            return self.answers.popleft()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("authorization") != f"Bearer {self.token}":
            return problem(401, "The provided authorization grant is invalid, expired, or revoked")
        if len(request.body) > BODY_MAX:
            return self.refuse(request, "too large", 413)
        wrong = list(_wrong(headers, request.body))
        if wrong:
            self.refused += wrong
            return problem(400, *wrong)
        return self._accept(request.json())

    def _accept(self, body: dict[str, Any]) -> Answer:
        if body.get("mail_settings", {}).get("sandbox_mode", {}).get("enable") is True:
            return Answer(200)
        if body["from"]["email"] not in self.senders:
            return problem(403, "The from address does not match a verified Sender Identity")
        for envelope in body["personalizations"]:
            texts = {part["type"]: part["value"] for part in body["content"]}
            self.mails.append(
                Mail(
                    to=[each["email"] for each in envelope["to"]],
                    sender=body["from"]["email"],
                    sender_name=body["from"].get("name", ""),
                    subject=body["subject"],
                    text=texts.get("text/plain", ""),
                    html=texts.get("text/html", ""),
                    headers=body.get("headers", {}),
                    custom_args=envelope.get("custom_args", {}),
                    tracking=body.get("tracking_settings", {}),
                )
            )
        return Answer(202, b"", {"X-Message-Id": f"id{len(self.mails)}"})


def problem(status: int, *messages: str, **headers: str) -> Answer:
    """SendGrid's ErrorResponse."""
    errors = [{"message": message, "field": None, "help": None} for message in messages]
    return Answer.json({"errors": errors}, status, **{name.replace("_", "-"): value for name, value in headers.items()})


def _wrong(headers: dict[str, str], raw: bytes) -> Iterator[str]:
    if headers.get("content-type", "").partition(";")[0] != "application/json":
        yield "Content-Type must be application/json"
    try:
        body = json.loads(raw)
    except ValueError:
        yield "the body is not JSON"
        return
    yield from (f"{name}: unknown" for name in body.keys() - _KNOWN)
    yield from _wrong_envelopes(body.get("personalizations"))
    if not _is_mailbox(body.get("from")):
        yield "from: must name an email"
    yield from _wrong_content(body)
    for name, value in body.get("headers", {}).items():
        if name.lower() in _OWN_HEADERS or not isinstance(value, str) or re.search(r"[\r\n]|[^\x20-\x7e]", value):
            yield f"headers.{name}: may not be set so"


def _wrong_envelopes(envelopes: Any) -> Iterator[str]:
    if not isinstance(envelopes, list) or not 1 <= len(envelopes) <= RECIPIENTS_MAX:
        yield "personalizations: 1 to 1000 of them"
        return
    for envelope in envelopes:
        to = envelope.get("to")
        if not isinstance(to, list) or not to or not all(_is_mailbox(each) for each in to):
            yield "personalizations.to: must name an email each"
            continue
        everybody = [each["email"].lower() for part in ("to", "cc", "bcc") for each in envelope.get(part, [])]
        if len(set(everybody)) != len(everybody) or len(everybody) > RECIPIENTS_MAX:
            yield "Each email address in the personalization block should be unique between to, cc, and bcc"
        args = envelope.get("custom_args", {})
        if not all(isinstance(value, str) for value in args.values()) or len(json.dumps(args)) > CUSTOM_ARGS_MAX:
            yield "personalizations.custom_args: strings, at most 10000 bytes"


def _wrong_content(body: dict[str, Any]) -> Iterator[str]:
    subject = body.get("subject")
    if not isinstance(subject, str) or not subject or re.search(r"[\r\n]", subject):
        yield "subject: is required, on one line"
    content = body.get("content")
    if not isinstance(content, list) or not all(part.get("type") and part.get("value") for part in content or [{}]):
        yield "content: type and value are required"
        return
    types = [part["type"] for part in content]
    if types != sorted(types, key=["text/plain", "text/html"].index):
        yield "content: text/plain must be first, followed by text/html"


def _is_mailbox(value: Any) -> bool:
    return isinstance(value, dict) and bool(_EMAIL.fullmatch(str(value.get("email", ""))))
