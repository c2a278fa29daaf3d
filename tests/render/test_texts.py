"""Messages in English and Chinese, in the receiver's time zone: two tables with the same keys and places."""

from __future__ import annotations

import re
import string
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from service_event_checker.core import failover
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.vocabulary import Affects, Family, Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.destinations.slack import message
from service_event_checker.render import mail, plan, voice
from service_event_checker.render.notice import notice
from service_event_checker.render.text import duration, moment
from service_event_checker.render.texts import EN, TABLES, ZH
from service_event_checker.render.voice import Voice
from tests.factories import NOW, alert, receiver

CHINESE = Voice(language="zh", zone=ZoneInfo("Asia/Shanghai"))
_HAN = re.compile("[\u4e00-\u9fff]")


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_all_tables_have_the_same_keys_and_places():
    for table in TABLES.values():
        assert table.keys() == EN.keys()
    assert {key: places(text) for key, text in ZH.items()} == {key: places(text) for key, text in EN.items()}


def test_every_chinese_text_is_chinese_and_no_english_text_is():
    worded = [key for key, text in EN.items() if re.search(r"[A-Za-z]", re.sub(r"\{.*?\}", "", text))]
    assert [key for key in worded if not _HAN.search(ZH[key])] == []
    assert [key for key, text in EN.items() if _HAN.search(text)] == []


@pytest.mark.parametrize(
    ("verb", "changes", "english", "chinese"),
    [
        (Verb.ACK, {"status": Status.ACKNOWLEDGED}, "Acknowledged by ada: on it", "ada 已确认：on it"),
        (Verb.UNACK, {}, "Acknowledgement taken back by ada: on it", "ada 取消了确认：on it"),
        (Verb.NOTE, {}, "Note from ada: on it", "ada 的备注：on it"),
        (Verb.UPDATE, {}, "Updated by ada: on it", "ada 更新了告警：on it"),
        (Verb.OPEN, {"episode": 3}, "Opened again (episode 3): on it", "再次触发（第 3 次）：on it"),
        (
            Verb.CLOSE,
            {
                "status": Status.RESOLVED,
                "ended_at": NOW + timedelta(minutes=42),
                "resolved_by": ResolvedBy.PERSON,
            },
            "Resolved by ada after 42 min, at 2026-11-20 03:42 UTC: on it",
            "ada 于 2026-11-20 11:42 UTC+8 标记为已恢复，持续 42 分钟：on it",
        ),
        (
            Verb.CLOSE,
            {"status": Status.RESOLVED, "ended_at": NOW + timedelta(hours=2), "resolved_by": ResolvedBy.SOURCE},
            "Resolved after 2 h, at 2026-11-20 05:00 UTC: reported by the source: on it",
            "已于 2026-11-20 13:00 UTC+8 恢复，持续 2 小时：来源已报告恢复：on it",
        ),
    ],
)
def test_a_change_is_told_in_the_receivers_language_and_time(verb, changes, english, chinese):
    changed = alert(**changes)

    plain = notice(changed, verb, NOW, actor="ada", note="on it")
    with voice.using(CHINESE):
        translated = notice(changed, verb, NOW, actor="ada", note="on it")

    assert (plain.change, translated.change) == (english, chinese)


def test_fields_headline_and_footer_are_translated_and_the_vendors_words_are_not():
    shown = alert(affects_us=Affects.UNKNOWN, severity=Severity.CRITICAL)

    with voice.using(CHINESE):
        told = notice(shown, Verb.OPEN, NOW)

    assert told.headline.startswith("严重 · ")
    assert dict(told.fields)["开始时间"] == "2026-11-20 11:00 UTC+8"
    assert dict(told.fields)["是否影响我们"] == "未知"
    assert dict(told.fields)["状态"] == "告警中"
    assert told.body == shown.description
    assert "截至 2026-11-20 11:00 UTC+8" in told.footer


def test_planned_work_is_told_in_the_receivers_language():
    work = alert(kind=Kind.MAINTENANCE, ends_at=NOW + timedelta(hours=2), updated_at=NOW - timedelta(hours=1))

    with voice.using(CHINESE):
        planned = plan.standing(work)
        over = plan.standing(replace(work, status=Status.RESOLVED, ended_at=NOW + timedelta(hours=1)))

    assert planned == "计划中：2026-11-20 11:00 至 13:00 UTC+8"
    assert over == "已结束，持续 1 小时"


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "2026-11-20 03:00 UTC"),
        ("Europe/Berlin", "2026-11-20 04:00 UTC+1"),
        ("Asia/Kolkata", "2026-11-20 08:30 UTC+5:30"),
        ("America/St_Johns", "2026-11-19 23:30 UTC-3:30"),
    ],
)
def test_a_time_names_its_distance_from_utc(zone: str, shown: str):
    with voice.using(Voice(zone=ZoneInfo(zone))):
        assert moment(NOW) == shown


def test_the_voice_ends_with_its_delivery_and_is_plain_for_who_has_none():
    voice.use({"wecom": CHINESE})
    try:
        with voice.speaking("wecom"):
            assert duration(timedelta(minutes=65)) == "1 小时 5 分钟"
            with voice.speaking("mail"):
                assert duration(timedelta(minutes=65)) == "1 h 5 min"
        assert duration(timedelta(minutes=65)) == "1 h 5 min"
    finally:
        voice.use({})


def test_a_digest_is_a_list_in_the_receivers_language_and_no_alert_that_is_over():
    book = Rulebook((), (), {"slack": receiver("slack", fallback="mail"), "mail": receiver("mail", Family.MAIL)})
    write = failover.digest(None, "slack", {"A-1": "one", "B-2": "two"}, book, NOW, waits=False)
    assert write

    plain = notice(write.alert, Verb.CLOSE, NOW)
    with voice.using(CHINESE):
        translated = notice(write.alert, Verb.CLOSE, NOW)

    assert plain.headline == write.alert.title == "2 alerts were sent to mail while slack could not be reached"
    assert translated.headline == "slack 无法访问期间，有 2 条告警已发送到 mail"
    assert (plain.change, plain.fields, plain.body) == ("", (), "A-1: one\nB-2: two")


def test_a_digest_in_slack_has_no_block_that_slack_refuses_and_in_mail_no_band_of_an_end():
    book = Rulebook((), (), {"slack": receiver("slack", fallback="mail"), "mail": receiver("mail", Family.MAIL)})
    write = failover.digest(None, "slack", {"A-1": "one"}, book, NOW, waits=False)
    assert write
    told = write.deliveries[0]

    blocks = message.content(write.alert, told, button_key=b"", ticket_receivers=frozenset())["blocks"]
    page = mail.compose(told, write.alert, "outages@example.com", NOW).html

    assert [block for block in blocks if block["type"] == "section" and not block.get("text")] == []
    assert "MISSED MESSAGES" in page
    assert "RESOLVED" not in page
