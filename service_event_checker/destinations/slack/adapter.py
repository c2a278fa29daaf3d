"""One living Slack message per episode: posted once, edited in place while it lasts, one reply when it is over.

message.py writes the message, client.py calls Slack. Needs the scope chat:write;
with channels:history (groups:history) and channels:read (groups:read) it can look before it posts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

from service_event_checker.config.fields import API_URL, Address
from service_event_checker.config.models import CHAT_BUDGET, DestinationConfig, Duration, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Budget, Delivery, Link
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Status, Verb
from service_event_checker.destinations.slack import message as text_slack
from service_event_checker.destinations.slack import probe
from service_event_checker.destinations.slack.client import SlackCalls, SlackRefusal, web_api
from service_event_checker.destinations.slack.writes import MessageWrites
from service_event_checker.render import voice
from service_event_checker.render.own import Form

EVENT_TYPE = "outage_alert"  # metadata of the message itself
END_TYPE = "outage_end"  # metadata of the reply that says that it is over
NOTE_TYPE = "outage_note"  # metadata of a reply that people are to notice while it lasts
SCOPES_TO_LOOK = frozenset({"channels:history", "groups:history"})
SCOPES_TO_LIST = frozenset({"channels:read", "groups:read"})
BOT_TOKEN = "xoxb-"  # noqa: S105  # how a bot's token begins
TURN_SECONDS = 2.0  # that an edit waits for the answer to a press, which writes the same message
_VERBS = {Status.FIRING: Verb.UPDATE, Status.ACKNOWLEDGED: Verb.ACK, Status.RESOLVED: Verb.CLOSE}
_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{6,}")
_MAY_NOT_LOOK = frozenset({"missing_scope", "unknown_method", "not_in_channel", "channel_not_found"})


class Config(DestinationConfig):
    """`channel` is a name or an id (an id needs one scope less); `announce_end`: how the end is told."""

    DISPLAY_NAME: ClassVar[str] = "Slack"
    SETTLE: ClassVar[timedelta] = timedelta(seconds=5)
    STORM: ClassVar[Budget | None] = CHAT_BUDGET
    RATE: ClassVar[tuple[float, int]] = (0.8, 5)  # https://docs.slack.dev/apis/web-api/rate-limits: 1 message/s/channel
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "token": ("SLACK_BOT_TOKEN",),
        "channel": ("SLACK_CHANNEL",),
        "url": ("SLACK_API_URL",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("token",)
    RENAMED: ClassVar[dict[str, str]] = API_URL
    STAND_IN: ClassVar[str] = "console"

    kind: Literal["slack"] = "slack"
    token: SecretStr | None = None
    """bot token (`xoxb-…`), scope `chat:write`; with `channels:history` and `channels:read`, it can search for its
    message after a timeout, so that it does not post twice; unset: messages are printed on the console"""
    channel: str = "#outages"
    """name or id"""
    url: Address = "https://slack.com/api/"
    """for a proxy or a test"""
    announce_end: Literal["thread", "channel", "edit"] = "thread"
    """how the end is announced: `thread` (a reply), `channel` (the reply is also shown in the channel), `edit` (no
    reply)"""
    buttons: bool = True
    """whether messages carry buttons"""
    look_back: Duration = timedelta(days=1)
    """how far back it searches for its own message"""

    def cautions(self) -> tuple[str, ...]:
        if not self.token or secret(self.token).startswith(BOT_TOKEN):
            return ()
        return (f"token: is not a bot token. Give the Bot User OAuth Token, which begins with {BOT_TOKEN}",)


class Adapter:
    """Safe for several threads: they share one session, and the channel's id, which is only ever set to one value.

    `button_key` gives the key that signs the buttons (b"": no buttons), `ticket_receivers` are the names of the
    ticket systems, whose link takes the place of the button for a ticket. Whoever builds the adapter sets both.
    `writes` orders this process' writes to a message.
    """

    family = Family.CHAT
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self.button_key: Callable[[], bytes] = bytes
        self._http = web_api(config.url, secret(config.token))
        self.ticket_receivers: frozenset[str] = frozenset()
        self.writes = MessageWrites()
        self._workspace = ""
        self._channel_id = config.channel if _CHANNEL_ID.fullmatch(config.channel) else ""

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Post, edit or close the episode's message; see `core.ports.Destination`."""
        calls = self._calls()
        if delivery.verb is Verb.OPEN and not (link and link.external_id):
            return self._post(calls, delivery, alert, link)
        if link is None or ":" not in link.external_id:
            raise DeliveryError(Reason.NOT_FOUND, "no message of this episode is known", permanent=True)
        if delivery.verb is Verb.CLOSE:
            self._close(calls, delivery, alert, link)
        else:
            self._edit(calls, delivery, alert, link)
            if delivery.loud:
                mark = {"key": link.remote_key, "revision": delivery.revision}
                self._reply(calls, link, NOTE_TYPE, mark, text_slack.note_text(delivery))
        return link

    def state_of_now(self, alert: Alert, link: Link) -> dict[str, Any]:
        """Return the whole message as the alert is now, whatever changed it: for a write past the outbox."""
        change = Delivery(
            key=alert.key,
            episode=alert.episode,
            revision=alert.revision,
            receiver=self.name,
            verb=_VERBS[alert.status],
            actor=alert.owner,
        )
        with voice.speaking(self.name):
            return {"metadata": _mark(link), **self._content(change, alert, link)}

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return the notification and the text of the blocks."""
        made = self._content(delivery, alert, None)
        return {text_slack.TEXT: made["text"], text_slack.MRKDWN: text_slack.shown(made)}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return text_slack.FORMS

    def find(self, remote_key: str) -> Link | None:
        """Look for the message among the channel's newest; None as well where the token may not look."""
        calls = self._calls()
        try:
            channel = self._known_channel(calls)
            ts = self._look(calls, channel, remote_key) if channel else ""
        except SlackRefusal as refusal:
            if refusal.code in _MAY_NOT_LOOK:
                return None  # at least once: `preflight` says so at start
            raise
        if not ts:
            return None
        message, url = f"{channel}:{ts}", self._address(channel, ts)
        return Link(key="", episode=0, receiver=self.name, remote_key=remote_key, external_id=message, url=url)

    def preflight(self) -> list[str]:
        """Ask Slack what the token may do and say what will be worse for it; one call, for the start.

        From then on the links of messages have an address.
        """
        try:
            self._workspace, scopes = self._calls().identity()
        except DeliveryError as error:
            return [f"{self.name}: Slack could not be asked about the token: {error}"]
        return [] if scopes is None else list(self._lacks(scopes))

    def probe(self) -> ProbeResult:
        """Sign in, and look whether the bot may post in the channel; posts nothing."""
        calls = self._calls()
        self._workspace, scopes = calls.identity()
        lacks = () if scopes is None else tuple(self._lacks(scopes))
        return probe.of_channel(calls, self.config.channel, self._known_channel, scopes, lacks)

    def _lacks(self, scopes: frozenset[str]) -> Iterator[str]:
        twice = "after a time-out a message may appear twice"
        if "chat:write" not in scopes:
            yield f"{self.name}: the token lacks chat:write, nothing can be posted"
        if not scopes & SCOPES_TO_LOOK:
            yield f"{self.name}: the token lacks channels:history, {twice}"
        if not self._channel_id and not scopes & SCOPES_TO_LIST:
            yield f"{self.name}: the token lacks channels:read, {twice}; grant it or configure the channel's id"

    def _calls(self) -> SlackCalls:
        return SlackCalls(self._http, self.config.timeout.total_seconds())

    def _post(self, calls: SlackCalls, delivery: Delivery, alert: Alert, link: Link | None) -> Link:
        key = link.remote_key if link else remote_key(alert.key, delivery.episode)
        answer = calls.send(
            "chat.postMessage",
            channel=self._channel_id or self.config.channel,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
            unfurl_links=False,
            unfurl_media=False,
            **self._content(delivery, alert, link),
        )
        channel, ts = answer.get("channel"), answer.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise DeliveryError(Reason.GARBAGE, "chat.postMessage: the answer names no message")
        self._channel_id = channel
        return Link(
            key=alert.key,
            episode=delivery.episode,
            receiver=delivery.receiver,
            remote_key=key,
            external_id=f"{channel}:{ts}",
            url=self._address(channel, ts),
            previous=link.previous if link else "",
        )

    def _address(self, channel: str, ts: str) -> str:
        """Return where a person opens a message, as `chat.getPermalink` would; "" until `preflight` has asked."""
        return f"{self._workspace.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}" if self._workspace else ""

    def _edit(self, calls: SlackCalls, delivery: Delivery, alert: Alert, link: Link) -> None:
        """Write the state of the claim, unless a press has shown a later one: its own delivery follows."""
        message = link.external_id
        channel, _, ts = message.partition(":")
        with self.writes.turn(message, min(TURN_SECONDS, self.config.timeout.total_seconds() / 2)):
            if self.writes.shown(message) > alert.revision:
                return
            self.writes.record(message, 0)  # until it is known what became of this one
            content = self._content(delivery, alert, link)
            calls.send("chat.update", channel=channel, ts=ts, metadata=_mark(link), **content)
            self.writes.record(message, alert.revision)

    def _close(self, calls: SlackCalls, delivery: Delivery, alert: Alert, link: Link) -> None:
        try:
            self._edit(calls, delivery, alert, link)
        except SlackRefusal as refusal:
            if refusal.code != "edit_window_closed":  # a workspace's setting; the reply can still tell the end
                raise
        if self.config.announce_end != "edit":
            self._announce_end(calls, delivery, alert, link)

    def _announce_end(self, calls: SlackCalls, delivery: Delivery, alert: Alert, link: Link) -> None:
        mark = {"key": link.remote_key, "episode": delivery.episode}
        to_all = self.config.announce_end == "channel"
        self._reply(calls, link, END_TYPE, mark, text_slack.end_text(alert, delivery), to_all=to_all)

    def _reply(
        self,
        calls: SlackCalls,
        link: Link,
        event_type: str,
        mark: Mapping[str, object],
        text: str,
        *,
        to_all: bool = False,
    ) -> None:
        """Reply in the thread of the message, once for each mark. An edit alone is noticed by nobody."""
        channel, _, ts = link.external_id.partition(":")
        if self._replied(calls, channel, ts, event_type, mark):
            return
        calls.send(
            "chat.postMessage",
            channel=channel,
            thread_ts=ts,
            reply_broadcast=to_all,
            metadata={"event_type": event_type, "event_payload": mark},
            text=text,
        )

    def _replied(self, calls: SlackCalls, channel: str, ts: str, event_type: str, mark: Mapping[str, object]) -> bool:
        replies = calls.pages("conversations.replies", "messages", channel=channel, ts=ts, include_all_metadata=True)
        try:
            return any(_carries(reply, event_type, mark) for reply in replies)
        except SlackRefusal as refusal:
            if refusal.code in _MAY_NOT_LOOK:
                return False
            raise

    def _look(self, calls: SlackCalls, channel: str, key: str) -> str:
        """Return the ts of the message that carries `key`, or ""."""
        oldest = f"{time.time() - self.config.look_back.total_seconds():.6f}"
        messages = calls.pages(
            "conversations.history", "messages", channel=channel, oldest=oldest, include_all_metadata=True
        )
        return next((str(m.get("ts", "")) for m in messages if _carries(m, EVENT_TYPE, {"key": key})), "")

    def _known_channel(self, calls: SlackCalls) -> str:
        """Return the channel's id, asked for once; "" where no such channel is listed."""
        if self._channel_id:
            return self._channel_id
        try:
            self._channel_id = self._listed(calls, "public_channel,private_channel")
        except SlackRefusal as refusal:
            if refusal.code != "missing_scope":
                raise
            self._channel_id = self._listed(calls, "public_channel")  # without groups:read
        return self._channel_id

    def _listed(self, calls: SlackCalls, types: str) -> str:
        wanted = self.config.channel.removeprefix("#")
        listed = calls.pages("conversations.list", "channels", types=types, exclude_archived=True)
        return next((str(channel.get("id", "")) for channel in listed if channel.get("name") == wanted), "")

    def _content(self, delivery: Delivery, alert: Alert, link: Link | None) -> dict[str, Any]:
        previous = link.previous if link else ""
        key = self.button_key() if self.config.buttons else b""
        tickets = self.ticket_receivers
        return text_slack.content(alert, delivery, button_key=key, ticket_receivers=tickets, previous=previous)


def _mark(link: Link) -> dict[str, Any]:
    """Return the metadata by which the message is found again."""
    return {"event_type": EVENT_TYPE, "event_payload": {"key": link.remote_key}}


def _carries(message: Mapping[str, Any], event_type: str, payload: Mapping[str, object]) -> bool:
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != event_type:
        return False
    found = metadata.get("event_payload")
    return isinstance(found, dict) and all(found.get(name) == value for name, value in payload.items())
