"""What is special in a robot's dialect: signatures, keywords, mentions, errors behind a good status."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.vocabulary import Verb
from service_event_checker.destinations import dingtalk, feishu, teams
from tests.destinations.dingtalk import robot_case as dingtalk_case
from tests.destinations.dingtalk.double import DingTalk
from tests.destinations.feishu import robot_case as feishu_case
from tests.destinations.feishu.double import Feishu
from tests.destinations.robots.double import coded
from tests.destinations.teams import robot_case as teams_case
from tests.destinations.teams.double import Teams, failed
from tests.destinations.wecom import robot_case as wecom_case
from tests.destinations.wecom.double import WeCom
from tests.factories import alert, delivery


def tell(robot: Any, verb: Verb = Verb.OPEN) -> None:
    robot.deliver(delivery(alert(), verb, "robot"), alert(), None)


def failure(robot: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        tell(robot)
    return raised.value


def test_dingtalk_is_signed_with_time_and_secret_and_encoded_once():
    secret = "SEC" + "0" * 63

    signed = dingtalk.Adapter.dialect.sign(secret, datetime.fromtimestamp(1763632800, UTC))

    # computed with the algorithm of DingtalkChatbot 1.5.7
    assert signed.query == {
        "timestamp": "1763632800000",
        "sign": "WoFrFaNJpwQG0eD7YDSi0JZmVuZDOlYjYyFnWNNftE8=",
    }


def test_feishu_is_signed_with_time_and_secret_as_the_key():
    at = datetime.fromtimestamp(1763632800, UTC)

    signed = feishu.Adapter.dialect.sign("s", at)

    key = b"1763632800\ns"
    assert signed.body["sign"] == base64.b64encode(hmac.new(key, digestmod=hashlib.sha256).digest()).decode()


@pytest.mark.parametrize(
    ("case", "double", "answer", "hint"),
    [
        (dingtalk_case, DingTalk, coded(310000, "keywords not in content"), "`keyword`"),
        (feishu_case, Feishu, coded(19024, "Key Words Not Found", ("code", "msg")), "`keyword`"),
        (feishu_case, Feishu, coded(19021, "sign match fail", ("code", "msg")), "FEISHU_SECRET"),
        (wecom_case, WeCom, coded(93000, "invalid webhook url"), "WECOM_WEBHOOK_URL"),
    ],
)
def test_a_wrong_setting_waits_for_a_person_and_is_named(case, double, answer, hint):
    with double() as running:
        running.answers.append(answer)

        error = failure(case.adapter(running))

    assert not error.permanent
    assert hint in str(error)


@pytest.mark.parametrize(("case", "double"), [(dingtalk_case, DingTalk), (feishu_case, Feishu)])
def test_a_wrong_secret_is_refused_and_a_keyword_ends_each_message(case, double):
    with double() as running:
        running.keyword = "ops-duty"
        assert failure(case.adapter(running, secret="another")).reason in (Reason.FORBIDDEN, Reason.UNAUTHORIZED)
        assert failure(case.adapter(running)).reason is Reason.FORBIDDEN
        tell(case.adapter(running, keyword="ops-duty"))

    assert len(running.messages) == 1


def test_an_opening_mentions_whom_the_configuration_names_and_nothing_else_does():
    with DingTalk() as dingtalk_robot, WeCom() as wecom_robot, Feishu() as feishu_robot:
        for case, running, ids in (
            (dingtalk_case, dingtalk_robot, ("13800000000", "all")),
            (wecom_case, wecom_robot, ("ada", "all")),
            (feishu_case, feishu_robot, ("ou_1", "all")),
        ):
            robot = case.adapter(running, mentions=ids)
            tell(robot)
            tell(robot, Verb.NOTE)

    assert dingtalk_robot.messages[0]["at"] == {"atMobiles": ["13800000000"], "isAtAll": True}
    assert dingtalk_robot.messages[1]["at"] == {"atMobiles": [], "isAtAll": False}
    mentions = [
        [case.CASE.mentions(text) for text in case.CASE.texts(running)]
        for case, running in (
            (dingtalk_case, dingtalk_robot),
            (wecom_case, wecom_robot),
            (feishu_case, feishu_robot),
        )
    ]
    assert mentions == [
        [["@13800000000"], []],
        [["<@ada>", "<@all>"], []],
        [["<at id=ou_1>", "<at id=all>"], []],
    ]


@pytest.mark.parametrize("id", ["a b", "all></at>", "", "x" * 65, "é"])
def test_an_id_to_mention_that_could_be_markup_is_refused_at_start(id):
    with pytest.raises(ValidationError):
        feishu.Config(url="https://example.com", mentions=(id,))


@pytest.mark.parametrize("status", [200, 202])
def test_teams_takes_a_card_with_either_status(status):
    with Teams() as running:
        running.status = status
        tell(teams_case.adapter(running))

    (message,) = running.messages
    card = message["attachments"][0]["content"]
    assert "Disruption with some GitHub services" in card["body"][0]["text"]
    assert card["actions"][0]["url"] == alert().url


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [(429, Reason.RATE_LIMITED, False), (502, Reason.SERVER_ERROR, False), (400, Reason.REFUSED, True)],
)
def test_an_error_of_teams_behind_a_good_status_is_read(status, reason, permanent):
    with Teams() as running:
        running.answers.append(failed(status))

        error = failure(teams_case.adapter(running))

    assert (error.reason, error.permanent) == (reason, permanent)


def test_an_address_of_a_retired_connector_is_refused_with_the_next_step():
    with pytest.raises(ValidationError, match="Make a workflow"):
        teams.Config(url="https://example.webhook.office.com/webhookb2/x")


def test_an_address_that_is_none_is_refused_without_being_named():
    with pytest.raises(ValidationError) as raised:
        dingtalk.Config(url="canary4711")

    assert "canary" not in str(raised.value)


def test_the_body_is_sent_as_utf_8_so_that_chinese_text_is_not_twice_as_long():
    with DingTalk() as running:
        robot = dingtalk_case.adapter(running)
        about = alert(description="服务器CPU使用率过高")
        robot.deliver(delivery(about), about, None)

    assert "服务器CPU使用率过高".encode() in running.requests[0].body
