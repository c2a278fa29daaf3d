"""A stateful Slack Web API on loopback: channels, messages, threads, scopes and limits as docs.slack.dev states them.

Its truth is `messages`; `refused` names every request that Slack itself would not have taken.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.base import Answer, Double, Fault, Request

ALL_SCOPES = frozenset(
    {"chat:write", "channels:read", "groups:read", "channels:history", "groups:history", "chat:write.public"}
)
_SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "conversations.list": "channels:read",
    "conversations.info": "channels:read",
    "usergroups.list": "usergroups:read",
}
RESPONSES_MAX, RESPONSES_WITHIN = (
    5,
    30 * 60.0,
)  # https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
TOKEN = "xoxb-canary"
BLOCKS_MAX = 50  # https://docs.slack.dev/reference/block-kit/blocks
SECTION_MAX = 3000
FIELD_MAX = 2000
HEADER_MAX = 150
BUTTON_MAX = 75
TEXT_MAX = 40_000  # https://docs.slack.dev/reference/methods/chat.postMessage
BLOCKS_CHARS_MAX = 13_200  # slackapi/bolt-js 2509: msg_blocks_too_long above it


class Refusal(Exception):
    """Slack's error code for a request that it does not take."""

    def __init__(self, error: str, why: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.why = why or error


@dataclass
class Message:
    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    attachments: list[dict[str, Any]]
    metadata: dict[str, Any] | None
    thread_ts: str
    broadcast: bool
    posted_at: float
    edited: int = 0
    versions: list[list[dict[str, Any]]] = field(default_factory=list)  # the blocks of every write, in their order

    @property
    def shown(self) -> str:
        """All that a reader can see, as Slack was sent it."""
        return json.dumps([self.text, self.blocks, self.attachments], ensure_ascii=False)


@dataclass
class ResponseAddress:
    """What a response_url was given out for, and what was sent there. `message`: the one whose button was pressed."""

    message: Message | None
    given_at: float
    uses: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)  # that only who asked can see
    replaced: int = 0


