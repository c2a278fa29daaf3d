"""Templates of users at every kind that tells people: each part is written by them, harmless, and never in the way."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from service_event_checker import plugins
from service_event_checker.core.vocabulary import Kind, Verb
from service_event_checker.render import own, own_check, sample, voice
from service_event_checker.render.message import HEADLINE
from service_event_checker.render.own_check import Target
from service_event_checker.render.sms import segments
from tests.destinations.cases import all_cases as all_object_cases
from tests.destinations.robots.cases import RobotCase
from tests.destinations.robots.cases import all_cases as all_robot_cases
from tests.factories import NOW, alert, delivery

ROBOTS = all_robot_cases()
HOSTILE = "<!channel> @all <at id=all></at> [x](https://evil.example) <a href='https://evil.example'>x</a> **b** \\ `c`"
ADDRESS = {"url": "https://hooks.example.com/robot?key=1"}
SMS = {"to": ["+491701234567"]}
MAIL = {"to": "oncall@example.com", "sender": "outages@example.com"}
#: kind -> what it cannot do without; nobody is called
SETTINGS: dict[str, dict[str, Any]] = {
    "dingtalk": ADDRESS,
    "wecom": ADDRESS,
    "feishu": ADDRESS,
    "teams": ADDRESS,
    "slack_webhook": ADDRESS,
    "telegram": {"token": "1:x", "chat_id": "-1001"},
    "twilio": {**SMS, "account_sid": "AC1", "token": "x", "sender": "+15005550006"},
    "aliyun_sms": {**SMS, "access_key_id": "x", "sign": "x", "template": "x", "parameters": {"content": "text"}},
    "apprise": {"urls": "json://127.0.0.1:1"},
    "slack": {"token": "xoxb-1"},
    "smtp": {**MAIL, "host": "127.0.0.1"},
    "sendgrid": {**MAIL, "api_key": "x"},
    "console": {},
}
DATA_ONLY = {"webhook", "pagerduty_events"}  # programs read the one; the other has a title alone


@pytest.fixture(params=sorted(SETTINGS))
def destination(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


@pytest.fixture(autouse=True)
def _no_templates_are_left() -> Iterator[None]:
    yield
    own.use({})


def made(kind: str) -> Any:
    model = plugins.destination_config(kind)
    assert model
    names = {field.alias or name for name, field in model.model_fields.items()}
    settings = {name: value for name, value in SETTINGS[kind].items() if name in names or name in model.model_fields}
    return plugins.make_destination("out", model(**settings))


def write(folder: Path, destination: Any, text: str, *, but: str = "") -> list[str]:
    """Use a template for all verbs and parts (`but` one) of a destination; return what is wrong with it."""
    forms = plugins.forms(destination.config)
    (folder / "out").mkdir(exist_ok=True)
    for part in forms.keys() - {but}:
        (folder / "out" / f"any.{part}").write_text(text)
    target = Target(name="out", kind=destination.config.kind, forms=forms)
    owns, problems = own_check.read(folder, {"out": target}, frozenset())
    own.use(owns)
    return problems


def shown(destination: Any, about: Any, verb: Verb = Verb.OPEN, **changes: Any) -> dict[str, str]:
    parts: dict[str, str] = destination.preview(replace(delivery(about, verb, "out"), **changes), about)
    return {part: text for part, text in parts.items() if part in plugins.forms(destination.config)}


def test_every_kind_either_takes_templates_or_is_known_to_have_no_text_for_people() -> None:
    tickets = {case.adapter.__module__.split(".")[2] for case in all_object_cases() if case.objects_kept}

    assert {*SETTINGS, *DATA_ONLY, *tickets} == set(plugins.kinds(plugins.DESTINATIONS))
    assert [kind for kind in SETTINGS if not plugins.forms(made(kind).config)] == []


@pytest.mark.parametrize("verb", own_check.VERBS)
def test_each_part_is_written_by_the_template(destination: Any, verb: Verb, tmp_path: Path) -> None:
    assert write(tmp_path, destination, "Ours, {{ verb }}: {{ alert.title }}") == []
    about = alert(kind=Kind.ALERT, title="DiskFull")
    about = sample.over(about, NOW) if verb is Verb.CLOSE else about

    parts = shown(destination, about, verb)

    assert set(parts) == set(plugins.forms(destination.config))
    for text in parts.values():
        assert f"Ours, {verb}: DiskFull" in text or f"Ours, {Verb.OPEN}: DiskFull" in text  # an SMS tells the state


def test_a_template_that_fails_falls_back_to_the_built_in_text(destination: Any, tmp_path: Path) -> None:
    about = alert(kind=Kind.ALERT, title="DiskFull", labels={"n": "none"})
    built_in = shown(destination, about)
    write(tmp_path, destination, "{% if alert.labels.n %}{{ 1 // (alert.labels.n | length - 4) }}{% endif %}ours")

    assert shown(destination, about) == built_in
    assert {each.receiver for each in own.failures()} == {"out"}


def test_a_template_that_names_what_is_not_there_is_refused_at_start(destination: Any, tmp_path: Path) -> None:
    problems = write(tmp_path, destination, "{{ alert.titel }}")

    assert len(problems) == len(plugins.forms(destination.config))


def test_a_test_always_says_so(destination: Any, tmp_path: Path) -> None:
    write(tmp_path, destination, "ours")

    assert [part for part, text in shown(destination, alert(test=True)).items() if "TEST" not in text] == []


@pytest.mark.parametrize("case", ROBOTS, ids=lambda case: case.name)
def test_what_a_sender_wrote_is_harmless_in_a_template_and_links_work(case: RobotCase, tmp_path: Path) -> None:
    with case.double() as double:
        robot = case.adapter(double)
        robot.name, link = "out", _link(robot)
        text = "# {{ alert.title }}\n{{ alert.description }}{{ alert.labels.x }} " + link
        assert write(tmp_path, robot, text) == []
        about = alert(title=HOSTILE, description=HOSTILE, labels={"x": HOSTILE}, url="https://a.example/x_(1)?a=1&b=~2")

        robot.deliver(delivery(about, Verb.OPEN, "out"), about, None)

        (sent,) = case.texts(double)
        (address,) = case.links(sent)
        assert html.unescape(unquote(address)) == about.url
        assert case.mentions(sent) == []
        assert "evil.example" in sent
        assert double.refused == []


def _link(robot: Any) -> str:
    part = robot.dialect.part
    patterns = {"html": '<a href="{}">open</a>', "mrkdwn": "<{}|open>", "md": "[open]({})"}
    return patterns[part].format("{{ alert.link | link }}")


@pytest.mark.parametrize("case", [case for case in ROBOTS if case.full_parts > 1], ids=lambda case: case.name)
def test_a_long_text_of_a_template_is_sent_in_parts_that_break_no_link(case: RobotCase, tmp_path: Path) -> None:
    with case.double() as double:
        robot = case.adapter(double)
        robot.name, link = "out", _link(robot)
        text = f"{{% for n in range(700) %}}{link}{{{{ alert.description }}}}中{{% endfor %}}"
        write(tmp_path, robot, text, but=HEADLINE)
        about = alert(description="<&*_" * 5, url="https://a.example/" + "x" * 40)

        robot.deliver(delivery(about, Verb.OPEN, "out"), about, None)

        texts = case.texts(double)
        assert 1 < len(texts) <= 3
        assert [text.count("https://") - text.count(about.url) for text in texts] == [0] * len(texts)
        assert {address for text in texts for address in case.links(text)} == {about.url}
        assert double.refused == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<p>x</p>", "<p> is not known to it"),
        ("<b>x", "<b> is not closed"),
        ("x</b>", "</b> ends nothing"),
        ('<a href="https://a.example" onclick="x">x</a>', "<a onclick> is not known"),
        ("{{ 'x' * 5000 }}", "it writes 5007 characters, Telegram takes 4096"),
    ],
)
def test_html_that_telegram_would_refuse_is_refused_at_start(text: str, words: str, tmp_path: Path) -> None:
    problems = [each for each in write(tmp_path, made("telegram"), text) if "any.html" in each]

    assert len(problems) == 1
    assert words in problems[0]


def test_an_sms_is_cut_to_its_segments(tmp_path: Path) -> None:
    write(tmp_path, made("twilio"), "{{ alert.description }}")

    (text,) = shown(made("twilio"), alert(description="word " * 300)).values()

    assert segments(text) == 2
    assert text.endswith("...")


@pytest.mark.parametrize("kind", sorted(SETTINGS))
def test_built_in_texts_are_chinese_where_the_receiver_is(kind: str) -> None:
    about = alert(kind=Kind.ALERT, title="x", description="x", labels={})
    one = made(kind)

    with voice.using(voice.Voice(language="zh")):
        parts = shown(one, about)

    said = "\n".join(parts.values())
    assert "错误" in said
    for english in ("Error", "Firing", "Since", "Source", "Severity"):
        assert english not in said
