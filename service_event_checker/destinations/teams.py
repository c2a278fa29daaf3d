"""Microsoft Teams by a Workflows webhook: an Adaptive Card. 202 says that the flow took it, not that it was shown.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from service_event_checker.config.models import secret
from service_event_checker.core.errors import Reason
from service_event_checker.core.vocabulary import Severity
from service_event_checker.remote.robots.config import RobotConfig, SecretAddress
from service_event_checker.remote.robots.dialect import Answers, Dialect, Meaning
from service_event_checker.remote.robots.robot import Robot
from service_event_checker.render.markup import IN_MARKDOWN_URL, MARKDOWN_LINK, Markup
from service_event_checker.render.message import Message
from service_event_checker.render.splitting import in_json

COLOURS = {Severity.CRITICAL: "attention", Severity.ERROR: "attention", Severity.WARNING: "warning"}
ACTIONS_MAX = 4
RETIRED = ".webhook.office.com"  # connectors, switched off in May 2026
_CARD = "application/vnd.microsoft.card.adaptive"


class Config(RobotConfig):
    DISPLAY_NAME: ClassVar[str] = "Teams"
    RATE: ClassVar[tuple[float, int]] = (0.25, 3)  # a channel takes about 20 a minute
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {"url": ("TEAMS_WEBHOOK_URL",)}

    kind: Literal["teams"] = "teams"
    url: SecretAddress = None
    """the address of a workflow "when a Teams webhook request is received"; it holds a token and is a secret"""

    @model_validator(mode="after")
    def _not_retired(self) -> Self:
        if (urlsplit(secret(self.url)).hostname or "").endswith(RETIRED):
            raise ValueError("url: connectors were switched off. Make a workflow in Teams and give its address")
        return self


def _payload(told: Message, text: str, _mentions: tuple[str, ...]) -> dict[str, Any]:
    colour = "good" if told.over else COLOURS.get(told.severity, "accent")
    links = [{"type": "Action.OpenUrl", "title": text[:60], "url": url} for text, url in told.links[:ACTIONS_MAX]]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": _escaped(told.headline), "weight": "bolder", "color": colour, "wrap": True},
            {"type": "TextBlock", "text": text, "wrap": True},
        ],
        "actions": links,
        "msteams": {"width": "Full"},
    }
    return {"type": "message", "attachments": [{"contentType": _CARD, "contentUrl": None, "content": card}]}


_MARKUP = Markup(
    escapes={char: f"\\{char}" for char in "\\*_[]`~"} | {"<": "<\u2060"},  # a mention is <at>...</at>
    line_starts={"#": "\\#", ">": "\\>"},
    bold="**{text}**",
    link=MARKDOWN_LINK,
    in_url=IN_MARKDOWN_URL,
    newline="\n\n",
)


def _escaped(text: str) -> str:
    return "".join(_MARKUP.escaped(text))


class Adapter(Robot):
    """See `Robot`."""

    dialect = Dialect(
        system="Teams",
        markup=_MARKUP,
        limit=16_000,  # bytes; 28 KB are taken of a whole card, and links stand in it twice
        measure=in_json,
        headline=False,
        payload=_payload,
        where="TEAMS_WEBHOOK_URL",
        answers=Answers(
            good=frozenset({"", "1"}),
            statuses=frozenset({202}),
            meanings={
                # HTTP 200 with such a text: Teams behind the webhook did not take it
                "http error 429": Meaning(reason=Reason.RATE_LIMITED),
                "http error 5": Meaning(reason=Reason.SERVER_ERROR),
                "delivery failed": Meaning(reason=Reason.REFUSED, permanent=True),
            },
        ),
    )
