"""A stateful Telegram Bot API on loopback: https://core.telegram.org/bots/api (sendMessage, editMessageText).

A chat takes 20 messages a minute and 4096 UTF-16 units after the entities are parsed; HTML must be well formed.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

from tests.destinations.robots.double import RobotDouble
from tests.doubles.base import Answer, Request

TOKEN = "123456:canary4711-AAHdqTcvCH1vGWJxfSeofSAs0K5"
CHAT = -1001234567890
TEXT_MAX = 4096  # UTF-16 units
_TAGS = frozenset({"b", "i", "u", "s", "a", "code", "pre"})
_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|#\d+|#x[0-9a-f]+);)")


def problem(code: int, description: str, **parameters: int) -> Answer:
    told = {"parameters": parameters} if parameters else {}
    return Answer.json({"ok": False, "error_code": code, "description": description, **told}, code)


class Telegram(RobotDouble):
    """`posted`: the messages by id, each a list of its texts; `replies`: (id, text) of what answers one.

    `chat`, `member`: what getChat and getChatMember tell. `moved_to`: the id of the supergroup that the chat has
    become.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.token = TOKEN
        self.posted: dict[int, list[str]] = {}
        self.replies: list[tuple[int, str]] = []
        self.moved_to = 0
        self.chat: dict[str, Any] = {"id": CHAT, "type": "supergroup", "title": "Outages"}
        self.member: dict[str, Any] = {"status": "member", "user": {"id": 123456}}
        self.retry_seconds = 34
        self._next = 0

    @property
    def address(self) -> str:
        return self.url

    def too_fast(self) -> Answer:
        said = f"Too Many Requests: retry after {self.retry_seconds}"
        return problem(429, said, retry_after=self.retry_seconds)

    def person_deletes(self, message_id: int) -> None:
        del self.posted[message_id]

    def handle(self, request: Request) -> Answer:
        token, _, method = request.path.removeprefix("/bot").partition("/")
        if token != self.token:
            return problem(401, "Unauthorized")
        body = request.json()
        if method == "getMe":
            return Answer.json({"ok": True, "result": {"id": 123456, "is_bot": True, "username": "outages_bot"}})
        if str(body.get("chat_id")) not in (str(CHAT), "@outages", str(self.moved_to)):
            return problem(400, "Bad Request: chat not found")
        if self.moved_to and str(body["chat_id"]) != str(self.moved_to):
            said = "Bad Request: group chat was upgraded to a supergroup chat"
            return problem(400, said, migrate_to_chat_id=self.moved_to)
        if method in ("getChat", "getChatMember"):
            return Answer.json({"ok": True, "result": self.chat if method == "getChat" else self.member})
        if why := _wrong(body):
            self.refused.append(why)
            return problem(400, f"Bad Request: {why}")
        call = {"sendMessage": self._send, "editMessageText": self._edit}.get(method)
        return call(request, body) if call else problem(404, "Not Found")

    def _send(self, request: Request, body: dict[str, Any]) -> Answer:
        if refusal := self.take(request):
            return refusal
        self._next += 1
        self.posted[self._next] = [body["text"]]
        if "reply_parameters" in body:
            self.replies.append((body["reply_parameters"]["message_id"], body["text"]))
        return self._ok(self._next, body["text"])

    def _edit(self, _request: Request, body: dict[str, Any]) -> Answer:
        versions = self.posted.get(body["message_id"])
        if versions is None:
            return problem(400, "Bad Request: message to edit not found")
        if versions[-1] == body["text"]:
            said = "Bad Request: message is not modified: specified new message content and reply markup are exactly"
            return problem(400, f"{said} the same as a current content and reply markup of the message")
        versions.append(body["text"])
        return self._ok(body["message_id"], body["text"])

    def _ok(self, message_id: int, text: str) -> Answer:
        chat = {"id": self.moved_to or CHAT, "type": "supergroup"}
        return Answer.json({"ok": True, "result": {"message_id": message_id, "date": 1, "chat": chat, "text": text}})


def _wrong(body: dict[str, Any]) -> str:
    text = body.get("text", "")
    if body.get("parse_mode") != "HTML":
        return "parse_mode"
    if _ENTITY.search(text):
        return "can't parse entities: unknown entity"
    reader = _Reader()
    reader.feed(text)
    if reader.wrong or reader.open:
        return f"can't parse entities: {reader.wrong or reader.open}"
    shown = html.unescape(re.sub(r"<[^<>]*>", "", text))
    if not 1 <= len(shown.encode("utf-16-le")) // 2 <= TEXT_MAX:
        return "message is too long" if shown else "message text is empty"
    return ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag not in _TAGS or {name for name, _ in attrs} - ({"href"} if tag == "a" else set()):
            self.wrong = f"tag {tag}"

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong = f"end of {tag}"
