"""/ListEvents: all open alerts by platform, worst first, within the limits of one Slack message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Status
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.render.labels import alert_title
from service_event_checker.render.names import platform_name
from service_event_checker.render.plan import is_planned, outlook
from service_event_checker.render.text import cut, duration, line, web_address
from service_event_checker.render.texts import MARKS
from service_event_checker.web.page.rows import by_urgency
from service_event_checker.web.slack.replies import SECTION_MAX, Reply, section

CHARS_MAX = 11_000  # of all rows and titles, as JSON: Slack takes 13,200 of all blocks together
BLOCK_CHARS = 90  # what a block costs besides its text
GROUPS_MAX = 40  # Slack takes 50 blocks
TITLE_MAX = 80


def listed(alerts: Sequence[Alert], now: datetime, *, more: bool, page_url: str) -> Reply:
    """List the alerts. `more`: there are others that were not read. `page_url`: "" if PUBLIC_URL is not set."""
    if not alerts:
        return Reply("No alert is open. Status pages that cannot be read are not included; see `/BotStatus`.")
    shown, left_out = _fitting(by_urgency(alerts), now)
    platforms = len({alert.source for alert in alerts})
    count = f"{len(alerts)}{'+' if more else ''}"
    head = f"*{count} open {'alert' if count == '1' else 'alerts'}* on {_many(platforms, 'platform')}"
    blocks = [section(head), *(block for source, rows in shown.items() for block in _group(source, rows))]
    if left_out or more:
        blocks.append(section(_rest(left_out, page_url, more=more)))
    return Reply(f"{head.replace('*', '')}", tuple(blocks))


def row(alert: Alert, now: datetime) -> str:
    """Return one alert as a line of mrkdwn."""
    since = alert.since
    words = [f"{MARKS[alert.severity]} `{alert.internal_id}`"]
    words += ["*TEST*"] if alert.test else []
    words += ["maintenance:"] if is_planned(alert) else []
    words.append(escape_mrkdwn(alert_title(alert, TITLE_MAX)))
    words.append(f"· {outlook(since, alert.ends_at, now) if is_planned(alert) else duration(now - since)}")
    if alert.status is Status.ACKNOWLEDGED:
        words.append("· 👀 " + escape_mrkdwn(line(alert.owner, 30) or "acknowledged"))
    links = [(escape_mrkdwn(platform_name(name)), web_address(url)) for name, url in sorted(alert.links.items())]
    words += [f"· <{escape_mrkdwn(url)}|{platform_name(name)}>" for name, url in links[:2] if 0 < len(url) <= 150]
    return " ".join(words)


def _fitting(alerts: Sequence[Alert], now: datetime) -> tuple[dict[str, list[str]], int]:
    """Return the rows that fit, by source, the source with the worst alert first, and how many did not fit."""
    shown: dict[str, list[str]] = {}
    room, left_out = CHARS_MAX, 0
    for alert in alerts:
        text = row(alert, now)
        cost = _cost(text) + (0 if alert.source in shown else _cost(_title(alert.source)) + BLOCK_CHARS)
        room -= cost
        if room < 0 or (alert.source not in shown and len(shown) >= GROUPS_MAX):
            left_out += 1
            continue
        shown.setdefault(alert.source, []).append(text)
    return shown, left_out


def _cost(text: str) -> int:
    return len(json.dumps(text))  # as Python's own JSON has it: more than Slack counts


def _title(source: str) -> str:
    return f"*{escape_mrkdwn(platform_name(source)) or 'unnamed'}*"


def _group(source: str, rows: Sequence[str]) -> list[dict[str, Any]]:
    parts = [_title(source)]
    for text in rows:
        if len(parts[-1]) + 1 + len(text) > SECTION_MAX:
            parts.append(cut(text, SECTION_MAX))
        else:
            parts[-1] += "\n" + text
    return [section(part) for part in parts]


def _rest(left_out: int, page_url: str, *, more: bool) -> str:
    count = f"…and {left_out}{' or more' if more else ''} others" if left_out else "…and others"
    return (
        f"{count}: <{escape_mrkdwn(page_url)}|open the page to see all>."
        if page_url
        else f"{count}. Open the page to see all."
    )


def _many(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
