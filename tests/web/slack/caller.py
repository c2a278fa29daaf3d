"""Calls our Slack routes as Slack does: forms signed with the app's secret, the fields as docs.slack.dev has them."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import threading
import time
from typing import Any
from urllib.parse import urlencode

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.destinations.slack.double import Message

SECRET = "e3b0c44298fc1c149afbf4c8996fb924"
_numbers = itertools.count(1)


def signed(body: bytes, secret: str = SECRET, stamp: int | None = None) -> dict[str, str]:
    """Return the headers that Slack sends with a body."""
    at = str(int(time.time()) if stamp is None else stamp)
    mac = hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={mac}"}


def command_form(command: str, text: str = "", **fields: str) -> bytes:
    known = {
        "token": "retired",
        "team_id": "T0EXAMPLE1",
        "channel_id": "C0OUTAGES1",
        "channel_name": "outages",
        "user_id": "U0ALICE001",
        "user_name": "alice",
        "command": command,
        "text": text,
        "api_app_id": "A0EXAMPLE1",
        "is_enterprise_install": "false",
        "response_url": "https://hooks.slack.com/commands/T0EXAMPLE1/1/x",
        "trigger_id": f"{next(_numbers)}.2.abc",
    }
    return urlencode(known | fields).encode()


def press_form(action: str, value: str, user: str = "alice", **fields: Any) -> bytes:
    payload = {
        "type": "block_actions",
        "user": {"id": f"U0{user.upper()}", "username": user, "name": user, "team_id": "T0EXAMPLE1"},
        "team": {"id": "T0EXAMPLE1", "domain": "example"},
        "channel": {"id": "C0OUTAGES1", "name": "outages"},
        "container": {"type": "message", "message_ts": "1.000001", "channel_id": "C0OUTAGES1"},
        "trigger_id": f"{next(_numbers)}.2.abc",
        "response_url": "https://hooks.slack.com/actions/T0EXAMPLE1/1/x",
        "actions": [{"action_id": action, "block_id": "b", "type": "button", "value": value, "action_ts": "1.1"}],
    }
    return urlencode({"payload": json.dumps(payload | fields)}).encode()


class SlackCaller:
    """A workspace whose people talk to our app."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def send(self, route: str, body: bytes) -> TestResponse:
        kind = "application/x-www-form-urlencoded"
        return self.client.post(f"/slack/{route}", data=body, content_type=kind, headers=signed(body))

    def command(self, command: str, text: str = "", **fields: str) -> str:
        """Return all that the answer shows."""
        answer = self.send("commands", command_form(command, text, **fields))
        assert answer.status_code == 200, answer.text
        assert answer.json["response_type"] == "ephemeral"
        return shown(answer.json)

    def press(self, action: str, value: str, user: str = "alice", **fields: Any) -> None:
        answer = self.send("interactions", press_form(action, value, user, **fields))
        assert (answer.status_code, answer.data) == (200, b"")


def on(message: Message) -> dict[str, str]:
    """Return what a press says of the message that its button is on."""
    return {"type": "message", "message_ts": message.ts, "channel_id": message.channel}


def answered() -> None:
    """Wait until the app has done all that it does beside its requests."""
    for thread in threading.enumerate():
        if thread.name == "slack-work":
            thread.join(30)


def shown(reply: dict[str, Any]) -> str:
    return "\n".join(block["text"]["text"] for block in reply["blocks"])