class Slack(Double):
    """`channels` maps names to ids, `groups` ids of user groups to (handle, members). `scopes` are the token's.

    `clock` may be moved by a test. `addresses` maps what `response_url()` gave out to what was sent there.
    """

    def __init__(self, port: int = 0, *, token: str = TOKEN, enforce_rate: bool = False) -> None:
        super().__init__(port)
        self.token = token
        self.scopes: set[str] = set(ALL_SCOPES)
        self.channels = {"outages": "C0OUTAGES1", "general": "C0GENERAL1"}
        self.not_member: set[str] = set()  # names of channels in which the bot is not
        self.archived: set[str] = set()
        self.messages: list[Message] = []
        self.groups: dict[str, tuple[str, list[str]]] = {}
        self.addresses: dict[str, ResponseAddress] = {}
        self._answered = threading.Condition(self.lock)
        self.enforce_rate = enforce_rate
        self.rate_limited = 0
        self.search_lag = 0.0
        self.clock: Callable[[], float] = time.monotonic
        self._last_post: dict[str, float] = {}
        self._count = 0

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    def roots(self, channel: str = "outages") -> list[Message]:
        place = self.channels.get(channel, channel)
        return [message for message in self.messages if message.channel == place and not message.thread_ts]

    def replies(self, ts: str) -> list[Message]:
        return [message for message in self.messages if message.thread_ts == ts]

    def response_url(self, message: Message | None = None) -> str:
        """Give out an address as a command carries it, or a pressed button on `message`."""
        with self.lock:
            url = f"{self.url}/actions/T0EXAMPLE1/{len(self.addresses) + 1:012d}/a-secret-of-its-own"
            self.addresses[url] = ResponseAddress(message, self.clock())
            return url

    def followed(self, url: str, seconds: float = 20.0, number: int = 1) -> str:
        """Return what the last answer at a response_url shows, waiting for so many; "" when none comes."""
        with self._answered:
            answers = self.addresses[url].answers
            self._answered.wait_for(lambda: len(answers) >= number, seconds)
            last = answers[-1] if answers else {"blocks": []}
        return "\n".join(block["text"]["text"] for block in last["blocks"])

    def hang(self, seconds: float = 60.0) -> None:
        """Answer nothing from now on, whatever is asked."""
        self.FAULTS = (Fault.HANG,)
        self.hang_seconds = seconds
        self.chaos(1.0)

    def person_deletes(self, external_id: str) -> None:
        """A person deletes a message, given as channel:ts."""
        with self.lock:
            self.messages = [each for each in self.messages if f"{each.channel}:{each.ts}" != external_id]

    def handle(self, request: Request) -> Answer:
        if request.path.startswith("/actions/"):
            return self._respond(request)
        method = request.path.removeprefix("/api/")
        try:
            values = self._values(request)
            self._authorise(request, values, method)
            return self._call(method)(values)
        except Refusal as refusal:
            if refusal.error == "ratelimited":
                self.rate_limited += 1
                return Answer.json({"ok": False, "error": "ratelimited"}, 429, **{"Retry-After": self.retry_after})
            self.refused.append(f"{method}: {refusal.why}")
            needed = {"needed": _SCOPES.get(method, "")} if refusal.error == "missing_scope" else {}
            return Answer.json({"ok": False, "error": refusal.error, **needed})

    def _call(self, method: str) -> Callable[[dict[str, Any]], Answer]:
        calls = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.list": self._list,
            "conversations.info": self._info,
            "usergroups.list": self._groups,
        }
        if method not in calls:
            raise Refusal("unknown_method")
        return calls[method]

    def _values(self, request: Request) -> dict[str, Any]:
        values: dict[str, Any] = dict(request.query)
        kind = next((v for k, v in request.headers.items() if k.lower() == "content-type"), "")
        if "application/json" in kind and request.body:
            values |= request.json()
        elif request.body:
            values |= request.form()
        for name in ("blocks", "attachments", "metadata"):
            if isinstance(values.get(name), str):
                values[name] = json.loads(values[name])
        return values

    def _authorise(self, request: Request, values: dict[str, Any], method: str) -> None:
        header = next((v for k, v in request.headers.items() if k.lower() == "authorization"), "")
        token = header.removeprefix("Bearer ") or values.get("token", "")
        if not token:
            raise Refusal("not_authed")
        if token != self.token:
            raise Refusal("invalid_auth")
        scope = _SCOPES.get(method)
        if scope and scope not in self.scopes:
            raise Refusal("missing_scope", f"missing_scope {scope}")

    def _auth_test(self, _: dict[str, Any]) -> Answer:
        said = {"ok": True, "url": "https://example.slack.com/", "team": "Example", "user_id": "U1", "bot_id": "B1"}
        headers = {"Content-Type": "application/json", "x-oauth-scopes": ",".join(sorted(self.scopes))}
        return Answer(200, json.dumps(said).encode(), headers)

    def _groups(self, values: dict[str, Any]) -> Answer:
        with_users = str(values.get("include_users", "")).lower() in ("true", "1")
        listed = [{"id": id, "handle": handle, "users": users} for id, (handle, users) in self.groups.items()]
        for group in listed if not with_users else []:
            del group["users"]
        return Answer.json({"ok": True, "usergroups": listed})

    def _respond(self, request: Request) -> Answer:
        address, values = self.addresses.get(self.url + request.path), request.json()
        if address is None:
            return self.refuse(request, "no_such_response_url", 404)
        if address.uses >= RESPONSES_MAX:
            return self.refuse(request, "used_url", 404)
        if self.clock() - address.given_at > RESPONSES_WITHIN:
            return self.refuse(request, "expired_url", 404)
        address.uses += 1
        try:
            self._check_content(values)
        except Refusal as refusal:
            return self.refuse(request, refusal.why)
        if values.get("replace_original") is not True:
            address.answers.append(values)
        elif address.message is None:
            return self.refuse(request, "no_original", 404)
        else:
            address.replaced += 1
            _write(address.message, {"blocks": [], "attachments": [], "metadata": None, "text": "", **values})
            address.message.edited += 1
        self._answered.notify_all()
        return Answer(200, b"ok", {"Content-Type": "text/plain"})

    def _list(self, values: dict[str, Any]) -> Answer:
        if "private_channel" in values.get("types", "") and "groups:read" not in self.scopes:
            raise Refusal("missing_scope", "missing_scope groups:read")
        listed = sorted(self.channels.items())
        start, limit = int(values.get("cursor") or 0), int(values.get("limit") or 100)
        found = [{"id": place, "name": name, "is_archived": False} for name, place in listed[start : start + limit]]
        cursor = str(start + limit) if start + limit < len(listed) else ""
        return Answer.json({"ok": True, "channels": found, "response_metadata": {"next_cursor": cursor}})

    def _info(self, values: dict[str, Any]) -> Answer:
        """https://docs.slack.dev/reference/methods/conversations.info"""
        place = self._channel(values.get("channel", ""), names=False)
        name = next(name for name, id in self.channels.items() if id == place)
        shown = {"is_member": name not in self.not_member, "is_archived": name in self.archived, "is_private": False}
        return Answer.json({"ok": True, "channel": {"id": place, "name": name, **shown}})

    def _post(self, values: dict[str, Any]) -> Answer:
        channel = self._channel(values.get("channel", ""), names=True)
        self._check_content(values)
        thread_ts = values.get("thread_ts", "")
        if thread_ts and not any(m.ts == thread_ts and m.channel == channel for m in self.messages):
            raise Refusal("thread_not_found")
        self._limit(channel)
        self._count += 1
        message = Message(
            channel=channel,
            ts=f"{int(time.time())}.{self._count:06d}",
            text=values.get("text", ""),
            blocks=values.get("blocks") or [],
            attachments=values.get("attachments") or [],
            metadata=values.get("metadata"),
            thread_ts=thread_ts,
            broadcast=str(values.get("reply_broadcast", "")).lower() in ("true", "1"),
            posted_at=self.clock(),
        )
        message.versions.append(message.blocks)
        self.messages.append(message)
        return Answer.json({"ok": True, "channel": channel, "ts": message.ts, "message": _as_json(message, True)})

    def _update(self, values: dict[str, Any]) -> Answer:
        channel = self._channel(values.get("channel", ""), names=False)
        message = next((m for m in self.messages if m.channel == channel and m.ts == values.get("ts")), None)
        if message is None:
            raise Refusal("message_not_found")
        self._check_content(values)
        _write(message, values)
        message.edited += 1
        said = {"ok": True, "channel": channel, "ts": message.ts, "text": message.text}
        return Answer.json({**said, "message": _as_json(message, True)})

    def _history(self, values: dict[str, Any]) -> Answer:
        channel = self._channel(values.get("channel", ""), names=False)
        oldest = float(values.get("oldest") or 0)
        seen = [m for m in self._visible() if m.channel == channel and (not m.thread_ts or m.broadcast)]
        return self._page([m for m in reversed(seen) if float(m.ts) >= oldest], values)

    def _replies(self, values: dict[str, Any]) -> Answer:
        channel = self._channel(values.get("channel", ""), names=False)
        ts = values.get("ts", "")
        if not any(m.ts == ts and m.channel == channel for m in self.messages):
            raise Refusal("thread_not_found")
        return self._page([m for m in self._visible() if ts in (m.ts, m.thread_ts)], values)

    def _visible(self) -> list[Message]:
        until = self.clock() - self.search_lag
        return [message for message in self.messages if message.posted_at <= until]

    def _page(self, found: list[Message], values: dict[str, Any]) -> Answer:
        limit, start = int(values.get("limit") or 100), int(values.get("cursor") or 0)
        if not 1 <= limit <= 999:
            raise Refusal("invalid_limit")
        with_metadata = str(values.get("include_all_metadata", "")).lower() in ("true", "1")
        shown = [_as_json(message, with_metadata) for message in found[start : start + limit]]
        more = start + limit < len(found)
        said: dict[str, Any] = {"ok": True, "messages": shown, "has_more": more}
        return Answer.json(said | {"response_metadata": {"next_cursor": str(start + limit)}} if more else said)

    def _channel(self, given: str, *, names: bool) -> str:
        if given in self.channels.values():
            return given
        if names and given.removeprefix("#") in self.channels:
            return self.channels[given.removeprefix("#")]
        raise Refusal("channel_not_found", f"channel_not_found {given}")

    def _limit(self, channel: str) -> None:
        now = self.clock()
        if self.enforce_rate and now - self._last_post.get(channel, -10.0) < 1.0:
            raise Refusal("ratelimited")
        self._last_post[channel] = now

    def _check_content(self, values: dict[str, Any]) -> None:
        blocks, attachments = values.get("blocks") or [], values.get("attachments") or []
        if not (values.get("text") or blocks or attachments):
            raise Refusal("no_text")
        if len(values.get("text") or "") > TEXT_MAX:
            raise Refusal("msg_too_long")
        if len(attachments) > 100:
            raise Refusal("too_many_attachments")
        for part in [blocks, *(attachment.get("blocks") or [] for attachment in attachments)]:
            _check_blocks(part)
        if len(json.dumps([blocks, attachments], ensure_ascii=False)) > BLOCKS_CHARS_MAX:
            raise Refusal("msg_blocks_too_long")
        _check_metadata(values.get("metadata"))


