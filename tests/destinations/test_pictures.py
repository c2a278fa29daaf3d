"""Each channel's messages as its readers see them, as pictures in artifacts/: for people to look at.

The drawings are ours: what a system documents of its markup, and no more.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser

from service_event_checker.core import failover
from service_event_checker.core.model import Alert
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.vocabulary import Family, ResolvedBy, Severity, Status, Verb
from service_event_checker.render import voice
from tests.conftest import require
from tests.destinations.test_contract_robots import HOSTILE
from tests.destinations.test_own_messages import SETTINGS, made
from tests.factories import NOW, alert, delivery, receiver
from tests.real.browser import chromium
from tests.real.parts import CHROMIUM
from tests.root import ROOT

PICTURES = ROOT / "artifacts"
KINDS = sorted(set(SETTINGS) - {"slack"})
VOICES = {"en": voice.Voice(), "zh": voice.Voice(language="zh", zone=ZoneInfo("Asia/Shanghai"))}
STYLE = """body { font: 14px/1.45 sans-serif; background: #eee; margin: 12px; width: 1220px }
h2 { font-size: 13px; color: #555; margin: 8px 0 3px }
main { display: grid; grid-template-columns: 1fr 1fr; gap: 4px 16px }
article { background: #fff; border-radius: 8px; padding: 10px 12px; overflow: hidden; max-height: 520px }
article { overflow-wrap: anywhere }
header { font-weight: bold; border-bottom: 1px solid #ddd; margin-bottom: 6px }
pre { white-space: pre-wrap; margin: 0; font: inherit }"""
_LINK = re.compile(r"(?<!\\)\[((?:\\.|[^\]\\])*)\]\(([^)]*)\)")


def _markdown(text: str) -> str:
    text = _LINK.sub(r'<a href="\2">\1</a>', text)
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)


def _teams(text: str) -> str:
    marked = _markdown(html.escape(text, quote=False))
    return re.sub(r"\\(.)", r"\1", marked).replace("\n\n", "<p>").replace("\n", " ")


def _dingtalk(text: str) -> str:
    return _markdown(html.escape(text, quote=False)).replace("  \n", "<br>").replace("\n", " ")


def _wecom(text: str) -> str:
    return _markdown(html.escape(text, quote=False)).replace("\n", "<br>")


def _feishu(text: str) -> str:
    return _markdown(text).replace("\n", "<br>")


def _mrkdwn(text: str) -> str:
    text = re.sub(r"<(https?://[^|>]*)\|([^>]*)>", r'<a href="\1">\2</a>', text)
    return re.sub(r"(?m)^\*(.+?)\*|(?<=\s)\*(.+?:)\*", r"<b>\1\2</b>", text).replace("\n", "<br>")


def _plain(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


DRAWN: dict[str, Callable[[str], str]] = {
    "teams": _teams,
    "dingtalk": _dingtalk,
    "wecom": _wecom,
    "feishu": _feishu,
    "slack_webhook": _mrkdwn,
    "telegram": lambda text: text.replace("\n", "<br>"),
    "smtp": str,
    "sendgrid": str,
}
TITLED = {"teams", "dingtalk", "feishu", "apprise"}


def _scenes() -> Iterator[tuple[str, Alert, Verb]]:
    labels = {"component": "Actions", "region": "US"}
    first = alert(
        severity=Severity.CRITICAL,
        title="Workflow runs do not start",
        description="We are investigating.\nQueued runs are delayed.",
        labels=labels,
        links={"redmine": "https://redmine.example.com/issues/7"},
        annotations={"runbook_url": "https://wiki.example.com/runbook"},
    )
    ended = NOW + timedelta(minutes=42)
    over = replace(first, status=Status.RESOLVED, ended_at=ended, resolved_by=ResolvedBy.SOURCE, updated_at=ended)
    yield "opened", first, Verb.OPEN
    yield "updated", replace(first, severity=Severity.ERROR), Verb.UPDATE
    yield "note", first, Verb.NOTE
    yield "resolved", over, Verb.CLOSE
    yield "long", replace(first, title="a long title " * 20, description="Long text 很长的文字 " * 600), Verb.OPEN
    yield "hostile", replace(first, title=HOSTILE, description=HOSTILE, labels={"component": HOSTILE}), Verb.OPEN
    book = Rulebook((), (), {"chat": receiver("chat", fallback="mail"), "mail": receiver("mail", Family.MAIL)})
    digest = failover.digest(None, "chat", {"GITHUB-7F3KQ": "Runs do not start", "A-1": "二"}, book, NOW, waits=False)
    assert digest
    yield "digest", digest.alert, Verb.OPEN


def _drawn(kind: str, parts: dict[str, str]) -> str:
    """Return one message as HTML; the longest part is the text."""
    if "html" in parts and kind in ("smtp", "sendgrid"):
        return f"<header>{html.escape(parts['subject.txt'])}</header>" + parts["html"]
    text = parts.get("md") or parts.get("mrkdwn") or parts.get("html") or parts.get("txt", "")
    head = f"<header>{html.escape(parts['headline.txt'])}</header>" if kind in TITLED else ""
    return head + DRAWN.get(kind, _plain)(text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require(CHROMIUM)
    with chromium() as started:
        yield started


@pytest.mark.parametrize("kind", KINDS)
def test_messages_are_pictured_and_hostile_text_sets_nothing_off(kind: str, browser: Browser) -> None:
    PICTURES.mkdir(exist_ok=True)
    destination: Any = made(kind)
    cells = []
    for name, about, verb in _scenes():
        for language, spoken in VOICES.items():
            with voice.using(spoken):
                actor, note = ("Ada", "looking into it") if verb is Verb.NOTE else ("", "")
                told = replace(delivery(about, verb, "out"), actor=actor, note=note)
                message = _drawn(kind, destination.preview(told, about))
                cells.append(f"<div><h2>{name} {language}</h2><article>{message}</article></div>")
    page = browser.new_page(viewport={"width": 1260, "height": 900})
    alarms: list[str] = []
    page.on("dialog", lambda dialog: alarms.append(dialog.message))

    page.set_content(f"<meta charset=utf-8><style>{STYLE}</style><main>{''.join(cells)}</main>", wait_until="load")
    page.screenshot(path=str(PICTURES / f"message-{kind}.png"), full_page=True)
    links = page.eval_on_selector_all("article a", "all => all.map(each => each.href)")
    page.close()

    assert alarms == []
    assert [link for link in links if "evil.example" in link] == []
