"""A stateful Twilio on loopback: messages, numbers that it refuses, and signed reports about what became of them.

https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/usage/security
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from tests.doubles.base import Answer, Double, Request

SID = "AC" + "0" * 32
TOKEN = "canary4711twilio"
FROM = "+15005550006"
BODY_MAX = 1600  # characters
_KNOWN = frozenset({"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod"})


@dataclass(frozen=True)
class Message:
    sid: str
    to: str
    body: str
    callback: str


class Twilio(Double):
    """`invalid`: numbers that it refuses. `messages` is its truth."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.token = TOKEN
        self.invalid: set[str] = set()
        self.account = {"status": "active", "type": "Full"}
        self.numbers: list[dict[str, Any]] = [{"phone_number": FROM, "capabilities": {"sms": True, "voice": True}}]
        self.messages: list[Message] = []

    def handle(self, request: Request) -> Answer:
        account = f"/2010-04-01/Accounts/{SID}"
        pair = base64.b64encode(f"{SID}:{self.token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            return problem(401, 20003, "Authenticate")
        if (request.method, request.path) == ("GET", f"{account}.json"):
            return Answer.json({"sid": SID, **self.account})
        if (request.method, request.path) == ("GET", f"{account}/IncomingPhoneNumbers.json"):
            wanted = request.query["PhoneNumber"]
            found = [each for each in self.numbers if each["phone_number"] == wanted]
            return Answer.json({"incoming_phone_numbers": found, "page": 0, "page_size": 50})
        if (request.method, request.path) != ("POST", f"{account}/Messages.json"):
            return self.refuse(request, "no such endpoint", 404)
        form = request.form()
        if why := _wrong(form):
            self.refused.append(why)
            return problem(400, 21602, why)
        if form["To"] in self.invalid:
            return problem(400, 21211, f"Invalid 'To' Phone Number: {form['To']}")
        if form.get("From", FROM) != FROM:
            return problem(400, 21606, f"The 'From' phone number {form['From']} is not a valid message-capable number")
        message = Message(f"SM{len(self.messages):032x}", form["To"], form["Body"], form.get("StatusCallback", ""))
        self.messages.append(message)
        return Answer.json({"sid": message.sid, "status": "queued", "to": message.to, "error_code": None}, 201)

    def report(self, message: Message, status: str, code: str = "") -> tuple[dict[str, str], str]:
        """Return the form of a report about a message, and its signature."""
        form = {"MessageSid": message.sid, "MessageStatus": status, "To": message.to, "AccountSid": SID}
        form |= {"ErrorCode": code} if code else {}
        return form, sign(message.callback, form, self.token)


def sign(url: str, form: dict[str, str], token: str) -> str:
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def problem(status: int, code: int, message: str, **more: Any) -> Answer:
    info = f"https://www.twilio.com/docs/errors/{code}"
    return Answer.json({"code": code, "message": message, "more_info": info, "status": status, **more}, status)


def _wrong(form: dict[str, str]) -> str:
    if unknown := form.keys() - _KNOWN:
        return f"unknown {sorted(unknown)}"
    if not form.get("Body") or len(form["Body"]) > BODY_MAX:
        return "Message body is required"
    return (
        "" if bool(form.get("From")) != bool(form.get("MessagingServiceSid")) else "one of From and MessagingServiceSid"
    )