def _write(message: Message, values: dict[str, Any]) -> None:
    message.text = values.get("text", message.text)
    message.blocks = values.get("blocks", message.blocks)
    message.attachments = values.get("attachments", message.attachments)
    message.metadata = values.get("metadata", message.metadata)
    message.versions.append(message.blocks)


def _check_metadata(metadata: Any) -> None:
    if metadata is None:
        return
    payload = metadata.get("event_payload")
    if not metadata.get("event_type") or not isinstance(payload, dict):
        raise Refusal("invalid_metadata_format")
    if any(isinstance(value, dict | list) for value in payload.values()):
        raise Refusal("invalid_metadata_schema")


def _check_blocks(blocks: list[dict[str, Any]]) -> None:
    if len(blocks) > BLOCKS_MAX:
        raise Refusal("invalid_blocks", f"{len(blocks)} blocks")
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(set(ids)) < len(ids) or any(not 1 <= len(id) <= 255 for id in ids):
        raise Refusal("invalid_blocks", f"block_id {ids}")
    for block in blocks:
        match block["type"]:
            case "header":
                _check_text(block["text"], HEADER_MAX, kinds=("plain_text",))
            case "section":
                _check_section(block)
            case "context":
                _check_count(block["elements"], 10)
                for element in block["elements"]:
                    _check_text(element, SECTION_MAX)
            case "actions":
                _check_count(block["elements"], 25)
                for element in block["elements"]:
                    _check_button(element)
            case "divider":
                pass
            case other:
                raise Refusal("invalid_blocks", f"block {other}")


def _check_section(block: dict[str, Any]) -> None:
    if "text" not in block and "fields" not in block:
        raise Refusal("invalid_blocks", "section without text")
    if "text" in block:
        _check_text(block["text"], SECTION_MAX)
    if "fields" in block:
        _check_count(block["fields"], 10)
        for field in block["fields"]:
            _check_text(field, FIELD_MAX)


def _check_menu(element: dict[str, Any]) -> None:
    """https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element"""
    _check_text(element["placeholder"], 150, kinds=("plain_text",))
    _check_count(element["options"], 100)
    for option in element["options"]:
        _check_text(option["text"], 75, kinds=("plain_text",))
        if not 1 <= len(option["value"]) <= 150:
            raise Refusal("invalid_blocks", "option value")
    _check_confirm(element)


def _check_confirm(element: dict[str, Any]) -> None:
    for part, limit in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)) if "confirm" in element else ():
        _check_text(element["confirm"][part], limit)


def _check_button(element: dict[str, Any]) -> None:
    if element["type"] == "static_select":
        return _check_menu(element)
    if element["type"] != "button" or len(element.get("action_id", "")) > 255:
        raise Refusal("invalid_blocks", "button")
    _check_text(element["text"], BUTTON_MAX, kinds=("plain_text",))
    _check_confirm(element)
    if len(element.get("value", "")) > 2000 or len(element.get("url", "")) > 3000:
        raise Refusal("invalid_blocks", "button value")
    return None


def _check_text(text: dict[str, Any], limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> None:
    if text.get("type") not in kinds or not 1 <= len(text.get("text", "")) <= limit:
        raise Refusal("invalid_blocks", f"text of {len(text.get('text', ''))} characters, {limit} allowed")
    if text["type"] == "mrkdwn" and "emoji" in text:
        raise Refusal("invalid_blocks", "emoji is for plain_text only")


def _check_count(elements: list[Any], limit: int) -> None:
    if not 1 <= len(elements) <= limit:
        raise Refusal("invalid_blocks", f"{len(elements)} elements, {limit} allowed")


def _as_json(message: Message, with_metadata: bool) -> dict[str, Any]:
    said: dict[str, Any] = {
        "type": "message",
        "user": "U1",
        "bot_id": "B1",
        "ts": message.ts,
        "text": message.text,
        "blocks": message.blocks,
        "attachments": message.attachments,
    }
    if message.thread_ts:
        said["thread_ts"] = message.thread_ts
    if message.edited:
        said["edited"] = {"user": "U1", "ts": message.ts}
    if with_metadata and message.metadata:
        said["metadata"] = message.metadata
    return said
